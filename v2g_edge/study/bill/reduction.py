"""What a demand response event reduced, by the grid meter's quarter hours: like days before it say what would
have been drawn.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.study.bill.baseline import TEN_OF_TEN, Day, Method, baseline, reduced_kwh
from v2g_edge.study.ledger.lines import INTERVAL_S, Line

LOOK_BACK_DAYS: Final = 45
"""Ten like days are found within so many (CAISO's tariff looks as far back)."""
BEFORE_H: Final = 3.0
BEFORE_ENDS_H: Final = 1.0
"""The adjustment compares the three hours that end an hour before the event."""
SATURDAY: Final = 5

Event = tuple[float, float]
"""From, until, UTC epoch seconds."""


class Reduction(NamedTuple):
    """kWh of all events, and what could not be counted, in words."""

    kwh: float
    notes: tuple[str, ...]


def loads_of(lines: Iterable[Line], meter: str) -> dict[float, float]:
    """Mean net import of each quarter hour at a meter, kW."""
    found: dict[float, float] = {}
    for line in lines:
        if line.meter == meter:
            kwh = (line.in_wh - line.out_wh) / 1e3
            found[line.start_wall_s] = found.get(line.start_wall_s, 0.0) + kwh * 3_600.0 / INTERVAL_S
    return found


def reduction_of(
    events: tuple[Event, ...],
    loads: Mapping[float, float],
    zone: ZoneInfo,
    called: tuple[Event, ...],
    *,
    export_paid: bool,
    method: Method = TEN_OF_TEN,
) -> Reduction:
    """By ten like days before each event, working days or weekends; days of ``called`` do not count, nor do
    those that are not wholly on record.
    """
    with_event = {_local(start_s, zone).date() for start_s, _ in called}
    total, notes = 0.0, []
    for start_s, end_s in events:
        told = f"{_local(start_s, zone):%Y-%m-%d %H:%M}"
        metered = _course(loads, start_s, end_s)
        if metered is None:
            notes.append(f"event of {told}: the grid meter's record has a hole in it; nothing is counted")
            continue
        own = _course(loads, *_before(start_s)) or ()
        days = [
            _day(loads, (start_s, end_s), back, zone, eligible=day not in with_event)
            for back, day in _like(_local(start_s, zone).date())
        ]
        try:
            expected = baseline(method, days, own)
        except ValueError as error:
            notes.append(f"event of {told}: {error}; nothing is counted")
            continue
        total += reduced_kwh(expected, metered, INTERVAL_S / 3_600.0, export_paid=export_paid)
    return Reduction(total, tuple(notes))


def _like(day: date) -> list[tuple[int, date]]:
    """Days of the same kind before one, newest first, with how far back each lies."""
    before = [(back, day - timedelta(days=back)) for back in range(1, LOOK_BACK_DAYS + 1)]
    return [
        (back, each) for back, each in before if (each.weekday() >= SATURDAY) == (day.weekday() >= SATURDAY)
    ]


def _day(loads: Mapping[float, float], event: Event, back: int, zone: ZoneInfo, *, eligible: bool) -> Day:
    start_s, end_s = (_earlier(at_s, back, zone) for at_s in event)
    during = _course(loads, start_s, start_s + event[1] - event[0])
    before = _course(loads, *_before(start_s))
    whole = during is not None and before is not None and end_s - start_s == event[1] - event[0]
    return Day(during or (), before or (), eligible and whole)


def _before(start_s: float) -> Event:
    end_s = start_s - BEFORE_ENDS_H * 3_600.0
    return end_s - BEFORE_H * 3_600.0, end_s


def _course(loads: Mapping[float, float], start_s: float, end_s: float) -> tuple[float, ...] | None:
    """The loads of a time, None where one is missing."""
    count = round((end_s - start_s) / INTERVAL_S)
    found = [loads.get(start_s + INTERVAL_S * n) for n in range(count)]
    known = [each for each in found if each is not None]
    return tuple(known) if len(known) == count else None


def _earlier(at_s: float, days: int, zone: ZoneInfo) -> float:
    """The same local time some days before."""
    local = _local(at_s, zone)
    day, clock = local.date() - timedelta(days=days), time(local.hour, local.minute, local.second)
    return datetime.combine(day, clock, zone).timestamp()


def _local(at_s: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone)
