"""The sockets between rooms that may not know each other. ``app`` plugs adapters into them."""

from typing import Literal, Protocol

from v2g_edge.model.permit import Permit

WriteResult = Literal["accepted", "rejected", "silent"]


class ClockPort(Protocol):
    """Time for adapters. Pure rooms never get one: they get numbers."""

    def now_s(self) -> float:
        """Monotonic seconds, for ages and timers."""

    def wall_s(self) -> float:
        """UTC epoch seconds, for schedules."""

    def synced(self) -> bool:
        """Whether wall time can be trusted."""

    async def sleep_s(self, duration_s: float) -> None:
        """Wait for ``duration_s`` of this clock's seconds (a scaled clock's pass faster)."""


class ChargerPort(Protocol):
    """One charger as the writer sees it, whatever it speaks."""

    async def write_permit(self, permit: Permit) -> WriteResult:
        """Hand the setpoint to the charger as a lease. Never raises: a fault is ``silent``."""
