"""Live pictures for browsers: one question a second to the daemon, however many browsers look, encoded
once.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

from v2g_edge import tasks
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses

EVERY_S: Final = 1.0
QUEUE: Final = 2
"""Pictures that wait for a slow browser; the oldest is dropped, because only the newest counts."""
BROWSERS_MAX: Final = 64
END: Final = b""
"""In place of a picture: the stream ends."""
AFTER_S: Final = 0.05
"""After a tick: it has been written down by then."""
QUIET_S: Final = 15.0
"""A comment this often keeps proxies from closing a stream in which nothing changes."""


class Hub:
    """Asks while a browser looks, and hands each picture to every stream."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._looked_at = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last = b""

    @property
    def is_full(self) -> bool:
        """Whether no further browser can be served."""
        return len(self._queues) >= BROWSERS_MAX

    @property
    def browsers(self) -> int:
        """Streams that are open."""
        return len(self._queues)

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events: ``status`` with the daemon's answer, or ``down`` with the reason."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._queues.add(queue)
        self._looked_at.set()
        if self._task is None:
            self._task = tasks.keep("console live", self._ask_on)
        try:
            yield b"retry: 2000\n\n"
            if self._last:
                yield self._last
            while True:
                try:
                    async with asyncio.timeout(QUIET_S):
                        picture = await queue.get()
                except TimeoutError:
                    picture = b": still here\n\n"
                if picture == END:
                    return
                yield picture
        finally:
            self._queues.discard(queue)
            if not self._queues:
                self._looked_at.clear()
                self._last = b""  # the next browser may come in an hour

    def hang_up(self) -> None:
        """End every stream: the console stops, and a browser comes again by itself."""
        for queue in self._queues:
            _put(queue, END)

    async def stop(self) -> None:
        """End the questions."""
        if self._task is not None:
            await tasks.end(self._task)

    async def _ask_on(self) -> None:
        while True:
            await self._looked_at.wait()
            picture = await self._picture()
            self._last = picture if self._queues else b""
            for queue in self._queues:
                _put(queue, picture)
            await asyncio.sleep(await self._pause_s())

    async def _pause_s(self) -> float:
        """Until shortly after the daemon's next tick: a picture is fresh when it comes, and no question
        stands before a tick.
        """
        try:
            age_s = (await self._daemon.ask("health")).get("tick_age_s")
        except (DaemonDown, DaemonRefuses):
            return EVERY_S
        if not isinstance(age_s, int | float):
            return EVERY_S
        return min(max(EVERY_S + AFTER_S - age_s, EVERY_S / 2.0), EVERY_S)

    async def _picture(self) -> bytes:
        try:
            status = await self._daemon.ask("status")
        except (DaemonDown, DaemonRefuses) as fault:
            return _event("down", {"text": str(fault)})
        return _event("status", status)


def _put(queue: asyncio.Queue[bytes], picture: bytes) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(picture)


def _event(name: str, body: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
