"""Net present value, internal rate of return and payback of many cash flows at once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RATE_LEAST: Final = -0.95
RATE_MOST: Final = 10.0
HALVINGS: Final = 40
"""Bisection to 1e-11 of the range."""


def npv(flows: Floats, rate: float | Floats) -> Floats:
    """Rows are futures; column 0 is today, each later one a year further. ``rate`` may differ by row."""
    rate = np.asarray(rate, dtype=float)
    factor = 1.0 / (1.0 + rate)
    value = np.zeros(flows.shape[0])
    for year in range(flows.shape[1] - 1, -1, -1):
        value = value * factor + flows[:, year]
    return value


def irr(flows: Floats) -> Floats:
    """The rate at which the flows are worth nothing. NaN where they never change their sign that way; only
    what is spent first and earned later has one.
    """
    low, high = (np.full(flows.shape[0], rate) for rate in (RATE_LEAST, RATE_MOST))
    good = (npv(flows, low) > 0.0) & (npv(flows, high) < 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        above = npv(flows, middle) > 0.0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(good, (low + high) / 2.0, np.nan)


def payback_years(flows: Floats) -> Floats:
    """Years until what was spent has come back, straight within a year; infinite where it never does."""
    total = np.cumsum(flows, axis=1)
    back = total >= 0.0
    # The last year in which money was still out: it must stay paid back.
    out = np.where(back, -1, np.arange(flows.shape[1])).max(axis=1)
    never = out == flows.shape[1] - 1
    nxt = np.minimum(out + 1, flows.shape[1] - 1)
    rows = np.arange(flows.shape[0])
    gain = flows[rows, nxt]
    part = np.where(gain > 0.0, -total[rows, np.maximum(out, 0)] / np.where(gain > 0.0, gain, 1.0), 0.0)
    return np.where(never, np.inf, np.where(out < 0, 0.0, out + part))
