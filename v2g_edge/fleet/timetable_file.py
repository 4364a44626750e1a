"""Timetables of vehicles from a file: CSV with a departure a line, or iCalendar with an event a departure.

CSV: a header with ``vehicle``, ``departure`` and ``min_soc_pct``, and if wanted ``max_soc_pct``. A departure
without an offset is in the site's time zone. iCalendar: an event's start is the departure; its summary names
the vehicle, and after it may stand the SoC ("BUS-07 85%"); recurring events and exceptions count, cancelled
ones do not. A local time that a clock change skips or repeats is the earlier one.
"""

import csv
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.model.mission import Mission

OCTETS_MAX: Final = 8 << 20
LINES_MAX: Final = 100_000
AHEAD: Final = timedelta(days=8)
"""How far recurring departures are laid out: a week and a day."""
BEHIND: Final = timedelta(hours=6)
EVENTS_MAX: Final = 20_000
RULES_MAX: Final = 1_000
"""Events of a calendar as it is written, and those of them that recur: a line for each bus of the largest
depot.
"""
FOLDED: Final = re.compile(r"\r?\n[ \t]")
"""A line of iCalendar goes on in the next one after a blank (RFC 5545 3.1)."""
TOO_OFTEN: Final = re.compile(
    r"FREQ=(?:SECONDLY|MINUTELY|HOURLY)|BY(?:SECOND|MINUTE)=[^;:\n]*,|DTSTART[^:\n]*:(?:0|1[0-8])\d\d",
    re.IGNORECASE,
)
"""Recurrences with a million departures, or a million before the first that is still to come: to lay them out
takes minutes.
"""
ZONES: Final = re.compile(r"BEGIN:VTIMEZONE.*?END:VTIMEZONE", re.IGNORECASE | re.DOTALL)
"""Definitions of time zones, which may begin in 1601 (Outlook's do) and recur each year."""
FAULTS_MAX: Final = 20
SUMMARY: Final = re.compile(r"^\s*(?P<vehicle>\S+)(?:\s+(?P<soc>\d{1,3}(?:\.\d+)?)\s*%)?\s*$")


class BadTimetable(ValueError):  # noqa: N818 - names the file's fault
    """The file cannot serve at all."""


class Timetable(NamedTuple):
    """What a file says.

    Attributes:
        missions: The departures of its good lines.
        faults: What is wrong with each other line, the first ``FAULTS_MAX``.
        doubtful: Our ids of the vehicles that a bad line names.
    """

    missions: tuple[Mission, ...]
    faults: tuple[str, ...] = ()
    doubtful: frozenset[str] = frozenset()


class _Where(NamedTuple):
    """What a reader needs to know of the site."""

    source: str
    ids: Mapping[str, str]
    zone: ZoneInfo
    wall_s: float


def read_timetable(
    data: bytes, source: str, ids: Mapping[str, str], timezone: str, wall_s: float
) -> Timetable:
    """The departures of a file in either form. ``ids`` gives our id for each id of a vehicle. A bad line
    takes no other line with it. Raises ``BadTimetable``.
    """
    if len(data) > OCTETS_MAX:
        raise BadTimetable(f"{source}: {len(data)} octets; allowed are {OCTETS_MAX}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadTimetable(f"{source}: no UTF-8 text: {fault}") from fault
    where = _Where(source, ids, ZoneInfo(timezone), wall_s)
    if text.lstrip().upper().startswith("BEGIN:VCALENDAR"):
        return _calendar(text, where)
    try:
        return _csv(text, where)
    except csv.Error as fault:  # no ValueError: a field without end, a null
        raise BadTimetable(f"{source}: no CSV that can be read: {fault}") from fault


def _csv(text: str, where: _Where) -> Timetable:
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter, restkey="", restval="")
    names = [name.strip().lower() for name in reader.fieldnames or []]
    missing = {"vehicle", "departure", "min_soc_pct"} - set(names)
    if missing:
        raise BadTimetable(f"{where.source}:1: columns missing: {', '.join(sorted(missing))}")
    reader.fieldnames = names
    missions: list[Mission] = []
    faults: list[str] = []
    doubtful: set[str] = set()
    for number, row in enumerate(reader, start=2):
        if number > LINES_MAX:
            faults.append(f"{where.source}:{number}: more than {LINES_MAX} lines")
            break
        if not any(str(value).strip() for value in row.values()):
            continue
        said = {str(key): str(value).strip() for key, value in row.items()}
        try:
            missions.append(_row(said, where))
        except ValueError as fault:
            faults.append(f"{where.source}:{number}: {fault}")
            doubtful.add(where.ids.get(said["vehicle"], ""))
    return _timetable(missions, faults, doubtful)


