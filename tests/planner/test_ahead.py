"""A plan knows the limits to come: windows of the site file, a person's limit for an hour, a programme's
event. Each bounds its own hours, in the plain rule and in the optimiser.
"""

import pytest
from msgspec.structs import replace

from tests.planner.fleet import WALL_S, prices_of, small_site, snapshot_of
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site, Window
from v2g_edge.model.snapshot import Operator, Order, Snapshot
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.exchange import ENCODER, JOB, Setup, job_of
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.planner.worker import answer_to
from v2g_edge.wiring.dayplan import ahead_of

HOUR_S = 3_600.0
TERMS = PriceSettings()
PRICES = prices_of(0.9, 0.9, 0.9, 0.1, 0.1, 0.8, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1)
"""Dear from 00 to 03 and from 05 to 07."""
FULL = {"soc_pct": Reading(90.0, 100.0), "target_soc_pct": Reading(60.0, 100.0)}
OWN_W = 5_000.0
"""What the building itself draws at least: vehicles may give that while nothing leaves the site."""
PLANNERS = ["rule", "optimiser"]


def site_of(*windows: Window) -> Site:
    """The small site on UTC, exporting, with windows."""
    site = small_site()
    return replace(site, timezone="UTC", windows=windows)


def planned(planner: str, site: Site, snapshot: Snapshot) -> Plan:
    """As the daemon asks for it."""
    ahead = ahead_of(site, snapshot)
    if planner == "rule":
        return plan_from_prices(site, snapshot, PRICES, TERMS, snapshot.wall_s, ahead=ahead or ())
    job = ENCODER.encode(job_of(snapshot, PRICES, {}, 20.0, (), (), ahead))
    answer = answer_to(Setup(site, TERMS), JOB.decode(job))
    assert answer.plan is not None, answer.fault
    return answer.plan


def most_w(plan: Plan, first_h: float, last_h: float, *, out: bool) -> float:
    """The largest sum of all outlets within these hours, drawn or fed back."""
    sign = -1.0 if out else 1.0
    sums = [
        sum(max(sign * power_w, 0.0) for _, power_w in slot.evse_w)
        for slot in plan.slots
        if WALL_S + first_h * HOUR_S <= slot.start_wall_s < WALL_S + last_h * HOUR_S
    ]
    return max(sums, default=0.0)


NIGHT = Window("night", ("Mo-Su 04:00-06:00",), feeder="main", export_limit_w=0.0)
NOW = Window("now", ("Mo-Su 00:00-02:00",), feeder="hall", export_limit_w=0.0)


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_window_that_is_open_now_closes_the_hours_it_holds_and_no_others(planner: str) -> None:
    """Not the whole night for the two hours that are left of it."""
    plan = planned(planner, site_of(NOW), snapshot_of(site_of(NOW), **FULL))
    assert most_w(plan, 0.0, 2.0, out=True) == 0.0
    assert most_w(plan, 2.0, 3.0, out=True) > 1_000.0


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_window_to_come_has_nothing_planned_into_it(planner: str) -> None:
    """What it would take away is given before, where it is dear as well."""
    plan = planned(planner, site_of(NIGHT), snapshot_of(site_of(NIGHT), **FULL))
    assert most_w(plan, 0.0, 3.0, out=True) > OWN_W
    assert most_w(plan, 4.0, 6.0, out=True) <= OWN_W


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_persons_limit_holds_until_its_end(planner: str) -> None:
    """40 kW at the hall for an hour; then the vehicles catch up."""
    empty = {"soc_pct": Reading(25.0, 100.0), "target_soc_pct": Reading(60.0, 100.0)}
    order = Order(1, "limit", "hall", WALL_S + 8 * HOUR_S, WALL_S, "anna", limit_w=40_000.0)
    snapshot = replace(snapshot_of(site_of(), **empty), operator=Operator(orders=(order,)))
    plan = planned(planner, site_of(), snapshot)
    assert most_w(plan, 0.0, 8.0, out=False) <= 40_000.0
    assert most_w(plan, 8.0, 12.0, out=False) > 40_000.0


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_programmes_event_to_come_is_kept_clear(planner: str) -> None:
    """No export between 01 and 03, said beforehand."""
    event = CapacityLimit("export", 0.0, WALL_S + HOUR_S, WALL_S + 3 * HOUR_S, "the network operator")
    snapshot = replace(snapshot_of(site_of(), **FULL), operator=Operator(limits=(event,)))
    plan = planned(planner, site_of(), snapshot)
    assert most_w(plan, 1.0, 3.0, out=True) <= OWN_W
    assert most_w(plan, 0.0, 1.0, out=True) > OWN_W


def test_by_a_clock_that_is_a_guess_what_holds_now_holds_throughout() -> None:
    """The narrowest of every hour, as in the tick."""
    snapshot = replace(snapshot_of(site_of(NOW), **FULL), clock_synced=False)
    assert ahead_of(site_of(NOW), snapshot) is None
    held = Order(0, "export-limit", "main", 0.0, 0.0, "windows.now", limit_w=0.0)
    snapshot = replace(snapshot, operator=Operator(orders=(held,)))
    job = ENCODER.encode(job_of(snapshot, PRICES, {}, 20.0))
    plan = answer_to(Setup(site_of(NOW), TERMS), JOB.decode(job)).plan
    assert plan is not None
    assert most_w(plan, 0.0, 12.0, out=True) <= OWN_W


def test_without_any_the_plan_is_what_it_was() -> None:
    """The same caps in every slot."""
    site, snapshot = site_of(), snapshot_of(site_of(), **FULL)
    assert ahead_of(site, snapshot) == ()
    inputs = (site, snapshot, PRICES, TERMS, snapshot.wall_s)
    assert plan_day(*inputs)[0] == planned("optimiser", site, snapshot)
