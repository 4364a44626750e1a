"""The second promise tick by tick: what vehicles were seen to draw takes exports away in time and never
allows one.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.departure.test_departures import depot, depots, losses, needing, with_vehicle
from v2g_edge.departure.admit_exports import (
    HOLD_S,
    LOOK_EVERY_S,
    DepartureMemory,
    ExportVerdict,
    admit_exports,
    restarted,
)
from v2g_edge.departure.charging_power import LearnedPower
from v2g_edge.departure.departures import Proposal
from v2g_edge.departure.depot import depot_of
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import CommandState, Snapshot

FRESH = DepartureMemory()


def kept(
    site: Site, snapshot: Snapshot, wished_w: list[float], memory: DepartureMemory = FRESH
) -> ExportVerdict:
    return admit_exports(depot_of(frame_of(site)), snapshot, wished_w, (0.0,) * len(site.evses), memory)


def seen(site: Site, *draws: dict[str, Any] | None) -> DepartureMemory:
    """A memory of vehicles of the present sessions."""
    filled = draws + (None,) * (len(site.evses) - len(draws))
    return DepartureMemory(
        draws=tuple(None if d is None else LearnedPower(f"s-bus-{i}", **d) for i, d in enumerate(filled, 1))
    )


def kinds(result: ExportVerdict) -> list[tuple[str, str]]:
    return [(event.kind, event.subject) for event in result.events]


def drawing(snapshot: Snapshot, permitted_w: float, drawn_w: float, dt_s: float = 30.0) -> Snapshot:
    """``dt_s`` later b1 has charged with ``drawn_w`` of ``permitted_w``; everybody's SoC is reported."""
    now_s = snapshot.now_s + dt_s
    evses = []
    for place, state in enumerate(snapshot.evses):
        vehicle = state.vehicle
        if vehicle is not None and isinstance(vehicle.soc_pct, Reading):
            more_pct = drawn_w * dt_s / 3_600.0 / 2_000.0 if place == 0 else 0.0
            vehicle = replace(vehicle, soc_pct=Reading(vehicle.soc_pct.value + more_pct, now_s))
        power_w, told_w = (drawn_w, permitted_w) if place == 0 else (0.0, 0.0)
        command = CommandState(told_w, "accepted", now_s, now_s + 30.0)
        evses.append(replace(state, power_w=Reading(power_w, now_s), command=command, vehicle=vehicle))
    return replace(
        snapshot, seq=snapshot.seq + 1, now_s=now_s, wall_s=snapshot.wall_s + dt_s, evses=tuple(evses)
    )


# The worked case: a bus at a 50 kW charger takes 22 kW.


def night_shift(lacks_pct: float = 45.0) -> tuple[Site, Snapshot]:
    """A hall of 60 kW. b1 needs 80 kWh in 4 h, b2 90 kWh (45 %) in 2 h; b3 sells and leaves tomorrow.

    By the plates b2 goes first and b1 takes 1.6 h after it. As b1 really draws, it must take 36 kWh in b2's
    two hours, and then 84 of 120 kWh are left for b2.
    """
    site = depot(3, hall_w=60_000.0)
    return site, needing(site, (40.0, 4.0), (lacks_pct, 2.0), (0.0, 30.0))


def test_a_bus_that_takes_22_of_50_kw_stops_the_fleets_export_once_ten_minutes_have_shown_it() -> None:
    site, snapshot = night_shift(40.0)
    began_s, memory = snapshot.wall_s, FRESH
    first: dict[str, float] = {}
    for _ in range(170):
        result = kept(site, snapshot, [50_000.0, 0.0, -10_000.0], memory)
        memory = result.memory
        for evse in result.refused:
            first.setdefault(evse, snapshot.wall_s - began_s)
        for event in result.events:
            first.setdefault(event.kind, snapshot.wall_s - began_s)
        snapshot = drawing(snapshot, 50_000.0, 22_000.0, 5.0)
    assert set(first) == {"b3", "export_refused", "departure_short"}
    assert 600.0 <= first["b3"] <= 660.0
    assert first["departure_short"] <= first["b3"] + LOOK_EVERY_S, (
        "and the alarm is out hours before anybody leaves"
    )
    assert memory.draws[0] is not None
    assert memory.draws[0].learned_w == 22_000.0


def test_with_the_plates_alone_the_same_export_goes_on() -> None:
    site, snapshot = night_shift()
    assert kept(site, snapshot, [50_000.0, 0.0, -10_000.0]).refused == {}
    assert set(
        kept(site, snapshot, [50_000.0, 0.0, -10_000.0], seen(site, {"learned_w": 22_000.0})).refused
    ) == {"b3"}


