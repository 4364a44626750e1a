"""The oracle knows what was possible: alone, together, and with the faults that were played; it changes
nothing it looks at.
"""

import pytest
from msgspec.structs import replace

from sim.judges.oracle import CONTROL_SHARE, Prospect, Stay, prospects
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.world.physics import Battery

HOUR = 3_600.0


def depot(*faults: Fault, limit_w: float = 1e6, chargers: int = 4) -> Scenario:
    """Quiet chargers of 50 kW on feeders that carry ``limit_w``, no building."""
    base = night(1, quiet=True, chargers=chargers)
    evses = tuple(
        replace(evse, feeder="main", max_charge_w=50_000.0, fallback_w=6_000.0) for evse in base.site.evses
    )
    feeders = tuple(replace(f, import_limit_w=limit_w, base_load_max_w=0.0) for f in base.site.feeders)
    return replace(
        base,
        site=replace(base.site, evses=evses, feeders=feeders),
        loads=(),
        faults=faults,
        allowed_late_s=0.0,
    )


def stays(scenario: Scenario, hours: float, soc_pct: float = 50.0, target_pct: float = 80.0) -> list[Stay]:
    """A bus at each outlet from the beginning on."""
    world, found = scenario.depot(), []
    for visit in scenario.visits:
        charger = world.chargers[visit.evse]
        charger.plug(pack(scenario, visit.vehicle, soc_pct))
        told = replace(
            visit,
            arrives_wall_s=world.wall_s,
            departs_wall_s=world.wall_s + hours * HOUR,
            target_soc_pct=target_pct,
        )
        found.append(Stay(told, world.wall_s, charger))
    return found


def pack(scenario: Scenario, vehicle: str, soc_pct: float) -> Battery:
    """A pack of 200 kWh: 30 points are 60 kWh, 1.3 h at 50 kW with the losses."""
    battery = scenario.battery(vehicle, soc_pct)
    battery.capacity_wh = 200_000.0
    return battery


def possible(scenario: Scenario, hours: float) -> list[bool]:
    return [each.possible for each in prospects(scenario, stays(scenario, hours))]


def test_alone_the_time_at_full_power_decides() -> None:
    assert possible(depot(chargers=1), 1.4) == [True]
    assert possible(depot(chargers=1), 1.1) == [False]


def test_together_the_feeder_decides() -> None:
    """Four need 5.1 h × 50 kW."""
    wide, tight = depot(), depot(limit_w=100_000.0 / CONTROL_SHARE)
    assert possible(wide, 1.4) == [True] * 4
    assert possible(tight, 2.8) == [True] * 4
    assert not all(possible(tight, 2.2))


@pytest.mark.parametrize(
    ("kind", "target", "value"),
    [("offline", "CS01", 0.0), ("reboot", "CS01", 0.0), ("underdraw", "CS01", 6_000.0)],
)
def test_an_outlet_with_a_fault_is_owed_what_the_fault_leaves(
    kind: FaultKind, target: str, value: float
) -> None:
    calm = depot(chargers=2)
    fault = Fault(kind, target, calm.start_wall_s, 1.0 * HOUR, value)
    assert possible(replace(calm, faults=(fault,)), 1.6) == [False, True]


def test_who_cannot_be_trusted_takes_its_rating_from_the_others() -> None:
    fault = Fault("ignore", "CS01", depot().start_wall_s, 10 * HOUR)
    limit_w = 150_000.0 / CONTROL_SHARE
    assert possible(depot(limit_w=limit_w), 2.0)[1:] == [True] * 3
    assert not all(possible(depot(fault, limit_w=limit_w), 1.7)[1:])


def test_a_vehicle_that_tells_too_high_a_charge_cannot_be_known_to_need_more() -> None:
    calm = depot(chargers=1)
    lies = replace(calm, faults=(Fault("wrong_soc", "CS01", calm.start_wall_s, HOUR, 10.0),))
    (one,) = prospects(lies, stays(lies, 1.0))
    assert one.needed_pct == 70.0
    assert one.possible
    shy = replace(calm, faults=(Fault("wrong_soc", "CS01", calm.start_wall_s, HOUR, -10.0),))
    assert prospects(shy, stays(shy, 1.0))[0].needed_pct == 80.0


def test_the_oracle_leaves_the_stays_alone() -> None:
    scenario = depot(chargers=1)
    known = stays(scenario, 2.0)
    assert prospects(scenario, known) == prospects(scenario, known)
    assert known[0].charger.battery is not None
    assert known[0].charger.battery.soc_pct == 50.0
    assert prospects(scenario, []) == []
    assert Prospect(80.0, 80.4).possible
    assert not Prospect(80.0, 80.6).possible
