"""A 2.1 station that charges with priority, or whose own inverter alarms: the depot makes room, and
nothing is fed back there.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.runners.report import events, read_bodies
from sim.runners.runner import play
from sim.scenarios.scenario import Fault, FaultKind, Scenario, speaking
from sim.virtual.loop import run_virtual
from sim.world.depot import Depot
from tests.sim.runners.test_runner import peak

BEGINS_S, LASTS_S = 200.0, 60.0
LIMIT_W = 150_000.0


def with_fault(kind: FaultKind) -> Scenario:
    """Four 2.1 chargers whose buses lack energy, on a connection too small for all; the last station
    misbehaves for a minute.
    """
    scenario = speaking(peak(), "2.1")
    feeders = tuple(replace(feeder, import_limit_w=LIMIT_W) for feeder in scenario.site.feeders)
    visits = tuple(replace(visit, soc_pct=40.0, target_soc_pct=90.0) for visit in scenario.visits)
    fault = Fault(kind, scenario.stations[3].identity, scenario.start_wall_s + BEGINS_S, LASTS_S)
    site = replace(scenario.site, feeders=feeders)
    return replace(scenario, duration_s=300.0, prices=(), visits=visits, faults=(fault,), site=site)


def played(kind: FaultKind, tmp_path: Path) -> dict[float, dict[str, float]]:
    """Power of every charger by the second after the fault began."""
    scenario, seen = with_fault(kind), {}

    def watch(depot: Depot, _dt_s: float) -> None:
        seen[depot.wall_s - scenario.start_wall_s - BEGINS_S] = {
            e: c.power_w for e, c in sorted(depot.chargers.items())
        }

    world = run_virtual(play(scenario, tmp_path, watch))
    assert [each for each in world.panel.violations if each.rule.startswith("feeder")] == []
    return seen


def kinds(tmp_path: Path) -> set[str]:
    return {event.kind for event in events(read_bodies(tmp_path / "journal.db"))}


@pytest.mark.slow
def test_the_others_make_room_for_a_station_that_charges_with_priority(tmp_path: Path) -> None:
    seen = played("priority", tmp_path)
    before, during = seen[0.0], seen[30.0]
    last = max(before)
    assert during[last] > before[last] + 10_000.0
    assert sum(during.values()) <= LIMIT_W
    assert sum(w for evse, w in during.items() if evse != last) < sum(
        w for evse, w in before.items() if evse != last
    )
    assert "priority_charging" in kinds(tmp_path)


@pytest.mark.slow
def test_an_alarm_of_the_inverter_stops_its_outlet_and_no_other(tmp_path: Path) -> None:
    seen = played("der_alarm", tmp_path)
    last = max(seen[0.0])
    assert seen[0.0][last] > 0.0
    assert seen[20.0][last] == 0.0
    assert all(power_w > 0.0 for evse, power_w in seen[20.0].items() if evse != last)
    assert seen[90.0][last] > 0.0
    assert "charger_faulted" in kinds(tmp_path)
