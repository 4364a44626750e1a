"""One tick of the envelope: wishes in, permits out, each with the limit that bound it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from v2g_edge.departure.admit_exports import admit_exports
from v2g_edge.departure.departures import Depot, depot_of
from v2g_edge.envelope.baseload import hold_bases, live_bases
from v2g_edge.envelope.bounds import collect_bounds, room
from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.enter_service import ServiceMemory, service_step
from v2g_edge.envelope.facts import Grid, Outlet, look, observe
from v2g_edge.envelope.feeders import Exposure, exposure_of, fit
from v2g_edge.envelope.gate import pass_gate
from v2g_edge.envelope.gridtrip import TripMemory, describe, trip_step
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.envelope.table import NO_ANSWER, Action, Inputs, Scope, action_of, judge
from v2g_edge.model.event import Event
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import fresh_or
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.model.wish import Wish

__all__ = ["Decision", "Depot", "depot_of", "permit_all"]
NOTHING: Final = Wish("", 0.0, 0.0, "none")
GOLDEN: Final = 0.618_033_988_75
"""Spreads the ticks' wall times over [0, 1): the chance in a random enter-service delay, without a source of chance in here."""
STALE_ROWS: Final = frozenset({"meter_silent", "meter_frozen", "grid_relay_silent"})
"""While one of these acts on an outlet, its standing lease is not renewed (design 4.5)."""


class Decision(NamedTuple):
    """Permits in the order of ``Site.evses``; ``bounds`` explains each limit; ``contactor`` false opens all, else ``dropped``."""

    permits: tuple[Permit, ...]
    bounds: tuple[tuple[Bound, ...], ...]
    contactor: bool
    dropped: tuple[str, ...]
    events: tuple[Event, ...]
    memory: EnvelopeMemory


def permit_all(depot: Depot, snapshot: Snapshot, wishes: Mapping[str, Wish], memory: EnvelopeMemory) -> Decision:
    """Turn wishes into permits. An outlet without a wish is wished 0. Raises ``InvariantBroken`` only."""
    frame, site = depot.frame, depot.frame.site
    dt_s = max(snapshot.now_s - memory.now_s, 0.0) if memory.started else 0.0
    trip, service, grid = _judge_grid(site, snapshot, memory)
    memory = observe(frame, snapshot, memory, dt_s)
    context = look(frame, snapshot, memory, grid)
    counts: dict[Scope, int] = {"site": 1, "meter": len(context.meters), "evse": len(context.outlets)}
    sessions, said = {o.id: o.vehicle.session for o in context.outlets if o.vehicle}, frozenset(snapshot.operator.acknowledged)
    verdict = judge(ROWS, memory.latches, Inputs(context, dt_s, snapshot.wall_s, counts, sessions, grid.share > 0.0, said))
    bounds = collect_bounds(context, verdict)
    quarantined = {latch.subject for row, latch in verdict.active if row.id in {"disobedient", "priority_charging"}}
    exposures = [exposure_of(context, o, quarantined=o.id in quarantined) for o in context.outlets]
    asked = [wishes.get(i, NOTHING) for i in frame.ids]
    tops_w = [min(max(w.power_w + w.droop_w, r.min_w), r.max_w) for w, r in zip(asked, frame.rated, strict=True)]
    lows_w = [min(max(w.power_w - w.droop_w, r.min_w), r.max_w) for w, r in zip(asked, frame.rated, strict=True)]
    live_w = live_bases(context, memory.bases)
    cuts = fit(context, tops_w, lows_w, exposures, live_w)
    # A charger with no lease of its own goes on with what it was told last until its contactor opens.
    unresponsive = [o.evse for o, exposure in zip(context.outlets, exposures, strict=True) if not exposure.listens]
    dropped = tuple(sorted({evse.contactor for evse in unresponsive if evse.dead_man == "contactor"}))
    tripped = any(action_of(row, latch) is Action.TRIP for row, latch in verdict.active)
    answered = not any(latch.subject == NO_ANSWER for _, latch in verdict.active)
    reserved_w = tuple(0.0 if exposure.listens else exposure.charge_w for exposure in exposures)
    kept = admit_exports(depot, snapshot, lows_w, reserved_w, memory.departures)
    ramp_w, stale = site.safety.ramp_up_w_per_s * dt_s, any(row.id in STALE_ROWS for row, _ in verdict.active)
    permits, told = [], []
    for o, wish, limits, cut, exposure in zip(context.outlets, asked, bounds, cuts, exposures, strict=True):
        limits.extend(cut.values())
        if o.id in kept.refused:
            limits.append(Bound(0.0, ANY_W, "departure_certificate", kept.refused[o.id]))
        renew = answered and not (stale and any(limit.rule in STALE_ROWS for limit in limits))
        permits.append(_permit(o, wish, limits, ramp_w, site.safety.lease_s, renew=renew))
        told.append(_remember(o, exposure, permits[-1], snapshot))
    meters, bases = tuple(meter.memory for meter in context.meters), hold_bases(context, memory.bases, permits)
    after = (verdict.latches, trip, service, kept.memory, memory.day, memory.taken_pct)
    memory = EnvelopeMemory(snapshot.now_s, True, tuple(told), meters, bases, live_w, *after)
    shown, events = tuple([tuple(each) for each in bounds]), verdict.events + kept.events
    return Decision(pass_gate(site, snapshot, tuple(permits)), shown, not tripped, dropped, events, memory)


