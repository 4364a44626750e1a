"""Capacity bookings: nothing is sold twice, whatever is asked and however often the daemon starts."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.departure.test_capacity import WALL_S, buses, depot
from tests.depot import healthy, small_site
from v2g_edge.api.capacity import LONGEST_S, CapacityApi, CapacityBookings
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.departure.flexibility import INTERVALS
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.snapshot import Snapshot

DEPOT = depot()
SNAPSHOT = buses(DEPOT)
UNTOUCHED = EnvelopeMemory(evses=(EvseMemory(),) * len(DEPOT.frame.ids))
BOOKING: dict[str, Any] = {"book": "r1", "service": "reserve", "wanted_w": 30_000.0}


def permits(export_w: float = 50_000.0) -> tuple[Permit, ...]:
    """What the envelope leaves each outlet at the tick."""
    bound = Bound(-export_w, 50_000.0, "charger_rating", "test")
    return tuple(Permit(evse, 0.0, -export_w, 50_000.0, 30.0, True, 0.0, bound) for evse in DEPOT.frame.ids)


def asked(
    folder: Path,
    snapshot: Snapshot = SNAPSHOT,
    export_w: float = 50_000.0,
    ledger: EnvelopeMemory = UNTOUCHED,
    **params: Any,
) -> dict[str, Any]:
    """Bookings read anew each time, as after a restart."""
    return CapacityBookings(DEPOT.frame.site, folder / "offers.json").serve(
        params, snapshot, permits(export_w), ledger
    )


def test_a_look_books_nothing(tmp_path: Path) -> None:
    """40 kWh above the missions: 40 kW for an hour, 80 kW for half of it."""
    answer = asked(tmp_path)
    assert (answer["offer"]["power_w"], answer["booked"], answer["open"]) == (
        pytest.approx(40_000.0),
        False,
        [],
    )
    assert asked(tmp_path, duration_s=1_800.0)["offer"]["power_w"] == pytest.approx(80_000.0)
    assert asked(tmp_path, export_w=3_000.0)["offer"]["power_w"] == pytest.approx(6_000.0)
    assert list(tmp_path.iterdir()) == []


def test_d15_what_the_envelope_counted_as_taken_is_not_offered_again(tmp_path: Path) -> None:
    """Caps of 40 % an event and 60 % a day: 39 % and 59 % taken leave 1 % of 200 kWh a bus."""
    event = replace(UNTOUCHED, evses=(EvseMemory(event_pct=39.0), EvseMemory()))
    assert asked(tmp_path, ledger=event)["offer"]["evse_w"] == pytest.approx({"b1": 2_000.0, "b2": 20_000.0})
    day = replace(UNTOUCHED, taken_pct={"bus-2": 59.0})
    assert asked(tmp_path, ledger=day)["offer"]["evse_w"] == pytest.approx({"b1": 20_000.0, "b2": 2_000.0})


def test_a_booking_outlives_the_daemon_and_asking_again_books_nothing_more(tmp_path: Path) -> None:
    first = asked(tmp_path, **BOOKING)
    assert (first["booked"], first["offer"]["power_w"]) == (True, pytest.approx(30_000.0))
    kept = (tmp_path / "offers.json").read_bytes()
    assert asked(tmp_path, **BOOKING) == first
    assert (tmp_path / "offers.json").read_bytes() == kept
    assert asked(tmp_path)["offer"]["power_w"] == pytest.approx(10_000.0)
    assert asked(tmp_path, book="r2", service="market", wanted_w=30_000.0)["offer"][
        "power_w"
    ] == pytest.approx(10_000.0)
    assert not asked(tmp_path, book="r3", service="market", wanted_w=1_000.0, export_w=0.0)["booked"]
    assert [each["id"] for each in asked(tmp_path)["open"]] == ["r1", "r2"]


def test_a_booking_ends_with_its_time_or_when_it_is_cancelled(tmp_path: Path) -> None:
    asked(tmp_path, **BOOKING)
    assert asked(tmp_path, cancel="r1")["offer"]["power_w"] == pytest.approx(40_000.0)
    assert asked(tmp_path)["open"] == []
    asked(tmp_path, **BOOKING)
    later = replace(SNAPSHOT, wall_s=WALL_S + 3_600.0)
    assert asked(tmp_path, later)["open"] == []
    with pytest.raises(ValueError, match="nothing is booked as 'r9'"):
        asked(tmp_path, cancel="r9")


def test_an_outlet_that_the_site_no_longer_has_does_not_end_the_counter(tmp_path: Path) -> None:
    asked(tmp_path, **BOOKING)
    file = tmp_path / "offers.json"
    ledger = json.loads(file.read_bytes().partition(b"\n#crc32")[0])
    file.write_text(json.dumps(ledger).replace('"b2"', '"gone"'))
    file.with_name("offers.json.copy").unlink()
    assert asked(tmp_path)["offer"]["power_w"] == pytest.approx(25_000.0)


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"offers":7}'])
def test_a_ledger_that_cannot_be_read_sells_nothing_until_every_booking_is_over(
    tmp_path: Path, garbage: bytes
) -> None:
    """Nobody has to mend it: after the longest booking that there can have been it sells again. The damaged
    file is kept, and a restart forgets nothing of it.
    """
    file = tmp_path / "offers.json"
    file.write_bytes(garbage)
    for after_s in (0.0, 3_600.0, LONGEST_S - 1.0):
        with pytest.raises(ValueError, match=r"offers\.json was damaged.*nothing is offered"):
            asked(tmp_path, replace(SNAPSHOT, wall_s=WALL_S + after_s), **BOOKING)
    assert (tmp_path / "offers.json.broken").read_bytes() == garbage
    later = replace(SNAPSHOT, wall_s=WALL_S + LONGEST_S)
    assert asked(tmp_path, later)["open"] == []


def test_a_ledger_in_doubt_waits_for_a_clock_that_is_right(tmp_path: Path) -> None:
    (tmp_path / "offers.json").write_bytes(b"{")
    with pytest.raises(ValueError, match="not known"):
        asked(tmp_path, replace(SNAPSHOT, wall_s=0.0, clock_synced=False))
    with pytest.raises(ValueError, match="not known"):
        asked(tmp_path)
    assert asked(tmp_path, replace(SNAPSHOT, wall_s=WALL_S + LONGEST_S))["open"] == []


def test_the_other_copy_of_the_ledger_speaks_for_a_damaged_one(tmp_path: Path) -> None:
    asked(tmp_path, **BOOKING)
    (tmp_path / "offers.json").write_bytes(b"{")
    assert [each["id"] for each in asked(tmp_path)["open"]] == ["r1"]


def test_a_ledger_of_the_version_before_is_read(tmp_path: Path) -> None:
    (tmp_path / "offers.json").write_bytes(msgspec.json.encode({"offers": []}))
    assert asked(tmp_path)["open"] == []


def test_without_wall_time_nothing_is_sold(tmp_path: Path) -> None:
    unsure = replace(SNAPSHOT, clock_synced=False)
    with pytest.raises(ValueError, match="not synchronised"):
        asked(tmp_path, unsure, **BOOKING)
    assert asked(tmp_path, unsure)["offer"]["power_w"] == 0.0


@pytest.mark.parametrize(
    "params",
    [
        {"book": "r1"},
        {"book": "r1", "service": "s"},
        {"service": "s", "wanted_w": 1.0},
        {"book": "r1", "service": "s", "wanted_w": 1.0, "cancel": "r0"},
        {"book": "x" * 65, "service": "s", "wanted_w": 1.0},
        {"book": 7, "service": "s", "wanted_w": 1.0},
        {"wanted_w": "much"},
        {"wanted_w": True},
        {"wanted_w": -1.0},
        {"wanted_w": float("nan")},
        {"duration_s": 0.0},
        {"duration_s": 1e6},
        {"kw": 3.0},
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_with_what_is_allowed(
    tmp_path: Path, params: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"capacity takes|a booking needs"):
        asked(tmp_path, **params)
    assert list(tmp_path.iterdir()) == []


@given(
    asks=st.lists(
        st.tuples(st.integers(0, 4), st.floats(1.0, 60_000.0), st.sampled_from((900.0, 3_600.0))), max_size=10
    )
)
@settings(max_examples=30, deadline=None)
def test_no_run_of_pings_and_restarts_sells_more_than_there_is(
    tmp_path_factory: pytest.TempPathFactory, asks: list[tuple[int, float, float]]
) -> None:
    """40 kWh in two buses, 50 kW each."""
    folder = tmp_path_factory.mktemp("counter")
    answer: dict[str, Any] = {"open": []}
    for number, wanted_w, duration_s in asks:
        answer = asked(folder, book=f"r{number}", service="market", wanted_w=wanted_w, duration_s=duration_s)
    sold = answer["open"]
    assert len({each["id"] for each in sold}) == len(sold)
    assert (
        sum(each["power_w"] * (each["until_wall_s"] - WALL_S) / 3_600.0 for each in sold) <= 40_000.0 + 1e-3
    )
    assert sum(each["power_w"] for each in sold) <= 100_000.0 + 1e-6


def test_flexibility_is_told_of_the_last_tick_unless_the_clock_or_the_ledger_is_not_known(
    tmp_path: Path,
) -> None:
    site = small_site()
    state, cycle, path = DepotState(site), Cycle(site), tmp_path / "offers.json"

    def told(*, synced: bool) -> dict[str, Any] | None:
        picture = replace(healthy(site), clock_synced=synced)
        state.tick = Tick(picture, None, cycle.tick(picture, None, Memory()))
        return CapacityApi(state, path).flexibility()

    found = told(synced=True)
    assert found is not None
    assert found["wall_s"] == healthy(site).wall_s
    assert len(found["intervals"]) == INTERVALS
    assert sum(each["down_w"] for each in found["intervals"]) > 0.0
    assert told(synced=False) is None
    path.write_text("{")
    assert told(synced=True) is None
