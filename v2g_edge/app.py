"""The wiring: the only file that knows every room. One daemon, one loop, one tick at a time."""

import asyncio
import contextlib
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from msgspec.structs import replace

from v2g_edge import __version__
from v2g_edge.api.capacity import CapacityApi
from v2g_edge.api.history import HistoryApi
from v2g_edge.api.monitoring.money import Money
from v2g_edge.api.monitoring.monitor import Monitor
from v2g_edge.api.order_log import OrderLog
from v2g_edge.api.roles import role_needed
from v2g_edge.api.site_file import SiteFileApi
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.api.tonight import TonightApi
from v2g_edge.cloud.session import CloudSession
from v2g_edge.cycle import Cycle, Outcome
from v2g_edge.host.child import Child
from v2g_edge.host.control import ControlSocket, Handler
from v2g_edge.host.faults import LoopFaults
from v2g_edge.host.gridlog import GridLog
from v2g_edge.host.journal import Journal
from v2g_edge.host.logs import record_event, subjects_of
from v2g_edge.host.rescuefile import RescueFile
from v2g_edge.host.site_source import SiteFileError, SiteSource
from v2g_edge.host.systemd_notify import Watchdog
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.explain import describe_status
from v2g_edge.tasks import begin, end, guarded, keep
from v2g_edge.wiring.cloud_privacy import CloudPrivacy
from v2g_edge.wiring.decider import Decider
from v2g_edge.wiring.external_limits import ExternalLimits
from v2g_edge.wiring.fleet_view import FleetLink
from v2g_edge.wiring.handlers import Topics, handlers_of
from v2g_edge.wiring.lost_time import LostTime
from v2g_edge.wiring.parts import build_parts, orders_of, read_contactors
from v2g_edge.wiring.persistence import Persistence
from v2g_edge.wiring.plans import Plans
from v2g_edge.wiring.programmes import Programmes
from v2g_edge.wiring.restore import restored
from v2g_edge.wiring.shutdown import wind_down
from v2g_edge.wiring.signals import SignalTaker

log = structlog.get_logger()

EARLY_TICK_GAP_S: Final = 0.02
"""A flapping contact may wake the tick at most this often (loop time)."""


