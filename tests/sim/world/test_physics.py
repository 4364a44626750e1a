"""Vehicles and chargers keep the laws: energy is conserved but for losses, ramps and tapers hold, zero
stays zero.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.world.physics import (
    RAMP_DOWN_W_PER_S,
    RAMP_UP_W_PER_S,
    Battery,
    Charger,
    curve_w,
    noise_pct,
    shown_soc_pct,
)
from v2g_edge.model.site import CurvePoint, Evse

CURVE = (CurvePoint(0, 100_000), CurvePoint(80, 100_000), CurvePoint(100, 20_000))


def charger(soc_pct: float = 50.0) -> Charger:
    evse = Evse(
        "E1",
        "main",
        100_000,
        80_000,
        4_000,
        7_000,
        "L1L2L3",
        "ocpp_profile",
        "negative_limit",
        min_discharge_w=2_000,
    )
    made = Charger(evse)
    made.plug(Battery("bus", 250_000, soc_pct, CURVE, max_discharge_w=120_000))
    return made


def test_it_ramps_up_slowly_and_towards_zero_at_once() -> None:
    unit = charger()
    unit.command_w = 90_000
    unit.step(1)
    assert unit.power_w == RAMP_UP_W_PER_S
    for _ in range(5):
        unit.step(1)
    assert unit.power_w == 90_000
    unit.command_w = -50_000
    unit.step(0.2)
    assert unit.power_w == 90_000 - 0.2 * RAMP_DOWN_W_PER_S
    unit.step(1)
    assert unit.power_w == 0
    unit.step(1)
    assert unit.power_w == -RAMP_UP_W_PER_S


def test_limits_of_charger_and_vehicle_bind_and_small_powers_are_none() -> None:
    unit = charger()
    for command_w, power_w in (
        (150_000, 100_000),
        (-150_000, -80_000),
        (3_999, 0),
        (4_000, 4_000),
        (-1_999, 0),
        (0, 0),
    ):
        unit.command_w = command_w
        assert unit.reachable_w() == power_w
    assert unit.battery is not None
    unit.command_w, unit.battery.soc_pct = 100_000, 90
    assert unit.reachable_w() == pytest.approx(60_000 / unit.efficiency)
    unit.battery.soc_pct = 100
    assert unit.reachable_w() == 0
    unit.command_w, unit.battery.soc_pct = -50_000, 2
    assert unit.reachable_w() == 0


def test_the_curve_is_straight_between_points_and_flat_beyond() -> None:
    assert [curve_w(CURVE, soc) for soc in (-5, 0, 40, 90, 100, 120)] == [
        100_000,
        100_000,
        100_000,
        60_000,
        20_000,
        20_000,
    ]


@given(st.lists(st.floats(-120_000, 120_000), min_size=1, max_size=60))
def test_no_sequence_of_setpoints_makes_energy(setpoints: list[float]) -> None:
    unit = charger()
    battery = unit.battery
    assert battery is not None
    for command_w in setpoints:
        unit.command_w = command_w
        for _ in range(30):
            unit.step(1)
    stored_wh = (battery.soc_pct - 50.0) / 100 * battery.capacity_wh
    best = unit.efficiency * battery.efficiency
    assert stored_wh == pytest.approx(unit.import_wh * best - unit.export_wh / best, abs=1)
    assert battery.pack_c >= battery.ambient_c - 1e-6


def test_a_pulled_plug_ends_the_current() -> None:
    unit = charger()
    unit.command_w = 50_000
    for _ in range(5):
        unit.step(1)
    assert unit.unplug() is not None
    unit.step(1)
    assert unit.power_w == 0


def test_hard_use_warms_the_pack_and_rest_cools_it() -> None:
    unit = charger(20)
    battery = unit.battery
    assert battery is not None
    unit.command_w = 100_000
    for _ in range(3_600):
        unit.step(1)
    warm_c = battery.pack_c
    assert 17 < warm_c < 30
    unit.command_w = 0
    for _ in range(10 * 3_600):
        unit.step(1)
    assert battery.ambient_c < battery.pack_c < warm_c


def test_a_charge_is_shown_with_its_error_in_steps_and_within_its_bounds() -> None:
    assert shown_soc_pct(43.7) == 43.7
    assert shown_soc_pct(43.7, 3.0) == pytest.approx(46.7)
    assert shown_soc_pct(43.7, 0.0, 5.0) == 40.0
    assert shown_soc_pct(99.0, 5.0) == 100.0
    assert shown_soc_pct(1.0, -5.0) == 0.0


def test_noise_stays_within_its_bound_changes_and_is_the_same_again() -> None:
    noise = [noise_pct(2.0, look) for look in range(200)]
    assert max(noise) > 1.0
    assert min(noise) < -1.0
    assert all(abs(each) <= 2.0 for each in noise)
    assert noise == [noise_pct(2.0, look) for look in range(200)]
    assert noise_pct(0.0, 7) == 0.0
