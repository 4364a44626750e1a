"""Batteries whose numbers do not fit each other: a digit too many or too few in one of them."""

from collections.abc import Iterator
from typing import Final

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import VehicleType

CHARGE_PER_H: Final = (0.12, 6.0)
"""Most charging power by capacity, 1/h: from a long-range bus on a depot charger to the fastest cars."""
GIVES_MOST: Final = 2.0
"""A battery gives at most so many times what it takes: inverters and cables are the same both ways."""
FLOOR_LEAST_PCT: Final = 5.0
DEPTH_LEAST_PCT: Final = 5.0
"""An event that takes out less is over within minutes."""
CYCLES_MOST: Final = 1e5
"""A cap beyond so many full cycles never acts; the best cells live for some ten thousand."""
HOURS_MOST: Final = 1e6
"""A century and more."""


def odd_packs(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each kind of vehicle that can discharge, and the power of every kind by its capacity."""
    for kind in plan.vehicle_types:
        path = f"vehicle_types.{kind.id}"
        yield from _power(kind, path, file)
        if kind.max_discharge_w > 0.0:
            yield from _depths(kind, path, file)
        yield from _caps(kind, path, file)


def _power(kind: VehicleType, path: str, file: str) -> Iterator[Problem]:
    most_w = max(point.power_w for point in kind.charge_curve)
    low, high = CHARGE_PER_H
    if most_w > 0.0 and not low <= most_w / kind.capacity_wh <= high:
        found = f"{kind.capacity_wh:.12g} Wh, charged with up to {most_w:.12g} W"
        usual = f"{most_w / high:.0f} to {most_w / low:.0f} Wh for this charge_curve"
        yield odd(file, f"{path}.capacity_wh", found, usual, "A digit too many or too few in one of the two?")
    if kind.max_discharge_w > GIVES_MOST * most_w > 0.0:
        found = f"{kind.max_discharge_w:.12g} W, and it takes {most_w:.12g} W at most"
        mend = "A digit too many?"
        yield odd(file, f"{path}.max_discharge_w", found, f"at most {GIVES_MOST * most_w:.12g} W", mend)


def _depths(kind: VehicleType, path: str, file: str) -> Iterator[Problem]:
    if 1.0 <= kind.min_soc_pct < FLOOR_LEAST_PCT:
        mend = "Discharge empties it nearly whole. A digit missing?"
        yield odd(file, f"{path}.min_soc_pct", f"{kind.min_soc_pct:g} %", "10 to 50 %", mend)
    for name in ("depth_per_event_pct", "depth_per_day_pct"):
        depth_pct = getattr(kind, name)
        if 1.0 <= depth_pct < DEPTH_LEAST_PCT:
            mend = "Discharge ends after minutes. A digit missing?"
            yield odd(file, f"{path}.{name}", f"{depth_pct:g} %", f"{DEPTH_LEAST_PCT:g} % or more", mend)


def _caps(kind: VehicleType, path: str, file: str) -> Iterator[Problem]:
    """A cap is a number that a warranty can name, or 1e12."""
    for name, most in (
        ("warranty_discharge_wh", CYCLES_MOST * kind.capacity_wh),
        ("warranty_discharge_h", HOURS_MOST),
        ("warranty_efc", CYCLES_MOST),
    ):
        value = getattr(kind, name)
        if most < value < ANY_W:
            mend = "Write 1e12 where the maker sets no cap."
            yield odd(file, f"{path}.{name}", f"{value:.12g}", f"at most {most:.12g}, or 1e12", mend)
