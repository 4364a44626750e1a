"""Clocks. The only file of the product that reads one."""

import asyncio
import ctypes
import time
from typing import Final

TIME_ERROR: Final = 5
"""What adjtimex(2) returns while the kernel's clock is not synchronised."""


class SystemClock:
    """The machine's own clocks. ``synced`` asks the kernel, so any time service counts (chrony, timesyncd, ntpd)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads.
        self._timex = ctypes.create_string_buffer(512)

    def now_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall_s(self) -> float:
        """UTC epoch seconds."""
        return time.time()

    def synced(self) -> bool:
        """Whether the kernel's clock is disciplined by a time service."""
        ctypes.memset(self._timex, 0, ctypes.sizeof(self._timex))
        state = int(self._libc.adjtimex(self._timex))
        return 0 <= state < TIME_ERROR

    async def sleep_s(self, duration_s: float) -> None:
        """Wait."""
        await asyncio.sleep(max(duration_s, 0.0))


class LoopClock:
    """A clock that starts at a given wall time and runs ``scale`` times as fast as the loop's: for demonstrations.

    ``origin_s`` is the loop time of the start, so that several processes on one machine can share it (CLOCK_MONOTONIC is common).
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, start_wall_s: float, scale: float = 1.0, origin_s: float | None = None
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
