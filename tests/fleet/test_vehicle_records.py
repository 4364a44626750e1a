"""Which of a vehicle's missions counts: the next one, seen from when it came."""

import pytest

from tests.depot import small_site
from v2g_edge.fleet.vehicle_records import LATE_S, OVER_S, VehicleRecords
from v2g_edge.model.mission import Mission

NOW_S = 1_800_000_000.0
HOUR_S = 3_600.0


def records(*departs_in_h: float, source: str = "vdv463:BMS") -> VehicleRecords:
    """bus-1 with departures so many hours from now."""
    found = VehicleRecords(small_site(1))
    found.replace_missions(
        source,
        [
            Mission("bus-1", source, str(hours), NOW_S + hours * HOUR_S, min_soc_pct=80.0)
            for hours in departs_in_h
        ],
    )
    return found


def leaves_in_h(found: VehicleRecords, came_h: float) -> float | None:
    facts = found.facts_of("bus-1", NOW_S + came_h * HOUR_S, 100.0, NOW_S)
    departure = facts.get("departure_wall_s")
    return None if departure is None else (departure.value - NOW_S) / HOUR_S


@pytest.mark.parametrize("source", ["vdv463:BMS", "timetable:t.csv", "telematics:t"])
def test_a_bus_that_has_left_and_is_back_leaves_by_its_next_departure(source: str) -> None:
    """Out at 4 h ago, back now, out again in 2 h: it would be "overdue", and last in line."""
    assert leaves_in_h(records(-4.0, 2.0, source=source), 0.0) == 2.0
    assert leaves_in_h(records(-4.0, source=source), 0.0) is None


def test_one_that_has_stood_there_since_before_is_late() -> None:
    assert leaves_in_h(records(-4.0, 2.0), -10.0) == -4.0
    assert leaves_in_h(records(-OVER_S / HOUR_S - 0.1, 2.0), -10.0) == 2.0


def test_one_that_comes_a_little_after_its_departure_is_late_too() -> None:
    late_h = LATE_S / HOUR_S
    assert leaves_in_h(records(-0.5, 2.0), -0.5 + late_h - 0.01) == -0.5
    assert leaves_in_h(records(-0.5, 2.0), -0.5 + late_h + 0.01) == 2.0


@pytest.mark.parametrize("came_h", [9.0, 90_000.0])
def test_a_station_whose_clock_is_ahead_takes_no_departure_away(came_h: float) -> None:
    assert leaves_in_h(records(1.0, 12.0), came_h) == 1.0
