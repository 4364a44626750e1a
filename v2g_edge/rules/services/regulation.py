"""A two-second regulation signal: the three-part score of a response, its credit, and the set-point that
keeps it neutral.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from v2g_edge.rules.services.signal import MOST_MISSING

SAMPLE_S: Final = 10.0
"""The score counts in samples of ten seconds (GMLC's reg_service; PJM Manual 11 before October 2025)."""
LAGS: Final = 31
"""Up to five minutes late."""
HOUR: Final = 360
FLAT: Final = 0.01
"""A signal with less spread than this has no shape to correlate with: slopes are compared instead."""
FORFEIT: Final = 0.25
"""An interval below this earns nothing; a rolling score below ``DISQUALIFIED`` ends the right to serve."""
DISQUALIFIED: Final = 0.40
RECOVERY_H: Final = 0.5
"""The set-point moves back towards a neutral energy within half an hour, slowly enough to stay out of the
score.
"""

Floats = NDArray[np.float64]


class Score(NamedTuple):
    """Each from 0 to 1; ``total`` is their mean."""

    correlation: float
    delay: float
    precision: float

    @property
    def total(self) -> float:
        """The mean of the three."""
        return (self.correlation + self.delay + self.precision) / 3.0


def score(signal: Sequence[float], response: Sequence[float]) -> Score | None:
    """An hour of 10-s samples: correlation at the best lag, how late that is, and precision without any lag.

    The response is read five minutes longer. None: more than a tenth of it is missing (NaN), so the hour is
    void.
    """
    asked, given = (
        np.asarray(signal, dtype=np.float64)[:HOUR],
        np.asarray(response, dtype=np.float64)[: HOUR + LAGS - 1],
    )
    held = np.isfinite(given)
    if not len(asked) or np.count_nonzero(~held) > MOST_MISSING * len(given):
        return None
    given = np.interp(np.arange(len(given)), np.flatnonzero(held), given[held])
    if float(np.std(given)) < 1e-9:
        return (
            Score(0.0, 0.0, _precision(asked, given))
            if float(np.max(np.abs(given))) > 0.0
            else Score(0.0, 0.0, 0.0)
        )
    correlation, lag = _correlation(asked, given)
    return Score(max(correlation, 0.0), abs(lag * SAMPLE_S - 300.0) / 300.0, _precision(asked, given))


def _correlation(asked: Floats, given: Floats) -> tuple[float, int]:
    """The largest, and the first lag that has it after rounding: a signal that repeats correlates again
    later.
    """
    count = len(asked)
    if float(np.std(asked)) < FLAT:
        time = np.arange(count) / count
        slopes = np.polyfit(time, asked, 1)[0], np.polyfit(time, given[:count], 1)[0]
        return max(0.0, 1.0 - abs(float(slopes[0] - slopes[1]))), 0
    found = []
    for lag in range(min(LAGS, len(given) - count + 1)):
        part = given[lag : lag + count]
        found.append(float(np.corrcoef(asked, part)[0, 1]) if float(np.std(part)) > 1e-12 else 0.0)
    rounded = np.round(found, 6)
    best = int(np.argmax(rounded))
    return float(rounded[best]), best


def _precision(asked: Floats, given: Floats) -> float:
    mean = float(np.mean(np.abs(asked)))
    return max(0.0, 1.0 - float(np.mean(np.abs(given[: len(asked)] - asked))) / mean) if mean > 0.0 else 0.0


def credit(
    mw: float, total: float, capacity_price: float, performance_price: float, mileage_ratio: float
) -> float:
    """What five minutes earn. Prices are per MW and hour; an interval below ``FORFEIT`` earns nothing."""
    return (
        0.0 if total < FORFEIT else mw * total * (capacity_price + mileage_ratio * performance_price) / 12.0
    )


def recovery_w(energy_wh: float, neutral_wh: float, sold_w: float) -> float:
    """How far the set-point moves up (−) or down (+) to bring the energy back, at most a tenth of the
    power sold.
    """
    return min(max((neutral_wh - energy_wh) / RECOVERY_H, -0.1 * sold_w), 0.1 * sold_w)
