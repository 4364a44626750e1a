"""The depot as a whole: chargers on a feeder tree, a building, and the grid it hangs on. Stepped by wall
time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from sim.world.frequency import Wandering
from sim.world.physics import Charger
from v2g_edge.model.site import Feeder, Site

MAX_STEP_S = 1.0
"""Longest stretch integrated at once, unless a run says otherwise: ramps take a few seconds."""


DAY_H = 10.0
"""Hours of sun."""


class Disturbance(Struct, frozen=True):
    """Something the grid does from ``start_wall_s`` for ``duration_s``. None: that quantity stays as it
    is.
    """

    start_wall_s: float
    duration_s: float
    relay_open: bool = False
    frequency_hz: float | None = None
    voltage_pu: float | None = None


class Load(Struct, frozen=True):
    """The building on one feeder, import +: a base, an evening bulge (peak at ``peak_hour_utc``), a restless
    rest, and a roof of solar cells that gives ``solar_w`` at ``noon_hour_utc``. ``phase``: all of it is on
    that phase, 1 to 3; 0: on all alike.
    """

    feeder: str
    base_w: float
    evening_w: float = 0.0
    peak_hour_utc: float = 17.0
    restless_w: float = 0.0
    solar_w: float = 0.0
    noon_hour_utc: float = 12.0
    phase: int = 0

    def power_w(self, wall_s: float) -> float:
        """Power at ``wall_s``; smooth, never quite the same twice, and the same for the same time."""
        hour = wall_s % 86_400 / 3_600
        bulge = math.exp(-(((hour - self.peak_hour_utc) / 2.0) ** 2))
        rest = math.sin(wall_s / 6.7) + math.sin(wall_s / 41.3) + math.sin(wall_s / 311.0)
        power_w = self.base_w + self.evening_w * bulge + self.restless_w * rest / 3
        return power_w - self._solar_w(hour, wall_s) if self.solar_w else power_w

    def phase_w(self, wall_s: float) -> tuple[float, float, float]:
        """The same by phase."""
        power_w = self.power_w(wall_s)
        if not self.phase:
            return power_w / 3.0, power_w / 3.0, power_w / 3.0
        return power_w * (self.phase == 1), power_w * (self.phase == 2), power_w * (self.phase == 3)

    def _solar_w(self, hour: float, wall_s: float) -> float:
        """A day of ten hours, with clouds that take up to two thirds within minutes."""
        off_h = (hour - self.noon_hour_utc + 12.0) % 24.0 - 12.0
        height = max(math.cos(math.pi * off_h / DAY_H), 0.0) if abs(off_h) < DAY_H / 2.0 else 0.0
        cloud = max(math.sin(wall_s / 613.0) * math.sin(wall_s / 1_847.0), 0.0)
        return self.solar_w * height * (1.0 - 2.0 / 3.0 * cloud)


@dataclass
class Grid:
    """Voltage and frequency wander a little; disturbances override them. ``wandering``: the frequency follows
    a process instead, where a scenario has one.
    """

    nominal_v: float
    nominal_hz: float
    disturbances: tuple[Disturbance, ...] = ()
    wandering: Wandering | None = None

    def _active(self, wall_s: float) -> list[Disturbance]:
        if not self.disturbances:
            return []
        return [d for d in self.disturbances if d.start_wall_s <= wall_s < d.start_wall_s + d.duration_s]

    def relay_closed(self, wall_s: float) -> bool:
        """The grid protection relay's contact: closed is healthy."""
        return not any(d.relay_open for d in self._active(wall_s))

    def frequency_hz(self, wall_s: float) -> float:
        """Within 20 mHz of nominal unless disturbed (ordinary European operation), or as its process goes."""
        if self.wandering is not None:
            wander = self.wandering.deviation_hz(wall_s)
        else:
            wander = (
                0.012 * math.sin(wall_s / 47.0)
                + 0.006 * math.sin(wall_s / 5.3)
                + 0.002 * math.sin(wall_s * 1.7)
            )
        forced = [d.frequency_hz for d in self._active(wall_s) if d.frequency_hz is not None]
        return (forced[-1] if forced else self.nominal_hz) + wander

    def voltage_v(self, wall_s: float, phase: int) -> float:
        """Phase-to-neutral voltage of phase 0, 1 or 2, within 1 % of nominal unless disturbed."""
        wander = 0.006 * math.sin(wall_s / 83.0 + phase) + 0.002 * math.sin(wall_s / 3.1 + 2 * phase)
        forced = [d.voltage_pu for d in self._active(wall_s) if d.voltage_pu is not None]
        return self.nominal_v * ((forced[-1] if forced else 1.0) + wander)


