"""Highest mean power of metering windows, fixed or sliding, and what a ratchet makes of it."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

LEAST_MEASURED: Final = 0.9
"""A window with more than a tenth unmeasured is no peak (as in ``market.billed_peaks``)."""


class Peak(NamedTuple):
    """The highest window: mean import in kW, and when it began (UTC epoch seconds)."""

    kw: float
    start_wall_s: float


def peak_of(
    starts_s: Sequence[float],
    import_kwh: Sequence[float],
    interval_s: float,
    window_s: float,
    step_s: float = 0.0,
    counts: Callable[[float], bool] = lambda _start_s: True,
    *,
    offset_s: float = 0.0,
) -> Peak:
    """The highest window whose whole time counts. Intervals that are missing are unknown, not 0.
    ``offset_s`` is local time less UTC.
    """
    if not starts_s:
        return Peak(0.0, 0.0)
    step_s, window_s = max(step_s or window_s, interval_s), max(window_s, interval_s)
    first_s = starts_s[0] - (starts_s[0] + offset_s) % window_s
    count = int((starts_s[-1] - first_s) / interval_s) + 1
    energy, known = np.zeros(count), np.zeros(count)
    places = np.rint((np.asarray(starts_s) - first_s) / interval_s).astype(int)
    energy[places] = import_kwh
    known[places] = 1.0
    width, stride = round(window_s / interval_s), round(step_s / interval_s)
    sums, seen = (np.concatenate(([0.0], np.cumsum(each))) for each in (energy, known))
    best = Peak(0.0, 0.0)
    for place in range(0, count - width + 1, stride):
        measured = seen[place + width] - seen[place]
        kwh = sums[place + width] - sums[place]
        start_s = first_s + place * interval_s
        if measured < LEAST_MEASURED * width or kwh * 3_600.0 / (measured * interval_s) <= best.kw:
            continue
        if counts(start_s) and counts(start_s + window_s - interval_s):
            best = Peak(float(kwh * 3_600.0 / (measured * interval_s)), start_s)
    return best


def billed_kw(
    peak_kw: float, before_kw: Sequence[float], ratchet_pct: float, minimum_kw: float = 0.0
) -> float:
    """What is billed: the peak, or a share of the highest of the months before."""
    return max(peak_kw, ratchet_pct / 100.0 * max(before_kw, default=0.0), minimum_kw)
