"""The bounds of one charger: ratings, the vehicle's limits, derating, and what each action leaves."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Scene,
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
from tests.envelope.test_feeders import context, outlets
from v2g_edge.envelope.bounds import collect_bounds
from v2g_edge.envelope.facts import UNTOLD_S
from v2g_edge.envelope.power_range import room
from v2g_edge.envelope.table import NO_ANSWER, SITE, Action, Found, Latch, Row, Verdict
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import Link, TemperatureState


def span(scene: Scene, rule: str) -> Any:
    """The bound of that rule on b1."""
    bounds = permit(scene).bounds[0]
    return next(((bound.min_w, bound.max_w) for bound in bounds if bound.rule == rule), None)


def acted(
    action: Action, subject: str, *, scope: str = "evse", present: bool = True, last_w: float = 0.0
) -> list[Bound | None]:
    """What one active row leaves each of two outlets."""
    seen = context(outlets(with_memory(ready(), power_w=last_w), fallback_w=3_000.0))
    row = Row("toy", scope, action, "never", "toy", lambda _c, _s: Found(0, {}))  # type: ignore[arg-type]
    verdict = Verdict(((row, Latch("toy", subject, True, 0.0, "why", present=present)),), (), ())
    return [next((b for b in bounds if b.rule == "toy"), None) for bounds in collect_bounds(seen, verdict)]


@pytest.mark.parametrize(
    ("action", "last_w", "low_w", "high_w"),
    [
        (Action.NO_NEW_EXPORT, 0.0, 0.0, ANY_W),
        (Action.NO_NEW_EXPORT, 10.0, 0.0, ANY_W),
        (Action.NO_NEW_EXPORT, -10.0, -ANY_W, ANY_W),
        (Action.EXPORT_OFF, -10.0, 0.0, ANY_W),
        (Action.CHARGE_AT_FALLBACK, -10.0, 0.0, 3_000.0),
        (Action.ZERO, -10.0, 0.0, 0.0),
        (Action.TRIP, -10.0, 0.0, 3_000.0),
    ],
)
def test_what_an_action_leaves(action: Action, last_w: float, low_w: float, high_w: float) -> None:
    assert acted(action, "b1", last_w=last_w) == [Bound(low_w, high_w, "toy", "why"), None]


def test_a_trip_whose_cause_is_gone_lets_charging_go_on() -> None:
    assert acted(Action.TRIP, "b1", present=False) == [Bound(0.0, ANY_W, "toy", "why"), None]
    assert acted(Action.ZERO, "b1", present=False) == [Bound(0.0, 0.0, "toy", "why"), None]


def test_a_row_of_the_site_acts_on_all_and_one_without_answer_too() -> None:
    assert [b is not None for b in acted(Action.ZERO, SITE, scope="site")] == [True, True]
    assert acted(Action.EXPORT_OFF, NO_ANSWER) == [Bound(0.0, 3_000.0, "toy", "why")] * 2
    assert acted(Action.EXPORT_OFF, NO_ANSWER, scope="meter") == [Bound(0.0, 3_000.0, "toy", "why")] * 2


def test_a_row_of_a_meter_acts_on_the_outlets_below_it() -> None:
    assert [b is not None for b in acted(Action.ZERO, "hall-meter", scope="meter")] == [True, True]


def test_room_is_the_intersection() -> None:
    bounds = [Bound(-5.0, 9.0, "a", "a"), Bound(-9.0, 4.0, "b", "b"), Bound(-7.0, 8.0, "c", "c")]
    assert (room(bounds).low_w, room(bounds).high_w) == (-5.0, 4.0)


def test_without_a_vehicle_there_is_nothing_to_do() -> None:
    assert span(with_evse(ready(), vehicle=None), "no_vehicle") == (0.0, 0.0)
    assert permit(with_evse(ready(), vehicle=None)).permits[0].power_w == 0.0


def test_ratings() -> None:
    assert span(ready(), "charger_rating") == (-50_000.0, 50_000.0)
    assert span(outlets(ready(), discharge_by="none"), "charger_rating") == (0.0, 50_000.0)
    assert span(ready(), "vehicle_type") == (-50_000.0, ANY_W)
    assert span(ready(), "enter_service_ramp") is None


@pytest.mark.parametrize(
    ("gives", "low_w"), [(Reading(30_000.0, 0.0), -30_000.0), (GONE, 0.0), (Reading(-5.0, NOW_S), 0.0)]
)
def test_what_a_vehicle_gives_must_have_been_said(gives: Measured, low_w: float) -> None:
    assert span(with_vehicle(ready(), max_discharge_w=gives), "vehicle_limits") == (low_w, ANY_W)


def test_a_stranger_gives_nothing() -> None:
    assert span(with_vehicle(ready(), vehicle="stranger"), "vehicle_unknown") == (0.0, ANY_W)


@pytest.mark.parametrize(
    ("soh", "floor_pct", "low_w"),
    [
        (Reading(80.0, 0.0), 70.0, -40_000.0),
        (Reading(120.0, 0.0), 70.0, -50_000.0),
        (GONE, 70.0, 0.0),
        (GONE, 0.5, 0.0),
        (GONE, 0.0, -50_000.0),
        (Reading(50.0, 0.0), 0.0, -50_000.0),
    ],
)
def test_an_old_battery_takes_a_smaller_part(soh: Measured, floor_pct: float, low_w: float) -> None:
    scene = with_vehicle(with_kind(ready(), soh_floor_pct=floor_pct), soh_pct=soh)
    bound = span(scene, "vehicle_type")
    assert bound is not None
    assert bound[0] == pytest.approx(low_w)


@pytest.mark.parametrize(
    ("pack_c", "share"), [(40.0, None), (42.0, 0.8), (45.0, 0.5), (49.0, 0.1), (50.0, 0.0), (60.0, 0.0)]
)
def test_a_warm_pack_is_derated_to_nothing_at_its_limit(pack_c: float, share: float | None) -> None:
    bound = span(with_vehicle(ready(), pack_c=Reading(pack_c, NOW_S)), "temperature_derating")
    assert bound == (
        None if share is None else (pytest.approx(-50_000.0 * share), pytest.approx(50_000.0 * share))
    )


def test_derating_leaves_the_fallback_and_unknown_is_the_limit() -> None:
    scene = with_vehicle(outlets(ready(), fallback_w=6_000.0), pack_c=GONE)
    assert span(scene, "temperature_derating") == (0.0, 6_000.0)
    assert span(with_kind(scene, pack_max_c=ANY_W), "temperature_derating") is None


@pytest.mark.parametrize(
    ("told_ago_s", "fallback_w", "most_w"),
    [
        (UNTOLD_S, 0.0, 0.0),
        (UNTOLD_S + 1.0, 0.0, 4_000.0),
        (UNTOLD_S + 1.0, 6_000.0, 6_000.0),
        (ANY_W, 0.0, 4_000.0),
    ],
)
@pytest.mark.parametrize("pack_c", [GONE, Reading(80.0, NOW_S), Reading(-40.0, NOW_S)])
def test_a_pack_that_was_untold_for_long_has_its_chargers_minimum_whatever_this_tick_says(
    told_ago_s: float, fallback_w: float, most_w: float, pack_c: Measured
) -> None:
    """A temperature that comes counts from the next tick on: else losing it would give more."""
    scene = with_memory(outlets(ready(), fallback_w=fallback_w), warm_at_s=NOW_S - told_ago_s)
    after = permit(with_vehicle(scene, pack_c=pack_c))
    bounds = [
        bound for bound in after.bounds[0] if bound.rule in {"pack_temperature", "temperature_derating"}
    ]
    assert bounds
    assert {max(bound.max_w, most_w) for bound in bounds} == {most_w}
    assert {bound.min_w for bound in bounds} == {0.0}
    told = isinstance(pack_c, Reading)
    assert after.memory.evses[0].warm_at_s == (NOW_S if told else NOW_S - told_ago_s)


@pytest.mark.parametrize(("loop_c", "share"), [(45.0, None), (50.0, 0.5), (55.0, 0.0)])
def test_a_warm_cooling_loop_derates_its_chargers(loop_c: float, share: float | None) -> None:
    state = TemperatureState(Link(True, True, NOW_S), Reading(loop_c, NOW_S))
    scene = with_snapshot(ready(), temperatures=(state,))
    bound = span(outlets(scene, cooling_loop="loop"), "cooling_derating")
    assert bound == (
        None if share is None else (pytest.approx(-50_000.0 * share), pytest.approx(50_000.0 * share))
    )
    assert span(scene, "cooling_derating") is None


@pytest.mark.parametrize(
    ("heat_pct", "share"), [(30.0, None), (54.0, None), (57.0, 0.8), (60.0, 0.6), (90.0, 0.6)]
)
def test_sustained_load_is_held_to_what_the_loop_can_carry(heat_pct: float, share: float | None) -> None:
    scene = outlets(ready(), cooling_loop="loop")
    scene = with_site(scene, safety=replace(scene.site.safety, sustained_pct=60.0, thermal_time_s=1e12))
    bound = span(with_memory(scene, heat_pct=heat_pct), "sustained_load")
    assert bound == (
        None if share is None else (pytest.approx(-50_000.0 * share), pytest.approx(50_000.0 * share))
    )


def test_without_a_sustained_limit_heat_does_not_matter() -> None:
    assert span(with_memory(outlets(ready(), cooling_loop="loop"), heat_pct=100.0), "sustained_load") is None


@pytest.mark.parametrize(("top_pct", "binds"), [(0.0, False), (89.9, False), (90.0, True), (100.0, True)])
def test_at_the_upper_edge_a_vehicle_charges_at_most_at_the_fallback_and_may_still_give(
    top_pct: float, binds: bool
) -> None:
    scene = with_kind(
        with_memory(outlets(ready(2, 0.0), fallback_w=2_000.0), top_pct=top_pct, soc_pct=top_pct),
        max_soc_pct=90.0,
    )
    for soc in (Reading(50.0, NOW_S), Reading(95.0, NOW_S), GONE):  # what was known before this tick counts
        assert span(with_vehicle(scene, soc_pct=soc), "soc_high") == ((-ANY_W, 2_000.0) if binds else None)
    assert span(with_kind(scene, max_soc_pct=100.0), "soc_high") is None


def test_a_full_vehicle_exports() -> None:
    scene = with_kind(with_vehicle(ready(), soc_pct=Reading(95.0, NOW_S)), max_soc_pct=90.0)
    assert permit(scene).permits[0].power_w == -20_000.0


def test_a_lost_meter_still_leaves_the_fallback() -> None:
    scene = outlets(ready(2, 20_000.0), fallback_w=6_000.0)
    assert [given.power_w for given in permit(with_meter(scene, "grid", power_w=GONE)).permits] == [
        6_000.0,
        6_000.0,
    ]
