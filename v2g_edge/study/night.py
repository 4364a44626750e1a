"""A night as it was: which vehicle left with what, energy and money, what was not earned and which limit held
it, how long alarms lasted.

Reads the ticks of a journal once, in order. Energy is the measured power of each outlet, integrated; money is
that energy at the price of its time. Nothing is decided here again.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.event import Event
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot, VehicleState
from v2g_edge.study.ledger.book import service_of
from v2g_edge.study.ordered import text_of
from v2g_edge.study.ready import lacked_pct

GAP_MOST_S: Final = 60.0
"""A longer pause between two ticks is a pause of the daemon: what flowed is unknown, so nothing is counted.
"""
ORDERS: Final = frozenset({"order_given", "order_ended"})


class Stay(Struct, frozen=True):
    """One vehicle at one outlet. Wall times are UTC; ``left_wall_s`` None: it is still there. Energies ≥ 0 at
    the grid side.

    ``first_pct`` and ``last_pct`` are the first and last SoC that was known; ``target_pct`` and
    ``departure_wall_s`` what was wanted last. ``cost`` is what was paid for charging less what was earned by
    giving, ``earned`` the second part alone; 0 without prices.
    """

    session: str
    outlet: str
    vehicle: str
    plugged_wall_s: float
    left_wall_s: float | None = None
    first_pct: float | None = None
    last_pct: float | None = None
    target_pct: float | None = None
    departure_wall_s: float | None = None
    in_wh: float = 0.0
    out_wh: float = 0.0
    cost: float = 0.0
    earned: float = 0.0

    @property
    def lacked_pct(self) -> float | None:
        """What it lacked when it left, or lacks now; 0: ready. None where SoC or target was never known."""
        if self.last_pct is None or self.target_pct is None:
            return None
        return lacked_pct(self.last_pct, self.target_pct)


class Flow(Struct, frozen=True):
    """Energy over a feeder's meter, in and out."""

    in_wh: float = 0.0
    out_wh: float = 0.0


class Held(Struct, frozen=True):
    """What a limit kept from being given (``export_wh``) or charged (``import_wh``) of what was wished.
    ``missed``: what the export would have earned at the prices of its time.
    """

    export_wh: float = 0.0
    import_wh: float = 0.0
    missed: float = 0.0


class Sold(Struct, frozen=True):
    """Energy and money under one service, of all outlets: ``paid`` for charging, ``earned`` by giving."""

    in_wh: float = 0.0
    out_wh: float = 0.0
    paid: float = 0.0
    earned: float = 0.0


class Alarm(Struct, frozen=True):
    """One row of the safety table at one subject. ``until_wall_s`` None: it acts still."""

    kind: str
    subject: str
    severity: str
    text: str
    from_wall_s: float
    until_wall_s: float | None = None


class Ordered(Struct, frozen=True):
    """What somebody ordered or took back, and when. An order that was given before the night stands with the
    time of its giving.
    """

    wall_s: float
    text: str


class Night(Struct, frozen=True):
    """The whole. ``ticks`` 0: there is nothing of that time."""

    site: str
    timezone: str
    from_wall_s: float
    until_wall_s: float
    ticks: int
    priced: bool
    stays: tuple[Stay, ...]
    feeders: dict[str, Flow]
    held: dict[str, Held]
    alarms: tuple[Alarm, ...]
    orders: tuple[Ordered, ...]
    services: dict[str, Sold] = {}


Row = tuple[Site, Snapshot, Plan | None, tuple[Permit, ...], tuple[Event, ...]]


def night_of(
    rows: Iterable[Row], from_wall_s: float, until_wall_s: float, prices: tuple[Price, ...] = ()
) -> Night:
    """The ticks from ``from_wall_s`` up to ``until_wall_s`` (UTC)."""
    ledger = _Ledger(prices)
    site: Site | None = None
    for site, snapshot, plan, permits, events in rows:
        if snapshot.wall_s >= until_wall_s:
            break
        if snapshot.wall_s >= from_wall_s:
            ledger.add(site, snapshot, service_of(site, snapshot, plan), permits, events)
    stays = sorted(ledger.stays.values(), key=lambda stay: (stay.departure_wall_s or 1e18, stay.vehicle))
    return Night(
        site=site.name if site else "",
        timezone=site.timezone if site else "UTC",
        from_wall_s=from_wall_s,
        until_wall_s=until_wall_s,
        ticks=ledger.ticks,
        priced=bool(prices),
        stays=tuple(stays),
        feeders=ledger.feeders,
        held=ledger.held,
        alarms=tuple(ledger.alarms),
        orders=tuple(sorted(ledger.orders.values(), key=lambda each: each.wall_s)),
        services=ledger.services,
    )


