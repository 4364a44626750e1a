"""The live base load of each metered feeder: what its meter shows beyond its chargers, peak-held, never below
what was settled.

It frees headroom that the commissioned worst case keeps back, and only while every reading that it takes is
there: without one of them the commissioned bound holds again.
"""

from typing import Final

from v2g_edge.envelope.facts import Context
from v2g_edge.model.event import Event
from v2g_edge.model.evidence import BaseMemory
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading, is_fresh

HOLD_S: Final = 900.0
"""A peak holds for one to two quarter hours, the interval that networks bill by."""
SETTLE_S: Final = 10.0
"""Two reports of a charger at 5 s: by then meter and chargers speak of the same moment."""
CALM_S: Final = SETTLE_S + 2.0
"""So long nothing is raised after a metered excess: a sample that counts comes within it."""
MOVE_W: Final = 500.0
"""A permit that changed by less than this moved nothing that matters: the feeder margin is wider."""


def live_bases(c: Context, bases: tuple[BaseMemory, ...]) -> tuple[float, ...]:
    """For each feeder of the tree the base load to reckon with, in W, never above the commissioned bound."""
    return tuple(
        _live(c, place, bases[place]) if feeder.meter and bases else c.frame.tree.base_max_w[place]
        for place, feeder in enumerate(c.frame.tree.feeders)
    )


def calming(c: Context, bases: tuple[BaseMemory, ...]) -> frozenset[int]:
    """Feeders that were above a limit a moment ago: nothing is raised there until meter and chargers speak of
    the same moment.

    Without it the excess that one tick takes off is given back by the next, and permits swing for as long as
    it lasts.
    """
    now_s = c.snapshot.now_s
    return frozenset(place for place, old in enumerate(bases) if 0.0 <= now_s - old.over_s < CALM_S)


def hold_bases(
    c: Context,
    bases: tuple[BaseMemory, ...],
    permits: list[Permit],
    over: frozenset[int] = frozenset(),
    dt_s: float = 0.0,
) -> tuple[BaseMemory, ...]:
    """The peaks after this tick, ``dt_s`` after the last. ``over``: feeders whose meter is above a limit.

    A charger whose lease ran out since the last tick went to its default and comes back with the next permit:
    it moved, though its permits may be the same.
    """
    now_s = c.snapshot.now_s
    held = []
    moved = {
        i
        for i, (p, o) in enumerate(zip(permits, c.outlets, strict=True))
        if abs(p.power_w - o.memory.power_w) > MOVE_W or now_s - dt_s < o.state.command.lease_until_s <= now_s
    }
    olds = bases or (BaseMemory(now_s, now_s),) * len(c.frame.tree.feeders)
    for place, (old, members) in enumerate(zip(olds, c.frame.tree.below, strict=True)):
        seen = _sample(c, place)
        peak_w, before_w, since_s = old.peak_w, old.before_w, old.since_s
        if now_s - since_s >= HOLD_S or since_s > now_s:
            peak_w, before_w, since_s = None, peak_w, now_s
        if seen is not None and seen[1] >= old.moved_s + SETTLE_S:
            peak_w = seen[0] if peak_w is None else max(peak_w, seen[0])
        moved_s = old.moved_s if moved.isdisjoint(members) else now_s
        over_s = now_s if place in over else min(old.over_s, now_s)
        held.append(BaseMemory(moved_s, since_s, peak_w, before_w, over_s))
    return tuple(held)


def _live(c: Context, place: int, old: BaseMemory) -> float:
    """What is reckoned with: the peak held, never less than settled, never below 0: generation gets no
    credit, for a cloud takes it away faster than all chargers can follow.

    What was seen above the commissioned bound counts for as long as peaks are held, and leaves the chargers
    their fallbacks.
    """
    least_w = max(c.frame.tree.base_min_w[place], 0.0)
    held_w = max([w for w in (old.peak_w, old.before_w) if w is not None], default=0.0)
    most_w = max(c.frame.tree.base_max_w[place], min(held_w, _beside_fallbacks(c, place)))
    seen = _sample(c, place)
    if seen is None or old.before_w is None:
        return most_w
    return min(
        max(old.before_w if old.peak_w is None else old.peak_w, old.before_w, seen[0], least_w), most_w
    )


def _beside_fallbacks(c: Context, place: int) -> float:
    """What a feeder leaves beside the fallbacks of all chargers below it."""
    free = 1.0 - c.site.safety.feeder_margin_pct / 100.0
    fallbacks_w = sum([c.outlets[i].evse.fallback_w for i in c.frame.tree.below[place]])
    return c.frame.tree.feeders[place].import_limit_w * free - fallbacks_w


def exceeded(c: Context, before_w: tuple[float, ...], live_w: tuple[float, ...]) -> tuple[Event, ...]:
    """Word of each feeder whose base load is seen above its commissioned bound, when that begins."""
    tree = c.frame.tree
    return tuple(
        Event(
            "base_load_exceeded",
            "warning",
            feeder.id,
            f"base load of {now_w:.0f} W, commissioned at most {most_w:.0f} W: correct base_load_max_w, or"
            " find what draws it",
            c.snapshot.wall_s,
        )
        for feeder, most_w, now_w, old_w in zip(
            tree.feeders, tree.base_max_w, live_w, before_w or tree.base_max_w, strict=True
        )
        if now_w > most_w >= old_w
    )


def _sample(c: Context, place: int) -> tuple[float, float] | None:
    """The meter less its chargers, and the time of the oldest reading in it. None while any of them is
    missing or old.
    """
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
