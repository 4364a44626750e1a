"""What the proof of departures asks of a vehicle that exports, as an energy by slot: a plan that it refuses
earns nothing.

The proof cuts the need into bands of state of charge, gives each a window of whole slots, and charges each at
the lowest power of its part of the curve. So it takes a vehicle that still has to pass n bands up to n slots
longer than the curve does.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from v2g_edge.model.site import CurvePoint
from v2g_edge.planner.problem import Floats, Problem
from v2g_edge.planner.rounding import Rounded
from v2g_edge.planner.slots import SLOT_S

BAND_PCT: Final = 5.0
"""The widest band of the proof where the curve falls."""
STEP_PCT: Final = 1.0
SPARE_SLOTS: Final = 2
"""The slot that runs, and the departure that counts from the slot's beginning on."""
MARGIN_PCT: Final = 1.0
"""What a lease and the proof's look ahead (90 s together) take out at full discharge, and a reading in
whole percent.
"""


def least_kwh(
    edges: tuple[float, ...],
    departs_s: float,
    goal_pct: float,
    curve: tuple[CurvePoint, ...],
    full_w: float,
    efficiency: float,
    capacity_wh: float,
) -> Floats:
    """By slot the least energy at its end that leaves the proof enough time; above any battery where none
    does.
    """
    bands = bands_of(curve, full_w, efficiency, goal_pct)
    socs = np.arange(0.0, 101.0 + STEP_PCT, STEP_PCT)
    needed = np.array([_slots(bands, soc, capacity_wh, efficiency) for soc in socs])
    last = int(departs_s // SLOT_S)
    result = np.empty(len(edges) - 1)
    for slot, end_s in enumerate(edges[1:]):
        left = last - int(end_s // SLOT_S)
        result[slot] = float(socs[int(np.argmax(needed <= left))]) if np.any(needed <= left) else np.inf
    return (result + MARGIN_PCT) * capacity_wh / 1e5


def bands_of(
    curve: tuple[CurvePoint, ...], full_w: float, efficiency: float, goal_pct: float
) -> list[tuple[float, float, float]]:
    """(from %, to %, W at the grid side), neighbours of one power in one, up to the goal."""
    if not curve:
        return [(0.0, goal_pct, full_w)]
    points = sorted({*(point.soc_pct for point in curve), *np.arange(0.0, 101.0, BAND_PCT).tolist()})
    powers = (
        np.interp(points, [point.soc_pct for point in curve], [point.power_w for point in curve]) / efficiency
    )
    bands: list[tuple[float, float, float]] = []
    for (low, a), (high, b) in pairwise(zip(points, powers.tolist(), strict=True)):
        rate = min(full_w, a, b)
        if bands and bands[-1][2] == rate:
            bands[-1] = (bands[-1][0], high, rate)
        else:
            bands.append((low, high, rate))
    return [(low, min(high, goal_pct), rate) for low, high, rate in bands if low < goal_pct]


def _slots(
    bands: list[tuple[float, float, float]], soc_pct: float, capacity_wh: float, efficiency: float
) -> float:
    """Slots from a state of charge to the goal, one more for each band that is left."""
    left = [(high - max(low, soc_pct), rate) for low, high, rate in bands if high > soc_pct]
    if not left:
        return 0.0
    hours = sum(width * capacity_wh / 100.0 / efficiency / max(rate, 1.0) for width, rate in left)
    return hours * 3_600.0 / SLOT_S + len(left) + SPARE_SLOTS


def without_refused(problem: Problem, done: Rounded) -> Problem | None:
    """The problem without the exports that the proof would refuse; None where it refuses none."""
    packs, changed = [], False
    for place, pack in enumerate(problem.packs):
        if pack.proof_kwh is None:
            packs.append(pack)
            continue
        refused = (done.power_kw[place] < 0.0) & (done.energy_kwh[place] < pack.proof_kwh)
        changed = changed or bool(refused.any())
        packs.append(replace(pack, discharge_kw=np.where(refused, 0.0, pack.discharge_kw)))
    return replace(problem, packs=tuple(packs)) if changed else None
