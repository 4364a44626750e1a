"""What the site file allows by hours, days and seasons, as orders that hold now: limits of feeders,
reserves of vehicle types.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from v2g_edge.model.calendar import Day, hours_of, rank
from v2g_edge.model.site import Site, Window
from v2g_edge.model.snapshot import Order

LOOK_EVERY_S: Final = 1.0
"""Windows begin and end on whole minutes; more often than each second adds nothing."""


class Windows:
    """The site's windows. The orders stay the same objects while nothing changes, so that the journal
    writes what moved.
    """

    def __init__(self, site: Site) -> None:
        self._windows = site.windows
        self._holidays = frozenset(site.holidays)
        self._zone = ZoneInfo(site.timezone) if site.windows else None
        self._looked_s = float("-inf")
        self._synced = False
        self._now: tuple[Order, ...] = ()

    def orders_at(self, wall_s: float, *, synced: bool) -> tuple[Order, ...]:
        """Those that hold. A clock that is not synchronised makes all of them hold: the narrowest of every
        hour.
        """
        if self._zone is None:
            return ()
        if 0.0 <= wall_s - self._looked_s < LOOK_EVERY_S and synced == self._synced:
            return self._now
        self._looked_s, self._synced = wall_s, synced
        open_now = [window for window in self._windows if not synced or self._holds(window, wall_s)]
        orders = tuple(order for window in open_now for order in orders_of(window))
        if orders != self._now:
            self._now = orders
        return self._now

    def _holds(self, window: Window, wall_s: float) -> bool:
        now = datetime.fromtimestamp(wall_s, UTC).astimezone(self._zone)
        today, before = self._day(now), self._day(now - timedelta(days=1))
        at = f"{now:%H:%M}"
        for line in window.when:
            when, begin, end = hours_of(line)
            overnight = end <= begin
            if rank(when, today) and begin <= at and (overnight or at < end):
                return True
            if overnight and rank(when, before) and at < end:
                return True
        return False

    def _day(self, moment: datetime) -> Day:
        date = f"{moment:%Y-%m-%d}"
        return Day(moment.weekday(), date, date in self._holidays)


def orders_of(window: Window) -> tuple[Order, ...]:
    """A window as orders without an end of their own."""
    who = f"windows.{window.id}"
    found = []
    if window.import_limit_w is not None:
        found.append(Order(0, "limit", window.feeder, 0.0, 0.0, who, limit_w=window.import_limit_w))
    if window.export_limit_w is not None:
        found.append(Order(0, "export-limit", window.feeder, 0.0, 0.0, who, limit_w=window.export_limit_w))
    if window.min_soc_pct is not None:
        found.append(Order(0, "reserve", window.vehicle_type, 0.0, 0.0, who, soc_pct=window.min_soc_pct))
    return tuple(found)
