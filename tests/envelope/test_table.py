"""The trip mechanism with a toy table: what latches, what drains, what clears, and what a silent check
does.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.envelope.table import (
    FIRST_S,
    NO_ANSWER,
    REFILL,
    SITE,
    WAITS,
    Action,
    Clear,
    Found,
    Inputs,
    Latch,
    Row,
    Scope,
    Verdict,
    action_of,
    judge,
)

COUNTS: dict[Scope, int] = {"site": 1, "meter": 2, "evse": 3}


def toy(
    name: str = "toy",
    *,
    scope: Scope = "evse",
    action: Action = Action.EXPORT_OFF,
    clear: Clear = "when_gone",
    override: bool = False,
    allowance_s: float | None = None,
    covered: int | None = None,
) -> Row:
    """A row whose condition holds where the context says so: the context is a set of subjects."""

    def check(context: Any, _standing: Mapping[str, Latch]) -> Found:
        if context == "raise":
            raise ValueError("the sensor spoke Greek")
        return Found(COUNTS[scope] if covered is None else covered, dict.fromkeys(context, "it holds"))

    allowance: Callable[[Any], float] | None = None if allowance_s is None else lambda _context: allowance_s
    return Row(name, scope, action, clear, "a toy", check, override, allowance)


class Bench:
    """A table that lives through ticks."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows
        self.latches: tuple[Latch, ...] = ()
        self.sessions: dict[str, str] = {"a": "s1"}
        self.in_service = False
        self.operator_ends_trips = False

    def tick(
        self, *present: str, dt_s: float = 1.0, acknowledged: tuple[str, ...] = (), context: Any = None
    ) -> Verdict:
        inputs = Inputs(
            context=set(present) if context is None else context,
            dt_s=dt_s,
            wall_s=7.0,
            counts=COUNTS,
            sessions=self.sessions,
            in_service=self.in_service,
            acknowledged=frozenset(acknowledged),
            operator_ends_trips=self.operator_ends_trips,
        )
        verdict = judge(self.rows, self.latches, inputs)
        self.latches = verdict.latches
        return verdict


def acting(verdict: Verdict) -> list[tuple[str, str]]:
    return [(row.id, latch.subject) for row, latch in verdict.active]


def test_a_condition_acts_in_the_tick_that_sees_it_and_ends_with_it() -> None:
    bench = Bench(toy())
    assert acting(bench.tick("a")) == [("toy", "a")]
    assert acting(bench.tick()) == []
    assert bench.latches == ()


def test_events_tell_the_beginning_and_the_end_once() -> None:
    bench = Bench(toy(action=Action.ZERO))
    first = bench.tick("a").events
    assert [(event.kind, event.severity, event.subject, event.text, event.wall_s) for event in first] == [
        ("toy", "alarm", "a", "it holds", 7.0)
    ]
    assert bench.tick("a").events == ()
    last = bench.tick().events
    assert [(event.kind, event.severity, event.text) for event in last] == [
        ("toy.cleared", "info", "a toy: cleared")
    ]
    assert bench.tick().events == ()


@pytest.mark.parametrize(
    ("action", "severity"),
    [
        (Action.NO_NEW_EXPORT, "warning"),
        (Action.EXPORT_OFF, "warning"),
        (Action.CHARGE_AT_FALLBACK, "alarm"),
        (Action.ZERO, "alarm"),
        (Action.TRIP, "trip"),
    ],
)
def test_the_severity_of_an_event_follows_the_action(action: Action, severity: str) -> None:
    assert [event.severity for event in Bench(toy(action=action)).tick("a").events] == [severity]


def test_actions_are_ordered_mildest_first() -> None:
    assert sorted(Action) == [
        Action.NO_NEW_EXPORT,
        Action.EXPORT_OFF,
        Action.CHARGE_AT_FALLBACK,
        Action.ZERO,
        Action.TRIP,
    ]


