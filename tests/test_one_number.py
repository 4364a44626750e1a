"""One number for power: what the rules wish, what the departures are proven with and what the envelope
permits agree.
"""

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from tests.depot import BUS, healthy, small_evse, small_site
from tests.envelope.strategies import Scene, frame, permit, scenes
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.departure.admit_exports import lasting_rates
from v2g_edge.departure.departures import demands_of
from v2g_edge.departure.depot import depot_of
from v2g_edge.envelope.power_range import PASSING_RULES, SHARED_RULES
from v2g_edge.model.battery import capacity_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot, TemperatureState
from v2g_edge.planner.stay import stays_of
from v2g_edge.rules.charging_need import TARGET_MARGIN_PCT, need_of

WALL_S = 1_000_000.0


@given(scene=scenes())
@settings(max_examples=150, deadline=None)
def test_d9_the_proof_counts_on_no_more_power_than_is_permitted(scene: Scene) -> None:
    """Beside what concerns more than this outlet, or passes by itself, nothing bounds a permit below the
    proof's rate.
    """
    decision = permit(scene)
    rates_w = lasting_rates(depot_of(frame(scene.site)), decision.memory.rates_w)
    demands = demands_of(depot_of(frame(scene.site)), scene.snapshot, rates_w)
    for demand, limits, cap_w in zip(demands, decision.bounds, decision.memory.caps_w, strict=True):
        lasting = [
            limit
            for limit in limits
            if limit.rule not in PASSING_RULES and limit.rule != "departure_certificate"
        ]
        if demand is not None:
            assert demand.full_w <= max(min((limit.max_w for limit in lasting), default=ANY_W), 0.0) + 1e-6
        most_w = min((limit.max_w for limit in limits if limit.rule not in SHARED_RULES), default=ANY_W)
        assert cap_w == max(most_w, 0.0)


def cold(site: Site) -> Snapshot:
    snapshot = healthy(site, wall_s=WALL_S)
    vehicle = snapshot.evses[0].vehicle
    assert vehicle is not None
    return replace(
        snapshot, evses=(replace(snapshot.evses[0], vehicle=replace(vehicle, pack_c=Reading(-20.0, 100.0))),)
    )


def played(site: Site, snapshot: Snapshot) -> Outcome:
    cycle, outcome = Cycle(site), Cycle(site).tick(snapshot, None, Memory())
    for second in range(1, 4):
        later = replace(snapshot, now_s=snapshot.now_s + 0.1 * second, wall_s=snapshot.wall_s + 0.1 * second)
        outcome = cycle.tick(later, None, outcome.memory)
    return outcome


def test_d9_a_cold_pack_is_proven_with_the_fallback_that_it_gets() -> None:
    site = replace(small_site(1), evses=(small_evse("b1", fallback_w=6_000.0),))
    outcome = played(site, cold(site))
    assert outcome.permits[0].max_w == 6_000.0
    assert lasting_rates(depot_of(frame(site)), outcome.memory.envelope.rates_w) == (6_000.0,)
    assert outcome.wishes[0].power_w <= 6_000.0


@pytest.mark.parametrize(("loop", "rate_w"), [("", 50_000.0), ("loop", 30_000.0)])
def test_d9_a_cooling_loop_carries_its_mean(loop: str, rate_w: float) -> None:
    site = small_site(1, temperatures=("loop",))
    site = replace(
        site,
        evses=(small_evse("b1", cooling_loop=loop),),
        safety=replace(site.safety, sustained_pct=60.0),
        vehicle_types=(BUS,),
    )
    snapshot = replace(healthy(site), temperatures=(TemperatureState(value_c=Reading(20.0, 100.0)),))
    assert lasting_rates(depot_of(frame(site)), played(site, snapshot).memory.envelope.rates_w) == (rate_w,)


@pytest.mark.parametrize(
    ("of_type_wh", "told_wh"), [(200_000.0, 300_000.0), (0.0, 300_000.0), (200_000.0, 0.0)]
)
def test_rules_proof_and_day_plan_reckon_with_one_capacity(of_type_wh: float, told_wh: float) -> None:
    """The type's, else what the vehicle tells: the planner had them the other way round."""
    site = replace(small_site(1), vehicle_types=(replace(BUS, capacity_wh=of_type_wh),))
    snapshot = healthy(site)
    state = snapshot.evses[0]
    assert state.vehicle is not None
    vehicle = replace(state.vehicle, capacity_wh=Reading(told_wh, snapshot.now_s))
    snapshot = replace(snapshot, evses=(replace(state, vehicle=vehicle),))
    capacity_wh = capacity_of(vehicle, site.vehicle_types[0])
    assert capacity_wh == (of_type_wh or told_wh)
    (stay,) = stays_of(site, snapshot.evses, snapshot.wall_s)
    assert stay.capacity_wh == capacity_wh
    (demand,) = demands_of(depot_of(frame(site)), snapshot, (50_000.0,))
    assert demand is not None
    need = need_of(site.evses[0], snapshot.evses[0], site.vehicle_types[0], snapshot.wall_s)
    assert need is not None
    assert need.energy_wh == pytest.approx(
        (10.0 + TARGET_MARGIN_PCT) / 100.0 * capacity_wh / site.evses[0].efficiency
    )
    assert demand.wh_per_pct == pytest.approx(capacity_wh / site.evses[0].efficiency / 100.0)
