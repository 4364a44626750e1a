"""A droop around the setpoint: both of its ends are within every limit that binds the setpoint, or there
is none.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Scene,
    next_tick,
    permit,
    ready,
    with_evse,
    with_kind,
    with_memory,
    with_meter,
    with_site,
    with_snapshot,
    with_vehicle,
)
from tests.envelope.test_feeders import hall
from tests.envelope.test_properties import changed, places, widened
from v2g_edge.model.permit import Permit, Wish
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import CurrentLimit
from v2g_edge.model.snapshot import CommandState, ContactState, Operator


def droops(*wished: tuple[float, float], **site: Any) -> Scene:
    """A healthy depot in which each bus has been at its setpoint with its droop for a while: (W, ± W)."""
    scene = ready(len(wished), 0.0)
    wishes = {
        f"b{i}": Wish(f"b{i}", power_w, 0.5, "test", droop_w)
        for i, (power_w, droop_w) in enumerate(wished, 1)
    }
    for index, (power_w, droop_w) in enumerate(wished):
        span = {"most_w": max(power_w + droop_w, 0.0), "least_w": min(power_w - droop_w, 0.0)}
        scene = with_memory(scene, index, power_w=power_w, droop_w=droop_w, **span)
        command = CommandState(power_w, "accepted", NOW_S - 5.0, NOW_S + 25.0, droop_w)
        scene = with_evse(scene, index, power_w=Reading(power_w, NOW_S), command=command)
    scene = with_meter(scene, "hall-meter", power_w=Reading(sum(power_w for power_w, _ in wished), NOW_S))
    return with_site(scene._replace(wishes=wishes), **site)


def first(scene: Scene) -> Permit:
    return permit(scene).permits[0]


def span(scene: Scene) -> tuple[float, float]:
    given = first(scene)
    return round(given.least_w, 3), round(given.most_w, 3)


@pytest.mark.parametrize("power_w", [0.0, 5_000.0, -5_000.0])
def test_a_droop_with_room_on_both_sides_is_granted(power_w: float) -> None:
    assert span(droops((power_w, 20_000.0))) == (power_w - 20_000.0, power_w + 20_000.0)


def test_both_ends_stay_within_the_rating_and_what_the_vehicle_gives() -> None:
    assert span(droops((40_000.0, 20_000.0))) == (30_000.0, 50_000.0)
    assert span(with_vehicle(droops((0.0, 20_000.0)), max_discharge_w=Reading(8_000.0, NOW_S))) == (
        -8_000.0,
        8_000.0,
    )
    assert span(with_kind(droops((0.0, 20_000.0)), max_discharge_w=3_000.0)) == (-3_000.0, 3_000.0)


def test_all_tops_fit_the_feeder_and_so_do_all_bottoms() -> None:
    both = (0.0, 20_000.0), (0.0, 20_000.0)
    for limits in ({"import_limit_w": 10_000.0}, {"export_limit_w": 10_000.0}):
        given = permit(hall(droops(*both), **limits)).permits
        assert [round(each.droop_w, 3) for each in given] == [4_900.0, 4_900.0], limits
    for limits in ({"import_limit_w": 25_000.0}, {"export_limit_w": 25_000.0}):
        assert span(hall(droops((0.0, 20_000.0)), **limits)) == (-20_000.0, 20_000.0), (
            "24.5 kW are more than 20 kW"
        )
    tight = CurrentLimit(import_a=20.0, export_a=300.0, imbalance_a=1e12, base_load_a=0.0)
    volts = with_meter(
        hall(droops(*both), current=tight), "hall-meter", phase_voltage_v=(Reading(230.0, NOW_S),) * 3
    )
    assert sum(each.most_w for each in permit(volts).permits) == pytest.approx(3 * 20.0 * 230.0 * 0.98)


def test_a_charger_beside_a_droop_gets_what_the_top_leaves() -> None:
    scene = hall(droops((0.0, 20_000.0), (30_000.0, 0.0)), import_limit_w=40_000.0)
    given = permit(scene).permits
    assert sum(each.most_w for each in given) <= 40_000.0 * 0.98 + 1e-6


def test_a_setpoint_that_is_not_granted_as_wished_has_no_droop() -> None:
    assert first(hall(droops((30_000.0, 5_000.0)), import_limit_w=20_000.0)).droop_w == 0.0
    slow = with_memory(droops((30_000.0, 40_000.0)), power_w=0.0)
    given = first(with_site(slow, safety=replace(slow.site.safety, ramp_up_w_per_s=5_000.0)))
    assert (given.power_w, given.droop_w) == (5_000.0, 0.0)


def test_a_droop_grows_by_the_ramp_and_goes_at_once() -> None:
    scene = with_memory(droops((0.0, 20_000.0)), droop_w=0.0)
    scene = with_site(scene, safety=replace(scene.site.safety, ramp_up_w_per_s=5_000.0))
    decision = permit(scene)
    assert decision.permits[0].droop_w == 5_000.0
    again = next_tick(scene, decision)
    assert first(again).droop_w == 10_000.0
    assert first(again._replace(wishes={})).droop_w == 0.0


def no_droop_out(scene: Scene) -> None:
    """Not a watt may flow out; charging less is still a response."""
    given = first(scene)
    assert given.least_w >= 0.0
    assert given.droop_w <= given.power_w


@pytest.mark.parametrize("power_w", [0.0, 6_000.0])
def test_where_export_is_denied_no_droop_reaches_below_zero(power_w: float) -> None:
    scene = droops((power_w, 20_000.0))
    no_droop_out(with_snapshot(scene, operator=Operator(export_hold=True)))
    no_droop_out(with_snapshot(scene, contacts=(ContactState(closed=Reading(0.0, NOW_S)),)))
    no_droop_out(with_snapshot(scene, contacts=(ContactState(closed=GONE),)))
    no_droop_out(with_snapshot(scene, clock_synced=False))
    no_droop_out(with_evse(scene, dead_man_ok=False))
    no_droop_out(with_evse(scene, grid_code_ok=False))
    no_droop_out(with_vehicle(scene, soc_pct=GONE))
    no_droop_out(with_vehicle(scene, soc_pct=Reading(15.0, NOW_S)))
    no_droop_out(with_site(scene, grid=replace(scene.site.grid, export_allowed=False)))
    no_droop_out(with_site(scene, grid=replace(scene.site.grid, profile=None)))


def test_what_a_departure_needs_is_not_given_by_a_droop_either() -> None:
    scene = with_vehicle(
        droops((0.0, 20_000.0)), soc_pct=Reading(30.0, NOW_S), target_soc_pct=Reading(100.0, NOW_S)
    )
    vehicle = scene.snapshot.evses[0].vehicle
    assert vehicle is not None
    soon = with_vehicle(scene, departure_wall_s=Reading(scene.snapshot.wall_s + 3_600.0 * 2.0, NOW_S))
    decision = permit(soon)
    assert decision.permits[0].least_w >= 0.0
    assert "departure_certificate" in {bound.rule for bound in decision.bounds[0]}


def test_a_charger_whose_discharge_is_not_proven_has_no_droop_at_all() -> None:
    assert first(with_evse(droops((10_000.0, 5_000.0)), proven_discharge=False)).droop_w == 0.0


def off_nominal(scene: Scene) -> Scene:
    return with_meter(scene, "grid", frequency_hz=Reading(50.12, NOW_S))


def test_away_from_nominal_frequency_a_standing_droop_goes_on_and_none_begins() -> None:
    assert span(off_nominal(droops((0.0, 20_000.0)))) == (-20_000.0, 20_000.0)
    no_droop_out(off_nominal(with_memory(droops((0.0, 20_000.0)), droop_w=0.0)))


def test_a_wider_droop_counts_until_the_charger_has_taken_the_narrower() -> None:
    scene = droops((0.0, 20_000.0))
    narrow = scene._replace(wishes={"b1": Wish("b1", 0.0, 0.5, "test", 5_000.0)})
    decision = permit(narrow)
    old = decision.memory.evses[0]
    assert (old.power_w, old.droop_w, old.most_w, old.least_w) == (0.0, 5_000.0, 20_000.0, -20_000.0)
    told = with_evse(
        next_tick(narrow, decision), command=CommandState(0.0, "accepted", NOW_S, NOW_S + 30.0, 5_000.0)
    )
    again = permit(told).memory.evses[0]
    assert (again.most_w, again.least_w) == (5_000.0, -5_000.0)


def test_the_ends_of_the_last_droop_and_of_the_one_last_told_count_until_the_new_one_is_told() -> None:
    for power_w in (10_000.0, -10_000.0):
        scene = droops((power_w, 2_000.0))._replace(wishes={})
        without = with_memory(
            with_evse(scene, command=CommandState(power_w, "accepted", NOW_S, NOW_S + 30.0)), droop_w=0.0
        )
        told = with_evse(without, command=CommandState(power_w, "accepted", NOW_S, NOW_S + 30.0, 3_000.0))
        for each, reach_w in (
            (scene, 12_000.0),
            (with_memory(without, droop_w=2_000.0), 12_000.0),
            (told, 13_000.0),
        ):
            kept = permit(each).memory.evses[0]
            assert (kept.most_w, kept.least_w) == ((reach_w, 0.0) if power_w > 0.0 else (0.0, -reach_w))


def test_a_raise_waits_for_the_end_of_anothers_droop() -> None:
    scene = hall(droops((0.0, 20_000.0), (0.0, 0.0)), import_limit_w=40_000.0)
    scene = scene._replace(wishes={"b2": Wish("b2", 39_200.0, 0.5, "test")})
    assert permit(scene).permits[1].power_w == pytest.approx(39_200.0 - 20_000.0)


@pytest.mark.parametrize(
    ("power_w", "obeys"), [(-20_000.0, True), (20_000.0, True), (-22_000.0, False), (22_000.0, False)]
)
def test_a_charger_that_stays_within_its_droop_obeys(power_w: float, obeys: bool) -> None:
    scene = with_evse(droops((0.0, 20_000.0)), power_w=Reading(power_w, NOW_S))
    scene = with_meter(scene, "hall-meter", power_w=Reading(power_w, NOW_S))
    left = [latch for latch in permit(scene).memory.latches if latch.row == "disobedient"]
    assert bool(left) is not obeys


@pytest.mark.parametrize("power_w", [-19_000.0, 19_000.0])
def test_a_meter_that_shows_the_response_is_plausible(power_w: float) -> None:
    scene = with_meter(droops((0.0, 20_000.0)), "hall-meter", power_w=Reading(power_w, NOW_S))
    assert not [latch for latch in permit(scene).memory.latches if latch.row == "meter_implausible"]


def test_taking_any_one_reading_away_never_widens_a_droop() -> None:
    scene = droops((0.0, 20_000.0), (10_000.0, 30_000.0), (-10_000.0, 5_000.0))
    before = permit(scene)
    assert [given.droop_w for given in before.permits] == [20_000.0, 30_000.0, 5_000.0]
    for path in places(scene.snapshot):
        for turn in (lambda _r: GONE, lambda r: Reading(r.value, r.at_s - 1e4)):
            assert (
                widened(before, permit(scene._replace(snapshot=changed(scene.snapshot, path, turn)))) == []
            ), path


def test_an_empty_outlet_has_no_droop() -> None:
    assert first(with_evse(droops((0.0, 20_000.0)), vehicle=None)).droop_w == 0.0
