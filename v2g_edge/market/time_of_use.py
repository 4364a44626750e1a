"""A tariff by time of use, from the site file, as prices of the next days. Pure: no clock of its own.

The first band whose days and hours hold gives the price. A time that no band covers has none: it is a hole,
as in any feed. Hours are local: a day of 23 or 25 hours has the bands that its clock shows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from v2g_edge.model.calendar import Day, hours_of, rank
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import TimeOfUse

STEP_S: Final = 900.0
"""Bands begin on quarter hours, as metering does; a minute in between counts from the next one."""
AHEAD_S: Final = 3 * 86_400.0
"""A plan looks two days ahead."""


class Tariff:
    """Prices of ``bands``, worked out anew once an hour."""

    def __init__(self, bands: Sequence[TimeOfUse], timezone: str, holidays: Sequence[str]) -> None:
        self._bands = tuple(bands)
        self._zone = ZoneInfo(timezone)
        self._holidays = frozenset(holidays)
        self._hour = -1
        self._prices: tuple[Price, ...] = ()

    def prices_at(self, wall_s: float) -> tuple[Price, ...]:
        """From the hour of ``wall_s`` on. The same object within an hour."""
        if self._bands and int(wall_s // 3_600.0) != self._hour:
            self._hour = int(wall_s // 3_600.0)
            self._prices = self._made(wall_s - wall_s % 3_600.0)
        return self._prices

    def _made(self, start_wall_s: float) -> tuple[Price, ...]:
        found: list[Price] = []
        for step in range(int(AHEAD_S // STEP_S)):
            at_wall_s = start_wall_s + step * STEP_S
            price = self._price_at(at_wall_s)
            last = found[-1] if found else None
            if price is None:
                continue
            if last is not None and last.per_kwh == price and last.end_wall_s == at_wall_s:
                found[-1] = Price(last.start_wall_s, price, at_wall_s + STEP_S)
            else:
                found.append(Price(at_wall_s, price, at_wall_s + STEP_S))
        return tuple(found)

    def _price_at(self, wall_s: float) -> float | None:
        return next(
            (b.per_kwh for b in self._bands if holds(b.when, wall_s, self._zone, self._holidays)), None
        )


def holds(lines: Sequence[str], wall_s: float, zone: tzinfo | None, holidays: frozenset[str]) -> bool:
    """Whether one of the lines ("Mo-Fr 07:00-20:00", …) covers ``wall_s``."""
    now = datetime.fromtimestamp(wall_s, UTC).astimezone(zone)
    today, before = _day(now, holidays), _day(now - timedelta(days=1), holidays)
    at = f"{now:%H:%M}"
    for line in lines:
        when, begin, end = hours_of(line)
        overnight = end <= begin
        if rank(when, today) and begin <= at and (overnight or at < end):
            return True
        if overnight and rank(when, before) and at < end:
            return True
    return False


def _day(moment: datetime, holidays: frozenset[str]) -> Day:
    date = f"{moment:%Y-%m-%d}"
    return Day(moment.weekday(), date, date in holidays)
