"""Status and why: what they show is what is, and nothing that was."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.cli.live.status import lines_of as status_lines
from v2g_edge.cli.live.why import lines_of as why_lines
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.departure.admit_exports import DepartureMemory
from v2g_edge.departure.charging_power import LearnedPower
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.explain import describe_status, describe_why

SITE = small_site()
WALL_S = 1_000_000.0


def outcome_of(snapshot: Snapshot, told: DepartureMemory | None = None) -> Outcome:
    """One tick; ``told`` stands for what the ticks before have left."""
    outcome = Cycle(SITE).tick(snapshot, None, Memory())
    if told is None:
        return outcome
    envelope = replace(outcome.memory.envelope, departures=told)
    return replace(outcome, memory=replace(outcome.memory, envelope=envelope))


def row(snapshot: Snapshot, told: DepartureMemory | None = None) -> dict[str, Any]:
    return dict(describe_status(SITE, snapshot, None, outcome_of(snapshot, told))["evses"][0])


def with_first(**changes: Any) -> Snapshot:
    snapshot = healthy(SITE)
    return replace(snapshot, evses=(replace(snapshot.evses[0], **changes), snapshot.evses[1]))


def test_the_power_of_a_vehicle_that_has_left_or_reported_long_ago_is_unknown() -> None:
    assert row(with_first(power_w=Reading(11_000.0, 99.0)))["power_w"] == 11_000.0
    assert row(with_first(power_w=Reading(11_000.0, 99.0), vehicle=None))["power_w"] is None
    assert row(with_first(power_w=Reading(11_000.0, 60.0)))["power_w"] is None
    gone = with_first(power_w=Reading(11_000.0, 99.0), vehicle=None)
    assert describe_why(SITE, gone, outcome_of(gone), "b1")["measured_w"] is None


@pytest.mark.parametrize(
    ("told", "departs_in_s", "risks"),
    [
        (DepartureMemory(), 36_000.0, []),
        (DepartureMemory(), -60.0, ["overdue"]),
        (DepartureMemory(hopeless=("b1",)), 36_000.0, ["impossible"]),
        (DepartureMemory(hopeless=("b1",)), -60.0, ["overdue"]),
        (DepartureMemory(short=(("b1", 900.0),), idle=("b1",)), 36_000.0, ["short", "not_charging"]),
        (DepartureMemory(hopeless=("b2",), short=(("b2", 900.0),), idle=("b2",)), 36_000.0, []),
    ],
)
def test_a_departure_in_danger_shows_in_status_and_why(
    told: DepartureMemory, departs_in_s: float, risks: list[str]
) -> None:
    bus = plugged("bus-1", 100.0, WALL_S, departure_wall_s=Reading(WALL_S + departs_in_s, 100.0))
    snapshot = replace(healthy(SITE), evses=(bus, healthy(SITE).evses[1]))
    assert row(snapshot, told)["risks"] == risks
    why = describe_why(SITE, snapshot, outcome_of(snapshot, told), "b1")
    assert why["risks"] == risks
    assert any("departure" in line and risks[0] in line for line in why_lines(why)) if risks else True
    table = status_lines(describe_status(SITE, snapshot, None, outcome_of(snapshot, told)))
    shown = next(line for line in table if line.startswith("b1"))
    assert all(risk.replace("_", " ").upper() in shown for risk in risks)


def test_who_has_left_is_in_no_danger() -> None:
    assert row(with_first(vehicle=None), DepartureMemory(hopeless=("b1",), idle=("b1",)))["risks"] == []


def test_why_an_overdue_vehicle_charges_has_an_answer() -> None:
    bus = plugged("bus-1", 100.0, WALL_S, departure_wall_s=Reading(WALL_S - 7_200.0, 100.0))
    snapshot = replace(healthy(SITE), evses=(bus, healthy(SITE).evses[1]))
    why = describe_why(SITE, snapshot, outcome_of(snapshot), "b1")
    assert (why["reason"], why["wish_w"], why["risks"]) == ("overdue", 50_000.0, ["overdue"])


def test_what_the_vehicle_was_seen_to_take_is_shown_while_it_is_there() -> None:
    told = DepartureMemory(draws=(LearnedPower("s-bus-1", learned_w=22_000.0), None))
    assert row(healthy(SITE), told)["takes_w"] == 22_000.0
    snapshot = healthy(SITE)
    assert any(
        "22.0 kW at most" in line
        for line in why_lines(describe_why(SITE, snapshot, outcome_of(snapshot, told), "b1"))
    )
    assert row(with_first(vehicle=None), told)["takes_w"] is None
    assert (
        row(healthy(SITE), DepartureMemory(draws=(LearnedPower("another", learned_w=22_000.0), None)))[
            "takes_w"
        ]
        is None
    )
    assert row(healthy(SITE), DepartureMemory())["takes_w"] is None


def test_a_droop_shows_beside_its_setpoint_and_only_where_there_is_one() -> None:
    snapshot = healthy(SITE)
    outcome = outcome_of(snapshot)
    assert not [line for line in why_lines(describe_why(SITE, snapshot, outcome, "b1")) if "response" in line]
    first = replace(outcome.permits[0], droop_w=12_000.0)
    drooping = replace(outcome, permits=(first, *outcome.permits[1:]))
    assert "  response   +12.0 kW or as much less, by the grid's frequency" in why_lines(
        describe_why(SITE, snapshot, drooping, "b1")
    )