def _row(row: dict[str, str], where: _Where) -> Mission:
    try:
        departure = datetime.fromisoformat(row["departure"])
    except ValueError as fault:
        raise ValueError(
            f"departure is {row['departure'][:40]!r}; expected a time like 2026-11-28 04:45"
        ) from fault
    if departure.tzinfo is None:
        departure = departure.replace(tzinfo=where.zone)
    high = _percent(row["max_soc_pct"], "max_soc_pct") if row.get("max_soc_pct") else None
    low = _percent(row["min_soc_pct"], "min_soc_pct")
    if high is not None and low > high:
        raise ValueError(f"min_soc_pct {low:g} is above max_soc_pct {high:g}")
    return _mission(row["vehicle"], departure, low, high, where)


def _percent(said: str, name: str) -> float:
    try:
        value = float(said)
    except ValueError as fault:
        raise ValueError(f"{name} is {said[:40]!r}; expected a percentage") from fault
    if not 0.0 <= value <= 100.0:
        raise ValueError(f"{name} is {said}; allowed are 0 to 100 %")
    if 0.0 < value <= 1.0:
        raise ValueError(f"{name} is {said}; is {value * 100.0:g} % meant?")
    return value


def _calendar(text: str, where: _Where) -> Timetable:
    # A tenth of the daemon's start, for sites that have such a file alone.
    import icalendar  # noqa: PLC0415
    import recurring_ical_events  # noqa: PLC0415

    now = datetime.fromtimestamp(where.wall_s, UTC)
    _check_recurrences(ZONES.sub("", FOLDED.sub("", text)), where)
    try:
        calendar = icalendar.Calendar.from_ical(text)
        events = recurring_ical_events.of(calendar).between(now - BEHIND, now + AHEAD)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as fault:
        raise BadTimetable(f"{where.source}: no calendar that can be read: {fault}") from fault
    missions: list[Mission] = []
    faults: list[str] = []
    doubtful: set[str] = set()
    for event in events:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        summary, start = str(event.get("SUMMARY", "")), event["DTSTART"].dt
        found = SUMMARY.match(summary)
        if found is None:
            faults.append(
                f"{where.source}: event {summary[:40]!r}; expected a vehicle and its SoC, like 'BUS-07 85%'"
            )
            continue
        if not isinstance(start, datetime):
            start = datetime.combine(start, time_of_day(), where.zone)
        start = start if start.tzinfo else start.replace(tzinfo=where.zone)
        try:
            low = _percent(found["soc"], "SoC") if found["soc"] else None
            missions.append(_mission(found["vehicle"], start, low, None, where))
        except ValueError as fault:
            faults.append(f"{where.source}: event {summary[:40]!r}: {fault}")
            doubtful.add(where.ids.get(found["vehicle"], ""))
    missions.sort(key=lambda each: (each.departure_wall_s or 0.0, each.vehicle))
    return _timetable(missions, faults, doubtful)


def _check_recurrences(text: str, where: _Where) -> None:
    """Refuse what would take minutes to lay out, before it is."""
    if (odd := TOO_OFTEN.search(text)) is not None:
        raise BadTimetable(f"{where.source}: {odd[0][:40]!r}: departures recur daily at most, from 1900 on")
    for word, most in (("BEGIN:VEVENT", EVENTS_MAX), ("RRULE", RULES_MAX), ("RDATE", RULES_MAX)):
        if (count := text.upper().count(word)) > most:
            raise BadTimetable(f"{where.source}: {count} times {word}; allowed are {most}")


def _mission(
    vehicle: str, departure: datetime, low: float | None, high: float | None, where: _Where
) -> Mission:
    ours = where.ids.get(vehicle)
    if ours is None:
        raise ValueError(f"vehicle {vehicle[:40]!r} is not in the site file")
    return Mission(
        vehicle=ours,
        source=f"timetable:{where.source}",
        departure_wall_s=min(departure.replace(fold=fold).timestamp() for fold in (0, 1)),
        min_soc_pct=low,
        max_soc_pct=high,
        received_wall_s=where.wall_s,
    )


def _timetable(missions: list[Mission], faults: list[str], doubtful: set[str]) -> Timetable:
    more = [f"and {len(faults) - FAULTS_MAX} more"] if len(faults) > FAULTS_MAX else []
    return Timetable(tuple(missions), tuple(faults[:FAULTS_MAX] + more), frozenset(doubtful - {""}))
