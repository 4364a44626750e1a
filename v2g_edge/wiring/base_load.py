"""Learns what the building draws, quarter hour by quarter hour, and keeps it over a restart."""

from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.forecast import SLOT_S, LoadHistory, ahead, learnt
from v2g_edge.statefile import StateFile

LEAST_MEASURED: Final = 0.5
"""A quarter hour of which less was measured is not learnt from."""
LONGEST_GAP_S: Final = 60.0
"""A reading stands for at most this long."""
SURE_S: Final = 60.0
"""So long a quarter hour must have been metered to be known."""
AHEAD: Final = 200
"""Quarter hours that are foretold: a plan's two days, and one for the quarter that runs."""


class BaseLoad:
    """``observe`` every picture; ``ahead_kw`` is for the plan."""

    def __init__(self, path: Path, timezone: str) -> None:
        self._zone, self._path = ZoneInfo(timezone), path
        decode = msgspec.json.Decoder(LoadHistory).decode
        self._file = StateFile[LoadHistory](path, msgspec.json.encode, decode)
        self._start_s = self._last_s = 0.0
        self._seconds = self._kws = 0.0
        kept, fault = self._file.load()
        self.history = kept or LoadHistory()
        self.fault = f"the loads of the building: {fault} They are learnt anew" if fault else ""

    def observe(self, site: Site, snapshot: Snapshot) -> bool:
        """Add a picture. True when a quarter hour was learnt: ``save`` it."""
        power_kw = _base_kw(site, snapshot)
        wall_s, start_s = snapshot.wall_s, snapshot.wall_s - snapshot.wall_s % SLOT_S
        news = False
        if start_s != self._start_s:
            if self._start_s and self._seconds >= LEAST_MEASURED * SLOT_S:
                mean_kw = self._kws / self._seconds
                self.history = learnt(self.history, self._start_s, mean_kw, self._zone)
                news = True
            self._start_s, self._last_s, self._seconds, self._kws = start_s, wall_s, 0.0, 0.0
        if power_kw is not None:
            stands_s = wall_s - self._last_s
            if 0.0 < stands_s <= LONGEST_GAP_S:
                self._seconds += stands_s
                self._kws += power_kw * stands_s
            self._last_s = wall_s
        return news

    def ahead_kw(self, wall_s: float) -> tuple[float, ...]:
        """The expected mean of each quarter hour from the present one on, which is known as far as it was
        metered; () where too little is known.
        """
        first_s = wall_s - wall_s % SLOT_S
        found = ahead(self.history, first_s, AHEAD, self._zone)
        if not found or first_s != self._start_s or self._seconds < SURE_S:
            return found
        return (self._kws / self._seconds, *found[1:])

    def save(self) -> str:
        """Keep it on the disk; "" when it is there, else why not."""
        try:
            self._file.save(self.history)
        except OSError as error:
            return f"{self._path}: the loads of the building cannot be kept ({error})"
        return ""


def _base_kw(site: Site, snapshot: Snapshot) -> float | None:
    """The grid meter less all chargers; None where one of them does not tell."""
    if site.grid.meter not in site.meters or not snapshot.clock_synced:
        return None
    power = snapshot.meters[site.meters.index(site.grid.meter)].power_w
    if not isinstance(power, Reading) or not is_fresh(power, snapshot.now_s, site.safety.meter_max_age_s):
        return None
    total_w = power.value
    for state in snapshot.evses:
        if state.vehicle is None and not isinstance(state.power_w, Reading):
            continue
        if not is_fresh(state.power_w, snapshot.now_s, site.safety.charger_max_age_s):
            return None
        assert isinstance(state.power_w, Reading)  # noqa: S101 - it is fresh
        total_w -= state.power_w.value
    return total_w / 1e3
