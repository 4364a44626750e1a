"""What goes out to the cloud, most urgent first: the newest telemetry, events, telemetry of an outage.

One message a turn, so that a backlog of events never holds up the present state, and neither holds up an
alarm. An event stays on disk until it is acknowledged: by the broker, or by the cloud itself.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
import structlog
from msgspec import Meta, Struct

from v2g_edge.cloud.client import CheckedClient
from v2g_edge.cloud.outbox import URGENT, Outbox, Waiting
from v2g_edge.cloud.topics import Topics
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

ACK_S: Final = 30.0
"""Patience with the cloud's own acknowledgement; then what it has not acknowledged is sent again, under its
ids.
"""

UNDER_WAY_MAX: Final = 48
"""Events that the cloud may leave unacknowledged before the next waits. As many acknowledgements may come at
once as a session takes in (``session.MAX_ACKS``), and some.
"""

ACK_OCTETS_MAX: Final = 64 << 10


class EventAck(Struct, frozen=True, forbid_unknown_fields=True):
    """The cloud has stored these events.

    Attributes:
        ids: Their ids, as they were sent.
    """

    ids: Annotated[list[str], Meta(max_length=1_000)]


class Sender:
    """The queue of one session, over all its connections.

    ``by_cloud``: an event is forgotten once the cloud acknowledges it, not when the broker does.
    ``kept_every_s``: how often telemetry is kept while there is no connection; 0: never.
    """

    def __init__(self, topics: Topics, clock: ClockPort, *, by_cloud: bool, kept_every_s: float) -> None:
        self._topics = topics
        self._clock = clock
        self._by_cloud = by_cloud
        self._kept_every_s = kept_every_s
        self._outbox: Outbox | None = None
        self._wake = asyncio.Event()
        self._latest: dict[str, dict[str, Any]] = {}
        self._kept_s = float("-inf")
        self._batch: deque[Waiting] = deque()
        self._under_way: dict[int, float] = {}
        self._allowed = True
        self._past_allowed = True

    def use(self, outbox: Outbox | None) -> None:
        """Work on this outbox from now on."""
        self._outbox = outbox
        self._begin()

    def offer(self, topic: str, values: dict[str, Any]) -> None:
        """Take the present state of something. Only the newest is sent."""
        self._latest[topic] = values
        self._wake.set()

    def offer_telemetry(self, values: dict[str, Any], *, connected: bool) -> None:
        """Take the present state. Only the newest is sent; while there is no connection some are kept."""
        self.offer(self._topics.telemetry, values)
        now_s = self._clock.now_s()
        if connected or self._outbox is None or not self._kept_every_s:
            return
        if now_s - self._kept_s >= self._kept_every_s:
            self._kept_s = now_s
            self._outbox.put_past(msgspec.json.encode(values))

    def put(self, events: tuple[Event, ...]) -> None:
        """Keep events on disk until each is acknowledged (at least once; ``id`` marks a repeat)."""
        if self._outbox is None or not events:
            return
        self._outbox.put(events)
        if any(event.severity in URGENT for event in events):
            self._batch.clear()  # it is read again, the urgent ones first
        self._wake.set()

    def acknowledge(self, payload: bytes) -> None:
        """The cloud's word for what it has. Another series is that of an outbox that was lost."""
        try:
            if len(payload) > ACK_OCTETS_MAX:
                raise msgspec.ValidationError(f"{len(payload)} octets; allowed are {ACK_OCTETS_MAX}")
            ids = msgspec.json.decode(payload, type=EventAck).ids
        except (msgspec.MsgspecError, RecursionError) as fault:
            log.warning("cloud_ack_refused", fault=str(fault)[:200])
            return
        if self._outbox is None:
            return
        seqs = [seq for each in ids if (seq := self._outbox.number_of(each)) is not None]
        self._outbox.forget(*seqs)
        for seq in seqs:
            self._under_way.pop(seq, None)
        self._wake.set()

    async def run(self, client: CheckedClient, heed_stop: Callable[[], None]) -> None:
        """Send until the connection breaks, which raises."""
        self._begin()
        while True:
            self._wake.clear()
            sent = await self._send_latest(client)
            sent = await self._send_event(client) or sent
            sent = sent or await self._send_past(client)
            heed_stop()
            if not sent:
                await self._wait()

    def _begin(self) -> None:
        """What was under way on another connection is sent again, under its id."""
        self._under_way.clear()
        self._batch.clear()
        self._allowed = self._past_allowed = True

    async def _wait(self) -> None:
        """Until something new is there, or an acknowledgement is overdue."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACK_S if self._under_way else None):
                await self._wake.wait()

    async def _send_latest(self, client: CheckedClient) -> bool:
        latest, self._latest = self._latest, {}
        for topic, values in latest.items():
            await client.send(topic, msgspec.json.encode(values), qos=0)
        return bool(latest)

    async def _send_event(self, client: CheckedClient) -> bool:
        """One event. A broker that refuses it gets no other: all stay on disk for the next connection."""
        waiting = self._next()
        if waiting is None or self._outbox is None:
            return False
        self._under_way[waiting.seq] = self._clock.now_s()
        self._allowed = await client.send(self._topics.events, waiting.body)
        if self._allowed and not self._by_cloud and self._outbox is not None:
            self._outbox.forget(waiting.seq)
        if not self._by_cloud:
            self._under_way.pop(waiting.seq, None)
        return self._allowed

    def _next(self) -> Waiting | None:
        if self._outbox is None or not self._allowed:
            return None
        oldest_s = next(iter(self._under_way.values()), None)
        if oldest_s is not None and self._clock.now_s() - oldest_s >= ACK_S:
            self._under_way.clear()
            self._batch.clear()
        if not self._batch and len(self._under_way) < UNDER_WAY_MAX:
            self._batch.extend(self._outbox.head(self._under_way))
        return self._batch.popleft() if self._batch else None

    async def _send_past(self, client: CheckedClient) -> bool:
        found = self._outbox.head_past() if self._outbox is not None and self._past_allowed else None
        if found is None:
            return False
        self._past_allowed = await client.send(self._topics.telemetry_past, found[1])
        if self._past_allowed and self._outbox is not None:
            self._outbox.forget_past(found[0])
        return self._past_allowed
