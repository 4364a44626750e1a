"""One tick of the rules: what each outlet wants by itself, and how too little power is shared."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.charging_need import MARGIN_S, TIME_SLACK, ChargingNeed, need_of
from v2g_edge.rules.headroom import Phases, phases_of
from v2g_edge.rules.response import offer_response
from v2g_edge.rules.sharing import CALMS_AFTER_S, RulesMemory, Urgency, charge_limit, share_power

NOBODY: Final[Mapping[str, float]] = {}
STRANGERS: Final = RulesMemory()
URGENT: Final = 1.0
"""Urgency from which a vehicle is served before all that share; a boosted one has it."""
FIRST: Final = 1.001
"""That of a vehicle with an order of priority, boosted or not."""
PRESSED: Final = 1.002
"""Least one of a vehicle that has to charge now to leave in time: no order goes before it."""
STAYS_S: Final = 3600.0
"""A driver may be late; a vehicle that stands an hour after its departure does not leave by it."""
LATE_S: Final = 900.0
"""Its driver may wait so long for what it lacks."""
LOST: Final = 1.25
"""A vehicle that will lack a fifth of its need at best goes after those that can still be in time. One that
lacks less may yet be good enough.
"""
TIGHT: Final = 1.2
TIGHT_S: Final = 600.0
"""A feeder is tight where what is due by a departure, with a fifth on top, leaves less than ten minutes."""
TIGHT_UNTIL: Final = 1.25
TIGHT_UNTIL_S: Final = TIGHT_S + CALMS_AFTER_S
"""And it stays so until a quarter is to spare, and as long as an urgent vehicle stays urgent."""


def propose_all(
    frame: Frame,
    snapshot: Snapshot,
    plan: Plan | None,
    short_wh: Mapping[str, float] = NOBODY,
    held: Collection[str] = (),
    *,
    memory: RulesMemory = STRANGERS,
    bases_w: tuple[float, ...] | None = None,
    drawn_w: Mapping[str, float] = NOBODY,
    enough_w: Mapping[str, float] = NOBODY,
    said_w: Mapping[str, float] = NOBODY,
    caps_w: Mapping[str, float] = NOBODY,
    outs_w: Mapping[str, float] = NOBODY,
    unmetered: Collection[str] = (),
) -> tuple[dict[str, Wish], RulesMemory]:
    """A wish for every outlet with a vehicle, shared so that the feeders hold. What is allowed, the envelope
    decides.

    ``short_wh``: outlets whose departure was not proven at the last tick, and what they lack: they charge
    now, most first. ``held``: outlets that should not export for a while, so that the others can.
    ``bases_w``: the feeders' base loads to reckon with, in the tree's order; the commissioned bounds by
    default. ``drawn_w``: what vehicles were seen to draw when they might have drawn more; ``enough_w``: the
    setpoint that suffices where a feeder is short, without their vehicles losing anything; ``said_w``: what
    vehicles that no longer say it last said they take. ``caps_w``: what each outlet was allowed at the last
    tick by all that concerns it alone: no power is kept free for a wish that cannot be permitted.
    ``outs_w``: the same for export: an outlet that cannot export has no share in a site's.
    ``unmetered``: see ``Left``.
    """
    site = frame.site
    bases_w = frame.tree.base_max_w if bases_w is None else bases_w
    before = frozenset(memory.urgent)
    needs = _needs(frame, snapshot, drawn_w, said_w, before)
    phases = phases_of(frame, snapshot, bases_w)
    _mark_urgent(frame, needs, bases_w, before, phases)
    slot = _slot(plan, snapshot) if plan else None
    planned_w = dict(slot.evse_w) if slot else {}
    asked = {
        evse: _ask(w, planned_w.get(evse), site.evses[w.place].max_discharge_w) for evse, w in needs.items()
    }
    if slot is not None:
        _split(site, needs, asked, slot, outs_w)
    _put_departures_first(needs, asked, short_wh, held)
    _obey_orders(snapshot, needs, asked)
    _cap(asked, caps_w)
    if enough_w:
        _make_room(frame, needs, asked, bases_w, enough_w)
    doubtful = frozenset(evse for evse, wanted in needs.items() if wanted.need.doubt)
    sated = frozenset(evse for evse, wanted in needs.items() if wanted.need.energy_wh <= 0.0)
    press = {evse: _press(w.need) for evse, w in needs.items() if w.urgent or evse in short_wh}
    shared, turns = share_power(
        frame, asked, bases_w, memory, snapshot.now_s, doubtful, sated - doubtful, press, phases, unmetered
    )
    turns = replace(turns, urgent=tuple(evse for evse, wanted in needs.items() if wanted.urgent))
    armed = not short_wh and any(evse.droop_w for evse in site.evses)
    return (offer_response(frame, snapshot, shared, bases_w) if armed else shared), turns


def _put_departures_first(
    needs: Mapping[str, "ChargingRequest"],
    asked: dict[str, Wish],
    short_wh: Mapping[str, float],
    held: Collection[str],
) -> None:
    """Those ``held`` do not export; those that are short charge at once, the one that lacks most first."""
    for evse in held:
        if evse in asked and asked[evse].power_w < 0.0:
            asked[evse] = Wish(evse, 0.0, asked[evse].urgency, "departure_hold")
    for evse in short_wh.keys() & needs.keys():
        urgency = max(asked[evse].urgency, PRESSED) + short_wh[evse] / 1e6
        asked[evse] = Wish(evse, needs[evse].need.full_w, urgency, "departure_short")


def _cap(asked: dict[str, Wish], caps_w: Mapping[str, float]) -> None:
    """No wish for more than was allowed at the last tick by all that concerns its outlet alone."""
    for evse in caps_w.keys() & asked.keys():
        if asked[evse].power_w > caps_w[evse]:
            asked[evse] = replace(asked[evse], power_w=max(caps_w[evse], 0.0))


def _obey_orders(snapshot: Snapshot, needs: Mapping[str, "ChargingRequest"], asked: dict[str, Wish]) -> None:
    """``boost``: all it takes, up to its target, after those that must leave. ``priority``: what it asks
    for, before others.
    """
    kinds = {(order.kind, order.subject) for order in snapshot.operator.orders}
    for evse, wanted in needs.items() if kinds else ():
        vehicle = snapshot.evses[wanted.place].vehicle
        name = vehicle.vehicle if vehicle else ""
        wish, lacks = asked[evse], wanted.need.energy_wh > 0.0
        if ("boost", name) in kinds and lacks and wish.urgency < URGENT:
            wish = Wish(evse, wanted.need.full_w, URGENT, "order_boost")
        if ("priority", name) in kinds and wish.power_w > 0.0 and wish.urgency < PRESSED:
            wish = replace(wish, urgency=FIRST)
        asked[evse] = wish


class ChargingRequest(Struct, frozen=True, gc=False):
    """One vehicle with its need; ``urgent`` is set where the whole fleet's departures leave no time to
    wait.
    """

    evse: str
    place: int
    need: ChargingNeed
    urgent: bool


def _needs(
    frame: Frame,
    snapshot: Snapshot,
    drawn_w: Mapping[str, float],
    said_w: Mapping[str, float],
    before: Collection[str],
) -> dict[str, ChargingRequest]:
    result = {}
    for index, (evse, state) in enumerate(zip(frame.site.evses, snapshot.evses, strict=True)):
        if state.vehicle is not None:
            known = frame.known.get(state.vehicle.vehicle)
            kind, reserve_pct = (
                frame.kinds.get(known.type) if known else None,
                known.reserve_soc_pct if known else 0.0,
            )
            seen_w, last_w = drawn_w.get(evse.id, ANY_W), said_w.get(evse.id, ANY_W)
            need = need_of(evse, state, kind, snapshot.wall_s, seen_w, reserve_pct, last_w)
            if need is not None:
                spare_s = CALMS_AFTER_S if evse.id in before else 0.0
                urgent = need.energy_wh > 0.0 and need.latest_start_s <= spare_s
                result[evse.id] = ChargingRequest(evse.id, index, need, urgent)
    return result


class _Bottleneck(NamedTuple):
    """What limits several vehicles together, a feeder or one of its phases: W, and of each vehicle the share
    of its energy that flows there.
    """

    limit_w: float
    queue: list[ChargingRequest]
    shares: list[float]


def _bottlenecks(
    frame: Frame, needs: dict[str, ChargingRequest], bases_w: tuple[float, ...], phases: Phases
) -> list[_Bottleneck]:
    """Every feeder, and every phase with a limit. A vehicle that has not shown its phases may draw all of its
    energy on any of them.
    """
    feeders = [_Bottleneck(charge_limit(frame, i, base_w), [], []) for i, base_w in enumerate(bases_w)]
    on_phase = [_Bottleneck(left_w, [], []) for left_w in phases.left_w]
    for wanting in needs.values():
        if wanting.need.energy_wh > 0.0 and not wanting.need.doubt:
            for node in frame.tree.above[wanting.place]:
                feeders[node].queue.append(wanting)
                feeders[node].shares.append(1.0)
            for part in phases.above[wanting.place] if on_phase else ():
                on_phase[part.phase].queue.append(wanting)
                on_phase[part.phase].shares.append(part.weight)
    return feeders + on_phase


def _mark_urgent(
    frame: Frame,
    needs: dict[str, ChargingRequest],
    bases_w: tuple[float, ...],
    before: Collection[str],
    phases: Phases,
) -> None:
    """Latest starts that are fine one by one can be impossible together (evcc #14077): look at each feeder,
    and each of its phases, up to each departure.

    When all energy due by a departure needs nearly all the time there is at the limit, all that must have
    some of it by then are urgent; those that were urgent ``before`` stay so a little longer.
    """
    for limit_w, queue, shares in _bottlenecks(frame, needs, bases_w, phases):
        if not queue:
            continue
        soonest_s = min([w.need.departs_in_s for w in queue])
        all_wh = sum([w.need.energy_wh * share for w, share in zip(queue, shares, strict=True)])
        if not _is_tight(soonest_s, all_wh, limit_w, any(w.evse in before for w in queue)):
            continue  # all of it fits before the first departure
        due_wh = _due_by(queue) * np.array(shares)
        was = np.array([w.evse in before for w in queue])
        left_s = np.array([w.need.departs_in_s for w in queue]) - np.where(was, TIGHT_UNTIL_S, TIGHT_S)
        tight = left_s * limit_w / 3600.0 <= due_wh.sum(axis=1) * np.where(was, TIGHT_UNTIL, TIGHT)
        for wanting, urgent in zip(queue, (due_wh[tight] > 0.0).any(axis=0).tolist(), strict=True):
            if urgent:
                needs[wanting.evse] = replace(wanting, urgent=True)


def _due_by(queue: list[ChargingRequest]) -> "npt.NDArray[np.float64]":
    """What each vehicle (column) must have by each departure (row): all of it by its own, and before that
    what its power leaves no time for afterwards.
    """
    departs_s = np.array([w.need.departs_in_s for w in queue])
    energy_wh = np.array([w.need.energy_wh for w in queue])
    seconds = np.array([max(w.need.seconds, 1.0) for w in queue])
    later_s = np.maximum(departs_s[None, :] - departs_s[:, None], 0.0)
    due_wh: npt.NDArray[np.float64] = np.maximum(energy_wh * (1.0 - later_s / seconds), 0.0)
    return due_wh


def _is_tight(departs_in_s: float, due_wh: float, limit_w: float, was_tight: bool) -> bool:
    """Whether what is due needs nearly all the time that there is."""
    spare_s, share = (TIGHT_UNTIL_S, TIGHT_UNTIL) if was_tight else (TIGHT_S, TIGHT)
    return (departs_in_s - spare_s) * limit_w / 3600.0 <= due_wh * share


def _press(need: ChargingNeed) -> Urgency:
    return Urgency(_pace_w(need), need.departs_in_s, need.latest_start_s, _is_lost(need))


def _pace_w(need: ChargingNeed) -> float:
    """The power at which a vehicle is ready just in time, with the same slack as its latest start."""
    left_s = need.departs_in_s - MARGIN_S
    if left_s <= 0.0:
        return ANY_W
    return need.energy_wh * TIME_SLACK * 3600.0 / left_s


def _is_lost(need: ChargingNeed) -> bool:
    """Whether a vehicle cannot be ready in time, by far, with all the power that it might take. One that
    leaves now, or should have left, counts as in time where a little more will do.
    """
    left_s = max(need.departs_in_s, LATE_S) if need.departs_in_s >= -STAYS_S else 0.0
    return need.energy_wh > LOST * need.full_w * left_s / 3600.0


def _make_room(
    frame: Frame,
    needs: dict[str, ChargingRequest],
    asked: dict[str, Wish],
    bases_w: tuple[float, ...],
    enough_w: Mapping[str, float],
) -> None:
    """Where a feeder is asked for more than it has, do not keep power for vehicles that will not draw it."""
    sums_w = [0.0] * len(bases_w)
    for evse, wish in asked.items():
        for node in frame.tree.above[needs[evse].place]:
            sums_w[node] += max(wish.power_w, 0.0)
    short = {node for node, sum_w in enumerate(sums_w) if sum_w > charge_limit(frame, node, bases_w[node])}
    for evse in enough_w.keys() & asked.keys():
        wish = asked[evse]
        if wish.power_w > enough_w[evse] and not short.isdisjoint(frame.tree.above[needs[evse].place]):
            asked[evse] = replace(wish, power_w=enough_w[evse])


def _slot(plan: Plan, snapshot: Snapshot) -> Slot | None:
    wall_s = snapshot.wall_s
    if not snapshot.clock_synced or not plan.valid_from_wall_s <= wall_s < plan.valid_until_wall_s:
        return None
    return next((slot for slot in plan.slots if slot.start_wall_s <= wall_s < slot.end_wall_s), None)


def _ask(wanted: ChargingRequest, planned_w: float | None, rating_w: float) -> Wish:
    """What one vehicle would do alone: leave in time, else follow the plan, else charge what it lacks.

    One of which something is not known charges with what is left: no plan can have reckoned with an unknown
    need.
    """
    need = wanted.need
    if need.doubt:
        return Wish(wanted.evse, need.full_w, 0.0, f"unknown_{need.doubt}")
    if need.energy_wh <= 0.0 and planned_w is None and not wanted.urgent:
        return Wish(wanted.evse, 0.0, 0.0, "idle")
    urgency = min(max(URGENT - need.latest_start_s / max(need.departs_in_s, 3600.0), 0.0), 10.0)
    if wanted.urgent:
        return Wish(
            wanted.evse,
            need.full_w,
            max(urgency, PRESSED),
            "departure" if need.departs_in_s >= 0.0 else "overdue",
        )
    if planned_w is not None:
        return Wish(wanted.evse, min(max(planned_w, -rating_w), need.full_w), min(urgency, 0.99), "plan")
    return Wish(wanted.evse, need.full_w, min(urgency, 0.99), "charge")


def _split(
    site: Site,
    needs: dict[str, ChargingRequest],
    asked: dict[str, Wish],
    slot: Slot,
    outs_w: Mapping[str, float],
) -> None:
    """Share a slot's site target among those that it does not name: charging by what they lack, export by
    what each may export.
    """
    if slot.site_w is None:
        return
    named = {evse for evse, _ in slot.evse_w}
    free = [w for w in needs.values() if w.evse not in named and not w.urgent and not w.need.doubt]
    charging = slot.site_w >= 0.0
    ratings_w = {w.evse: site.evses[w.place].max_discharge_w for w in free}
    most_out_w = {evse: min(rating_w, outs_w.get(evse, rating_w)) for evse, rating_w in ratings_w.items()}
    weights = [w.need.energy_wh if charging else most_out_w[w.evse] for w in free]
    total = sum(weights)
    for wanted, weight in zip(free, weights, strict=True):
        edge_w = wanted.need.full_w if charging else most_out_w[wanted.evse]
        share_w = slot.site_w * weight / total if total > 0.0 else 0.0
        asked[wanted.evse] = Wish(
            wanted.evse, min(max(share_w, -edge_w), edge_w), asked[wanted.evse].urgency, "plan_site"
        )
