"""One tick of the envelope: wishes in, permits out, each with the limit that bound it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from v2g_edge.departure.admit_exports import admit_exports
from v2g_edge.departure.depot import Depot, depot_of
from v2g_edge.envelope.baseload import calming, exceeded, held_beside, hold_bases, live_bases
from v2g_edge.envelope.bounds import collect_bounds
from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.enter_service import ServiceMemory, service_step
from v2g_edge.envelope.exposure import LATE_S, Exposure, Quarantine, exposure_of
from v2g_edge.envelope.facts import Context, Grid, Outlet, ends_by_itself, has_lapsed, look, observe
from v2g_edge.envelope.feeders import Cut, fit
from v2g_edge.envelope.gate import pass_gate
from v2g_edge.envelope.gridtrip import TripMemory, describe, trip_step
from v2g_edge.envelope.limits import Limits, limits_of
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.envelope.power_range import Room, room
from v2g_edge.envelope.table import NO_ANSWER, Action, Inputs, Verdict, action_of, judge
from v2g_edge.model.event import Event
from v2g_edge.model.evidence import EvseMemory, tell
from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.permit import Permit, Wish
from v2g_edge.model.reading import fresh_or
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot

__all__ = ["Decision", "Depot", "depot_of", "permit_all"]
NOTHING: Final = Wish("", 0.0, 0.0, "none")
GOLDEN: Final = 0.618_033_988_75
"""Spreads the ticks' wall times over [0, 1): the chance in a random enter-service delay, without a source
of chance in here.
"""
STALE_ROWS: Final = frozenset({"meter_silent", "meter_frozen", "grid_relay_silent"})
"""While one of these acts on an outlet, its standing lease is not renewed."""
QUARANTINES: Final[dict[str, Quarantine]] = {"disobedient": "disobedient", "priority_charging": "priority"}
"""The rows that make a charger count with more than it was permitted."""
TOLD_S: Final = 60.0
"""Permits are kept for so long at least, to judge reports by: as old as a report may be."""


class Decision(NamedTuple):
    """Permits in the order of ``Site.evses``; ``bounds`` explains each limit; ``contactor`` false opens
    all, else ``dropped``.
    """

    permits: tuple[Permit, ...]
    bounds: tuple[tuple[Bound, ...], ...]
    contactor: bool
    dropped: tuple[str, ...]
    events: tuple[Event, ...]
    memory: EnvelopeMemory


def permit_all(
    depot: Depot, snapshot: Snapshot, wishes: Mapping[str, Wish], memory: EnvelopeMemory
) -> Decision:
    """Turn wishes into permits. An outlet without a wish is wished 0. Raises ``InvariantBroken`` only."""
    frame, site = depot.frame, depot.frame.site
    dt_s = max(snapshot.now_s - memory.now_s, 0.0) if memory.started else 0.0
    trip, service, grid = _judge_grid(site, snapshot, memory)
    memory = observe(frame, snapshot, memory, dt_s)
    context = look(frame, snapshot, memory, grid)
    verdict = _judge_table(context, memory, dt_s)
    asked = _ask(frame, wishes)
    fleet, before_w = _fleet(context, verdict, asked, memory), memory.live_w
    reserved_w = tuple([exposure.fixed_w for exposure in fleet.exposures])
    lasting_w = tuple(map(min, reserved_w, [exposure.rest_w for exposure in fleet.exposures]))
    kept = admit_exports(
        depot, snapshot, asked.lows_w, reserved_w, memory.departures, memory.rates_w, lasting_w
    )
    bounds = _bounds(context, verdict, fleet, kept.refused)
    rooms = [room(limits) for limits in bounds]
    permits = _permits(context, verdict, asked, bounds, rooms, site.safety.ramp_up_w_per_s * dt_s)
    told = [
        _remember(o, permit, snapshot, quarantined=o.id in fleet.quarantine)
        for o, permit in zip(context.outlets, permits, strict=True)
    ]
    memory = EnvelopeMemory(
        now_s=snapshot.now_s,
        started=True,
        evses=tuple(told),
        meters=tuple(meter.memory for meter in context.meters),
        bases=hold_bases(context, memory.bases, permits, fleet.limits, dt_s),
        live_w=fleet.live_w,
        latches=verdict.latches,
        trip=trip,
        service=service,
        departures=kept.memory,
        day=memory.day,
        taken_pct=memory.taken_pct,
        caps_w=tuple([each.cap_w for each in rooms]),
        ids=frame.ids,
        rates_w=tuple([each.rate_w for each in rooms]),
        outs_w=tuple([each.out_w for each in rooms]),
    )
    return Decision(
        permits=pass_gate(site, snapshot, tuple(permits)),
        bounds=tuple([tuple(each) for each in bounds]),
        contactor=not any(action_of(row, latch) is Action.TRIP for row, latch in verdict.active),
        dropped=_dropped(fleet, context),
        events=verdict.events + exceeded(context, before_w, fleet.live_w) + kept.events,
        memory=memory,
    )


class _Asked(NamedTuple):
    """The wishes in the order of ``Site.evses``, and their upper and lower ends cut to the ratings."""

    wishes: list[Wish]
    tops_w: list[float]
    lows_w: list[float]


class _Fleet(NamedTuple):
    """What the supply tree has to carry: the worst case of each outlet, which of them are quarantined and
    by what, the base loads reckoned with, the feeders' limits, and what of each wish does not fit.
    """

    quarantine: dict[str, Quarantine]
    exposures: list[Exposure]
    live_w: tuple[float, ...]
    limits: tuple[Limits, ...]
    cuts: list[Cut]


def _judge_table(context: Context, memory: EnvelopeMemory, dt_s: float) -> Verdict:
    """Every row of the safety table, asked once."""
    snapshot = context.snapshot
    inputs = Inputs(
        context=context,
        dt_s=dt_s,
        wall_s=snapshot.wall_s,
        counts={"site": 1, "meter": len(context.meters), "evse": len(context.outlets)},
        sessions={o.id: o.vehicle.session for o in context.outlets if o.vehicle},
        in_service=context.grid.share > 0.0,
        acknowledged=frozenset(snapshot.operator.acknowledged),
        late_s=context.site.safety.late_after_s,
        operator_ends_trips=context.site.safety.trip_clear_by_operator,
    )
    return judge(ROWS, memory.latches, inputs)


def _ask(frame: Frame, wishes: Mapping[str, Wish]) -> _Asked:
    asked = [wishes.get(evse, NOTHING) for evse in frame.ids]
    tops_w, lows_w = [], []
    for wish, rated in zip(asked, frame.rated, strict=True):
        top_w = min(max(wish.power_w + wish.droop_w, rated.min_w), rated.max_w)
        tops_w.append(top_w)
        low_w = min(max(wish.power_w - wish.droop_w, rated.min_w), rated.max_w) if wish.droop_w else top_w
        lows_w.append(low_w)
    return _Asked(asked, tops_w, lows_w)


def _fleet(context: Context, verdict: Verdict, asked: _Asked, memory: EnvelopeMemory) -> _Fleet:
    quarantine = {
        latch.subject: QUARANTINES[row.id] for row, latch in verdict.active if row.id in QUARANTINES
    }
    exposures = [exposure_of(context, o, quarantine=quarantine.get(o.id, "")) for o in context.outlets]
    live_w = live_bases(context, memory.bases)
    limits = limits_of(context, live_w)
    calm, beside_w = calming(context, memory.bases), held_beside(memory.bases)
    cuts = fit(context, asked.tops_w, asked.lows_w, exposures, limits, calm, beside_w)
    return _Fleet(quarantine, exposures, live_w, limits, cuts)


def _bounds(context: Context, verdict: Verdict, fleet: _Fleet, refused: dict[str, str]) -> list[list[Bound]]:
    """All bounds of every outlet: its own and the table's, what is counted for it anyway, the feeders',
    and the departures'.
    """
    bounds = collect_bounds(context, verdict)
    for o, limits, exposure, cut in zip(context.outlets, bounds, fleet.exposures, fleet.cuts, strict=True):
        if not exposure.listens and o.id in fleet.quarantine:
            words = (
                f"counted at {exposure.charge_w:.0f} W, of which it may have what it had; it proves itself"
                " with that"
            )
            limits.append(Bound(-ANY_W, exposure.own_w, "quarantine", words))
        limits.extend(cut.values())
        if o.id in refused:
            limits.append(Bound(0.0, ANY_W, "departure_certificate", refused[o.id]))
    return bounds


def _permits(
    context: Context,
    verdict: Verdict,
    asked: _Asked,
    bounds: list[list[Bound]],
    rooms: list[Room],
    ramp_w: float,
) -> list[Permit]:
    """One permit for each outlet. A lease that stands is not renewed while the inputs are stale, or a
    check gives no answer.
    """
    answered = not any(latch.subject == NO_ANSWER for _, latch in verdict.active)
    stale = any(row.id in STALE_ROWS for row, _ in verdict.active)
    lease_s = context.site.safety.lease_s
    return [
        _permit(
            o,
            wish,
            limits,
            left,
            ramp_w,
            lease_s,
            renew=answered and not (stale and any(b.rule in STALE_ROWS for b in limits)),
        )
        for o, wish, limits, left in zip(context.outlets, asked.wishes, bounds, rooms, strict=True)
    ]


def _dropped(fleet: _Fleet, context: Context) -> tuple[str, ...]:
    """A charger with no lease of its own goes on with its last setpoint until its contactor opens."""
    deaf = [
        o.evse
        for o, e in zip(context.outlets, fleet.exposures, strict=True)
        if not e.listens or o.id in fleet.quarantine
    ]
    return tuple(sorted({evse.contactor for evse in deaf if evse.dead_man == "contactor"}))


def _judge_grid(
    site: Site, snapshot: Snapshot, memory: EnvelopeMemory
) -> tuple[TripMemory, ServiceMemory, Grid]:
    """Grid code and enter service on all samples since the last tick. A site without a grid code never
    exports.
    """
    code, v, max_age_s = site.grid.profile, site.grid.nominal_v, site.safety.meter_max_age_s
    if code is None or not site.grid.relay:
        return memory.trip, memory.service, Grid("", "", "no grid code or no grid contact is configured", 0.0)
    now_s, samples = snapshot.now_s, snapshot.grid_samples
    trip, verdict = trip_step(code, v, memory.trip, samples, now_s, max_age_s)
    fault = "; ".join(describe(each) for each in verdict.trips)
    contact = snapshot.contacts[site.contacts.index(site.grid.relay)].closed
    closed = fresh_or(contact, now_s, site.safety.contact_max_age_s, 0.0) > 0.5
    chance = snapshot.wall_s * GOLDEN % 1.0
    service, state = service_step(
        code, v, memory.service, samples, now_s, max_age_s, trip=fault, permitted=closed, chance=chance
    )
    return trip, service, Grid(fault, verdict.cease, state.cause, state.share)


def _permit(
    o: Outlet, wish: Wish, bounds: list[Bound], left: Room, ramp_w: float, lease_s: float, *, renew: bool
) -> Permit:
    evse, last_w, wish_w = o.evse, o.memory.power_w, wish.power_w
    low_w, high_w = left.low_w, left.high_w
    power_w = (
        low_w if wish_w < low_w else high_w if wish_w > high_w else wish_w
    ) + 0.0  # no -0.0 on the wire
    if power_w == wish_w:
        bound_by = Bound(wish_w, wish_w, "wish", "nothing limits the wish")
    else:
        bound_by = next(
            bound for bound in bounds if (bound.min_w == low_w if wish_w < low_w else bound.max_w == high_w)
        )
    if power_w * last_w < 0.0 or abs(power_w) > abs(last_w) + ramp_w:
        least_w = (
            (evse.min_discharge_w, evse.min_charge_w) if ramp_w > 0.0 else (0.0, 0.0)
        )  # short ticks must get past these
        ramped_w = min(
            max(power_w, -max(ramp_w - min(last_w, 0.0), least_w[0])),
            max(ramp_w + max(last_w, 0.0), least_w[1]),
        )
        if ramped_w != power_w:
            power_w = ramped_w
            bound_by = Bound(
                min(power_w, 0.0), max(power_w, 0.0), "ramp", "site file, safety.ramp_up_w_per_s"
            )
    if 0.0 < power_w < evse.min_charge_w or -evse.min_discharge_w < power_w < 0.0:
        bound_by = Bound(
            0.0, 0.0, "minimum_power", f"{bound_by.rule} leaves less than the charger's minimum power"
        )
        power_w = 0.0
    droop_w = 0.0
    if (
        wish.droop_w > 0.0 and o.state.proven_discharge and power_w == wish_w
    ):  # feeders were asked around the wish only
        droop_w = max(min(wish.droop_w, power_w - low_w, high_w - power_w, o.memory.droop_w + ramp_w), 0.0)
    return Permit(evse.id, power_w, low_w, high_w, lease_s, renew, wish_w, bound_by, droop_w)


def _remember(o: Outlet, permit: Permit, snapshot: Snapshot, *, quarantined: bool) -> EvseMemory:
    """What this tick leaves: the permit, everything that may still be in force beside it, and what was
    seen there.
    """
    old, told, now_s = o.memory, o.state.command, snapshot.now_s
    if not o.listens:
        if old.lease_until_s == 0.0 or not has_lapsed(o, now_s):
            return old  # its last setpoint may still be in force, until that lease has run out
        # No new lease is counted for a charger that gets no message: it is at its fallback, and stays there
        # until it answers.
        at_w = o.evse.fallback_w
        return replace(old, power_w=at_w, droop_w=0.0, most_w=at_w, least_w=0.0)
    ends, droop_w = permit.valid_for_s + LATE_S, permit.droop_w
    now_most_w, now_least_w = permit.power_w + droop_w, permit.power_w - droop_w
    if told.ack == "accepted":
        most_w = max(told.power_w + told.droop_w, old.power_w + old.droop_w, 0.0)
        least_w = min(told.power_w - told.droop_w, old.power_w - old.droop_w, 0.0)
    elif not ends_by_itself(o.evse) or not old.told or old.told[0].since_s > now_s - ends:
        most_w, least_w = old.most_w, old.least_w
    else:  # refused or not answered: an older permit than a lease has ended by itself, the default rules
        most_w = max([o.evse.fallback_w, *[each.most_w for each in old.told]])
        least_w = min([each.least_w for each in old.told])
    return replace(
        old,
        power_w=permit.power_w,
        droop_w=droop_w,
        lease_until_s=now_s + permit.valid_for_s,
        most_w=max(now_most_w, most_w),
        least_w=min(now_least_w, least_w),
        shown_w=max(old.shown_w, o.power_w) if quarantined else 0.0,
        loose_w=_loose_w(o) if o.vehicle is None else 0.0,
        told=tell(old.told, now_s, now_least_w, now_most_w, max(ends, TOLD_S)),
        dark_since_s=ANY_W if o.metered else min(old.dark_since_s, now_s),
        warm_at_s=getattr(o.vehicle and o.vehicle.pack_c, "at_s", old.warm_at_s),
    )


def _loose_w(o: Outlet) -> float:
    """The power at an outlet where no session is known: the meter needs none. The last one seen, until it
    says otherwise.
    """
    return o.power_w if o.fresh else o.memory.loose_w
