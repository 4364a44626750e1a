"""External limits (network operator, OpenADR, another central system) in the picture of each tick. An event
says when one of the connection begins or ends.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec.structs import replace

from v2g_edge.model.event import Event
from v2g_edge.model.orders import acts
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.snapshot import Operator, Snapshot

Source = Callable[[float], Sequence[CapacityLimit]]
"""Tells what holds at a wall time, and what will."""

Told = tuple[Literal["import", "export"], float, str]


class ExternalLimits:
    """Gathers the limits of ``sources``. ``tell`` gets an event when one of the connection begins or ends."""

    def __init__(self, sources: Sequence[Source], tell: Callable[[Event], None]) -> None:
        self._sources = tuple(sources)
        self._tell = tell
        self._limits: tuple[CapacityLimit, ...] = ()
        self._acting: dict[Told, CapacityLimit] = {}
        self._merged: tuple[Operator, tuple[CapacityLimit, ...], Operator] = (Operator(), (), Operator())

    def limited(self, snapshot: Snapshot) -> Snapshot:
        """The picture with the limits. It stays the same object where there are none."""
        wall_s, operator = snapshot.wall_s, snapshot.operator
        found = tuple(limit for source in self._sources for limit in source(wall_s))
        if found != self._limits:
            self._limits = found
        self._record((*operator.limits, *self._limits), wall_s)
        if not self._limits:
            return snapshot
        if self._merged[0] is not operator or self._merged[1] is not self._limits:
            merged = replace(operator, limits=(*operator.limits, *self._limits))
            self._merged = (operator, self._limits, merged)
        return replace(snapshot, operator=self._merged[2])

    def _record(self, limits: Sequence[CapacityLimit], wall_s: float) -> None:
        now = {(x.direction, x.power_w, x.source): x for x in limits if not x.evse and acts(x, wall_s)}
        if now == self._acting:
            return
        for key, limit in now.items():
            if key not in self._acting:
                self._tell(_event("outside_limit_began", limit, wall_s))
        for key, limit in self._acting.items():
            if key not in now:
                self._tell(_event("outside_limit_ended", limit, wall_s))
        self._acting = now


def _event(kind: str, limit: CapacityLimit, wall_s: float) -> Event:
    text = f"{limit.source}: {limit.direction} of the site at most {limit.power_w / 1e3:g} kW"
    return Event(kind, "info", "site", text, wall_s)
