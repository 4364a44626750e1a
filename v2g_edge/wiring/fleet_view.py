"""What depot management gets, from the daemon's last tick and the plan's forecast."""

from typing import Any

from v2g_edge.api.state import DepotState
from v2g_edge.fleet.book import FleetBook
from v2g_edge.fleet.vdv_info import Forecast, charging_information


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
