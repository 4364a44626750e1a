"""The cheapest week of one who knows all: every arrival, charge, departure and price, as one problem."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.scenarios.visit import Visit
from tests.planner.weeks.play import SLOT_S
from tests.planner.weeks.policies import TERMS
from tests.planner.weeks.presets import Week
from v2g_edge.model.site import Evse
from v2g_edge.planner import highs
from v2g_edge.planner.build import tapers_of
from v2g_edge.planner.problem import Depth, Floats, Pack, Problem, settled
from v2g_edge.planner.stay import FLOOR_MARGIN_PCT, MARGIN_S, TARGET_MARGIN_PCT, TIME_SLACK


@dataclass(frozen=True, slots=True)
class Margins:
    """What a plan keeps free: seconds before a departure, percent above the target and above the floor, and
    the share of a charger's time.
    """

    before_s: float
    above_pct: float
    floor_pct: float
    slack: float


KEPT: Final = Margins(MARGIN_S, TARGET_MARGIN_PCT, FLOOR_MARGIN_PCT, TIME_SLACK)
"""Those of the depot's own plan."""
NONE: Final = Margins(0.0, TARGET_MARGIN_PCT, 0.0, 1.0)
"""None but the target's, so that both bring home the same energy."""


def buy_of(week: Week, count: int) -> Floats:
    """Price of a kWh that is bought, by quarter hour."""
    spot = {price.start_wall_s: price.per_kwh for price in week.prices}
    starts = week.start_wall_s + SLOT_S * np.arange(count)
    return np.array([spot[start_s - start_s % 3_600.0] for start_s in starts]) + TERMS.fixed_per_kwh


def sell_of(buy: Floats) -> Floats:
    """What a kWh that is sold earns."""
    return buy - TERMS.fixed_per_kwh + TERMS.export_per_kwh


def base_kw_of(week: Week) -> float:
    """The building's load."""
    return week.site.feeders[-1].base_load_max_w / 1e3


def least_cost(week: Week, margins: Margins, *, export: bool = True) -> float:
    """Money for energy and wear of the whole week."""
    count = round((week.end_wall_s - week.start_wall_s) / SLOT_S)
    site, free = week.site, 1.0 - week.site.safety.feeder_margin_pct / 100.0
    buy, base = buy_of(week, count), np.full(count, base_kw_of(week))
    caps = np.array([[f.import_limit_w / 1e3 * free] * count for f in site.feeders])
    outs = np.array([[f.export_limit_w / 1e3 * free] * count for f in site.feeders])
    caps[-1] -= base
    by_evse: dict[str, list[Visit]] = {evse.id: [] for evse in site.evses}
    for visit in week.visits:
        by_evse[visit.evse].append(visit)
    problem = Problem(
        start_wall_s=week.start_wall_s,
        hours=np.full(count, SLOT_S / 3_600.0),
        buy=buy,
        sell=np.minimum(sell_of(buy), buy),
        base_kw=base,
        import_kw=caps[-1] + base,
        export_kw=outs[-1],
        parent=(1, -1),
        feeders=tuple(feeder.id for feeder in site.feeders),
        charge_cap_kw=caps,
        export_cap_kw=outs,
        packs=tuple(
            _pack(week, evse, by_evse[evse.id], count, margins, export=export) for evse in site.evses
        ),
    )
    calm, missed = settled(problem)
    assert not missed
    found = highs.solve(calm, limit_s=300.0, method="ipm")
    assert not found.short_kwh
    return found.cost


def _pack(week: Week, evse: Evse, visits: list[Visit], count: int, margins: Margins, *, export: bool) -> Pack:
    kind = week.site.vehicle_types[0]
    per_pct, full_kw = kind.capacity_wh / 1e5, evse.max_charge_w / 1e3
    goal_pct = min(visits[0].target_soc_pct + margins.above_pct, 100.0)
    least_kwh = (kind.min_soc_pct + margins.floor_pct) * per_pct
    charge, discharge, floor, drain = np.zeros((4, count))
    ceiling, depths = np.full(count, kind.capacity_wh / 1e3), []
    for visit in visits:
        first = round((visit.arrives_wall_s - week.start_wall_s) / SLOT_S)
        end = round((visit.departs_wall_s - margins.before_s - week.start_wall_s) / SLOT_S)
        charge[first:end] = full_kw / margins.slack
        discharge[first:end] = evse.max_discharge_w / 1e3 * export
        floor[first:end] = least_kwh
        floor[end - 1] = goal_pct * per_pct
        ceiling[end - 1] = goal_pct * per_pct
        drain[first] = -sum(visit.route_pct) * per_pct
        depths.append(Depth(first, end, kind.depth_per_event_pct * per_pct))
    return Pack(
        name=evse.id,
        feeder=0,
        efficiency=evse.efficiency,
        start_kwh=(visits[0].soc_pct or 0.0) * per_pct,
        charge_kw=charge,
        discharge_kw=discharge,
        floor_kwh=floor,
        ceiling_kwh=ceiling,
        drain_kwh=drain,
        tapers=tapers_of(kind.charge_curve, per_pct, full_kw, evse.efficiency, goal_pct),
        depths=tuple(depths) if export else (),
        wear=TERMS.wear_per_kwh,
        deadline=count - 1,
        full_kwh=kind.capacity_wh / 1e3,
    )
