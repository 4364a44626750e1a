"""Quarter hours: what is left of the journal's ticks after ``host.journal_keep_days``, for years.

A quarter hour of every outlet and meter is a line: energy both ways, least and greatest power, state of
charge, vehicle, events by kind. It is summed while the ticks happen, at a cost that goes by what has changed
since the tick before; the ticks themselves are not read again.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from v2g_edge.model.event import Event
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, MeterState, Snapshot

QUARTER_S: Final = 900.0
GAP_S: Final = 60.0
"""A power that has not been renewed for so long (the controller stood still) is not counted on."""
S_PER_H: Final = 3_600.0


class PowerRow(Struct, frozen=True, array_like=True):
    """One outlet or meter in a quarter hour. ``in_wh`` is charged or imported, ``out_wh`` discharged or
    exported; ``known_s`` are the seconds of which the power is known: energy of the others is not in here.
    """

    id: str
    known_s: float
    in_wh: float
    out_wh: float
    least_w: float
    greatest_w: float


class OutletRow(PowerRow, frozen=True, array_like=True):
    """``vehicle`` and ``soc_pct`` stood at the end; "" and −1 where they are not known."""

    vehicle: str = ""
    soc_pct: float = -1.0


class Quarter(Struct, frozen=True, array_like=True):
    """From ``start_wall_s``, for ``seconds`` of ticks. A start of the daemon or a step of the clock begins
    another row of the same quarter hour. ``events``: how many of each kind.
    """

    start_wall_s: float
    seconds: float
    clock_synced: bool
    outlets: tuple[OutletRow, ...]
    meters: tuple[PowerRow, ...]
    events: tuple[tuple[str, int], ...]


class _Sum:
    """Adds up one power over time."""

    def __init__(self, now_s: float) -> None:
        self.state: EvseState | MeterState | None = None
        self.power: Measured | None = None
        self.since_s = now_s
        self.known_s = self.in_wh = self.out_wh = 0.0
        self.least_w, self.greatest_w = float("inf"), float("-inf")

    def take(self, state: EvseState | MeterState, now_s: float) -> None:
        self.until(now_s)
        self.state, self.power = state, state.power_w

    def until(self, now_s: float) -> None:
        """The power of the last state has lasted until now."""
        seconds, self.since_s = now_s - self.since_s, now_s
        if not isinstance(self.power, Reading) or not 0.0 < seconds <= GAP_S:
            return
        power_w = self.power.value
        self.known_s += seconds
        self.least_w, self.greatest_w = min(self.least_w, power_w), max(self.greatest_w, power_w)
        if power_w >= 0.0:
            self.in_wh += power_w * seconds / S_PER_H
        else:
            self.out_wh -= power_w * seconds / S_PER_H

    def row(self, name: str) -> tuple[str, float, float, float, float, float]:
        known = self.known_s > 0.0
        least_w, greatest_w = (self.least_w, self.greatest_w) if known else (0.0, 0.0)
        numbers = (self.known_s, self.in_wh, self.out_wh, least_w, greatest_w)
        return (name, *(round(number, 1) for number in numbers))  # type: ignore[return-value]


class Quarters:
    """Takes every tick, and gives each quarter hour once it is over."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._begun: Snapshot | None = None
        self._last: Snapshot | None = None
        self._outlets: list[_Sum] = []
        self._meters: list[_Sum] = []
        self._events: Counter[str] = Counter()

    def take(self, snapshot: Snapshot, events: Sequence[Event]) -> Quarter | None:
        """Add a tick. The quarter hour that it ends, or None."""
        ended = self.end(snapshot.now_s) if self._is_over(snapshot) else None
        if self._begun is None:
            self._begun = snapshot
            self._outlets = [_Sum(snapshot.now_s) for _ in snapshot.evses]
            self._meters = [_Sum(snapshot.now_s) for _ in snapshot.meters]
        states: tuple[EvseState | MeterState, ...] = (*snapshot.evses, *snapshot.meters)
        for each, state in zip((*self._outlets, *self._meters), states, strict=True):
            if each.state is not state or snapshot.now_s - each.since_s >= GAP_S / 2.0:
                each.take(state, snapshot.now_s)
        for event in events:
            self._events[event.kind] += 1
        self._last = snapshot
        return ended

    def take_site(self, site: Site) -> Quarter | None:
        """Another site file is in force: the row of the one before ends."""
        ended = self.end()
        self._site = site
        return ended

    def end(self, now_s: float | None = None) -> Quarter | None:
        """The row up to now, or to the last tick; the next tick begins another one."""
        begun, last = self._begun, self._last
        if begun is None or last is None:
            return None
        for each in (*self._outlets, *self._meters):
            each.until(last.now_s if now_s is None else min(now_s, last.now_s + GAP_S))
        quarter = Quarter(
            begun.wall_s,
            round(last.now_s - begun.now_s, 1),
            last.clock_synced,
            tuple(map(_outlet_row, self._outlets, (evse.id for evse in self._site.evses), last.evses)),
            tuple(
                PowerRow(*each.row(name)) for each, name in zip(self._meters, self._site.meters, strict=True)
            ),
            tuple(sorted(self._events.items())),
        )
        self._begun = self._last = None
        self._events.clear()
        return quarter

    def _is_over(self, snapshot: Snapshot) -> bool:
        begun, last = self._begun, self._last
        if begun is None or last is None:
            return False
        is_other = snapshot.wall_s // QUARTER_S != begun.wall_s // QUARTER_S
        return is_other or snapshot.wall_s < last.wall_s


def _outlet_row(sums: _Sum, name: str, state: EvseState) -> OutletRow:
    vehicle = state.vehicle
    soc = vehicle.soc_pct if vehicle is not None else None
    return OutletRow(
        *sums.row(name),
        vehicle=vehicle.vehicle if vehicle is not None else "",
        soc_pct=round(soc.value, 1) if isinstance(soc, Reading) else -1.0,
    )
