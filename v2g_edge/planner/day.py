"""The day plan: problem, solver, rounding, and what is expected of it. Never raises: what cannot be solved
says why.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from v2g_edge.model.plan import PeakTarget, Plan, Price, Slot
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner import highs, interior
from v2g_edge.planner.build import NO_OUTLOOK, Outlook, problem_of
from v2g_edge.planner.held import not_held
from v2g_edge.planner.peaks import targets_of
from v2g_edge.planner.problem import Floats, Problem, Shortfall, Solution, settled
from v2g_edge.planner.proof import without_refused
from v2g_edge.planner.report import Report, money_of, prices_of, ready_of
from v2g_edge.planner.rounding import Rounded, rounded
from v2g_edge.planner.spare import too_late
from v2g_edge.planner.stay import NOTHING, Past

ROUNDS: Final = 4
"""How often refused exports are taken out: each round moves them to earlier slots, where the proof has
more time. As often room is made for what goes wrong.
"""


def plan_day(
    site: Site,
    snapshot: Snapshot,
    prices: tuple[Price, ...],
    settings: PriceSettings,
    wall_s: float,
    pasts: Mapping[str, Past] = NOTHING,
    outlook: Outlook = NO_OUTLOOK,
    *,
    limit_s: float = 30.0,
) -> tuple[Plan, Report]:
    """The plan from ``wall_s`` (UTC) on for everything that is plugged in, and its report.

    Raises ``highs.NoSolutionError`` where the solver found nothing in time.
    """

    problem, _, grid = problem_of(site, snapshot, prices, settings, wall_s, pasts, outlook)
    calm, missed = settled(problem)
    best = _made(calm, limit_s)
    if not best.late and not any(pack.hurry for pack in calm.packs):
        best = _with_spare(calm, best, limit_s)
    plan = _plan(best.calm, best.done, grid.edges, wall_s, targets_of(best.calm, best.done, outlook.demand))
    return plan, _report(best.calm, best.solution, best.done, missed, grid.edges, wall_s, snapshot)


class _Made(NamedTuple):
    """A solved problem. ``late``: not all departures fit together."""

    calm: Problem
    solution: Solution
    done: Rounded
    late: bool


def _made(problem: Problem, limit_s: float) -> _Made:
    calm, solution = _provable(problem, limit_s)
    names = {pack.name for pack in calm.packs}
    late = any(name in names for name, _ in solution.short_kwh)
    if late:
        calm = softened(calm, solution)
    return _Made(calm, solution, rounded(calm, solution.charge_kw, solution.discharge_kw), late)


def _with_spare(problem: Problem, best: _Made, limit_s: float) -> _Made:
    """The plan that leaves room for what goes wrong, where the departures allow one: what was left for too
    late is taken out, round by round.
    """
    late = too_late(problem, best.done)
    for _ in range(ROUNDS):
        if not late:
            return best
        problem = replace(problem, owed=(*problem.owed, *late))
        try:
            careful = _made(problem, limit_s)
        except highs.NoSolutionError:
            return best  # what lacks for a departure can be named, what lacks for this room cannot
        if careful.late:
            return best
        best, late = careful, too_late(problem, careful.done)
    return best


def _provable(problem: Problem, limit_s: float) -> tuple[Problem, Solution]:
    """Solve without the exports that the proof of departures would refuse; those of the last round are
    dropped as they stand.
    """
    for _ in range(ROUNDS):
        solution = _cheapest(problem, limit_s)
        better = without_refused(problem, rounded(problem, solution.charge_kw, solution.discharge_kw))
        if better is None:
            return problem, solution
        problem = better
    most = np.array([pack.discharge_kw for pack in problem.packs])
    return problem, replace(solution, discharge_kw=np.minimum(solution.discharge_kw, most))


def _cheapest(problem: Problem, limit_s: float) -> Solution:
    """By the structured interior point where the depot is large, by HiGHS where that has no answer."""
    if problem.connected >= highs.SIMPLEX_BELOW:
        with contextlib.suppress(interior.StalledError):
            return interior.solve(problem)
    return highs.solve(problem, limit_s=limit_s)


def softened(problem: Problem, solution: Solution) -> Problem:
    """The problem with the departures that all together do not fit lowered to what the solver found for
    them.
    """
    lacks = dict(solution.short_kwh)

    def floor(name: str, floor_kwh: Floats) -> Floats:
        return np.maximum(floor_kwh - lacks.get(name, 0.0) - 1e-3, np.minimum(floor_kwh, 0.0))

    return replace(
        problem,
        packs=tuple(replace(pack, floor_kwh=floor(pack.name, pack.floor_kwh)) for pack in problem.packs),
    )


def _plan(
    problem: Problem,
    done: Rounded,
    edges: tuple[float, ...],
    wall_s: float,
    peaks: tuple[PeakTarget, ...],
) -> Plan:
    mobile = [n for n, pack in enumerate(problem.packs) if not pack.stationary]
    names = sorted((problem.packs[n].name, n) for n in mobile)
    watts = np.round(done.told_kw * 1e3, 1) + 0.0
    rows = [(name, watts[n].tolist()) for name, n in names]
    slots = tuple(
        Slot(edges[t], edges[t + 1], tuple((name, row[t]) for name, row in rows)) for t in range(len(problem))
    )
    return Plan(int(wall_s), "local", wall_s, wall_s, edges[-1], slots, peaks)


def _report(
    problem: Problem,
    solution: Solution,
    done: Rounded,
    missed: tuple[Shortfall, ...],
    edges: tuple[float, ...],
    wall_s: float,
    snapshot: Snapshot,
) -> Report:
    late = {each.pack: each for each in missed}
    vehicles = tuple(
        ready_of(pack, done, n, problem, solution, late.get(pack.name))
        for n, pack in enumerate(problem.packs)
        if not pack.stationary
    )
    warnings = [
        f"{each.pack}: {each.wanted_kwh - each.reachable_kwh:.1f} kWh short at departure even at full power"
        " from now on"
        for each in missed
    ]
    held = {each.name for each in problem.reserves}
    warnings += [
        f"{name}: {lacks:.1f} kWh short: all departures together do not fit the feeders"
        for name, lacks in solution.short_kwh
        if name not in held
    ]
    absent = not_held(problem, done)
    for name in sorted({each[0] for each in absent}):
        lacks = [kw for short, _, _, kw in absent if short == name]
        warnings.append(f"{name}: up to {max(lacks):.1f} kW of it is not held in {len(lacks)} quarter hours")
    return Report(
        solver=solution.solver,
        made_wall_s=wall_s,
        money=money_of(problem, done),
        vehicles=tuple(sorted(vehicles, key=lambda each: each.evse)),
        prices=prices_of(problem, solution, edges),
        edges=edges,
        site_kw=tuple(round(float(kw), 3) for kw in done.power_kw.sum(axis=0) + problem.base_kw),
        base_kw=tuple(round(float(kw), 3) for kw in problem.base_kw),
        buy=tuple(float(price) for price in problem.buy),
        sell=tuple(float(price) for price in problem.sell),
        reserved=tuple((each.name, max(each.up_kw, each.down_kw)) for each in problem.reserves),
        not_held=tuple((name, way, edges[slot], edges[slot + 1], kw) for name, way, slot, kw in absent),
        warnings=tuple(warnings),
    )
