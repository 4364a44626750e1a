"""What the building will draw, less what the sun gives: quarter hours of like days before, as this depot has
metered them.

The median is for money; promises are kept with the commissioned bounds of each feeder, which are more careful
than any quantile. On day one there is no history, and the plan takes the middle of those bounds.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

SLOT_S: Final = 900.0
KEPT: Final = 8
"""Values of each quarter hour of the week: two months, so that a season is followed."""
LEAST: Final = 3
"""Fewer values of the same weekday than this are helped out by the other days of its kind."""
ERRORS_KEPT: Final = 672
"""Quarter hours of a week: what a forecast was off by is told over so long."""
CAUTIOUS: Final = 0.9
"""Quantile of the cautious value."""
SATURDAY: Final = 5


class LoadHistory(Struct, frozen=True):
    """``loads``: kW by quarter hour of the week ("3-57": Thursday, 14:15 local), newest last. ``errors``:
    what the median was off by in the last quarter hours, kW, newest last.
    """

    loads: dict[str, tuple[float, ...]] = {}
    errors: tuple[float, ...] = ()

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
    errors = history.errors
    if foretold is not None:
        errors = (*errors, abs(foretold.median_kw - mean_kw))[-ERRORS_KEPT:]
    return LoadHistory(loads, errors)


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
