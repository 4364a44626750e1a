"""From what is plugged in to the problem that the solvers take. Departures, margins and floors are those
of ``stay``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from v2g_edge.model.orders import Ahead
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import CurvePoint, Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.exchange import Demand, Held
from v2g_edge.planner.peaks import cautions_of, peaks_of
from v2g_edge.planner.problem import FAR_KWH, Depth, Floats, Pack, Problem, Reserve, Taper
from v2g_edge.planner.proof import least_kwh
from v2g_edge.planner.slots import TimeGrid, caps_by_slot, grid_of
from v2g_edge.planner.stay import LEAST_SHARE, MARGIN_S, NOTHING, TIME_SLACK, Past, Stay, stays_of

WEAR_BY_DEPTH: Final = ((20.0, 0.0152), (40.0, 0.0152), (60.0, 0.0214), (80.0, 0.0375), (100.0, 0.0871))
"""Up to this depth (% of capacity) a kWh out costs this, for a pack of ``WEAR_PACK_PRICE`` per kWh and 20
% loss of capacity at its end (Xu et al. 2018, stress by depth; the first two steps merged, so that the
cost only rises).
"""
WEAR_PACK_PRICE: Final = 120.0

AT_ONCE: Final = 10.0
"""Bonus per kWh, beside twice the dearest price, of a vehicle that charges at once: above any price, below
a promise.
"""

EARLIER: Final = 1e-5
"""Cost per kWh and slot of charging later at the same price: of equal plans the early one, and always the
same one.
"""

GAIN_PER_KWH: Final = 0.005
"""Least profit of a kWh exported: half a cent, below which forecast and rounding decide (as in the plain
rule).
"""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected beside vehicles and prices, by slot or for all of them. ``base_kw`` None: as the
    site file's mean says. ``base_error_kw``: what it was off by in the mean, None where that is not known.
    """

    base_kw: Floats | None = None
    base_error_kw: float | None = None
    import_kw: Floats | None = None
    export_kw: Floats | None = None
    demand: tuple[Demand, ...] = ()
    reserves: tuple[Held, ...] = ()
    batteries: tuple[Pack, ...] = ()
    ahead: tuple[Ahead, ...] = ()


NO_OUTLOOK: Final = Outlook()


def outlook_of(
    demand: tuple[Demand, ...],
    reserves: tuple[Held, ...],
    ahead: tuple[Ahead, ...] = (),
    base_kw: tuple[float, ...] = (),
    base_error_kw: float | None = None,
) -> Outlook:
    """What a worker gets."""
    base = np.array(base_kw) if base_kw else None
    return Outlook(base, base_error_kw, demand=demand, reserves=reserves, ahead=ahead)


def problem_of(
    site: Site,
    snapshot: Snapshot,
    prices: tuple[Price, ...],
    settings: PriceSettings,
    wall_s: float,
    pasts: Mapping[str, Past] = NOTHING,
    outlook: Outlook = NO_OUTLOOK,
    *,
    share: float = 1.0,
    least_slots: int = 0,
) -> tuple[Problem, list[Stay], TimeGrid]:
    """The problem from ``wall_s`` on. ``share`` of each feeder serves charging: the rest is kept for what
    goes wrong.
    """
    stays = stays_of(site, snapshot.evses, wall_s, pasts)
    known = [stay.deadline_s for stay in stays if not stay.at_once]
    grid = grid_of(prices, settings, wall_s, max(known, default=wall_s) + MARGIN_S, least_slots)
    count, places = len(grid), {feeder.id: n for n, feeder in enumerate(site.feeders)}
    hours = np.diff(grid.edges) / 3_600.0
    buy = np.array(grid.buy)
    sell = np.array(
        [0.0 if price is None else price for price in grid.sell]
    )  # unknown: what the sun feeds in earns nothing
    packs = [_pack(stay, places[stay.evse.feeder], grid, settings) for stay in stays]
    caps = caps_by_slot(site, grid.edges, outlook.ahead)
    base = outlook.base_kw[:count] if outlook.base_kw is not None else np.full(count, _mean_base_kw(site))
    free = 1.0 - site.safety.feeder_margin_pct / 100.0
    limit_in = np.array([slot.import_limit_w for slot in caps]) / 1e3 * free
    limit_out = np.array([slot.export_limit_w for slot in caps]) / 1e3 * free
    problem = Problem(
        start_wall_s=wall_s,
        hours=hours,
        buy=buy,
        sell=np.minimum(sell, buy),
        base_kw=base,
        import_kw=limit_in if outlook.import_kw is None else np.minimum(outlook.import_kw, limit_in),
        export_kw=limit_out if outlook.export_kw is None else np.minimum(outlook.export_kw, limit_out),
        parent=tuple(places.get(feeder.parent, -1) for feeder in site.feeders),
        feeders=tuple(feeder.id for feeder in site.feeders),
        charge_cap_kw=np.array([[share * slot.charge_w[f.id] / 1e3 for slot in caps] for f in site.feeders]),
        export_cap_kw=np.array([[slot.export_w[f.id] / 1e3 for slot in caps] for f in site.feeders]),
        packs=(*packs, *outlook.batteries),
        peaks=peaks_of(outlook.demand, grid),
        cautions=cautions_of(outlook.demand, base, _error_kw(site, outlook)),
        reserves=tuple(
            Reserve(each.name, 0, count, each.up_kw, each.down_kw, each.hours) for each in outlook.reserves
        ),
    )
    return problem, stays, grid


