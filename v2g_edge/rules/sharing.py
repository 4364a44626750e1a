"""Too little for all: the vehicle that must leave soonest is served first, the rest share evenly, and
where that is too little, take turns. A vehicle that lacks nothing any more gets what is left.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.rules.headroom import ENOUGH_W, NO_PHASES, Left, Phases
from v2g_edge.rules.services.peaks import Window

TURN_S: Final = 900.0
"""A turn lasts a quarter hour: cars that are stopped and started more often go to sleep or give up (evcc
#13750, #24932).
"""
CALMS_AFTER_S: Final = 900.0
"""An urgent vehicle stays urgent until it could wait this long. Without that it would be urgent in every
other tick: at full power a vehicle gains time, and in each pause its share stands idle until that is seen.
"""


class Urgency(NamedTuple):
    """Of a vehicle that must leave: the power at which it is ready just in time, when it departs, and the
    latest start of charging at all the power it takes; both from now on. ``lost``: it cannot be ready in
    time, by far.
    """

    pace_w: float
    departs_in_s: float
    latest_start_s: float
    lost: bool = False


NO_PRESS: Final[Mapping[str, Urgency]] = {}


class Turn(Struct, frozen=True, array_like=True, gc=False):
    """An outlet that asks where there is too little: it has charged, or waited, since ``since_s``
    (monotonic).
    """

    since_s: float
    served: bool


class RulesMemory(Struct, frozen=True):
    """What the rules carry from tick to tick: the turns, by outlet id, of all that ask for power.

    ``doubts``: what was said of vehicles of which something is not known (``doubts``). ``silent``: services
    without a fresh signal (``services.dispatch``). ``urgent``: the outlets whose vehicles had to charge at
    once at the last tick. ``windows``: what metering windows have drawn (``services.peaks``).
    """

    turns: dict[str, Turn] = {}
    doubts: dict[str, str] = {}
    silent: tuple[str, ...] = ()
    urgent: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()


def charge_limit(frame: Frame, place: int, base_w: float) -> float:
    """What a feeder leaves for all chargers below it, in W: its limit less margin and base load (as the
    envelope does).
    """
    margin = 1.0 - frame.site.safety.feeder_margin_pct / 100.0
    return max(frame.tree.feeders[place].import_limit_w * margin - base_w, 0.0)


def export_limit(frame: Frame, place: int) -> float:
    """What all chargers below a feeder may export together, in W (magnitude)."""
    margin = 1.0 - frame.site.safety.feeder_margin_pct / 100.0
    return max(frame.tree.feeders[place].export_limit_w * margin + frame.tree.base_min_w[place], 0.0)


def share_power(
    frame: Frame,
    asked: dict[str, Wish],
    bases_w: tuple[float, ...],
    memory: RulesMemory,
    now_s: float,
    doubtful: frozenset[str] = frozenset(),
    sated: frozenset[str] = frozenset(),
    press: Mapping[str, Urgency] = NO_PRESS,
    phases: Phases = NO_PHASES,
    unmetered: Collection[str] = (),
) -> tuple[dict[str, Wish], RulesMemory]:
    """The same wishes, cut so that no feeder, and none of its phases (``phases``), is asked for more than it
    has; ``bases_w`` are the feeders' base loads.

    The ``doubtful`` (their need is unknown) get their fallback first, which fits every feeder by the
    proof at start, and beyond it what all the others leave.

    The urgent (urgency ≥ 1) are served first (``_serve_urgent``).

    The others share what is left evenly: each round each may take the same further amount until they have
    what they asked for or a feeder above them is full. Whose share is below the charger's minimum gets
    nothing: in turns, so that each one's comes (see ``_rank``). The ``sated`` have their target and charge
    for a plan alone: they come last. The ``unmetered`` tell no power: beside others each counts with its
    rating while it charges, so that they take turns too where that is too much.
    """
    wishes = {place: asked[evse] for place, evse in enumerate(frame.ids) if evse in asked}
    given = dict.fromkeys(wishes, 0.0)
    charging = {p: w for p, w in wishes.items() if w.power_w > 0.0}
    dark, lit = _by_meter(frame, charging, unmetered)
    limits_w = [charge_limit(frame, place, base_w) for place, base_w in enumerate(bases_w)]
    left = Left(frame, limits_w, phases, dark, lit)
    doubts = {p: w.power_w for p, w in charging.items() if w.evse in doubtful}
    urgent = {p: w for p, w in charging.items() if w.urgency >= 1.0 and p not in doubts}
    others = {p: w.power_w for p, w in charging.items() if p not in urgent and p not in doubts}
    full = {p: power_w for p, power_w in others.items() if frame.ids[p] in sated}
    lacking = {p: power_w for p, power_w in others.items() if p not in full}
    least_w = {place: min(power_w, frame.site.evses[place].fallback_w) for place, power_w in doubts.items()}
    _serve_one_by_one(frame, least_w, left, given)
    _serve_urgent(frame, urgent, left, given, press, memory)
    _serve_alike(frame, lacking, left, given, memory, now_s)
    _serve_alike(frame, {p: power_w - given[p] for p, power_w in doubts.items()}, left, given, memory, now_s)
    _serve_alike(frame, full, left, given, memory, now_s)
    exports = {place: -wish.power_w for place, wish in wishes.items() if wish.power_w < 0.0}
    if exports:
        outs = dict.fromkeys(exports, 0.0)
        may_w = [export_limit(frame, place) for place in range(len(bases_w))]
        Left(frame, may_w, NO_PHASES).fill_evenly(exports, outs)
        given.update({place: -power_w for place, power_w in outs.items()})
    shared = {
        w.evse: w if w.power_w == given[p] else Wish(w.evse, given[p], w.urgency, w.reason)
        for p, w in wishes.items()
    }
    return shared, RulesMemory(
        {frame.ids[p]: _turn(memory, frame.ids[p], given[p] > 0.0, now_s) for p in charging}
    )


def _serve_urgent(
    frame: Frame,
    urgent: dict[int, Wish],
    left: Left,
    given: dict[int, float],
    press: Mapping[str, Urgency],
    memory: RulesMemory,
) -> None:
    """The soonest to depart first: first all of them the pace at which each is ready just in time, then what
    they ask beyond it.

    A charger gives its minimum or nothing, so that not all may get their pace at once. Then those come first
    that can wait no longer, until each could wait for a while again. What these paces leave is first for
    those that cannot be ready in time: they cost no other its departure.

    Urgency orders only those without a departure: a vehicle that is served becomes less urgent, so that the
    order would change from tick to tick, and a feeder stand half idle while one is lowered and the next is
    raised. Of those that leave at the same time the site file's order decides.
    """

    def rank(place: int) -> tuple[float, float, int]:
        known = press.get(frame.ids[place])
        return (ANY_W, -urgent[place].urgency, place) if known is None else (known.departs_in_s, 0.0, place)

    def can_wait(place: int) -> int:
        known, turn = press.get(frame.ids[place]), memory.turns.get(frame.ids[place])
        spare_s = CALMS_AFTER_S if turn is not None and turn.served else 0.0
        if known is not None and known.lost:
            return 2
        return int(known is None or known.latest_start_s > spare_s)

    ordered = sorted(urgent, key=rank)
    paces_w = {}
    for place in sorted(ordered, key=can_wait):
        known, least_w = press.get(frame.ids[place]), frame.site.evses[place].min_charge_w
        pace_w = ANY_W if known is None else max(known.pace_w, least_w)
        paces_w[place] = min(urgent[place].power_w, pace_w)
    _serve_one_by_one(frame, paces_w, left, given)
    _serve_one_by_one(frame, {p: urgent[p].power_w - given[p] for p in ordered}, left, given)


def _serve_one_by_one(frame: Frame, wanted_w: dict[int, float], left: Left, given: dict[int, float]) -> None:
    """Each in this order as much as there is on top of what it has, or nothing where that leaves it below its
    minimum.
    """
    for place, wish_w in wanted_w.items():
        power_w = min(wish_w, left.more_w(place, given[place]))
        if power_w > 0.0 and given[place] + power_w >= frame.site.evses[place].min_charge_w:
            left.take(place, given[place], power_w)
            given[place] += power_w


def _serve_alike(
    frame: Frame,
    wanted_w: dict[int, float],
    left: Left,
    given: dict[int, float],
    memory: RulesMemory,
    now_s: float,
) -> None:
    """All alike, on top of what they have; in turns where that gives one of them less than its minimum."""
    if not wanted_w:
        return
    free, before_w, filled = left.copy(), dict(given), True
    if any(left.counts_whole(place) for place in wanted_w):
        filled = left.gave_all(wanted_w, given)
    else:
        left.fill_evenly(wanted_w, given)
    evses = frame.site.evses
    if filled and not any(0.0 < given[place] < evses[place].min_charge_w - ENOUGH_W for place in wanted_w):
        return
    turns_w = _in_turns(
        frame, {place: w for place, w in wanted_w.items() if not before_w[place]}, free, memory, now_s
    )
    left.set(free)
    for place in wanted_w:
        given[place] = before_w[place] + turns_w.get(place, 0.0)
        left.take(place, before_w[place], turns_w.get(place, 0.0))


def _turn(memory: RulesMemory, evse: str, served: bool, now_s: float) -> Turn:
    old = memory.turns.get(evse)
    return old if old is not None and old.served == served and old.since_s <= now_s else Turn(now_s, served)


def _rank(memory: RulesMemory, evse: str, now_s: float) -> tuple[int, float, str]:
    """First those whose turn is not over, then those that wait, longest first, then those whose turn is
    over, longest last.
    """
    turn = memory.turns.get(evse)
    if turn is None or not turn.served:
        return 1, turn.since_s if turn else now_s, evse
    return (0, turn.since_s, evse) if now_s - turn.since_s < TURN_S else (2, -turn.since_s, evse)


def _in_turns(
    frame: Frame, wanted_w: dict[int, float], left: Left, memory: RulesMemory, now_s: float
) -> dict[int, float]:
    """Each charger's minimum in the order of their ranks, then what is left evenly among those that got
    it. None starves. A turn ends after ``TURN_S``; one that waits keeps its place in the queue; and none
    overtakes: what a waiting one lacks is kept from all behind it, as long as the feeders could serve it
    alone. So each of n waits n turns at most. One that tells no power gets all it wants at once, for its
    rating is counted anyway.
    """
    evses = frame.site.evses
    free, spare, given = left.copy(), left.copy(), dict.fromkeys(wanted_w, 0.0)
    unmetered = left.copy()
    for place in sorted(wanted_w, key=lambda place: _rank(memory, frame.ids[place], now_s)):
        least_w, whole = evses[place].min_charge_w, left.counts_whole(place)
        if not wanted_w[place] >= least_w <= left.more_w(place, 0.0):
            continue
        if free.more_w(place, 0.0) >= least_w:
            given[place] = min(wanted_w[place], free.more_w(place, 0.0)) if whole else least_w
            spare.take(place, 0.0, given[place])
            if whole:
                unmetered.take(place, 0.0, given[place])
        elif whole and unmetered.more_w(place, 0.0) < least_w:
            continue  # it waits for the turn of another that tells no power, and not for those behind it
        free.take(place, 0.0, max(given[place], least_w))
    grows_w = {p: wanted_w[p] - w for p, w in given.items() if w > 0.0 and not left.counts_whole(p)}
    spare.fill_evenly(grows_w, given)
    return given


def _by_meter(
    frame: Frame, charging: Collection[int], unmetered: Collection[str]
) -> tuple[list[int], list[int]]:
    """All that tell no power, and the others that ask for some."""
    if not unmetered:
        return [], []
    dark = [place for place, evse in enumerate(frame.ids) if evse in unmetered]
    return dark, [place for place in charging if frame.ids[place] not in unmetered]
