"""A real bus depot for two days, run from VDV 463 alone: chargers say no departure and no need. Departures
come late, change, and are withdrawn.
"""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.scenarios.scenario import Scenario
from sim.scenarios.spice_ev import import_spice_ev
from sim.scenarios.visit import Visit
from v2g_edge.field.fleet_overlay import FleetOverlay
from v2g_edge.fleet.vdv463 import parse_frame, read_requests
from v2g_edge.fleet.vdv_info import charging_information
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import NO_SAMPLE
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.highs import NoSolutionError
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.planner.report import Report
from v2g_edge.wiring.fleet_view import forecasts_of

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TICK_S = 60.0
REPLAN_S = 2_700.0
LIST_S = 300.0
"""A depot management system sends its whole list this often."""
AHEAD_S = 3_600.0
"""A prediction is held against what came this long before the departure."""

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="needs the real depot data, which is not part of the repository: ../shared/data is not there",
)


class DepotManagement:
    """Sends lists of charging requests. Of ten stays, two are told another departure at first (later or
    earlier, until two hours before), and one is withdrawn for a while.
    """

    def __init__(self, scenario: Scenario) -> None:
        chance = random.Random(463)
        self._visits = scenario.visits
        self._kinds = {visit: chance.random() for visit in self._visits}
        self._shift_s = {visit: chance.choice((-2_400.0, 1_800.0)) for visit in self._visits}

    def list_at(self, wall_s: float) -> str:
        requests = [
            request
            for visit in self._visits
            if visit.arrives_wall_s - 7_200.0 <= wall_s < visit.departs_wall_s
            for request in self._request(visit, wall_s)
        ]
        payload = {"chargingRequestList": requests}
        return json.dumps([1, "BMS", "hof", _iso(wall_s), "m-1", "ProvideChargingRequests", payload])

    def _request(self, visit: Visit, wall_s: float) -> list[dict[str, Any]]:
        kind, departs_wall_s = self._kinds[visit], visit.departs_wall_s
        half_s = (visit.departs_wall_s - visit.arrives_wall_s) / 2.0
        if kind < 0.1 and 0.0 <= wall_s - visit.arrives_wall_s - half_s / 2.0 < min(half_s / 2.0, 3_600.0):
            return []
        if 0.1 <= kind < 0.3 and wall_s < visit.departs_wall_s - 7_200.0:
            departs_wall_s += self._shift_s[visit]
        data = {
            "minTargetSoc": visit.target_soc_pct, "maxTargetSoc": min(visit.target_soc_pct + 5.0, 100.0),
            "requestedTimeForDeparture": _iso(departs_wall_s),
        }  # fmt: skip
        return [
            {
                "vehicleId": visit.vehicle, "chargingPointId": visit.evse, "chargingRequestData": data,
                "chargingRequestId": f"{visit.vehicle} {visit.arrives_wall_s:.0f}",
            }
        ]  # fmt: skip


def _iso(wall_s: float) -> str:
    return f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


class VdvRun(PureRun):
    """The product's tick on the depot's physics; its pictures know of departures by VDV 463 alone."""

    def __init__(self, scenario: Scenario, *, optimise: bool) -> None:
        super().__init__(scenario)
        self.records = VehicleRecords(self.site)
        self._management = DepotManagement(scenario)
        self._overlay = FleetOverlay(self.records)
        self._take, self._pictures.take = self._pictures.take, self._seen  # type: ignore[method-assign,assignment]
        self._listed_s = -LIST_S
        self._optimise = optimise
        self._report: Report | None = None
        self._last: Snapshot | None = None
        self.predicted: dict[tuple[str, float], float] = {}
        self.tops: list[tuple[float, float]] = []

    def _seen(self, now_s: float, *rest: Any) -> Snapshot:
        picture = self._take(now_s, *rest)
        wall_s = picture.wall_s
        if wall_s - self._listed_s >= LIST_S:
            self._listed_s = wall_s
            frame = parse_frame(self._management.list_at(wall_s))
            missions, rejected = read_requests(
                frame.payload, frame.presystem, wall_s, self.records.ids, self.records.points
            )
            assert rejected == []
            self.records.replace_missions("vdv463:hof", missions)
        self._overlay.begin()
        evses = []
        for evse, state in zip(self.site.evses, picture.evses, strict=True):
            vehicle = state.vehicle
            if vehicle is not None:
                vehicle = replace(vehicle, departure_wall_s=NO_SAMPLE, target_soc_pct=NO_SAMPLE)
                vehicle = self._overlay.apply(evse.id, vehicle, now_s, wall_s)
            evses.append(replace(state, vehicle=vehicle))
        self._last = replace(picture, evses=tuple(evses))
        self._predict(self._last)
        return self._last

    def _plan_for(self, faults: list[Any], wall_s: float) -> Plan | None:
        assert self._last is not None
        since_s, moved = wall_s - self._planned_s, self.records.revision != self._revision
        if since_s >= REPLAN_S or (moved and since_s >= REPLAN_S / 2.0):
            self._planned_s, self._revision = wall_s, self.records.revision
            inputs = (self.site, self._last, self.scenario.prices, PriceSettings(), wall_s)
            try:
                self._plan, self._report = plan_day(*inputs)
            except NoSolutionError:
                self._plan = plan_from_prices(*inputs)
        return self._plan

    _revision = -1

    def _predict(self, seen: Snapshot) -> None:
        """What depot management is told an hour before each departure."""
        plugged = {each.vehicle.vehicle for each in seen.evses if each.vehicle is not None}
        missions = {n: m for n in plugged if (m := self.records.mission_of(n, seen.wall_s)) is not None}
        forecasts = forecasts_of(self.site, seen, missions, self._report)
        told = charging_information(self.site, seen, missions, forecasts, [])
        for station in told["depotInfoList"][0]["chargingStationInfoList"]:
            (point,) = station["chargingPointInfoList"]
            visit = self._plugged.get(point["chargingPointId"])
            process = point.get("chargingProcessInfo")
            if visit is None or process is None or seen.wall_s > visit.departs_wall_s - AHEAD_S:
                continue
            leaves = process["chargingPredictionData"].get("DepartureTime", {})
            if (soc_pct := leaves.get("predictedDepartureTimeSoc")) is not None:
                self.predicted[visit.vehicle, visit.departs_wall_s] = soc_pct


@pytest.mark.slow
def test_two_days_from_vdv_463_alone_lose_no_departure_and_predict_their_charge() -> None:
    source = DATA / "bus_depot/bus_scenario_D.json"
    scenario = slowed(import_spice_ev(source, "Betriebshof A", DATA / "prices/NL_2023.csv"), TICK_S)
    run = VdvRun(scenario, optimise=True)
    panel = run.play()
    left = [each for each in panel.departures if not each.excused]
    lost = [each for each in left if not each.is_met and each.best_soc_pct >= each.needed_pct]
    errors = [
        abs(run.predicted[each.vehicle, each.wall_s] - each.soc_pct)
        for each in left
        if (each.vehicle, each.wall_s) in run.predicted
    ]
    assert lost == []
    assert len(errors) > 20
    assert max(errors) <= 3.0
