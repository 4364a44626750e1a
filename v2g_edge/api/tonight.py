"""``order`` and ``undo``: what people order for tonight, tried before it is given, and taken back by its
number.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, get_args
from zoneinfo import ZoneInfo

import structlog
from msgspec.structs import replace

from v2g_edge.api.state import DepotState
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.control import BadRequestError, Handler
from v2g_edge.host.operator import OperatorFile
from v2g_edge.market.windows import Windows
from v2g_edge.model.battery import capacity_of
from v2g_edge.model.event import Event
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.orders import OrderKind, with_missions
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Order, Snapshot, VehicleState
from v2g_edge.study.answer_context import NOTHING
from v2g_edge.study.names import find
from v2g_edge.study.ordered import order_shown, text_of
from v2g_edge.study.rows import clock

log = structlog.get_logger()

KINDS: Final = get_args(OrderKind)
OF_VEHICLE: Final = frozenset({"boost", "depart", "skip", "no-v2g", "priority"})
DEFAULT_S: Final = 12 * 3_600.0
"""A night: an order without an end gets this one."""
LONGEST_S: Final = 14 * 86_400.0
AFTER_S: Final = 3_600.0
"""A departure order outlives its departure by an hour, so that a late vehicle is not sent to the site
file's time.
"""
LEAST_WH: Final = 100.0
"""A tenth of a kWh less is no broken promise: SoC is reported in whole percents."""
TEXT_MOST: Final = 120
ORDERS_MAX: Final = 500
"""Beyond any depot's night; more is a program that gives orders in a loop."""
FIELDS: Final = ("kind", "subject", "until", "at", "soc_pct", "need_wh", "limit_w", "who", "why", "trial")


class Trial(NamedTuple):
    """An order that was only tried: in words, what it would break, and the pictures without and with it."""

    text: str
    breaks: list[str]
    before: Snapshot
    after: Snapshot
    outlets: tuple[str, ...]


