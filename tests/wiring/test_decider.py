"""No reading, and no plan, ends the process: what breaks a tick is found, left out and named (case D12)."""

from typing import Any, cast

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.envelope import InvariantBroken
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.wiring.decider import TRY_AGAIN_S, Decider

SITE = small_site(3)


class Fragile:
    """A cycle that raises for what a test calls bad."""

    def __init__(self) -> None:
        self.good = Cycle(SITE)
        self.bad: set[str] = set()
        self.bad_plan = False
        self.error: type[Exception] = ZeroDivisionError
        self.calls = 0

    def tick(self, snapshot: Snapshot, plan: Plan | None, memory: Memory) -> Outcome:
        self.calls += 1
        present = {state.vehicle.vehicle for state in snapshot.evses if state.vehicle is not None}
        if self.bad & present or (self.bad_plan and plan is not None):
            raise self.error("float division by zero")
        return self.good.tick(snapshot, plan, memory)


def made() -> tuple[Fragile, Decider, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    cycle = Fragile()
    return cycle, Decider(SITE, cast(Any, cycle), lambda subject, text: told.append((subject, text))), told


PLAN = Plan(1, "cloud", 0.0, 0.0, 1e12, ())
NUMBERS = ("capacity_wh", "soc_pct", "target_soc_pct", "departure_wall_s", "max_charge_w", "max_discharge_w")


@pytest.mark.parametrize("bad", [{"bus-2"}, {"bus-1", "bus-3"}, {"bus-1", "bus-2", "bus-3"}])
@pytest.mark.parametrize("error", [ZeroDivisionError, ValueError, KeyError, OverflowError, AttributeError])
def test_outside_case_d12_the_outlet_is_left_out_and_named_and_the_others_go_on(
    bad: set[str], error: type[Exception]
) -> None:
    cycle, decider, told = made()
    cycle.bad, cycle.error = bad, error
    snapshot = healthy(SITE, 100.0, 1e9)
    decided = decider.decide(snapshot, None, Memory())
    named = {subject for subject, _ in told}
    assert named == {"b" + vehicle[-1] for vehicle in bad}
    for state, before, evse in zip(decided.snapshot.evses, snapshot.evses, SITE.evses, strict=True):
        assert (state is before) == (evse.id not in named)
        assert state.link.connected == (evse.id not in named), "what is left out counts as silent"
    assert error.__name__ in told[0][1]


def test_what_is_left_out_costs_one_search_and_is_told_once_and_tried_again() -> None:
    cycle, decider, told = made()
    cycle.bad = {"bus-2"}
    for n in range(30):
        decider.decide(healthy(SITE, 100.0 + n, 1e9 + n), None, Memory())
    assert cycle.calls == 1 + 1 + 3 + 29
    decider.decide(healthy(SITE, 100.0 + TRY_AGAIN_S, 1e9 + 60.0), None, Memory())
    assert len(told) == 1
    cycle.bad = set()
    decided = decider.decide(healthy(SITE, 100.0 + 2 * TRY_AGAIN_S, 1e9 + 120.0), None, Memory())
    assert all(state.vehicle is not None for state in decided.snapshot.evses)


def test_another_vehicle_is_tried_at_once() -> None:
    cycle, decider, told = made()
    cycle.bad = {"bus-2"}
    decider.decide(healthy(SITE, 100.0, 1e9), None, Memory())
    later = healthy(SITE, 101.0, 1e9 + 1.0)
    vehicle = later.evses[1].vehicle
    assert vehicle is not None
    other = replace(later.evses[1], vehicle=replace(vehicle, session="next", vehicle="bus-9"))
    later = replace(later, evses=(later.evses[0], other, later.evses[2]))
    assert decider.decide(later, None, Memory()).snapshot is later
    assert len(told) == 1


def test_a_plan_that_cannot_be_followed_is_left_out_and_no_outlet_is_blamed() -> None:
    cycle, decider, told = made()
    cycle.bad_plan = True
    snapshot = healthy(SITE, 100.0, 1e9)
    for _ in range(3):
        decided = decider.decide(snapshot, PLAN, Memory())
        assert (decided.snapshot, decided.plan) == (snapshot, None)
    assert [subject for subject, _ in told] == ["plan"]


def test_what_no_outlet_is_to_blame_for_goes_up() -> None:
    cycle, decider, _told = made()
    cycle.good = cast(Any, None)
    with pytest.raises(AttributeError):
        decider.decide(healthy(SITE, 100.0, 1e9), None, Memory())


def test_a_broken_invariant_is_never_searched_around() -> None:
    cycle, decider, _told = made()
    cycle.bad, cycle.error = {"bus-1"}, InvariantBroken
    with pytest.raises(InvariantBroken):
        decider.decide(healthy(SITE, 100.0, 1e9), PLAN, Memory())
    assert cycle.calls == 1


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_of_a_vehicle_ends_the_tick(name: str, value: float) -> None:
    """With the real cycle: whatever a register or a station says of a vehicle, there are permits for all."""
    decider = Decider(SITE, Cycle(SITE), lambda _subject, _text: None)
    picture = healthy(SITE, 100.0, 1e9)
    vehicle = picture.evses[1].vehicle
    assert vehicle is not None
    odd = replace(picture.evses[1], vehicle=replace(vehicle, **{name: Reading(value, 100.0)}))
    decided = decider.decide(
        replace(picture, evses=(picture.evses[0], odd, picture.evses[2])), None, Memory()
    )
    assert len(decided.outcome.permits) == 3
