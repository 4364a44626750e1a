"""The sockets between rooms that may not know each other. ``app`` plugs adapters into them."""

from collections.abc import Coroutine
from typing import Any, Literal, NamedTuple, Protocol

from v2g_edge.model.permit import Permit

WriteResult = Literal["accepted", "withheld", "rejected", "silent"]
"""``withheld``: the charger holds a lease narrower than the permit, which cannot be said to it in full, or
which it refused.
"""


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


class Saying(NamedTuple):
    """The setpoint that a charger would get for a permit now: never wider than the permit.

    ``valid_for_s`` is the lease. ``harmless``: without the lease the charger would be allowed as much, so it
    may be sent and may stand whatever the inputs are. ``terms`` is whatever else the lease depends on:
    another value, and it must be sent again.
    """

    power_w: float
    droop_w: float
    valid_for_s: float
    harmless: bool = False
    terms: tuple[object, ...] = ()

    @property
    def least_w(self) -> float:
        """The lower end of what is said."""
        return self.power_w - self.droop_w

    @property
    def most_w(self) -> float:
        """The upper end of what is said."""
        return self.power_w + self.droop_w


class ChargerPort(Protocol):
    """One charger as the writer sees it, whatever it speaks."""

    def says(self, permit: Permit) -> Saying:
        """What would be said for a permit now. Cheap: it is asked for each outlet in each tick."""

    def write_permit(self, permit: Permit) -> Coroutine[Any, Any, WriteResult]:
        """Hand the setpoint to the charger as a lease. Never raises: a fault is ``silent``.

        The call itself, before anything is awaited, makes all older ones void: whatever of those is not on
        the wire yet is never sent, and their result is ``silent``.
        """
