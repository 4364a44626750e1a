"""What a station says of its transactions is kept short, also where a lenient link lets long words pass."""

import pytest
from msgspec import json

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT_S
from v2g_edge.field.ocpp.station.sessions import SEEN_MAX
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.versions.v201 import MODES_MAX, read_needs
from v2g_edge.field.ocpp.vocabulary.facts import TEXT_MAX, SessionEvent


def test_a_transaction_with_an_endless_name_is_refused_and_nothing_of_it_is_kept() -> None:
    depot = Depot()
    station = depot.central.links["new"].station
    station.on_session(SessionEvent("started", "t" * TEXT_MAX, 1, AT_S))
    for length in (TEXT_MAX + 1, 500_000):
        with pytest.raises(
            ValueError, match="at most 255 signs"
        ):  # which the link answers with FormatViolation
            station.on_session(SessionEvent("started", "t" * length, 1, AT_S))
    assert len(station.sessions._seen) == 1
    assert [len(each.transaction) for each in depot.central._store.open_sessions("new")] == [TEXT_MAX]


def test_what_is_remembered_to_tell_repetitions_has_an_end() -> None:
    depot = Depot()
    station = depot.central.links["new"].station
    for number in range(3 * SEEN_MAX):
        assert station.sessions.transaction_id(1, "card", AT_S, number) == 2 * number + 1
        assert station.sessions.transaction_id(1_000 + number, "c" * 500_000, AT_S, number) == 2 * number + 2
        station.sessions.took(SessionEvent("updated", str(number), 1, AT_S))
    assert len(station.sessions._seen) == SEEN_MAX
    assert depot.central._store.count_facts("start/new/") == 2, (
        "one row for each outlet, one for all that there are not"
    )
    assert len(depot.central._store.fact("start/new/elsewhere")) < 400


def test_of_a_vehicles_ways_of_energy_transfer_so_many_are_kept() -> None:
    modes = [f"Mode{number}" for number in range(1_000)]
    needs = read_needs({"requestedEnergyTransfer": "x" * 10_000, "availableEnergyTransfer": [*modes, *modes]})
    assert needs.available == tuple(modes[:MODES_MAX])
    assert len(json.encode(needs)) < 2_000


def ended(presumed: bool) -> tuple[Depot, Station]:
    """A depot in which a transaction of 100 s is over: by its end, or by another fact."""
    depot = Depot()
    station = depot.central.links["new"].station
    station.on_session(SessionEvent("started", "t1", 1, AT_S, vehicle="bus-1", plugged=True))
    if presumed:
        station.sessions.presume_over(station.outlets[1], "it is free", AT_S + 100.0)
    else:
        station.on_session(SessionEvent("ended", "t1", 1, AT_S + 100.0, seq=9))
    assert depot.board.evse("b2").vehicle is None
    return depot, station


@pytest.mark.parametrize(
    ("presumed", "after_s", "goes_on"),
    [
        (False, 110.0, False),
        (False, 50.0, False),
        (True, 50.0, False),
        (True, 100.0, False),
        (True, 110.0, True),
    ],
)
def test_what_is_over_goes_on_only_where_its_end_was_presumed_and_a_later_fact_says_so(
    presumed: bool, after_s: float, goes_on: bool
) -> None:
    depot, station = ended(presumed)
    station.on_session(SessionEvent("updated", "t1", 1, AT_S + after_s, seq=10))
    assert (depot.board.evse("b2").vehicle is not None) is goes_on
    kept = depot.central._store.session("new", "t1")
    assert kept is not None
    assert (kept.ended_wall_s is None) is goes_on


def test_a_transaction_whose_end_was_presumed_does_not_push_the_next_vehicle_out() -> None:
    depot, station = ended(presumed=True)
    station.on_session(SessionEvent("started", "t2", 1, AT_S + 105.0, vehicle="bus-2", plugged=True))
    station.on_session(SessionEvent("updated", "t1", 1, AT_S + 110.0, seq=10))
    vehicle = depot.board.evse("b2").vehicle
    assert vehicle is not None
    assert vehicle.session == "t2"


def test_an_end_that_is_presumed_by_a_guessed_clock_does_not_bury_what_is_told_later() -> None:
    """The controller has started without the time, and believes to be years ahead."""
    depot = Depot()
    station = depot.central.links["new"].station
    station.on_session(SessionEvent("started", "t1", 1, AT_S, vehicle="bus-1", plugged=True))
    depot.clock.wall = AT_S + 1e8
    depot.clock.synced = lambda: False  # type: ignore[method-assign]
    station.clock_skew.known = False
    station.sessions.presume_over(station.outlets[1], "it is free")
    assert depot.board.evse("b2").vehicle is None
    station.on_session(SessionEvent("updated", "t1", 1, AT_S + 60.0, seq=2))
    assert depot.board.evse("b2").vehicle is not None


def test_an_end_that_is_presumed_by_a_known_clock_buries_what_was_queued_before_it() -> None:
    depot = Depot()
    station = depot.central.links["new"].station
    station.on_session(SessionEvent("started", "t1", 1, AT_S, vehicle="bus-1", plugged=True))
    depot.clock.advance(100.0)
    station.sessions.presume_over(station.outlets[1], "it is free")
    station.on_session(SessionEvent("updated", "t1", 1, AT_S + 60.0, seq=2))
    assert depot.board.evse("b2").vehicle is None
