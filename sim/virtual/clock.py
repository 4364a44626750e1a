"""The simulator's clock: loop time, scaled, counted from the scenario's start. Virtual and real runs use the same one."""

import asyncio
from datetime import UTC, datetime


class LoopClock:
    """Runs ``scale`` times as fast as the running loop; at loop time ``origin_s`` it shows ``start_wall_s``.

    Processes of one machine that are given the same origin agree on the time: their loops count the same monotonic clock.
    """

    def __init__(self, start_wall_s: float, scale: float = 1.0, origin_s: float | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.origin_s = self._loop.time() if origin_s is None else origin_s
        self._start_wall_s = start_wall_s
        self.scale = scale

    def now_s(self) -> float:
        """Seconds since the origin."""
        return (self._loop.time() - self.origin_s) * self.scale

    def wall_s(self) -> float:
        """UTC epoch seconds of the played time."""
        return self._start_wall_s + self.now_s()

    def synced(self) -> bool:
        """Always: it is the time."""
        return True

    async def sleep_s(self, duration_s: float) -> None:
        """Wait for ``duration_s`` of this clock's seconds."""
        await asyncio.sleep(max(duration_s, 0.0) / self.scale)


def stamp(wall_s: float) -> str:
    """RFC 3339 in UTC with milliseconds, as OCPP writes times."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def unstamp(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; ValueError when it is none."""
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
