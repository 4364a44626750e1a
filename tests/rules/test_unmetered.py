"""Outlets that tell no power count with their rating while they charge: beside others they take turns."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import small_evse, small_site
from tests.test_phases_shared import LEFT_W, garage, parked
from tests.test_tight_together import STEP_S, Night
from v2g_edge.model.frame import Frame, frame_of
from v2g_edge.model.permit import Wish
from v2g_edge.rules.headroom import phases_of
from v2g_edge.rules.sharing import TURN_S, RulesMemory, charge_limit, share_power

RATED_W = 22_000.0
LEAST_W = 4_140.0


def laid_out(outlets: int, hall_w: float, fallback_w: float = 0.0) -> Frame:
    """AC chargers in a hall that has this much."""
    site = small_site(outlets)
    hall = replace(site.feeders[0], import_limit_w=hall_w / 0.98)
    changes: dict[str, Any] = {"max_charge_w": RATED_W, "min_charge_w": LEAST_W, "fallback_w": fallback_w}
    evses = tuple(small_evse(f"b{i}", **changes) for i in range(1, outlets + 1))
    return frame_of(replace(site, feeders=(hall, site.feeders[1]), evses=evses))


def given_to(
    frame: Frame, wishes: list[Wish], dark: set[str], memory: RulesMemory, now_s: float = 0.0
) -> tuple[dict[str, Wish], RulesMemory]:
    """What each gets, and the turns after it."""
    asked = {wish.evse: wish for wish in wishes}
    return share_power(frame, asked, frame.tree.base_max_w, memory, now_s, unmetered=dark)


@given(
    wishes=st.lists(st.tuples(st.floats(0.0, RATED_W), st.floats(0.0, 2.0)), min_size=1, max_size=6),
    dark=st.sets(st.integers(0, 5)),
    hall_w=st.floats(10_000.0, 100_000.0),
    fallback_w=st.sampled_from([0.0, 1_500.0]),
)
@settings(deadline=None)
def test_the_ratings_of_those_that_tell_no_power_fit_beside_all_that_the_others_get(
    wishes: list[tuple[float, float]], dark: set[int], hall_w: float, fallback_w: float
) -> None:
    frame = laid_out(len(wishes), hall_w, fallback_w)
    asked = [Wish(evse, w, urgency, "test") for evse, (w, urgency) in zip(frame.ids, wishes, strict=True)]
    named = {evse for place, evse in enumerate(frame.ids) if place in dark}
    shared, _ = given_to(frame, asked, named, RulesMemory())
    beside_w = [shared[evse].power_w for evse in frame.ids if evse not in named]
    alone = not any(w > 0.0 for place, (w, _) in enumerate(wishes) if place not in dark)
    limit_w, counted_w = charge_limit(frame, 0, 0.0), sum(beside_w)
    for evse in named:
        power_w = shared[evse].power_w
        whole = power_w > fallback_w and not alone
        least_w = 0.0 if alone else fallback_w
        counted_w += min(RATED_W, limit_w) if whole else max(power_w, least_w)
    kept_w = fallback_w * len(named) if not alone else 0.0
    assert counted_w <= max(limit_w, kept_w + sum(beside_w)) + kept_w * (limit_w < RATED_W) + 1e-3
    for wish in asked:
        assert 0.0 <= shared[wish.evse].power_w <= wish.power_w + 1e-6


@given(
    outlets=st.integers(2, 6),
    dark=st.sets(st.integers(0, 5), min_size=1),
    hall_w=st.floats(5_000.0, 60_000.0),
    dt_s=st.sampled_from([60.0, 300.0]),
)
@settings(deadline=None)
def test_nobody_starves_beside_those_that_tell_no_power_and_none_of_them(
    outlets: int, dark: set[int], hall_w: float, dt_s: float
) -> None:
    frame = laid_out(outlets, hall_w)
    named = {evse for place, evse in enumerate(frame.ids) if place in dark}
    asked, memory = [Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids], RulesMemory()
    waited_s = dict.fromkeys(frame.ids, 0.0)
    for tick in range(int(3 * outlets * (TURN_S + dt_s) / dt_s)):
        shared, memory = given_to(frame, asked, named, memory, tick * dt_s)
        for evse in frame.ids:
            waited_s[evse] = 0.0 if shared[evse].power_w > 0.0 else waited_s[evse] + dt_s
            assert waited_s[evse] <= outlets * (TURN_S + dt_s), evse


def test_what_one_that_tells_no_power_leaves_goes_to_the_others_though_the_next_of_its_kind_waits() -> None:
    frame, memory = laid_out(4, 42_600.0), RulesMemory()
    asked = [Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids]
    served_s = dict.fromkeys(frame.ids, 0.0)
    for tick in range(90):
        shared, memory = given_to(frame, asked, {"b1", "b2", "b3"}, memory, tick * 60.0)
        for evse, wish in shared.items():
            served_s[evse] += 60.0 if wish.power_w > 0.0 else 0.0
        assert shared["b4"].power_w >= 42_600.0 - RATED_W - 1e-3
    assert [served_s[evse] for evse in ("b1", "b2", "b3")] == [1_800.0] * 3


def test_those_that_tell_no_power_share_alike_where_nobody_else_asks() -> None:
    frame = laid_out(4, 42_600.0)
    asked = [Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids]
    shared, _ = given_to(frame, asked, set(frame.ids), RulesMemory())
    assert {round(wish.power_w) for wish in shared.values()} == {10_650}


def test_on_a_phase_too_the_rating_counts_of_those_that_tell_no_power() -> None:
    """Two on all phases of a fuse for less than two, beside a metered one: one of the two, and the rest."""
    frame = frame_of(garage(3))
    phases = phases_of(frame, parked(garage(3), ("L1L2L3",) * 3, (30.0,) * 3), frame.tree.base_max_w)
    asked = {evse: Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids}
    base_w = frame.tree.base_max_w
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, phases=phases, unmetered={"b1", "b2"})
    assert [round(wish.power_w) for wish in shared.values()] == [22_000, 0, round(3.0 * LEFT_W - RATED_W)]


def test_a_feeder_with_none_but_them_gives_no_more_than_it_has() -> None:
    """The metered one hangs above it: there their ratings count, below what they are given."""
    laid = laid_out(3, 30_000.0)
    evses = laid.site.evses
    frame = frame_of(replace(laid.site, evses=(*evses[:2], replace(evses[2], feeder="main"))))
    asked = [Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids]
    shared, _ = given_to(frame, asked, {"b1", "b2"}, RulesMemory())
    assert [round(wish.power_w) for wish in shared.values()] == [22_000, 8_000, 22_000]


def test_where_its_rating_does_not_fit_it_has_its_fallback_all_the_same() -> None:
    """So has each outlet of which something is not known."""
    frame = laid_out(3, 15_000.0, fallback_w=5_000.0)
    asked = {evse: Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids}
    base_w, doubt = frame.tree.base_max_w, frozenset({"b1", "b2"})
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, doubt, unmetered={"b1", "b2"})
    assert [round(wish.power_w) for wish in shared.values()] == [5_000] * 3


def test_one_that_nothing_shows_to_fall_back_takes_no_turns() -> None:
    """It counts at its rating whether it charges or not: a pause would free nothing."""
    site = garage(3)
    by_contactor = tuple(replace(evse, dead_man="contactor") for evse in site.evses[:2])
    night = Night(
        replace(site, evses=(*by_contactor, site.evses[2])), ("L1L2L3",) * 3, (12_000.0,) * 3, (0.6,) * 3
    )
    night.dark = frozenset({0, 1})
    for step in range(6):
        outcome = night.tick(step)
        night.follow(outcome, 100.0 + step * STEP_S)
    assert min(permit.power_w for permit in outcome.permits[:2]) > LEAST_W


def test_what_those_at_rest_count_with_is_not_shared_out_to_the_others() -> None:
    """Else the envelope takes it off all of them, and an outlet at its charger's minimum gets nothing."""
    frame = laid_out(3, 42_600.0, fallback_w=4_000.0)
    asked = [Wish(evse, RATED_W, 0.5, "charge") for evse in frame.ids]
    shared, _ = given_to(frame, asked, {"b1", "b2"}, RulesMemory())
    assert [round(wish.power_w) for wish in shared.values()] == [22_000, 0, 16_600]
    shared, _ = given_to(frame, asked[2:], {"b1", "b2"}, RulesMemory())
    assert round(shared["b3"].power_w) == 22_000
    tight = laid_out(3, 20_000.0, fallback_w=4_000.0)
    shared, _ = given_to(tight, asked[2:], {"b1", "b2"}, RulesMemory())
    assert round(shared["b3"].power_w) == 12_000, "though they ask for nothing"
