"""Lost time (rule 16): seconds in which the controller itself did not run are noticed, reported, and held
against no device.

After such a gap the old readings say nothing of their devices: they were not read. The tick waits a moment
for fresh ones. For that moment nothing is permitted, so nothing is raised, and the leases at the chargers run
out as they do in any longer stall.
"""

from collections.abc import Callable, Iterator
from typing import Final

from v2g_edge.field.board import Board
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.site import Site

LATE_TICKS: Final = 2.0
"""Time counts as lost where a tick comes later than two regular ones: one may be late on any machine."""

SETTLE_S: Final = 3.0
"""The longest wait for fresh readings, or three ticks where they are longer: a line that timed out in the
gap opens anew. It is short beside the watchdog's ten seconds, and a device that is truly gone is judged
then.
"""

LOOKS: Final = 40.0
"""Looks for fresh readings in that time: 75 ms apart with ticks of one second."""

TELL_EVERY_S: Final = 60.0
"""On a machine that is always too slow, one event a minute carries the sum."""


class LostTime:
    """Stands before every tick of one daemon. ``site`` gives the present one; ``tell`` gets the event
    ``time_lost``.
    """

    def __init__(
        self,
        board: Board,
        clock: ClockPort,
        site: Callable[[], Site],
        tick_s: float,
        tell: Callable[[Event], None],
    ) -> None:
        self._board = board
        self._clock = clock
        self._site = site
        self._tick_s = tick_s
        self._tell = tell
        self._ticked_s: float | None = None
        self._told_s: float | None = None
        self._untold_s = 0.0

    async def settle(self) -> None:
        """Return at once where the tick is in time; else when what was fresh at the last one is so again,
        at the latest after ``SETTLE_S``. An open contact and a grid outside its window wait for nothing.
        """
        now_s, last_s = self._clock.now_s(), self._ticked_s
        lost_s = 0.0 if last_s is None else now_s - last_s - self._tick_s
        if last_s is not None and lost_s > LATE_TICKS * self._tick_s:
            self._untold_s += lost_s
            longest_s = max(SETTLE_S, 3.0 * self._tick_s)
            while self._clock.now_s() - now_s < longest_s and self._waits(last_s) and not self._is_urgent():
                await self._clock.sleep_s(longest_s / LOOKS)
        self._ticked_s = self._clock.now_s()
        self._say(self._ticked_s)

    def _waits(self, last_s: float) -> bool:
        """Whether something is too old now that was not at the last tick."""
        now_s = self._clock.now_s()
        return any(last_s <= at_s + age_s < now_s for at_s, age_s in self._samples())

    def _samples(self) -> Iterator[tuple[float, float]]:
        """When each meter, contact and connected charger was last read, and how old that may be."""
        site, board = self._site(), self._board
        safety = site.safety
        for meter in site.meters:
            state = board.meter(meter)
            values = (
                state.power_w,
                *((state.frequency_hz, *state.phase_voltage_v) if meter == site.grid.meter else ()),
            )
            yield from (
                (value.at_s, safety.meter_max_age_s) for value in values if isinstance(value, Reading)
            )
        for contact in site.contacts:
            closed = board.contact(contact).closed
            if isinstance(closed, Reading):
                yield closed.at_s, safety.contact_max_age_s
        for evse in site.evses:
            link = board.evse(evse.id).link
            if link.connected:
                yield link.last_seen_s, safety.charger_max_age_s

    def _is_urgent(self) -> bool:
        """Whether a fresh reading asks for a trip: that waits for no other device."""
        site, now_s = self._site(), self._clock.now_s()
        for contact in site.contacts:
            closed = self._board.contact(contact).closed
            if is_fresh(closed, now_s, site.safety.contact_max_age_s) and closed.value < 0.5:
                return True
        return self._board.is_grid_off(now_s, site.safety.meter_max_age_s)

    def _say(self, now_s: float) -> None:
        if self._untold_s <= 0.0 or (self._told_s is not None and now_s - self._told_s < TELL_EVERY_S):
            return
        text = (
            f"the controller itself lost {self._untold_s:.1f} s (stopped, or its machine too busy); no device"
            " is blamed for them; look at the load of the machine, its disk, and what else runs there"
        )
        self._untold_s, self._told_s = 0.0, now_s
        self._tell(Event("time_lost", "warning", "site", text, self._clock.wall_s()))
