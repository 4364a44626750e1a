"""The optimised day plan on a real night: cheaper than the plain rule, within every limit, everybody
charged.
"""

import numpy as np
import pytest
from msgspec.structs import replace

from tests.planner.fleet import WALL_S, full_night, play, prices_of, small_site, snapshot_of
from tests.planner.test_price_rule import FREE, exported_wh, feeders_hold
from v2g_edge.field.timetable import Timetable
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.site import CurvePoint, Site, Vehicle
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner import day
from v2g_edge.planner.build import outlook_of, tapers_of
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.exchange import Demand, Held
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.planner.problem import Owed
from v2g_edge.planner.report import Report

EVENING = (0.30, 0.35, 0.40, 0.30, 0.20, 0.15, 0.10, 0.10, 0.10, 0.15, 0.20, 0.30) * 2


def made(site: Site, snapshot: Snapshot, prices: tuple[Price, ...] | None = None) -> tuple[Plan, Report]:
    told = (
        prices_of(*EVENING, start_s=snapshot.wall_s - snapshot.wall_s % 3_600) if prices is None else prices
    )
    return plan_day(site, snapshot, told, FREE, snapshot.wall_s)


def cost(plan: Plan, report: Report) -> float:
    """The energy bill of a plan at the report's prices, building included."""
    total = 0.0
    for place, slot in enumerate(plan.slots):
        net_kw = sum(watts for _, watts in slot.evse_w) / 1e3 + report.base_kw[place]
        hours = (slot.end_wall_s - slot.start_wall_s) / 3_600.0
        total += (report.buy[place] * max(net_kw, 0.0) + report.sell[place] * min(net_kw, 0.0)) * hours
    return total


def test_a_night_of_twelve_is_cheaper_than_by_the_plain_rule_and_leaves_everybody_charged() -> None:
    scenario, snapshot = full_night()
    plan, report = made(scenario.site, snapshot)
    prices = prices_of(*EVENING, start_s=snapshot.wall_s - snapshot.wall_s % 3_600)
    plain = plan_from_prices(scenario.site, snapshot, prices, FREE, snapshot.wall_s)
    assert [slot.start_wall_s for slot in plan.slots] == [slot.start_wall_s for slot in plain.slots]
    assert cost(plan, report) < cost(plain, report) - 10.0
    feeders_hold(scenario.site, plan)
    left = play(scenario.site, snapshot, plan, 1.0)
    for evse, state in zip(scenario.site.evses, snapshot.evses, strict=True):
        if state.vehicle is not None and isinstance(state.vehicle.target_soc_pct, Reading):
            assert left[evse.id] >= state.vehicle.target_soc_pct.value, evse.id
    assert exported_wh(plan) > 0.0
    assert report.warnings == ()


def test_the_report_says_when_each_is_ready_and_what_it_costs() -> None:
    site = small_site()
    snapshot = snapshot_of(site)
    _, report = made(site, snapshot, prices_of(*EVENING))
    assert [each.evse for each in report.vehicles] == ["b1", "b2"]
    for each in report.vehicles:
        assert each.ready_wall_s is not None
        assert WALL_S < each.ready_wall_s <= WALL_S + 36_000.0
        assert each.leaves_with_pct >= 90.0
        assert len(each.soc_pct) == len(report.buy)
    assert report.money.export < 0.0 < report.money.energy
    assert report.money.total == pytest.approx(
        sum((report.money.energy, report.money.export, report.money.wear))
    )


def test_a_departure_out_of_reach_is_charged_for_at_once_and_said() -> None:
    site = small_site()
    snapshot = snapshot_of(
        site, soc_pct=Reading(5.0, 100.0), departure_wall_s=Reading(WALL_S + 7_200.0, 100.0)
    )
    plan, report = made(site, snapshot, prices_of(*EVENING))
    assert len(report.warnings) == 2
    assert sum(watts for _, watts in plan.slots[0].evse_w) == pytest.approx(98_000.0, rel=1e-3), (
        "all that the feeder passes"
    )


@pytest.mark.parametrize("lost", ["departure_wall_s", "soc_pct"])
def test_a_vehicle_of_which_nobody_said_enough_charges_at_once(lost: str) -> None:
    site = small_site()
    snapshot = snapshot_of(site, **{lost: Unknown("no_sample")})
    plan, _ = made(site, snapshot, prices_of(*EVENING))
    assert sum(watts for _, watts in plan.slots[0].evse_w) == pytest.approx(98_000.0, rel=1e-3), (
        "all that the feeder passes"
    )
    assert exported_wh(plan) == 0.0


def test_a_plan_made_twice_is_the_same_and_one_made_later_says_the_same_of_the_rest() -> None:
    scenario, snapshot = full_night()
    first, _ = made(scenario.site, snapshot)
    again, _ = made(scenario.site, snapshot)
    assert first == again


def test_a_hollow_charge_curve_is_never_promised_more_than_it_gives() -> None:
    curve = (CurvePoint(0.0, 100e3), CurvePoint(60.0, 100e3), CurvePoint(80.0, 40e3), CurvePoint(100.0, 20e3))
    lines = tapers_of(curve, 1.0, 100.0, 1.0, 95.0)
    for soc in np.arange(0.0, 95.0, 0.5):
        real = np.interp(soc, [p.soc_pct for p in curve], [p.power_w / 1e3 for p in curve])
        planned = min(100.0, *(line.at_empty_kw - line.per_kwh * soc for line in lines))
        assert 0.0 < planned <= real + 1e-9