def test_an_allowance_drains_before_the_row_acts() -> None:
    bench = Bench(toy(allowance_s=3.0))
    assert [acting(bench.tick("a")) for _ in range(2)] == [[], []]
    assert acting(bench.tick("a")) == [("toy", "a")]


def test_a_condition_seen_for_the_first_time_does_not_act_however_long_the_tick() -> None:
    bench = Bench(toy(allowance_s=3.0))
    assert acting(bench.tick("a", dt_s=1_000.0)) == []
    assert bench.latches[0].left_s == FIRST_S
    assert acting(bench.tick("a", dt_s=FIRST_S)) == [("toy", "a")]
    assert FIRST_S == 0.001, "a second sight acts after any tick that a daemon could make"


def test_without_allowance_a_row_acts_in_a_tick_of_no_length() -> None:
    assert acting(Bench(toy()).tick("a", dt_s=0.0)) == [("toy", "a")]


def test_an_allowance_refills_at_a_quarter_of_the_speed() -> None:
    bench = Bench(toy(allowance_s=3.0))
    bench.tick("a")
    bench.tick("a")
    assert bench.latches[0].left_s == 1.0
    bench.tick(dt_s=4.0)
    assert bench.latches[0].left_s == 1.0 + 4.0 * REFILL
    assert not bench.latches[0].present
    assert not bench.latches[0].active
    bench.tick(dt_s=4.0)
    assert bench.latches == (), "a full allowance is not remembered"


def test_an_allowance_never_refills_beyond_itself_nor_drains_below_nothing() -> None:
    bench = Bench(toy(allowance_s=3.0, clear="never"))
    for _ in range(9):
        bench.tick("a")
    assert bench.latches[0].left_s == 0.0
    for _ in range(99):
        bench.tick()
    assert bench.latches[0].left_s == 3.0


def test_a_flapping_condition_still_acts() -> None:
    bench = Bench(toy(allowance_s=5.0))
    seen = [acting(bench.tick(*(("a",) if second % 2 else ()))) for second in range(40)]
    assert [("toy", "a")] in seen


def test_a_rare_condition_never_acts() -> None:
    bench = Bench(toy(allowance_s=5.0))
    seen = [acting(bench.tick(*(("a",) if second % 8 == 0 else ()))) for second in range(400)]
    assert [("toy", "a")] not in seen


def test_once_acting_a_flapping_row_acts_again_at_once() -> None:
    bench = Bench(toy(allowance_s=2.0))
    for _ in range(4):
        bench.tick("a")
    assert acting(bench.tick()) == []
    assert acting(bench.tick("a")) == [("toy", "a")], "its allowance had hardly refilled"


def test_when_gone_clears_at_once() -> None:
    bench = Bench(toy(clear="when_gone"))
    bench.tick("a")
    assert acting(bench.tick()) == []


def test_after_enter_service_waits_for_the_grid() -> None:
    bench = Bench(toy(clear="after_enter_service"))
    bench.tick("a")
    held = bench.tick()
    assert acting(held) == [("toy", "a")]
    assert not held.active[0][1].present
    assert held.active[0][1].text == "it holds"
    assert held.events == ()
    bench.in_service = True
    cleared = bench.tick()
    assert acting(cleared) == []
    assert [event.kind for event in cleared.events] == ["toy.cleared"]


def test_when_unplugged_waits_for_the_session_to_end() -> None:
    bench = Bench(toy(clear="when_unplugged"))
    bench.tick("a")
    assert bench.latches[0].session == "s1"
    assert acting(bench.tick()) == [("toy", "a")]
    bench.sessions = {}
    assert acting(bench.tick()) == []


def test_when_unplugged_ends_with_another_session_at_the_same_outlet() -> None:
    bench = Bench(toy(clear="when_unplugged"))
    bench.tick("a")
    bench.tick()
    bench.sessions = {"a": "s2"}
    assert acting(bench.tick()) == []


