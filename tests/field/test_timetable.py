"""Departures of the site file: the next local time after plug-in, and only where the charger does not say
it itself.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import small_site
from v2g_edge.field.board import Board
from v2g_edge.field.timetable import Timetable, next_local_s
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.site import Vehicle
from v2g_edge.model.snapshot import Operator, VehicleState

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3_600.0


def wall(text: str, fold: int = 0) -> float:
    """UTC seconds of a local time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


EVENING = wall("2026-01-14 18:00")


def timed_board() -> Board:
    """b1 and b2 as in the small site; bus-1 leaves at 06:00 with 85 %, bus-2 at no fixed time, bus-3 at
    07:30.
    """
    vehicles = (
        Vehicle("bus-1", "bus", True, 0.0, "06:00", 85.0),
        Vehicle("bus-2", "bus", True),
        Vehicle("bus-3", "bus", True, 0.0, "07:30"),
    )
    return Board(small_site(vehicles=vehicles), lambda: None)


def seen(board: Board, now_s: float = 5.0, wall_s: float = EVENING, *, synced: bool = True) -> VehicleState:
    """The vehicle at b1 in the next picture."""
    vehicle = board.freeze(now_s, wall_s, clock_synced=synced, operator=Operator()).evses[0].vehicle
    assert vehicle is not None
    return vehicle


@pytest.mark.parametrize(
    ("hh_mm", "after", "expected"),
    [
        ("06:00", "2026-01-14 18:00", "2026-01-15 06:00"),
        ("18:01", "2026-01-14 18:00", "2026-01-14 18:01"),
        ("18:00", "2026-01-14 18:00", "2026-01-15 18:00"),
        ("06:00", "2025-12-31 23:59", "2026-01-01 06:00"),
    ],
)
def test_the_next_such_time_strictly_after_the_plug_in_counts(hh_mm: str, after: str, expected: str) -> None:
    assert next_local_s(hh_mm, BERLIN, wall(after)) == wall(expected)


def test_nights_of_a_clock_change_are_an_hour_shorter_or_longer() -> None:
    """29 March 2026 has 23 hours and 25 October 2026 has 25: from 18:00 to 06:00 it is 11 and 13 hours."""
    assert next_local_s("06:00", BERLIN, wall("2026-03-28 18:00")) - wall("2026-03-28 18:00") == 11 * HOUR_S
    assert next_local_s("06:00", BERLIN, wall("2026-10-24 18:00")) - wall("2026-10-24 18:00") == 13 * HOUR_S


def test_a_time_that_a_clock_change_skips_or_repeats_is_met_at_the_earliest_it_can_mean() -> None:
    skipped = next_local_s("02:30", BERLIN, wall("2026-03-28 18:00"))
    assert skipped == wall("2026-03-29 01:30")
    first = next_local_s("02:30", BERLIN, wall("2026-10-24 18:00"))
    assert first == wall("2026-10-25 02:30", fold=0)
    assert next_local_s("02:30", BERLIN, first + 60.0) == wall("2026-10-25 02:30", fold=1)


@given(st.integers(0, 1439), st.integers(1_700_000_000, 2_000_000_000))
def test_the_next_time_is_within_25_hours_and_shows_the_right_hands(minutes: int, after_s: int) -> None:
    hh_mm = f"{minutes // 60:02}:{minutes % 60:02}"
    found_s = next_local_s(hh_mm, BERLIN, float(after_s))
    assert 0.0 < found_s - after_s <= 25 * HOUR_S
    shown = datetime.fromtimestamp(found_s, BERLIN).strftime("%H:%M")
    assert shown == hh_mm or hh_mm.startswith("02:")  # 02:xx does not exist on the day of the skip


def test_a_charger_that_says_nothing_gets_departure_and_target_of_the_site_file_as_readings_of_now() -> None:
    board = timed_board()
    board.plug_in("b1", VehicleState("s1", "bus-1", EVENING))
    vehicle = seen(board, now_s=5.0)
    assert vehicle.departure_wall_s == Reading(wall("2026-01-15 06:00"), 5.0)
    assert vehicle.target_soc_pct == Reading(85.0, 5.0)
    assert seen(board, now_s=6.0) is vehicle


@pytest.mark.parametrize("when", ["before the picture", "after the picture"])
def test_what_the_charger_says_goes_first_whenever_it_says_it(when: str) -> None:
    board = timed_board()
    said: dict[str, Any] = {"departure_wall_s": Reading(EVENING + 60.0, 1.0)}
    if when == "before the picture":
        board.plug_in("b1", replace(VehicleState("s1", "bus-1", EVENING), **said))
    else:
        board.plug_in("b1", VehicleState("s1", "bus-1", EVENING))
        seen(board)
        board.update_vehicle("b1", **said)
    vehicle = seen(board)
    assert vehicle.departure_wall_s == said["departure_wall_s"]
    assert vehicle.target_soc_pct == Reading(85.0, 5.0)