def test_a_bus_that_cannot_make_it_with_what_it_draws_is_named_hours_ahead() -> None:
    """80 kWh in 3.5 h are 22.9 kW: no question for a 50 kW charger, and impossible for this bus."""
    site = depot(1)
    snapshot = needing(site, (40.0, 3.5))
    assert kinds(kept(site, snapshot, [50_000.0])) == []
    result = kept(site, snapshot, [50_000.0], seen(site, {"learned_w": 22_000.0}))
    assert kinds(result) == [("departure_impossible", "b1")]
    assert result.events[0].text.startswith("departs in 3.5 h and lacks 3.")


def test_the_cars_own_report_counts_until_it_says_otherwise() -> None:
    """23 kW reported once: the alarm stands although the report has gone; the session's end ends it."""
    site = depot(1)
    snapshot = needing(site, (40.0, 3.5))
    reported = with_vehicle(snapshot, 0, max_charge_w=Reading(22_500.0, 100.0))
    memory = kept(site, replace(reported, seq=5), [0.0]).memory
    for reading in (Reading(22_500.0, 130.0), NO_SAMPLE):
        later = with_vehicle(
            replace(reported, wall_s=reported.wall_s + LOOK_EVERY_S), 0, max_charge_w=reading
        )
        assert ("departure_impossible", "b1") in kinds(kept(site, later, [0.0], memory))
    other = with_vehicle(replace(snapshot, wall_s=snapshot.wall_s + LOOK_EVERY_S), 0, session="next")
    assert kinds(kept(site, other, [0.0], memory)) == []


# Idle and overdue


def test_who_draws_nothing_though_it_may_is_told_of_once() -> None:
    site = depot(2)
    snapshot = needing(site, (20.0, 9.0), (0.0, 9.0))
    memory = seen(site, {"idle": True}, {"idle": True})
    first = kept(site, snapshot, [50_000.0, 0.0], memory)
    assert kinds(first) == [("vehicle_not_charging", "b1")], "b2 lacks nothing: it is full"
    assert first.memory.idle == ("b1",)
    again = kept(
        site, replace(snapshot, wall_s=snapshot.wall_s + LOOK_EVERY_S), [50_000.0, 0.0], first.memory
    )
    assert kinds(again) == []


@pytest.mark.parametrize("unsaid", ["soc_pct", "target_soc_pct"])
def test_who_may_be_full_is_no_alarm(unsaid: str) -> None:
    site = depot(1)
    snapshot = with_vehicle(needing(site, (20.0, 9.0)), 0, **{unsaid: NO_SAMPLE})
    assert kinds(kept(site, snapshot, [50_000.0], seen(site, {"idle": True}))) == []


def test_who_should_have_left_is_told_of_once_as_such_and_not_as_impossible() -> None:
    site = depot(1)
    snapshot = needing(site, (20.0, -2.0))
    first = kept(site, snapshot, [50_000.0])
    assert kinds(first) == [("departure_overdue", "b1")]
    assert first.events[0].text.startswith("should have left 2.0 h ago and lacks 40.0 kWh")
    assert first.memory.overdue == ("b1",)
    assert kinds(kept(site, replace(snapshot, wall_s=snapshot.wall_s + 60.0), [50_000.0], first.memory)) == []


def test_who_should_have_left_charged_is_nobodys_alarm() -> None:
    site = depot(1)
    assert kinds(kept(site, needing(site, (0.0, -2.0)), [0.0])) == []


def test_a_bus_left_standing_with_yesterdays_departure_does_not_hold_the_others_export_for_ever() -> None:
    """It is asleep: while that is not yet known the others stop, after ten minutes of nothing they sell
    again.
    """
    site = depot(2, hall_w=51_000.0)
    snapshot, memory = needing(site, (45.0, -9.0), (1.0, 1.0)), FRESH
    refused = []
    for _ in range(40):
        result = kept(site, snapshot, [50_000.0, -10_000.0], memory)
        memory = result.memory
        refused.append("b2" in result.refused)
        snapshot = drawing(snapshot, 50_000.0, 0.0)
    assert refused[0]
    assert not refused[-1]


def test_a_restart_keeps_what_was_learned_and_nothing_else() -> None:
    site, snapshot = night_shift()
    memory = kept(site, snapshot, [50_000.0, 0.0, -10_000.0], seen(site, {"learned_w": 22_000.0})).memory
    after = restarted(memory)
    assert after == DepartureMemory(draws=after.draws)
    assert set(kept(site, snapshot, [50_000.0, 0.0, -10_000.0], after).refused) == {"b3"}


# For every depot


@st.composite
def learned_draws(draw: Any) -> dict[str, Any] | None:
    if draw(st.booleans()):
        return None
    return {
        "learned_w": draw(st.sampled_from((ANY_W, 45_000.0, 22_000.0, 3_000.0))),
        "reported_w": draw(st.sampled_from((ANY_W, 40_000.0))),
        "idle": draw(st.booleans()),
    }