class TonightApi:
    """Takes orders. ``tell`` gets an event for each that is given or ends; ``wake`` brings the next tick
    forward.
    """

    def __init__(
        self, state: DepotState, file: OperatorFile, tell: Callable[[Event], None], wake: Callable[[], None]
    ) -> None:
        self._state = state
        self._file = file
        self._windows = Windows(state.site)
        self._last = 0
        self._tell = tell
        self._wake = wake

    async def orders(self, _params: dict[str, Any]) -> dict[str, Any]:
        """All that stand."""
        return {"timezone": self._state.site.timezone, "orders": self.shown()}

    async def order(self, params: dict[str, Any]) -> dict[str, Any]:
        """Give an order, or with ``trial`` only say which promises it would break."""
        snapshot = self._state.last_tick().snapshot
        order = self._parse(params, snapshot)
        breaks = self._breaks(order, snapshot)
        answer: dict[str, Any] = {
            "given": False,
            "text": text_of(order, self._state.site),
            "breaks": breaks,
            "kept": "",
        }
        if params.get("trial") is True:
            return answer
        self._last = order.number
        others = tuple(o for o in self._standing if (o.kind, o.subject) != (order.kind, order.subject))
        answer |= {
            "given": True,
            "number": order.number,
            "kept": await self._take((*others, order)[-ORDERS_MAX:]),
        }
        text = answer["text"] + (f"; breaks: {'; '.join(breaks)}" if breaks else "")
        self._tell(
            Event("order_given", "warning" if breaks else "info", order.subject, text, snapshot.wall_s)
        )
        return answer

    def as_if(self, params: dict[str, Any]) -> Trial:
        """The present picture without and with an order that nothing gives. Raises ``BadRequestError``."""
        snapshot, site = self._state.last_tick().snapshot, self._state.site
        order = self._parse(params, snapshot)
        return Trial(
            text_of(order, site),
            self._breaks(order, snapshot),
            snapshot,
            _ordered(snapshot, (order,)),
            tuple(evse.id for evse in site.evses),
        )

    async def undo(self, params: dict[str, Any]) -> dict[str, Any]:
        """Take an order back by its number."""
        number = params.get("number")
        who, why = (str(params.get(key) or "")[:TEXT_MOST] for key in ("who", "why"))
        found = next((order for order in self._standing if order.number == number), None)
        if found is None:
            there = ", ".join(str(order.number) for order in self._standing) or "none"
            raise BadRequestError(f"there is no order {number!r}; there stand: {there}")
        kept = await self._take(tuple(order for order in self._standing if order is not found))
        text = text_of(found, self._state.site)
        wall_s = self._state.last_tick().snapshot.wall_s
        by = f"taken back by {who or 'a person without a name'}{f': {why}' if why else ''}"
        self._tell(Event("order_ended", "info", found.subject, f"{text}: {by}", wall_s))
        return {"text": text, "kept": kept}

    def shown(self) -> list[dict[str, Any]]:
        """For status and the list."""
        return [order_shown(order, self._state.site) for order in self._standing]

    def handlers(self) -> dict[str, Handler]:
        """By method."""
        return {"orders": self.orders, "order": self.order, "undo": self.undo}

    def ordered(self, snapshot: Snapshot) -> Snapshot:
        """The picture as people ordered it. Orders end by a synchronised clock only."""
        if snapshot.clock_synced and any(order.until_wall_s <= snapshot.wall_s for order in self._standing):
            self.expire(snapshot.wall_s)
            operator = replace(snapshot.operator, orders=self._standing)
            snapshot = replace(snapshot, operator=operator)
        if windows := self._windows.orders_at(snapshot.wall_s, synced=snapshot.clock_synced):
            orders = (*snapshot.operator.orders, *windows)
            snapshot = replace(snapshot, operator=replace(snapshot.operator, orders=orders))
        return with_missions(snapshot)

    def expire(self, wall_s: float) -> None:
        """End the orders whose time is over. The disk learns of it with the next order: a start drops them
        too.
        """
        standing = self._standing
        left = tuple(order for order in standing if order.until_wall_s > wall_s)
        self._state.operator = replace(self._state.operator, orders=left)
        for order in standing:
            if order not in left:
                self._tell(
                    Event(
                        "order_ended",
                        "info",
                        order.subject,
                        f"{text_of(order, self._state.site)}: over",
                        wall_s,
                    )
                )

    @property
    def _standing(self) -> tuple[Order, ...]:
        return self._state.operator.orders

    async def _take(self, orders: tuple[Order, ...]) -> str:
        """In force first, then on the disk (rule 13); what could not be kept, "" when it is there."""
        self._state.operator = replace(self._state.operator, orders=orders)
        self._wake()
        kept = replace(self._state.operator, acknowledged=(), signals=())
        fault = await asyncio.to_thread(self._file.save, kept)
        return f"it acts, and would be lost with a restart: {fault}" if fault else ""

    def _parse(self, params: dict[str, Any], snapshot: Snapshot) -> Order:
        """Everything that is wrong with a request, in one sentence."""
        kind, subject = str(params.get("kind")), params.get("subject")
        unknown = params.keys() - set(FIELDS)
        if kind not in KINDS or not isinstance(subject, str) or not subject or unknown:
            raise BadRequestError(
                f"an order takes {', '.join(FIELDS)}, with a kind of {', '.join(KINDS)}; found {params!r}"
            )
        site, wall_s = self._state.site, snapshot.wall_s
        at_s = self._time(params.get("at"), wall_s, "at") if kind == "depart" else 0.0
        until_s = self._until(kind, params.get("until"), at_s, wall_s)
        soc_pct, limit_w = params.get("soc_pct"), params.get("limit_w")
        if soc_pct is not None and not _within(soc_pct, 0.0, 100.0):
            raise BadRequestError(f"soc_pct is 0 to 100, found {soc_pct!r}")
        subject = self._subject(kind, subject, site, snapshot)
        if kind == "depart" and params.get("need_wh") is not None:
            soc_pct = _share_pct(site, snapshot, subject, params["need_wh"], soc_pct)
        if kind == "limit" and not _within(limit_w, 0.0, 1e8):
            raise BadRequestError(f"a limit is in W, 0 to 1e8, found {limit_w!r}")
        return Order(
            number=max([self._last, *(order.number for order in self._standing)]) + 1,
            kind=kind,
            subject=subject,
            until_wall_s=until_s,
            given_wall_s=wall_s,
            who=str(params.get("who") or "")[:TEXT_MOST],
            why=str(params.get("why") or "")[:TEXT_MOST],
            at_wall_s=at_s,
            soc_pct=float(soc_pct) if soc_pct is not None and kind == "depart" else None,
            limit_w=float(limit_w) if limit_w is not None and kind == "limit" else None,
        )

    def _subject(self, kind: str, asked: str, site: Site, snapshot: Snapshot) -> str:
        """The name as the site writes it; an outlet stands for its vehicle."""
        if kind == "mute":
            acting = {f"{o.row}:{o.subject}" for o in self._state.memory.envelope.latches if o.active}
            if asked not in acting:
                raise BadRequestError(
                    f"{asked!r} does not act; there act: {', '.join(sorted(acting)) or 'none'}"
                )
            return asked
        try:
            named = find(site, snapshot, NOTHING, asked)
        except KeyError as error:
            raise BadRequestError(str(error.args[0])) from error
        wanted = "feeder" if kind == "limit" else "vehicle"
        if wanted == "vehicle" and named.kind == "outlet":
            vehicle = snapshot.evses[named.outlets[0]].vehicle
            if vehicle is None or not vehicle.vehicle:
                raise BadRequestError(f"at {named.name} there is no vehicle that is known")
            return vehicle.vehicle
        if named.kind != wanted:
            raise BadRequestError(f"{named.name} is a {named.kind}; {kind} takes a {wanted}")
        return named.name

    def _until(self, kind: str, asked: Any, at_s: float, wall_s: float) -> float:
        if asked in {None, ""}:
            return at_s + AFTER_S if kind == "depart" else wall_s + DEFAULT_S
        until_s = self._time(asked, wall_s, "until")
        if kind == "depart" and until_s <= at_s:
            raise BadRequestError("an order that ends before its departure says nothing")
        return until_s

    def _time(self, asked: Any, wall_s: float, name: str) -> float:
        """ "HH:MM" in the site's time zone, the next one; or ISO 8601."""
        zone = ZoneInfo(self._state.site.timezone)
        now = datetime.fromtimestamp(wall_s, UTC).astimezone(zone)
        try:
            text = str(asked)
            if len(text) <= len("00:00"):
                hour, minute = (int(part) for part in text.split(":"))
                moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
                time_s = (
                    moment.timestamp()
                    if moment.timestamp() > wall_s
                    else (moment + timedelta(days=1)).timestamp()
                )
            else:
                moment = datetime.fromisoformat(text)
                time_s = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
        except (ValueError, OverflowError) as error:
            raise BadRequestError(
                f"{name} {asked!r} is no time; write it like 05:30 or 2026-01-31T05:30"
            ) from error
        if not wall_s < time_s <= wall_s + LONGEST_S:
            raise BadRequestError(f"{name} {asked} is not within the next 14 days")
        return time_s

    def _breaks(self, order: Order, snapshot: Snapshot) -> list[str]:
        """Departures that cannot be met any more with the order, and could without it."""
        before, after = (self._shorts(snapshot, given) for given in ((), (order,)))
        lines = (
            []
            if snapshot.clock_synced
            else ["the clock is not synchronised: the times of the order are a guess"]
        )
        for evse, lacks_wh in after.items():
            if lacks_wh > before.get(evse, 0.0) + LEAST_WH:
                state = with_missions(_with(snapshot, (*snapshot.operator.orders, order))).evses[
                    self._place(evse)
                ]
                name = (state.vehicle.vehicle if state.vehicle else "") or evse
                departure = getattr(state.vehicle.departure_wall_s, "value", None) if state.vehicle else None
                lacks = (
                    f"would lack {lacks_wh / 1_000.0:.1f} kWh"
                    if lacks_wh < ANY_W
                    else "would not be ready even alone"
                )
                lines.append(f"{name} {lacks} at {clock(self._state.site, departure)}")
        return lines

    def _place(self, evse: str) -> int:
        return next(index for index, each in enumerate(self._state.site.evses) if each.id == evse)

    def _shorts(self, snapshot: Snapshot, more: tuple[Order, ...]) -> dict[str, float]:
        """What each outlet's vehicle lacks at its departure, by the proof that every export needs; ANY_W:
        not even alone.
        """
        tick = self._state.last_tick()
        trial = _ordered(snapshot, more)
        envelope = tick.outcome.memory.envelope
        fresh = replace(envelope.departures, looked_s=-ANY_W)
        memory = Memory(replace(envelope, departures=fresh), tick.outcome.memory.rules)
        told = Cycle(self._state.site).tick(trial, tick.plan, memory).memory.envelope.departures
        return {**dict(told.short), **dict.fromkeys(told.hopeless, ANY_W)}


