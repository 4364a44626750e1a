"""One vehicle's stay as the planner sees it: what it lacks, how fast it fills, what it may give, and its
plan so far.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from v2g_edge.model.battery import capacity_of, least_soc_pct
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, known_or
from v2g_edge.model.site import CurvePoint, Evse, Site, VehicleType
from v2g_edge.model.snapshot import EvseState, VehicleState

TIME_SLACK: Final = 1.15
"""Plan 15 % more time than the plates say: chargers deliver 4-6 % less and taper early (evcc #12733,
#12703, #9550).
"""

TARGET_MARGIN_PCT: Final = 1.0
"""Planned above the target: twice what the rules ask for, so that a plan that is kept never turns into an
urgent wish.
"""

MARGIN_S: Final = 900.0
"""Full one slot before departure: the rules press ten minutes before the last moment, the plan stays clear
of that.
"""

FLOOR_MARGIN_PCT: Final = 2.0
"""Planned export ends this far above the least SoC: the safety table stops it with a hysteresis of its
own.
"""

STEP_PCT: Final = 2.5
"""Steps of the table of charging times; the slower end of each step counts."""

STEPS: Final = int(100.0 / STEP_PCT)

LEAST_SHARE: Final = 0.05
"""A curve that ends at 0 W would take for ever; the last trickle counts with a twentieth of full power (as
in the rules).
"""


DAY_S: Final = 86_400.0
"""Depth is counted by days of UTC, as in the safety table."""


class Past(NamedTuple):
    """What an outlet's vehicle has behind it: SoC taken out in the present event and today, and what it
    was seen to draw.
    """

    event_pct: float = 0.0
    day_pct: float = 0.0
    drawn_w: float = ANY_W


NO_PAST: Final = Past()
NOTHING: Final[Mapping[str, Past]] = {}


@dataclass(slots=True)
class Stay:
    """``deadline_s`` (UTC) is the departure less a margin; −inf: charge at once. Powers are in W ≥ 0 at the
    grid side.

    ``filled_s[n]`` are the seconds from empty to ``n`` × ``STEP_PCT`` at full power, slack included.
    ``power_w`` (+ into the vehicle) and ``soc_pct`` (at the slot's end) are the plan so far. ``lowest_pct``
    is the SoC with all planned export taken out. ``depth_pct`` is what may be taken out in all, ``today_pct``
    what until ``midnight_s`` (UTC); ``taken_pct`` is out already. ``curve`` is the type's charge curve,
    battery side.
    """

    evse: Evse
    path: tuple[str, ...]
    full_w: float
    soc_now_pct: float
    goal_pct: float
    deadline_s: float
    capacity_wh: float
    filled_s: tuple[float, ...]
    curve: tuple[CurvePoint, ...] = ()
    taken_pct: float = 0.0
    may_export: bool = False
    export_w: float = 0.0
    floor_pct: float = 100.0
    depth_pct: float = 0.0
    today_pct: float = 0.0
    midnight_s: float = 0.0
    lowest_pct: float = 0.0
    power_w: list[float] = field(default_factory=list)
    soc_pct: list[float] = field(default_factory=list)

    @property
    def at_once(self) -> bool:
        """Its departure or SoC is unknown, or its time is over: no waiting, no export."""
        return self.deadline_s == float("-inf")

    @property
    def lack_s(self) -> float:
        """Seconds at full power (slack included) from now to the goal."""
        return self.seconds(self.soc_now_pct, self.goal_pct) if self.goal_pct > self.soc_now_pct else 0.0

    def seconds(self, low_pct: float, high_pct: float) -> float:
        """Seconds at full power from ``low_pct`` to ``high_pct``, slack included."""
        return self._filled(high_pct) - self._filled(low_pct)

    def slope_s(self, soc_pct: float) -> float:
        """Seconds for one percent just below ``soc_pct``."""
        step = min(max(-int(-soc_pct // STEP_PCT) - 1, 0), STEPS - 1)
        return (self.filled_s[step + 1] - self.filled_s[step]) / STEP_PCT

    def left_pct(self, start_s: float) -> float:
        """What may still be taken out in a slot that starts at ``start_s``."""
        return min(self.depth_pct, self.today_pct) if start_s < self.midnight_s else self.depth_pct

    def spend(self, start_s: float, by_pct: float) -> None:
        """Plan to take ``by_pct`` out in the slot that starts at ``start_s``."""
        self.depth_pct -= by_pct
        self.lowest_pct -= by_pct
        if start_s < self.midnight_s:
            self.today_pct -= by_pct

    def _filled(self, soc_pct: float) -> float:
        step = min(max(int(soc_pct / STEP_PCT), 0), STEPS - 1)
        low_s, high_s = self.filled_s[step], self.filled_s[step + 1]
        return low_s + (high_s - low_s) * (soc_pct / STEP_PCT - step)


def stays_of(
    site: Site, evses: tuple[EvseState, ...], wall_s: float, pasts: Mapping[str, Past] = NOTHING
) -> list[Stay]:
    """All vehicles that are plugged in, in the order of ``Site.evses``. ``pasts`` by outlet id."""
    kinds = {kind.id: kind for kind in site.vehicle_types}
    known = {vehicle.id: vehicle for vehicle in site.vehicles}
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    stays = []
    for evse, state in zip(site.evses, evses, strict=True):
        vehicle = state.vehicle
        if vehicle is None:
            continue
        entry = known.get(vehicle.vehicle)
        kind = kinds.get(entry.type) if entry else None
        past = pasts.get(evse.id, NO_PAST)
        reserve_pct = entry.reserve_soc_pct if entry else 0.0
        stay = _stay(evse, _path(evse.feeder, parent), vehicle, kind, wall_s, past.drawn_w, reserve_pct)
        if (
            entry
            and kind
            and entry.may_discharge
            and site.grid.export_allowed
            and not stay.at_once
            and state.fault == ""
        ):
            stay.midnight_s = wall_s - wall_s % DAY_S + DAY_S
            _allow_export(stay, vehicle, kind, reserve_pct, past)
        stays.append(stay)
    return stays


def _path(node: str, parent: dict[str, str]) -> tuple[str, ...]:
    path = []
    while node:
        path.append(node)
        node = parent[node]
    return tuple(path)


def _stay(
    evse: Evse,
    path: tuple[str, ...],
    vehicle: VehicleState,
    kind: VehicleType | None,
    wall_s: float,
    drawn_w: float,
    reserve_pct: float,
) -> Stay:
    full_w = max(min(evse.max_charge_w, known_or(vehicle.max_charge_w, evse.max_charge_w), drawn_w), 0.0)
    capacity_wh = capacity_of(vehicle, kind) or 0.0
    ceiling_pct = min(kind.max_soc_pct if kind else 100.0, known_or(vehicle.ceiling_soc_pct, 100.0))
    wanted_pct = known_or(vehicle.target_soc_pct, ceiling_pct) + reserve_pct
    goal_pct = min(wanted_pct + TARGET_MARGIN_PCT, max(ceiling_pct, 1.0), 100.0)
    departure, soc = vehicle.departure_wall_s, vehicle.soc_pct
    certain = isinstance(departure, Reading) and isinstance(soc, Reading) and capacity_wh > 0.0
    deadline_s = departure.value - MARGIN_S if certain and isinstance(departure, Reading) else float("-inf")
    return Stay(
        evse=evse,
        path=path,
        full_w=full_w,
        soc_now_pct=min(max(known_or(soc, least_soc_pct(vehicle, capacity_wh, evse.efficiency)), 0.0), 100.0),
        goal_pct=goal_pct,
        deadline_s=deadline_s if deadline_s > wall_s else float("-inf"),
        capacity_wh=capacity_wh,
        filled_s=_filling(evse, kind.charge_curve if kind else (), capacity_wh, full_w),
        curve=kind.charge_curve if kind else (),
    )


def _allow_export(
    stay: Stay, vehicle: VehicleState, kind: VehicleType, reserve_pct: float, past: Past
) -> None:
    """As far as the envelope would let it: what it takes away later, a plan should not promise."""
    evse = stay.evse
    gives_w = known_or(vehicle.max_discharge_w, 0.0)
    soh_pct = min(max(known_or(vehicle.soh_pct, 0.0), 0.0), 100.0) if kind.soh_floor_pct > 0.0 else 100.0
    share = soh_pct / 100.0 if soh_pct >= kind.soh_floor_pct else 0.0
    stay.export_w = max(min(evse.max_discharge_w, kind.max_discharge_w * share, gives_w), 0.0)
    stay.floor_pct = kind.min_soc_pct + reserve_pct + FLOOR_MARGIN_PCT
    stay.depth_pct = max(min(kind.depth_per_event_pct - past.event_pct, kind.depth_per_day_pct), 0.0)
    stay.taken_pct = past.event_pct
    stay.today_pct = max(kind.depth_per_day_pct - past.day_pct, 0.0)
    able = evse.discharge_by != "none" and evse.dead_man != "none" and stay.export_w > 0.0
    stay.may_export = able and stay.export_w >= evse.min_discharge_w


def _filling(
    evse: Evse, curve: tuple[CurvePoint, ...], capacity_wh: float, full_w: float
) -> tuple[float, ...]:
    """Cumulated seconds at full power by step of SoC, slack included; the lower power at both ends of a
    step counts.
    """
    battery_w = max(full_w * evse.efficiency, 1.0)
    powers = [battery_w] * (STEPS + 1)
    if curve:
        powers = [
            max(min(battery_w, _at(curve, n * STEP_PCT)), LEAST_SHARE * battery_w) for n in range(STEPS + 1)
        ]
    total_s, filled = 0.0, [0.0]
    step_wh = STEP_PCT / 100.0 * max(capacity_wh, 1.0)
    for low_w, high_w in pairwise(powers):
        total_s += step_wh / min(low_w, high_w) * 3_600.0 * TIME_SLACK
        filled.append(total_s)
    return tuple(filled)


def _at(curve: tuple[CurvePoint, ...], soc_pct: float) -> float:
    """The curve at ``soc_pct``: straight lines between its points, flat beyond its ends."""
    if soc_pct <= curve[0].soc_pct:
        return curve[0].power_w
    for left, right in pairwise(curve):
        if soc_pct <= right.soc_pct:
            width_pct = right.soc_pct - left.soc_pct
            share = (soc_pct - left.soc_pct) / width_pct if width_pct > 0.0 else 1.0
            return left.power_w + share * (right.power_w - left.power_w)
    return curve[-1].power_w
