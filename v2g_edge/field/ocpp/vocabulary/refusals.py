"""What a station refuses, learnt after a few rounds: it then gets what it takes, with rare retries."""

import math
from typing import Final

ROUNDS: Final = 2
"""Refusals in a row that are a rule and no accident: stations refuse once while a vehicle is being plugged
in.
"""

FIRST_PAUSE_S: Final = 300.0
PAUSE_GROWTH: Final = 3.0
LONGEST_PAUSE_S: Final = 4.0 * 3_600.0
"""Until the station is tried again: after 5 min, 15 min, 45 min, 2 h 15 min, then every 4 h. New firmware
or another setting shows within a night, and a station that never learns gets a dozen useless messages a
day.
"""


class Refusals:
    """Refusals of one kind of command at one outlet. ``why``: in the station's words."""

    __slots__ = ("_least_w", "_pause_s", "_retry_s", "_rounds", "why")

    def __init__(self) -> None:
        self.why = ""
        self._rounds = 0
        self._least_w = math.inf
        self._pause_s = FIRST_PAUSE_S
        self._retry_s = -math.inf

    @property
    def learnt(self) -> bool:
        """Whether it is known that the station refuses this; ends when it takes it."""
        return self._rounds >= ROUNDS

    def holds(self, now_s: float) -> bool:
        """Whether it is not to be tried now."""
        return self.learnt and now_s < self._retry_s

    def refused(self, power_w: float, why: str, now_s: float) -> bool:
        """One more; True when this one made it a rule, which is reported once."""
        self._rounds += 1
        self._least_w = min(self._least_w, abs(power_w))
        self.why = why
        if not self.learnt:
            return False
        self._retry_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * PAUSE_GROWTH, LONGEST_PAUSE_S)
        return self._rounds == ROUNDS

    def taken(self, power_w: float) -> bool:
        """The station took this; True when it was known to refuse as much until now."""
        if abs(power_w) < self._least_w < math.inf:
            return False  # less than what it refuses
        before, self._least_w = self.learnt, math.inf
        self.why, self._rounds, self._pause_s, self._retry_s = "", 0, FIRST_PAUSE_S, -math.inf
        return before

    def retry_now(self) -> None:
        """The station has started anew, or a person asks for it: it may take now what it refused."""
        self._retry_s = -math.inf
