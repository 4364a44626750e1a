"""Who makes the day plan: the optimiser while it answers, its last plan, the plain rule; named each time,
and never stale.
"""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.planner.fleet import WALL_S, prices_of, small_site, snapshot_of
from v2g_edge.host.child import Child, ChildFailedError
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.exchange import ENCODER, JOB, Setup
from v2g_edge.planner.worker import answer_to
from v2g_edge.wiring.dayplan import AGAIN_S, LAST_PLAN_S, LOOK_EVERY_S, DayPlanner, drifts, worker

SITE = small_site()
PRICES = prices_of(0.4, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.4, 0.4)
TERMS = PriceSettings()


class Inline(Child):
    """The optimiser in this process, or a fault in its place."""

    def __init__(self) -> None:
        super().__init__(("nothing",))
        self.fault: Exception | None = None
        self.asked = 0

    async def ask(self, request: bytes, within_s: float) -> bytes:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return ENCODER.encode(answer_to(Setup(SITE, TERMS), JOB.decode(request)))


class Depot:
    """A day planner with a clock of its own."""

    def __init__(self, child: Child | None) -> None:
        self.events: list[Event] = []
        self.planner = DayPlanner(SITE, TERMS, lambda _: {}, self.events.append, child)
        self.snapshot = snapshot_of(SITE)

    def plan(self) -> Plan | None:
        return self.planner.plan(self.snapshot, PRICES)

    async def settled(self) -> Plan | None:
        self.plan()
        while (asking := self.planner._asking) is not None and not asking.done():
            await asyncio.wait([asking])
        return self.plan()

    def wait(self, seconds: float) -> None:
        self.snapshot = replace(
            self.snapshot, now_s=self.snapshot.now_s + seconds, wall_s=self.snapshot.wall_s + seconds
        )

    def change(self, evse: int = 0, **vehicle: object) -> None:
        state = self.snapshot.evses[evse]
        assert state.vehicle is not None
        changed = replace(state, vehicle=replace(state.vehicle, **vehicle))
        self.snapshot = replace(
            self.snapshot, evses=tuple(changed if k == evse else e for k, e in enumerate(self.snapshot.evses))
        )

    def follow(self) -> None:
        """Every vehicle is where the forecast says."""
        report = self.planner.report
        assert report is not None
        for place, ready in enumerate(report.vehicles):
            ended = [k for k, edge in enumerate(report.edges[1:]) if edge <= self.snapshot.wall_s + 1.0]
            self.change(place, soc_pct=Reading(ready.soc_pct[ended[-1]], self.snapshot.now_s))

    @property
    def served_by(self) -> str:
        return self.planner.report.solver if self.planner.report else "none"


async def test_the_plain_rule_serves_until_the_optimiser_answers() -> None:
    depot = Depot(Inline())
    first = depot.plan()
    assert first is not None
    assert depot.served_by == "greedy"
    assert await depot.settled() != first
    assert depot.served_by.startswith("highs")
    assert depot.events == []


async def test_without_news_the_plan_stays_what_it_is_and_the_optimiser_is_left_alone() -> None:
    child = Inline()
    depot = Depot(child)
    plan = await depot.settled()
    for _ in range(6):
        depot.wait(LOOK_EVERY_S)
        depot.follow()
        assert await depot.settled() is plan
    assert child.asked == 1


async def test_each_kind_of_news_makes_a_new_plan() -> None:
    news: dict[str, Callable[[Depot], None]] = {
        "departure": lambda d: d.change(departure_wall_s=Reading(WALL_S + 20_000.0, 100.0)),
        "session": lambda d: d.change(session="another"),
        "order": lambda d: setattr(
            d, "snapshot", replace(d.snapshot, operator=replace(d.snapshot.operator, export_hold=True))
        ),
    }
    for name, happen in news.items():
        child = Inline()
        depot = Depot(child)
        plan = await depot.settled()
        happen(depot)
        assert await depot.settled() is not plan, name
        assert child.asked == 2, name


async def test_a_charge_that_drifts_off_the_forecast_is_news_at_the_next_slot() -> None:
    child = Inline()
    depot = Depot(child)
    await depot.settled()
    depot.wait(LOOK_EVERY_S)
    depot.follow()
    depot.change(0, soc_pct=Reading(60.0, depot.snapshot.now_s))
    await depot.settled()
    assert child.asked == 2