def _judge_grid(site: Site, snapshot: Snapshot, memory: EnvelopeMemory) -> tuple[TripMemory, ServiceMemory, Grid]:
    """Grid code and enter service on all samples since the last tick. A site without a grid code never exports."""
    code, v, max_age_s = site.grid.profile, site.grid.nominal_v, site.safety.meter_max_age_s
    if code is None or not site.grid.relay:
        return memory.trip, memory.service, Grid("", "", "no grid code or no grid contact is configured", 0.0)
    now_s, samples = snapshot.now_s, snapshot.grid_samples
    trip, verdict = trip_step(code, v, memory.trip, samples, now_s, max_age_s)
    fault = "; ".join(describe(each) for each in verdict.trips)
    contact = snapshot.contacts[site.contacts.index(site.grid.relay)].closed
    closed, chance = fresh_or(contact, now_s, site.safety.contact_max_age_s, 0.0) > 0.5, snapshot.wall_s * GOLDEN % 1.0
    service, state = service_step(code, v, memory.service, samples, now_s, max_age_s, trip=fault, permitted=closed, chance=chance)
    return trip, service, Grid(fault, verdict.cease, state.cause, state.share)


def _permit(o: Outlet, wish: Wish, bounds: list[Bound], ramp_w: float, lease_s: float, *, renew: bool) -> Permit:
    evse, last_w, wish_w = o.evse, o.memory.power_w, wish.power_w
    low_w, high_w = room(bounds)
    power_w = (low_w if wish_w < low_w else high_w if wish_w > high_w else wish_w) + 0.0  # no -0.0 on the wire
    if power_w == wish_w:
        bound_by = Bound(wish_w, wish_w, "wish", "nothing limits the wish")
    else:
        bound_by = next(bound for bound in bounds if (bound.min_w == low_w if wish_w < low_w else bound.max_w == high_w))
    if power_w * last_w < 0.0 or abs(power_w) > abs(last_w) + ramp_w:
        least_w = (evse.min_discharge_w, evse.min_charge_w) if ramp_w > 0.0 else (0.0, 0.0)  # short ticks must get past these
        ramped_w = min(max(power_w, -max(ramp_w - min(last_w, 0.0), least_w[0])), max(ramp_w + max(last_w, 0.0), least_w[1]))
        if ramped_w != power_w:
            power_w = ramped_w
            bound_by = Bound(min(power_w, 0.0), max(power_w, 0.0), "ramp", "site file, safety.ramp_up_w_per_s")
    if 0.0 < power_w < evse.min_charge_w or -evse.min_discharge_w < power_w < 0.0:
        bound_by = Bound(0.0, 0.0, "minimum_power", f"{bound_by.rule} leaves less than the charger's minimum power")
        power_w = 0.0
    droop_w = 0.0
    if wish.droop_w > 0.0 and o.state.proven_discharge and power_w == wish_w:  # feeders were asked around the wish only
        droop_w = max(min(wish.droop_w, power_w - low_w, high_w - power_w, o.memory.droop_w + ramp_w), 0.0)
    return Permit(evse.id, power_w, low_w, high_w, lease_s, renew, wish_w, bound_by, droop_w)


def _remember(o: Outlet, exposure: Exposure, permit: Permit, snapshot: Snapshot) -> EvseMemory:
    old, told = o.memory, o.state.command
    if not exposure.listens and snapshot.now_s <= old.lease_until_s:
        return old  # what it was last told may still be in force, until that lease has run out
    confirmed = told.ack == "accepted"
    most_w = max(permit.most_w, max(told.power_w + told.droop_w, old.power_w + old.droop_w, 0.0) if confirmed else old.most_w)
    least_w = min(permit.least_w, min(told.power_w - told.droop_w, old.power_w - old.droop_w, 0.0) if confirmed else old.least_w)
    rest = (old.session, old.event_soc_pct, old.last_soc_pct, old.discharged_s, old.heat_pct, permit.droop_w)
    return EvseMemory(permit.power_w, snapshot.now_s + permit.valid_for_s, most_w, least_w, *rest)
