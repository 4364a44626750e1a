"""Clocks of the daemon."""

import asyncio
import time
from pathlib import Path
from typing import Final

from v2g_edge.host import clockstate

STATE: Final = Path("/run/v2g-edge-clock/state")
"""Where v2g-edge-clock.service writes what the kernel says, for a daemon that may not ask by itself
(``ProtectClock=``).
"""


class SystemClock:
    """The machine's own clocks. ``synced`` asks the kernel, or reads what another unit has asked, so any
    time service counts.
    """

    def __init__(self, state: Path = STATE) -> None:
        self._kernel = clockstate.Kernel()
        self._state = state

    def now_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall_s(self) -> float:
        """UTC epoch seconds."""
        return time.time()

    def synced(self) -> bool:
        """Whether a time service disciplines the kernel's clock; False where nothing can be learnt of it."""
        answer = self._kernel.read()
        return clockstate.read(self._state, time.monotonic()) if answer is None else answer

    async def sleep_s(self, duration_s: float) -> None:
        """Wait."""
        await asyncio.sleep(max(duration_s, 0.0))


class LoopClock:
    """A clock that starts at a given wall time and runs ``scale`` times as fast as the loop's: for
    demonstrations.

    ``origin_s`` is the loop time of the start, so that several processes on one machine can share it
    (CLOCK_MONOTONIC is common).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        start_wall_s: float,
        scale: float = 1.0,
        origin_s: float | None = None,
    ) -> None:
        self._loop = loop
        self._scale = scale
        self._start_wall_s = start_wall_s
        self._origin_s = loop.time() if origin_s is None else origin_s

    def now_s(self) -> float:
        """Seconds of this clock since its origin."""
        return (self._loop.time() - self._origin_s) * self._scale

    def wall_s(self) -> float:
        """UTC epoch seconds of this clock."""
        return self._start_wall_s + self.now_s()

    def synced(self) -> bool:
        """Always: this clock is its own reference."""
        return True

    async def sleep_s(self, duration_s: float) -> None:
        """Wait for ``duration_s`` of this clock's seconds."""
        await asyncio.sleep(max(duration_s, 0.0) / self._scale)