async def test_a_vehicle_that_should_be_full_and_lacks_more_than_a_percent_is_news() -> None:
    """Its margin above the target is used up; three percent would be noticed after it has left."""
    depot = Depot(Inline())
    await depot.settled()
    report = depot.planner.report
    assert report is not None
    last = len(report.edges) - 2
    at_s = replace(depot.snapshot, wall_s=report.edges[last + 1])
    full = {ready.evse: ready.target_pct for ready in report.vehicles}
    assert min(full.values()) > 0.0

    def with_soc(less_pct: float) -> Snapshot:
        evses = [
            replace(
                state, vehicle=replace(state.vehicle, soc_pct=Reading(full[evse.id] - less_pct, at_s.now_s))
            )
            if state.vehicle and evse.id in full
            else state
            for evse, state in zip(SITE.evses, at_s.evses, strict=True)
        ]
        return replace(at_s, evses=tuple(evses))

    assert any(drifts(with_soc(1.2), report, SITE))
    assert not any(drifts(with_soc(0.8), report, SITE))


async def test_after_a_failure_the_last_plan_serves_then_the_plain_rule_and_each_is_named() -> None:
    child = Inline()
    depot = Depot(child)
    plan = await depot.settled()
    child.fault = ChildFailedError("no answer within 30 s; it was stopped")
    depot.wait(LOOK_EVERY_S)
    depot.change(0, soc_pct=Reading(60.0, depot.snapshot.now_s))
    assert await depot.settled() is plan
    assert depot.served_by == "last plan"
    assert depot.planner.report is not None
    assert "no answer" in depot.planner.report.why
    depot.change(1, session="another")
    assert await depot.settled() is not plan
    assert depot.served_by == "greedy", "the last plan knows nothing of this vehicle"
    assert [event.kind for event in depot.events] == ["day_plan_fallback"]
    child.fault = None
    depot.wait(AGAIN_S)
    await depot.settled()
    assert depot.served_by.startswith("highs")
    assert [event.kind for event in depot.events] == ["day_plan_fallback", "day_plan_restored"]


async def test_no_plan_outlives_its_validity_nor_the_last_one_an_hour() -> None:
    child = Inline()
    depot = Depot(child)
    plan = await depot.settled()
    assert plan is not None
    child.fault = ChildFailedError("it ended")
    for _ in range(60):
        depot.wait(LOOK_EVERY_S)
        now = await depot.settled()
        assert now is not None
        assert depot.snapshot.wall_s < now.valid_until_wall_s
        assert now is not plan or depot.snapshot.wall_s - plan.issued_wall_s < LAST_PLAN_S


async def test_nonsense_and_a_fault_of_the_solver_are_failures_too() -> None:
    class Loud(Inline):
        async def ask(self, request: bytes, within_s: float) -> bytes:
            return b"\xc1"

    depot = Depot(Loud())
    await depot.settled()
    assert depot.served_by == "greedy"
    assert [event.kind for event in depot.events] == ["day_plan_fallback"]


async def test_a_real_worker_that_is_killed_at_any_moment_is_replaced() -> None:
    child = worker(SITE, TERMS)
    depot = Depot(child)
    try:
        await depot.settled()
        assert depot.served_by.startswith("highs")
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        depot.change(0, session="another")
        await depot.settled()
        assert depot.served_by == "greedy"
        depot.wait(AGAIN_S)
        await depot.settled()
        assert depot.served_by.startswith("highs")
    finally:
        await depot.planner.stop()


async def test_without_prices_there_is_no_plan() -> None:
    depot = Depot(Inline())
    assert depot.planner.plan(depot.snapshot, ()) is None


async def test_a_plan_that_is_only_tried_is_made_beside_the_one_that_is_followed() -> None:
    """In a process of its own, which ends with it."""
    depot = Depot(Inline())
    followed = await depot.settled()
    report = depot.planner.report
    (tried,) = await depot.planner.tried((depot.snapshot,), PRICES)
    assert tried.solver.startswith("highs")
    assert depot.plan() is followed
    assert depot.planner.report is report
    with pytest.raises(ValueError, match="no prices are known"):
        await depot.planner.tried((depot.snapshot,), ())
    with pytest.raises(ValueError, match="the optimiser is off"):
        await Depot(None).planner.tried((depot.snapshot,), PRICES)
