"""What the site file allows by hours, days and seasons, as orders that hold now: limits of feeders,
reserves of vehicle types.
"""

from typing import Final
from zoneinfo import ZoneInfo

from v2g_edge.market.time_of_use import holds
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
        open_now = [
            window
            for window in self._windows
            if not synced or holds(window.when, wall_s, self._zone, self._holidays)
        ]
        orders = tuple(order for window in open_now for order in orders_of(window))
        if orders != self._now:
            self._now = orders
        return self._now


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
