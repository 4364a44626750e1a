"""What one vehicle may still ask of the grid until it departs, as jobs that a flow can schedule.

What is known counts at its worst (an old SoC as if the outlet had discharged ever since). A vehicle whose
need is unknown takes full power until it departs; one whose departure is unknown takes full power now until
it is done, and the power of its later bands ever after: so losing data only adds jobs. One that should have
left takes full power until it is done, and no more.

Taper: the need is cut into bands of SoC, each with the lowest power of its part of the charge curve. Bands
get disjoint windows of slots, counted back from departure, their lengths in proportion to their least times;
the lowest band begins now. A schedule within the windows is physically possible: in its window a band starts
from no more than its own lowest SoC, because those below are done and those above have not begun, so the
curve allows its power all through. A battery that is fuller than assumed never falls behind one that follows
the schedule. Windows depend on goal and departure, not on the SoC.
"""

from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from v2g_edge.model.battery import capacity_of, least_soc_pct
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Evse, VehicleType
from v2g_edge.model.snapshot import Snapshot, VehicleState

SLOT_S: Final = 900.0
HORIZON_S: Final = 36 * 3600.0
"""A departure further away counts as if it were here: earlier is harder. A day plan and the following
morning fit in.
"""
BAND_PCT: Final = 5.0
"""The widest band where the curve falls: 10 kWh of a 200 kWh bus, so that a window of one slot still
carries 40 kW.
"""


class Job(Struct, frozen=True, array_like=True, gc=False):
    """One band of one vehicle: ``need_wh`` at the grid side (ANY_W: full power throughout) in slots ``first``
    ≤ t < ``end``.

    Slots are counted from the epoch; ``evse`` is the place in ``Site.evses``.
    """

    evse: int
    band: int
    need_wh: float
    rate_w: float
    first: int
    end: int


class _Band(NamedTuple):
    low_pct: float
    high_pct: float
    rate_w: float

    def above(self, soc_pct: float, wh_per_pct: float) -> tuple[float, float]:
        """(Wh, hours) that it takes from ``soc_pct`` to the top of the band; no power, no end."""
        wh = max(self.high_pct - max(self.low_pct, soc_pct), 0.0) * wh_per_pct
        return wh, wh / self.rate_w if self.rate_w > 0.0 else ANY_W * (wh > 0.0)


