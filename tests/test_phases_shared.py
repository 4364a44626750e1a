"""D23: what the rules share out fits each phase too: a car on one phase costs no other its departure."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from tests.envelope.strategies import Dice, Scene, frame, next_tick, scene_of
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import CurrentLimit, DischargeBy, Feeder, Site
from v2g_edge.model.snapshot import Snapshot, VehiclePhases
from v2g_edge.model.tree import PHASES, phase_weights
from v2g_edge.rules.headroom import Left, OnPhase, Phases, phases_of
from v2g_edge.rules.sharing import RulesMemory, share_power

RATED_W = 22_000.0
FUSE_A = 63.0
LEFT_W = FUSE_A * 230.0 * 0.98
HOUR_S = 3_600.0


def garage(cars: int, fuse_a: float = FUSE_A) -> Site:
    """AC chargers of 22 kW that take their limits in W, below one fuse that in all has power for all."""
    site = small_site(cars)
    fuse = CurrentLimit(fuse_a, fuse_a, ANY_W, 0.0)
    hall = Feeder("hall", "main", 200_000.0, 200_000.0, 0.0, 0.0, "", fuse)
    evses = tuple(
        replace(
            small_evse(f"b{i}", phase_load="by_vehicle"),
            max_charge_w=RATED_W,
            max_discharge_w=RATED_W,
            min_charge_w=4_140.0,
        )
        for i in range(1, cars + 1)
    )
    return replace(site, evses=evses, feeders=(hall, site.feeders[1]))


def parked(site: Site, seen: Sequence[VehiclePhases], leave_in_h: Sequence[float]) -> Snapshot:
    """Half full cars that want 90 %, and have shown their phases."""
    snapshot = healthy(site)
    states = []
    for state, phases, hours in zip(snapshot.evses, seen, leave_in_h, strict=True):
        assert state.vehicle is not None
        vehicle = replace(
            state.vehicle,
            phases=phases,
            soc_pct=Reading(50.0, snapshot.now_s),
            target_soc_pct=Reading(55.0, snapshot.now_s),
            max_charge_w=Reading(RATED_W, snapshot.now_s),
            departure_wall_s=Reading(snapshot.wall_s + hours * HOUR_S, snapshot.now_s),
        )
        states.append(replace(state, vehicle=vehicle))
    return replace(snapshot, evses=tuple(states))


def settled(site: Site, snapshot: Snapshot, ticks: int = 12) -> Outcome:
    """What is permitted once every raise has been made, all following."""
    cycle, memory = Cycle(site), Memory(EnvelopeMemory(snapshot.now_s - 1.0))
    scene = Scene(site, snapshot, memory.envelope, {})
    for _ in range(ticks):
        outcome = cycle.tick(scene.snapshot, None, memory)
        memory = outcome.memory
        scene = next_tick(scene, outcome)  # type: ignore[arg-type]
    return outcome


def test_d23_the_one_that_must_leave_is_not_cut_on_its_phase_alike_with_those_that_can_wait() -> None:
    site = garage(3)
    outcome = settled(site, parked(site, ("L1L2L3", "L1", "L1"), (0.5, 20.0, 20.0)))
    powers_w = [permit.power_w for permit in outcome.permits]
    assert powers_w[0] == pytest.approx(RATED_W), "it has what it needs, on all three phases"
    assert sum(powers_w[1:]) <= LEFT_W - RATED_W / 3.0 + 1.0
    assert max(powers_w[1:]) >= 4_140.0, "and the others have what L1 leaves them, in turns"


def test_d23_what_the_rules_ask_is_what_is_permitted() -> None:
    """No phase is asked for more than it has: the envelope has nothing to cut."""
    site = garage(4)
    outcome = settled(site, parked(site, ("L1", "L1L2", "L1L2L3", "L1L2L3"), (0.5, 9.0, 9.0, 9.0)))
    assert [permit.power_w for permit in outcome.permits] == pytest.approx(
        [w.power_w for w in outcome.wishes]
    )
    assert {permit.bound_by.rule for permit in outcome.permits} == {"wish"}


def test_d23_one_that_has_shown_nothing_gets_all_that_fits_a_whole_phase() -> None:
    site = garage(1)
    assert settled(site, parked(site, ("",), (0.5,))).permits[0].power_w == RATED_W
    tight = garage(1, fuse_a=20.0)
    on_phase_w = 20.0 * 230.0 * 0.98
    assert settled(tight, parked(tight, ("",), (0.5,))).permits[0].power_w == pytest.approx(on_phase_w)


@pytest.mark.parametrize(("discharge_by", "share"), [("negative_limit", 0.5), ("none", 1.0)])
def test_the_imbalance_of_single_phase_chargers_is_shared_by_urgency(
    discharge_by: DischargeBy, share: float
) -> None:
    """Half of it for each direction, all of it where nothing can discharge."""
    site = garage(2)
    fuse = CurrentLimit(200.0, 200.0, 60.0 * 0.5 / share, 0.0)
    single = tuple(
        replace(e, phases="L1", max_charge_w=7_400.0, min_charge_w=1_380.0, discharge_by=discharge_by)
        for e in site.evses
    )
    site = replace(site, evses=single, feeders=(replace(site.feeders[0], current=fuse), site.feeders[1]))
    snapshot = parked(site, ("", ""), (30.0, 1.9))
    outcome = settled(site, snapshot)
    first, second = (permit.power_w for permit in outcome.permits)
    half_w = 30.0 * 230.0 * 0.98
    assert first + second == pytest.approx(half_w)
    assert second > first
    assert [wish.power_w for wish in outcome.wishes] == [first, second], "the rules ask for no more"


@pytest.mark.parametrize(
    ("seen", "imbalance_a", "sums_w"),
    [
        pytest.param(("L1", "L1", "L1L2L3"), 30.0, (30.0 * 230.0 * 0.98, RATED_W), id="two on L1 share it"),
        pytest.param(
            ("L1", "L2", "L1L2L3"), 30.0, (60.0 * 230.0 * 0.98, RATED_W), id="each phase has its own"
        ),
        pytest.param(
            ("L1L2", "L1L2", "L1L2L3"), 30.0, (60.0 * 230.0 * 0.98, RATED_W), id="half on each of two"
        ),
        pytest.param(("", "", "L1L2L3"), 30.0, (2.0 * RATED_W, RATED_W), id="none has shown its phases"),
        pytest.param(
            ("L1", "L1", "L1L2L3"), 5.0, (4_140.0, RATED_W), id="too little for a charger: one at a time"
        ),
    ],
)
def test_cars_that_load_one_or_two_phases_keep_to_the_imbalance(
    seen: tuple[VehiclePhases, ...], imbalance_a: float, sums_w: tuple[float, float]
) -> None:
    """A single-phase charger had to, and a one-phase car at a charger of three phases did not."""
    site = garage(3)
    fuse = CurrentLimit(500.0, 500.0, imbalance_a, 0.0)
    site = replace(site, feeders=(replace(site.feeders[0], current=fuse), site.feeders[1]))
    powers_w = [permit.power_w for permit in settled(site, parked(site, seen, (30.0,) * 3)).permits]
    assert (sum(powers_w[:2]), powers_w[2]) == pytest.approx(sums_w)


@pytest.mark.parametrize(("base_load_a", "base_w"), [(None, 9_000.0), (20.0, 20.0 * 230.0), (0.0, 0.0)])
def test_the_base_load_of_a_phase_is_left_free_as_the_envelope_does(
    base_load_a: float | None, base_w: float
) -> None:
    """All of it may hang on one phase where that was not measured."""
    site = garage(2, fuse_a=100.0)
    fuse = CurrentLimit(100.0, 100.0, ANY_W, base_load_a)
    hall = replace(site.feeders[0], base_load_max_w=9_000.0, current=fuse)
    site = replace(site, feeders=(hall, site.feeders[1]))
    laid = frame(site)
    phases = phases_of(laid, healthy(site), laid.tree.base_max_w)
    assert phases.left_w == pytest.approx([100.0 * 230.0 * 0.98 - base_w] * 3)


def test_a_phase_is_reckoned_at_the_voltage_that_is_measured_where_that_is_lower() -> None:
    site = garage(1, fuse_a=100.0)
    snapshot, laid = healthy(site), frame(site)
    for volts, reckoned_v in ((210.0, 210.0), (250.0, 230.0), (100.0, 0.8 * 230.0)):
        grid = replace(snapshot.meters[0], phase_voltage_v=(Reading(volts, snapshot.now_s),) * 3)
        seen = replace(snapshot, meters=(grid,))
        left_w = phases_of(laid, seen, laid.tree.base_max_w).left_w
        assert left_w == pytest.approx([100.0 * reckoned_v * 0.98] * 3)


@given(seed=st.integers(0, 2**32 - 1), wishes_w=st.lists(st.floats(0.0, 60_000.0), min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_d23_no_phase_is_asked_for_more_than_it_has(seed: int, wishes_w: list[float]) -> None:
    scene = scene_of(Dice(seed))
    laid, site, evses = frame(scene.site), scene.site, scene.snapshot.evses
    phases = phases_of(laid, scene.snapshot, laid.tree.base_max_w)
    asked = {
        e.id: Wish(e.id, min(w, e.max_charge_w), 2.0 * (seed % (i + 2) == 0), "test")
        for i, (e, w) in enumerate(zip(site.evses, wishes_w, strict=False))
    }
    shared, _ = share_power(laid, asked, laid.tree.base_max_w, RulesMemory(), 0.0, phases=phases)
    weights = phase_weights(laid.tree, site.evses, evses)
    free = 1.0 - site.safety.feeder_margin_pct / 100.0
    for place, feeder in enumerate(laid.tree.feeders):
        if feeder.current is None:
            continue
        for phase in range(3):
            flows_w = [
                min(shared[site.evses[i].id].power_w * weights[phase][i], laid.tree.phase_rated_w[i])
                for i in laid.tree.below[place]
            ]
            assert sum(flows_w) <= feeder.current.import_a * site.grid.nominal_v * free + 1e-3
    for evse in site.evses:
        assert 0.0 <= shared[evse.id].power_w <= asked[evse.id].power_w + 1e-6
        assert set(PHASES[evse.phases]) <= {0, 1, 2}


def test_without_a_limit_on_a_phase_nothing_is_asked_of_phases() -> None:
    laid = frame(small_site(2))
    assert phases_of(laid, healthy(small_site(2)), laid.tree.base_max_w).left_w == ()


def test_what_is_left_of_a_phase_ends_an_outlets_growth_and_not_the_others() -> None:
    site = garage(3)
    laid = frame(site)
    seen = parked(site, ("L1", "L2", "L1"), (9.0, 9.0, 9.0))
    left = Left(laid, [1e6, 1e6], phases_of(laid, seen, laid.tree.base_max_w))
    given_w = dict.fromkeys(range(3), 0.0)
    left.fill_evenly(dict.fromkeys(range(3), 30_000.0), given_w)
    assert given_w == pytest.approx({0: LEFT_W / 2.0, 1: 30_000.0, 2: LEFT_W / 2.0})
    assert left.more_w(0, given_w[0]) == pytest.approx(0.0, abs=1e-3)
    assert left.more_w(1, given_w[1]) > 1e5, "its phase is rated for no more, whatever it is told"


def test_a_live_base_load_frees_its_phase_and_a_limit_from_outside_takes_none() -> None:
    """A limit from outside comes as a base load of the root: what is on its phases stays as commissioned."""
    site = garage(1, fuse_a=100.0)
    hall = replace(site.feeders[0], base_load_max_w=9_000.0, current=CurrentLimit(100.0, 100.0, ANY_W))
    site = replace(site, feeders=(hall, site.feeders[1]))
    laid = frame(site)
    for base_w, kept_w in ((2_000.0, 2_000.0), (150_000.0, 9_000.0)):
        left_w = phases_of(laid, healthy(site), (base_w, 0.0)).left_w
        assert left_w == pytest.approx([100.0 * 230.0 * 0.98 - kept_w] * 3)


def test_what_is_given_in_full_is_taken_off_to_the_watt() -> None:
    laid = frame(garage(2))
    left = Left(laid, [30_000.0, 50_000.0], Phases((20_000.0,), ((OnPhase(0, 0.5, 9e9),), ())))
    given = {0: 1_000.0, 1: 0.0}
    left.fill_evenly({0: 8_000.0, 1: 3_000.0}, given)
    assert given == {0: 9_000.0, 1: 3_000.0}
    assert (left.feeders_w, left.phases_w) == ([19_000.0, 39_000.0], [16_000.0])
