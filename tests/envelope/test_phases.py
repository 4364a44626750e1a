"""D23, phases of the car: a vehicle on one phase of a three-phase charger that takes its limit in W."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.depot import small_evse
from tests.envelope.strategies import Scene, next_tick, permit, ready, with_memory, with_site, with_vehicle
from v2g_edge.envelope.permits import Decision
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import CurrentLimit, Feeder, PhaseLoad
from v2g_edge.model.snapshot import VehiclePhases
from v2g_edge.model.tree import FULL_ROOM

FUSE_A = 63.0
FUSE_W = FUSE_A * 230.0
MARGIN = 0.98
RATED_W = 22_000.0
FALLBACK_W = 1_500.0
METERED = "hall-meter"
Cars = tuple[tuple[int, ...], ...]
"""For each car the phases on which it draws."""
ONE_PHASE: Cars = ((0,),) * 3


def garage(meter: str = "", phase_load: PhaseLoad = "auto") -> Scene:
    """Three AC chargers of 22 kW on a sub-feeder of 63 A, all wishing all of it."""
    fuse = CurrentLimit(FUSE_A, FUSE_A, ANY_W, 0.0)
    evses = tuple(
        replace(
            small_evse(f"b{i}", phase_load=phase_load),
            max_charge_w=RATED_W,
            max_discharge_w=RATED_W,
            min_charge_w=1_380.0,
            fallback_w=FALLBACK_W,
        )
        for i in (1, 2, 3)
    )
    scene = ready(3, 0.0)
    hall = Feeder("hall", "main", 44_000.0, 44_000.0, 0.0, 0.0, meter, fuse)
    scene = with_site(scene, evses=evses, feeders=(hall, scene.site.feeders[1]))
    return scene._replace(wishes={e.id: Wish(e.id, RATED_W, 0.5, "test") for e in evses})


def on_phases(decision: Decision, cars: Cars, base_w: float = 0.0) -> list[float]:
    """What flows on L1, L2, L3; a base load hangs on L1."""
    flowing = [base_w, 0.0, 0.0]
    for given, used in zip(decision.permits, cars, strict=True):
        for phase in used:
            flowing[phase] += min(given.power_w / len(used), RATED_W / 3.0)
    return flowing


def played(
    scene: Scene, cars: Cars, seconds: int, base_w: Callable[[int], float] = lambda _: 0.0
) -> tuple[list[Decision], list[list[float]], Scene]:
    """Second by second: every car draws what it may on its phases, and the meter says so a second later."""
    decisions, flows = [], []
    for second in range(seconds):
        decision = permit(scene)
        decisions.append(decision)
        flows.append(on_phases(decision, cars, base_w(second)))
        after = next_tick(scene, decision)
        now_s = after.snapshot.now_s
        drawn = [
            replace(state, power_w=Reading(sum(on_phases_of(given.power_w, used)), now_s))
            for state, given, used in zip(after.snapshot.evses, decision.permits, cars, strict=True)
        ]
        meters = tuple(
            replace(
                state,
                power_w=Reading(sum(flows[-1]), now_s),
                phase_power_w=tuple(Reading(w, now_s) for w in flows[-1]),
            )
            if name == METERED
            else state
            for name, state in zip(scene.site.meters, after.snapshot.meters, strict=True)
        )
        scene = after._replace(snapshot=replace(after.snapshot, evses=tuple(drawn), meters=meters))
    return decisions, flows, scene


def on_phases_of(power_w: float, used: tuple[int, ...]) -> list[float]:
    return [min(power_w / len(used), RATED_W / 3.0) for _ in used]


def powers(decision: Decision) -> list[float]:
    return [given.power_w for given in decision.permits]


def shown(scene: Scene, *phases: VehiclePhases) -> Scene:
    for index, seen in enumerate(phases):
        scene = with_vehicle(scene, index, phases=seen)
    return scene


def settled(scene: Scene) -> list[float]:
    """What is permitted once every raise has been made."""
    for _ in range(8):
        decision = permit(scene)
        scene = next_tick(scene, decision)
    return [round(power_w) for power_w in powers(decision)]


@pytest.mark.parametrize("meter", ["", METERED])
def test_d23_three_cars_on_one_phase_never_load_it_beyond_its_fuse(meter: str) -> None:
    decisions, flows, _ = played(garage(meter), ONE_PHASE, 120)
    assert max(flow[0] for flow in flows) <= FUSE_W * MARGIN + 1.0
    assert settled(garage(meter)) == [round(FUSE_W * MARGIN / 3.0)] * 3, "all that the phase carries is used"
    assert powers(decisions[-1]) == powers(decisions[20]), "and it is permitted steadily"


def test_d23_cars_that_have_shown_three_phases_share_all_of_them() -> None:
    assert settled(shown(garage(), "L1L2L3", "L1L2L3", "L1L2L3")) == [round(FUSE_W * MARGIN)] * 3


def test_d23_one_that_has_shown_its_phase_leaves_the_others_to_the_rest() -> None:
    """One on its charger's L1, two that turn their phases: the fuse of each phase decides."""
    scene = shown(garage(), "L1", "L1L2L3", "L1L2L3")
    first, second, third = settled(scene)
    on_l1_w = min(first, RATED_W / 3.0) + (second + third) / 3.0
    assert on_l1_w == pytest.approx(FUSE_W * MARGIN, abs=30.0)
    turned = scene._replace(
        site=replace(scene.site, evses=(replace(scene.site.evses[0], phases="L2L3L1"), *scene.site.evses[1:]))
    )
    assert settled(turned) == [first, second, third], "its L1 is the grid's L2, as full as L1 was"


