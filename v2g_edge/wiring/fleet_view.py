"""The fleet's systems as a part of the daemon, and what depot management gets, from the last tick and the
plan's forecast.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from v2g_edge.api.state import DepotState
from v2g_edge.fleet.fleet import Fleet
from v2g_edge.fleet.lifetime_throughput import NAME as LIVES
from v2g_edge.fleet.vdv_info import Forecast, charging_information
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.mission import Mission
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.report import Report

SAME_DEPARTURE_S: Final = 1_860.0
"""A plan keeps ten minutes in hand and counts in slots of a quarter hour: so far its departure may lie from
the one asked for.
"""


def fleet_view(
    state: DepotState, records: VehicleRecords, rejected: list[dict[str, str]]
) -> dict[str, Any] | None:
    """The payload of ProvideChargingInformation (VDV 463); None before the first tick."""
    if state.tick is None:
        return None
    snapshot = state.tick.snapshot
    came = {
        each.vehicle.vehicle: each.vehicle.plugged_wall_s
        for each in snapshot.evses
        if each.vehicle is not None
    }
    missions = {
        name: found
        for name, plugged_wall_s in came.items()
        if (found := records.mission_of(name, snapshot.wall_s, plugged_wall_s))
    }
    forecasts = forecasts_of(state.site, snapshot, missions, state.report)
    return charging_information(state.site, snapshot, missions, forecasts, rejected)


def forecasts_of(
    site: Site, snapshot: Snapshot, missions: Mapping[str, Mission], report: Report | None
) -> dict[str, Forecast]:
    """What the plan expects, by outlet: of the vehicles that it knew, for the departures that it knew. Of any
    other, and of one without a known capacity, there is no prediction until the next plan.
    """
    if report is None:
        return {}
    ready = {each.evse: each for each in report.vehicles}
    found = {}
    for evse, state in zip(site.evses, snapshot.evses, strict=True):
        vehicle, told = state.vehicle, ready.get(evse.id)
        if vehicle is None or told is None or vehicle.plugged_wall_s > report.made_wall_s:
            continue
        mission = missions.get(vehicle.vehicle)
        departs = mission.departure_wall_s if mission is not None else None
        if told.leaves_wall_s is None or departs is None or not told.soc_pct:
            continue
        if abs(told.leaves_wall_s - departs) <= SAME_DEPARTURE_S:
            found[evse.id] = Forecast(told.ready_wall_s, told.leaves_with_pct)
    return found


class FleetLink:
    """The fleet's systems of one daemon. ``records`` is None where the site file names none of them."""

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
            lives=Path(settings.host.state_dir) / LIVES,
        )
        self.records = self._fleet.records if self._fleet.is_used else None
        self.start = self._fleet.start
        self.stop = self._fleet.stop

    def _inform(self, rejected: list[dict[str, str]]) -> dict[str, Any] | None:
        return fleet_view(self._state, self._fleet.records, rejected)
