"""A depot of vans at 22 kW AC chargers, whose feeders have limits by phase, made of the night of a seed.

Chargers are rotated, some vans charge on one phase, and a part of the building hangs on one phase. Vans do
not feed back.
"""

import random
from typing import Final

from msgspec.structs import replace

from sim.scenarios.scenario import Scenario
from v2g_edge.model.site import CurrentLimit, CurvePoint, Evse, Feeder, PhaseMap, VehicleType

RATED_W: Final = 22_080.0
"""32 A on three phases of 230 V."""
LEAST_W: Final = 4_140.0
"""6 A on three phases (IEC 61851-1)."""
CAPACITY_WH: Final = 60_000.0
ONE_PHASE: Final = 0.4
"""Share of the vans whose on-board charger uses one phase."""
ROTATIONS: Final[tuple[PhaseMap, ...]] = ("L1L2L3", "L2L3L1", "L3L1L2")
AMPERES_OF_LIMIT: Final = 1.15
"""Limits by phase, of what the limit in W comes to on three even phases: a little uneven is allowed."""
NOMINAL_V: Final = 230.0


def by_phase(base: Scenario, dice: random.Random) -> Scenario:
    """``base`` with vans in place of its buses, and a third of its power."""
    site = base.site
    evses = tuple(_evse(evse, dice.choice(ROTATIONS)) for evse in site.evses)
    feeders = tuple(_feeder(feeder) for feeder in site.feeders)
    kinds = tuple(_kind(kind) for kind in site.vehicle_types)
    loads = tuple(
        replace(
            load,
            base_w=load.base_w / 3.0,
            evening_w=load.evening_w / 3.0,
            restless_w=load.restless_w / 3.0,
            phase=dice.choice((0, 0, 1, 2, 3)),
        )
        for load in base.loads
    )
    return replace(
        base,
        site=replace(site, evses=evses, feeders=feeders, vehicle_types=kinds),
        loads=loads,
        one_phase=tuple(vehicle.id for vehicle in site.vehicles if dice.random() < ONE_PHASE),
    )


def _evse(evse: Evse, phases: PhaseMap) -> Evse:
    return replace(
        evse,
        max_charge_w=RATED_W,
        max_discharge_w=0.0,
        min_charge_w=LEAST_W,
        min_discharge_w=0.0,
        fallback_w=LEAST_W,
        phases=phases,
        discharge_by="none",
    )


def _feeder(feeder: Feeder) -> Feeder:
    limit_w, base_w = feeder.import_limit_w / 3.0, feeder.base_load_max_w / 3.0
    import_a = AMPERES_OF_LIMIT * limit_w / 3.0 / NOMINAL_V
    current = CurrentLimit(import_a, 0.0, import_a, base_load_a=base_w / NOMINAL_V)
    return replace(
        feeder, import_limit_w=limit_w, export_limit_w=0.0, base_load_max_w=base_w, current=current
    )


def _kind(kind: VehicleType) -> VehicleType:
    curve = (CurvePoint(0, RATED_W), CurvePoint(80, RATED_W), CurvePoint(100, 0.2 * RATED_W))
    return replace(kind, capacity_wh=CAPACITY_WH, charge_curve=curve)
