"""What wear costs, in money per kWh: a life with a daily cycle against one at rest at the same mean SoC."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from msgspec.structs import replace

from v2g_edge.study.ledger.lines import SocCycle, VehicleAccount
from v2g_edge.study.wear.model import Health, Stress, WearModel, aged, capacity
from v2g_edge.study.wear.rainflow import cycles_of

HOURS: Final = 24
YEARS: Final = 10
DAYS_A_YEAR: Final = 365
STEP_DAYS: Final = 5
"""Days alike are taken together; the state of health changes too little within them to matter."""
DEPTHS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
END_OF_LIFE: Final = 0.8
"""A pack is replaced at this share of its capacity, by most makers' warranties at the latest at 0.7."""

ASSUMED_C: Final = 20.0
ASSUMED_SOC_PCT: Final = 60.0
"""Stand in where a vehicle never tells its temperature or SoC; the report says so."""

AGE_YEARS: Final = 3.0
"""A pack's age where nobody says it: what the next month costs then is near the mean of its life."""


class Loss(NamedTuple):
    """Lost capacity, 0 to 1: as used, as it would be at rest, and since new; cycles by rainflow; what was
    assumed.
    """

    used: float
    rested: float
    since_new: float
    efc: float
    assumed: str


def stress_of(soc: Sequence[float], pack_c: float | tuple[float, ...], health: float = 1.0) -> Stress:
    """A day of hourly SoC (0 to 1, the last hour's end included). A worn pack swings wider about the same
    middle for the same energy.
    """
    middle = (max(soc) + min(soc)) / 2.0
    deeper = tuple(min(max(middle + (each - middle) / health, 0.0), 1.0) for each in soc)
    moves = [abs(b - a) for a, b in pairwise(deeper)]
    rates = [move if move >= 1e-2 else 0.0 for move in moves]
    mean_rate = sum(rates) / len(rates)
    cycles = tuple((each.depth, each.mean, each.count) for each in cycles_of(deeper))
    return Stress(1.0, deeper, pack_c, sum(moves) / 2.0 * health, cycles, mean_rate * health)


def life(model: WearModel, soc: Sequence[float], pack_c: float, years: int) -> list[float]:
    """Capacity left after each year of the same day."""
    health, left = Health(), list[float]()
    for _ in range(years):
        for _ in range(DAYS_A_YEAR // STEP_DAYS):
            day = stress_of(soc, pack_c, max(capacity(model, health), 0.3))
            cycles = tuple((depth, mean, count * STEP_DAYS) for depth, mean, count in day.cycles)
            health = aged(model, health, replace(day, days=STEP_DAYS, efc=day.efc * STEP_DAYS, cycles=cycles))
        left.append(capacity(model, health))
    return left


def cycle_day(depth: float, top: float = 0.8) -> tuple[float, ...]:
    """Four hours down by ``depth`` from ``top``, eight hours low, eight hours up, four hours at the top."""
    down = [top - depth * hour / 4.0 for hour in range(5)]
    low = [top - depth] * 8
    up = [top - depth + depth * hour / 8.0 for hour in range(1, 9)]
    return (*down, *low, *up, *[top] * 4)


def per_kwh(
    model: WearModel,
    depth: float,
    pack_price_per_kwh: float,
    *,
    pack_c: float = 25.0,
    top: float = 0.8,
    years: int = YEARS,
    end_of_life: float = END_OF_LIFE,
) -> float:
    """Money per kWh given, where every day has one cycle of ``depth``, over rest at the day's mean SoC."""
    day = cycle_day(depth, top)
    mean = sum(day) / len(day)
    cycled = life(model, day, pack_c, years)[-1]
    rested = life(model, [mean] * (HOURS + 1), pack_c, years)[-1]
    lost = max(rested - cycled, 0.0) / (1.0 - end_of_life)
    return lost * pack_price_per_kwh / (depth * DAYS_A_YEAR * years)


def fleet_loss(
    model: WearModel,
    account: VehicleAccount,
    turns: Iterable[SocCycle],
    days: float,
    age_years: float = AGE_YEARS,
) -> Loss:
    """What a vehicle of the ledger has lost in a time by the model, from the mean of its temperature and SoC
    and from its cycles. ``assumed`` says which of them were not known.
    """
    assumed = []
    pack_c, soc_pct = account.mean_c, account.mean_soc_pct
    if pack_c is None:
        pack_c, assumed = ASSUMED_C, [f"pack at {ASSUMED_C:.0f} °C"]
    if soc_pct is None:
        soc_pct, assumed = ASSUMED_SOC_PCT, [*assumed, f"SoC of {ASSUMED_SOC_PCT:.0f} %"]
    cycles = tuple((each.depth_pct / 100.0, each.mean_pct / 100.0, each.count) for each in turns)
    efc = sum(depth * count for depth, _, count in cycles)
    typical = sum(depth * depth * count for depth, _, count in cycles) / efc if efc else 0.0
    mean = soc_pct / 100.0
    soc = (min(mean + typical / 2.0, 1.0), max(mean - typical / 2.0, 0.0))
    rate_c = 2.0 * efc / max(days * 24.0, 1.0)
    # A pack wears fastest when it is new, so its age matters: as many cycles a day before as now.
    before = age_years * DAYS_A_YEAR
    share = before / max(days, 1.0)
    earlier = tuple((depth, middle, count * share) for depth, middle, count in cycles)
    start = aged(model, Health(), Stress(before, soc, pack_c, efc * share, earlier, rate_c))
    worn = aged(model, start, Stress(days, soc, pack_c, efc, cycles, rate_c))
    rested = aged(model, start, Stress(days, (mean,), pack_c, 0.0, ()))
    had = capacity(model, start)
    return Loss(
        had - capacity(model, worn),
        had - capacity(model, rested),
        1.0 - capacity(model, worn),
        efc,
        ", ".join(assumed),
    )


def blended(modelled: float, model_error: float, measured: float | None, measured_error: float) -> float:
    """A modelled loss and a measured one, weighted by the inverse of their variances."""
    if measured is None:
        return modelled
    weights = model_error**-2, measured_error**-2
    return (modelled * weights[0] + measured * weights[1]) / sum(weights)
