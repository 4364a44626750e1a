"""What plans cost beside each other: the optimum, managed charging without export, the plain rule, and
charging at once.
"""

import numpy as np
import pytest
from msgspec.structs import replace

from tests.planner.fleet import WALL_S
from tests.planner.test_highs import pack, problem
from tests.planner.test_promise import TERMS, random_depot
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.build import outlook_of
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.exchange import Demand
from v2g_edge.planner.highs import solve
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.planner.problem import Floats, Peak, settled
from v2g_edge.planner.report import Report


def low(snapshot: Snapshot, rng: np.random.Generator) -> Snapshot:
    """Everybody comes in below what it needs, so that every plan has to buy the same."""
    evses = []
    for state in snapshot.evses:
        assert state.vehicle is not None
        evses.append(
            replace(state, vehicle=replace(state.vehicle, soc_pct=Reading(float(rng.uniform(30, 60)), 100.0)))
        )
    return replace(snapshot, evses=tuple(evses))


def bill(plan: Plan, report: Report) -> float:
    total = 0.0
    for place, slot in enumerate(plan.slots):
        net_kw = sum(watts for _, watts in slot.evse_w) / 1e3 + report.base_kw[place]
        hours = (slot.end_wall_s - slot.start_wall_s) / 3_600.0
        total += (report.buy[place] * max(net_kw, 0.0) + report.sell[place] * min(net_kw, 0.0)) * hours
    return total


def at_once(site: Site, snapshot: Snapshot, report: Report) -> float:
    """Each charges from now on with an equal share of the feeder until it has what it needs."""
    left = {r.evse: (r.target_pct - r.soc_now_pct) / 100.0 * 200.0 / e.efficiency
            for r, e in zip(report.vehicles, site.evses, strict=True)}  # fmt: skip
    total = 0.0
    for place, (start_s, end_s) in enumerate(zip(report.edges, report.edges[1:], strict=False)):
        hours, waiting = (end_s - start_s) / 3_600.0, [name for name, kwh in left.items() if kwh > 0.0]
        limit_kw = site.feeders[0].import_limit_w * 0.98 / 1e3
        drawn = 0.0
        for name in waiting:
            kw = min(50.0, limit_kw / len(waiting), left[name] / hours)
            left[name] -= kw * hours
            drawn += kw
        total += report.buy[place] * (drawn + report.base_kw[place]) * hours
    return total


@pytest.mark.parametrize("seed", range(8))
def test_the_optimum_costs_no_more_than_managed_charging_and_that_no_more_than_charging_at_once(
    seed: int,
) -> None:
    site, snapshot, prices = random_depot(seed)
    snapshot = low(snapshot, np.random.default_rng(seed))
    plan, report = plan_day(site, snapshot, prices, TERMS, WALL_S)
    one_way = replace(
        site, vehicles=tuple(replace(vehicle, may_discharge=False) for vehicle in site.vehicles)
    )
    managed, told = plan_day(one_way, snapshot, prices, TERMS, WALL_S)
    plain = plan_from_prices(site, snapshot, prices, TERMS, WALL_S)
    optimum, without_export = bill(plan, report) + report.money.wear, bill(managed, told)
    assert optimum <= without_export + 0.01
    assert without_export <= at_once(site, snapshot, told) + 0.01
    assert optimum <= bill(plain, report) + 0.5, (
        "the plain rule buys some per cent more than is needed, and plans no less"
    )


def test_a_month_of_days_is_shaved_to_within_two_per_cent_of_the_best_possible() -> None:
    """Each day is planned with that day's loads and the peak billed so far; the yardstick knows all days
    from the start.
    """
    rng, days = np.random.default_rng(7), 30
    loads = [60.0 + 40.0 * rng.random() + 30.0 * rng.random(4) for _ in range(days)]
    car = pack(discharge_kw=np.zeros(4), start_kwh=0.0, floor_kwh=np.array([0.0, 0.0, 0.0, 36.0]))
    windows = tuple(((t, 1.0),) for t in range(4))

    def shaved(load: Floats, billed_kw: float) -> Floats:
        peak = Peak("month", 20.0, billed_kw, windows, (0.0,) * 4)
        calm, _ = settled(problem(car, base_kw=load, peaks=(peak,)))
        found = solve(calm)
        return np.asarray(load + found.charge_kw[0])

    billed, metered = 0.0, []
    for load in loads:
        metered += shaved(load, billed).tolist()
        billed = max(metered)
    best = max(float(shaved(load, 0.0).max()) for load in loads)
    assert billed <= best * 1.02


def test_a_peak_that_is_billed_is_used_and_none_is_added_to_it() -> None:
    """Where the building draws what was foretold."""
    site, snapshot, prices = random_depot(3)
    snapshot = low(snapshot, np.random.default_rng(3))
    _, free = plan_day(site, snapshot, prices, TERMS, WALL_S)
    usual = max(free.site_kw)
    charge = Demand("month", 50.0, usual, 900.0, 0.0, WALL_S)
    _, kept = plan_day(site, snapshot, prices, TERMS, WALL_S, outlook=outlook_of((charge,), (), (), (), 0.0))
    assert kept.money.peaks == pytest.approx(0.0, abs=0.5)
    assert kept.money.total == pytest.approx(free.money.total, rel=0.01, abs=0.5)