def test_d23_two_phases_carry_half_each() -> None:
    scene = shown(garage(), "L1L2", "L1L2", "L1L2")
    assert settled(scene) == [round(2.0 * FUSE_W * MARGIN / 3.0)] * 3


@pytest.mark.parametrize("phase_load", ["even", "by_vehicle"])
def test_d23_the_site_file_says_which_chargers_load_their_phases_evenly(phase_load: PhaseLoad) -> None:
    even = phase_load == "even"
    assert settled(garage(phase_load=phase_load)) == [round(FUSE_W * MARGIN / (1.0 if even else 3.0))] * 3


def test_d23_more_than_an_ac_connector_carries_is_a_dc_charger() -> None:
    hall = CurrentLimit(100.0, 100.0, ANY_W, 0.0)
    scene = ready(2, 0.0)
    scene = scene._replace(wishes={f"b{i}": Wish(f"b{i}", 50_000.0, 0.5, "test") for i in (1, 2)})
    feeders = (replace(scene.site.feeders[0], current=hall), scene.site.feeders[1])
    assert settled(scene._replace(site=replace(scene.site, feeders=feeders))) == [33_810.0, 33_810.0]


def test_d23_a_full_phase_of_each_fits_where_the_fuse_carries_all_of_them() -> None:
    """96 A carry three full phases: then it does not matter how the cars draw."""
    scene = garage()
    wide = replace(
        scene.site.feeders[0], import_limit_w=70_000.0, current=CurrentLimit(105.0, 63.0, ANY_W, 0.0)
    )
    scene = scene._replace(site=replace(scene.site, feeders=(wide, scene.site.feeders[1])))
    assert settled(scene) == [RATED_W] * 3


def test_d23_a_phase_becomes_full_only_with_some_room_so_that_permits_do_not_flap() -> None:
    """Just enough for a full phase: an outlet below stays below, an outlet there stays there."""
    scene = garage()
    exact_a = RATED_W / 230.0 / MARGIN
    tight = replace(
        scene.site.feeders[0], import_limit_w=70_000.0, current=CurrentLimit(exact_a * 1.01, 63.0, ANY_W, 0.0)
    )
    scene = scene._replace(site=replace(scene.site, feeders=(tight, scene.site.feeders[1])))
    assert settled(scene) == [round(RATED_W / 3.0 - 1.0)] * 3
    for index in range(3):
        scene = with_memory(scene, index, power_w=RATED_W, most_w=RATED_W)
    assert settled(scene) == [RATED_W] * 3
    assert FULL_ROOM > 1.01


def changes(decisions: list[Decision]) -> int:
    """How often any permit moved by more than half a kilowatt."""
    return sum(
        any(abs(a - b) > 500.0 for a, b in zip(powers(before), powers(after), strict=True))
        for before, after in pairwise(decisions)
    )


def test_d23_a_metered_excess_on_a_phase_is_held_and_permits_do_not_flap() -> None:
    """Somebody draws 5 kW on L1 where none was commissioned: cut once, held, and not given back each
    second.
    """
    _, _, scene = played(garage(METERED), ONE_PHASE, 60)
    decisions, flows, scene = played(scene, ONE_PHASE, 900, lambda _: 5_000.0)
    assert changes(decisions) <= 8
    over = [flow[0] > FUSE_W for flow in flows]
    assert sum(over) <= 5, "the fuse holds"
    assert not any(over[120:])
    assert sum(powers(decisions[-1])) == pytest.approx(FUSE_W * MARGIN - 5_000.0, abs=150.0), "and is used"
    calm, _, _ = played(scene, ONE_PHASE, 2_400)
    assert sum(powers(calm[-1])) == pytest.approx(FUSE_W * MARGIN, abs=1.0), "what is over is forgotten"


def test_d23_a_car_that_starts_before_its_charger_says_so_is_no_base_load() -> None:
    """Its power is on the meter at once, and reported ten seconds later: that is not held for half an
    hour.
    """
    scene = garage(METERED)
    _, _, scene = played(scene, ONE_PHASE, 60)
    decisions, _, _ = played(scene, ONE_PHASE, 60, lambda second: 4_000.0 if second < 12 else 0.0)
    assert sum(powers(decisions[-1])) == pytest.approx(FUSE_W * MARGIN, abs=1.0)


def test_d23_the_fallbacks_stay_whatever_a_phase_carries_beside_them() -> None:
    decisions, _, _ = played(garage(METERED), ONE_PHASE, 300, lambda _: 14_000.0)
    assert powers(decisions[-1]) == [FALLBACK_W] * 3
