"""Too little for all: the urgent first, the rest evenly, never more than a feeder has."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import small_evse, small_site
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.site import Site
from v2g_edge.rules.sharing import (
    CALMS_AFTER_S,
    TURN_S,
    RulesMemory,
    Turn,
    Urgency,
    charge_limit,
    export_limit,
    share_power,
)


def _site(evses: int, hall_w: float) -> Site:
    site = small_site(evses)
    hall = replace(site.feeders[0], import_limit_w=hall_w, export_limit_w=hall_w)
    return replace(
        site, feeders=(hall, site.feeders[1]), evses=tuple(small_evse(f"b{i}") for i in range(1, evses + 1))
    )


def shared_by(site: Site, asked: dict[str, Wish]) -> dict[str, Wish]:
    """Shared with the commissioned base loads, in a depot whose turns have just begun."""
    frame = frame_of(site)
    return share_power(frame, asked, frame.tree.base_max_w, RulesMemory(), 0.0)[0]


def _wishes(powers: list[tuple[float, float]]) -> dict[str, Wish]:
    return {
        f"b{i}": Wish(f"b{i}", power_w, urgency, "test") for i, (power_w, urgency) in enumerate(powers, 1)
    }


def test_enough_for_all_changes_nothing() -> None:
    asked = _wishes([(40_000.0, 0.1), (-20_000.0, 0.0)])
    assert shared_by(_site(2, 100_000.0), asked) == asked


def test_the_urgent_take_what_they_need_and_the_rest_share_evenly() -> None:
    shared = shared_by(
        _site(4, 100_000.0), _wishes([(50_000.0, 2.0), (50_000.0, 0.1), (50_000.0, 0.2), (10_000.0, 0.3)])
    )
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2, 3, 4)] == [50_000, 19_000, 19_000, 10_000]


def test_who_has_its_target_gets_what_those_leave_who_lack_something() -> None:
    frame = frame_of(_site(3, 100_000.0))
    asked = _wishes([(50_000.0, 0.1), (40_000.0, 0.1), (50_000.0, 0.9)])
    base_w = frame.tree.base_max_w
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, sated=frozenset({"b1"}))
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2, 3)] == [8_000, 40_000, 50_000]


def test_of_whom_something_is_not_known_it_gets_its_fallback_first_and_then_what_the_others_leave() -> None:
    site = _site(3, 100_000.0)
    site = replace(site, evses=tuple(replace(evse, fallback_w=6_000.0) for evse in site.evses))
    frame = frame_of(site)
    base_w = frame.tree.base_max_w
    for lacks_w, doubtful_w in ((40_000.0, 18_000.0), (20_000.0, 50_000.0), (50_000.0, 6_000.0)):
        asked = _wishes([(50_000.0, 0.1), (lacks_w, 0.1), (lacks_w, 0.9)])
        shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, frozenset({"b1"}))
        assert round(shared["b1"].power_w) == doubtful_w
        assert round(shared["b2"].power_w) == min(lacks_w, 46_000.0)


def test_all_who_must_leave_get_the_pace_that_they_need_before_one_gets_more() -> None:
    frame = frame_of(_site(2, 100_000.0))
    asked, base_w = _wishes([(50_000.0, 2.0), (100_000.0, 1.0)]), frame.tree.base_max_w
    press = {"b1": Urgency(30_000.0, 7_200.0, 0.0), "b2": Urgency(60_000.0, 7_200.0, 0.0)}
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, press=press)
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2)] == [38_000, 60_000]
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0)
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2)] == [50_000, 48_000]


def test_of_those_that_must_charge_the_soonest_to_depart_comes_first_whatever_its_urgency() -> None:
    """Urgency falls as a vehicle is served: by its order the power would change places in each tick."""
    frame = frame_of(_site(3, 100_000.0))
    base_w = frame.tree.base_max_w
    press = {"b1": Urgency(ANY_W, 7_200.0, 0.0), "b2": Urgency(ANY_W, 3_600.0, 0.0)}
    for urgencies in ((2.0, 1.0), (1.0, 2.0)):
        asked = _wishes([(50_000.0, urgencies[0]), (50_000.0, urgencies[1]), (50_000.0, 3.0)])
        shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, press=press)
        assert [round(shared[f"b{i}"].power_w) for i in (1, 2, 3)] == [48_000, 50_000, 0]


def test_of_those_that_leave_together_the_site_files_order_decides_whatever_their_urgency() -> None:
    frame = frame_of(_site(2, 60_000.0))
    press = dict.fromkeys(("b1", "b2"), Urgency(ANY_W, 3_600.0, 0.0))
    for urgencies in ((1.0, 2.0), (2.0, 1.0)):
        asked = _wishes([(50_000.0, urgency) for urgency in urgencies])
        shared, _ = share_power(frame, asked, frame.tree.base_max_w, RulesMemory(), 0.0, press=press)
        assert [round(shared[f"b{i}"].power_w) for i in (1, 2)] == [50_000, 8_800]


def test_who_can_wait_no_longer_comes_before_those_that_depart_sooner_until_it_has_time_to_spare() -> None:
    """Of three that need less than a charger's minimum two get it: the third's turn comes in time, and it
    keeps what it has for a while.
    """
    frame = frame_of(_site(3, 9_000.0))
    asked = _wishes([(50_000.0, 1.0)] * 3)
    memory = RulesMemory()
    for waits_s, first in ((1.0, "b1"), (0.0, "b3"), (CALMS_AFTER_S, "b3"), (CALMS_AFTER_S + 1.0, "b1")):
        press = {
            "b1": Urgency(3_000.0, 3_600.0, 1_800.0),
            "b2": Urgency(3_000.0, 3_600.0, 1_800.0),
            "b3": Urgency(3_000.0, 7_200.0, waits_s),
        }
        shared, memory = share_power(frame, asked, frame.tree.base_max_w, memory, 0.0, press=press)
        assert (shared["b3"].power_w > 0.0) == (first == "b3"), waits_s
        assert sum(wish.power_w for wish in shared.values()) == pytest.approx(charge_limit(frame, 0, 0.0))


def test_nobody_gets_less_than_its_charger_can_do_unless_it_gets_nothing() -> None:
    shared = shared_by(_site(8, 20_000.0), _wishes([(50_000.0, 0.1 * i) for i in range(8)]))
    powers = [wish.power_w for wish in shared.values()]
    assert all(power_w == 0.0 or power_w >= 4_000.0 - 1e-6 for power_w in powers)
    assert sum(powers) > 15_000.0


powers = st.lists(st.tuples(st.floats(-50_000, 50_000), st.floats(0, 3)), min_size=1, max_size=8)


@given(asked=powers, hall_w=st.floats(0, 300_000))
def test_no_feeder_is_asked_for_more_than_it_has_and_no_wish_grows(
    asked: list[tuple[float, float]], hall_w: float
) -> None:
    site = _site(len(asked), hall_w)
    wishes = _wishes(asked)
    shared = shared_by(site, wishes)
    frame = frame_of(site)
    for place, base_w in enumerate(frame.tree.base_max_w):
        assert (
            sum(max(wish.power_w, 0.0) for wish in shared.values())
            <= charge_limit(frame, place, base_w) + 1e-3
        )
        assert sum(max(-wish.power_w, 0.0) for wish in shared.values()) <= export_limit(frame, place) + 1e-3
    for evse, wish in shared.items():
        assert abs(wish.power_w) <= abs(wishes[evse].power_w) + 1e-6
        assert wish.power_w * wishes[evse].power_w >= 0.0


@given(asked=powers)
def test_the_order_of_the_wishes_does_not_matter(asked: list[tuple[float, float]]) -> None:
    site = _site(len(asked), 60_000.0)
    wishes = _wishes(asked)
    backwards = dict(reversed(wishes.items()))
    there, back = shared_by(site, wishes), shared_by(site, backwards)
    assert all(abs(there[evse].power_w - back[evse].power_w) < 1e-6 for evse in wishes)


class Queue:
    """Chargers on one feeder that all want more than it has, tick after tick; counts how long each waits
    in one piece.
    """

    def __init__(self, floors_w: list[float], limit_w: float) -> None:
        site = _site(len(floors_w), limit_w)
        evses = tuple(replace(evse, min_charge_w=w) for evse, w in zip(site.evses, floors_w, strict=True))
        self.frame = frame_of(replace(site, evses=evses))
        self.free_w = charge_limit(self.frame, 0, 0.0)
        self.memory = RulesMemory()
        self.now_s = 0.0
        self.waited_s = dict.fromkeys(self.frame.ids, 0.0)
        self.longest_s = dict.fromkeys(self.frame.ids, 0.0)
        self.changes = 0
        self.served: set[str] = set()

    def tick(self, dt_s: float, asking: set[str] | None = None) -> None:
        self.now_s += dt_s
        ids = [evse for evse in self.frame.ids if asking is None or evse in asking]
        asked = {evse: Wish(evse, 50_000.0, 0.5, "charge") for evse in ids}
        shared, self.memory = share_power(
            self.frame, asked, self.frame.tree.base_max_w, self.memory, self.now_s
        )
        total_w = sum(wish.power_w for wish in shared.values())
        assert total_w <= self.free_w + 1e-3
        for evse in self.frame.ids:
            got_w = shared[evse].power_w if evse in shared else 0.0
            floor_w = self.frame.site.evses[self.frame.ids.index(evse)].min_charge_w
            assert got_w == 0.0 or got_w >= floor_w - 1e-3
            self.waited_s[evse] = self.waited_s[evse] + dt_s if evse in shared and got_w == 0.0 else 0.0
            self.longest_s[evse] = max(self.longest_s[evse], self.waited_s[evse])
        served = {evse for evse, wish in shared.items() if wish.power_w > 0.0}
        self.changes += len(served ^ self.served)
        self.served = served


FLOORS = st.lists(st.sampled_from([1_380.0, 4_140.0, 11_000.0]), min_size=1, max_size=7)


@given(
    floors_w=FLOORS, limit_w=st.floats(1_000.0, 30_000.0), dt_s=st.sampled_from([1.0, 60.0, 300.0, 1_000.0])
)
@settings(deadline=None)
def test_nobody_starves(floors_w: list[float], limit_w: float, dt_s: float) -> None:
    queue = Queue(floors_w, limit_w)
    for _ in range(min(int(3 * (len(floors_w) + 1) * (TURN_S + dt_s) / dt_s), 300)):
        queue.tick(dt_s)
    for evse, floor_w in zip(queue.frame.ids, floors_w, strict=True):
        if floor_w <= queue.free_w:
            assert queue.longest_s[evse] <= len(floors_w) * (TURN_S + dt_s)


@given(
    floors_w=FLOORS,
    limit_w=st.floats(12_000.0, 30_000.0),
    comings=st.lists(st.sets(st.integers(1, 7)), min_size=5, max_size=60),
)
@settings(deadline=None)
def test_nobody_starves_whoever_comes_and_goes(
    floors_w: list[float], limit_w: float, comings: list[set[int]]
) -> None:
    queue = Queue(floors_w, limit_w)
    for away in comings:
        queue.tick(300.0, {evse for evse in queue.frame.ids if evse == "b1" or int(evse[1:]) not in away})
    # b1 asks all the time; whoever comes later stands behind it.
    assert queue.longest_s["b1"] <= len(floors_w) * (TURN_S + 300.0)


def test_a_turn_lasts_its_time() -> None:
    queue = Queue([4_140.0] * 4, 10_000.0)
    for _ in range(4 * int(TURN_S)):
        queue.tick(1.0)
    assert queue.changes <= 2 + 4 * 4, "two places, each changed hands once a turn"
    assert all(0.0 < longest_s <= 2 * TURN_S for longest_s in queue.longest_s.values())


def test_enough_for_all_needs_no_turns() -> None:
    queue = Queue([4_140.0] * 2, 10_000.0)
    for _ in range(10):
        queue.tick(600.0)
    assert set(queue.longest_s.values()) == {0.0}


def test_who_can_never_be_served_does_not_hold_up_the_others() -> None:
    queue = Queue([11_000.0, 4_140.0], 8_000.0)
    for _ in range(20):
        queue.tick(300.0)
    assert queue.longest_s["b2"] == 0.0


def test_what_turns_leave_goes_to_those_who_come_after() -> None:
    """Of 6 kW two would have 3 each, less than their minimum: one has 4, and 2 are left for the third."""
    site = _site(3, 6_000.0 / 0.98)
    evses = (*site.evses[:2], replace(site.evses[2], min_charge_w=1_400.0))
    frame = frame_of(replace(site, evses=evses))
    asked, base_w = _wishes([(4_000.0, 0.1), (4_000.0, 0.1), (9_000.0, 0.1)]), frame.tree.base_max_w
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, sated=frozenset({"b3"}))
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2, 3)] == [4_000, 0, 2_000]


def test_a_turn_of_before_the_restart_ends_with_it() -> None:
    """The monotonic clock may have begun anew: a turn that begins in the future would never be over."""
    frame = frame_of(_site(2, 6_000.0))
    asked, base_w = _wishes([(4_000.0, 0.1)] * 2), frame.tree.base_max_w
    old = RulesMemory({"b1": Turn(9e6, served=True), "b2": Turn(9e6, served=False)})
    _, memory = share_power(frame, asked, base_w, old, 5.0)
    assert {turn.since_s for turn in memory.turns.values()} == {5.0}


def test_of_those_whose_turn_is_over_the_one_that_had_least_of_it_is_served_first() -> None:
    frame = frame_of(_site(3, 6_000.0))
    asked, now_s = _wishes([(4_000.0, 0.1)] * 3), 10.0 * TURN_S
    since_s = {"b1": now_s - 3.0 * TURN_S, "b2": now_s - 2.0 * TURN_S, "b3": now_s - 4.0 * TURN_S}
    memory = RulesMemory({evse: Turn(s, served=True) for evse, s in since_s.items()})
    shared, _ = share_power(frame, asked, frame.tree.base_max_w, memory, now_s)
    assert [evse for evse, wish in shared.items() if wish.power_w > 0.0] == ["b2"]


def test_who_cannot_be_in_time_gets_what_the_paces_of_the_others_leave() -> None:
    frame = frame_of(_site(3, 100_000.0))
    asked, base_w = _wishes([(50_000.0, 2.0)] * 3), frame.tree.base_max_w
    press = {
        "b1": Urgency(90_000.0, 600.0, -3_600.0, lost=True),
        "b2": Urgency(40_000.0, 7_200.0, 1_800.0),
        "b3": Urgency(30_000.0, 3_600.0, 1_800.0),
    }
    shared, _ = share_power(frame, asked, base_w, RulesMemory(), 0.0, press=press)
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2, 3)] == [28_000, 40_000, 30_000]