@given(case=depots(), draws=st.lists(learned_draws(), min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_was_seen_never_allows_an_export_that_the_plates_do_not(
    case: tuple[Site, Snapshot, Proposal], draws: list[dict[str, Any] | None]
) -> None:
    site, snapshot, wanted = case
    wished_w = [-w for w in wanted.exports_w]
    plain = seen(site, *(None if d is None else {**d, "learned_w": ANY_W} for d in draws))
    before = set(kept(site, snapshot, wished_w, plain).refused)
    assert before <= set(kept(site, snapshot, wished_w, seen(site, *draws)).refused)


@given(data=st.data(), case=depots(), draws=st.lists(learned_draws(), min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_losing_a_reading_never_gives_back_an_export_that_was_taken_away(
    data: Any, case: tuple[Site, Snapshot, Proposal], draws: list[dict[str, Any] | None]
) -> None:
    """Any reading: also the car's own limit, and the power from which others learn."""
    site, snapshot, wanted = case
    wished_w, memory = [-w for w in wanted.exports_w], seen(site, *draws)
    before = set(kept(site, snapshot, wished_w, memory).refused)
    place = data.draw(st.integers(0, 3))
    if data.draw(st.booleans()):
        lost = losses(data.draw, snapshot, place)
    elif data.draw(st.booleans()):
        lost = with_vehicle(snapshot, place, max_charge_w=NO_SAMPLE)
    else:
        gone = replace(snapshot.evses[place], power_w=NO_SAMPLE)
        lost = replace(snapshot, evses=(*snapshot.evses[:place], gone, *snapshot.evses[place + 1 :]))
    assert before <= set(kept(site, lost, wished_w, memory).refused)


@given(case=depots(), draws=st.lists(learned_draws(), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_next_ticks_verdict_from_memory_is_the_one_from_scratch(
    case: tuple[Site, Snapshot, Proposal], draws: list[dict[str, Any] | None]
) -> None:
    site, snapshot, wanted = case
    wished_w = [-w for w in wanted.exports_w]
    first = kept(site, snapshot, wished_w, seen(site, *draws)).memory
    later = replace(snapshot, now_s=snapshot.now_s + 5.0, wall_s=snapshot.wall_s + 5.0, seq=snapshot.seq + 1)
    scratch = DepartureMemory(draws=first.draws, refused=first.refused)
    assert kept(site, later, wished_w, first).refused == kept(site, later, wished_w, scratch).refused


@pytest.mark.parametrize(("lacking", "more"), [(1, ""), (3, " and 2 more")])
def test_a_refusal_names_the_one_that_would_lack_most_and_how_many_more(lacking: int, more: str) -> None:
    """Each needs 90 kWh in two hours, and the hall has 60 for all."""
    site = depot(lacking + 1, hall_w=30_000.0)
    needs = ((45.0, 2.0),) * lacking
    result = kept(site, needing(site, *needs, (0.0, 30.0)), [0.0] * lacking + [-10_000.0])
    why = result.refused[f"b{lacking + 1}"]
    assert f" kWh at departure{more}: " in why, why


def test_a_departure_on_the_edge_is_told_of_once_and_again_when_it_was_fine_for_a_while() -> None:
    """A charger that comes and goes (its rating reserved) makes b1 short at every other look."""
    site = depot(2, hall_w=60_000.0)
    snapshot, memory, told = needing(site, (45.0, 3.0)), FRESH, []
    for look in range(60):
        away_w = 50_000.0 if (look < 30 and look % 2 == 0) or look >= 50 else 0.0
        at = replace(snapshot, wall_s=snapshot.wall_s + look * LOOK_EVERY_S)
        result = admit_exports(depot_of(frame_of(site)), at, [0.0, 0.0], (0.0, away_w), memory)
        memory = result.memory
        assert bool(memory.short) == (away_w > 0.0), "the rules are told each time"
        told += [look for event in result.events if event.kind == "departure_short"]
    assert told == [0, 50]
    gone = replace(at, evses=(replace(at.evses[0], vehicle=None), at.evses[1]), wall_s=at.wall_s + 60.0)
    left = admit_exports(depot_of(frame_of(site)), gone, [0.0, 0.0], (0.0, 50_000.0), memory).memory
    assert left.alarmed == (), "the next vehicle there is told of anew"


def test_the_outlet_that_must_stop_for_the_others_is_held_for_a_slot_of_the_plan() -> None:
    """Of two exports one fits (see ``test_of_two_exports_that_do_not_fit_together…``): the rules are told."""
    hall_w = 100_600.0 / (4.0 - 30.0 / 3_600.0)
    site = depot(2, hall_w=hall_w)
    snapshot = needing(site, (40.0, 4.0), (10.0, 4.0))
    first = kept(site, snapshot, [-50_000.0, -50_000.0])
    assert (first.memory.held, first.memory.held_until_s) == (("b1",), snapshot.wall_s + HOLD_S)
    for later_s, held in ((HOLD_S, ("b1",)), (HOLD_S + 1.0, ()), (-1.0, ())):
        at = replace(snapshot, wall_s=snapshot.wall_s + later_s)
        assert kept(site, at, [0.0, 0.0], first.memory).memory.held == held, later_s
