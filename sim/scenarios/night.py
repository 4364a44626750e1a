"""The seeded night: twelve bidirectional chargers on one 400 kW connection, buses in from 16:30, all out
by 06:30.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sim.scenarios.scenario import Scenario, Visit
from sim.world.depot import Disturbance, Load
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import StationEvse, StationSettings
from v2g_edge.model.site import (
    CurvePoint,
    Evse,
    Feeder,
    GridSettings,
    SafetySettings,
    Site,
    Vehicle,
    VehicleType,
)

ZONE: Final = ZoneInfo("Europe/Amsterdam")
START: Final = datetime(2026, 1, 14, 16, 30, tzinfo=ZONE)
"""A working Wednesday in winter: long evening peak, cold packs."""

DURATION_S: Final = 14 * 3_600.0
CHARGERS: Final = 12
GRID_CODE: Final = "vde_ar_n_4105_2018"

PRICE_SHAPE: Final = (
    0.09, 0.08, 0.075, 0.07, 0.075, 0.09, 0.13, 0.18, 0.19, 0.16, 0.14, 0.12,
    0.11, 0.11, 0.12, 0.15, 0.21, 0.31, 0.36, 0.33, 0.24, 0.17, 0.13, 0.10,
)  # fmt: skip
"""EUR/kWh by local hour: the shape of a winter weekday of day-ahead prices, evening peak 17-20 h."""

SAFETY: Final = SafetySettings(
    meter_max_age_s=2.5,  # the meter is polled at 1 Hz: two polls may be lost, not three
    contact_max_age_s=2.5,
    charger_max_age_s=35.0,  # three reports of 10 s
    lease_s=60.0,
)


def night(seed: int, *, chargers: int = CHARGERS, quiet: bool = False) -> Scenario:
    """The scenario for ``seed``; ``quiet`` leaves the grid alone. The same seed gives the same scenario."""
    dice = random.Random(seed)
    evses = tuple(_evse(dice, n) for n in range(1, chargers + 1))
    kinds = (_kind("bus12", 280_000, 150_000), _kind("bus18", 350_000, 180_000))
    vehicles = tuple(
        Vehicle(f"BUS{n:02}", dice.choice(kinds).id, may_discharge=True) for n in range(1, chargers + 1)
    )
    return Scenario(
        name="night",
        seed=seed,
        start_wall_s=START.timestamp(),
        duration_s=DURATION_S,
        site=_site(evses, kinds, vehicles, chargers / CHARGERS),
        stations=tuple(
            StationSettings(f"CS{evse.id[1:]}", (StationEvse(evse.id),), meter_interval_s=10.0)
            for evse in evses
        ),
        visits=tuple(_visit(dice, evse, vehicle) for evse, vehicle in zip(evses, vehicles, strict=True)),
        prices=_prices(dice),
        loads=_loads(chargers / CHARGERS),
        disturbances=() if quiet else _disturbances(dice),
        tick_s=2.0,
    )


def _evse(dice: random.Random, n: int) -> Evse:
    power_w = dice.choice((50_000.0, 60_000.0, 75_000.0, 100_000.0))
    return Evse(
        id=f"E{n:02}",
        feeder="main" if n % 2 else "yard",
        max_charge_w=power_w,
        max_discharge_w=power_w,
        min_charge_w=4_140.0,
        fallback_w=6_000.0,
        phases="L1L2L3",
        dead_man="ocpp_profile",
        discharge_by="negative_limit",
        efficiency=0.94,
        min_discharge_w=1_000.0,
    )


def _kind(name: str, capacity_wh: float, power_w: float) -> VehicleType:
    return VehicleType(
        id=name,
        capacity_wh=capacity_wh,
        min_soc_pct=20.0,
        max_soc_pct=100.0,
        charge_curve=(CurvePoint(0, power_w), CurvePoint(80, power_w), CurvePoint(100, 0.2 * power_w)),
        max_discharge_w=power_w,
        depth_per_event_pct=35.0,
        depth_per_day_pct=45.0,
        pack_min_c=0.0,
        pack_max_c=45.0,
        derate_from_c=38.0,
        soh_floor_pct=0.0,  # OCPP reports no state of health
        warranty_discharge_wh=ANY_W,
        warranty_discharge_h=ANY_W,
        warranty_efc=ANY_W,
    )


def _site(
    evses: tuple[Evse, ...], kinds: tuple[VehicleType, ...], vehicles: tuple[Vehicle, ...], scale: float
) -> Site:
    feeders = (
        Feeder(
            "main",
            "",
            400_000 * scale,
            300_000 * scale,
            base_load_max_w=60_000 * scale,
            base_load_min_w=0,
            meter="grid",
        ),
        Feeder(
            "yard",
            "main",
            220_000 * scale,
            180_000 * scale,
            base_load_max_w=5_000 * scale,
            base_load_min_w=0,
            meter="",
        ),
    )
    grid = GridSettings(
        GRID_CODE, nominal_v=230, nominal_hz=50, relay="grid_relay", meter="grid", export_allowed=True
    )
    return Site(
        "Night-depot",
        str(ZONE),
        grid,
        feeders,
        evses,
        kinds,
        vehicles,
        ("grid",),
        ("grid_relay",),
        (),
        SAFETY,
    )


def _loads(scale: float) -> tuple[Load, ...]:
    """Workshop and offices: well within the base load that the site file declares as the worst."""
    return (
        Load("main", 18_000 * scale, evening_w=9_000 * scale, restless_w=1_500 * scale),
        Load("yard", 2_000 * scale, restless_w=300 * scale),
    )


def _visit(dice: random.Random, evse: Evse, vehicle: Vehicle) -> Visit:
    """In between 16:30 and 20:00, out between 05:00 and 06:25, with 60-85 % on arrival and 85-95 % wanted."""
    arrives = START + timedelta(minutes=dice.uniform(2, 210))
    departs = START + timedelta(hours=12.5, minutes=dice.uniform(0, 85))
    return Visit(
        evse=evse.id,
        vehicle=vehicle.id,
        arrives_wall_s=round(arrives.timestamp()),
        departs_wall_s=round(departs.timestamp()),
        target_soc_pct=float(dice.randint(85, 95)),
        soc_pct=round(dice.uniform(60, 85), 1),
    )


def _prices(dice: random.Random) -> tuple[Price, ...]:
    first = START.astimezone(UTC).replace(minute=0)
    hours = [first + timedelta(hours=n) for n in range(-4, 32)]
    return tuple(
        Price(hour.timestamp(), round(PRICE_SHAPE[hour.astimezone(ZONE).hour] * dice.uniform(0.9, 1.1), 5))
        for hour in hours
    )


def _disturbances(dice: random.Random) -> tuple[Disturbance, ...]:
    """In the evening peak the grid relay opens for 40 s; later the frequency alone leaves every window for
    20 s.
    """
    relay = START + timedelta(minutes=dice.uniform(100, 150))
    excursion = START + timedelta(minutes=dice.uniform(180, 200))
    return (
        Disturbance(round(relay.timestamp()) + 0.37, 40.0, relay_open=True, frequency_hz=50.6),
        Disturbance(round(excursion.timestamp()) + 0.61, 20.0, frequency_hz=52.2),
    )
