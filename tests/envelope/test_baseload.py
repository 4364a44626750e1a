"""The live base load: peak-held, settled, and gone with any reading that it is made of."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Scene,
    next_tick,
    permit,
    ready,
    with_evse,
    with_meter,
    with_site,
)
from tests.envelope.test_feeders import context
from v2g_edge.envelope.baseload import CALM_S, HOLD_S, SETTLE_S, SURE_S, calming, hold_bases, live_bases
from v2g_edge.envelope.limits import limits_of, over_limit
from v2g_edge.envelope.permits import Decision
from v2g_edge.model.evidence import BaseMemory
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import CurrentLimit, Feeder

MAIN = 1
"""The root's place in the tree: feeders stand leaves first."""


def live(scene: Scene, **memory: Any) -> tuple[float, ...]:
    seen = context(scene)
    now_s = scene.snapshot.now_s
    old = replace(BaseMemory(now_s - 100.0, now_s - 100.0), **memory)
    return live_bases(seen, (old, old))


def building(load_w: float) -> Scene:
    """Both buses charge 20 kW each; the building draws ``load_w`` beside them."""
    return with_meter(ready(2, 20_000.0), "grid", power_w=Reading(40_000.0 + load_w, 1_000.0))


def test_before_a_whole_window_was_seen_the_commissioned_bound_holds() -> None:
    assert live(building(8_000.0))[MAIN] == 30_000.0
    assert live(building(8_000.0), peak_w=8_000.0)[MAIN] == 30_000.0
    assert live_bases(context(building(8_000.0)), ())[MAIN] == 30_000.0


def test_the_highest_of_both_windows_and_of_now_counts() -> None:
    assert live(building(8_000.0), before_w=6_000.0)[MAIN] == 8_000.0
    assert live(building(8_000.0), before_w=9_000.0)[MAIN] == 9_000.0
    assert live(building(8_000.0), before_w=6_000.0, peak_w=12_000.0)[MAIN] == 12_000.0
    assert live(building(8_000.0), before_w=14_000.0, peak_w=12_000.0)[MAIN] == 14_000.0


def test_never_below_the_least_nor_above_the_most_that_was_commissioned() -> None:
    assert live(building(1_000.0), before_w=500.0)[MAIN] == 5_000.0
    assert live(building(90_000.0), before_w=500.0)[MAIN] == 30_000.0


@pytest.mark.parametrize(
    "lose",
    [
        lambda s: with_meter(s, "grid", power_w=GONE),
        lambda s: with_meter(s, "grid", power_w=Reading(48_000.0, 997.0)),
        lambda s: with_evse(s, 0, power_w=GONE),
        lambda s: with_evse(s, 1, power_w=Reading(20_000.0, 960.0)),
    ],
)
def test_without_any_one_reading_the_commissioned_bound_holds(lose: Any) -> None:
    assert live(lose(building(8_000.0)), before_w=8_000.0)[MAIN] == 30_000.0


def held(scene: Scene, old: BaseMemory, *powers_w: float) -> BaseMemory:
    permits = [replace(permit(scene).permits[0], power_w=w) for w in powers_w]
    return hold_bases(context(scene), (old, old), permits)[MAIN]


def same(scene: Scene) -> list[Permit]:
    return list(permit(scene).permits)


def test_a_peak_is_held_and_a_lower_load_does_not_lower_it() -> None:
    old = BaseMemory(900.0, 900.0)
    first = held(building(8_000.0), old, 20_000.0, 20_000.0)
    assert first == BaseMemory(900.0, 900.0, 8_000.0)
    assert held(building(6_000.0), first, 20_000.0, 20_000.0).peak_w == 8_000.0
    assert held(building(9_000.0), first, 20_000.0, 20_000.0).peak_w == 9_000.0


def test_above_the_commissioned_bound_only_what_lasts_is_a_peak() -> None:
    """A vehicle that changes its power by itself is on the meter before its charger reports it."""
    old = BaseMemory(900.0, 900.0)
    once = held(building(45_000.0), old, 20_000.0, 20_000.0)
    assert (once.peak_w, once.above_w, once.above_s) == (30_000.0, 45_000.0, 1_000.0)
    assert held(building(8_000.0), once, 20_000.0, 20_000.0).above_w is None
    lasting = replace(old, above_w=42_000.0, above_s=1_000.0 - SURE_S)
    assert held(building(45_000.0), lasting, 20_000.0, 20_000.0).peak_w == 42_000.0
    early = replace(old, above_w=42_000.0, above_s=1_000.1 - SURE_S)
    assert held(building(45_000.0), early, 20_000.0, 20_000.0).peak_w == 30_000.0


