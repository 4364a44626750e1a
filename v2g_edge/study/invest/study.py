"""The study: both ways in each scenario, what each assumption moves, and quantiles of it all."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from v2g_edge.study.invest.assumptions import Assumptions, Scenario
from v2g_edge.study.invest.days import Night, values_of
from v2g_edge.study.invest.finance import irr, npv, payback_years
from v2g_edge.study.invest.montecarlo import Futures, drawn, futures
from v2g_edge.study.wear.cost import per_kwh
from v2g_edge.study.wear.model import read_model

Floats = NDArray[np.float64]
Told = Callable[[int, int], None]
"""Gets how many steps of how many are done, so that a long study can show its progress."""
QUANTILES: Final = (0.1, 0.5, 0.9)
TORNADO_PATHS: Final = 2_000
BINS: Final = 40


class Result(Struct, frozen=True):
    """One way in one scenario. Lists are P10, P50, P90.

    Attributes:
        scenario: Its name.
        way: "V1G" (managed charging only), "V2G" (managed charging and giving), "V2G over V1G".
        npv: Net present value.
        npv_mean: Its mean.
        positive: Share of futures in which it is above 0.
        irr_pct: Internal rate of return, None where fewer than half of the futures have one.
        payback_years: None where it is never paid back in that quantile.
        cash_year: Cash of a mean year after the first.
        histogram: (left edge, share) of the NPV.
        fan: P10, P50, P90 of the cash so far, by year.
    """

    scenario: str
    way: str
    npv: list[float]
    npv_mean: float
    positive: float
    irr_pct: list[float] | None
    payback_years: list[float | None]
    cash_year: float
    histogram: list[tuple[float, float]]
    fan: list[list[float]]


class Lever(Struct, frozen=True):
    """What an assumption moves: the mean NPV of V2G with it low and high."""

    name: str
    low: str
    high: str
    npv_low: float
    npv_high: float


class Study(Struct, frozen=True):
    """The whole.

    Attributes:
        assumptions: What it was made from.
        wear_per_kwh: Cost of a kWh given.
        nights: How many nights of prices there were to draw from.
        given_mwh: Energy given in a mean year of the base scenario.
        efc_year: Equivalent full cycles of a vehicle in a mean year by giving.
        results: By scenario and way.
        tornado: Levers, the strongest first.
        notes: What was assumed.
    """

    assumptions: Assumptions
    wear_per_kwh: float
    nights: int
    given_mwh: float
    efc_year: float
    results: list[Result]
    tornado: list[Lever]
    notes: list[str]


def _silent(_done: int, _of: int) -> None:
    """Show no progress."""


def study_of(
    found: Assumptions, nights: Sequence[Night], notes: Sequence[str] = (), told: Told = _silent
) -> Study:
    """Everything of one file. ``told`` is called after each step: the draw, each scenario, each lever."""
    steps = 1 + len(found.scenarios) + len(LEVERS)
    wear = wear_of(found)
    values = values_of(nights, found, wear)
    sums = drawn(values, found)
    told(1, steps)
    results, base = [], None
    for name, scenario in found.scenarios.items():
        made = futures(sums, found, scenario, wear)
        results += [_result(name, way, flows, found) for way, flows in _ways(made)]
        base = made if name == "base" else base
        told(1 + len(results) // 3, steps)
    given_kwh = float(base.given_kwh.mean()) if base else 0.0
    fleet = found.fleet
    return Study(
        found,
        wear,
        len(nights),
        given_kwh / 1e3,
        given_kwh / fleet.one_way / fleet.vehicles / fleet.capacity_kwh,
        results,
        _tornado(found, nights, lambda done: told(steps - len(LEVERS) + done, steps)),
        list(notes),
    )


def result_of(found: Assumptions, nights: Sequence[Night], name: str, scenario: Scenario) -> list[Result]:
    """Both ways of one scenario alone, as a portfolio takes them."""
    wear = wear_of(found)
    made = futures(drawn(values_of(nights, found, wear), found), found, scenario, wear)
    return [_result(name, way, flows, found) for way, flows in _ways(made)]


def wear_of(found: Assumptions) -> float:
    """Cost of a kWh given: by the model at the depth cap, or as it is given."""
    wear = found.wear
    if not wear.model or wear.per_kwh or not found.fleet.depth_cap:
        return wear.per_kwh
    return wear.pack_price_per_kwh * _per_price(wear.model, found.fleet.depth_cap)


@lru_cache(maxsize=64)
def _per_price(model: str, depth: float) -> float:
    """What a kWh of a daily cycle costs for a pack of 1 per kWh."""
    return per_kwh(read_model(model), depth, 1.0)


def _ways(made: Futures) -> list[tuple[str, Floats]]:
    return [("V1G", made.v1g), ("V2G", made.v2g), ("V2G over V1G", made.v2g - made.v1g)]


def _result(scenario: str, way: str, flows: Floats, found: Assumptions) -> Result:
    worth = npv(flows, found.discount_pct / 100.0)
    rates, back = irr(flows), payback_years(flows)
    known = rates[np.isfinite(rates)]
    counts, edges = np.histogram(worth, BINS)
    return Result(
        scenario,
        way,
        _quantiles(worth),
        float(worth.mean()),
        float((worth > 0.0).mean()),
        [100.0 * rate for rate in _quantiles(known)] if known.size >= flows.shape[0] / 2 else None,
        [
            float(each) if np.isfinite(each) else None
            for each in np.quantile(back, QUANTILES, method="nearest")
        ],
        float(flows[:, 1:].mean()),
        [(float(edge), float(count) / flows.shape[0]) for edge, count in zip(edges, counts, strict=False)],
        np.quantile(np.cumsum(flows, axis=1), QUANTILES, axis=0).tolist(),
    )


def _quantiles(values: Floats) -> list[float]:
    return [float(each) for each in np.quantile(values, QUANTILES)]


def _tornado(found: Assumptions, nights: Sequence[Night], told: Callable[[int], None]) -> list[Lever]:
    few = replace(found, paths=min(found.paths, TORNADO_PATHS))

    same = drawn(values_of(nights, few, wear_of(few)), few)

    def worth(changed: Assumptions, scenario: Scenario) -> float:
        wear = wear_of(changed)
        sums = same if changed is few else drawn(values_of(nights, changed, wear), changed)
        return float(npv(futures(sums, changed, scenario, wear).v2g, changed.discount_pct / 100.0).mean())

    base = few.scenarios["base"]
    levers = []
    for name, low, high, first, second, change in LEVERS:
        below, above = worth(*change(few, base, first)), worth(*change(few, base, second))
        levers.append(Lever(name, low, high, below, above))
        told(len(levers))
    return sorted(levers, key=lambda lever: -abs(lever.npv_high - lever.npv_low))


Changed = tuple[Assumptions, Scenario]


def _scaled(key: str) -> Callable[[Assumptions, Scenario, float], Changed]:
    return lambda found, base, factor: (found, replace(base, **{key: getattr(base, key) * factor}))


def _fleet(key: str) -> Callable[[Assumptions, Scenario, float], Changed]:
    def change(found: Assumptions, base: Scenario, factor: float) -> Changed:
        value = min(getattr(found.fleet, key) * factor, 1.0 if key == "depth_cap" else 1e9)
        return replace(found, fleet=replace(found.fleet, **{key: value})), base

    return change


def _discount(found: Assumptions, base: Scenario, points: float) -> Changed:
    return replace(found, discount_pct=found.discount_pct + points), base


LEVERS: Final[
    tuple[tuple[str, str, str, float, float, Callable[[Assumptions, Scenario, float], Changed]], ...]
] = (
    ("spread of prices", "−30 %", "+30 %", 0.7, 1.3, _scaled("spread")),
    ("income from services", "−50 %", "+50 %", 0.5, 1.5, _scaled("services")),
    ("wear of the battery", "+50 %", "−50 %", 1.5, 0.5, _scaled("wear")),
    ("what is spent once", "+20 %", "−20 %", 1.2, 0.8, _scaled("once")),
    ("vehicles that take part", "−15 %", "+10 %", 0.85, 1.1, _scaled("availability")),
    ("depth cap", "−40 %", "+40 %", 0.6, 1.4, _fleet("depth_cap")),
    ("discharge power", "−40 %", "+40 %", 0.6, 1.4, _fleet("discharge_kw")),
    ("discount rate", "+3 points", "−3 points", 3.0, -3.0, _discount),
)
"""Name, what low and high are, the two factors, and what they change."""
