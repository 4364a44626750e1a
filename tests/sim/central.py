"""A small central system for tests of the simulated station: answers what a station asks, records
everything, calls at will.
"""

import asyncio
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from sim.virtual.clock import LoopClock, stamp
from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Expired, Refused, Stray
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import SUBPROTOCOL, Version

ANSWERS: dict[str, dict[str, Any]] = {
    "NotifyEVChargingNeeds": {"status": "Accepted"},
    "TransactionEvent": {},
    "StatusNotification": {},
    "NotifyEvent": {},
    "ReportChargingProfiles": {},
    "MeterValues": {},
    "ReportDERControl": {},
    "OpenPeriodicEventStream": {"status": "Accepted"},
    "StartTransaction": {"transactionId": 41, "idTagInfo": {"status": "Accepted"}},
    "StopTransaction": {},
}


class Central:
    """Serves one station on the running loop."""

    def __init__(self, clock: LoopClock, version: Version = "2.0.1") -> None:
        self.clock = clock
        self._version = version
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.strays: list[str] = []
        self.links = 0
        self.boot_status = "Accepted"
        self._machine = Machine(version, "central", prefix="c", strict=False)
        self._waiting: dict[str, asyncio.Future[dict[str, Any] | None]] = {}
        self._link: ServerConnection | None = None
        self._server: Server | None = None

    async def start(self) -> str:
        """Listen; the url for stations."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(SUBPROTOCOL[self._version])],
            ping_interval=None,
        )
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def said(self, action: str) -> list[dict[str, Any]]:
        """Payloads of that action so far."""
        return [payload for name, payload in self.calls if name == action]

    async def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Call the station; None when it refuses or does not answer."""
        message_id = self._machine.call(action, payload, self.clock.now_s(), timeout_s=20)
        future: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = future
        await self._flush()
        try:
            async with asyncio.timeout(60):
                return await future
        except TimeoutError:
            self._machine.tick(self.clock.now_s() + 1)
            return None

    async def _serve(self, link: ServerConnection) -> None:
        self._link, self.links = link, self.links + 1
        try:
            async for frame in link:
                self._machine.receive(frame, self.clock.now_s())
                self._take()
                await self._flush()
        except ConnectionClosed:
            pass
        self._machine.lost()

    def _take(self) -> None:
        for event in self._machine.events():
            if isinstance(event, CallIn):
                self.calls.append((event.action, event.payload))
                now = stamp(self.clock.wall_s())
                answers: dict[str, dict[str, Any]] = {
                    "BootNotification": {"currentTime": now, "interval": 300, "status": self.boot_status},
                    "Heartbeat": {"currentTime": now},
                    **ANSWERS,
                }
                self._machine.answer(event.id, answers[event.action])
            elif isinstance(event, Answered | Refused | Expired) and event.id in self._waiting:
                future = self._waiting.pop(event.id)
                if not future.done():
                    future.set_result(event.payload if isinstance(event, Answered) else None)
            elif isinstance(event, Stray):
                self.strays.append(event.why)

    async def _flush(self) -> None:
        for frame in self._machine.frames():
            if self._link is not None:
                await self._link.send(frame, text=True)
