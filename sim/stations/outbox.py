"""A simulated station's link: how it dials in, and what it has to send, in the order in which it is due,
without ever waiting for the link.
"""

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.typing import Subprotocol

from sim.virtual.clock import LoopClock
from v2g_edge.field.ocpp.wire.messages import SUBPROTOCOL, Version
from v2g_edge.tasks import end


async def dial(url: str, version: Version, shown: dict[str, Any]) -> ClientConnection | None:
    """A link to the central system, None where it answers none. ``shown`` is what the station proves itself
    with.
    """
    try:
        return await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL[version])],
            compression=None,
            ping_interval=None,
            proxy=None,
            close_timeout=1,
            **shown,
        )
    except (OSError, InvalidHandshake, InvalidMessage, TimeoutError):
        return None


class Outbox:
    """``link`` is None while there is none; what is held goes with it."""

    def __init__(self, clock: LoopClock) -> None:
        self.link: ClientConnection | None = None
        self._clock = clock
        self._held: list[tuple[float, bytes]] = []
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_holding(self) -> bool:
        """Whether something waits for its time, or for the link."""
        return bool(self._held)

    def put(self, frames: list[tuple[float, bytes]]) -> None:
        """Frames, each with how many seconds it is to be late; and what has been due meanwhile."""
        now_s = self._clock.now_s()
        self._held += [(now_s + late_s, frame) for late_s, frame in frames]
        self._held.sort(key=lambda held: held[0])
        if self._held and self._sending is None and self._held[0][0] <= now_s:
            self._sending = asyncio.get_running_loop().create_task(self._send())
            self._sending.add_done_callback(self._sent)

    def lost(self) -> None:
        """The link is gone."""
        self.link = None
        self._held.clear()

    async def stop(self) -> None:
        """Send nothing more."""
        if self._sending is not None:
            await end(self._sending)

    def _sent(self, _task: "asyncio.Task[None]") -> None:
        self._sending = None

    async def _send(self) -> None:
        while self._held and self._held[0][0] <= self._clock.now_s() and self.link is not None:
            _, frame = self._held.pop(0)
            try:
                await self.link.send(frame, text=True)
            except ConnectionClosed:
                return
