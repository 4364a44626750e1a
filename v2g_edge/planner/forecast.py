"""What the building will draw, less what the sun gives: quarter hours of like days before, as this depot has
metered them, higher or lower as this day has begun.

The median is for money; promises are kept with the commissioned bounds of each feeder, which are more careful
than any quantile. On day one there is no history, and the plan takes the middle of those bounds.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

SLOT_S: Final = 900.0
KEPT: Final = 8
"""Values of each quarter hour of the week: two months, so that a season is followed."""
LEAST: Final = 5
"""Fewer values of the same weekday than this are helped out by the other days of its kind."""
ERRORS_KEPT: Final = 672
"""Quarter hours of a week: what a forecast was off by is told over so long."""
CAUTIOUS: Final = 0.9
"""Quantile of the cautious value."""
SATURDAY: Final = 5
RECENT: Final = 16
"""Quarter hours that say how this day is unlike its kind: the last four hours."""
FADES_S: Final = 86_400.0
"""What a day is above or below its kind fades to a third within a day."""
DOUBT: Final = 2
"""As if so many quarter hours as usual stood beside those that were seen: a day is not judged by its
first."""
LEVELS: Final = (0.5, 2.0)
"""A day is at least half, and at most twice, what is usual: what is further off is no level but an event."""


class LoadHistory(Struct, frozen=True):
    """``loads``: kW by quarter hour of the week ("3-57": Thursday, 14:15 local), newest last. ``errors``:
    what the forecast was off by in the last quarter hours, kW, newest last. ``recent``:
    (beginning, kW, median) of the last quarter hours.
    """

    loads: dict[str, tuple[float, ...]] = {}
    errors: tuple[float, ...] = ()
    recent: tuple[tuple[float, float, float], ...] = ()

    @property
    def error_kw(self) -> float | None:
        """Mean error of the last week; None while nothing was foretold."""
        return sum(self.errors) / len(self.errors) if self.errors else None


class Expected(Struct, frozen=True):
    """One quarter hour: the value for money, and the one above which only a tenth of the like were."""

    median_kw: float
    cautious_kw: float


def expected(history: LoadHistory, start_wall_s: float, zone: ZoneInfo) -> Expected | None:
    """What is expected of the quarter hour that begins then; None without any like it."""
    weekday, quarter = _place(start_wall_s, zone)
    values = _like(history.loads, weekday, quarter)
    if not values:
        return None
    ranked = sorted(values)
    place = min(int(CAUTIOUS * len(ranked)), len(ranked) - 1)
    return Expected(median(ranked), ranked[place])


def learnt(history: LoadHistory, start_wall_s: float, mean_kw: float, zone: ZoneInfo) -> LoadHistory:
    """The history with one more quarter hour, and with what the forecast of it was off by."""
    weekday, quarter = _place(start_wall_s, zone)
    foretold = expected(history, start_wall_s, zone)
    key = f"{weekday}-{quarter}"
    loads = {**history.loads, key: (*history.loads.get(key, ()), mean_kw)[-KEPT:]}
    errors, recent = history.errors, history.recent
    if foretold is not None:
        told_kw = _at_level(foretold.median_kw, level(history, start_wall_s))
        errors = (*errors, abs(told_kw - mean_kw))[-ERRORS_KEPT:]
        recent = (*recent, (start_wall_s, mean_kw, foretold.median_kw))[-RECENT:]
    return LoadHistory(loads, errors, recent)


def ahead(history: LoadHistory, start_wall_s: float, count: int, zone: ZoneInfo) -> tuple[float, ...]:
    """The mean of each of ``count`` quarter hours from ``start_wall_s`` on, in kW: the median of the like,
    higher or lower as this day is. () where one of them has none like it.
    """
    found = [expected(history, start_wall_s + SLOT_S * n, zone) for n in range(count)]
    known = [each.median_kw for each in found if each is not None]
    if len(known) < count:
        return ()
    above = level(history, start_wall_s) - 1.0
    return tuple(_at_level(kw, 1.0 + above * math.exp(-SLOT_S * n / FADES_S)) for n, kw in enumerate(known))


def _at_level(median_kw: float, level: float) -> float:
    """What the sun feeds in does not grow with the building."""
    return median_kw * level if median_kw > 0.0 else median_kw


def level(history: LoadHistory, wall_s: float) -> float:
    """The share of what is usual that the last hours had; 1 where the sun leaves nothing to compare with."""
    near = [each for each in history.recent if 0.0 < wall_s - each[0] <= (RECENT + 1) * SLOT_S]
    drawn, usual = sum(kw for _, kw, _ in near), sum(kw for _, _, kw in near)
    as_usual = DOUBT * usual / max(len(near), 1)
    if usual <= 0.0 or usual < sum(abs(kw) for _, _, kw in near) / 2.0:
        return 1.0
    return min(max((drawn + as_usual) / (usual + as_usual), LEVELS[0]), LEVELS[1])


def _place(wall_s: float, zone: ZoneInfo) -> tuple[int, int]:
    local = datetime.fromtimestamp(wall_s, UTC).astimezone(zone)
    return local.weekday(), local.hour * 4 + local.minute // 15


def _like(loads: Mapping[str, tuple[float, ...]], weekday: int, quarter: int) -> tuple[float, ...]:
    """The same weekday's; where those are few, those of all days of its kind; else of any day."""
    own = loads.get(f"{weekday}-{quarter}", ())
    if len(own) >= LEAST:
        return own
    kind = [day for day in range(7) if (day >= SATURDAY) == (weekday >= SATURDAY)]
    for days in (kind, range(7)):
        found = tuple(value for day in days for value in loads.get(f"{day}-{quarter}", ()))
        if found:
            return found
    return ()
