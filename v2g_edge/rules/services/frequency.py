"""Frequency response by own frequency: the share of the power sold that each product asks for at a
frequency.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple


class Curve(NamedTuple):
    """(deviation from nominal in Hz, share) points, rising deviation; straight between, flat beyond.
    Within ±``dead_hz``: 0.
    """

    points: tuple[tuple[float, float], ...]
    dead_hz: float = 0.0


class Product(NamedTuple):
    """``up_h`` and ``down_h``: hours of full activation that its energy must last for, each way;
    ``full_s``: full response.
    """

    curve: Curve
    up_h: float
    down_h: float
    full_s: float


def _both(*points: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """A curve that is the same on both sides: ``points`` are (deviation below nominal as a magnitude,
    share).
    """
    low = tuple((-hz, share) for hz, share in reversed(points))
    return low + tuple((hz, -share) for hz, share in points)


PRODUCTS: Final[Mapping[str, Product]] = {
    # (EU) 2017/1485 Annex V: full at ±200 mHz; insensitivity 10 mHz; 15 min of full activation by units of
    # limited energy.
    "fcr": Product(Curve(_both((0.0, 0.0), (0.2, 1.0)), 0.01), 0.25, 0.25, 30.0),
    # Nordic FCR-N: linear ±100 mHz, one hour each way; FCR-D beyond it, 20 minutes one way (Svenska
    # kraftnät's answers on LER).
    "fcr_n": Product(Curve(_both((0.0, 0.0), (0.1, 1.0))), 1.0, 1.0, 30.0),
    "fcr_d_up": Product(Curve(((-0.5, 1.0), (-0.1, 0.0), (0.0, 0.0))), 1.0 / 3.0, 0.0, 5.0),
    "fcr_d_down": Product(Curve(((0.0, 0.0), (0.1, 0.0), (0.5, -1.0))), 0.0, 1.0 / 3.0, 5.0),
    # Great Britain: dead band 15 mHz. DC's knee is NESO's; those of DM and DR are drafts until the operator's
    # contract says so.
    "dc": Product(Curve(_both((0.015, 0.0), (0.2, 0.05), (0.5, 1.0)), 0.015), 0.25, 0.25, 1.0),
    "dm": Product(Curve(_both((0.015, 0.0), (0.1, 0.05), (0.2, 1.0)), 0.015), 0.5, 0.5, 1.0),
    "dr": Product(Curve(_both((0.015, 0.0), (0.2, 1.0)), 0.015), 1.0, 1.0, 10.0),
}
"""The power system's own rules second-hand; the contract is the authority (``energy_h`` of a service
overrides the hours).
"""

EXACT_HZ: Final = 1e-9
"""Frequencies come in millihertz: a deviation of exactly the dead band is still within it."""


def activation(product: str, hz: float, nominal_hz: float) -> float:
    """The share of the power sold to give now: 1 is all of it up (less import), −1 all of it down."""
    curve = PRODUCTS[product].curve
    deviation = hz - nominal_hz
    if abs(deviation) <= curve.dead_hz + EXACT_HZ:
        return 0.0
    points = curve.points
    if deviation <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if deviation <= right:
            return low + (deviation - left) / (right - left) * (high - low) if right > left else high
    return points[-1][1]
