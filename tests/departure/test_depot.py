"""What the phases of a feeder leave for the departures: the worst case for any vehicles, and what they
show.
"""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.departure.test_departures import depot, needing, proposal, verdict, with_vehicle
from tests.depot import healthy, small_evse, small_site
from v2g_edge.departure.departures import CertificateMemory, certify
from v2g_edge.departure.depot import PLAN_V_PU, depot_of, phase_limits
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import CurrentLimit, Feeder, Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.model.tree import PHASES, spreads_evenly

VOLTS = PLAN_V_PU * 230.0
PHASE_W = 63.0 * VOLTS


def garage(amps: float = 63.0, **changes: object) -> Site:
    """Three AC chargers of 22 kW on three phases of ``amps``, without margin or base load."""
    site = depot(3, hall_w=1e6)
    evses = tuple(replace(evse, max_charge_w=22_000.0, max_discharge_w=0.0, **changes) for evse in site.evses)
    hall = replace(site.feeders[0], current=CurrentLimit(amps, amps, ANY_W, 0.0))
    return replace(site, evses=evses, feeders=(hall, site.feeders[1]))


def left_w(site: Site, *shown: str) -> float:
    snapshot = needing(site, *[(10.0, 10.0)] * len(site.evses))
    for place, phases in enumerate(shown):
        snapshot = with_vehicle(snapshot, place, phases=phases)
    return phase_limits(depot_of(frame_of(site)), snapshot)[0]


def test_d23_until_vehicles_show_their_phases_all_they_draw_may_flow_on_one() -> None:
    assert left_w(garage()) == pytest.approx(PHASE_W)
    assert left_w(garage(), "L1L2L3", "L1L2L3", "L1L2L3") == pytest.approx(3.0 * PHASE_W)
    assert left_w(garage(), "L1L2", "L1L2", "L1L2") == pytest.approx(2.0 * PHASE_W)
    assert left_w(garage(phase_load="even")) == pytest.approx(3.0 * PHASE_W)


def test_d23_those_that_load_a_phase_most_come_first() -> None:
    """One of unknown phases fills 7.3 kW of each; the rest of a phase carries three times as much."""
    one_w = 22_000.0 / 3.0
    assert left_w(garage(), "", "L1L2L3", "L1L2L3") == pytest.approx(one_w + 3.0 * (PHASE_W - one_w))


def test_where_all_full_phases_fit_the_phases_limit_nothing() -> None:
    exact_a = 22_000.0 / VOLTS
    assert left_w(garage(exact_a + 0.01)) == ANY_W
    assert left_w(garage(exact_a - 0.01)) < ANY_W


def test_a_phase_that_its_base_load_fills_leaves_nothing() -> None:
    site = garage()
    hall = replace(site.feeders[0], current=CurrentLimit(63.0, 63.0, ANY_W, 70.0))
    assert left_w(replace(site, feeders=(hall, site.feeders[1]))) == 0.0


def test_a_site_without_limits_per_phase_has_none() -> None:
    site = small_site(2)
    assert phase_limits(depot_of(frame_of(site)), healthy(site, 100.0, 1e6)) == (ANY_W, ANY_W)


def test_d23_a_departure_is_proven_with_the_phases_that_were_shown() -> None:
    """36 kWh each until six hours ahead: 18 kW in all. One phase carries 13 kW, three carry 39 kW."""
    site = garage()
    snapshot = needing(site, *[(18.0, 6.0)] * 3)
    assert verdict(site, snapshot, proposal(site)).shortfalls
    for place in range(3):
        snapshot = with_vehicle(snapshot, place, phases="L1L2L3")
    assert verdict(site, snapshot, proposal(site)).feasible


def test_d23_a_proof_ends_when_a_vehicle_turns_out_to_draw_on_one_phase() -> None:
    site = garage()
    hard = needing(site, *[(18.0, 6.0)] * 3)
    easy = hard
    for place in range(3):
        easy = with_vehicle(easy, place, phases="L1L2L3")
    laid, wanted = depot_of(frame_of(site)), proposal(site)
    yes, proof = certify(laid, easy, wanted, CertificateMemory())
    assert yes.feasible
    assert certify(laid, easy, wanted, proof)[1] is proof, "while nothing changes the yes stands"
    assert not certify(laid, hard, wanted, proof)[0].feasible


def fleets(choice: Random) -> tuple[Site, Snapshot]:
    """A feeder with a random mix of outlets, of which some vehicles have shown their phases."""
    evses = tuple(
        small_evse(
            f"b{i}",
            feeder="main",
            max_charge_w=choice.choice([3_700.0, 11_000.0, 22_000.0, 50_000.0]),
            max_discharge_w=choice.choice([0.0, 10_000.0]),
            phases=choice.choice(["L1L2L3", "L3L1L2", "L1", "L2"]),
            phase_load=choice.choice(["auto", "even", "by_vehicle"]),
        )
        for i in range(1, choice.randint(2, 6))
    )
    limit = CurrentLimit(choice.choice([20.0, 63.0, 120.0]), 0.0, ANY_W, choice.choice([0.0, 10.0]))
    main = Feeder("main", "", 1e6, 1e6, 0.0, 0.0, "grid", limit)
    site = replace(small_site(len(evses)), evses=evses, feeders=(main,))
    snapshot = healthy(site, 100.0, 1e6)
    for place in range(len(evses)):
        snapshot = with_vehicle(snapshot, place, phases=choice.choice(["", "L1", "L2L3", "L1L2L3"]))
    return site, snapshot


@given(seed=st.integers(0, 2**32 - 1))
def test_d23_no_phase_is_exceeded_by_any_powers_that_the_proof_counts_on(seed: int) -> None:
    choice = Random(seed)
    site, snapshot = fleets(choice)
    total_w = phase_limits(depot_of(frame_of(site)), snapshot)[0]
    asked_w = [
        choice.choice([0.0, choice.uniform(0.0, evse.max_charge_w), evse.max_charge_w]) for evse in site.evses
    ]
    share = min(total_w / max(sum(asked_w), 1.0), 1.0)
    on_w = [0.0, 0.0, 0.0]
    for evse, state, power_w in zip(site.evses, snapshot.evses, asked_w, strict=True):
        own = PHASES[evse.phases]
        used = choice.sample(own, choice.randint(1, len(own)))
        assert state.vehicle is not None
        if spreads_evenly(evse):
            used = list(own)
        elif state.vehicle.phases:
            used = [own[int(number) - 1] for number in state.vehicle.phases[1::2]]
        rated_w = max(evse.max_charge_w, evse.max_discharge_w) / len(own)
        for phase in used:
            on_w[phase] += min(power_w * share / len(used), rated_w)
    current = site.feeders[0].current
    assert current is not None
    assert current.base_load_a is not None
    free = 1.0 - site.safety.feeder_margin_pct / 100.0
    limit_w = max(current.import_a * VOLTS * free - current.base_load_a * VOLTS, 0.0)
    assert max(on_w) <= limit_w + 1e-6
