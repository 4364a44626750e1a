"""Vehicles and chargers as physics: energy, ramps, tapers, heat. No protocol, no decisions, no clock; only
``step``.

Powers are W at the AC side of the charger, + into the vehicle. The electronics obey their setpoint and
nothing else: no protection of their own steps in, so that what the daemon allows is what happens.
"""

import math
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Final

from v2g_edge.model.site import CurvePoint, Evse

PACK_WH_PER_K_PER_WH: Final = 1.6 / 1_000
"""Heat capacity of a pack per Wh of its capacity: about 6 kg/kWh at 950 J/(kg K) (bus packs) = 1.6 Wh/(K
kWh).
"""

PACK_W_PER_K_PER_WH: Final = 0.5 / 1_000
"""Cooling to the surroundings per Wh of capacity: 125 W/K for 250 kWh, a liquid loop at idle flow; time
constant 3.2 h.
"""

RAMP_UP_W_PER_S: Final = 25_000.0
"""Away from zero: a 100 kW DC unit needs 4 s. Towards zero the electronics are an order faster."""

RAMP_DOWN_W_PER_S: Final = 250_000.0

DEAD_FLAT_PCT: Final = 2.0
"""Below this the vehicle's own battery management opens its contactors, whatever anyone asks."""


@dataclass
class Battery:
    """A vehicle's pack. ``curve`` is the battery-side charge power over SoC; ``efficiency`` one way,
    terminals to cells. ``on_one_phase``: its on-board charger uses the first phase of an outlet alone.
    """

    id: str
    capacity_wh: float
    soc_pct: float
    curve: tuple[CurvePoint, ...]
    max_discharge_w: float
    efficiency: float = 0.98
    pack_c: float = 15.0
    ambient_c: float = 8.0
    on_one_phase: bool = False

    def charge_limit_w(self) -> float:
        """Battery-side power that the pack takes at its present SoC; 0 when full."""
        return 0.0 if self.soc_pct >= 100.0 else curve_w(self.curve, self.soc_pct)

    def discharge_limit_w(self) -> float:
        """Battery-side magnitude that the pack gives; 0 when flat."""
        return 0.0 if self.soc_pct <= DEAD_FLAT_PCT else self.max_discharge_w

    def move(self, dc_w: float, dt_s: float) -> None:
        """Take ``dc_w`` at the terminals (− gives) for ``dt_s``: SoC and temperature follow."""
        hours = dt_s / 3_600.0
        stored_w = dc_w * self.efficiency if dc_w > 0 else dc_w / self.efficiency
        self.soc_pct = min(100.0, max(0.0, self.soc_pct + 100.0 * stored_w * hours / self.capacity_wh))
        cooling_w = PACK_W_PER_K_PER_WH * self.capacity_wh * (self.pack_c - self.ambient_c)
        self.pack_c += (abs(dc_w - stored_w) - cooling_w) * hours / (PACK_WH_PER_K_PER_WH * self.capacity_wh)