def _error_kw(site: Site, outlook: Outlook) -> float:
    """What the building may be off by in the mean: without a history a quarter of what lies between its
    commissioned bounds, as if it were anywhere between them.
    """
    if outlook.base_error_kw is not None:
        return outlook.base_error_kw
    return sum(feeder.base_load_max_w - feeder.base_load_min_w for feeder in site.feeders) / 4e3


def _mean_base_kw(site: Site) -> float:
    """Without a forecast the building draws halfway between its commissioned bounds."""
    return sum(feeder.base_load_max_w + feeder.base_load_min_w for feeder in site.feeders) / 2e3


def _pack(stay: Stay, feeder: int, grid: TimeGrid, settings: PriceSettings) -> Pack:
    count, per_pct = len(grid), max(stay.capacity_wh, 0.0) / 1e5
    now, goal = stay.soc_now_pct * per_pct, stay.goal_pct * per_pct
    lengths = np.diff(grid.edges)
    if stay.at_once or stay.lack_s > stay.deadline_s - grid.edges[0]:
        return _at_once(stay, feeder, grid, now, goal)
    usable = np.array([grid.seconds(slot, stay.deadline_s) for slot in range(count)]) / lengths
    last = int(np.flatnonzero(usable > 0.0)[-1])
    whole = usable >= 1.0
    exports = stay.may_export & whole & np.array([price is not None for price in grid.sell])
    exports[0] &= stay.soc_now_pct >= stay.floor_pct
    ends = max(goal, now)
    ceiling = np.full(count, max(100.0 * per_pct, now) if stay.may_export else ends)
    ceiling[last:] = ends
    floor = np.full(count, min(stay.floor_pct * per_pct, now) if stay.may_export else 0.0)
    floor[last] = max(goal, float(floor[last])) if goal > 0.0 else floor[last]
    return Pack(
        name=stay.evse.id,
        feeder=feeder,
        efficiency=stay.evse.efficiency,
        start_kwh=now,
        charge_kw=usable * stay.full_w / 1e3 / TIME_SLACK,
        discharge_kw=exports * stay.export_w / 1e3,
        floor_kwh=floor,
        ceiling_kwh=ceiling,
        drain_kwh=np.zeros(count),
        tapers=tapers_of(stay.curve, per_pct, stay.full_w / 1e3, stay.evse.efficiency, stay.goal_pct),
        depths=_depths(stay, grid, settings),
        wear=(0.0 if settings.pack_price_per_kwh > 0.0 else settings.wear_per_kwh) + GAIN_PER_KWH,
        end_value=grid.later / stay.evse.efficiency,
        bonus=-EARLIER * np.arange(count, dtype=np.float64),
        deadline=last,
        min_charge_kw=stay.evse.min_charge_w / 1e3,
        min_discharge_kw=stay.evse.min_discharge_w / 1e3,
        full_kwh=max(100.0 * per_pct, now),
        proof_kwh=_proof(stay, grid) if stay.may_export else None,
    )


def _proof(stay: Stay, grid: TimeGrid) -> Floats:
    departs_s = stay.deadline_s + MARGIN_S
    evse = stay.evse
    return least_kwh(
        grid.edges, departs_s, stay.goal_pct, stay.curve, stay.full_w, evse.efficiency, stay.capacity_wh
    )