class Demand(NamedTuple):
    """One plugged-in vehicle at one tick. ``full_w`` is the most it can draw. ``departs_s`` (UTC) is ANY_W
    when unknown.

    ``soc_pct`` is the least it can be at the tick; ``wh_per_pct`` at the grid side, ANY_W when capacity or
    target are unknown. ``idle``: it has been drawing nothing though it may, so that it claims nothing once it
    should have left.
    """

    evse: int
    full_w: float
    bands: tuple[_Band, ...]
    soc_pct: float
    departs_s: float
    wh_per_pct: float
    unreachable_pct: float
    certain: bool
    idle: bool = False

    def jobs(self, start_s: float, out_wh: float) -> tuple[list[Job], bool]:
        """The jobs from ``start_s`` (UTC) on, after ``out_wh`` (grid side) left the battery; whether they
        meet the whole need.
        """
        first, last = int(start_s // SLOT_S), int((start_s + HORIZON_S) // SLOT_S)
        end = max(min(int(self.departs_s // SLOT_S), last), first)
        if end == first and self.idle:
            return [], False
        if self.wh_per_pct == ANY_W:
            return [Job(self.evse, 0, ANY_W, self.full_w, first, end if end > first else last)], False
        soc_pct = max(self.soc_pct - out_wh / self.wh_per_pct, 0.0)
        needed = [
            (band, *band.above(soc_pct, self.wh_per_pct)) for band in self.bands if band.high_pct > soc_pct
        ]
        if self.departs_s == ANY_W:
            return self._at_once(needed, start_s, last), False
        if (
            end == first and needed
        ):  # it should be leaving: full power until it is done, and then nothing more
            return self._at_once(needed, start_s, last)[:1], False
        jobs, met, stop = [], self.unreachable_pct <= 0.0, end
        stretch, whole_h, done = 0.0, [0.0], len(self.bands) - len(needed)
        if len(needed) > 1:
            whole_h = [band.above(0.0, self.wh_per_pct)[1] for band in self.bands]
            stretch = max((end - first - 1) * SLOT_S / 3600.0 / max(sum(whole_h), 1e-9), 1.0)
        for rank in range(len(needed) - 1, -1, -1):
            band, wh, _ = needed[rank]
            begin = first
            if rank > 0:
                slots = whole_h[done + rank] * stretch * 3600.0 / SLOT_S
                begin = max(stop - ceil(min(slots, 1e6) + 1e-6), first)
            possible_wh = band.rate_w * max(stop * SLOT_S - max(begin * SLOT_S, start_s), 0.0) / 3600.0
            met = met and wh <= possible_wh
            need_wh = wh if wh < possible_wh else ANY_W
            jobs.append(Job(self.evse, done + rank, need_wh, band.rate_w, begin, stop))
            stop = begin
        return jobs, met

    def _at_once(self, needed: list[tuple[_Band, float, float]], start_s: float, last: int) -> list[Job]:
        if not needed:
            return []
        first, hours = int(start_s // SLOT_S), sum(hours for _, _, hours in needed)
        done = min(ceil((start_s + min(hours * 3600.0, HORIZON_S)) / SLOT_S), last)
        later_w = max((band.rate_w for band, _, _ in needed[1:]), default=0.0)
        return [
            Job(self.evse, 0, ANY_W, self.full_w, first, done),
            Job(self.evse, 1, ANY_W, later_w, done, last),
        ]

    def alone(self, wall_s: float) -> tuple[float, float]:
        """At full power from now on: (Wh at the grid side that will lack at departure, seconds to spare;
        below 0: late).
        """
        if ANY_W in (self.departs_s, self.wh_per_pct):
            return 0.0, -ANY_W
        left_h, lacks_wh = (
            max(self.departs_s - wall_s, 0.0) / 3600.0,
            max(self.unreachable_pct, 0.0) * self.wh_per_pct,
        )
        for band in self.bands:
            wh, hours = band.above(self.soc_pct, self.wh_per_pct)
            if hours > max(left_h, 0.0):
                lacks_wh += wh - band.rate_w * max(left_h, 0.0)
            left_h -= hours
        return (lacks_wh if self.certain else 0.0), left_h * 3600.0


def demand_of(
    i: int,
    evse: Evse,
    kind: VehicleType | None,
    vehicle: VehicleState,
    reserve_pct: float,
    full_w: float,
    snapshot: Snapshot,
) -> Demand:
    """Read one vehicle at its worst. Wall time that is not synchronised makes every departure unknown."""
    departure, target, soc = vehicle.departure_wall_s, vehicle.target_soc_pct, vehicle.soc_pct
    departs_s = departure.value if isinstance(departure, Reading) and snapshot.clock_synced else ANY_W
    capacity_wh = capacity_of(vehicle, kind)
    full_w = max(full_w, 0.0)
    if not isinstance(target, Reading) or capacity_wh is None:
        return Demand(i, full_w, (), 0.0, departs_s, ANY_W, 0.0, False)
    wh_per_pct = capacity_wh / 100.0 / evse.efficiency
    age_s = snapshot.now_s - soc.at_s if isinstance(soc, Reading) else -1.0
    certain = isinstance(soc, Reading) and age_s >= 0.0
    soc_pct = least_soc_pct(vehicle, capacity_wh, evse.efficiency)
    if isinstance(soc, Reading) and certain:
        gone_wh = evse.max_discharge_w * age_s / 3600.0 / evse.efficiency
        soc_pct = max(soc.value - gone_wh / (capacity_wh / 100.0), 0.0)
    ceiling_pct = kind.max_soc_pct if kind else 100.0
    goal_pct = min(target.value + reserve_pct, ceiling_pct)
    bands = _bands(kind, full_w, evse.efficiency, goal_pct)
    return Demand(i, full_w, bands, soc_pct, departs_s, wh_per_pct, target.value - ceiling_pct, certain)


@lru_cache(maxsize=4_096)
def _bands(kind: VehicleType | None, full_w: float, efficiency: float, goal_pct: float) -> tuple[_Band, ...]:
    """Bands from 0 to the goal, lowest first, neighbours of one power in one. The curve is battery side,
    the rate grid side.
    """
    curve = kind.charge_curve if kind else ()
    if not curve:
        return (_Band(0.0, min(100.0, goal_pct), full_w),) if goal_pct > 0.0 else ()
    grid = [k * BAND_PCT for k in range(ceil(100.0 / BAND_PCT))] + [100.0]
    powers = np.interp(grid, [point.soc_pct for point in curve], [point.power_w for point in curve])
    points = dict(zip(grid, powers.tolist(), strict=True))
    for point in curve:  # of two points at the same SoC the lower one counts
        points[point.soc_pct] = min(point.power_w, points.get(point.soc_pct, ANY_W))
    bands: list[_Band] = []
    for low_pct, high_pct in pairwise(sorted(points)):
        rate_w = min(full_w, min(points[low_pct], points[high_pct]) / efficiency)
        if bands and bands[-1].rate_w == rate_w:
            bands[-1] = bands[-1]._replace(high_pct=high_pct)
        else:
            bands.append(_Band(low_pct, high_pct, rate_w))
    return tuple(
        band._replace(high_pct=min(band.high_pct, goal_pct)) for band in bands if band.low_pct < goal_pct
    )
