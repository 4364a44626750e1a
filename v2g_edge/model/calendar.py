"""Days as a site file writes them: "Mo-Fr", "Sa,Su", "PH" (a holiday), a date, a season. What day it is,
the caller says.
"""

import re
from typing import Final, NamedTuple

WEEKDAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY: Final = "(?:Mo|Tu|We|Th|Fr|Sa|Su)"
_DATE: Final = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_SEASON: Final = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])/(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_DAYS: Final = f"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*"
_SOC: Final = r"(?:100|\d{1,2})(?:\.\d)?"
_KWH: Final = r"\d{1,4}(?:\.\d)?kWh"

DEPARTURE: Final = rf"^(?:{_DAYS}|PH|{_DATE}) (?:{_TIME}|-)(?: (?:{_SOC}|{_KWH}))?$"
"""Days, time ("-": it stays), and what it needs then: a SoC in percent, or kWh in its battery."""
WINDOW: Final = rf"^(?:{_DAYS}|PH|{_DATE}|{_SEASON}) {_TIME}-(?:{_TIME}|24:00)$"
"""Days or a season, and hours; an end before the beginning is on the next day."""
HOLIDAY: Final = rf"^{_DATE}$"


class Day(NamedTuple):
    """One local day: 0 is Monday, "YYYY-MM-DD"."""

    weekday: int
    date: str
    is_holiday: bool


class Departure(NamedTuple):
    """One line of a vehicle's calendar. ``at`` "": it stays. ``soc_pct`` and ``need_wh`` None: the vehicle's
    own target.
    """

    when: str
    at: str
    soc_pct: float | None = None
    need_wh: float | None = None


def departure_of(text: str) -> Departure:
    """A line that ``DEPARTURE`` has accepted."""
    when, at, *need = text.split(" ")
    at = "" if at == "-" else at
    if need and need[0].endswith("kWh"):
        return Departure(when, at, need_wh=float(need[0].removesuffix("kWh")) * 1_000.0)
    return Departure(when, at, soc_pct=float(need[0]) if need else None)


def hours_of(text: str) -> tuple[str, str, str]:
    """(days, from, until) of a line that ``WINDOW`` has accepted."""
    when, _, hours = text.partition(" ")
    begin, _, end = hours.partition("-")
    return when, begin, end


def rank(when: str, day: Day) -> int:
    """How well days fit a day: a date before a holiday before a weekday; 0: not at all."""
    if when == "PH":
        return 2 if day.is_holiday else 0
    if "/" in when:
        first, last = when.split("/")
        now = day.date[5:]
        inside = first <= now <= last if first <= last else now >= first or now <= last
        return 1 if inside else 0
    if re.match(r"\d{4}-", when):
        return 3 if when == day.date else 0
    return 1 if day.weekday in weekdays_of(when) else 0


def best(rules: tuple[Departure, ...], day: Day) -> Departure | None:
    """The line that counts on a day: the one that fits it best, the later of two that fit alike."""
    found = max(((rank(rule.when, day), place) for place, rule in enumerate(rules)), default=(0, 0))
    return rules[found[1]] if found[0] else None


def weekdays_of(when: str) -> frozenset[int]:
    """The weekdays of "Mo-Fr,Su"; a span may go over the end of the week."""
    days: set[int] = set()
    for part in when.split(","):
        first, _, last = part.partition("-")
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(days)
