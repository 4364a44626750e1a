"""The live base load of each metered feeder: what its meter shows beyond its chargers, peak-held, never below what was settled.

It frees headroom that the commissioned worst case keeps back, and only while every reading that it takes is there: without one of
them the commissioned bound holds again.
"""

from typing import Final

from v2g_edge.envelope.facts import Context
from v2g_edge.model.evidence import BaseMemory
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading, is_fresh

HOLD_S: Final = 900.0
"""A peak holds for one to two quarter hours, the interval that networks bill by."""
SETTLE_S: Final = 10.0
"""Two reports of a charger at 5 s: by then meter and chargers speak of the same moment."""
MOVE_W: Final = 500.0
"""A permit that changed by less than this moved nothing that matters: the feeder margin is wider."""


def live_bases(c: Context, bases: tuple[BaseMemory, ...]) -> tuple[float, ...]:
    """For each feeder of the tree the base load to reckon with, in W, never above the commissioned bound."""
    return tuple(
        _live(c, place, bases[place]) if feeder.meter and bases else c.frame.tree.base_max_w[place]
        for place, feeder in enumerate(c.frame.tree.feeders)
    )


def hold_bases(c: Context, bases: tuple[BaseMemory, ...], permits: list[Permit]) -> tuple[BaseMemory, ...]:
    """The peaks after this tick."""
    now_s = c.snapshot.now_s
    held = []
    moved = {i for i, (p, o) in enumerate(zip(permits, c.outlets, strict=True)) if abs(p.power_w - o.memory.power_w) > MOVE_W}
    olds = bases or (BaseMemory(now_s, now_s),) * len(c.frame.tree.feeders)
    for place, (old, members) in enumerate(zip(olds, c.frame.tree.below, strict=True)):
        seen = _sample(c, place)
        peak_w, before_w, since_s = old.peak_w, old.before_w, old.since_s
        if now_s - since_s >= HOLD_S or since_s > now_s:
            peak_w, before_w, since_s = None, peak_w, now_s
        if seen is not None and seen[1] >= old.moved_s + SETTLE_S:
            peak_w = seen[0] if peak_w is None else max(peak_w, seen[0])
        held.append(BaseMemory(old.moved_s if moved.isdisjoint(members) else now_s, since_s, peak_w, before_w))
    return tuple(held)


def _live(c: Context, place: int, old: BaseMemory) -> float:
    seen = _sample(c, place)
    least_w, most_w = c.frame.tree.base_min_w[place], c.frame.tree.base_max_w[place]
    if seen is None or old.before_w is None:
        return most_w
    return min(max(old.before_w if old.peak_w is None else old.peak_w, old.before_w, seen[0], least_w), most_w)


def _sample(c: Context, place: int) -> tuple[float, float] | None:
    """The meter less its chargers, and the time of the oldest reading in it. None while any of them is missing or old."""
    feeder, members = c.frame.tree.feeders[place], c.frame.tree.below[place]
    outlets = [c.outlets[i] for i in members]
    if not feeder.meter:
        return None
    power = c.snapshot.meters[c.site.meters.index(feeder.meter)].power_w
    alive = is_fresh(power, c.snapshot.now_s, c.site.safety.meter_max_age_s)
    if not isinstance(power, Reading) or not alive or not all(o.metered for o in outlets):
        return None
    times_s = [o.state.power_w.at_s for o in outlets if isinstance(o.state.power_w, Reading)]
    return power.value - sum(o.power_w for o in outlets), min((power.at_s, *times_s))
