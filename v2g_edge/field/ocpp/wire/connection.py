"""One WebSocket with its message machine: the thin shell that moves frames and turns answers into
awaitables.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

import structlog
from websockets.exceptions import ConnectionClosed

from v2g_edge.field.ocpp.wire.dialed import Dialed
from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Expired, MessageId, Refused, SendIn
from v2g_edge.field.ocpp.wire.fast_path import Message
from v2g_edge.field.ocpp.wire.machine import TIMEOUT_S, Machine
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import ROUTINE
from v2g_edge.field.ocpp.wire.websocket import UNREAD_MAX, Wire
from v2g_edge.tasks import begin

log = structlog.get_logger()

Line: TypeAlias = Wire | Dialed
"""A link that a station dialled, or one that we dialled."""

Outcome: TypeAlias = Answered | Refused | Expired
"""What became of a call of ours: every one of them ends in exactly one."""

Then: TypeAlias = Callable[[Outcome], None]

STRAYS_MAX: Final = 100
"""Frames that are no OCPP before the link is closed (1008): a station that talks nonsense this long is not
a station.
"""

BINARY_CLOSE: Final = 1003
NONSENSE_CLOSE: Final = 1008
"""RFC 6455 7.4.1: a type of data that cannot be accepted (OCPP-J is text), and a violated policy."""


class ConnectionOwner(Protocol):
    """The part that answers for a connection."""

    def take_call(self, connection: "Connection", call: CallIn) -> None:
        """Answer through ``connection.answer`` or ``refuse``, now or later."""

    def take_send(self, message: SendIn) -> None:
        """An unconfirmed message."""

    def take_late(self, answer: Answered | Refused) -> None:
        """An answer that came after its deadline."""

    def take_life(self) -> None:
        """Something arrived."""


class Connection:
    """Used once, for one link. ``run`` returns when the link is gone, and every call that waits has its
    error.
    """

    __slots__ = (
        "_deadline_s",
        "_loop",
        "_machine",
        "_owner",
        "_sending",
        "_strays",
        "_timer",
        "_waiting",
        "identity",
        "ws",
    )

    def __init__(self, ws: Line, machine: Machine, owner: ConnectionOwner, identity: str) -> None:
        self.ws = ws
        self.identity = identity
        self._machine = machine
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, Then] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s: float | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._strays = 0

    @property
    def version(self) -> Version:
        """The version this link speaks."""
        return self._machine.version

    async def run(self) -> None:
        """Take frames until the link is gone."""
        try:
            await self.ws.listen(self._take)
        finally:
            self._end()

    async def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        priority: int = ROUTINE,
        key: str = "",
        timeout_s: float = TIMEOUT_S,
        still: Callable[[], bool] | None = None,
        message_id: str = "",
        encoded: bytes = b"",
    ) -> Outcome:
        """Call the station and wait for what becomes of it. ValueError when the payload violates the schema.

        For ``still`` and ``encoded`` see ``Machine.call``.
        """
        return await self.start_call(
            action,
            payload,
            priority=priority,
            key=key,
            timeout_s=timeout_s,
            still=still,
            message_id=message_id,
            encoded=encoded,
        )

    def start_call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        priority: int = ROUTINE,
        key: str = "",
        timeout_s: float = TIMEOUT_S,
        still: Callable[[], bool] | None = None,
        message_id: str = "",
        encoded: bytes = b"",
    ) -> "asyncio.Future[Outcome]":
        """Like ``call``, without waiting."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        call_id = self._machine.call(
            action,
            payload,
            self._loop.time(),
            priority=priority,
            key=key,
            timeout_s=timeout_s,
            still=still,
            message_id=message_id,
            encoded=encoded,
        )
        self._waiting[call_id] = partial(_resolve, future, self._owner)
        self._settle()
        return future

    def call_then(
        self, action: str, encoded: bytes, then: Then, *, priority: int, timeout_s: float, message_id: str
    ) -> None:
        """Call with a payload that is JSON already and conforms; ``then`` gets what becomes of it, at once
        when that is known.
        """
        self._machine.call(
            action, {}, self._loop.time(), priority=priority, timeout_s=timeout_s, message_id=message_id,
            encoded=encoded,
        )  # fmt: skip
        self._waiting[message_id] = then
        self._settle()

    def answer(self, message_id: MessageId, payload: dict[str, Any]) -> None:
        """Answer a call of the station. ValueError when the payload violates the schema."""
        self._machine.answer(message_id, payload)
        self._post()

    def refuse(self, message_id: MessageId, code: str, description: str = "") -> None:
        """Answer a call of the station with an error."""
        self._machine.refuse(message_id, code, description)
        self._post()

    def ping(self, on_pong: Callable[[], None]) -> None:
        """Send a WebSocket ping; ``on_pong`` is called when it is answered."""
        task = begin(f"ping {self.identity}", self._ping(on_pong))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _ping(self, on_pong: Callable[[], None]) -> None:
        try:
            await (await self.ws.ping())
        except ConnectionClosed:
            return
        on_pong()

    async def close(self, code: int, reason: str) -> None:
        """End the link; ``run`` returns."""
        await self.ws.close(code, reason)

    def _take(self, frame: Message) -> None:
        """One message of the station."""
        if isinstance(frame, bytes):
            log.warning("station_sent_binary", station=self.identity, octets=len(frame))
            self.ws.give_up(BINARY_CLOSE, "OCPP-J is text")
            return
        self._owner.take_life()
        self._machine.receive(frame, self._loop.time())
        self._settle()
        if self._strays >= STRAYS_MAX:
            log.warning("station_talks_nonsense", station=self.identity, strays=self._strays)
            self.ws.give_up(NONSENSE_CLOSE, "not OCPP-J")

    def _settle(self) -> None:
        """Hand on what the machine has to report, and send what it has to send."""
        for event in self._machine.events():
            if type(event) is CallIn:
                self._owner.take_call(self, event)
            else:
                self._tell(event)
        self._arm()
        self._post()

    def _post(self) -> None:
        """Hand frames to the socket without waiting: a stop must not queue behind a slow reader."""
        frames = self._machine.frames()
        if not frames:
            return
        for frame in frames:
            self.ws.post(frame)
        if self.ws.transport.get_write_buffer_size() > UNREAD_MAX:
            log.warning("station_does_not_read", station=self.identity, octets=UNREAD_MAX)
            self.ws.transport.abort()

    def _tell(self, event: Any) -> None:
        if isinstance(event, Answered | Refused | Expired):
            then = self._waiting.pop(event.id, None)
            if then is not None:
                then(event)
            elif isinstance(event, Answered | Refused):
                self._owner.take_late(event)
        elif isinstance(event, SendIn):
            self._owner.take_send(event)
        else:
            self._strays += 1
            log.info(
                "station_frame_odd", station=self.identity, what=type(event).__name__, detail=str(event)[:200]
            )

    def _arm(self) -> None:
        """A timer that is due too early is left alone: most calls are answered long before."""
        deadline_s = self._machine.next_deadline_s()
        if deadline_s is None or (self._deadline_s is not None and self._deadline_s <= deadline_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._deadline_s, self._timer = deadline_s, self._loop.call_at(deadline_s, self._on_deadline)

    def _on_deadline(self) -> None:
        self._timer = self._deadline_s = None
        self._machine.tick(self._loop.time())
        self._settle()

    def _end(self) -> None:
        self._machine.lost()
        for event in self._machine.events():
            self._tell(event)
        if self._timer is not None:
            self._timer.cancel()
        for task in self._sending:
            task.cancel()


def _resolve(future: "asyncio.Future[Outcome]", owner: ConnectionOwner, outcome: Outcome) -> None:
    """The caller that waits gets it; one that gave up does not."""
    if not future.done():
        future.set_result(outcome)
    elif isinstance(outcome, Answered | Refused):
        owner.take_late(outcome)
