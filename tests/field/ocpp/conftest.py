"""A central system on a free port, with three stations: one for each version, each with one outlet of the
small site.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import small_site
from tests.field.ocpp.peer import Clock
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.model.settings import Listener, StationEvse, StationSettings


class Depot:
    """Everything a test needs in one hand. ``wakes`` counts how often the tick was woken early."""

    def __init__(
        self, state_dir: Path | None = None, *, of_stations: dict[str, Any] | None = None, **evse_changes: Any
    ) -> None:
        site = small_site(3)
        evses = tuple(replace(evse, fallback_w=11_000.0, **evse_changes) for evse in site.evses)
        evses = (*evses[:2], replace(evses[2], discharge_by="setpoint"))
        self.site = replace(site, evses=evses)
        self.wakes = 0
        self.board = Board(self.site, self._wake)
        self.clock = Clock()
        self.stations = tuple(
            StationSettings(identity, (StationEvse(evse),), **(of_stations or {}))
            for identity, evse in (("old", "b1"), ("new", "b2"), ("newest", "b3"))
        )
        self.listener = Listener("127.0.0.1", 0, 0)
        self.central = CentralSystem(
            (self.listener,), self.stations, self.site, self.board, self.clock, state_dir=state_dir
        )

    @property
    def port(self) -> int:
        return self.central.bound_port()

    def _wake(self) -> None:
        self.wakes += 1


@pytest.fixture
async def depot() -> AsyncIterator[Depot]:
    """Listening, and stopped at the end."""
    depot = Depot()
    await depot.central.start()
    yield depot
    await depot.central.stop()