def test_a_condition_that_goes_on_keeps_the_session_it_began_in() -> None:
    bench = Bench(toy(clear="when_unplugged"))
    bench.tick("a")
    bench.sessions = {"a": "s2"}
    bench.tick("a")
    assert bench.latches[0].session == "s1"
    assert acting(bench.tick()) == []


def test_by_operator_waits_for_the_operators_word_on_this_row_and_subject() -> None:
    bench = Bench(toy(clear="by_operator"))
    bench.tick("a", "b")
    assert acting(bench.tick(acknowledged=("toy:c", "other:a", "toy"))) == [("toy", "a"), ("toy", "b")]
    assert acting(bench.tick(acknowledged=("toy:a",))) == [("toy", "b")]


def test_never_is_never_not_even_for_an_operator() -> None:
    bench = Bench(toy(clear="never"))
    bench.tick("a")
    bench.in_service = True
    bench.sessions = {}
    for _ in range(50):
        assert acting(bench.tick(acknowledged=("toy:a",))) == [("toy", "a")]


@pytest.mark.parametrize("clear", ["after_enter_service", "when_unplugged", "never"])
def test_an_override_row_may_be_ended_by_an_operator_whatever_its_rule(clear: Clear) -> None:
    bench = Bench(toy(clear=clear, override=True))
    bench.tick("a")
    assert acting(bench.tick()) == [("toy", "a")]
    assert acting(bench.tick(acknowledged=("toy:a",))) == []


@pytest.mark.parametrize("clear", ["after_enter_service", "when_unplugged", "never"])
def test_a_row_without_override_is_deaf_to_operators(clear: Clear) -> None:
    bench = Bench(toy(clear=clear))
    bench.tick("a")
    assert acting(bench.tick(acknowledged=("toy:a",))) == [("toy", "a")]


def test_a_row_that_says_nothing_of_operators_is_deaf_to_them_and_acts_at_once() -> None:
    row = Row("bare", "evse", Action.ZERO, "never", "a toy", toy().check)
    bench = Bench(row)
    assert acting(bench.tick("a")) == [("bare", "a")]
    assert acting(bench.tick(acknowledged=("bare:a",))) == [("bare", "a")]


@pytest.mark.parametrize("override", [False, True])
def test_no_operator_can_wish_a_present_condition_away(override: bool) -> None:
    bench = Bench(toy(clear="by_operator", override=override))
    for _ in range(3):
        assert acting(bench.tick("a", acknowledged=("toy:a",))) == [("toy", "a")]


@pytest.mark.parametrize("covered", [0, 2, 4])
def test_a_check_that_covers_too_few_or_too_many_is_a_trip(covered: int) -> None:
    verdict = Bench(toy(covered=covered)).tick()
    assert acting(verdict) == [("toy", NO_ANSWER)]
    assert action_of(*verdict.active[0]) is Action.TRIP
    assert verdict.active[0][1].text == f"toy looked at {covered} of 3"
    assert [event.severity for event in verdict.events] == ["trip"]


@pytest.mark.parametrize(("scope", "count"), [("site", 1), ("meter", 2), ("evse", 3)])
def test_each_scope_has_its_own_number_of_subjects(scope: Scope, count: int) -> None:
    assert acting(Bench(toy(scope=scope, covered=count)).tick()) == []
    assert acting(Bench(toy(scope=scope, covered=count + 1)).tick()) == [("toy", NO_ANSWER)]


def test_a_check_that_raises_is_a_trip_and_says_what_it_raised() -> None:
    verdict = Bench(toy()).tick(context="raise")
    assert acting(verdict) == [("toy", NO_ANSWER)]
    assert verdict.active[0][1].text == "toy raised ValueError: the sensor spoke Greek"


def test_a_check_that_raises_clears_nothing() -> None:
    bench = Bench(toy())
    bench.tick("a", "b")
    assert acting(bench.tick(context="raise")) == [("toy", "a"), ("toy", "b"), ("toy", NO_ANSWER)]
    assert acting(bench.tick()) == [("toy", NO_ANSWER)]


