"""What a controller says of itself, as the judges get it: each tick's permits, events, latches, and its
ledger.

What plays a scenario fills it in; judges compare it with the physics. Only value types of the model stand
in it.
"""

from collections.abc import Mapping

from msgspec import Struct

from v2g_edge.model.event import Event
from v2g_edge.model.permit import Permit


class Held(Struct, frozen=True):
    """A row of the safety table that acts on a subject."""

    row: str
    subject: str


class Told(Struct, frozen=True):
    """One tick. ``taken_pct``: the SoC that discharge has taken out of each vehicle on the present UTC day,
    as booked.

    ``restarted``: the first tick of a new process.
    """

    wall_s: float
    permits: Mapping[str, Permit]
    events: tuple[Event, ...]
    held: frozenset[Held]
    taken_pct: Mapping[str, float]
    restarted: bool = False
