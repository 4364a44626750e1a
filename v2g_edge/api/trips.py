"""``trips``: the latest trips with the grid meter's raw samples around each, from ``grid_events.log``."""

import asyncio
from pathlib import Path
from typing import Any

from v2g_edge.host.gridlog import read_trips


class TripsApi:
    """Answers from the file of trips, which is read in a thread. ``zone`` is the site's time zone."""

    def __init__(self, path: Path, zone: str) -> None:
        self._path = path
        self._zone = zone

    async def trips(self, _params: dict[str, Any]) -> dict[str, Any]:
        """The latest trips, newest first."""
        found = await asyncio.to_thread(read_trips, self._path)
        return {"timezone": self._zone, "trips": found}