def test_a_check_that_raises_does_not_make_a_draining_allowance_act() -> None:
    bench = Bench(toy(allowance_s=3.0))
    bench.tick("a")
    assert acting(bench.tick(context="raise")) == [("toy", NO_ANSWER)]


def test_no_allowance_delays_the_trip_of_a_check_without_answer() -> None:
    assert acting(Bench(toy(allowance_s=60.0)).tick(context="raise")) == [("toy", NO_ANSWER)]


@pytest.mark.parametrize(
    "clear", ["when_gone", "after_enter_service", "when_unplugged", "by_operator", "never"]
)
def test_the_trip_of_a_silent_check_stands_until_an_operator_ends_it(clear: Clear) -> None:
    bench = Bench(toy(clear=clear))
    bench.tick(context="raise")
    bench.in_service, bench.sessions = True, {"a": "s9"}
    assert acting(bench.tick()) == [("toy", NO_ANSWER)]
    assert acting(bench.tick("a"))[-1] == ("toy", NO_ANSWER), (
        "a condition that comes back must not relabel the trip"
    )
    bench.latches = tuple(latch for latch in bench.latches if latch.subject == NO_ANSWER)
    assert acting(bench.tick(acknowledged=(f"toy:{NO_ANSWER}",))) == []


def test_one_dead_check_leaves_the_others_alive() -> None:
    def broken(_context: Any, _standing: Mapping[str, Latch]) -> Found:
        raise RuntimeError

    rows = (toy("first"), Row("dead", "evse", Action.EXPORT_OFF, "when_gone", "dead", broken), toy("last"))
    assert acting(Bench(*rows).tick("a")) == [("first", "a"), ("dead", NO_ANSWER), ("last", "a")]


def test_a_check_is_told_what_its_own_row_remembers() -> None:
    told: list[dict[str, bool]] = []

    def check(context: Any, standing: Mapping[str, Latch]) -> Found:
        told.append({subject: latch.active for subject, latch in standing.items()})
        return Found(3, dict.fromkeys(context, "held"))

    row = Row("told", "evse", Action.EXPORT_OFF, "when_gone", "told", check, allowance=lambda _c: 1.0)
    bench = Bench(row, toy("other"))
    for _ in range(3):
        bench.tick("a")
    assert told == [{}, {"a": False}, {"a": True}]


def test_a_row_that_is_no_longer_in_the_table_is_forgotten() -> None:
    bench = Bench(toy("gone"), toy("stays"))
    bench.tick("a")
    bench.rows = (toy("stays"),)
    assert {latch.row for latch in bench.tick("a").latches} == {"stays"}


def test_an_action_is_the_rows_own_unless_the_check_gave_no_answer() -> None:
    row = toy(action=Action.NO_NEW_EXPORT)
    assert action_of(row, Latch("toy", SITE, True, 0.0, "x")) is Action.NO_NEW_EXPORT
    assert action_of(row, Latch("toy", NO_ANSWER, True, 0.0, "x")) is Action.TRIP


SUBJECTS = st.sets(st.sampled_from(["a", "b", "c"]))
CLEARS: st.SearchStrategy[Clear] = st.sampled_from(
    ["when_gone", "after_enter_service", "when_unplugged", "by_operator", "never"]
)


@given(
    ticks=st.lists(SUBJECTS, max_size=12), clear=CLEARS, allowance=st.one_of(st.none(), st.floats(0.0, 5.0))
)
def test_whenever_a_condition_has_lasted_its_allowance_it_acts(
    ticks: list[set[str]], clear: Clear, allowance: float | None
) -> None:
    bench = Bench(toy(clear=clear, allowance_s=allowance))
    lasted: dict[str, float] = {}
    for present in ticks:
        active = {subject for _, subject in acting(bench.tick(*present))}
        lasted = {subject: lasted[subject] + 1.0 if subject in lasted else 0.0 for subject in present}
        assert {subject for subject, seconds in lasted.items() if seconds >= (allowance or 0.0)} <= active


