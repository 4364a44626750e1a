"""The lowest peak that could be billed with what was known: an oracle with the depot's own forecasts.

It shares no code with the planner. All vehicles are one battery with chargers that hold any power, and the
price of energy counts for nothing. In each quarter hour the oracle draws futures about the forecast (how
far evenings are from it, how restless quarter hours are, what the evenings to come will need), works out
the level that each needs, and holds one that a share of them would not pass. Which share is best is chosen
in hindsight, by the month's own bill; the loads to come are not known.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ETA: Final = 0.94
QUARTER_H: Final = 0.25
FUTURES: Final = 40
SHARES: Final = np.array([0.2, 0.35, 0.5, 0.65, 0.8, 0.9])
"""Cautions that are tried: the share of the futures that keep to the level."""
NEAR_KW: Final = 0.5


class Depot(NamedTuple):
    """``vehicles`` vehicles that come home with ``used_pct`` of their battery gone, and leave full."""

    vehicles: int
    capacity_kwh: float
    charger_kw: float
    used_pct: float
    floor_pct: float = 17.0

    @property
    def most_kw(self) -> float:
        """All chargers."""
        return self.vehicles * self.charger_kw

    @property
    def full_kwh(self) -> float:
        """All batteries."""
        return self.vehicles * self.capacity_kwh

    @property
    def home_kwh(self) -> float:
        """As they come home."""
        return self.full_kwh * (1.0 - self.used_pct / 100.0)

    def at_once(self, slots: int) -> Floats:
        """Powers of charging from arrival on."""
        needed = (self.full_kwh - self.home_kwh) / (ETA * QUARTER_H * self.most_kw)
        return np.asarray(self.most_kw * np.clip(needed - np.arange(slots), 0.0, 1.0))


def held(
    depot: Depot, loads: Floats, levels: Floats, start_kwh: Floats, left: int = 0
) -> tuple[Floats, Floats]:
    """The peak of each row of ``loads`` where its level is held as long as the batteries last, and what they
    hold at its end. All are full a quarter hour before they leave, ``left`` quarter hours later.
    """
    kwh, peak = start_kwh, np.zeros(len(levels))
    floor_kwh, most_kwh = depot.full_kwh * depot.floor_pct / 100.0, depot.most_kw * ETA * QUARTER_H
    slots = loads.shape[1]
    for slot in range(slots):
        space = np.minimum(depot.most_kw, (depot.full_kwh - kwh) / (ETA * QUARTER_H))
        gives = np.minimum(depot.most_kw, np.maximum(kwh - floor_kwh, 0.0) * ETA / QUARTER_H)
        least = (depot.full_kwh - max(slots - slot - 2 + left, 0) * most_kwh - kwh) / QUARTER_H
        least = np.where(least > 0.0, least / ETA, least * ETA)
        power = np.clip(levels - loads[:, slot], np.maximum(-gives, np.minimum(least, space)), space)
        kwh = kwh + QUARTER_H * np.where(power > 0.0, ETA * power, power / ETA)
        peak = np.maximum(peak, loads[:, slot] + power)
    return peak, kwh


def least_levels(depot: Depot, loads: Floats, start_kwh: Floats) -> Floats:
    """Of each row of loads, all known, the least peak from its energy on."""
    low, high = np.zeros(len(loads)), loads.max(axis=1) + depot.most_kw
    while float(np.max(high - low)) > NEAR_KW:
        middle = (low + high) / 2.0
        kept = held(depot, loads, middle, start_kwh)[0] <= middle + 1e-6
        low, high = np.where(kept, low, middle), np.where(kept, middle, high)
    return np.asarray(high)


def informed_peak(
    depot: Depot, loads: Floats, foretold: Sequence[Sequence[Floats]], history: int, seed: int
) -> float:
    """What is billed after all evenings from number ``history`` on, in kW. ``foretold``: by evening of the
    month and quarter hour, what is expected of the present one and those after it.
    """
    rng, billed = np.random.default_rng(10_000 + seed), np.zeros(len(SHARES))
    for evening in range(history, len(loads)):
        past, load = loads[:evening], loads[evening]
        kwh = np.full(len(SHARES), depot.home_kwh)
        for slot in range(len(load)):
            futures = np.tile(_futures(rng, past, foretold[evening - history][slot], slot), (len(SHARES), 1))
            needs = least_levels(depot, futures, np.repeat(kwh, FUTURES)).reshape(len(SHARES), -1)
            ranked = np.sort(needs, axis=1)
            level = np.maximum(billed, ranked[np.arange(len(SHARES)), (SHARES * FUTURES).astype(int)])
            peak, kwh = held(depot, np.full((len(SHARES), 1), load[slot]), level, kwh, len(load) - slot - 1)
            billed = np.maximum(billed, peak)
    return float(billed.min())


def _futures(rng: np.random.Generator, past: Floats, foretold: Floats, slot: int) -> Floats:
    """The rest of the evening about its forecast, the present quarter hour as it is. The evening's own
    level is the surer the more has been seen of it.
    """
    usual = past.mean(axis=0)
    levels = past.mean(axis=1) / usual.mean()
    restless = float(np.std(past / usual / levels[:, None]))
    trust = levels.var() / (levels.var() + restless**2 / (slot + 1))
    level = rng.normal(1.0, np.sqrt(trust) * restless / np.sqrt(slot + 1), (FUTURES, 1))
    rest = foretold * level * rng.normal(1.0, restless, (FUTURES, len(foretold)))
    rest[:, 0] = foretold[0]
    return np.asarray(rest)
