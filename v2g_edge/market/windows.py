"""What the site file allows by hours, days and seasons, as orders that hold now: limits of feeders,
reserves of vehicle types.
"""

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from v2g_edge.market.time_of_use import holds
from v2g_edge.model.orders import Ahead
from v2g_edge.model.site import Site, Window
from v2g_edge.model.snapshot import Order

STEP_S: Final = 900.0
"""How finely windows to come are looked up: a plan has slots of a quarter hour."""
LAST_S: Final = 840.0
"""The last whole minute of a step: a window that begins within it counts as well."""
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


def windows_ahead(site: Site, wall_s: float, for_s: float) -> tuple[Ahead, ...]:
    """When the windows of the site's feeders hold from ``wall_s`` on. A minute within a step counts as the
    whole step: a plan is not to promise what it takes away.
    """
    if not site.windows:
        return ()
    return _ahead(site.windows, site.timezone, site.holidays, wall_s - wall_s % STEP_S, int(for_s // STEP_S))


@lru_cache(maxsize=2)
def _ahead(
    windows: tuple[Window, ...], timezone: str, holidays: tuple[str, ...], first_s: float, steps: int
) -> tuple[Ahead, ...]:
    """Once a step: each window costs some milliseconds."""
    zone, free = ZoneInfo(timezone), frozenset(holidays)
    found: list[Ahead] = []
    for window in windows:
        for step in range(steps + 1 if window.feeder else 0):
            start_s = first_s + STEP_S * step
            if any(holds(window.when, at_s, zone, free) for at_s in (start_s, start_s + LAST_S)):
                found += _held(window, start_s)
    return tuple(_joined(found))


def _held(window: Window, start_s: float) -> list[Ahead]:
    """A window's limits for one step."""
    until_s = start_s + STEP_S
    held = []
    if window.import_limit_w is not None:
        held.append(Ahead("limit", window.feeder, window.import_limit_w, start_s, until_s))
    if window.export_limit_w is not None:
        held.append(Ahead("export-limit", window.feeder, window.export_limit_w, start_s, until_s))
    return held


def _joined(found: list[Ahead]) -> list[Ahead]:
    """Steps that follow each other as one."""
    joined: dict[tuple[str, str, float, float], Ahead] = {}
    for each in found:
        before = joined.pop((each.kind, each.feeder, each.limit_w, each.from_wall_s), None)
        whole = each if before is None else replace(before, until_wall_s=each.until_wall_s)
        joined[whole.kind, whole.feeder, whole.limit_w, whole.until_wall_s] = whole
    return list(joined.values())


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
