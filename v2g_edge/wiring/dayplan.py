"""Makes the depot's own plan: the optimiser in its own process, else its last plan, else the plain rule.

A tick never waits: it asks for the plan that is there, and a better one is fetched meanwhile. Without news (a
vehicle that comes, goes or changes its mind, new prices, an order, a charge that drifts off the forecast) the
plan stays what it is.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from v2g_edge.host.child import Child
from v2g_edge.market.windows import windows_ahead
from v2g_edge.model.event import Event
from v2g_edge.model.orders import Ahead, limits_ahead, planned
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.exchange import AHEAD_S, ANSWER, ENCODER, Demand, Held, Setup, job_of
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.planner.report import Report
from v2g_edge.planner.stay import Past
from v2g_edge.rules.services.account import hours_of
from v2g_edge.rules.services.dispatch import armed
from v2g_edge.tasks import begin, end
from v2g_edge.wiring.base_load import BaseLoad

LOOK_EVERY_S: Final = 900.0
"""Drift and prices are looked at once a slot of a day-ahead market (15 min)."""
DEADLINE_S: Final = 30.0
"""A plan for quarter hours may take this long on a busy controller; the last one serves meanwhile."""
START_S: Final = 30.0
"""And so much longer at the first question to a process, which loads the solver first."""
AGAIN_S: Final = 60.0
"""After a failure the optimiser is asked again this much later."""
LAST_PLAN_S: Final = 3_600.0
"""The last plan stands in for at most this long: drift and prices make an older one wrong."""
DRIFT_PCT: Final = 3.0
"""A vehicle this far from the forecast is news: twice what readings in whole percent differ by, and a
slot's worth of charge.
"""
DUE_PCT: Final = 1.0
"""One that lacks so much and should be full by now is news: a plan's margin above the target is as much, and
readings in whole percent differ by less.
"""
LEAST_LEFT_S: Final = 3_600.0
"""A plan that ends sooner than this is made anew."""

Facts = tuple[object, ...]


def worker(site: Site, terms: PriceSettings) -> Child:
    """The optimiser's process, not started yet. One thread for its linear algebra: the other core is the
    controller's.
    """
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return Child((sys.executable, "-m", "v2g_edge.planner.worker"), ENCODER.encode(Setup(site, terms)), one)


class DayPlanner:
    """``child`` None: the plain rule alone. ``pasts`` says what each outlet's vehicle has behind it at a
    snapshot.
    """

    def __init__(
        self,
        site: Site,
        terms: PriceSettings,
        pasts: Callable[[Snapshot], dict[str, Past]],
        tell: Callable[[Event], None],
        child: Child | None = None,
        demand: Callable[[float], tuple[Demand, ...]] = lambda _: (),
        base: BaseLoad | None = None,
    ) -> None:
        self._base = base
        self._demand = demand
        self._site, self._terms, self._pasts, self._tell, self._child = site, terms, pasts, tell, child
        self._plan: Plan | None = None
        self._facts: Facts = ()
        self._looked_s = -LOOK_EVERY_S
        self._failed_s = -AGAIN_S
        self._asked: Facts | None = None
        self._asking: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._optimised: tuple[Plan, Report, Facts] | None = None
        self._fault = ""
        self.report: Report | None = None

    def plan(self, snapshot: Snapshot, prices: tuple[Price, ...]) -> Plan | None:
        """The plan to follow now; None without prices."""
        facts = (
            (prices[0].start_wall_s, prices[-1].start_wall_s, len(prices), *facts_of(snapshot))
            if prices
            else ()
        )
        due = snapshot.now_s - self._looked_s >= LOOK_EVERY_S
        if not prices:
            self._plan = self.report = None
            return None
        if facts != self._facts or due:
            self._looked_s = snapshot.now_s
            news = facts != self._facts or self._is_off(snapshot) or self._child is None
            # Where a peak is billed, what the building drew in the last quarter hour is news.
            news = news or bool(self._demand(snapshot.wall_s))
            self._facts = facts
            if news and not self._may_ask(snapshot):
                self._fall_back(snapshot, prices)
            elif news and self._asked != facts:
                self._ask(snapshot, prices, facts)
        elif self._fault and self._may_ask(snapshot) and self._asked is None:
            self._ask(snapshot, prices, facts)
        if self._plan is None or self._plan.valid_until_wall_s <= snapshot.wall_s:
            self._fall_back(snapshot, prices)
        return self._plan

    def look_again(self) -> None:
        """Prices have changed."""
        self._looked_s, self._facts = -LOOK_EVERY_S, ()

    def take_site(self, site: Site) -> None:
        """Another site of the same outlets: the optimiser starts anew with it, and the next plan is made
        for it.
        """
        self._site = site
        if self._child is not None:
            old, self._child = self._child, worker(site, self._terms)
            self._ending = begin("old optimiser", old.stop())
        self._optimised = None
        self.look_again()

    async def stop(self) -> None:
        """End the process."""
        if self._asking is not None:
            await end(self._asking)
        if self._child is not None:
            await self._child.stop()

    def _may_ask(self, snapshot: Snapshot) -> bool:
        return self._child is not None and snapshot.now_s - self._failed_s >= AGAIN_S

    def _is_off(self, snapshot: Snapshot) -> bool:
        """Whether the depot is not where its plan expects it, or the plan is nearly over."""
        plan, report = self._plan, self.report
        if (
            plan is None
            or report is None
            or plan.valid_until_wall_s - snapshot.wall_s < LEAST_LEFT_S
            or self._fault
        ):
            return True
        return any(drifts(snapshot, report, self._site))

    def _ask(self, snapshot: Snapshot, prices: tuple[Price, ...], facts: Facts) -> None:
        if self._asking is not None and not self._asking.done():
            self._facts = ()  # one question at a time: what is new is asked for when the answer is there
            return
        self._asked = facts
        self._asking = begin("day plan", self._fetch(self._job(snapshot, prices), snapshot, facts))

    def _job(self, snapshot: Snapshot, prices: tuple[Price, ...]) -> bytes:
        asked = (self._demand(snapshot.wall_s), reserves_of(self._site))
        ahead = ahead_of(self._site, snapshot)
        pasts = self._pasts(snapshot)
        base_kw = self._base.ahead_kw(snapshot.wall_s) if self._base is not None else ()
        error_kw = self._base.history.error_kw if base_kw and self._base is not None else None
        asks = (snapshot, prices, pasts, DEADLINE_S - 5.0, *asked, ahead, base_kw, error_kw)
        return ENCODER.encode(job_of(*asks))

    async def tried(self, snapshots: tuple[Snapshot, ...], prices: tuple[Price, ...]) -> list[Report]:
        """What a plan of each picture would be, made in a process of its own; none is followed. Raises
        ``ValueError`` where there is nothing to plan by, ``ChildFailedError``.
        """
        if not prices:
            raise ValueError("no prices are known, so there is no day plan")
        if self._child is None:
            raise ValueError("the optimiser is off (prices.planner)")
        child, found = worker(self._site, self._terms), []
        try:
            for snapshot in snapshots:
                within_s = DEADLINE_S + (0.0 if child.pid else START_S)
                answer = ANSWER.decode(await child.ask(self._job(snapshot, prices), within_s))
                if answer.report is None:
                    raise ValueError(answer.fault or "the optimiser gave no plan")
                found.append(answer.report)
        finally:
            await child.stop()
        return found

    async def _fetch(self, job: bytes, snapshot: Snapshot, facts: Facts) -> None:
        assert self._child is not None  # noqa: S101 - see _may_ask
        within_s = DEADLINE_S + (0.0 if self._child.pid else START_S)
        try:
            answer = ANSWER.decode(await self._child.ask(job, within_s))
        except Exception as fault:  # noqa: BLE001 - whatever class: the next in line plans
            self._fail(str(fault) or type(fault).__name__, snapshot)
            return
        finally:
            self._asked = None
        if answer.plan is None or answer.report is None:
            self._fail(answer.fault or "an empty answer", snapshot)
            return
        if self._fault:
            text = f"the day plan is optimised again ({answer.report.solver})"
            self._tell(Event("day_plan_restored", "info", "site", text, snapshot.wall_s))
        self._fault = ""
        error_kw = self._base.history.error_kw if self._base is not None else None
        self._plan, self.report = answer.plan, replace(answer.report, base_error_kw=error_kw)
        self._optimised = (answer.plan, answer.report, facts)

    def _fail(self, why: str, snapshot: Snapshot) -> None:
        """Named once; the next tick takes what is next in line."""
        self._failed_s, self._looked_s, self._facts = snapshot.now_s, -LOOK_EVERY_S, ()
        if not self._fault:
            text = (
                f"no optimised day plan: {why}; the last plan serves for up to an hour, then the plain price"
                " rule"
            )
            self._tell(Event("day_plan_fallback", "warning", "site", text, snapshot.wall_s))
        self._fault = why

    def _fall_back(self, snapshot: Snapshot, prices: tuple[Price, ...]) -> None:
        """The last optimised plan while it is young and nothing has changed, else the plain rule."""
        if self._optimised is not None:
            plan, report, facts = self._optimised
            fresh = (
                snapshot.wall_s - plan.issued_wall_s < LAST_PLAN_S
                and snapshot.wall_s < plan.valid_until_wall_s
            )
            if fresh and facts == self._facts:
                self._plan, self.report = plan, replace(report, solver="last plan", why=self._fault)
                return
        ahead = ahead_of(self._site, snapshot)
        site = planned(self._site, snapshot.operator.orders, ahead)
        wall_s, pasts = snapshot.wall_s, self._pasts(snapshot)
        self._plan = plan_from_prices(site, snapshot, prices, self._terms, wall_s, pasts, ahead or ())
        self.report = Report("greedy", snapshot.wall_s, why=self._fault or self._why())

    def _why(self) -> str:
        return (
            "the optimiser's first plan is being made" if self._child is not None else "the optimiser is off"
        )


def reserves_of(site: Site) -> tuple[Held, ...]:
    """What the armed services hold in every slot; what is served by the plan alone holds nothing."""
    held = []
    for service in armed(site.services):
        up_h, down_h = hours_of(service)
        kw = service.power_w / 1e3
        if up_h == down_h:
            held.append(Held(service.id, kw if up_h else 0.0, kw if down_h else 0.0, up_h))
        else:
            held += [Held(service.id, kw, 0.0, up_h)] if up_h else []
            held += [Held(service.id, 0.0, kw, down_h)] if down_h else []
    return tuple(each for each in held if each.hours > 0.0)


def ahead_of(site: Site, snapshot: Snapshot) -> tuple[Ahead, ...] | None:
    """What windows, people and programmes outside allow in the hours of a plan; None where the clock is a
    guess.
    """
    if not snapshot.clock_synced:
        return None
    root = next(feeder.id for feeder in site.feeders if not feeder.parent)
    return (*windows_ahead(site, snapshot.wall_s, AHEAD_S), *limits_ahead(snapshot.operator, root))


def facts_of(snapshot: Snapshot) -> Facts:
    """What of a picture makes a new plan when it changes: sessions, their needs, faults, orders."""
    vehicles = tuple(
        (
            (v.session, v.departure_wall_s, v.target_soc_pct, isinstance(v.soc_pct, Reading), state.fault)
            if (v := state.vehicle)
            else None
        )
        for state in snapshot.evses
    )
    operator = snapshot.operator
    limits = tuple((x.direction, x.power_w, x.from_wall_s, x.source) for x in operator.limits if not x.evse)
    return (operator.stop, operator.export_hold, operator.orders, limits, *vehicles)


def drifts(snapshot: Snapshot, report: Report, site: Site) -> list[bool]:
    """By vehicle of the report: whether its state of charge is off the forecast for the slot that ended
    last.
    """
    ended = [k for k, edge in enumerate(report.edges[1:]) if edge <= snapshot.wall_s + 1.0]
    if not ended:
        return []
    slot, forecast = ended[-1], {ready.evse: ready for ready in report.vehicles}
    found = []
    for evse, state in zip(site.evses, snapshot.evses, strict=True):
        ready = forecast.get(evse.id)
        if (
            ready is None
            or not ready.soc_pct
            or state.vehicle is None
            or not isinstance(state.vehicle.soc_pct, Reading)
        ):
            continue
        since_s = snapshot.wall_s - report.edges[slot + 1]
        span = (ready.soc_pct[slot], ready.soc_pct[min(slot + 1, len(ready.soc_pct) - 1)])
        share = min(since_s / LOOK_EVERY_S, 1.0)
        expected = span[0] + share * (span[1] - span[0])
        soc_pct = state.vehicle.soc_pct.value
        due = span[0] >= ready.target_pct - DUE_PCT / 2.0 > 0.0
        found.append(abs(soc_pct - expected) > DRIFT_PCT or (due and soc_pct < ready.target_pct - DUE_PCT))
    return found
