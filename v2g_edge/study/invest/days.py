"""What one night is worth to one vehicle: charging as it comes, charging when it is cheap, giving when it is
dear. Each night of the price file, or of the curve, is one that a future may draw.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from v2g_edge.model.plan import PriceRow
from v2g_edge.study.invest.assumptions import HOURS, SEASONS, Assumptions, Fleet

Floats = NDArray[np.float64]
DRAWN: Final = 91
"""Nights of a season that a curve is made into."""
LEAST_NIGHTS: Final = 7
"""A season with fewer nights of prices borrows those of the whole file."""
HOUR_S: Final = 3_600.0


class Night(NamedTuple):
    """Prices of the hours from arrival to departure, in their order."""

    season: str
    prices: tuple[float, ...]


class Values(NamedTuple):
    """By night of a season: what managed charging saves, what giving earns before wear and fees on top of it,
    and how much is given (kWh at the meter).
    """

    saved: Floats
    earned: Floats
    given_kwh: Floats


def season_of(day: date) -> str:
    """Meteorological seasons of the northern half; a depot in the south names its weights the other way."""
    return SEASONS[day.month % 12 // 3]


def plugged_hours(fleet: Fleet) -> list[int]:
    """Local hours from arrival to departure."""
    count = (fleet.departs_h - fleet.arrives_h) % HOURS
    return [(fleet.arrives_h + n) % HOURS for n in range(count)]


def nights_of_rows(rows: Sequence[PriceRow], fleet: Fleet, zone: ZoneInfo) -> tuple[list[Night], int]:
    """The nights of a price file, and how many were left out for a missing hour."""
    starts = np.array([row.start_wall_s for row in rows])
    ends = np.array([row.end_wall_s for row in rows])
    worth = np.array([row.per_kwh for row in rows])
    count = (fleet.departs_h - fleet.arrives_h) % HOURS
    day = datetime.fromtimestamp(rows[0].start_wall_s, UTC).astimezone(zone).date()
    last = datetime.fromtimestamp(rows[-1].end_wall_s, UTC).astimezone(zone).date()
    nights, lost = [], 0
    while day < last:
        begin_s = datetime.combine(day, time(fleet.arrives_h), zone).timestamp()
        hours = begin_s + HOUR_S * np.arange(count)
        if hours[-1] + HOUR_S > ends[-1]:
            break
        at = np.searchsorted(starts, hours + HOUR_S / 2.0, side="right") - 1
        if at.size and at.min() >= 0 and bool((ends[at] > hours).all()):
            nights.append(Night(season_of(day), tuple(worth[at].tolist())))
        else:
            lost += 1
        day += timedelta(days=1)
    return nights, lost


def nights_of_curve(found: Assumptions) -> list[Night]:
    """Nights about a curve: each at a level of its own."""
    dice = np.random.default_rng([found.seed, 7])
    hours = plugged_hours(found.fleet)
    spread = found.prices.day_spread
    return [
        Night(season, tuple(found.prices.curve[hour] * float(level) for hour in hours))
        for season in SEASONS
        for level in dice.lognormal(-(spread**2) / 2.0, spread, DRAWN)
    ]


def values_of(nights: Sequence[Night], found: Assumptions, wear_per_kwh: float) -> dict[str, Values]:
    """The value of each night, by season, with the season's weight."""
    by_season: dict[str, Values] = {}
    for season in SEASONS:
        mine = [night for night in nights if night.season == season]
        mine = mine if len(mine) >= LEAST_NIGHTS else list(nights)
        rows = [night_value(night.prices, found, wear_per_kwh) for night in mine]
        weight = found.seasonal_weight.get(season, 1.0)
        table = np.array(rows, dtype=float)
        by_season[season] = Values(table[:, 0] * weight, table[:, 1] * weight, table[:, 2])
    return by_season


def night_value(
    prices: Sequence[float], found: Assumptions, wear_per_kwh: float
) -> tuple[float, float, float]:
    """(saved by managed charging, earned by giving before wear and fees, kWh given), for one vehicle.

    Charging fills the cheapest hours instead of the first ones. Giving pairs the dearest hour that is left
    with the cheapest hour that has room, while it earns more than losses, wear and fees take, up to the depth
    cap; no hour does both.
    """
    fleet = found.fleet
    buy = np.asarray(prices) + found.prices.buy_add
    sell = np.asarray(prices) + found.prices.sell_add
    room = np.full(len(prices), _most_kw(fleet, fleet.charge_kw, fleet.vehicles))
    need = min(fleet.need_kwh / fleet.one_way, float(room.sum()))
    plain = _fill(room, range(len(prices)), need)
    order = np.argsort(buy, kind="stable")
    smart = _fill(room, order, need)
    saved = float(buy @ plain - buy @ smart)
    at_once = fleet.concurrency_limit or fleet.vehicles
    out_kw = _most_kw(fleet, fleet.discharge_kw, min(at_once, fleet.vehicles)) * min(
        at_once / fleet.vehicles, 1.0
    )
    given, bought = _pair(buy, sell, room - smart, smart > 0.0, out_kw, found, wear_per_kwh)
    return saved, float(sell @ given - buy @ bought), float(given.sum())


def _most_kw(fleet: Fleet, kw: float, vehicles: int) -> float:
    return min(kw, fleet.connection_kw / vehicles) if fleet.connection_kw else kw


def _fill(room: Floats, order: Sequence[int] | NDArray[np.intp] | range, need: float) -> Floats:
    taken = np.zeros(len(room))
    for hour in order:
        taken[hour] = min(float(room[hour]), need)
        need -= taken[hour]
    return taken


def _pair(
    buy: Floats,
    sell: Floats,
    spare: Floats,
    busy: NDArray[np.bool_],
    out_kw: float,
    found: Assumptions,
    wear_per_kwh: float,
) -> tuple[Floats, Floats]:
    fleet, spare = found.fleet, spare.copy()
    loss = fleet.one_way**2
    keeps = 1.0 - found.services.aggregator_pct / 100.0
    left = fleet.depth_cap * fleet.capacity_kwh * fleet.one_way
    given, bought = np.zeros(len(buy)), np.zeros(len(buy))
    cheap = [int(hour) for hour in np.argsort(buy, kind="stable")]
    for hour in (int(hour) for hour in np.argsort(-sell, kind="stable") if not busy[hour]):
        wanted = min(out_kw, left) if bought[hour] == 0.0 else 0.0
        for other in cheap:
            if wanted <= 1e-9:
                break
            if other == hour or given[other] or spare[other] <= 1e-9:
                continue
            if sell[hour] * keeps - buy[other] / loss - wear_per_kwh <= 0.0:
                break
            part = min(wanted, float(spare[other]) * loss)
            given[hour] += part
            bought[other] += part / loss
            spare[other] -= part / loss
            wanted -= part
            left -= part
    return given, bought