def _at_once(stay: Stay, feeder: int, grid: TimeGrid, now: float, goal: float) -> Pack:
    """Its departure or SoC is unknown, or it is late already: all it can take from now on, and
    no export.

    Its charge curve is left to the battery: what it is told bounds nothing then.
    """
    count = len(grid)
    known = stay.capacity_wh > 0.0
    worth = AT_ONCE + 2.0 * max(abs(price) for price in grid.buy)
    deadline = -1 if stay.at_once else min(int(np.searchsorted(grid.edges, stay.deadline_s)) - 1, count - 1)
    sooner = np.arange(count, dtype=np.float64) / count
    return Pack(
        name=stay.evse.id,
        feeder=feeder,
        efficiency=stay.evse.efficiency,
        start_kwh=now,
        charge_kw=np.full(count, stay.full_w / 1e3),
        discharge_kw=np.zeros(count),
        floor_kwh=np.zeros(count),
        ceiling_kwh=np.full(count, max(goal, now) if known else FAR_KWH),
        drain_kwh=np.zeros(count),
        hurry=True,
        bonus=worth * (1.0 - 0.5 * sooner),
        deadline=deadline,
        wanted_kwh=goal if deadline >= 0 else 0.0,
        min_charge_kw=stay.evse.min_charge_w / 1e3,
    )


def _depths(stay: Stay, grid: TimeGrid, settings: PriceSettings) -> tuple[Depth, ...]:
    """What may be taken out until midnight, and in all; the cost of each kWh by the depth that it makes."""
    if not stay.may_export:
        return ()
    per_pct, count = stay.capacity_wh / 1e5, len(grid)
    midnight = int(np.searchsorted(grid.edges, stay.midnight_s))
    total_kwh = stay.depth_pct * per_pct
    depths = [Depth(0, count, total_kwh, _pieces(stay, settings.pack_price_per_kwh))]
    if midnight > 0 and stay.today_pct < stay.depth_pct:
        depths.append(Depth(0, min(midnight, count), stay.today_pct * per_pct))
    return tuple(depths)


def _pieces(stay: Stay, pack_price: float) -> tuple[tuple[float, float], ...]:
    if pack_price <= 0.0:
        return ()
    low_pct, pieces = 0.0, []
    for high_pct, cost in WEAR_BY_DEPTH:
        width_pct = high_pct - max(low_pct, min(stay.taken_pct, high_pct))
        low_pct = high_pct
        if width_pct > 0.0:
            pieces.append((width_pct * stay.capacity_wh / 1e5, cost * pack_price / WEAR_PACK_PRICE))
    return tuple(pieces)


def tapers_of(
    curve: tuple[CurvePoint, ...], kwh_per_pct: float, full_kw: float, efficiency: float, goal_pct: float
) -> tuple[Taper, ...]:
    """Lines below a charge curve up to the goal: its concave hull, lowered by as much as a hollow curve falls
    under that.

    The hull alone would promise what a hollow curve does not give. Powers lie at the grid side, with the
    planner's time slack.
    """
    if not curve or kwh_per_pct <= 0.0 or full_kw <= 0.0:
        return ()
    soc = np.unique(
        np.clip([*(point.soc_pct for point in curve), *np.arange(0.0, 101.0, 2.5), goal_pct], 0.0, goal_pct)
    )
    points = [point.soc_pct for point in curve]
    power = np.interp(soc, points, [point.power_w / 1e3 / efficiency for point in curve])
    power = np.clip(power, LEAST_SHARE * full_kw, full_kw)
    hull = _hull(soc.tolist(), power.tolist())
    share = (
        min(float(np.min(power / np.interp(soc, [x for x, _ in hull], [y for _, y in hull]))), 1.0)
        / TIME_SLACK
    )
    lines = []
    for (left, high), (right, low) in pairwise(hull):
        slope = (high - low) / (right - left)
        if slope > 1e-9:
            lines.append(Taper((high + slope * left) * share, slope / kwh_per_pct * share))
    return tuple(lines)


def _hull(xs: list[float], ys: list[float]) -> list[tuple[float, float]]:
    """The upper concave hull of points sorted by x."""
    hull: list[tuple[float, float]] = []
    for x, y in zip(xs, ys, strict=True):
        while len(hull) >= 2 and _turns_up(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    return hull


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
