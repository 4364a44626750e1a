"""What batteries hold against loads that come higher than expected (``problem.Caution``): as rows of the
linear programme, and as a check of a schedule.

The batteries that may give are taken as one. Backwards from the end, what they need at a slot's end is what
they need at the next one's, more by what the load is then above the level, less by what it leaves below; at
a departure what leaves with it comes on top. Vehicles that only charge do so as planned.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from v2g_edge.planner.problem import Caution, Floats, Problem, energies

KEPT: Final = 0.05
"""What a schedule may lack, in kWh or kW: rounding takes it back."""


class Fleet(NamedTuple):
    """The batteries that may give, as one: their numbers, by slot kW each way, kWh of the floors of those
    that are there and of those that leave with the slot, mean and best efficiency. ``last``: the slot of
    departure.
    """

    packs: tuple[int, ...]
    last: tuple[int, ...]
    charge_kw: Floats
    discharge_kw: Floats
    floor_kwh: Floats
    leaving_kwh: Floats
    efficiency: float
    best: float


def fleet_of(problem: Problem) -> Fleet:
    """Without those of which a departure is unknown, or over."""
    count = len(problem)
    chosen = [n for n, p in enumerate(problem.packs) if not p.hurry and np.any(p.discharge_kw > 0.0)]
    charge, discharge, floor, leaving = np.zeros((4, count))
    last = []
    for n in chosen:
        pack = problem.packs[n]
        end = pack.deadline if pack.deadline >= 0 else count - 1
        last.append(end)
        charge += pack.charge_kw
        discharge += pack.discharge_kw
        floor[: end + 1] += pack.floor_kwh[: end + 1]
        leaving[end] += pack.floor_kwh[end]
    etas = [problem.packs[n].efficiency for n in chosen] or [1.0]
    return Fleet(
        tuple(chosen), tuple(last), charge, discharge, floor, leaving, float(np.mean(etas)), max(etas)
    )


def holds(problem: Problem, charge: Floats, discharge: Floats) -> bool:
    """Whether a schedule holds each cautious level at its own peak, so that it costs nothing more."""
    if not problem.cautions:
        return True
    fleet = fleet_of(problem)
    net = problem.base_kw + charge.sum(axis=0) - discharge.sum(axis=0)
    stored = np.zeros(len(problem))
    for n, last in zip(fleet.packs, fleet.last, strict=True):
        stored[: last + 1] += energies(problem.packs[n], charge[n], discharge[n], problem.hours)[: last + 1]
    one_way = [n for n in range(len(problem.packs)) if n not in fleet.packs]
    for caution in problem.cautions:
        level = next(peak for peak in problem.peaks if peak.name == caution.name).level_kw(net)
        load = caution.load_kw + charge[one_way].sum(axis=0)
        if np.any(load - fleet.discharge_kw > level + KEPT):
            return False
        if np.any(stored < _needed(problem, fleet, load - level) - KEPT):
            return False
    return True


def _needed(problem: Problem, fleet: Fleet, above_kw: Floats) -> Floats:
    needed = fleet.floor_kwh.copy()
    for t in range(len(problem) - 2, -1, -1):
        hours, above = float(problem.hours[t + 1]), float(above_kw[t + 1])
        moved = hours * max(above / fleet.efficiency, above * fleet.efficiency)
        most = hours * float(fleet.charge_kw[t + 1]) * fleet.best
        needed[t] = max(needed[t], fleet.leaving_kwh[t] + needed[t + 1] + max(moved, -most))
    return needed


def add_rows(lp: Any, problem: Problem, caution: Caution, cells: Any, peaks: list[int]) -> None:
    """``cells`` are the packs' columns, ``peaks`` the columns of what is billed."""
    fleet, count, infinite = fleet_of(problem), len(problem), float("inf")
    place = next(n for n, each in enumerate(problem.peaks) if each.name == caution.name)
    rate, peak = problem.peaks[place].rate, peaks[place]
    level = lp.add_columns(caution.share * rate, 0.0, infinite, 1)
    above = lp.add_rows(0.0, infinite, 1)
    lp.put(above, level, 1.0)
    lp.put(above, np.array([peak]), -1.0)
    needed = lp.add_columns(0.0, fleet.floor_kwh, infinite, count)
    slots, hours = np.arange(count), problem.hours
    gives = lp.add_rows(caution.load_kw - fleet.discharge_kw, infinite, count)
    lp.put(gives, np.repeat(level, count), 1.0)
    _one_way(lp, problem, fleet, cells, gives, np.full(count, -1.0))
    if count > 1:
        for eta in (fleet.efficiency, 1.0 / fleet.efficiency):
            moved = eta * hours[1:]
            rows = lp.add_rows(fleet.leaving_kwh[:-1] + moved * caution.load_kw[1:], infinite, count - 1)
            lp.put(rows, needed[:-1], 1.0)
            lp.put(rows, needed[1:], -1.0)
            lp.put(rows, np.repeat(level, count - 1), moved)
            _one_way(lp, problem, fleet, cells, np.append(-1, rows), np.append(0.0, -moved))
        most = hours[1:] * fleet.charge_kw[1:] * fleet.best
        rows = lp.add_rows(fleet.leaving_kwh[:-1] - most, infinite, count - 1)
        lp.put(rows, needed[:-1], 1.0)
        lp.put(rows, needed[1:], -1.0)
    known = np.zeros(count)
    held: list[tuple[Any, Any]] = []
    for n, last in zip(fleet.packs, fleet.last, strict=True):
        there = slots[: last + 1]
        at = np.searchsorted(cells[n].slots, there, side="right") - 1
        known[there[at < 0]] += problem.packs[n].start_kwh
        held.append((there[at >= 0], cells[n].energy[at[at >= 0]]))
    rows = lp.add_rows(-known, infinite, count)
    lp.put(rows, needed, -1.0)
    for there, columns in held:
        lp.put(rows[there], columns, 1.0)


def _one_way(lp: Any, problem: Problem, fleet: Fleet, cells: Any, rows: Any, values: Floats) -> None:
    """The charging of all others, by slot, in rows by slot (−1: none)."""
    for n in range(len(problem.packs)):
        if n in fleet.packs:
            continue
        slots = cells[n].slots
        inside = rows[slots] >= 0
        lp.put(rows[slots][inside], cells[n].charge[inside], values[slots][inside])