def test_only_settled_samples_count() -> None:
    moved = held(building(8_000.0), BaseMemory(900.0, 900.0), 20_000.0, 19_000.0)
    assert moved.moved_s == 1_000.0
    assert held(building(8_000.0), BaseMemory(900.0, 900.0), 20_000.0, 19_600.0).moved_s == 900.0
    assert (
        held(building(8_000.0), BaseMemory(1_000.0 - SETTLE_S + 0.1, 900.0), 20_000.0, 20_000.0).peak_w
        is None
    )
    assert (
        held(building(8_000.0), BaseMemory(1_000.0 - SETTLE_S, 900.0), 20_000.0, 20_000.0).peak_w == 8_000.0
    )
    stale = with_evse(building(8_000.0), 0, power_w=Reading(20_000.0, 990.0))
    assert held(stale, BaseMemory(985.0, 900.0), 20_000.0, 20_000.0).peak_w is None, (
        "one report is older than the settling"
    )


@pytest.mark.parametrize(
    ("until_s", "moved_s"), [(959.0, 900.0), (970.0, 1_000.0), (1_000.0, 1_000.0), (1_000.1, 900.0)]
)
def test_a2_a_lease_that_ran_out_while_the_controller_was_late_moved_its_charger(
    until_s: float, moved_s: float
) -> None:
    scene = building(8_000.0)
    scene = with_evse(scene, 0, command=replace(scene.snapshot.evses[0].command, lease_until_s=until_s))
    permits = [replace(permit(scene).permits[0], power_w=20_000.0)] * 2
    old = BaseMemory(900.0, 900.0)
    assert hold_bases(context(scene), (old, old), permits, dt_s=41.0)[MAIN].moved_s == moved_s


def test_a_lease_that_is_renewed_in_time_moves_no_charger() -> None:
    """A regular tick, with leases that end after it: samples stay settled, so the live base load keeps its
    evidence.
    """
    scene = building(8_000.0)
    for place in range(2):
        scene = with_evse(
            scene, place, command=replace(scene.snapshot.evses[place].command, lease_until_s=NOW_S + 20.0)
        )
    permits = [replace(permit(scene).permits[0], power_w=20_000.0)] * 2
    for last_s in (1.0, 5.0, 41.0):
        held_now = hold_bases(context(scene), (BaseMemory(900.0, 900.0),) * 2, permits, dt_s=last_s)
        assert [base.moved_s for base in held_now] == [900.0, 900.0]


def test_a2_the_tick_itself_knows_how_long_ago_the_last_one_was() -> None:
    scene = ready(2, 20_000.0)
    scene = next_tick(scene, permit(scene), 41.0)
    now_s = scene.snapshot.now_s
    for until_s, moved in ((now_s - 5.0, True), (now_s + 5.0, False)):
        command = replace(scene.snapshot.evses[0].command, lease_until_s=until_s)
        bases = permit(with_evse(scene, 0, command=command)).memory.bases
        assert (bases[MAIN].moved_s == now_s) is moved


def test_half_a_kilowatt_is_no_move_and_ten_seconds_settle_one() -> None:
    assert held(building(8_000.0), BaseMemory(900.0, 900.0), 20_000.0, 19_500.0).moved_s == 900.0
    assert held(building(8_000.0), BaseMemory(900.0, 900.0), 20_000.0, 19_499.5).moved_s == 1_000.0
    assert held(building(8_000.0), BaseMemory(990.0, 900.0), 20_000.0, 20_000.0).peak_w == 8_000.0
    assert held(building(8_000.0), BaseMemory(990.5, 900.0), 20_000.0, 20_000.0).peak_w is None


def test_a_window_is_a_quarter_of_an_hour_and_does_not_end_as_it_begins() -> None:
    begun = BaseMemory(0.0, 1_000.0, 12_000.0, 15_000.0)
    assert held(building(8_000.0), begun, 20_000.0, 20_000.0) == begun
    over = BaseMemory(0.0, 100.0, 12_000.0, 15_000.0)
    assert held(building(8_000.0), over, 20_000.0, 20_000.0) == BaseMemory(0.0, 1_000.0, 8_000.0, 12_000.0)
    ahead = BaseMemory(0.0, 1_000.5, 12_000.0, 15_000.0)
    assert held(building(8_000.0), ahead, 20_000.0, 20_000.0).since_s == 1_000.0


