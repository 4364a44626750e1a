"""Many futures at once: nights drawn with their season, and what differs between futures, in numpy."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from v2g_edge.study.invest.assumptions import SEASONS, Assumptions, Scenario
from v2g_edge.study.invest.days import Values

Floats = NDArray[np.float64]
DAYS: Final = {"winter": 90, "spring": 92, "summer": 92, "autumn": 91}
MONTHS: Final = 12


class Futures(NamedTuple):
    """Cash flows, a row a future and a column a year (0: today), against doing nothing; kWh given a year."""

    v1g: Floats
    v2g: Floats
    given_kwh: Floats


def drawn(values: dict[str, Values], found: Assumptions) -> Values:
    """The sums of a year of drawn nights for one vehicle: (paths, years) of saved, earned and given."""
    dice = np.random.default_rng([found.seed, 1])
    shape = (found.paths, found.years)
    sums = [np.zeros(shape) for _ in range(3)]
    for season in SEASONS:
        nights = round(DAYS[season] * found.fleet.days_a_year / 365.0)
        table = [np.asarray(each, dtype=np.float32) for each in values[season]]
        width = len(table[0])
        # Nights by twos: a table of all pairs halves what is drawn, and changes nothing else.
        pairs = [(each[:, None] + each[None, :]).ravel() for each in table]
        for year in range(found.years):
            at = dice.integers(
                0, width * width, (nights // 2, found.paths), dtype=np.uint16 if width < 256 else np.uint32
            )
            for total, pair in zip(sums, pairs, strict=True):
                total[:, year] += pair[at].sum(axis=0)
            if nights % 2:
                single = dice.integers(0, width, found.paths)
                for total, each in zip(sums, table, strict=True):
                    total[:, year] += each[single]
    return Values(*sums)


def futures(sums: Values, found: Assumptions, scenario: Scenario, wear_per_kwh: float) -> Futures:
    """Cash flows of both ways against doing nothing."""
    dice = np.random.default_rng([found.seed, 2])
    fleet, services, costs = found.fleet, found.services, found.costs
    paths, years = sums.saved.shape
    taking, spread, sold = _chances(dice, found, scenario, paths, years)
    keeps = 1.0 - services.aggregator_pct / 100.0
    nights = fleet.vehicles * taking * found.risk.captured_pct / 100.0 * scenario.spread * spread
    given_kwh = fleet.vehicles * taking * found.risk.captured_pct / 100.0 * sums.given_kwh
    wear = wear_per_kwh * scenario.wear * _about_one(dice, found.wear.sd_pct, (paths, 1))
    peak = services.peak_kw_saved * services.per_kw_month * MONTHS * taking
    v1g_year = nights * sums.saved + peak - costs.v1g_year
    earned = nights * sums.earned * keeps + services.kw * services.per_kw_year * sold * taking * keeps
    fails = np.zeros(years)
    fails[costs.warranty_years :] = costs.fails_pct / 100.0 * fleet.vehicles * costs.v2g_charger
    v2g_year = v1g_year + earned - wear * given_kwh - costs.v2g_year - fails * scenario.once
    once = scenario.once * _about_one(dice, costs.sd_pct, (paths, 1))
    extra = (costs.v2g_once + costs.v2g_charger * fleet.vehicles) * once
    paid = np.minimum(extra * costs.incentive_pct / 100.0, costs.incentive_most or np.inf)
    first = costs.v1g_once * once
    return Futures(np.hstack([-first, v1g_year]), np.hstack([-first - extra + paid, v2g_year]), given_kwh)


def _chances(
    dice: np.random.Generator, found: Assumptions, scenario: Scenario, paths: int, years: int
) -> tuple[Floats, Floats, Floats]:
    """Share of vehicles that take part, spread of prices, and what services earn, by future and year."""
    risk = found.risk
    share = risk.availability_pct / 100.0 * scenario.availability
    taking = dice.normal(share, risk.availability_sd_pct / 100.0, (paths, years)).clip(0.0, 1.0)
    taking *= 1.0 - risk.downtime_pct / 100.0
    growth = dice.normal(found.prices.growth_pct, found.prices.growth_sd_pct, (paths, 1)) / 100.0
    spread: Floats = (1.0 + growth).clip(0.5, 1.5) ** np.arange(years, dtype=float)
    sold = scenario.services * _about_one(dice, found.services.sd_pct, (paths, years))
    return taking, spread, sold


def _about_one(dice: np.random.Generator, sd_pct: float, shape: tuple[int, int]) -> Floats:
    """Lognormal factors with mean 1."""
    sigma = np.sqrt(np.log1p((sd_pct / 100.0) ** 2))
    return np.asarray(dice.lognormal(-(sigma**2) / 2.0, sigma, shape))
