"""One tick of the rules: what each outlet wants by itself, and how too little power is shared."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.model.wish import Wish
from v2g_edge.rules.need import Need, need_of
from v2g_edge.rules.sharing import charge_limit, share_power

NOBODY: Final[Mapping[str, float]] = {}
URGENT: Final = 1.0
"""Urgency from which a vehicle has to charge now to leave in time."""


def propose_all(
    site: Site, snapshot: Snapshot, plan: Plan | None, short_wh: Mapping[str, float] = NOBODY, held: Collection[str] = ()
) -> dict[str, Wish]:
    """A wish for every outlet with a vehicle, shared so that the feeders hold. What is allowed, the envelope decides.

    ``short_wh``: outlets whose departure was not proven at the last tick, and what they lack: they charge now, most first.
    ``held``: outlets that should not export for a while, so that the others can.
    """
    needs = _needs(site, snapshot)
    _press(site, needs)
    slot = _slot(plan, snapshot) if plan else None
    asked = {evse: _ask(wanted, slot, site.evses[wanted.place].max_discharge_w) for evse, wanted in needs.items()}
    if slot is not None:
        _split(site, needs, asked, slot)
    for evse in held:
        if evse in asked and asked[evse].power_w < 0.0:
            asked[evse] = Wish(evse, 0.0, asked[evse].urgency, "departure_hold")
    for evse in short_wh.keys() & needs.keys():
        urgency = max(asked[evse].urgency, URGENT) + short_wh[evse] / 1e6
        asked[evse] = Wish(evse, needs[evse].need.full_w, urgency, "departure_short")
    return share_power(site, asked)


class Wanting(NamedTuple):
    """One vehicle with its need; ``pressed`` is set where the whole fleet's departures leave no time to wait."""

    evse: str
    place: int
    feeder: str
    need: Need
    pressed: bool


def _needs(site: Site, snapshot: Snapshot) -> dict[str, Wanting]:
    kinds = {kind.id: kind for kind in site.vehicle_types}
    types = {vehicle.id: kinds.get(vehicle.type) for vehicle in site.vehicles}
    result = {}
    for index, (evse, state) in enumerate(zip(site.evses, snapshot.evses, strict=True)):
        if state.vehicle is not None:
            need = need_of(evse, state, types.get(state.vehicle.vehicle), snapshot.wall_s)
            if need is not None:
                result[evse.id] = Wanting(evse.id, index, evse.feeder, need, need.energy_wh > 0.0 and need.latest_start_s <= 0.0)
    return result


def _press(site: Site, needs: dict[str, Wanting]) -> None:
    """Latest starts that are fine one by one can be impossible together (evcc #14077): look at each feeder up to each departure.

    When all energy due by a departure needs nearly all the time there is at the limit, all who depart by then are pressed.
    """
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    for feeder in site.feeders:
        below = [w for w in needs.values() if w.need.energy_wh > 0.0 and _is_below(w.feeder, feeder.id, parent)]
        limit_w = charge_limit(site, feeder)
        due_wh, due = 0.0, []
        for wanting in sorted(below, key=lambda w: (w.need.departs_in_s, w.evse)):
            due_wh += wanting.need.energy_wh
            due.append(wanting.evse)
            if wanting.need.departs_in_s * limit_w / 3600.0 <= due_wh * 1.2 + limit_w / 6.0:
                for evse in due:
                    needs[evse] = needs[evse]._replace(pressed=True)


def _is_below(node: str, feeder: str, parent: dict[str, str]) -> bool:
    while node and node != feeder:
        node = parent[node]
    return node == feeder


def _slot(plan: Plan, snapshot: Snapshot) -> Slot | None:
    wall_s = snapshot.wall_s
    if not snapshot.clock_synced or not plan.valid_from_wall_s <= wall_s < plan.valid_until_wall_s:
        return None
    return next((slot for slot in plan.slots if slot.start_wall_s <= wall_s < slot.end_wall_s), None)


def _ask(wanted: Wanting, slot: Slot | None, rating_w: float) -> Wish:
    """What one vehicle would do alone: leave in time, else follow the plan, else charge what it lacks."""
    need = wanted.need
    urgency = min(max(URGENT - need.latest_start_s / max(need.departs_in_s, 3600.0), 0.0), 10.0)
    if wanted.pressed:
        return Wish(wanted.evse, need.full_w, max(urgency, URGENT), "departure")
    planned_w = dict(slot.evse_w).get(wanted.evse) if slot else None
    if planned_w is not None:
        return Wish(wanted.evse, min(max(planned_w, -rating_w), need.full_w), min(urgency, 0.99), "plan")
    if need.energy_wh > 0.0:
        return Wish(wanted.evse, need.full_w, min(urgency, 0.99), "charge")
    return Wish(wanted.evse, 0.0, 0.0, "idle")


def _split(site: Site, needs: dict[str, Wanting], asked: dict[str, Wish], slot: Slot) -> None:
    """Share a slot's site target among those whom it does not name: charging by what they lack, export by rating."""
    if slot.site_w is None:
        return
    named = {evse for evse, _ in slot.evse_w}
    free = [w for w in needs.values() if w.evse not in named and not w.pressed]
    charging = slot.site_w >= 0.0
    weights = [w.need.energy_wh if charging else site.evses[w.place].max_discharge_w for w in free]
    total = sum(weights)
    for wanted, weight in zip(free, weights, strict=True):
        edge_w = wanted.need.full_w if charging else site.evses[wanted.place].max_discharge_w
        share_w = slot.site_w * weight / total if total > 0.0 else 0.0
        asked[wanted.evse] = Wish(wanted.evse, min(max(share_w, -edge_w), edge_w), asked[wanted.evse].urgency, "plan_site")
