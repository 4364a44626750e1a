"""Which plan counts at a tick: the cloud's while it is valid, else our own from prices, else none."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from v2g_edge.api.state import DepotState
from v2g_edge.cycle import Memory
from v2g_edge.departure.charging_power import powers_of
from v2g_edge.host.child import Child
from v2g_edge.market.billed_peaks import BilledPeaks
from v2g_edge.market.price_file import PriceFile
from v2g_edge.market.time_of_use import Tariff
from v2g_edge.model.event import Event
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.settings import Settings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.exchange import Demand
from v2g_edge.planner.report import Report
from v2g_edge.planner.stay import DAY_S, Past
from v2g_edge.tasks import begin, described, end, keep, report
from v2g_edge.wiring.base_load import BaseLoad
from v2g_edge.wiring.dayplan import LOOK_EVERY_S, DayPlanner

if TYPE_CHECKING:
    from v2g_edge.market.price_feed import PriceFeed

log = structlog.get_logger()


def _price_feed() -> "type[PriceFeed]":
    """Its HTTP client is a tenth of the daemon's start, for sites that have a price service alone."""
    from v2g_edge.market.price_feed import PriceFeed  # noqa: PLC0415

    return PriceFeed


def pasts_of(site: Site, memory: Memory, snapshot: Snapshot) -> dict[str, Past]:
    """What the local plan has to know of each outlet's vehicle beyond the present picture."""
    known = memory.envelope
    drawn_w = powers_of(site, snapshot, known.departures.draws).drawn_w
    pasts = {}
    for evse, state, old in zip(site.evses, snapshot.evses, known.evses, strict=bool(known.evses)):
        if state.vehicle is not None and state.vehicle.session == old.session:
            day_pct = (
                known.taken_pct.get(state.vehicle.vehicle, 0.0)
                if known.day == int(snapshot.wall_s // DAY_S)
                else 0.0
            )
            pasts[evse.id] = Past(old.event_pct, day_pct, drawn_w.get(evse.id, ANY_W))
    return pasts


class Plans:
    """Prices and plans of a running daemon. ``tell`` takes events; ``optimiser`` None: the plain price
    rule alone.
    """

    def __init__(
        self,
        settings: Settings,
        state: DepotState,
        clock: ClockPort,
        tell: Callable[[Event], None],
        optimiser: Child | None,
    ) -> None:
        self._settings = settings.prices
        self._state = state
        self._clock = clock
        self._tell = tell
        self._cloud: Plan | None = None
        self._seen_s = -LOOK_EVERY_S
        self._reading: asyncio.Task[None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        peaks = Path(settings.host.state_dir) / "billed_peaks.json"
        self._peaks = BilledPeaks(settings.demand_charges, peaks, state.site.timezone)
        self._charges = bool(settings.demand_charges)
        self._base = BaseLoad(Path(settings.host.state_dir) / "base_load.json", state.site.timezone)
        if self._base.fault:
            log.warning("base_load_lost", reason=self._base.fault)
        self._keeping_base: asyncio.Task[None] | None = None
        self.day = DayPlanner(
            state.site, settings.prices, self._pasts, tell, optimiser, self._demand, self._base
        )
        self._file = PriceFile(settings.prices)
        self._tariff = Tariff(settings.time_of_use, state.site.timezone, state.site.holidays)
        self._priced = bool(settings.prices.file or settings.prices.feed or settings.time_of_use)
        self._programmes: list[Callable[[], tuple[Price, ...]]] = []
        self._refiners: list[Callable[[tuple[Price, ...]], tuple[Price, ...]]] = []
        self._feed: PriceFeed | None = None
        if settings.prices.feed:
            folder = Path(settings.host.state_dir) / "prices"
            feed = _price_feed()
            self._feed = feed(settings.prices, clock, folder, tell=tell, on_change=self.day.look_again)

    def take_site(self, site: Site) -> None:
        """Another site of the same outlets."""
        self.day.take_site(site)

    async def start(self) -> None:
        """Read the price file, or begin to ask the price service. What is wrong with them is an event."""
        self._tell_fault(self._file.read())
        if self._feed is not None:
            self._feed.load()
            self._feeding = keep("price feed", self._feed.run)

    async def stop(self) -> None:
        """End what is under way."""
        if self._feeding is not None:
            await end(self._feeding)
        tasks = (self._reading, self._keeping, self._keeping_base)
        under_way = [task for task in tasks if task is not None]
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.day.stop()

    def take_cloud_plan(self, plan: Plan) -> None:
        """The cloud's newest plan; it was checked by the inbox."""
        self._cloud = plan

    def plan_or_none(self, snapshot: Snapshot) -> Plan | None:
        """The plan for this tick. A plan that cannot be made costs earnings, not the tick."""
        try:
            return self._plan(snapshot)
        except Exception as fault:  # noqa: BLE001 - prices and forecasts of any kind
            report("plan", f"no plan could be made: {described(fault)}", fault)
            return None

    def _plan(self, snapshot: Snapshot) -> Plan | None:
        cloud = self._cloud
        if cloud is not None and cloud.valid_from_wall_s <= snapshot.wall_s < cloud.valid_until_wall_s:
            return cloud
        if not (self._priced or self._programmes):
            return None
        if snapshot.now_s - self._seen_s >= LOOK_EVERY_S:
            self._seen_s = snapshot.now_s
            if self._file.is_changed() and (self._reading is None or self._reading.done()):
                self._reading = begin("prices", self._read_file())
        plan = self.day.plan(snapshot, self.prices())
        self._state.report = self.day.report
        return plan

    async def tried(self, snapshots: tuple[Snapshot, ...]) -> list[Report]:
        """What the local plan of each picture would be at the prices that are known now."""
        return await self.day.tried(snapshots, self.prices())

    def add_prices(
        self,
        source: Callable[[], tuple[Price, ...]],
        refine: Callable[[tuple[Price, ...]], tuple[Price, ...]],
    ) -> None:
        """Prices of a programme: while it has some, they go before those of file and feed. ``refine`` adds
        to whichever count what it says of export and carbon.
        """
        self._programmes.append(source)
        self._refiners.append(refine)

    def prices(self) -> tuple[Price, ...]:
        """All prices that are known now."""
        prices = self._known()
        for refine in self._refiners:
            prices = refine(prices)
        return prices

    def _known(self) -> tuple[Price, ...]:
        for source in self._programmes:
            if prices := source():
                return prices
        known = self._file.prices if self._feed is None else self._feed.prices
        return known or self._tariff.prices_at(self._clock.wall_s())

    def observe_peaks(self, snapshot: Snapshot) -> None:
        """What the grid meter says now, for the demand charges and the forecast of the building; what is new
        goes to the disk in a thread.
        """
        site = self._state.site
        if self._base.observe(site, snapshot):
            self._keeping_base = begin("base load", self._keep_base())
        place = site.meters.index(site.grid.meter) if site.grid.meter in site.meters else None
        power = snapshot.meters[place].power_w if place is not None else None
        if self._charges and power is not None and snapshot.clock_synced:
            fresh = is_fresh(power, snapshot.now_s, site.safety.meter_max_age_s)
            if fresh and isinstance(power, Reading) and self._peaks.observe(snapshot.wall_s, power.value):
                self._keeping = begin("billed peaks", self._keep_peaks())

    async def _keep_peaks(self) -> None:
        fault = await asyncio.to_thread(self._peaks.save)
        if fault:
            self._tell(Event("peaks_not_kept", "warning", "site", fault, self._clock.wall_s()))

    async def _keep_base(self) -> None:
        fault = await asyncio.to_thread(self._base.save)
        if fault:
            log.warning("base_load_not_kept", reason=fault)

    def _demand(self, wall_s: float) -> tuple[Demand, ...]:
        return tuple(Demand(*window) for window in self._peaks.windows(wall_s))

    def _pasts(self, snapshot: Snapshot) -> dict[str, Past]:
        return pasts_of(self._state.site, self._state.memory, snapshot)

    async def _read_file(self) -> None:
        """In a thread: a file of years takes half a second. The next tick plans with what it says."""
        self._tell_fault(await asyncio.to_thread(self._file.read))
        self.day.look_again()

    def _tell_fault(self, fault: str) -> None:
        """Without prices the depot keeps its promises and earns nothing: worth an event, not the daemon's
        life.
        """
        if fault:
            self._tell(Event("prices_unusable", "warning", "site", fault, self._clock.wall_s()))
