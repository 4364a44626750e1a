"""Room for what goes wrong: at each moment of a plan all departures could still be met with a part of each
feeder.

A plan may use all of a feeder while energy is cheap, as long as what it then owes to departures fits into
less than it has. Jobs of one rate each, all present, with their deadlines, fit one feeder if what must be
charged by each deadline fits into the time until then.
"""

from typing import Final

import numpy as np

from v2g_edge.planner.problem import Floats, Owed, Pack, Problem, path_of
from v2g_edge.planner.rounding import Rounded

SHARE: Final = 0.82
"""Of what a feeder has left for charging when its building draws the most that it may. The rules press a
whole fleet where what is due, with a fifth on top, leaves less than ten minutes (``rules.wishes``,
``TIGHT``): a plan stays clear of that, or it would not be followed.
"""
EXTRA_S: Final = 240.0
"""A plan is full a quarter hour before departures (``stay.MARGIN_S``): ten minutes are the rules', one is
kept.
"""
SLACK_KWH: Final = 0.05
"""What rounding to possible powers leaves; a second or two of a depot charger."""


def too_late(problem: Problem, done: Rounded, share: float = SHARE) -> tuple[Owed, ...]:
    """What a plan leaves for too late, as limits that it should have kept; () where the departures fit
    ``share`` of each feeder at each moment.
    """
    found = []
    leaving = [n for n, pack in enumerate(problem.packs) if pack.deadline >= 0 and not pack.stationary]
    deadlines = sorted({problem.packs[n].deadline for n in leaving})
    for node in range(len(problem.feeders)):
        below = [n for n in leaving if node in path_of(problem.parent, problem.packs[n].feeder)]
        cap_kw = share * problem.charge_cap_kw[node]
        until = np.concatenate(([0.0], np.cumsum(cap_kw * problem.hours)))
        for deadline in deadlines if below else ():
            owed, others = np.zeros((2, deadline + 1))
            for n in below:
                pack = problem.packs[n]
                part = _owed_by(pack, done.energy_kwh[n], deadline, problem.hours)
                owed += part
                others += part if pack.deadline > deadline else 0.0
            room = until[deadline + 1] - until[: deadline + 1] + cap_kw[deadline] * EXTRA_S / 3_600.0
            mine = tuple(n for n in below if problem.packs[n].deadline <= deadline)
            found += [
                Owed(mine, first, deadline + 1, float(room[first] - others[first]))
                for first in np.flatnonzero(owed > room + SLACK_KWH).tolist()
            ]
    return tuple(found)


def _owed_by(pack: Pack, energy_kwh: Floats, deadline: int, hours: Floats) -> Floats:
    """At the beginning of each slot up to ``deadline`` the energy (grid side) that must be charged by then:
    what lacks, less what the pack can still charge between then and its own departure.
    """
    before = np.concatenate(([pack.start_kwh], energy_kwh))[: deadline + 1]
    goal = float(pack.floor_kwh[pack.deadline])
    lacks = np.maximum(goal - before, 0.0) / pack.efficiency
    if pack.deadline > deadline:
        later = slice(deadline + 1, pack.deadline + 1)
        return np.maximum(lacks - float((pack.charge_kw[later] * hours[later]).sum()), 0.0)
    lacks[pack.deadline + 1 :] = 0.0
    return lacks
