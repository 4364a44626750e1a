"""A missing number is a doubt (rule 12): what a charger sends for "none" is no number, and another source is
heard.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import BUS, small_site
from tests.field.test_timetable import EVENING, timed_board, wall
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.field.board import Board
from v2g_edge.field.fleet_overlay import FleetOverlay
from v2g_edge.field.sentinel_values import FAR_AHEAD_S, LONG_AGO_S, as_meant
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import Link, Operator, Snapshot, VehicleState

BUS_1 = VehicleState("s1", "bus-1", EVENING, soc_pct=Reading(30.0, 1.0))
NONE: dict[str, Reading] = {
    "departure_wall_s": Reading(0.0, 5.0),
    "target_soc_pct": Reading(0.0, 5.0),
    "max_charge_w": Reading(0.0, 5.0),
}


def frozen(board: Board) -> Snapshot:
    return board.freeze(1.0, EVENING, clock_synced=True, operator=Operator())


def first(board: Board) -> VehicleState:
    vehicle = frozen(board).evses[0].vehicle
    assert vehicle is not None
    return vehicle


@pytest.mark.parametrize("late", [False, True], ids=["with the plug", "a while after it"])
def test_needs_that_say_none_leave_the_word_to_the_site_file(late: bool) -> None:
    """OCPP's NotifyEVChargingNeeds filled with zeros: the bus would have left with what it had."""
    board = timed_board()
    board.plug_in("b1", BUS_1 if late else replace(BUS_1, **NONE))
    first(board)
    if late:
        board.update_vehicle("b1", **NONE)
    vehicle = first(board)
    assert vehicle.departure_wall_s == Reading(wall("2026-01-15 06:00"), 1.0)
    assert vehicle.target_soc_pct == Reading(85.0, 1.0)
    assert isinstance(vehicle.max_charge_w, Unknown)


YEAR_S = 365.0 * 86_400.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("departure_wall_s", EVENING + 2.0**32),
        ("departure_wall_s", EVENING + 12.0 * YEAR_S),
        ("departure_wall_s", 253_402_300_799.0),
        ("target_soc_pct", 0.8),
        ("target_soc_pct", 1.0),
        ("target_soc_pct", -1.0),
        ("target_soc_pct", 255.0),
        ("max_charge_w", 50.0),
        ("max_charge_w", 690.0),
        ("capacity_wh", 60.0),
        ("capacity_wh", -1.0),
        ("capacity_wh", 2.0**32 - 1.0),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["with the plug", "a while after it"])
def test_a_sentinel_and_a_number_in_another_unit_leave_the_word_to_the_site_file(
    name: str, said: float, late: bool
) -> None:
    """The most that a field can hold, the year in which a calendar ends, a share, kilowatts."""
    board = timed_board()
    told = {name: Reading(said, 5.0)}
    board.plug_in("b1", BUS_1 if late else replace(BUS_1, **told))
    first(board)
    if late:
        board.update_vehicle("b1", **told)
    vehicle = first(board)
    assert vehicle.departure_wall_s == Reading(wall("2026-01-15 06:00"), 1.0)
    assert vehicle.target_soc_pct == Reading(85.0, 1.0)
    assert isinstance(vehicle.max_charge_w, Unknown)
    assert isinstance(vehicle.capacity_wh, Unknown)


@pytest.mark.parametrize("wrong_s", [-EVENING, 10.0 * YEAR_S], ids=["1970", "2036"])
def test_a_station_whose_clock_is_years_off_takes_no_departure_away(wrong_s: float) -> None:
    """Neither the fleet's nor the site file's: when the vehicle came, it only guesses."""
    board = timed_board()
    first_picture = replace(BUS_1, plugged_wall_s=EVENING + wrong_s)
    board.plug_in("b1", first_picture)
    assert first(board).departure_wall_s == Reading(wall("2026-01-15 06:00"), 1.0)

    class Fleet:
        revision = 0

        def facts_of(self, vehicle: str, plugged_wall_s: float, now_s: float, wall_s: float) -> Any:
            return {"departure_wall_s": Reading(EVENING + 3_600.0, 5.0)}

    seen = FleetOverlay(Fleet()).apply("b1", first_picture, 5.0, EVENING)
    assert seen.departure_wall_s == Reading(EVENING + 3_600.0, 5.0)


def test_what_was_said_before_stands_when_none_is_said() -> None:
    board = timed_board()
    board.plug_in("b1", replace(BUS_1, max_charge_w=Reading(11_000.0, 0.5)))
    board.update_vehicle("b1", max_charge_w=Reading(0.0, 5.0), soc_pct=Reading(31.0, 5.0))
    assert (first(board).max_charge_w, first(board).soc_pct) == (Reading(11_000.0, 0.5), Reading(31.0, 5.0))


def test_the_fleets_systems_can_say_none_too() -> None:
    class Fleet:
        revision = 0

        def facts_of(self, vehicle: str, plugged_wall_s: float, now_s: float, wall_s: float) -> Any:
            return {**NONE, "ceiling_soc_pct": Reading(80.0, 5.0)}

    own = replace(BUS_1, target_soc_pct=Reading(70.0, 1.0))
    seen = FleetOverlay(Fleet()).apply("b1", own, 5.0, EVENING)
    assert seen == replace(own, ceiling_soc_pct=Reading(80.0, 5.0))


@given(
    target_pct=st.floats(1.1, 100.0),
    takes_w=st.floats(1_001.0, 400_000.0),
    leaves_in_s=st.floats(-LONG_AGO_S + 1.0, FAR_AHEAD_S - 1.0),
)
def test_any_other_word_counts(target_pct: float, takes_w: float, leaves_in_s: float) -> None:
    said = replace(
        BUS_1,
        target_soc_pct=Reading(target_pct, 1.0),
        max_charge_w=Reading(takes_w, 1.0),
        departure_wall_s=Reading(EVENING + leaves_in_s, 1.0),
    )
    assert as_meant(said) is said


def test_a_vehicle_that_says_none_charges_all_the_same() -> None:
    site = small_site(1, vehicle_types=(replace(BUS, pack_max_c=1e12),))
    board = Board(site, lambda: None)
    for now_s in (1.0, 2.0):
        board.update_evse("b1", link=Link(True, True, now_s), status="occupied", power_w=Reading(0.0, now_s))
        board.update_meter("grid", power_w=Reading(20_000.0, now_s), frequency_hz=Reading(50.0, now_s))
    board.plug_in("b1", replace(BUS_1, **NONE))
    outcome = Cycle(site).tick(frozen(board), None, Memory())
    assert outcome.wishes[0].power_w == site.evses[0].max_charge_w
