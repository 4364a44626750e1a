"""How much a vehicle still needs before it leaves, and how long that takes at best."""

from functools import lru_cache
from typing import Final

from msgspec import Struct

from v2g_edge.model.battery import capacity_of, least_soc_pct
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, known_or
from v2g_edge.model.site import CurvePoint, Evse, VehicleType
from v2g_edge.model.snapshot import EvseState

TIME_SLACK: Final = 1.15
"""Chargers deliver 4-6 % less than their plate and taper early (evcc #12733, #12703, #9550): plan for 15 %
more time.
"""

MARGIN_S: Final = 600.0
"""Ten minutes on top: one renewed lease, a reconnect and a ramp together take less."""

TARGET_MARGIN_PCT: Final = 0.5
"""Aim this far above the target, so that a meter that rounds down still shows it at departure."""


class ChargingNeed(Struct, frozen=True, gc=False):
    """What one vehicle lacks: Wh at the grid side, ``seconds`` at the power it takes, ``latest_start_s`` from
    now (< 0: late).

    ``full_w`` is the highest setpoint that it may get: it may take more than was seen of it so far. ``doubt``
    says what is not known of it ("" for nothing): then the need is unknown, and not nothing.
    """

    energy_wh: float
    seconds: float
    latest_start_s: float
    departs_in_s: float
    full_w: float
    doubt: str = ""


REMEMBERED: Final = 4_096
"""Answers kept: a SoC stays the same for many ticks, and a thousand vehicles ask for two each."""
CURVE_ROOM: Final = 1.05
CURVE_ROOM_W: Final = 1_000.0
"""A wish goes so far beyond the type's curve: curves are means, packs differ by some percent, and a rise
must be able to show.
"""


def need_of(
    evse: Evse,
    state: EvseState,
    kind: VehicleType | None,
    wall_s: float,
    drawn_w: float = ANY_W,
    reserve_pct: float = 0.0,
    said_w: float = ANY_W,
) -> ChargingNeed | None:
    """The need of the vehicle at ``evse``; None without a vehicle. What was not reported is a doubt, never a
    need of nothing.

    ``drawn_w``: what it was seen to draw when it might have drawn more. ``reserve_pct`` comes on top of its
    target. ``said_w``: what it last said it takes, should it no longer say it: a lost report must not widen a
    wish.
    """
    vehicle = state.vehicle
    if vehicle is None:
        return None
    capacity_wh, departure = capacity_of(vehicle, kind), vehicle.departure_wall_s
    full_w = min(evse.max_charge_w, known_or(vehicle.max_charge_w, said_w))
    soc, ceiling_pct = vehicle.soc_pct, kind.max_soc_pct if kind else 100.0
    soc_pct = (
        soc.value if isinstance(soc, Reading) else least_soc_pct(vehicle, capacity_wh or 0.0, evse.efficiency)
    )
    target_pct = min(known_or(vehicle.target_soc_pct, ceiling_pct), 100.0)
    # Depot management may want it no fuller than this; what it wants at least goes before.
    ceiling = vehicle.ceiling_soc_pct
    if isinstance(ceiling, Reading) and soc_pct >= max(ceiling.value, target_pct):
        full_w = 0.0
    if reserve_pct > 0.0:
        target_pct = max(target_pct, min(target_pct + reserve_pct, ceiling_pct))
    departs_in_s = departure.value - wall_s if isinstance(departure, Reading) else 0.0
    if full_w <= 0.0:
        return ChargingNeed(0.0, 0.0, 0.0, departs_in_s, full_w)
    if capacity_wh is None:
        return ChargingNeed(
            0.0, 0.0, ANY_W, max(departs_in_s, 0.0), max(full_w, evse.min_charge_w), "capacity"
        )
    lack_pct = max(min(target_pct + TARGET_MARGIN_PCT, 100.0) - soc_pct, 0.0)
    energy_wh = lack_pct / 100.0 * capacity_wh / evse.efficiency
    rate_w = (
        min(full_w, drawn_w) if drawn_w > 0.0 else full_w
    )  # one that may have nothing now shows nothing of how long it takes
    seconds = 0.0
    if lack_pct > 0.0:
        seconds = _seconds(kind, capacity_wh, rate_w * evse.efficiency, soc_pct, soc_pct + lack_pct)
    # A vehicle that takes less than the charger's minimum (one phase of three) takes less by itself; told
    # less, it is paused.
    curve_w = _curve_w(kind, evse.efficiency, soc_pct) if isinstance(soc, Reading) else ANY_W
    told_w = max(min(full_w, curve_w), evse.min_charge_w)
    if not isinstance(departure, Reading):
        return ChargingNeed(energy_wh, seconds, ANY_W, 0.0, told_w, "departure" if lack_pct > 0.0 else "")
    return ChargingNeed(
        energy_wh, seconds, departs_in_s - seconds * TIME_SLACK - MARGIN_S, departs_in_s, told_w
    )


@lru_cache(maxsize=REMEMBERED)
def _curve_w(kind: VehicleType | None, efficiency: float, soc_pct: float) -> float:
    """What the type's curve leaves at this SoC (grid side), with some room; ANY_W where it has none."""
    if kind is None or not kind.charge_curve:
        return ANY_W
    return _curve(kind.charge_curve, soc_pct) / efficiency * CURVE_ROOM + CURVE_ROOM_W


@lru_cache(maxsize=REMEMBERED)
def _seconds(
    kind: VehicleType | None, capacity_wh: float, battery_w: float, low_pct: float, high_pct: float
) -> float:
    """Time from one SoC to another at full power along the type's curve (battery side)."""
    hours = _hours(kind, battery_w)
    return (_at(hours, high_pct) - _at(hours, low_pct)) * capacity_wh * 3600.0


def _at(hours: tuple[float, ...], soc_pct: float) -> float:
    whole = min(int(soc_pct), 99)
    return hours[whole] + (soc_pct - whole) * (hours[whole + 1] - hours[whole])


@lru_cache(maxsize=1_024)
def _hours(kind: VehicleType | None, battery_w: float) -> tuple[float, ...]:
    """Hours from empty to each whole percent, for a battery of 1 Wh."""
    points = kind.charge_curve if kind else ()
    hours = [0.0]
    for soc_pct in range(100):
        # The lower power of both ends of each percent: never faster than the curve says.
        power_w = (
            min(battery_w, _curve(points, soc_pct), _curve(points, soc_pct + 1)) if points else battery_w
        )
        hours.append(hours[-1] + 0.01 / max(power_w, 0.05 * battery_w))
    return tuple(hours)


def _curve(points: tuple[CurvePoint, ...], soc_pct: float) -> float:
    left = points[0]
    if soc_pct < left.soc_pct:
        return left.power_w
    for right in points:
        if soc_pct <= right.soc_pct and right.soc_pct > left.soc_pct:
            share = (soc_pct - left.soc_pct) / (right.soc_pct - left.soc_pct)
            return left.power_w + share * (right.power_w - left.power_w)
        left = right
    return left.power_w if soc_pct > left.soc_pct else points[0].power_w
