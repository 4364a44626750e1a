"""Demand charges: the billed peak of a month of loads, ratchets, and how much a window that runs may still
draw.
"""

from collections.abc import Sequence
from typing import Final

MONTHS_BEFORE: Final = 11
"""A ratchet looks at the eleven months before the present one."""


def billed_peak(loads: Sequence[float], window: int, step: int = 0) -> float:
    """The highest mean over ``window`` neighbouring loads. ``step`` 0: fixed windows; else a new window
    begins every ``step``.
    """
    starts = range(0, len(loads) - window + 1, step or window)
    return max((sum(loads[start : start + window]) / window for start in starts), default=0.0)


def ratcheted(peaks: Sequence[float], share: float) -> tuple[float, ...]:
    """What each month is billed: its own peak, or ``share`` of the highest of the eleven before it."""
    return tuple(
        max(peak, share * max(peaks[max(month - MONTHS_BEFORE, 0) : month], default=0.0))
        for month, peak in enumerate(peaks)
    )


def may_draw(target: float, drawn: float, elapsed_s: float, window_s: float) -> float:
    """The power that the rest of a window may draw so that its mean stays at ``target``; ``drawn`` is the
    mean so far.

    Below zero: only export can still hold the target.
    """
    left_s = max(window_s - elapsed_s, 1.0)
    return (target * window_s - drawn * min(elapsed_s, window_s)) / left_s
