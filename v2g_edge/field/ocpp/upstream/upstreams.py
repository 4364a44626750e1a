"""All stations that are forwarded: started and stopped together, their limits in one list.

A station may go to several upstreams. One of them is its primary: its word on cards counts. The others have
copies, each with a queue of its own.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.forwarder import Forwarder
from v2g_edge.field.ocpp.upstream.policy import FORWARDED
from v2g_edge.field.ocpp.upstream.queue import message_of
from v2g_edge.field.ocpp.upstream.rows import UpstreamRows
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.event import Event
from v2g_edge.model.orders import acts
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import UpstreamSettings
from v2g_edge.model.snapshot import Operator
from v2g_edge.tasks import end, keep

Payload = dict[str, Any]

FACTS: Final = ("booted", "version", "profiles")


class StationTap:
    """What one station calls, on its way to all of its upstreams; the primary stands first where there is
    one.
    """

    def __init__(self, forwarders: Sequence[Forwarder]) -> None:
        self.forwarders = tuple(forwarders)
        first = self.forwarders[0]
        self._primary = first if first.settings.role == "primary" else None

    def take(
        self, version: Version, action: str, payload: Payload, answer: Payload, *, conforms: bool
    ) -> Payload:
        """See ``Tap``."""
        if action not in FORWARDED[version]:
            return answer
        message = message_of(action, payload, local_of(payload, answer), conforms=conforms)
        for each in self.forwarders:
            each.take(version, message)
        return self._primary.tokens.answer(action, payload, answer) if self._primary is not None else answer

    def ask(
        self, version: Version, action: str, payload: Payload, answer: Payload
    ) -> Awaitable[Payload] | None:
        """See ``Tap``."""
        return self._primary.ask(version, action, payload, answer) if self._primary is not None else None


class Upstreams:
    """Forwarders by station. An upstream has the stations that it names; one that names none has all."""

    def __init__(
        self,
        settings: Sequence[UpstreamSettings],
        links: Mapping[str, StationLink],
        store: SqliteStore,
        board: Board,
        clock: ClockPort,
        nominal_v: float,
    ) -> None:
        self._board = board
        self._clock = clock
        self.taps: dict[str, StationTap] = {}
        rows = UpstreamRows(store) if settings else None
        for identity, link in links.items():
            mine = [each for each in settings if not each.stations or identity in each.stations]
            mine.sort(key=lambda each: each.role != "primary")
            if rows is None or not mine:
                continue
            _take_over(store, identity, mine[0].id)
            tell = partial(self._tell, identity)
            tap = StationTap([Forwarder(each, link, rows, clock, nominal_v, tell) for each in mine])
            self.taps[identity] = link.upstream = tap
        self.forwarders = tuple(each for tap in self.taps.values() for each in tap.forwarders)
        self._tasks: list[asyncio.Task[None]] = []

    def _tell(self, identity: str, kind: str, severity: Any, text: str) -> None:
        self._board.announce(Event(kind, severity, identity, f"{identity}: {text}", self._clock.wall_s()))

    def start(self) -> None:
        """Begin to dial."""
        self._tasks = [keep(f"upstream {each.name}", each.run) for each in self.forwarders]

    async def stop(self) -> None:
        """Close all links. What waits stays on disk."""
        await end(*self._tasks)
        self._tasks = []

    def limits_at(self, wall_s: float) -> tuple[CapacityLimit, ...]:
        """What the upstreams' charging profiles allow now."""
        return tuple(limit for each in self.forwarders for limit in each.down.limits_at(wall_s))

    def observe(self, permits: Sequence[Permit], operator: Operator, wall_s: float) -> None:
        """What a tick permits, for what is reported of limits."""
        if not self.forwarders:
            return
        dimmed = any(
            limit.direction == "import" and not limit.evse and acts(limit, wall_s)
            for limit in operator.limits
        )
        by_evse = {permit.evse: permit for permit in permits}
        for each in self.forwarders:
            each.observe(by_evse, wall_s, dimmed=dimmed)

    def describe(self) -> dict[str, list[Payload]]:
        """By station, for people."""
        return {name: [each.describe() for each in tap.forwarders] for name, tap in self.taps.items()}


def local_of(payload: Payload, answer: Payload) -> str:
    """Our number of the transaction that a message is about; "" where it is about none."""
    told = payload.get("transactionId", answer.get("transactionId"))
    if told is None:
        told = payload.get("transactionInfo", {}).get("transactionId", "")
    return str(told)


def _take_over(store: SqliteStore, identity: str, upstream: str) -> None:
    """What an older version kept for the one upstream that a station could have is the primary's."""
    name = f"{upstream}/{identity}"
    for fact in FACTS:
        if (kept := store.fact(f"upstream/{fact}/{identity}")) and not store.fact(f"upstream/{fact}/{name}"):
            store.remember(f"upstream/{fact}/{name}", kept)
            store.remember(f"upstream/{fact}/{identity}", "")
    for table in ("upstream", "upstream_ids"):
        if store.read(f"SELECT 1 FROM {table} WHERE station = ? LIMIT 1", identity):  # noqa: S608 - ours
            store.write(f"UPDATE {table} SET station = ? WHERE station = ?", name, identity)  # noqa: S608 - ours
