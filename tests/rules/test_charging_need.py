"""The need of a vehicle: how much, how long, how late it may start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import BUS, plugged, small_evse
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.site import CurvePoint
from v2g_edge.rules.charging_need import MARGIN_S, TIME_SLACK, need_of

EVSE = small_evse("b1")


def test_nothing_is_needed_without_a_vehicle() -> None:
    assert need_of(EVSE, replace(plugged("v", 0.0, 0.0), vehicle=None), BUS, 0.0) is None


def test_above_what_depot_management_wants_at_most_nothing_is_charged() -> None:
    """It has its target; a plan may not fill it further. What it needs at least goes before."""
    full = plugged("v", 0.0, 0.0, soc_pct=Reading(92.0, 0.0), ceiling_soc_pct=Reading(92.0, 0.0))
    need = need_of(EVSE, full, BUS, 0.0)
    assert need is not None
    assert need.full_w == 0.0
    for other in (
        replace(full, vehicle=replace(full.vehicle, ceiling_soc_pct=Reading(93.0, 0.0))),  # type: ignore[type-var]
        replace(full, vehicle=replace(full.vehicle, target_soc_pct=Reading(95.0, 0.0))),  # type: ignore[type-var]
    ):
        need = need_of(EVSE, other, BUS, 0.0)
        assert need is not None
        assert need.full_w == 50_000.0


def test_energy_is_counted_at_the_grid_side() -> None:
    need = need_of(EVSE, plugged("v", 0.0, 0.0, target_soc_pct=Reading(89.5, 0.0)), BUS, 0.0)
    assert need is not None
    assert abs(need.energy_wh - 0.10 * 200_000.0 / 0.94) < 1e-6


def test_a3_an_unknown_departure_or_capacity_is_a_doubt_and_no_need_of_nothing() -> None:
    need = need_of(EVSE, plugged("v", 0.0, 0.0, departure_wall_s=Unknown("not said")), BUS, 0.0)
    assert need is not None
    assert (need.doubt, need.full_w) == ("departure", 50_000.0)
    full = plugged("v", 0.0, 0.0, departure_wall_s=Unknown("not said"), soc_pct=Reading(100.0, 0.0))
    need = need_of(EVSE, full, BUS, 0.0)
    assert need is not None
    assert need.doubt == "", "it lacks nothing"
    for capacity in (Unknown("not said"), Reading(0.0, 0.0)):
        need = need_of(EVSE, plugged("v", 0.0, 0.0, capacity_wh=capacity), None, 0.0)
        assert need is not None
        assert (need.doubt, need.full_w) == ("capacity", 50_000.0)


def test_a17_the_wish_follows_the_types_curve() -> None:
    def told_w(soc_pct: float) -> float:
        need = need_of(
            EVSE,
            plugged("v", 0.0, 0.0, soc_pct=Reading(soc_pct, 0.0), target_soc_pct=Reading(100.0, 0.0)),
            BUS,
            0.0,
        )
        assert need is not None
        return need.full_w

    assert told_w(50.0) == 50_000.0
    assert 20_000.0 / EVSE.efficiency < told_w(99.9) < 26_000.0
    assert told_w(98.0) > told_w(99.0)


def test_an_unknown_soc_counts_as_empty() -> None:
    need = need_of(EVSE, plugged("v", 0.0, 0.0, soc_pct=Unknown("none")), BUS, 0.0)
    assert need is not None
    assert need.energy_wh > 0.9 * 200_000.0


@given(soc=st.floats(0, 89), more=st.floats(0.1, 10))
def test_a_fuller_vehicle_never_has_to_start_earlier(soc: float, more: float) -> None:
    emptier = need_of(EVSE, plugged("v", 0.0, 0.0, soc_pct=Reading(soc, 0.0)), BUS, 0.0)
    fuller = need_of(EVSE, plugged("v", 0.0, 0.0, soc_pct=Reading(soc + more, 0.0)), BUS, 0.0)
    assert emptier is not None
    assert fuller is not None
    assert fuller.latest_start_s >= emptier.latest_start_s


@given(soc=st.floats(0, 100), target=st.floats(0, 100))
def test_time_is_never_less_than_energy_over_power(soc: float, target: float) -> None:
    state = plugged("v", 0.0, 0.0, soc_pct=Reading(soc, 0.0), target_soc_pct=Reading(target, 0.0))
    need = need_of(EVSE, state, BUS, 0.0)
    assert need is not None
    assert need.seconds >= need.energy_wh / need.full_w * 3600.0 - 1e-6
    assert need.latest_start_s <= need.departs_in_s - need.seconds * TIME_SLACK - MARGIN_S + 1e-6


def test_the_taper_takes_longer_than_the_bulk() -> None:
    def seconds(low: float, high: float) -> float:
        state = plugged("v", 0.0, 0.0, soc_pct=Reading(low, 0.0), target_soc_pct=Reading(high - 0.5, 0.0))
        need = need_of(EVSE, state, BUS, 0.0)
        assert need is not None
        return need.seconds

    assert seconds(90.0, 100.0) > 1.2 * seconds(40.0, 50.0)


def test_a_vehicle_that_was_seen_to_draw_less_starts_earlier_and_may_still_be_told_more() -> None:
    """10.5 % of 200 kWh take 27 minutes at 50 kW and an hour at 22: with the slack 37 minutes earlier."""
    state = plugged("v", 0.0, 0.0)
    plate, seen = need_of(EVSE, state, BUS, 0.0), need_of(EVSE, state, BUS, 0.0, drawn_w=22_000.0)
    assert plate is not None
    assert seen is not None
    assert seen.full_w == plate.full_w == 50_000.0
    assert seen.energy_wh == plate.energy_wh
    assert 2_000.0 < plate.latest_start_s - seen.latest_start_s < 2_500.0
    assert need_of(EVSE, state, BUS, 0.0, drawn_w=90_000.0) == plate


def test_the_reserve_comes_on_top_of_the_target_up_to_the_ceiling() -> None:
    """As the certificate counts it: what it wants kept must have been charged."""
    capped = replace(BUS, max_soc_pct=92.0)
    for kind, reserve_pct, lacks_pct in (
        (BUS, 5.0, 15.5),
        (BUS, 20.0, 20.0),
        (capped, 5.0, 12.5),
        (capped, 0.0, 10.5),
    ):
        need = need_of(EVSE, plugged("v", 0.0, 0.0), kind, 0.0, reserve_pct=reserve_pct)
        assert need is not None
        assert abs(need.energy_wh - lacks_pct / 100.0 * 200_000.0 / 0.94) < 1e-6


def test_a_vehicle_that_may_have_nothing_now_is_reckoned_with_its_plate() -> None:
    state = plugged("v", 0.0, 0.0)
    assert need_of(EVSE, state, BUS, 0.0, drawn_w=0.0) == need_of(EVSE, state, BUS, 0.0)


def test_a_wish_leaves_the_curve_some_room_to_be_better_than_it_says() -> None:
    """Of 52 kW that the battery takes at 96.8 %, 55.3 kW at the grid side: a twentieth and 1 kW more."""
    evse = replace(EVSE, max_charge_w=200_000.0)
    state = plugged(
        "v",
        0.0,
        0.0,
        soc_pct=Reading(96.0, 0.0),
        target_soc_pct=Reading(100.0, 0.0),
        max_charge_w=Reading(200_000.0, 0.0),
    )
    need = need_of(evse, state, BUS, 0.0)
    assert need is not None
    taken_w = 20_000.0 + (200_000.0 - 20_000.0) * (100.0 - 96.0) / 20.0
    assert need.full_w == pytest.approx(taken_w / evse.efficiency * 1.05 + 1_000.0)


def test_time_is_reckoned_with_the_lower_power_of_each_percent() -> None:
    """From 80 to 81 % the power falls from 50 to 5 kW: no faster than 5."""
    steep = (CurvePoint(0.0, 50_000.0), CurvePoint(80.0, 50_000.0), CurvePoint(81.0, 5_000.0))
    kind = replace(BUS, charge_curve=(*steep, CurvePoint(100.0, 5_000.0)))
    state = plugged("v", 0.0, 0.0, soc_pct=Reading(80.0, 0.0), target_soc_pct=Reading(80.5, 0.0))
    need = need_of(EVSE, state, kind, 0.0)
    assert need is not None
    assert need.seconds == pytest.approx(2_000.0 / 5_000.0 * 3_600.0)
