"""``history``: the last day of one outlet in steps of five minutes, for curves on a page.

The journal holds every tick; this is what a page may ask for at any time without a read of the disk.
"""

from collections import deque
from typing import Any, Final

from v2g_edge.api.state import DepotState, Tick
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import EvseState

STEP_S: Final = 300.0
"""Finer than a market's quarter hour, and 288 points a day: as many as a phone's screen shows."""
KEPT: Final = 288
"""A day of steps: 200 outlets cost some 6 MB."""


class HistoryApi:
    """Keeps the course of every outlet, and answers for one. The grid connection stands under "grid"."""

    def __init__(self, state: DepotState) -> None:
        self._state = state
        self._rows: dict[str, deque[tuple[float, float | None, float | None, str]]] = {}
        self._due_wall_s = 0.0

    def observe(self, tick: Tick) -> None:
        """Keep a point of every outlet when a step is over, and at once when the clock was set back."""
        wall_s = tick.snapshot.wall_s
        if self._due_wall_s - STEP_S <= wall_s < self._due_wall_s:
            return
        self._due_wall_s = (wall_s // STEP_S + 1.0) * STEP_S
        for evse, state in zip(self._state.site.evses, tick.snapshot.evses, strict=True):
            self._keep(evse.id, wall_s, *_point(state))
        site = self._state.site
        if site.grid.meter:
            meter = tick.snapshot.meters[site.meters.index(site.grid.meter)]
            self._keep("grid", wall_s, _value(meter.power_w), None, "")

    async def history(self, params: dict[str, Any]) -> dict[str, Any]:
        """Times, power, SoC and vehicle of ``subject``, oldest first: an outlet, a vehicle (where it stands
        now; empty where it is away), or "grid". Raises BadRequestError for a name that the site does not
        know.
        """
        asked = str(params.get("subject", ""))
        name = next((known for known in self._rows if known.casefold() == asked.casefold()), None)
        if name is None:
            name = self._outlet_of(asked)
        rows = self._rows.get(name, deque())
        return {
            "subject": name,
            "step_s": STEP_S,
            "wall_s": [row[0] for row in rows],
            "power_w": [row[1] for row in rows],
            "soc_pct": [row[2] for row in rows],
            "vehicle": [row[3] for row in rows],
        }

    def _keep(self, name: str, wall_s: float, power_w: float | None, soc_pct: float | None, at: str) -> None:
        rows = self._rows.setdefault(name, deque(maxlen=KEPT))
        while rows and rows[-1][0] >= wall_s:  # the clock was set back: what it called later is no more true
            rows.pop()
        rows.append((wall_s, power_w, soc_pct, at))

    def _outlet_of(self, asked: str) -> str:
        snapshot = self._state.last_tick().snapshot
        for evse, state in zip(self._state.site.evses, snapshot.evses, strict=True):
            names = {evse.id.casefold()}
            if state.vehicle is not None:
                names.add(state.vehicle.vehicle.casefold())
            if asked and asked.casefold() in names:
                return evse.id
        for vehicle in self._state.site.vehicles:
            if asked.casefold() == vehicle.id.casefold():
                return vehicle.id  # it is away: nothing is measured of it
        raise BadRequestError(f"{asked!r} is no outlet, no vehicle of the site or at it, and not grid")


def _point(state: EvseState) -> tuple[float | None, float | None, str]:
    vehicle = state.vehicle
    if vehicle is None:
        return _value(state.power_w), None, ""
    return _value(state.power_w), _value(vehicle.soc_pct), vehicle.vehicle


def _value(measured: object) -> float | None:
    return round(measured.value, 1) if isinstance(measured, Reading) else None