class Daemon:
    """A depot under control. ``start``, then ``run`` until ``stop`` is called; both ends are clean and
    idempotent.
    """

    def __init__(
        self,
        settings: Settings,
        clock: ClockPort,
        watchdog: Watchdog,
        optimiser: Child | None = None,
        source: SiteSource | None = None,
    ) -> None:
        self._settings = settings
        self._config = source.path if source is not None else ""
        self._site = settings.site
        self._subjects = subjects_of(self._site)
        self._clock = clock
        self._watchdog = watchdog
        self._wake = asyncio.Event()
        self._stopping = False
        self._reloading: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.state = DepotState(self._site)
        self._fleet = FleetLink(settings, self.state, clock, self._tell_event)
        self._parts = build_parts(settings, clock, self._wake.set, self._fleet.records)
        self.board, self.ocpp, self.modbus, self._writer, _ = self._parts
        self._lost_time = LostTime(
            self.board, clock, lambda: self._site, settings.host.tick_s, self._tell_event
        )
        self._decider = Decider(self._site, Cycle(self._site), self._tell_refused)
        self._state_dir = Path(settings.host.state_dir)
        self._journal: Journal | None = None
        cloud = partial(CloudSession, settings.cloud, self._site, clock, self._take_cloud_plan)
        signals = SignalTaker(self.state, clock, self._wake.set)
        self._cloud_privacy = CloudPrivacy(settings.cloud, self._site)
        self._cloud = cloud(state_dir=self._state_dir, tell=self._tell_event, signals=signals)
        self.plans = Plans(settings, self.state, clock, self._tell_event, optimiser)
        self.programmes = Programmes(settings, self.state, clock, self._tell_event, self.plans)
        self._external_limits = ExternalLimits(
            (self.ocpp.upstreams.limits_at, self.programmes.limits_at), self._tell_event
        )
        self._orders = orders_of(settings)
        self._tonight = TonightApi(self.state, self._orders, self._tell_event, self._wake.set)
        self._history = HistoryApi(self.state)
        self._monitor = Monitor(self.state, settings, clock, self._journal_lost, self._tell_event)
        self._site_file = (
            SiteFileApi(source, lambda: self._settings, self._take_settings, self._tell_event, clock.wall_s)
            if source
            else None
        )
        self._capacity = CapacityApi(self.state, self._state_dir / "offers.json")
        money = Money(self.plans.prices, self._capacity.offers, settings.prices.currency)
        self._money = self._monitor.metrics.money = money
        self._control = self._make_control()
        self._grid_log = GridLog(self._state_dir / "grid_events.log")
        self._told_s = -settings.cloud.telemetry_s
        self._flexible_s = -settings.cloud.flexibility_s
        self._faults = LoopFaults(self._tell_fault)
        self._disk = Persistence(
            self._control, self._orders, self.ocpp, self._capacity, clock, self._tell_event
        )
        self._told: list[Event] = []

    async def start(self) -> None:
        """Open the journal, restore what must survive, listen for chargers, poll the meters, answer on the
        control socket.
        """
        self._faults.install()
        host = self._settings.host
        self._journal = Journal.open(
            self._state_dir / "journal.db",
            self._site,
            __version__,
            sync=host.journal_sync,
            keep_days=host.journal_keep_days,
            max_mb=host.journal_max_mb,
        )
        self.state.operator = self._orders.load()
        self.state.memory = restored(self._journal, self._site, self._clock, self._disk.tell)
        await self.ocpp.start()
        await self.modbus.start()
        await self._disk.keep_rescue(RescueFile(self._state_dir), self.modbus.openable())
        await self._cloud.start()
        await self.plans.start()
        await self.programmes.start()
        await self._fleet.start()
        await self._disk.start(self._journal)
        await self._monitor.start()
        if self._site_file is not None:
            self._site_file.tell_start()
        log.info("started", site=self._site.name, outlets=len(self._site.evses), version=__version__)

    async def run(self) -> None:
        """Tick until ``stop``. ``InvariantBroken`` ends it: the leases make the chargers safe."""
        pace = keep("pace", self._pace)
        try:
            while not self._stopping:
                await self._wake.wait()
                await self._lost_time.settle()
                self._wake.clear()
                self._tick()
                await asyncio.sleep(EARLY_TICK_GAP_S)
            self.state.operator = replace(self.state.operator, closing=True)
            evses = tuple(each.id for each in self._site.evses)
            await wind_down(self.board, self.modbus, evses, self._clock, self._tick)
        finally:
            await end(pace)

    def stop(self) -> None:
        """End ``run`` after the present tick. May be called from a signal handler."""
        self._stopping = True
        self._wake.set()

    def reload(self) -> None:
        """Take new certificates and a changed site file into use, and drop no connection. May be called
        from a signal handler.
        """
        self._reloading = begin("reload", self._reload())

    async def _reload(self) -> None:
        await self.ocpp.reload()
        if self._site_file is not None:
            with contextlib.suppress(SiteFileError):  # an event has said it
                await self._site_file.reload()

    def _take_settings(self, settings: Settings) -> None:
        """Give the new site, between two ticks, to every part that reads it. Only what ``api.changes``
        calls live differs.
        """
        self._settings = settings
        site = self._site = self.state.site = settings.site
        self._subjects = subjects_of(site)
        self.board.take_site(site)
        self.ocpp.take_site(site)
        self._decider = Decider(site, Cycle(site), self._tell_refused)
        self.plans.take_site(site)
        if self._journal is not None:
            self._journal.take_site(site, settings.host.journal_keep_days)
        self._wake.set()

    async def close(self) -> None:
        """Put everything away. Chargers keep their leases to the end and then their defaults."""
        self._watchdog.stopping()
        await self._monitor.stop()
        await self.programmes.stop()
        await self.plans.stop()
        await self._disk.stop()
        await self._control.stop()
        await self._writer.stop()
        await self._cloud.stop()
        await self._fleet.stop()
        await self.modbus.stop()
        await self.ocpp.stop()
        journal, self._journal = self._journal, None
        if journal is not None:
            await journal.close()
        self._grid_log.close()
        self._faults.remove()
        log.info("stopped", site=self._site.name)

    async def _pace(self) -> None:
        """Wake the tick every ``tick_s``; ticks that a slow machine missed are left out, not made up."""
        tick_s = self._settings.host.tick_s
        due_s = self._clock.now_s()
        while True:
            self._wake.set()
            now_s = self._clock.now_s()
            self._monitor.health.record_late(now_s - due_s)
            due_s = max(due_s + tick_s, now_s)
            await self._clock.sleep_s(due_s - now_s)

    def _tick(self) -> None:
        """One whole tick, in the order that lets the watchdog speak for it."""
        clock, journal = self._clock, self._journal
        assert journal is not None  # noqa: S101 - start() opened it
        now_s, wall_s = clock.now_s(), clock.wall_s()
        read_contactors(self._parts)
        seen = self.board.freeze(now_s, wall_s, clock_synced=clock.synced(), operator=self.state.operator)
        snapshot = self._tonight.ordered(self._external_limits.limited(seen))
        before = self.state.memory
        snapshot, plan, outcome = self._decider.decide(snapshot, self.plans.plan_or_none(snapshot), before)
        self._writer.submit(outcome.permits)
        self.state.memory = outcome.memory
        self.state.operator = replace(self.state.operator, acknowledged=())
        self.state.tick = Tick(snapshot, plan, outcome)
        # Bookkeeping never decides control (rule 13): whatever happens here, the permits are out.
        news = self.board.take_news(snapshot.wall_s)
        told, self._told = (*self._told, *news), []
        keeping = partial(
            journal.record,
            snapshot,
            plan,
            outcome.permits,
            outcome.events,
            memory_before=before,
            memory_after=outcome.memory,
            told=told,
        )
        guarded("journal", keeping)
        guarded("money", self._money.observe, self.state.tick)
        guarded("history", self._history.observe, self.state.tick)
        guarded("billed peaks", self.plans.observe_peaks, snapshot)
        guarded("upstream reports", self.ocpp.upstreams.observe, outcome.permits, snapshot.operator, wall_s)
        guarded("grid log", self._grid_log.record, snapshot, outcome.events)
        guarded("events and telemetry", self._tell, snapshot, plan, outcome, news)
        if self._watchdog.fed == 0:
            self._watchdog.ready()
            if self._site_file is not None:
                self._keeping = begin("last good settings", asyncio.to_thread(self._site_file.keep))
        self._watchdog.feed(
            f"{sum(e.link.connected for e in snapshot.evses)} of {len(snapshot.evses)} outlets connected"
        )
        self.modbus.write_contactors(closed=outcome.contactor, dropped=outcome.dropped)
        self._monitor.health.record_tick(now_s, clock.now_s())

    def _tell(self, snapshot: Snapshot, plan: Plan | None, outcome: Outcome, news: tuple[Event, ...]) -> None:
        """Events, of the tick and of the adapters, to the log, the cloud and the control socket; telemetry at
        its own pace.
        """
        events = outcome.events + news
        for event in events:
            record_event(event, self._subjects)
        self.state.events.extend(events)
        self._monitor.health.record_events(events)
        cloud = self._settings.cloud
        if not cloud.host:
            return
        if events:
            self._cloud.publish_events(self._cloud_privacy.events(events))
        if snapshot.now_s - self._told_s >= cloud.telemetry_s:
            self._told_s = snapshot.now_s
            told = describe_status(self._site, snapshot, plan, outcome)
            self._cloud.publish_telemetry(self._cloud_privacy.telemetry(told, snapshot))
        if cloud.flexibility_s and snapshot.now_s - self._flexible_s >= cloud.flexibility_s:
            self._flexible_s = snapshot.now_s
            if (flexible := self._capacity.flexibility()) is not None:
                self._cloud.publish_flexibility(flexible)

    def _tell_fault(self, name: str, text: str) -> None:
        """A task of ours or of a library failed (rule 14)."""
        self._tell_event(Event("task_failed", "alarm", name, text, self._clock.wall_s()))

    def _tell_refused(self, subject: str, text: str) -> None:
        """An outlet or a plan is left out of the tick, because the tick could not be decided with it."""
        self._tell_event(Event("reading_refused", "alarm", subject, text, self._clock.wall_s()))

    def _tell_event(self, event: Event) -> None:
        """What happened outside a tick, to the log, the cloud and the control socket; to the journal with
        the next tick.
        """
        self._told.append(event)
        record_event(event, self._subjects)
        self.state.events.append(event)
        self._monitor.health.record_events((event,))
        self._cloud.publish_events(self._cloud_privacy.events((event,)))

    def _take_cloud_plan(self, plan: Plan) -> None:
        self.plans.take_cloud_plan(plan)
        self._wake.set()

    def _journal_lost(self) -> int:
        return self._journal.lost if self._journal is not None else 0

    def _make_control(self) -> ControlSocket:
        log_order = OrderLog(lambda: self._journal, self._clock.wall_s).record
        return ControlSocket(self._settings.host.socket, self._handlers(), role_needed, log_order)

    def _handlers(self) -> dict[str, Handler]:
        """The control socket's methods, by name."""
        topics = Topics(
            settings=self._settings,
            state=self.state,
            clock=self._clock,
            orders=self._orders,
            tonight=self._tonight,
            history=self._history,
            monitor=self._monitor,
            capacity=self._capacity,
            site_file=self._site_file,
            config=self._config,
            cloud=self._cloud,
            ocpp=self.ocpp,
            prices=self.plans.prices,
            tried=self.plans.tried,
            tell=self._tell_event,
            wake=self._wake.set,
        )
        return handlers_of(topics)
