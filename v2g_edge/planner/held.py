"""What a rounded plan really holds for services: rounding to possible powers moves energy between slots, and
with it the room beside it. What is not there is said, so that no sale counts on it.
"""

from typing import Final

import numpy as np

from v2g_edge.planner.problem import Floats, Problem, Reserve
from v2g_edge.planner.rounding import Rounded

LEAST_KW: Final = 0.1
"""Less is a solver's tolerance and a charger's step."""

NotHeld = tuple[str, str, int, float]
"""(service, "up" or "down", slot, kW that are not there)."""


def not_held(problem: Problem, done: Rounded) -> tuple[NotHeld, ...]:
    """What of each reserve is not there, slot by slot. A kW and a kWh of a battery back one reserve only; the
    reserve that lasts longest chooses first.
    """
    found: list[NotHeld] = []
    longest = sorted(problem.reserves, key=lambda reserve: (-reserve.hours, reserve.name))
    for way in ("up", "down"):
        power, energy = _free(problem, done, way)
        for reserve in longest:
            wanted_kw = reserve.up_kw if way == "up" else reserve.down_kw
            if wanted_kw <= 0.0:
                continue
            for slot in range(reserve.first, reserve.end):
                lacks_kw = wanted_kw - _taken(power[:, slot], energy[:, slot], reserve, wanted_kw)
                if lacks_kw > LEAST_KW:
                    found.append((reserve.name, way, slot, lacks_kw))
    return tuple(found)


def _free(problem: Problem, done: Rounded, way: str) -> tuple[Floats, Floats]:
    """(packs, slots): kW beside what is planned, and the kWh at the grid side that last for it."""
    power, energy = np.zeros((2, len(problem.packs), len(problem)))
    for n, pack in enumerate(problem.packs):
        # One whose departure is unknown, or over, may be gone at any time.
        there = ((pack.charge_kw > 0.0) | (pack.discharge_kw > 0.0)) & (not pack.hurry)
        if way == "up":
            room = pack.discharge_kw + done.power_kw[n]
            kwh = (done.energy_kwh[n] - pack.floor_kwh) * pack.efficiency
        else:
            room = pack.charge_kw - done.power_kw[n]
            kwh = (pack.ceiling_kwh - done.energy_kwh[n]) / pack.efficiency
        power[n], energy[n] = np.where(there, np.maximum(room, 0.0), 0.0), np.maximum(kwh, 0.0)
    return power, energy


def _taken(power: Floats, energy: Floats, reserve: Reserve, wanted_kw: float) -> float:
    """Take up to ``wanted_kw`` out of both, from the batteries with most energy first; what was got."""
    got = 0.0
    for n in np.argsort(-energy, kind="stable").tolist():
        kw = min(float(power[n]), float(energy[n]) / reserve.hours, wanted_kw - got)
        power[n] -= kw
        energy[n] -= kw * reserve.hours
        got += kw
        if got >= wanted_kw:
            break
    return got
