"""All stations that are forwarded: started and stopped together, their limits in one list."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.forwarder import Forwarder
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import UpstreamSettings
from v2g_edge.tasks import end, keep


class Upstreams:
    """Forwarders by station. A station goes to the first upstream that names it, or names none."""

    def __init__(
        self,
        settings: Sequence[UpstreamSettings],
        links: Mapping[str, StationLink],
        store: SqliteStore,
        board: Board,
        clock: ClockPort,
        nominal_v: float,
    ) -> None:
        self._board = board
        self._clock = clock
        self.forwarders: dict[str, Forwarder] = {}
        for each in settings:
            for identity, link in links.items():
                if identity not in self.forwarders and (not each.stations or identity in each.stations):
                    tell = partial(self._tell, identity)
                    forwarder = Forwarder(each, link, store, clock, nominal_v, tell)
                    self.forwarders[identity] = link.upstream = forwarder
        self._tasks: list[asyncio.Task[None]] = []

    def _tell(self, identity: str, kind: str, severity: Any, text: str) -> None:
        self._board.announce(Event(kind, severity, identity, f"{identity}: {text}", self._clock.wall_s()))

    def start(self) -> None:
        """Begin to dial."""
        self._tasks = [keep(f"upstream {name}", each.run) for name, each in self.forwarders.items()]

    async def stop(self) -> None:
        """Close all links. What waits stays on disk."""
        await end(*self._tasks)
        self._tasks = []

    def limits_at(self, wall_s: float) -> tuple[CapacityLimit, ...]:
        """What the upstreams' charging profiles allow now."""
        return tuple(limit for each in self.forwarders.values() for limit in each.down.limits_at(wall_s))

    def describe(self) -> dict[str, dict[str, Any]]:
        """By station, for people."""
        return {identity: each.describe() for identity, each in self.forwarders.items()}
