"""The board: one frozen picture, unchanged states are the same objects, urgent changes wake the tick."""

import pytest
from msgspec.structs import replace

from tests.depot import small_site
from v2g_edge.config.gridcode import load_code
from v2g_edge.field.board import (
    ALL_WAKES_MAX,
    ALL_WAKES_PER_S,
    GRID_SAMPLES_KEPT,
    WAKES_MAX,
    WAKES_PER_S,
    Board,
)
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import Operator, Snapshot, VehicleState


def _freeze(board: Board, now_s: float = 1.0) -> Snapshot:
    return board.freeze(now_s, 1_000.0 + now_s, clock_synced=True, operator=Operator())


def test_a_picture_does_not_change_after_it_was_taken() -> None:
    board = Board(small_site(), lambda: None)
    before = _freeze(board)
    board.update_evse("b1", status="occupied")
    assert before.evses[0].status == "unknown"
    assert _freeze(board).evses[0].status == "occupied"


def test_what_did_not_change_is_the_same_object_in_the_next_picture() -> None:
    board = Board(small_site(), lambda: None)
    first = _freeze(board)
    board.update_evse("b1", status="occupied")
    second = _freeze(board)
    assert second.evses[1] is first.evses[1]
    assert second.evses[0] is not first.evses[0]
    assert second.seq == first.seq + 1


def test_only_urgent_changes_wake_the_tick() -> None:
    woken: list[int] = []
    board = Board(small_site(), lambda: woken.append(1))
    board.update_contact("relay", closed=Reading(1.0, 0.0))
    assert not woken
    board.update_contact("relay", urgent=True, closed=Reading(0.0, 0.1))
    board.update_evse("b1", urgent=True, fault="x")
    assert len(woken) == 2


def test_every_grid_sample_between_two_ticks_is_in_the_next_picture_once() -> None:
    board = Board(small_site(), lambda: None)
    volts = (Reading(230.0, 0.0),) * 3
    for tenth in range(3):
        board.update_meter("grid", frequency_hz=Reading(50.0 + tenth, tenth / 10), phase_voltage_v=volts)
    assert [sample.hz for sample in _freeze(board).grid_samples] == [
        Reading(50.0, 0.0),
        Reading(51.0, 0.1),
        Reading(52.0, 0.2),
    ]
    board.update_meter("grid", power_w=Reading(1.0, 0.4))
    assert _freeze(board).grid_samples == ()


def test_a_dead_grid_is_a_sample_though_the_meter_gives_no_frequency_there() -> None:
    board = Board(small_site(), lambda: None)
    board.update_meter("grid", frequency_hz=Unknown("NaN"), phase_voltage_v=(Reading(0.0, 3.0),) * 3)
    assert [sample.at_s for sample in _freeze(board).grid_samples] == [3.0]
    board.update_meter("grid", frequency_hz=Unknown("NaN"), phase_voltage_v=(Unknown("NaN"),) * 3)
    assert _freeze(board).grid_samples == ()


@pytest.mark.parametrize(
    ("volts", "hz", "wakes"), [(230.0, 50.0, 0), (180.0, 50.0, 1), (230.0, 51.6, 1), (270.0, 50.0, 1)]
)
def test_a_grid_sample_outside_its_window_does_not_wait_for_the_next_tick(
    volts: float, hz: float, wakes: int
) -> None:
    site = small_site()
    site = replace(site, grid=replace(site.grid, profile=load_code("vde_ar_n_4105_2018", (), "")))
    woken: list[int] = []
    board = Board(site, lambda: woken.append(1))
    board.update_meter("grid", frequency_hz=Reading(hz, 0.0), phase_voltage_v=(Reading(volts, 0.0),) * 3)
    assert len(woken) == wakes


def test_grid_samples_are_bounded_and_the_newest_stay() -> None:
    board = Board(small_site(), lambda: None)
    for i in range(GRID_SAMPLES_KEPT + 5):
        board.update_meter("grid", frequency_hz=Reading(50.0, float(i)))
    samples = _freeze(board).grid_samples
    assert len(samples) == GRID_SAMPLES_KEPT
    assert samples[-1].at_s == GRID_SAMPLES_KEPT + 4


def test_a_vehicle_that_left_takes_its_facts_with_it() -> None:
    board = Board(small_site(), lambda: None)
    board.update_vehicle("b1", soc_pct=Reading(50.0, 0.0))
    assert board.evse("b1").vehicle is None
    board.plug_in("b1", VehicleState("s1", "bus-1", 0.0))
    board.update_vehicle("b1", soc_pct=Reading(50.0, 0.0))
    vehicle = board.evse("b1").vehicle
    assert vehicle is not None
    assert vehicle.soc_pct == Reading(50.0, 0.0)
    board.unplug("b1")
    assert board.evse("b1").vehicle is None


@pytest.mark.parametrize("flaps_per_s", [25, 50])
def test_e10_status_flaps_wake_the_tick_at_a_bounded_rate(flaps_per_s: int) -> None:
    """One outlet flaps for a minute; another one's fault, and the relay, still wake the tick at once."""
    woken: list[int] = []
    board = Board(small_site(2), lambda: woken.append(1))
    for second in range(60):
        board.freeze(1_000.0 + second, 0.0, clock_synced=True, operator=Operator())
        for flap in range(flaps_per_s):
            board.update_evse("b1", urgent=True, fault="x" if flap % 2 else "")
    assert len(woken) <= WAKES_MAX + 60 * WAKES_PER_S
    before = len(woken)
    board.update_evse("b2", urgent=True, fault="x")
    board.update_contact("relay", urgent=True, closed=Reading(0.0, 0.1))
    assert len(woken) == before + 2


@pytest.mark.parametrize("outlets", [20, 40])
def test_e10_flaps_of_many_outlets_are_bounded_together(outlets: int) -> None:
    woken: list[int] = []
    board = Board(small_site(outlets), lambda: woken.append(1))
    for second in range(60):
        board.freeze(1_000.0 + second, 0.0, clock_synced=True, operator=Operator())
        for outlet in range(outlets):
            board.update_evse(f"b{outlet + 1}", urgent=True, fault=str(second))
    assert len(woken) <= ALL_WAKES_MAX + 60 * ALL_WAKES_PER_S
