"""Peak shaving in a tick: vehicles that can wait do so, and then give, so that the mean import of the
metering window that runs stays below its target.

The target is the day plan's, below which nothing is added to a demand charge, or that of a ``peak_shaving``
service. A vehicle that must charge to leave in time is not moved, nor one of which something is not known.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.plan import PeakTarget, Plan
from v2g_edge.model.reading import is_fresh
from v2g_edge.model.service import Service
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.services.spread import Room, spread

WINDOW_S: Final = 900.0
"""The metering interval of most of Europe and North America, where a service names a target of its own."""
GAP_S: Final = 60.0
"""A reading stands for at most this long; what was not metered counts as drawn at the target."""
LEAST_LEFT_S: Final = 60.0
"""So much of a window is reckoned with at its end: its last seconds cannot make up for all of it."""
STEP_W: Final = 500.0
"""Set-points follow a restless building in steps, always below the target: what passes it is billed, and free
from then on.
"""
REASON: Final = "service_peak_shaving"


class Window(Struct, frozen=True, array_like=True, gc=False):
    """What the connection has drawn in a metering window: ``seconds`` of it are metered, up to
    ``seen_wall_s``, with ``wh`` of import.
    """

    name: str
    started_wall_s: float
    seen_wall_s: float
    seconds: float = 0.0
    wh: float = 0.0


class Shaved(NamedTuple):
    """``windows`` are for the next tick."""

    wishes: Mapping[str, Wish]
    windows: tuple[Window, ...]


def targets_of(services: Sequence[Service], plan: Plan | None, snapshot: Snapshot) -> tuple[PeakTarget, ...]:
    """Those of the plan while it holds, and of the services that are armed."""
    own = [
        PeakTarget(s.id, WINDOW_S, s.power_w)
        for s in services
        if s.kind == "peak_shaving" and s.power_w > 0.0
    ]
    if plan is None or not snapshot.clock_synced:
        return tuple(own)
    holds = plan.valid_from_wall_s <= snapshot.wall_s < plan.valid_until_wall_s
    return (*own, *(plan.peaks if holds else ()))


def shave(
    frame: Frame,
    snapshot: Snapshot,
    targets: Sequence[PeakTarget],
    wishes: Mapping[str, Wish],
    rooms: Sequence[Room],
    before: Sequence[Window],
    base_w: float,
) -> Shaved:
    """The wishes with what keeps every target. ``base_w``: what the building is reckoned with where the grid
    meter does not tell.
    """
    import_w = _import_w(frame, snapshot)
    old = {window.name: window for window in before}
    windows = tuple(_metered(old.get(each.name), each, import_w, snapshot.wall_s) for each in targets)
    allowed_w = min(
        (_allowed_w(window, each, snapshot.wall_s) for window, each in zip(windows, targets, strict=True)),
        default=ANY_W,
    )
    charged_w = _charged_w(frame, snapshot)
    building_w = base_w if import_w is None or charged_w is None else import_w - charged_w
    excess_w = building_w + sum(wish.power_w for wish in wishes.values()) - allowed_w
    if excess_w <= 0.0:
        return Shaved(wishes, windows)
    moved = dict(wishes)
    wanted_w = STEP_W * math.ceil(excess_w / STEP_W)
    movable = [room for room in rooms if not wishes[room.evse].reason.startswith("unknown_")]
    waiting = [room._replace(low_w=0.0) for room in movable if room.power_w > 0.0]
    for part in (waiting, movable):
        left_w = wanted_w - sum(wishes[evse].power_w - wish.power_w for evse, wish in moved.items())
        now = [room._replace(power_w=moved[room.evse].power_w) for room in part]
        for evse, power_w in spread(now, max(left_w, 0.0)).items():
            if power_w != moved[evse].power_w:
                moved[evse] = Wish(evse, power_w, moved[evse].urgency, REASON, moved[evse].droop_w)
    return Shaved(moved, windows)


def may_draw(target: float, drawn: float, elapsed_s: float, window_s: float) -> float:
    """The power that the rest of a window may draw so that its mean stays at ``target``; ``drawn`` is the
    mean so far.

    Below zero: only export can still hold the target.
    """
    left_s = max(window_s - elapsed_s, LEAST_LEFT_S)
    return (target * window_s - drawn * min(elapsed_s, window_s)) / left_s


def _allowed_w(window: Window, target: PeakTarget, wall_s: float) -> float:
    """What was drawn too much is made up for; what was left is not drawn at once by a later vehicle."""
    elapsed_s = wall_s - window.started_wall_s
    drawn_ws = window.wh * 3_600.0 + target.target_w * max(elapsed_s - window.seconds, 0.0)
    mean_w = drawn_ws / elapsed_s if elapsed_s > 0.0 else target.target_w
    return min(target.target_w, may_draw(target.target_w, mean_w, elapsed_s, target.window_s))


def _metered(old: Window | None, target: PeakTarget, import_w: float | None, wall_s: float) -> Window:
    start_s = wall_s - wall_s % target.window_s
    if old is None or old.started_wall_s != start_s:
        return Window(target.name, start_s, wall_s)
    stands_s = wall_s - old.seen_wall_s
    if import_w is None or not 0.0 < stands_s <= GAP_S:
        return Window(target.name, start_s, wall_s, old.seconds, old.wh)
    wh = old.wh + max(import_w, 0.0) * stands_s / 3_600.0
    return Window(target.name, start_s, wall_s, old.seconds + stands_s, wh)


def _import_w(frame: Frame, snapshot: Snapshot) -> float | None:
    site = frame.site
    if site.grid.meter not in site.meters:
        return None
    power_w = snapshot.meters[site.meters.index(site.grid.meter)].power_w
    return power_w.value if is_fresh(power_w, snapshot.now_s, site.safety.meter_max_age_s) else None


def _charged_w(frame: Frame, snapshot: Snapshot) -> float | None:
    """By all chargers together; None where one with a vehicle does not tell."""
    total_w = 0.0
    for state in snapshot.evses:
        if is_fresh(state.power_w, snapshot.now_s, frame.site.safety.charger_max_age_s):
            total_w += state.power_w.value
        elif state.vehicle is not None:
            return None
    return total_w