@given(ticks=st.lists(SUBJECTS, max_size=12), clear=CLEARS)
def test_the_order_in_which_memory_stands_does_not_matter(ticks: list[set[str]], clear: Clear) -> None:
    there, back = Bench(toy("x", clear=clear), toy("y")), Bench(toy("x", clear=clear), toy("y"))
    for present in ticks:
        back.latches = tuple(reversed(back.latches))
        first, second = there.tick(*present), back.tick(*sorted(present, reverse=True))
        assert (first.latches, first.events) == (second.latches, second.events)


@given(ticks=st.lists(SUBJECTS, max_size=12), clear=CLEARS)
def test_the_order_of_the_rows_does_not_change_what_acts(ticks: list[set[str]], clear: Clear) -> None:
    rows = (toy("x", clear=clear), toy("y", allowance_s=2.0))
    there, back = Bench(*rows), Bench(*reversed(rows))
    for present in ticks:
        assert sorted(acting(there.tick(*present))) == sorted(acting(back.tick(*present)))


@given(present=SUBJECTS, clear=CLEARS)
def test_a_tick_of_no_length_with_the_same_conditions_changes_nothing(
    present: set[str], clear: Clear
) -> None:
    bench = Bench(toy(clear=clear, allowance_s=2.0))
    first = bench.tick(*present, dt_s=1.0)
    second = bench.tick(*present, dt_s=0.0)
    assert second.latches == first.latches
    assert second.events == ()


def tripped(*, operator_ends_trips: bool) -> Bench:
    """A trip whose condition is gone, with the grid back in service."""
    bench = Bench(toy(action=Action.TRIP, clear="after_enter_service"))
    bench.operator_ends_trips = operator_ends_trips
    bench.tick("a")
    bench.in_service = True
    return bench


def test_a_trip_waits_for_an_operator_where_the_site_file_says_so() -> None:
    assert acting(tripped(operator_ends_trips=False).tick()) == []
    bench = tripped(operator_ends_trips=True)
    for _ in range(3):
        verdict = bench.tick()
        assert acting(verdict) == [("toy", "a")]
    (latch,) = bench.latches
    assert latch.text == "it holds" + WAITS, "and it says so once"
    assert acting(bench.tick(acknowledged=("toy:b",))) == [("toy", "a")]
    assert acting(bench.tick(acknowledged=("toy:a",))) == []


def test_an_operators_word_before_the_grid_is_back_counts_when_it_is() -> None:
    bench = tripped(operator_ends_trips=True)
    bench.in_service = False
    bench.tick()
    assert acting(bench.tick(acknowledged=("toy:a",))) == [("toy", "a")]
    assert acting(bench.tick()) == [("toy", "a")]
    bench.in_service = True
    assert acting(bench.tick()) == []


def test_an_operators_word_does_not_count_for_the_next_trip() -> None:
    bench = tripped(operator_ends_trips=True)
    bench.in_service = False
    bench.tick()
    bench.tick(acknowledged=("toy:a",))
    bench.tick("a")
    bench.in_service = True
    assert acting(bench.tick()) == [("toy", "a")]


def test_an_operators_word_is_needed_for_trips_alone() -> None:
    bench = Bench(toy("gone"), toy("unplugged", clear="when_unplugged"))
    bench.operator_ends_trips = True
    bench.tick("a")
    bench.sessions = {}
    assert acting(bench.tick()) == []


def test_an_operators_word_while_the_condition_lasts_is_not_kept() -> None:
    bench = Bench(toy(action=Action.TRIP, clear="after_enter_service"))
    bench.operator_ends_trips = True
    bench.tick("a", acknowledged=("toy:a",))
    bench.in_service = True
    assert acting(bench.tick()) == [("toy", "a")]