def test_a_window_ends_after_its_time_and_its_peak_stands_one_more() -> None:
    old = BaseMemory(0.0, 1_000.0 - HOLD_S, 12_000.0, 15_000.0)
    assert held(building(8_000.0), old, 20_000.0, 20_000.0) == BaseMemory(0.0, 1_000.0, 8_000.0, 12_000.0)
    young = BaseMemory(0.0, 1_000.1 - HOLD_S, 12_000.0, 15_000.0)
    assert held(building(8_000.0), young, 20_000.0, 20_000.0) == BaseMemory(
        0.0, 1_000.1 - HOLD_S, 12_000.0, 15_000.0
    )


def test_a_window_without_any_settled_sample_proves_nothing() -> None:
    old = BaseMemory(0.0, 1_000.0 - HOLD_S, None, 15_000.0)
    after = held(with_evse(building(8_000.0), 0, power_w=GONE), old, 20_000.0, 20_000.0)
    assert after.before_w is None


def test_a_feeder_without_meter_keeps_its_bound() -> None:
    scene = ready(2, 20_000.0)
    feeders = tuple(replace(feeder, meter="") for feeder in scene.site.feeders)
    seen = context(scene._replace(site=replace(scene.site, feeders=feeders)))
    assert live_bases(seen, (BaseMemory(0.0, 0.0, 1.0, 1.0),) * 2) == (0.0, 30_000.0)


def test_after_half_an_hour_of_a_quiet_building_its_headroom_is_used() -> None:
    scene = ready(2, 50_000.0)
    first, second = scene.site.feeders
    tight = (replace(first, import_limit_w=200_000.0), replace(second, import_limit_w=120_000.0))
    scene = scene._replace(site=replace(scene.site, feeders=tight))
    powers = []
    for _ in range(70):
        decision = permit(scene)
        total_w = sum(given.power_w for given in decision.permits)
        powers.append(total_w)
        scene = next_tick(scene, decision, dt_s=30.0)
        for meter, load_w in (("grid", 6_000.0), ("hall-meter", 0.0)):
            scene = with_meter(scene, meter, power_w=Reading(total_w + load_w, scene.snapshot.now_s))
    assert powers[10] == pytest.approx(120_000.0 * 0.98 - 30_000.0)
    assert powers[-1] == pytest.approx(100_000.0), (
        "117.6 kW less 6 kW of building leave both their full power"
    )


def neighbour(base_w: float, seconds: int, scene: Scene | None = None) -> tuple[Scene, list[Decision]]:
    """The root's meter shows both chargers, and ``base_w`` beside them, for so long; both charge as they
    may.
    """
    scene = scene or with_site(ready(2, 40_000.0), feeders=wide_hall())
    decisions = []
    for _ in range(seconds):
        decisions.append(permit(scene))
        scene = next_tick(scene, decisions[-1])
        total_w = sum(given.power_w for given in decisions[-1].permits)
        scene = with_meter(scene, "hall-meter", power_w=Reading(total_w, scene.snapshot.now_s))
        scene = with_meter(scene, "grid", power_w=Reading(total_w + base_w, scene.snapshot.now_s))
    return scene, decisions


def wide_hall() -> tuple[Feeder, ...]:
    hall, main = ready().site.feeders
    return hall, replace(main, import_limit_w=100_000.0)


def test_d25_a_base_load_above_its_bound_counts_is_held_and_is_told_once() -> None:
    """75 kW where 30 kW were commissioned, on a connection of 100 kW."""
    scene, decisions = neighbour(75_000.0, 60)
    late = [sum(given.power_w for given in decision.permits) for decision in decisions[20:]]
    assert max(late) <= 100_000.0 * 0.98 - 75_000.0 + 1.0
    assert max(late) - min(late) < 1.0, "no swinging between two permits"
    told = [
        event for decision in decisions for event in decision.events if event.kind == "base_load_exceeded"
    ]
    assert [event.subject for event in told] == ["main"]
    assert "75000 W, commissioned at most 30000 W" in told[0].text
    assert not [e for decision in decisions for e in decision.events if e.kind == "meter_implausible"]
    gone, _ = neighbour(20_000.0, 10, scene)
    assert permit(with_meter(gone, "grid", power_w=GONE)).memory.live_w[1] == pytest.approx(75_000.0), (
        "held, also unseen"
    )


