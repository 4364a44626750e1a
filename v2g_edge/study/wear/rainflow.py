"""Cycles of a state of charge by rainflow (ASTM E1049-85, 5.4.4), one sample at a time.

The reversals that no cycle has closed yet are kept, so that a day's end cuts no deep cycle in two.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from msgspec import Struct

REVERSAL_PCT: Final = 1.0
"""A turn of less than this is noise: SoC is reported in whole percents or halves."""


class Cycle(Struct, frozen=True, array_like=True, gc=False):
    """One cycle.

    Attributes:
        depth: Range between its two reversals, in the unit of the samples.
        mean: Middle between them.
        count: 1.0 for a full cycle, 0.5 for a half one.
    """

    depth: float
    mean: float
    count: float


class Rainflow(Struct):
    """The state of a count.

    Attributes:
        least: A turn smaller than this is no reversal.
        stack: Reversals that are part of no full cycle yet, oldest first.
        tip: The furthest sample since the last reversal.
        rising: Whether the series rises towards ``tip``; None before the first turn.
    """

    least: float = REVERSAL_PCT
    stack: list[float] = []
    tip: float = 0.0
    rising: bool | None = None

    def add(self, value: float) -> list[Cycle]:
        """Take the next sample; gives the cycles that it closes."""
        if not self.stack:
            self.stack, self.tip = [value], value
            return []
        moved = value - self.tip
        if self.rising is None:
            if abs(moved) >= self.least and moved != 0.0:
                self.rising, self.tip = moved > 0.0, value
            return []
        if moved == 0.0 or (moved > 0.0) is self.rising:
            self.tip = value if moved else self.tip
            return []
        if abs(moved) < self.least:
            return []
        self.stack.append(self.tip)
        self.tip, self.rising = value, not self.rising
        return _closed(self.stack)

    def residue(self) -> list[Cycle]:
        """What is open now, as half cycles, without ending the count."""
        if self.rising is None:
            return []
        points = [*self.stack, self.tip]
        closed = _closed(points)
        return closed + [_cycle(a, b, 0.5) for a, b in pairwise(points)]


def cycles_of(values: Iterable[float], least: float = 0.0) -> list[Cycle]:
    """All cycles of a whole series, the residue as half ones."""
    count = Rainflow(least)
    return [cycle for value in values for cycle in count.add(value)] + count.residue()


def _closed(points: list[float]) -> list[Cycle]:
    """Takes the cycles that the last reversal closes out of ``points``. A range that holds the first point
    is half a cycle.
    """
    found = []
    while len(points) >= 3:
        before, last = abs(points[-2] - points[-3]), abs(points[-1] - points[-2])
        if last < before:
            break
        if len(points) == 3:
            found.append(_cycle(points[0], points[1], 0.5))
            del points[0]
        else:
            found.append(_cycle(points[-3], points[-2], 1.0))
            del points[-3:-1]
    return found


def _cycle(one: float, other: float, count: float) -> Cycle:
    return Cycle(abs(other - one), (one + other) / 2.0, count)
