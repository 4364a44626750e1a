"""When each vehicle will be ready, if the plan is followed and nothing else happens: an estimate for people,
no proof.

The proof of departures is in ``departure``. This walks the plan and the charge curve in steps
of five minutes.
"""

from itertools import pairwise
from typing import Final, NamedTuple

from v2g_edge.model.battery import capacity_of, least_soc_pct
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading, known_or
from v2g_edge.model.site import CurvePoint, Evse, Site, VehicleType
from v2g_edge.model.snapshot import EvseState, Snapshot

STEP_S: Final = 300.0
HORIZON_S: Final = 36 * 3_600.0
PRESSED_SLACK: Final = 1.15
PRESSED_MARGIN_S: Final = 600.0
"""The rules press a vehicle this early (``rules.charging_need``)."""
FULL_PCT: Final = 0.25
"""Less than this is a rounding of the SoC."""


class Outlook(NamedTuple):
    """``ready_wall_s`` None: not within the horizon, or unknown. ``begins_wall_s``: when it next
    charges, None: not.
    """

    ready_wall_s: float | None
    begins_wall_s: float | None
    leaves_with_pct: float | None


UNKNOWN: Final = Outlook(None, None, None)


def outlook_of(site: Site, snapshot: Snapshot, plan: Plan | None, index: int, full_w: float) -> Outlook:
    """One outlet's vehicle. ``full_w``: the most that it gets, in W."""
    evse, state = site.evses[index], snapshot.evses[index]
    vehicle = state.vehicle
    if vehicle is None or not isinstance(vehicle.target_soc_pct, Reading):
        return UNKNOWN
    if not isinstance(vehicle.soc_pct, Reading) and not isinstance(vehicle.charged_wh, Reading):
        return UNKNOWN
    kind = kind_of(site, state)
    capacity_wh = known_or(vehicle.capacity_wh, kind.capacity_wh if kind else 0.0)
    if capacity_wh <= 0.0:
        return UNKNOWN
    target_pct = min(vehicle.target_soc_pct.value, kind.max_soc_pct if kind else 100.0)
    departs_s = known_or(vehicle.departure_wall_s, ANY_W)
    planned = _planned(evse, plan)
    walk = _Walk(evse, kind, capacity_wh, full_w, planned, departs_s, target_pct)
    soc_pct = known_or(vehicle.soc_pct, least_soc_pct(vehicle, capacity_wh, evse.efficiency))
    return walk.run(snapshot.wall_s, soc_pct)


def charged_of(site: Site, state: EvseState, index: int) -> tuple[float, float] | None:
    """(Wh that a vehicle without a SoC has been charged with since it came, Wh that it needs), battery side;
    None where its SoC counts or one of the two is not known.
    """
    vehicle, kind = state.vehicle, kind_of(site, state)
    if vehicle is None or isinstance(vehicle.soc_pct, Reading):
        return None
    charged, target = vehicle.charged_wh, vehicle.target_soc_pct
    capacity_wh = capacity_of(vehicle, kind)
    if not isinstance(charged, Reading) or not isinstance(target, Reading) or capacity_wh is None:
        return None
    return charged.value * site.evses[index].efficiency, target.value / 100.0 * capacity_wh


def kind_of(site: Site, state: EvseState) -> VehicleType | None:
    """The type of the vehicle at an outlet, None for a stranger."""
    name = state.vehicle.vehicle if state.vehicle else ""
    kind = next((vehicle.type for vehicle in site.vehicles if vehicle.id == name), "")
    return next((each for each in site.vehicle_types if each.id == kind), None)


def _planned(evse: Evse, plan: Plan | None) -> tuple[tuple[float, float, float], ...]:
    """(start, end, W) of the slots that name an outlet; neighbours of one power in one."""
    merged: list[tuple[float, float, float]] = []
    for slot in plan.slots if plan else ():
        power_w = next((power_w for name, power_w in slot.evse_w if name == evse.id), None)
        if power_w is None:
            continue
        power_w = max(power_w, -evse.max_discharge_w)
        if merged and merged[-1][1] == slot.start_wall_s and merged[-1][2] == power_w:
            merged[-1] = (merged[-1][0], slot.end_wall_s, power_w)
        else:
            merged.append((slot.start_wall_s, slot.end_wall_s, power_w))
    return tuple(merged)


class _Walk(NamedTuple):
    evse: Evse
    kind: VehicleType | None
    capacity_wh: float
    full_w: float
    planned: tuple[tuple[float, float, float], ...]
    departs_s: float
    target_pct: float

    def run(self, wall_s: float, soc_pct: float) -> Outlook:
        at_s, end_s = wall_s, min(max(self.departs_s, wall_s) + 12 * 3_600.0, wall_s + HORIZON_S)
        ready_s: float | None = at_s if soc_pct >= self.target_pct - FULL_PCT else None
        begins_s, leaves_pct, pressed = None, soc_pct if self.departs_s <= wall_s else None, False
        while at_s < end_s:
            pressed = pressed or (ready_s is None and self._is_pressed(at_s, soc_pct))
            power_w = self.full_w if pressed else self._planned_w(at_s, soc_pct)
            power_w = min(power_w, self._takes_w(soc_pct))
            if power_w > 0.0 and begins_s is None:
                begins_s = at_s
            factor = self.evse.efficiency if power_w >= 0.0 else 1.0 / self.evse.efficiency
            soc_pct = min(
                max(soc_pct + power_w * factor * STEP_S / 3_600.0 / self.capacity_wh * 100.0, 0.0), 100.0
            )
            at_s += STEP_S
            if soc_pct >= self.target_pct - FULL_PCT:
                ready_s = at_s if ready_s is None else ready_s
                pressed = False
            elif ready_s is not None and power_w < 0.0:
                ready_s = None  # it gives below its target, and is ready when it has it back
            if leaves_pct is None and at_s >= self.departs_s:
                leaves_pct = soc_pct
                break
        return Outlook(ready_s, begins_s, leaves_pct)

    def _planned_w(self, at_s: float, soc_pct: float) -> float:
        """As the rules do: the plan where it names the outlet, else what it lacks at full power."""
        for start_s, end_s, planned_w in self.planned:
            if start_s <= at_s < end_s:
                return planned_w
        return self.full_w if soc_pct < self.target_pct else 0.0

    def _is_pressed(self, at_s: float, soc_pct: float) -> bool:
        if self.departs_s >= ANY_W:
            return False
        left_wh = max(self.target_pct - soc_pct, 0.0) / 100.0 * self.capacity_wh / self.evse.efficiency
        needed_s = left_wh / max(min(self.full_w, self._takes_w(soc_pct)), 1.0) * 3_600.0
        return self.departs_s - at_s - needed_s * PRESSED_SLACK - PRESSED_MARGIN_S <= 0.0

    def _takes_w(self, soc_pct: float) -> float:
        """What the battery takes at this SoC, at the grid side."""
        if self.kind is None or not self.kind.charge_curve:
            return self.full_w
        return curve_at(self.kind.charge_curve, soc_pct) / self.evse.efficiency


def curve_at(points: tuple[CurvePoint, ...], soc_pct: float) -> float:
    """Straight between the points, flat beyond them."""
    if soc_pct <= points[0].soc_pct:
        return points[0].power_w
    for left, right in pairwise(points):
        if soc_pct <= right.soc_pct:
            share = (soc_pct - left.soc_pct) / max(right.soc_pct - left.soc_pct, 1e-9)
            return left.power_w + share * (right.power_w - left.power_w)
    return points[-1].power_w
