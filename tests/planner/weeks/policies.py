"""How a week may be steered: by the depot's own plan, by the plain rule, or not at all."""

from collections.abc import Callable
from typing import Final

from tests.planner.weeks.play import Asked, Yard
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.build import NO_OUTLOOK, Outlook
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.planner.report import Report
from v2g_edge.planner.stay import TARGET_MARGIN_PCT, Past
from v2g_edge.wiring.dayplan import LEAST_LEFT_S, drifts

TERMS: Final = PriceSettings(wear_per_kwh=0.03, fixed_per_kwh=0.06, export_per_kwh=-0.005)
"""A grid fee of six cents on what is bought, half a cent off what is sold, three cents of wear a kWh out."""

Made = tuple[Plan, Report | None]
Maker = Callable[[Site, Snapshot, tuple[Price, ...], float, dict[str, Past]], Made]


def optimised(outlook: Outlook = NO_OUTLOOK) -> Maker:
    """The day plan, with what services hold where an outlook says so."""

    def make(
        site: Site, snapshot: Snapshot, prices: tuple[Price, ...], wall_s: float, pasts: dict[str, Past]
    ) -> Made:
        return plan_day(site, snapshot, prices, TERMS, wall_s, pasts, outlook)

    return make


def plain(
    site: Site, snapshot: Snapshot, prices: tuple[Price, ...], wall_s: float, pasts: dict[str, Past]
) -> Made:
    """The plain rule, which looks at one vehicle after the other."""
    return plan_from_prices(site, snapshot, prices, TERMS, wall_s, pasts), None


class ByPlan:
    """Follows a plan, made anew as the daemon does: when somebody comes, prices are told, a charge is off the
    forecast, or the plan nearly over. ``reports`` are those of all plans, with the time of each.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._plan: Plan | None = None
        self._report: Report | None = None
        self._told = 0
        self.reports: list[tuple[float, Report]] = []

    def __call__(self, yard: Yard, wall_s: float, came: bool) -> Asked:
        """See ``play.Pilot``."""
        snapshot, prices = yard.picture(wall_s), yard.week.known(wall_s)
        plan, report = self._plan, self._report
        over = plan is None or plan.valid_until_wall_s - wall_s < LEAST_LEFT_S
        off = report is None or any(drifts(snapshot, report, yard.site))
        if yard.stay and (came or over or off or len(prices) != self._told):
            self._plan, self._report = plan, report = self._maker(
                yard.site, snapshot, prices, wall_s, yard.pasts(wall_s)
            )
            self._told = len(prices)
            yard.course.plans += 1
            if report is not None:
                self.reports.append((wall_s, report))
        if plan is None:
            return {}
        slot = next((s for s in plan.slots if s.start_wall_s <= wall_s < s.end_wall_s), None)
        return dict(slot.evse_w) if slot else {}


def at_once(yard: Yard, wall_s: float, came: bool) -> Asked:
    """Each charges from its arrival on, with an equal share of the feeder, up to what the plans charge to."""
    waiting = [
        evse
        for evse, visit in yard.stay.items()
        if yard.soc_pct(evse) < visit.target_soc_pct + TARGET_MARGIN_PCT
    ]
    if not waiting:
        return {}
    feeder = yard.site.feeders[0]
    room_w = feeder.import_limit_w * (1.0 - yard.site.safety.feeder_margin_pct / 100.0)
    share_w = room_w / len(waiting)
    asked = {}
    for evse in waiting:
        visit, charger = yard.stay[evse], yard.chargers[evse]
        lacks_kwh = (visit.target_soc_pct + TARGET_MARGIN_PCT - yard.soc_pct(evse)) * yard.per_pct_kwh
        enough_w = max(lacks_kwh / charger.efficiency / 0.25 * 1e3, charger.evse.min_charge_w)
        asked[evse] = min(charger.evse.max_charge_w, share_w, enough_w)
    return asked
