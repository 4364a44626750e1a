"""Power from the slope of an energy register, for stations that report no power (1.6's default is the
register alone).
"""

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

WINDOW_S: Final = 30.0
"""The slope is taken over so long at least: registers count whole watt-hours, and one in 30 s is 120 W."""

STEPS: Final = 3
"""And over so many steps of the register: some count hundredths of a kilowatt-hour."""

LONGEST_S: Final = 300.0
"""But over no longer than this: a register that stands still says 0 W."""

LEAST_S: Final = 10.0
"""A slope over less says nothing."""

GAP_S: Final = 900.0
"""After a longer gap the slope begins anew: what flowed in it says nothing of now."""

SPACING_S: Final = 2.0
"""One reading in two seconds is kept."""


class Slope(NamedTuple):
    """The mean power, + into the vehicle, from ``since_s`` (monotonic) to the last reading."""

    power_w: float
    since_s: float


class RegisterPower:
    """The registers of one outlet over the last minutes."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float, float]] = deque()

    def add(self, at_s: float, import_wh: float, export_wh: float) -> Slope | None:
        """The registers as of ``at_s``; the slope, None where nothing can be said yet. A register that
        falls begins anew.
        """
        seen = self._seen
        if seen:
            last_s, last_import_wh, last_export_wh = seen[-1]
            if at_s - last_s < SPACING_S:
                return None
            if at_s - last_s > GAP_S or import_wh < last_import_wh or export_wh < last_export_wh:
                seen.clear()
        seen.append((at_s, import_wh, export_wh))
        while len(seen) > 2 and self._is_enough():
            seen.popleft()
        span_s = at_s - seen[0][0]
        if span_s < LEAST_S:
            return None
        net_wh = (import_wh - seen[0][1]) - (export_wh - seen[0][2])
        return Slope(net_wh * 3_600.0 / span_s, seen[0][0])

    def _is_enough(self) -> bool:
        """Whether the readings after the oldest one are enough by themselves."""
        span_s = self._seen[-1][0] - self._seen[1][0]
        if span_s < WINDOW_S:
            return False
        rows = list(self._seen)[1:]
        steps = sum(before[1:] != after[1:] for before, after in pairwise(rows))
        return steps >= STEPS or span_s >= LONGEST_S
