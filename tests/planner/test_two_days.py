"""Two days of a real bus depot, planned anew every quarter hour: who can leave charged does, and energy is
sold.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.scenarios.scenario import Scenario, Visit
from sim.scenarios.spice_ev import import_spice_ev
from sim.world.physics import Battery, Charger
from tests.planner.fleet import all_in
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.price_rule import plan_from_prices

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
STEP_S = 60.0
WEAK = 0.9
"""Chargers that give a tenth less than they are asked for: the time slack that a plan must have."""


class Depot:
    """Every bus with its pack, moved by plans alone."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        kinds = {kind.id: kind for kind in scenario.site.vehicle_types}
        self.kind = {vehicle.id: kinds[vehicle.type] for vehicle in scenario.site.vehicles}
        self.chargers = {evse.id: Charger(evse) for evse in scenario.site.evses}
        self.left_pct: dict[str, float] = {}
        self.best: dict[str, Charger] = {}

    def arrive(self, visit: Visit) -> None:
        soc_pct = visit.arrival_soc_pct(self.left_pct.get(visit.vehicle, 100.0))
        self.chargers[visit.evse].plug(self.pack(visit.vehicle, soc_pct))
        # Beside it one that does nothing but charge: the yardstick of what was possible.
        self.best[visit.evse] = Charger(self.chargers[visit.evse].evse)
        self.best[visit.evse].plug(self.pack(visit.vehicle, soc_pct))

    def pack(self, vehicle: str, soc_pct: float) -> Battery:
        kind = self.kind[vehicle]
        return Battery(vehicle, kind.capacity_wh, soc_pct, kind.charge_curve, kind.max_discharge_w)

    def depart(self, visit: Visit) -> tuple[float, float]:
        """SoC now, and what charging at once would have given."""
        battery, best = self.chargers[visit.evse].unplug(), self.best.pop(visit.evse).unplug()
        assert battery is not None
        assert best is not None
        self.left_pct[visit.vehicle] = battery.soc_pct
        return battery.soc_pct, best.soc_pct

    def step(self, asked_w: dict[str, float]) -> None:
        for evse, charger in self.chargers.items():
            power_w = asked_w.get(evse, 0.0)
            charger.command_w = power_w * WEAK if power_w > 0 else power_w
            charger.step(STEP_S)
        for charger in self.best.values():
            charger.command_w = charger.evse.max_charge_w * WEAK
            charger.step(STEP_S)

    def picture(self, wall_s: float) -> Snapshot:
        snapshot = all_in(self.scenario, wall_s)
        evses = []
        for evse, state in zip(self.scenario.site.evses, snapshot.evses, strict=True):
            battery = self.chargers[evse.id].battery
            if battery is None or state.vehicle is None:
                evses.append(replace(state, vehicle=None))
            else:
                evses.append(
                    replace(
                        state,
                        vehicle=replace(state.vehicle, soc_pct=Reading(battery.soc_pct, snapshot.now_s)),
                    )
                )
        return replace(snapshot, evses=tuple(evses))


@pytest.mark.slow
@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="needs the real depot data, which is not part of the repository: ../shared/data is not there",
)
@pytest.mark.parametrize("optimise", [False, True], ids=["plain rule", "optimised"])
def test_every_bus_that_could_leave_charged_does_and_energy_is_sold(optimise: bool) -> None:
    scenario = import_spice_ev(
        DATA / "bus_depot/bus_scenario_D.json", "Betriebshof A", DATA / "prices/NL_2023.csv"
    )
    depot, terms = Depot(scenario), PriceSettings()
    met, missed, plan = 0, [], None
    for minute in range(int(scenario.duration_s // STEP_S)):
        wall_s = scenario.start_wall_s + minute * STEP_S
        moved = minute % 15 == 0
        for visit in scenario.visits:
            if (
                wall_s - STEP_S < visit.departs_wall_s <= wall_s
                and depot.chargers[visit.evse].battery is not None
            ):
                soc_pct, possible_pct = depot.depart(visit)
                if soc_pct >= visit.target_soc_pct - 0.01:
                    met += 1
                elif possible_pct >= visit.target_soc_pct:
                    missed.append((visit.vehicle, visit.departs_wall_s, soc_pct, visit.target_soc_pct))
        for visit in scenario.visits:
            if wall_s - STEP_S < visit.arrives_wall_s <= wall_s:
                depot.arrive(visit)
                moved = True
        if moved or plan is None:
            inputs = (scenario.site, depot.picture(wall_s), scenario.prices, terms, wall_s)
            plan = plan_day(*inputs)[0] if optimise else plan_from_prices(*inputs)
        slot = next(slot for slot in plan.slots if slot.start_wall_s <= wall_s < slot.end_wall_s)
        depot.step(dict(slot.evse_w))
    assert missed == []
    assert met > 20
    assert sum(charger.export_wh for charger in depot.chargers.values()) > 100_000
