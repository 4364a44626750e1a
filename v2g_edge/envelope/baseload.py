"""The live base load of each metered feeder: what its meter shows beyond its chargers, peak-held, never below
what was settled.

It frees headroom that the commissioned worst case keeps back, and only while every reading that it takes is
there: without one of them the commissioned bound holds again.
"""

from typing import Final

from msgspec.structs import replace

from v2g_edge.envelope.facts import Context
from v2g_edge.envelope.feeders import flowing_w
from v2g_edge.envelope.limits import Limits, over_limit
from v2g_edge.model.event import Event
from v2g_edge.model.evidence import BaseMemory
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading, is_fresh

HOLD_S: Final = 900.0
"""A peak holds for one to two quarter hours, the interval that networks bill by."""
SETTLE_S: Final = 10.0
"""Two reports of a charger at 5 s: by then meter and chargers speak of the same moment."""
CALM_S: Final = SETTLE_S + 2.0
"""So long nothing is raised after a metered excess: a sample that counts comes within it."""
SURE_S: Final = SETTLE_S + 1.0
"""A base load above the commissioned bound is believed after this: longer than between two reports of a
charger, and within ``CALM_S``, so that an excess is known before anything is raised again.
"""
LASTS_S: Final = 30.0
"""So long a limit must carry more than was reckoned before that is held: a vehicle that wakes up is on the
meter at once, and in its charger's report (each 10 s) up to two reports later.
"""
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


def held_beside(bases: tuple[BaseMemory, ...]) -> tuple[tuple[float, ...], ...]:
    """For each feeder what each of its limits was seen to carry beside the chargers, as long as peaks are
    held.
    """
    return tuple(_highest(old.beside_w, old.beside_before_w) for old in bases)


def hold_bases(
    c: Context,
    bases: tuple[BaseMemory, ...],
    permits: list[Permit],
    limits: tuple[Limits, ...] = (),
    dt_s: float = 0.0,
) -> tuple[BaseMemory, ...]:
    """The peaks after this tick, ``dt_s`` after the last. ``limits``: those of each feeder.

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
    olds, over = bases or (BaseMemory(now_s, now_s),) * len(c.frame.tree.feeders), over_limit(c, limits)
    for place, (old, members) in enumerate(zip(olds, c.frame.tree.below, strict=True)):
        seen = _sample(c, place)
        new = replace(
            old,
            moved_s=old.moved_s if moved.isdisjoint(members) else now_s,
            over_s=now_s if place in over else min(old.over_s, now_s),
        )
        if now_s - old.since_s >= HOLD_S or old.since_s > now_s:
            new = replace(
                new,
                since_s=now_s,
                peak_w=None,
                before_w=old.peak_w,
                beside_w=(),
                beside_before_w=old.beside_w,
            )
        if seen is not None and seen[1] >= old.moved_s + SETTLE_S:
            new = _peak(new, seen[0], c.frame.tree.base_max_w[place], now_s)
            if limits:
                new = _beside(c, limits[place], members, new)
        held.append(new)
    return tuple(held)


def _peak(old: BaseMemory, seen_w: float, most_w: float, now_s: float) -> BaseMemory:
    """The peak with a sample. Above the commissioned ``most_w`` only what lasts counts: a vehicle that
    changes its power by itself is on the meter before its charger reports it.
    """
    sure_w, above_w, above_s = seen_w, None, -ANY_W
    if seen_w > most_w:
        sure_w, above_w = most_w, seen_w if old.above_w is None else min(old.above_w, seen_w)
        above_s = now_s if old.above_w is None else old.above_s
        if now_s - above_s >= SURE_S:
            sure_w, above_w, above_s = above_w, seen_w, now_s
    peak_w = sure_w if old.peak_w is None else max(old.peak_w, sure_w)
    return replace(old, peak_w=peak_w, above_w=above_w, above_s=above_s)


def _beside(c: Context, limits: Limits, members: tuple[int, ...], old: BaseMemory) -> BaseMemory:
    """What each limit carries beside the chargers; the least over a while is a peak.

    (In all, charging, that is the base load itself, which ``_live`` reckons with.)
    """
    now_w = tuple(
        max(limit.metered_w(c, sign, 0.0) - flowing_w(c, limit, members, sign), 0.0)
        if limit.metered is not None and (limit.phase is not None or sign < 0.0)
        else 0.0
        for sign, side in ((1.0, limits.charging), (-1.0, limits.export))
        for limit in side
    )
    now_s, least_w = c.snapshot.now_s, now_w
    if len(old.rising_w) == len(now_w) and old.rising_s <= now_s:
        least_w = tuple(map(min, old.rising_w, now_w))
        if now_s - old.rising_s < LASTS_S:
            return replace(old, rising_w=least_w)
        return replace(old, rising_w=now_w, rising_s=now_s, beside_w=_highest(old.beside_w, least_w))
    return replace(old, rising_w=now_w, rising_s=now_s)


def _highest(first_w: tuple[float, ...], second_w: tuple[float, ...]) -> tuple[float, ...]:
    """The greater of each; () where nothing was seen."""
    if len(first_w) != len(second_w):
        return first_w or second_w
    return tuple(map(max, first_w, second_w))


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