class _Ledger:
    """Adds up tick by tick."""

    def __init__(self, prices: tuple[Price, ...]) -> None:
        self._prices = prices
        self._at = 0
        self._before: Snapshot | None = None
        self.ticks = 0
        self.stays: dict[str, Stay] = {}
        self.feeders: dict[str, Flow] = {}
        self.held: dict[str, Held] = {}
        self.services: dict[str, Sold] = {}
        self.alarms: list[Alarm] = []
        self.orders: dict[str, Ordered] = {}

    def add(
        self,
        site: Site,
        snapshot: Snapshot,
        service: str,
        permits: tuple[Permit, ...],
        events: tuple[Event, ...],
    ) -> None:
        """One tick, and the time since the one before."""
        before, self._before = self._before, snapshot
        self.ticks += 1
        passed_s = snapshot.now_s - before.now_s if before is not None else 0.0
        hours = passed_s / 3_600.0 if 0.0 < passed_s <= GAP_MOST_S else 0.0
        price = self._price(snapshot.wall_s)
        present = set()
        for evse, state, permit in zip(site.evses, snapshot.evses, permits, strict=True):
            vehicle = state.vehicle
            if vehicle is None:
                continue
            fresh = is_fresh(state.power_w, snapshot.now_s, site.safety.charger_max_age_s)
            wh = state.power_w.value * hours if fresh and isinstance(state.power_w, Reading) else 0.0
            present.add(vehicle.session)
            self._stay(evse.id, vehicle, wh, price)
            self._serve(service, wh, price)
            self._limit(permit, hours, price)
        self._leave(present, snapshot.wall_s)
        self._meters(site, snapshot, hours)
        self._happened(events)
        for order in snapshot.operator.orders:
            text = text_of(order, site) if order.number else ""
            if text and not any(each.startswith(text) for each in self.orders):
                self.orders[text] = Ordered(order.given_wall_s, text)

    def _price(self, wall_s: float) -> float:
        while self._at + 1 < len(self._prices) and self._prices[self._at + 1].start_wall_s <= wall_s:
            self._at += 1
        return self._prices[self._at].per_kwh if self._prices else 0.0

    def _stay(self, outlet: str, vehicle: VehicleState, wh: float, price: float) -> None:
        old = self.stays.get(vehicle.session) or Stay(
            vehicle.session, outlet, vehicle.vehicle, vehicle.plugged_wall_s
        )
        soc_pct, departure, target = (
            _value(vehicle.soc_pct),
            _value(vehicle.departure_wall_s),
            _value(vehicle.target_soc_pct),
        )
        self.stays[vehicle.session] = replace(
            old,
            vehicle=vehicle.vehicle or old.vehicle,
            left_wall_s=None,
            first_pct=old.first_pct if old.first_pct is not None else soc_pct,
            last_pct=soc_pct if soc_pct is not None else old.last_pct,
            target_pct=target if target is not None else old.target_pct,
            departure_wall_s=departure if departure is not None else old.departure_wall_s,
            in_wh=old.in_wh + max(wh, 0.0),
            out_wh=old.out_wh + max(-wh, 0.0),
            cost=old.cost + wh / 1_000.0 * price,
            earned=old.earned + max(-wh, 0.0) / 1_000.0 * price,
        )

    def _serve(self, service: str, wh: float, price: float) -> None:
        """What flowed counts under the one service of its tick."""
        if not wh:
            return
        old, worth = self.services.get(service, Sold()), abs(wh) / 1_000.0 * price
        self.services[service] = (
            replace(old, in_wh=old.in_wh + wh, paid=old.paid + worth)
            if wh > 0.0
            else replace(old, out_wh=old.out_wh - wh, earned=old.earned + worth)
        )

    def _limit(self, permit: Permit, hours: float, price: float) -> None:
        """What was wished and not permitted, by the limit that bound it."""
        less_out_w = permit.power_w - permit.wish_w if permit.wish_w < 0.0 else 0.0
        less_in_w = permit.wish_w - permit.power_w if permit.wish_w > 0.0 else 0.0
        if max(less_out_w, less_in_w) <= 0.0 or not hours:
            return
        old = self.held.get(permit.bound_by.rule, Held())
        export_wh, import_wh = max(less_out_w, 0.0) * hours, max(less_in_w, 0.0) * hours
        self.held[permit.bound_by.rule] = Held(
            old.export_wh + export_wh, old.import_wh + import_wh, old.missed + export_wh / 1_000.0 * price
        )

    def _leave(self, present: set[str], wall_s: float) -> None:
        for session, stay in self.stays.items():
            if session not in present and stay.left_wall_s is None:
                self.stays[session] = replace(stay, left_wall_s=wall_s)

    def _meters(self, site: Site, snapshot: Snapshot, hours: float) -> None:
        for feeder in site.feeders:
            if not feeder.meter:
                continue
            power = snapshot.meters[site.meters.index(feeder.meter)].power_w
            if is_fresh(power, snapshot.now_s, site.safety.meter_max_age_s):
                old = self.feeders.get(feeder.id, Flow())
                wh = power.value * hours
                self.feeders[feeder.id] = Flow(old.in_wh + max(wh, 0.0), old.out_wh + max(-wh, 0.0))

    def _happened(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if event.kind in ORDERS and not event.text.endswith(": over"):  # its end stands in its text
                self.orders[event.text] = Ordered(event.wall_s, event.text)
            row, cleared, _ = event.kind.partition(".cleared")
            if cleared:
                self.alarms = [
                    replace(each, until_wall_s=event.wall_s)
                    if (each.kind, each.subject, each.until_wall_s) == (row, event.subject, None)
                    else each
                    for each in self.alarms
                ]
            elif event.severity in {"alarm", "trip"}:
                self.alarms.append(Alarm(event.kind, event.subject, event.severity, event.text, event.wall_s))


def _value(measured: object) -> float | None:
    return measured.value if isinstance(measured, Reading) else None
