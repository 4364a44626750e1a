"""Reads what a running daemon says of itself, tick by tick, for the judges."""

from collections.abc import Callable

from sim.judges.reported import Held, Told
from sim.runners.controller import Controller
from v2g_edge.api.state import Tick
from v2g_edge.app import Daemon


class Listener:
    """Asks the controller for its last tick, at the end of each: a charger may obey before the world's next
    step, and the judges look whenever a meter is read. ``hear`` takes what is new.
    """

    def __init__(self, controller: Controller, hear: Callable[[Told], None]) -> None:
        self._controller = controller
        self._hear = hear
        self._daemon: Daemon | None = None
        self._tick: Tick | None = None
        self._heard = 0

    def look(self, wall_s: float) -> None:
        """Take the last tick, if it is a new one."""
        daemon = self._controller.daemon
        if daemon is None or daemon.state.tick is None or daemon.state.tick is self._tick:
            return
        restarted = daemon is not self._daemon
        if restarted:
            self._daemon, self._heard = daemon, 0
        self._tick = tick = daemon.state.tick
        envelope = daemon.state.memory.envelope
        kept = daemon.state.events
        new = tuple(kept)[self._heard :] if len(kept) < (kept.maxlen or 0) else tick.outcome.events
        self._heard = len(kept)
        self._hear(
            Told(
                wall_s=wall_s,
                permits={permit.evse: permit for permit in tick.outcome.permits},
                events=new,
                held=frozenset(Held(latch.row, latch.subject) for latch in envelope.latches if latch.active),
                taken_pct=envelope.taken_pct,
                restarted=restarted,
            )
        )
