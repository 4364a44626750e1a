"""The whole way of a frequency response: site file, rules, envelope, OCPP 2.1, charger. Daemon and depot
in virtual time.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.runners.runner import play
from sim.scenarios.scenario import Fault, Scenario, speaking
from sim.virtual.loop import run_virtual
from sim.world.depot import Depot, Disturbance
from tests.sim.runners.test_runner import peak
from v2g_edge.field.ocpp.station.store import SqliteStore

DROOP_W = 10_000.0
EVENT_S = 240.0
"""After the beginning: everybody is plugged in, the grid has been healthy for long enough, and every ramp
is over.
"""


def event(hz: float, **grid: bool) -> Scenario:
    """Four 2.1 chargers that give a droop, with buses that lack nothing; and half a minute of another
    frequency.
    """
    scenario = speaking(peak(), "2.1")
    visits = tuple(replace(visit, target_soc_pct=70.0) for visit in scenario.visits)
    site = scenario.site
    evses = tuple(replace(evse, droop_w=DROOP_W) for evse in site.evses)
    start_wall_s = scenario.start_wall_s
    return replace(
        scenario,
        duration_s=300.0,
        visits=visits,
        prices=(),
        site=replace(site, evses=evses, grid=replace(site.grid, **grid)),
        disturbances=(Disturbance(start_wall_s + EVENT_S, 30.0, frequency_hz=hz),),
    )


def proven(state_dir: Path) -> None:
    """The make is known to discharge, as an earlier night left it."""
    store = SqliteStore(state_dir / "ocpp.sqlite", lambda: 0.0)
    store.remember("discharge/2.1/v2g-edge sim/SimBidi 100/1.0", "proven")
    store.flush()


def played(scenario: Scenario, tmp_path: Path) -> list[tuple[float, float, float]]:
    """(s after the event began, power of all chargers, of the one that gives most) at every physical step
    of the event.
    """
    seen: list[tuple[float, float, float]] = []

    def watch(depot: Depot, _dt_s: float) -> None:
        after_s = depot.wall_s - scenario.start_wall_s - EVENT_S
        if -10.0 <= after_s <= 28.0:
            powers = [charger.power_w for charger in depot.chargers.values()]
            seen.append((after_s, sum(powers), min(powers)))

    proven(tmp_path)
    world = run_virtual(play(scenario, tmp_path, watch))
    assert world.panel.violations == []
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("hz", "sign"), [(49.8, -1.0), (50.2, 1.0)])
def test_chargers_respond_within_two_seconds_and_no_wider_than_they_may(
    hz: float, sign: float, tmp_path: Path
) -> None:
    seen = played(event(hz), tmp_path)
    before_w = [power_w for after_s, power_w, _ in seen if after_s <= 0.0]
    early_w = [power_w for after_s, power_w, _ in seen if 1.0 <= after_s <= 2.0]
    response_w = sign * (early_w[-1] - before_w[-1])
    assert response_w == pytest.approx(4 * DROOP_W, rel=0.1)
    assert max(abs(power_w - before_w[-1]) for _, power_w, _ in seen) <= 4 * DROOP_W * 1.05


@pytest.mark.slow
def test_where_export_is_not_allowed_no_frequency_makes_a_charger_feed_back(tmp_path: Path) -> None:
    assert min(least_w for _, _, least_w in played(event(49.8, export_allowed=False), tmp_path)) >= 0.0


@pytest.mark.slow
def test_without_the_daemon_a_response_ends_with_its_lease(tmp_path: Path) -> None:
    """All links are lost 75 s before the event, 15 s longer than a lease: what is left is the default
    profile, which is deaf.
    """
    scenario = event(49.8)
    lost_s = scenario.start_wall_s + EVENT_S - scenario.site.safety.lease_s - 15.0
    faults = tuple(Fault("offline", station.identity, lost_s, 200.0) for station in scenario.stations)
    early = Disturbance(lost_s + 5.0, 20.0, frequency_hz=49.8)
    powers_w: dict[float, float] = {}

    def watch(depot: Depot, _dt_s: float) -> None:
        powers_w[depot.wall_s - lost_s] = min(charger.power_w for charger in depot.chargers.values())

    scenario = replace(scenario, faults=faults, disturbances=(early, *scenario.disturbances))
    proven(tmp_path)
    run_virtual(play(scenario, tmp_path, watch))
    assert powers_w[20.0] == pytest.approx(-DROOP_W, rel=0.1), "the lease still stands"
    lease_s = scenario.site.safety.lease_s
    assert min(power_w for after_s, power_w in powers_w.items() if after_s > lease_s + 5.0) >= 0.0
