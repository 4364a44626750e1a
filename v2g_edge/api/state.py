"""What the handlers read: the last tick, the memory after it, recent events and standing orders. ``app``
writes it.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from v2g_edge.cycle import Memory, Outcome
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Operator, Snapshot
from v2g_edge.planner.report import Report

EVENTS_KEPT: Final = 1_000
"""Recent events for the control socket; all of them are in the journal."""


class Tick(NamedTuple):
    """One finished tick: the picture it saw, the plan it followed, and what came of it."""

    snapshot: Snapshot
    plan: Plan | None
    outcome: Outcome


@dataclass
class DepotState:
    """The daemon's present state, shared by the tick and the handlers of one event loop."""

    site: Site
    tick: Tick | None = None
    report: Report | None = None
    memory: Memory = field(default_factory=Memory)
    operator: Operator = field(default_factory=Operator)
    stopped_s: float = 0.0
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))

    def last_tick(self) -> Tick:
        """The last finished tick. Raises ``BadRequestError`` before the first one."""
        if self.tick is None:
            raise BadRequestError("the daemon has not finished its first tick yet; ask again in a second")
        return self.tick
