"""A grid frequency that wanders as a real one does: slowly, with memory, seldom far. A seed is a course."""

import random
from typing import Final

from msgspec import Struct

STEP_S: Final = 1.0
"""One value a second, straight lines between: what a grid meter resolves."""


class FrequencyProcess(Struct, frozen=True):
    """An Ornstein-Uhlenbeck process about the nominal frequency.

    Attributes:
        seed: Of its course.
        sigma_hz: Its standard deviation; about 0.02 in Continental Europe, more in the north and on islands.
        memory_s: After so long a deviation has fallen to 37 %.
        most_hz: It is never further off than this: the alert state of the continent begins at 0.2 Hz.
    """

    seed: int = 1
    sigma_hz: float = 0.02
    memory_s: float = 300.0
    most_hz: float = 0.2


class Wandering:
    """A process from ``start_wall_s`` on, made as far as somebody looks."""

    def __init__(self, process: FrequencyProcess, start_wall_s: float) -> None:
        self._process, self._start_s = process, start_wall_s
        self._dice = random.Random(process.seed)
        self._values = [self._dice.gauss(0.0, process.sigma_hz)]

    def deviation_hz(self, wall_s: float) -> float:
        """How far the frequency is off at ``wall_s``."""
        steps = max(wall_s - self._start_s, 0.0) / STEP_S
        place = int(steps)
        while len(self._values) < place + 2:
            self._values.append(self._next(self._values[-1]))
        low, high = self._values[place], self._values[place + 1]
        found = low + (steps - place) * (high - low)
        return min(max(found, -self._process.most_hz), self._process.most_hz)

    def _next(self, value: float) -> float:
        kept = 1.0 - STEP_S / self._process.memory_s
        spread = self._process.sigma_hz * (1.0 - kept * kept) ** 0.5
        return kept * value + self._dice.gauss(0.0, spread)
