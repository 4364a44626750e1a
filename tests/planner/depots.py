"""Seeded depots as problems: the mix, the prices and the limits that the planner's reference was measured
with.
"""

import csv
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from v2g_edge.planner.problem import FAR_KWH, Depth, Floats, Pack, Peak, Problem

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
KINDS = ((0.30, 250.0, 100.0), (0.30, 75.0, 22.0), (0.15, 350.0, 150.0), (0.25, 60.0, 11.0))
"""Share of the fleet, kWh, kW."""
FEEDERS = 4
DAYS = ("2023-07-02", "2023-01-15", "2023-03-26", "2023-10-29", "2023-05-07", "2023-11-21", "2023-08-18")
"""Deep negative prices, a winter day, both days on which the clocks change, and some others."""


@lru_cache(maxsize=4)
def _prices(name: str) -> dict[str, float]:
    file = DATA / "prices" / f"{name}.csv"
    if (
        not file.is_file()
    ):  # the real files are no part of the repository: a day with two peaks and a dip below zero instead
        return {}
    with file.open(encoding="utf-8") as lines:
        return {row[0]: float(row[1]) / 1e3 for row in list(csv.reader(lines))[1:]}


def prices(day: str, slots: int, name: str = "NL_2023") -> Floats:
    """Prices per kWh by quarter hour from a day's noon (UTC)."""
    known = _prices(name)
    hours = np.datetime64(f"{day}T12:00:00") + np.arange(-(-slots // 4)) * np.timedelta64(1, "h")
    made = (
        0.12
        + 0.1 * np.sin((np.arange(len(hours)) + 12) / 24 * 4 * np.pi)
        - 0.16 * ((np.arange(len(hours)) % 24) == 1)
    )
    found = [
        known.get(str(hour).replace("T", " "), float(value)) for hour, value in zip(hours, made, strict=True)
    ]
    return np.repeat(np.array(found), 4)[:slots]


def depot(
    seed: int,
    count: int,
    slots: int,
    *,
    day: str = DAYS[0],
    market: str = "NL_2023",
    tight: float = 0.45,
    feeders: int = FEEDERS,
) -> Problem:
    """``count`` vehicles under ``feeders`` of a root, from noon on. ``tight``: a feeder's share of its
    chargers' sum.
    """
    rng = np.random.default_rng(seed)
    price = prices(day, slots, market)
    packs = tuple(_pack(rng, n, slots, 1 + n % feeders, float(np.median(price))) for n in range(count))
    caps = np.zeros((feeders + 1, slots))
    for pack in packs:
        caps[[0, pack.feeder]] += np.max(pack.charge_kw) * tight
    base = 0.1 * caps[0] * (1.0 + 0.5 * np.sin(np.arange(slots) / 96 * 2 * np.pi))
    windows = tuple(((t, 1.0),) for t in range(slots))
    return Problem(
        start_wall_s=float(np.datetime64(f"{day}T12:00:00").astype("datetime64[s]").astype(int)),
        hours=np.full(slots, 0.25),
        buy=price + 0.06,
        sell=price - 0.005,
        base_kw=base,
        import_kw=caps[0] + base,
        export_kw=caps[0],
        parent=(-1, *([0] * feeders)),
        feeders=("main", *(f"f{n}" for n in range(1, feeders + 1))),
        charge_cap_kw=caps,
        export_cap_kw=caps.copy(),
        packs=packs,
        peaks=(Peak("month", 4.0, float(0.3 * caps[0, 0]), windows, (0.0,) * slots),),
    )


def _pack(rng: np.random.Generator, n: int, slots: int, feeder: int, usual: float) -> Pack:
    _, capacity, rated = KINDS[rng.choice(len(KINDS), p=[kind[0] for kind in KINDS])]
    v2g, eta = rng.random() < 0.85, rng.uniform(0.89, 0.96)
    charge, floor = np.zeros(slots), np.full(slots, 0.15 * capacity)
    ceiling, drain = np.full(slots, capacity), np.zeros(slots)
    first = 0 if rng.random() < 0.3 else int(rng.integers(8, 40))
    start = rng.uniform(0.25, 0.7) * capacity
    energy, last = start, -1
    while first < slots - 8:
        stay = int(rng.integers(44, 68))
        last = min(first + stay, slots) - 1
        charge[first : last + 1] = rated
        most = energy + 0.8 * (last + 1 - first) * 0.25 * rated * eta * 0.9
        floor[last] = min(rng.uniform(0.75, 0.95) * capacity, most)
        floor[last] = max(floor[last], 0.15 * capacity)
        trip = rng.uniform(0.3, 0.5) * capacity
        first = last + 1 + int(rng.integers(24, 40))
        if first < slots:
            drain[first] = min(trip, floor[last] - 0.15 * capacity)
            energy = floor[last] - drain[first]
    return Pack(
        name=f"v{n:04}",
        feeder=feeder,
        efficiency=eta,
        start_kwh=start,
        charge_kw=charge,
        discharge_kw=charge if v2g else np.zeros(slots),
        floor_kwh=np.minimum(floor, np.where(np.arange(slots) < max(last, 0) + 1, floor, 0.0)),
        ceiling_kwh=ceiling,
        drain_kwh=drain,
        wear=0.03,
        end_value=usual / eta * 0.9,
        deadline=last,
        min_charge_kw=4.14 if rated > 11.0 else 1.4,
        min_discharge_kw=1.0,
        full_kwh=capacity,
    )


def varied(seed: int) -> Problem:
    """One of the seeded problems: 2-200 vehicles, both price files, tight feeders, negative days and days
    of 23 and 25 hours.
    """
    rng = np.random.default_rng(10_000 + seed)
    count = int(np.exp(rng.uniform(np.log(2), np.log(200))))
    market = "NL_2023" if rng.random() < 0.6 else "US-CAL-CISO_2023"
    day = DAYS[int(rng.integers(len(DAYS)))]
    slots = int(rng.choice([48, 96, 96, 192])) if count < 60 else 96
    return depot(
        seed,
        count,
        slots,
        day=day,
        market=market,
        tight=float(rng.uniform(0.3, 0.8)),
        feeders=int(rng.integers(1, 6)),
    )


def deep(problem: Problem, most: float = 0.4) -> Problem:
    """The same with a cap on what leaves each battery in a day, and its cost rising with depth."""

    def with_depths(pack: Pack) -> Pack:
        pieces = ((0.2 * pack.full_kwh, 0.01), (0.2 * pack.full_kwh, 0.03), (FAR_KWH, 0.06))
        depths = tuple(Depth(t, t + 96, most * pack.full_kwh, pieces) for t in range(0, len(problem), 96))
        return replace(pack, depths=depths)

    return replace(problem, packs=tuple(with_depths(pack) for pack in problem.packs))
