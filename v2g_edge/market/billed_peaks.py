"""Demand charges: mean import of each metering window, as the grid meter measured it; the highest of each
month, kept on disk.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from v2g_edge.model.settings import DemandCharge
from v2g_edge.statefile import StateFile

LONGEST_GAP_S: Final = 60.0
"""A reading stands for at most this long; a window with more than a tenth unmeasured is no peak."""
LEAST_MEASURED: Final = 0.9
MONTHS_KEPT: Final = 13
"""The present month and the twelve before it: a ratchet looks at eleven."""
MONTHS_BEFORE: Final = 11


class Window(NamedTuple):
    """A demand charge as a plan needs it: what is billed already, and what the running window has drawn so
    far.
    """

    name: str
    per_kw: float
    billed_kw: float
    window_s: float
    drawn_kwh: float
    started_wall_s: float


class _Kept(Struct, frozen=True):
    """Highest window by charge and month ("2026-11"), in kW."""

    peaks: dict[str, dict[str, float]] = {}


class _Running(NamedTuple):
    started_wall_s: float
    seconds: float
    kwh: float


class BilledPeaks:
    """``observe`` every reading of the grid meter; ``windows`` says what a plan has to reckon with."""

    def __init__(self, charges: tuple[DemandCharge, ...], path: Path, timezone: str) -> None:
        self._charges, self._path, self._zone = charges, path, ZoneInfo(timezone)
        self._file = StateFile[_Kept](path, msgspec.json.encode, msgspec.json.Decoder(_Kept).decode)
        self._running: dict[str, _Running] = {}
        self._last_s: float | None = None
        self._peaks: dict[str, dict[str, float]] = {}
        self.fault = self._load()

    def observe(self, wall_s: float, import_w: float) -> bool:
        """Add a reading, in W of import (export counts as 0). True when a window has ended with a new
        peak: ``save`` it.
        """
        last_s, self._last_s = self._last_s, wall_s
        if last_s is None or not 0.0 < wall_s - last_s <= LONGEST_GAP_S:
            last_s = wall_s
        news = [self._add(charge, last_s, wall_s, max(import_w, 0.0)) for charge in self._charges]
        return any(news)

    def _add(self, charge: DemandCharge, last_s: float, wall_s: float, import_w: float) -> bool:
        start_s = wall_s - wall_s % charge.window_s
        old = self._running.get(charge.id)
        news = False
        if old is None or old.started_wall_s != start_s:
            if old is not None and old.started_wall_s + charge.window_s == start_s:
                tail_s = max(start_s - last_s, 0.0)
                old = _Running(old.started_wall_s, old.seconds + tail_s, old.kwh + import_w * tail_s / 3.6e6)
                news = self._close(charge, old)
            old, last_s = _Running(start_s, 0.0, 0.0), max(last_s, start_s)
        self._running[charge.id] = _Running(
            start_s, old.seconds + wall_s - last_s, old.kwh + import_w * (wall_s - last_s) / 3.6e6
        )
        return news

    def _close(self, charge: DemandCharge, window: _Running) -> bool:
        if window.seconds < LEAST_MEASURED * charge.window_s:
            return False
        mean_kw = window.kwh * 3_600.0 / window.seconds
        months, month = self._peaks.setdefault(charge.id, {}), self._month(window.started_wall_s)
        if mean_kw <= months.get(month, 0.0):
            return False
        months[month] = mean_kw
        for old in sorted(months)[:-MONTHS_KEPT]:
            del months[old]
        return True

    def windows(self, wall_s: float) -> tuple[Window, ...]:
        """Each charge as of ``wall_s``. Billed is the most of the month's peak, the ratchet, and what the
        site file says.
        """
        found = []
        for charge in self._charges:
            months, month = self._peaks.get(charge.id, {}), self._month(wall_s)
            before = [peak for name, peak in sorted(months.items()) if name < month][-MONTHS_BEFORE:]
            billed = max(
                charge.billed_kw,
                months.get(month, 0.0),
                charge.ratchet_pct / 100.0 * max(before, default=0.0),
            )
            running = self._running.get(charge.id)
            start_s = wall_s - wall_s % charge.window_s
            drawn = running.kwh if running is not None and running.started_wall_s == start_s else 0.0
            found.append(Window(charge.id, charge.per_kw, billed, charge.window_s, drawn, start_s))
        return tuple(found)

    def _month(self, wall_s: float) -> str:
        return datetime.fromtimestamp(wall_s, UTC).astimezone(self._zone).strftime("%Y-%m")

    def _load(self) -> str:
        kept, fault = self._file.load()
        if kept is not None:
            self._peaks = kept.peaks
        elif fault:
            return f"the billed peaks: {fault} The site file's billed_kw counts"
        return ""

    def save(self) -> str:
        """Keep the peaks on the disk; "" when they are there, else why not."""
        try:
            self._file.save(_Kept(self._peaks))
        except OSError as error:
            return f"{self._path}: the billed peaks cannot be kept ({error})"
        return ""