@pytest.mark.parametrize("vehicle", ["", "stranger", "bus-2"])
def test_who_has_no_departure_there_keeps_an_unknown_one(vehicle: str) -> None:
    board = timed_board()
    board.plug_in("b1", VehicleState("s1", vehicle, EVENING))
    assert seen(board).departure_wall_s == NO_SAMPLE
    assert seen(board).target_soc_pct == NO_SAMPLE


def test_without_a_clock_that_can_be_trusted_the_departure_waits_for_one() -> None:
    board = timed_board()
    board.plug_in("b1", VehicleState("s1", "bus-1", EVENING))
    assert seen(board, synced=False).departure_wall_s == NO_SAMPLE
    assert seen(board, now_s=9.0).departure_wall_s == Reading(wall("2026-01-15 06:00"), 9.0)


def test_a_station_whose_clock_is_ahead_moves_no_departure_to_a_later_day() -> None:
    board = timed_board()
    board.plug_in("b1", VehicleState("s1", "bus-1", EVENING + 5 * 24 * HOUR_S))
    assert seen(board).departure_wall_s == Reading(wall("2026-01-15 06:00"), 5.0)


@pytest.mark.parametrize("came", ["1970-01-01 01:01", "2000-01-01 00:00", "2026-01-14 05:00"])
def test_a_station_whose_clock_is_behind_moves_no_departure_into_the_past(came: str) -> None:
    """It began in 1970, or counts half a day as a whole one: the bus would be "overdue", and last in line."""
    board = timed_board()
    board.plug_in("b1", VehicleState("s1", "bus-1", wall(came)))
    assert seen(board).departure_wall_s == Reading(wall("2026-01-15 06:00"), 5.0)


@pytest.mark.parametrize("named_by", ["the site file", "the charger"])
def test_a_vehicle_that_stays_beyond_its_departure_leaves_by_the_next_one(named_by: str) -> None:
    """Parked over a Saturday on which it did not go out: on Monday it needs more, and nobody would know."""
    lines = ("Th 06:00 60", "Fr 06:00 95")
    van = Vehicle("bus-1", "bus", True, 0.0, "", 80.0, departures=lines)
    board = Board(small_site(vehicles=(van,)), lambda: None)
    vehicle = VehicleState("s1", "bus-1", EVENING)
    if named_by == "the charger":
        vehicle = replace(vehicle, departure_wall_s=Reading(wall("2026-01-15 06:00"), 1.0))
    board.plug_in("b1", vehicle)
    before = seen(board)
    assert (before.departure_wall_s, before.target_soc_pct) == (
        Reading(wall("2026-01-15 06:00"), 5.0 if named_by == "the site file" else 1.0),
        Reading(60.0, 5.0),
    )
    late = seen(board, 9.0, wall("2026-01-15 11:59"))
    assert late.departure_wall_s == before.departure_wall_s, "its driver may be late"
    after = seen(board, 9.0, wall("2026-01-15 12:02"))
    assert after.departure_wall_s == Reading(wall("2026-01-16 06:00"), 9.0)
    assert after.target_soc_pct == Reading(95.0, 9.0)


def test_a_departure_that_is_over_stays_where_nobody_knows_the_next() -> None:
    """What was known is better than nothing: it is overdue, charges, and never exports."""
    board = timed_board()
    over = Reading(EVENING + HOUR_S, 1.0)
    board.plug_in("b1", VehicleState("s1", "bus-2", EVENING, departure_wall_s=over))
    assert seen(board, 9.0, EVENING + 30.0 * HOUR_S).departure_wall_s == over


def test_an_identity_that_comes_late_or_changes_brings_its_own_departure() -> None:
    board = timed_board()
    board.plug_in("b1", VehicleState("s1", "", EVENING))
    assert seen(board).departure_wall_s == NO_SAMPLE
    board.update_vehicle("b1", vehicle="bus-1")
    assert seen(board).departure_wall_s == Reading(wall("2026-01-15 06:00"), 5.0)
    board.update_vehicle("b1", vehicle="bus-3")
    assert seen(board, now_s=7.0).departure_wall_s == Reading(wall("2026-01-15 07:30"), 7.0)
    board.update_vehicle("b1", vehicle="bus-2")
    assert seen(board).departure_wall_s == NO_SAMPLE