@dataclass
class Charger:
    """One outlet's power electronics and meter. ``command_w`` is their setpoint; ``power_w`` what flows.

    ``droop`` is what they add by themselves at a frequency, (Hz, W), and ``hz`` the grid's.
    """

    evse: Evse
    ramp_up_w_per_s: float = RAMP_UP_W_PER_S
    efficiency: float = 0.965
    command_w: float = 0.0
    power_w: float = 0.0
    battery: Battery | None = None
    import_wh: float = 0.0
    export_wh: float = 0.0
    session_export_wh: float = field(default=0.0)
    droop: tuple[tuple[float, float], ...] = ()
    hz: float = 0.0

    def plug(self, battery: Battery) -> None:
        """A vehicle is connected."""
        self.battery, self.session_export_wh = battery, 0.0

    def unplug(self) -> Battery | None:
        """The plug is pulled: the current ends with it."""
        battery, self.battery, self.power_w = self.battery, None, 0.0
        return battery

    def reachable_w(self) -> float:
        """What the setpoint comes to, given the vehicle and the electronics; below the least power nothing
        flows.
        """
        if self.battery is None:
            return 0.0
        command_w = self.command_w + (droop_at(self.droop, self.hz) if self.droop else 0.0)
        if command_w >= 0:
            power_w = min(command_w, self.evse.max_charge_w, self.battery.charge_limit_w() / self.efficiency)
            if power_w < self.evse.min_charge_w:
                return 0.0
            return self._on_its_phases(power_w, self.evse.max_charge_w)
        power_w = min(
            -command_w, self.evse.max_discharge_w, self.battery.discharge_limit_w() * self.efficiency
        )
        if power_w < self.evse.min_discharge_w:
            return 0.0
        return -self._on_its_phases(power_w, self.evse.max_discharge_w)

    def rated_w(self) -> float:
        """What the outlet and the phases of its vehicle carry at most."""
        return self._on_its_phases(self.evse.max_charge_w, self.evse.max_charge_w)

    def phase_w(self) -> tuple[float, float, float]:
        """What flows on the grid's phases L1, L2 and L3."""
        on_l1, on_l2, on_l3 = self.phase_shares()
        return self.power_w * on_l1, self.power_w * on_l2, self.power_w * on_l3

    def phase_shares(self) -> tuple[float, float, float]:
        """The share of its power that flows on each of the grid's phases, with the vehicle that is there."""
        return _shares(self.evse.phases, self.battery is not None and self.battery.on_one_phase)

    def own_phase_w(self) -> tuple[float, float, float]:
        """What flows on the outlet's own phases, in its order, as its meter shows them."""
        if len(self.evse.phases) == len("L1") or (self.battery is not None and self.battery.on_one_phase):
            return (self.power_w, 0.0, 0.0)
        return (self.power_w / 3.0, self.power_w / 3.0, self.power_w / 3.0)

    def _on_its_phases(self, power_w: float, rated_w: float) -> float:
        """Of a limit, what a vehicle on one phase of three can use: a third of one in A a phase, and of one
        in W as much as one phase carries.
        """
        if self.battery is None or not self.battery.on_one_phase or len(self.evse.phases) == len("L1"):
            return power_w
        phases = len(self.evse.phases) // 2
        return power_w / phases if self.evse.phase_load == "even" else min(power_w, rated_w / phases)

    def step(self, dt_s: float) -> None:
        """Ramp towards the setpoint for ``dt_s``, move the energy."""
        if self.battery is None:
            return
        before_w = self.power_w
        self.power_w = _ramped(
            before_w, self.reachable_w(), self.ramp_up_w_per_s * dt_s, RAMP_DOWN_W_PER_S * dt_s
        )
        mean_w = (before_w + self.power_w) / 2
        self.battery.move(mean_w * self.efficiency if mean_w > 0 else mean_w / self.efficiency, dt_s)
        if mean_w > 0:
            self.import_wh += mean_w * dt_s / 3_600.0
        else:
            self.export_wh -= mean_w * dt_s / 3_600.0
            self.session_export_wh -= mean_w * dt_s / 3_600.0


def shown_soc_pct(soc_pct: float, error_pct: float = 0.0, step_pct: float = 0.0) -> float:
    """The charge as a vehicle shows it: with an error, and in steps, rounded down."""
    soc_pct = min(max(soc_pct + error_pct, 0.0), 100.0)
    return soc_pct // step_pct * step_pct if step_pct > 0.0 else soc_pct


def noise_pct(most_pct: float, look: int) -> float:
    """The noise of the ``look``-th sample, up to ``most_pct`` to either side: irregular, and the same each
    time it is played.
    """
    return most_pct * math.sin(2.4 * look) * math.cos(1.1 * look * look) if most_pct else 0.0


def curve_w(curve: tuple[CurvePoint, ...], soc_pct: float) -> float:
    """The curve at ``soc_pct``, straight lines between its points, flat beyond its ends."""
    before = curve[0]
    for point in curve:
        if soc_pct <= point.soc_pct:
            width = point.soc_pct - before.soc_pct
            return (
                point.power_w
                if width <= 0
                else before.power_w + (point.power_w - before.power_w) * (soc_pct - before.soc_pct) / width
            )
        before = point
    return before.power_w


@cache
def _shares(phases: str, on_one_phase: bool) -> tuple[float, float, float]:
    """The share on each of the grid's phases of what an outlet on ``phases`` ("L2L3L1") draws."""
    own = [int(number) - 1 for number in phases[1::2]]
    used = own[:1] if on_one_phase else own
    return (0 in used) / len(used), (1 in used) / len(used), (2 in used) / len(used)


def droop_at(points: tuple[tuple[float, float], ...], hz: float) -> float:
    """What a frequency curve gives at ``hz``: straight between its points, its end values beyond them."""
    if hz <= points[0][0]:
        return points[0][1]
    for (low_hz, low_w), (high_hz, high_w) in pairwise(points):
        if hz <= high_hz:
            return (
                low_w + (high_w - low_w) * (hz - low_hz) / (high_hz - low_hz) if high_hz > low_hz else high_w
            )
    return points[-1][1]


def _ramped(now_w: float, target_w: float, up_w: float, down_w: float) -> float:
    """From ``now_w`` towards ``target_w``: away from zero by at most ``up_w``, towards zero by at most
    ``down_w``.
    """
    if now_w == target_w:
        return target_w
    if now_w > 0 > target_w or now_w < 0 < target_w:
        target_w = 0.0
    if abs(target_w) > abs(now_w):
        return min(target_w, now_w + up_w) if target_w > 0 else max(target_w, now_w - up_w)
    return max(target_w, now_w - down_w) if now_w > 0 else min(target_w, now_w + down_w)
