"""The fleet's systems as a part of the daemon, and what depot management gets, from the last tick and the
plan's forecast.
"""

from collections.abc import Callable
from typing import Any

from v2g_edge.api.state import DepotState
from v2g_edge.fleet.book import FleetBook
from v2g_edge.fleet.fleet import Fleet
from v2g_edge.fleet.vdv_info import Forecast, charging_information
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings


def fleet_view(state: DepotState, book: FleetBook, rejected: list[dict[str, str]]) -> dict[str, Any] | None:
    """The payload of ProvideChargingInformation (VDV 463); None before the first tick."""
    if state.tick is None:
        return None
    snapshot = state.tick.snapshot
    ready = state.report.vehicles if state.report is not None else ()
    forecasts = {each.evse: Forecast(each.ready_wall_s, each.leaves_with_pct) for each in ready}
    plugged = {each.vehicle.vehicle for each in snapshot.evses if each.vehicle is not None}
    missions = {name: found for name in plugged if (found := book.mission_of(name, snapshot.wall_s))}
    return charging_information(state.site, snapshot, missions, forecasts, rejected)


class FleetLink:
    """The fleet's systems of one daemon. ``book`` is None where the site file names none of them."""

    def __init__(
        self, settings: Settings, state: DepotState, clock: ClockPort, tell: Callable[[Event], None]
    ) -> None:
        self._state = state
        self._fleet = Fleet(
            settings.fleet,
            settings.site,
            clock,
            inform=self._inform,
            tell=tell,
            telematics=settings.telematics,
        )
        self.book = self._fleet.book if self._fleet.is_used else None
        self.start = self._fleet.start
        self.stop = self._fleet.stop

    def _inform(self, rejected: list[dict[str, str]]) -> dict[str, Any] | None:
        return fleet_view(self._state, self._fleet.book, rejected)
