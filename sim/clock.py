"""The simulator's clock: loop time, scaled, counted from the scenario's start. Virtual and real runs use the same one."""

import asyncio
from datetime import UTC, datetime


class LoopClock:
    """``scale`` seconds of this clock pass in one second of the running loop; at its making it shows ``start_wall_s``."""

    def __init__(self, start_wall_s: float, scale: float = 1.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time()
        self._start_wall_s = start_wall_s
        self.scale = scale

    def now_s(self) -> float:
        """Seconds since some start."""
        return self._loop.time() * self.scale

    def wall_s(self) -> float:
        """UTC epoch seconds of the played time."""
        return self._start_wall_s + (self._loop.time() - self._zero_s) * self.scale

    def synced(self) -> bool:
        """Always: it is the time."""
        return True

    async def sleep_s(self, duration_s: float) -> None:
        """Wait for ``duration_s`` of this clock's seconds."""
        await asyncio.sleep(duration_s / self.scale)

    def set_wall(self, wall_s: float) -> None:
        """Jump to another wall time (a station takes its central system's time at boot)."""
        self._start_wall_s += wall_s - self.wall_s()


def stamp(wall_s: float) -> str:
    """RFC 3339 in UTC with milliseconds, as OCPP writes times."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def unstamp(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; ValueError when it is none."""
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