def test_a_hole_in_the_prices_is_neither_sold_into_nor_bought_as_free() -> None:
    site, hour = small_site(), 3_600.0
    prices = tuple(Price(WALL_S + n * hour, 0.2) for n in range(12) if n not in {3, 4, 5})
    plan, report = made(site, snapshot_of(site), prices)
    hole = [
        k for k, slot in enumerate(plan.slots) if WALL_S + 3 * hour <= slot.start_wall_s < WALL_S + 6 * hour
    ]
    assert all(watts >= 0.0 for k in hole for _, watts in plan.slots[k].evse_w)
    assert all(report.buy[k] == pytest.approx(0.2) for k in hole)


def highest(report: Report, window_s: float) -> float:
    """The highest mean import over a window on the clock."""
    means: dict[float, float] = {}
    for start_s, end_s, kw in zip(report.edges, report.edges[1:], report.site_kw, strict=False):
        while start_s < end_s:
            until_s = min(end_s, start_s - start_s % window_s + window_s)
            first_s = start_s - start_s % window_s
            means[first_s] = means.get(first_s, 0.0) + max(kw, 0.0) * (until_s - start_s) / window_s
            start_s = until_s  # noqa: PLW2901
    return max(means.values())


@pytest.mark.parametrize("window_s", [300.0, 900.0, 1_800.0, 3_600.0])
def test_a_demand_charge_flattens_the_import_of_its_windows(window_s: float) -> None:
    scenario, snapshot = full_night()
    prices = prices_of(*EVENING, start_s=snapshot.wall_s - snapshot.wall_s % 3_600)
    started_s = snapshot.wall_s - snapshot.wall_s % window_s
    charge = Demand("grid", 20.0, 60.0, window_s, 0.0, started_s)
    _, free = plan_day(scenario.site, snapshot, prices, FREE, snapshot.wall_s)
    _, billed = plan_day(
        scenario.site, snapshot, prices, FREE, snapshot.wall_s, outlook=outlook_of((charge,), ())
    )
    assert highest(billed, window_s) < 0.8 * highest(free, window_s)
    assert billed.money.peaks > 0.0
    assert all(each.lacks_kwh < 0.1 for each in billed.vehicles)


def test_a_stationary_battery_buys_cheap_and_gives_dear_within_its_window_and_beside_vehicles() -> None:
    """As the site file has it: a midnight that is always ahead, and no target but its least charge."""
    kind = replace(small_site().vehicle_types[0], depth_per_event_pct=100.0, depth_per_day_pct=100.0)
    vehicles = Vehicle("stack", "bus", True, stationary=True), Vehicle("bus-2", "bus", True)
    site = small_site(vehicles=vehicles, vehicle_types=(kind,))
    seen = snapshot_of(site)
    first = seen.evses[0].vehicle
    assert first is not None
    stack = replace(first, vehicle="stack", soc_pct=Reading(60.0, seen.now_s))
    mute = replace(stack, departure_wall_s=Unknown("none"), target_soc_pct=Unknown("none"))
    told = Timetable(site).says(mute, seen.now_s, seen.wall_s)
    evses = (replace(seen.evses[0], vehicle=replace(stack, **told)), *seen.evses[1:])
    plan, report = plan_day(site, replace(seen, evses=evses), prices_of(*EVENING), FREE, WALL_S)
    ready = next(each for each in report.vehicles if each.evse == "b1")
    assert ready.exported_kwh > 100.0
    assert ready.charged_kwh > 0.5 * ready.exported_kwh
    assert min(ready.soc_pct) >= site.vehicle_types[0].min_soc_pct
    dear = [dict(slot.evse_w)["b1"] for slot in plan.slots[4:12]]
    assert sum(dear) < 0.0, "it gives in the dear hours of the evening"


def test_room_that_nothing_can_keep_costs_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first charge that must give a thousand MWh: what a careful plan may come to, here at once."""
    site = small_site()
    snapshot = snapshot_of(site)
    bare, _ = plan_day(site, snapshot, prices_of(*EVENING), FREE, WALL_S)
    monkeypatch.setattr(day, "too_late", lambda _problem, _done: (Owed((0,), 0, 1, -1e6),))
    kept, report = plan_day(site, snapshot, prices_of(*EVENING), FREE, WALL_S)
    assert kept == bare
    assert report.warnings == ()


def test_what_services_hold_stays_in_the_vehicles() -> None:
    site = small_site()
    snapshot = snapshot_of(site)
    prices = prices_of(*EVENING)
    held = Held("fcr_n", 40.0, 0.0, 1.0)
    _, free = plan_day(site, snapshot, prices, FREE, WALL_S)
    _, kept = plan_day(site, snapshot, prices, FREE, WALL_S, outlook=outlook_of((), (held,)))
    assert kept.reserved == (("fcr_n", 40.0),)
    floors = 2 * 22.0  # the type's floor and the plan's own margin, two buses of 200 kWh
    for slot in range(len(kept.buy) // 2):
        above = sum(each.soc_pct[slot] for each in kept.vehicles) * 2.0 - floors * 2.0
        assert above >= 40.0 / 0.94 - 1.0
    assert kept.money.total >= free.money.total - 1e-6
