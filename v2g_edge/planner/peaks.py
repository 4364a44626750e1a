"""Demand charges in a plan: what a kW of the highest metering window costs, and what the batteries hold
against loads that come higher than foretold.

A plan that reckons with the foretold loads alone gives all that its vehicles hold for the prices, and has
nothing left when the evening comes higher. So it plans with a second, higher course of the building: at
each moment the batteries hold what keeps that at a level, and a kW of this level costs a part of what a kW
of the peak costs.
"""

from itertools import pairwise
from typing import Final

import numpy as np

from v2g_edge.model.plan import PeakTarget
from v2g_edge.planner.exchange import Demand
from v2g_edge.planner.problem import Caution, Floats, Peak, Problem
from v2g_edge.planner.rounding import Rounded
from v2g_edge.planner.slots import TimeGrid

CAUTION_SHARE: Final = 0.2
"""Price of a kW of the cautious level, as a share of one that is billed: loads pass it about once a month."""
CAUTION_ERRORS: Final = 4.0
"""The cautious course lies so many mean errors of the forecast above it: nine errors in ten are smaller."""


def peaks_of(demand: tuple[Demand, ...], grid: TimeGrid) -> tuple[Peak, ...]:
    """The demand charges, with their metering windows."""
    return tuple(Peak(each.name, each.per_kw, each.billed_kw, *_windows(each, grid)) for each in demand)


def cautions_of(demand: tuple[Demand, ...], base_kw: Floats, error_kw: float) -> tuple[Caution, ...]:
    """One a demand charge, where forecasts err at all. What the building draws now is known."""
    if error_kw <= 0.0:
        return ()
    high_kw = base_kw + CAUTION_ERRORS * error_kw * (np.arange(len(base_kw)) > 0)
    return tuple(Caution(each.name, CAUTION_SHARE, high_kw) for each in demand)


Windows = tuple[tuple[tuple[int, float], ...], ...]


def _windows(charge: Demand, grid: TimeGrid) -> tuple[Windows, tuple[float, ...]]:
    """Fixed windows on the clock; what the running one has drawn already stands beside it."""
    windows: dict[float, list[tuple[int, float]]] = {}
    for slot, (start_s, end_s) in enumerate(pairwise(grid.edges)):
        first_s = start_s - start_s % charge.window_s
        while first_s < end_s:  # a window of less than a slot bills parts of it
            inside_s = min(end_s, first_s + charge.window_s) - max(start_s, first_s)
            windows.setdefault(first_s, []).append((slot, inside_s / charge.window_s))
            first_s += charge.window_s
    drawn_kw = charge.drawn_kwh * 3_600.0 / charge.window_s
    fixed = tuple(drawn_kw if first_s == charge.started_wall_s else 0.0 for first_s in windows)
    return tuple(map(tuple, windows.values())), fixed


def targets_of(problem: Problem, done: Rounded, demand: tuple[Demand, ...]) -> tuple[PeakTarget, ...]:
    """What a plan is billed at most, for each demand charge: more import than this in a window of its own
    would add to it.
    """
    net_kw = done.power_kw.sum(axis=0) + problem.base_kw
    levels = {peak.name: peak.level_kw(net_kw) for peak in problem.peaks}
    return tuple(PeakTarget(each.name, each.window_s, 1e3 * levels[each.name]) for each in demand)