def test_what_the_charger_said_stays_when_the_identity_changes() -> None:
    board = timed_board()
    said = Reading(EVENING + 60.0, 1.0)
    board.plug_in("b1", VehicleState("s1", "bus-1", EVENING, departure_wall_s=said))
    seen(board)
    board.update_vehicle("b1", vehicle="bus-2")
    assert seen(board).departure_wall_s == said
    assert seen(board).target_soc_pct == NO_SAMPLE


def by_calendar(*lines: str, departs: str = "", holidays: tuple[str, ...] = ()) -> Timetable:
    """One van with days that differ."""
    van = Vehicle("van", "bus", may_discharge=False, departs=departs, target_soc_pct=80.0, departures=lines)
    return Timetable(small_site(vehicles=(van,), holidays=holidays))


def leaves(timetable: Timetable, after: str) -> tuple[str, float] | None:
    """When and with what a van leaves that was plugged in then."""
    zone = ZoneInfo("Europe/Berlin")
    wall_s = datetime.fromisoformat(after).replace(tzinfo=zone).timestamp()
    said = timetable.says(VehicleState("s", "van", wall_s), 0.0, wall_s)
    if not said:
        return None
    moment = datetime.fromtimestamp(said["departure_wall_s"].value, UTC).astimezone(zone)
    return f"{moment:%a %Y-%m-%d %H:%M}", said["target_soc_pct"].value


def test_weekdays_holidays_and_dates_have_their_own_departures() -> None:
    """A date before a holiday before a weekday before every day; "-" stays."""
    van = by_calendar("Mo-Fr 05:30", "Sa 08:00 60", "PH -", "2026-12-24 12:00 50", holidays=("2026-12-25",))
    assert leaves(van, "2026-01-15T18:00") == ("Fri 2026-01-16 05:30", 80.0)
    assert leaves(van, "2026-01-16T18:00") == ("Sat 2026-01-17 08:00", 60.0)
    assert leaves(van, "2026-01-17T18:00") == ("Mon 2026-01-19 05:30", 80.0)
    assert leaves(van, "2026-12-23T18:00") == ("Thu 2026-12-24 12:00", 50.0)
    assert leaves(van, "2026-12-24T18:00") == ("Sat 2026-12-26 08:00", 60.0)


def test_days_that_nothing_names_are_as_every_day() -> None:
    """Without a departure of every day the next one that is named counts; with none in two weeks nobody
    knows.
    """
    assert leaves(by_calendar("Su -", departs="06:00"), "2026-01-17T18:00") == ("Mon 2026-01-19 06:00", 80.0)
    assert leaves(by_calendar("Mo-Su -"), "2026-01-17T18:00") is None


@pytest.mark.parametrize(
    ("day", "shown"), [("2026-03-28", "Sun 2026-03-29 03:30"), ("2026-10-24", "Sun 2026-10-25 02:30")]
)
def test_a_departure_in_the_hour_of_a_clock_change_is_the_earlier_one(day: str, shown: str) -> None:
    """Days of 23 and of 25 hours."""
    found = leaves(by_calendar("Su 02:30"), f"{day}T18:00")
    assert found is not None
    assert found[0] <= shown


@pytest.mark.parametrize(
    ("lines", "target_wh", "expected_pct"),
    [
        ((), 60_000.0, 30.0),
        (("We 06:00 45kWh", "Th 06:00 45.5kWh"), 0.0, 22.75),
        (("Th 06:00 55",), 60_000.0, 55.0),
        (("Th 06:00 900kWh",), 0.0, 100.0),
    ],
)
def test_a_target_in_kwh_is_a_share_of_the_capacity(
    lines: tuple[str, ...], target_wh: float, expected_pct: float
) -> None:
    """Of the type's 200 kWh; the line of the day goes before the vehicle's own, and full is full."""
    van = Vehicle("van", "bus", True, departs="06:00", departures=lines, target_wh=target_wh)
    said = Timetable(small_site(vehicles=(van,))).says(VehicleState("s", "van", EVENING), 5.0, EVENING)
    assert said["target_soc_pct"].value == pytest.approx(expected_pct)


@given(hours=st.floats(0.0, 24.0 * 400.0))
def test_a_battery_that_stays_never_leaves_and_needs_its_least_charge(hours: float) -> None:
    site = small_site(vehicles=(Vehicle("stack", "bus", True, stationary=True),))
    wall_s = EVENING + hours * HOUR_S
    state = VehicleState("s", "stack", wall_s - 1e6)
    said = Timetable(site).says(state, 5.0, wall_s)
    assert 12.0 * HOUR_S <= said["departure_wall_s"].value - wall_s <= 36.0 * HOUR_S
    assert said["departure_wall_s"].value % (24.0 * HOUR_S) == 0.0, "a new plan a day, no more"
    assert said["target_soc_pct"].value == site.vehicle_types[0].min_soc_pct
