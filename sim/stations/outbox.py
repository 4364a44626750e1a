"""What a simulated station has to send: in the order in which it is due, without ever waiting for the
link.
"""

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from sim.virtual.clock import LoopClock


class Outbox:
    """``link`` is None while there is none; what is held goes with it."""

    def __init__(self, clock: LoopClock) -> None:
        self.link: ClientConnection | None = None
        self._clock = clock
        self._held: list[tuple[float, bytes]] = []
        self._sending: asyncio.Task[None] | None = None

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
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def _sent(self, _task: "asyncio.Task[None]") -> None:
        self._sending = None

    async def _send(self) -> None:
        while self._held and self._held[0][0] <= self._clock.now_s() and self.link is not None:
            _, frame = self._held.pop(0)
            try:
                await self.link.send(frame, text=True)
            except ConnectionClosed:
                return