def test_d25_the_fallbacks_stay_whatever_the_neighbour_draws() -> None:
    scene = with_site(ready(2, 40_000.0), feeders=wide_hall())
    scene = with_site(scene, evses=tuple(replace(evse, fallback_w=5_000.0) for evse in scene.site.evses))
    _, decisions = neighbour(99_000.0, 40, scene)
    assert [given.power_w for given in decisions[-1].permits] == [pytest.approx(5_000.0)] * 2


def test_d14_generation_gets_no_credit() -> None:
    """60 kW of sun for an hour: a cloud takes it away faster than chargers can follow."""
    scene = with_site(
        ready(2, 50_000.0), feeders=tuple(replace(f, base_load_min_w=-60_000.0) for f in wide_hall())
    )
    scene, decisions = neighbour(-60_000.0, 40, scene)
    for _ in range(2):
        bases = tuple(replace(base, since_s=base.since_s - 1_000.0) for base in scene.memory.bases)
        scene, decisions = neighbour(-60_000.0, 30, scene._replace(memory=replace(scene.memory, bases=bases)))
    assert decisions[-1].memory.live_w[1] == 0.0
    assert sum(given.power_w for given in decisions[-1].permits) <= 98_000.0 + 1.0


def over(scene: Scene) -> frozenset[int]:
    seen = context(scene)
    return over_limit(seen, limits_of(seen, seen.frame.tree.base_max_w))


def test_d23_a_feeder_is_over_where_its_meter_shows_more_than_a_limit_either_way_or_on_a_phase() -> None:
    scene = ready(2, 0.0)
    assert over(scene) == frozenset()
    assert over(with_meter(scene, "hall-meter", power_w=Reading(98_001.0, NOW_S))) == {0}, (
        "its limit less the margin"
    )
    assert over(with_meter(scene, "hall-meter", power_w=Reading(-98_001.0, NOW_S))) == {0}
    assert over(with_meter(scene, "hall-meter", power_w=Reading(98_000.0, NOW_S))) == frozenset()
    assert over(with_meter(scene, "hall-meter", power_w=GONE)) == frozenset(), (
        "a silent meter has its own row"
    )
    hall, main = scene.site.feeders
    narrow = with_site(scene, feeders=(replace(hall, current=CurrentLimit(50.0, 50.0, 1e12)), main))
    one_phase = (Reading(11_500.0, NOW_S), Reading(0.0, NOW_S), Reading(0.0, NOW_S))
    assert over(with_meter(narrow, "hall-meter", phase_power_w=one_phase)) == {0}


@pytest.mark.parametrize(
    ("age_s", "calm"), [(0.0, True), (CALM_S - 0.1, True), (CALM_S, False), (-0.1, False)]
)
def test_d23_after_an_excess_a_feeder_stays_calm_until_a_sample_counts(age_s: float, calm: bool) -> None:
    scene = ready(2, 0.0)
    bases = tuple(BaseMemory(0.0, 0.0, over_s=NOW_S - age_s if place == 0 else -1e9) for place in range(2))
    assert calming(context(scene), bases) == (frozenset({0}) if calm else frozenset())


def test_d23_while_it_is_calm_nothing_is_raised_and_what_is_permitted_stays() -> None:
    scene = ready(2, 20_000.0)
    scene = scene._replace(
        wishes={evse: replace(wish, power_w=40_000.0) for evse, wish in scene.wishes.items()}
    )
    assert all(given.power_w > 20_000.0 for given in permit(scene).permits)
    bases = (BaseMemory(0.0, NOW_S - 1.0, over_s=NOW_S - 1.0), BaseMemory(0.0, NOW_S - 1.0))
    calm = scene._replace(memory=replace(scene.memory, bases=bases))
    assert [given.power_w for given in permit(calm).permits] == [20_000.0, 20_000.0]
    again = permit(calm).memory.bases[0]
    assert again.over_s == NOW_S - 1.0, "it is over no more"


def test_an_excess_is_remembered_when_it_was_last_seen() -> None:
    scene = with_meter(ready(2, 20_000.0), "hall-meter", power_w=Reading(120_000.0, NOW_S))
    assert [base.over_s == NOW_S for base in permit(scene).memory.bases] == [True, False]