class Depot:
    """Feeder powers are the sum of all behind them: own load, chargers, and child feeders. ``watchers`` see
    every step.

    ``extra_w`` is what comes on top of the loads, by feeder, on all phases alike.
    """

    def __init__(
        self, site: Site, grid: Grid, loads: tuple[Load, ...], chargers: dict[str, Charger], wall_s: float
    ) -> None:
        self.grid = grid
        self.chargers = chargers
        self.wall_s = wall_s
        self.feeder_w: dict[str, float] = {}
        self.import_wh: dict[str, float] = {feeder.id: 0.0 for feeder in site.feeders}
        self.export_wh: dict[str, float] = {feeder.id: 0.0 for feeder in site.feeders}
        self.watchers: list[Callable[[Depot, float], None]] = []
        self.extra_w: dict[str, float] = {}
        self.max_step_s = MAX_STEP_S
        self._loads = loads
        self._parents = _leaves_first(site.feeders)
        self._phase_w: dict[str, list[float]] = {}
        self._sum()

    def advance(self, wall_s: float) -> None:
        """Bring everything to ``wall_s``. Going back, or nowhere, does nothing."""
        while wall_s - self.wall_s > 1e-9:
            dt_s = min(self.max_step_s, wall_s - self.wall_s)
            hz = self.grid.frequency_hz(self.wall_s)
            for charger in self.chargers.values():
                charger.hz = hz
                charger.step(dt_s)
            self.wall_s += dt_s
            self._sum()
            self._meter(dt_s)
            for watch in self.watchers:
                watch(self, dt_s)

    def _sum(self) -> None:
        power_w = {feeder: 0.0 for feeder, _ in self._parents}
        for load in self._loads:
            power_w[load.feeder] += load.power_w(self.wall_s)
        for feeder, extra_w in self.extra_w.items():
            power_w[feeder] += extra_w
        for charger in self.chargers.values():
            power_w[charger.evse.feeder] += charger.power_w
        for feeder, parent in self._parents:
            if parent:
                power_w[parent] += power_w[feeder]
        self.feeder_w = power_w
        self._phase_w = {}

    def phase_w(self, feeder: str) -> tuple[float, float, float]:
        """What flows through a feeder on L1, L2 and L3 now."""
        if not self._phase_w:
            self._phase_w = self._sum_phases()
        on_l1, on_l2, on_l3 = self._phase_w[feeder]
        return on_l1, on_l2, on_l3

    def _sum_phases(self) -> dict[str, list[float]]:
        power_w = {feeder: [self.extra_w.get(feeder, 0.0) / 3.0] * 3 for feeder, _ in self._parents}
        for load in self._loads:
            for phase, load_w in enumerate(load.phase_w(self.wall_s)):
                power_w[load.feeder][phase] += load_w
        for charger in self.chargers.values():
            if charger.power_w:
                for phase, phase_w in enumerate(charger.phase_w()):
                    power_w[charger.evse.feeder][phase] += phase_w
        for feeder, parent in self._parents:
            if parent:
                for phase in range(3):
                    power_w[parent][phase] += power_w[feeder][phase]
        return power_w

    def _meter(self, dt_s: float) -> None:
        for feeder, power_w in self.feeder_w.items():
            register = self.import_wh if power_w > 0 else self.export_wh
            register[feeder] += abs(power_w) * dt_s / 3_600.0


def _leaves_first(feeders: tuple[Feeder, ...]) -> list[tuple[str, str]]:
    """(feeder, parent) pairs, every feeder before its parent."""
    parent = {feeder.id: feeder.parent for feeder in feeders}

    def depth(feeder: str) -> int:
        return 0 if not parent[feeder] else 1 + depth(parent[feeder])

    return sorted(parent.items(), key=lambda pair: (-depth(pair[0]), pair[0]))
