"""The simulator's clock: loop time, scaled, counted from the scenario's start. Virtual and real runs use
the same one.
"""

import asyncio
from datetime import UTC, datetime


class LoopClock:
    """Runs ``scale`` times as fast as the running loop; at loop time ``origin_s`` it shows ``start_wall_s``.

    Processes of one machine that are given the same origin agree on the time: their loops count the same
    monotonic clock.
    """

    def __init__(self, start_wall_s: float, scale: float = 1.0, origin_s: float | None = None) -> None:
        self._loop_s = asyncio.get_running_loop().time
        self.origin_s = self._loop_s() if origin_s is None else origin_s
        self._start_wall_s = start_wall_s
        self.scale = scale

    def now_s(self) -> float:
        """Seconds since the origin."""
        return (self._loop_s() - self.origin_s) * self.scale

    def wall_s(self) -> float:
        """UTC epoch seconds of the played time."""
        return self._start_wall_s + (self._loop_s() - self.origin_s) * self.scale

    def synced(self) -> bool:
        """Always: it is the time."""
        return True

    async def sleep_s(self, duration_s: float) -> None:
        """Wait for ``duration_s`` of this clock's seconds."""
        await asyncio.sleep(max(duration_s, 0.0) / self.scale)


class FaultyClock:
    """The controller's own clock on top of the played time: wall time may be wrong, or known to be a guess.

    ``step_s`` is added to wall time; ``drift_ppm`` adds to it as time goes on. ``synced`` is what the time
    service says. Monotonic seconds are never wrong, but begin anew with ``boot`` and stand while the machine
    is suspended (``skip_s``).
    """

    def __init__(self, true: LoopClock) -> None:
        self._true = true
        self.step_s = 0.0
        self.is_synced = True
        self._drift_ppm = 0.0
        self._drift_from_s = 0.0
        self._booted_s = 0.0

    def now_s(self) -> float:
        """Monotonic seconds since the machine was started."""
        return self._true.now_s() - self._booted_s

    def wall_s(self) -> float:
        """UTC epoch seconds, as the controller believes."""
        wall_s = self._true.wall_s() + self.step_s
        return wall_s + self._drifted_s() if self._drift_ppm else wall_s

    def synced(self) -> bool:
        """Whether the time service vouches for wall time."""
        return self.is_synced

    async def sleep_s(self, duration_s: float) -> None:
        """Wait."""
        await self._true.sleep_s(duration_s)

    def drift(self, ppm: float) -> None:
        """Let wall time run fast by so much from now on (below 0: slow); 0 puts it right at once, as a
        time service does.
        """
        self._drift_ppm, self._drift_from_s = ppm, self._true.now_s()

    def boot(self) -> None:
        """The machine starts: monotonic time begins anew."""
        self._booted_s = self._true.now_s()

    def skip_s(self, duration_s: float) -> None:
        """The machine slept for so long: monotonic time knows nothing of it."""
        self._booted_s += duration_s

    def _drifted_s(self) -> float:
        return self._drift_ppm * 1e-6 * (self._true.now_s() - self._drift_from_s)


def stamp(wall_s: float) -> str:
    """RFC 3339 in UTC with milliseconds, as OCPP writes times."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def unstamp(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; ValueError when it is none."""
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