def _ordered(snapshot: Snapshot, more: tuple[Order, ...]) -> Snapshot:
    """The picture with further orders; each replaces one of its kind and subject."""
    new = {(order.kind, order.subject) for order in more}
    kept = (order for order in snapshot.operator.orders if (order.kind, order.subject) not in new)
    return with_missions(_with(snapshot, (*kept, *more)))


def _with(snapshot: Snapshot, orders: tuple[Order, ...]) -> Snapshot:
    return replace(snapshot, operator=replace(snapshot.operator, orders=orders))


def _within(value: Any, low: float, high: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
    )


def _share_pct(site: Site, snapshot: Snapshot, vehicle: str, need_wh: Any, soc_pct: Any) -> float:
    """Wh in a vehicle's battery as percent of its capacity."""
    types = {known.id: known.type for known in site.vehicles}
    kind = next((kind for kind in site.vehicle_types if kind.id == types.get(vehicle)), None)
    here = (state.vehicle for state in snapshot.evses if state.vehicle is not None)
    state = next((each for each in here if each.vehicle == vehicle), VehicleState("", vehicle, 0.0))
    capacity_wh = capacity_of(state, kind)
    if soc_pct is not None:
        raise BadRequestError("a departure needs percent or kWh; found both")
    if capacity_wh is None:
        raise BadRequestError(f"the capacity of {vehicle} is not known: say what it needs in percent")
    if not _within(need_wh, 0.0, capacity_wh):
        raise BadRequestError(f"{vehicle} holds 0 to {capacity_wh / 1e3:g} kWh, found {need_wh!r} Wh")
    return float(need_wh) / capacity_wh * 100.0
