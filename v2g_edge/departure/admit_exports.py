"""The second promise kept tick by tick: export only under a certificate, and word of a departure in danger
hours ahead.
"""

from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.departure.charging_power import LearnedPowers, present, watch
from v2g_edge.departure.charging_power import restarted as restarted_draws
from v2g_edge.departure.departures import Certificate, CertificateMemory, Proposal, certify, keep_exports
from v2g_edge.departure.depot import Depot
from v2g_edge.model.event import Event
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, known_or
from v2g_edge.model.snapshot import Snapshot, VehicleState

HOLD_S: Final = 900.0
"""An outlet that was held back for the others' sake is tried again after a slot of the day plan."""

LOOK_EVERY_S: Final = 60.0
"""Without export the fleet's departures are looked at this often: a minute is nothing against the hours of
a departure.
"""

CALM_S: Final = 900.0
"""A departure that was short is told of again only when it was fine for so long: near the edge a charger that
comes and goes would make an alarm of every other look.
"""

IDLE_PCT: Final = 0.5
"""A vehicle that lacks less than this may well be full: SoC is reported in whole percents or halves."""


class DepartureMemory(Struct, frozen=True):
    """``short``: (outlet, Wh) that cannot be had in time if nothing changes, largest first; ``hopeless``: not
    even alone.

    ``refused`` are the outlets whose export the certificate took away at the last tick. ``held``: outlets
    that the rules should not wish to export until ``held_until_s``, so that the others can. ``looked_s`` and
    ``held_until_s`` are wall time. ``draws``: what each vehicle was seen to draw; ``rated`` is the proof
    without what was seen. ``idle`` lack energy and draw nothing though they may; ``overdue`` lack energy and
    should have left. ``alarmed``: (outlet, wall time) of those that were short lately, and were told of.
    """

    certificate: CertificateMemory = CertificateMemory()
    short: tuple[tuple[str, float], ...] = ()
    hopeless: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    held_until_s: float = 0.0
    looked_s: float = -ANY_W
    draws: LearnedPowers = ()
    rated: CertificateMemory = CertificateMemory()
    idle: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    alarmed: tuple[tuple[str, float], ...] = ()


class ExportVerdict(NamedTuple):
    """``refused``: outlets that may not export at this tick, with the reason."""

    refused: dict[str, str]
    events: tuple[Event, ...]
    memory: DepartureMemory


def restarted(memory: DepartureMemory) -> DepartureMemory:
    """For a new process: what vehicles were seen to draw stands, all else is asked anew."""
    return DepartureMemory(draws=restarted_draws(memory.draws))


def admit_exports(
    depot: Depot,
    snapshot: Snapshot,
    wished_w: list[float],
    reserved_w: tuple[float, ...],
    memory: DepartureMemory,
    rates_w: tuple[float, ...] = (),
    lasting_w: tuple[float, ...] = (),
) -> ExportVerdict:
    """Judge the exports among ``wished_w``. ``reserved_w``: what outlets that do not listen may take. Order
    of ``Site.evses``. ``rates_w``: what each might be charged with at the last tick, the envelope's own
    number; () before the first. ``lasting_w``: what of ``reserved_w`` cannot be taken back for others within
    a lease; () for all of it.

    All exports under a full feeder or none: what is judged are the wishes, whatever readings leave of them,
    and a no ends every export there in this tick. So a lost reading can never make room for another outlet's
    export. The rules get the outlets to hold back for the next tick.
    """
    ids, wall_s = depot.frame.ids, snapshot.wall_s
    fleet = _Fleet(reserved_w, lasting_rates(depot, rates_w))
    exports_w = tuple(max(-power_w, 0.0) for power_w in wished_w)
    refused: dict[str, str] = {}
    held = memory.held if 0.0 <= memory.held_until_s - wall_s <= HOLD_S else ()
    memory = replace(memory, held=held)
    if any(exports_w):
        asked = _ask(depot, snapshot, exports_w, fleet, memory)
        verdict = asked.verdict
        out = tuple(evse for evse, w in zip(ids, exports_w, strict=True) if w > 0.0 and verdict.bars(evse))
        refused = dict.fromkeys(out, _why(verdict))
        memory = replace(memory, certificate=asked.proof, rated=asked.rated)
        if not verdict.others:
            kept_w, _, _ = keep_exports(depot, snapshot, asked.proposal, CertificateMemory())
            held = tuple(ids[i] for i, w in enumerate(exports_w) if w > 0.0 >= kept_w[i])
            memory = replace(memory, held=held, held_until_s=wall_s + HOLD_S)
    events = [
        Event("export_refused", "warning", evse, why, wall_s)
        for evse, why in refused.items()
        if evse not in memory.refused
    ]
    if not 0.0 <= wall_s - memory.looked_s < LOOK_EVERY_S:
        memory, told = _look(depot, snapshot, fleet._replace(reserved_w=lasting_w or reserved_w), memory)
        events += told
    return ExportVerdict(
        refused,
        tuple(events),
        replace(memory, refused=tuple(refused), draws=watch(depot.frame, snapshot, memory.draws)),
    )


def lasting_rates(depot: Depot, rates_w: tuple[float, ...]) -> tuple[float, ...]:
    """What each outlet charges with for hours: what it may now, and no more than its cooling loop carries
    in the mean.
    """
    return tuple(map(min, rates_w, depot.lasting_w)) if rates_w else depot.lasting_w


class _Fleet(NamedTuple):
    """What holds for the whole fleet at this tick: see ``Proposal.reserved_w`` and ``lasting_rates``."""

    reserved_w: tuple[float, ...]
    rates_w: tuple[float, ...]


class _Asked(NamedTuple):
    """The verdict, the proposal that it speaks of, and the proofs to go on from."""

    verdict: Certificate
    proposal: Proposal
    proof: CertificateMemory
    rated: CertificateMemory


def _ask(
    depot: Depot, snapshot: Snapshot, exports_w: tuple[float, ...], fleet: _Fleet, memory: DepartureMemory
) -> _Asked:
    """Both ways: as the vehicles were seen to draw, and as their plates say. What was seen can only take
    exports away.

    (Seen alone could allow more: of a vehicle that has become impossible the others need to leave less room.)
    """
    draws = present(memory.draws, snapshot)
    rates_w = fleet.rates_w
    most_w = tuple(
        [
            rate_w if draw is None else min(draw.most_w, rate_w)
            for draw, rate_w in zip(draws, rates_w, strict=True)
        ]
    )
    said_w = tuple(
        [
            rate_w if draw is None else min(draw.reported_w, rate_w)
            for draw, rate_w in zip(draws, rates_w, strict=True)
        ]
    )
    idle = frozenset(i for i, draw in enumerate(draws) if draw is not None and draw.idle)
    proposal = Proposal(exports_w, depot.frame.site.safety.lease_s, fleet.reserved_w, most_w, idle=idle)
    verdict, proof = certify(depot, snapshot, proposal, memory.certificate)
    if not verdict.others or most_w == said_w:
        return _Asked(verdict, proposal, proof, memory.rated)
    plain = proposal._replace(learned_w=said_w)
    second, rated = certify(depot, snapshot, plain, memory.rated, also=proof)
    if not second.others:
        return _Asked(replace(second, impossible=verdict.impossible), plain, proof, rated)
    barred = tuple(dict.fromkeys((*verdict.barred, *second.barred)))
    return _Asked(replace(verdict, feasible=not barred, barred=barred), proposal, proof, rated)


def _look(
    depot: Depot, snapshot: Snapshot, fleet: _Fleet, memory: DepartureMemory
) -> tuple[DepartureMemory, list[Event]]:
    """The fleet's departures without any export: which are in danger, and what of it is new since the last
    look.
    """
    ids, wall_s = depot.frame.ids, snapshot.wall_s
    alone = replace(memory, certificate=CertificateMemory(), rated=CertificateMemory())
    verdict = _ask(depot, snapshot, (0.0,) * len(ids), fleet, alone).verdict
    lacks_pct = [_lacks_pct(state.vehicle) for state in snapshot.evses]
    draws = present(memory.draws, snapshot)
    idle = tuple(
        evse
        for evse, draw, pct in zip(ids, draws, lacks_pct, strict=True)
        if draw and draw.idle and pct > IDLE_PCT
    )
    events = _alarms(verdict, memory, wall_s) + [
        Event(
            "vehicle_not_charging",
            "alarm",
            evse,
            f"draws nothing though it may, and lacks {lacks_pct[ids.index(evse)]:.0f} %: asleep, paused or"
            " badly plugged",
            wall_s,
        )
        for evse in idle
        if evse not in memory.idle
    ]
    hopeless = tuple(each.evse for each in verdict.impossible)
    overdue = tuple(each.evse for each in verdict.impossible if each.in_h <= 0.0)
    plugged = {evse for evse, state in zip(ids, snapshot.evses, strict=True) if state.vehicle is not None}
    since = {evse: at_s for evse, at_s in memory.alarmed if evse in plugged}
    since |= dict.fromkeys([evse for evse, _ in verdict.shortfalls], wall_s)
    return (
        replace(
            memory,
            short=verdict.shortfalls,
            hopeless=hopeless,
            idle=idle,
            overdue=overdue,
            looked_s=wall_s,
            alarmed=tuple((evse, at_s) for evse, at_s in since.items() if 0.0 <= wall_s - at_s < CALM_S),
        ),
        events,
    )


def _lacks_pct(vehicle: VehicleState | None) -> float:
    """What is known to lack; 0 where it is unknown."""
    if vehicle is None or not isinstance(vehicle.target_soc_pct, Reading):
        return 0.0
    return vehicle.target_soc_pct.value - known_or(vehicle.soc_pct, vehicle.target_soc_pct.value)


def _why(verdict: Certificate) -> str:
    if not verdict.shortfalls:
        return f"departures cannot be proven: {verdict.binding}"
    evse, wh = verdict.shortfalls[0]
    more = f" and {len(verdict.shortfalls) - 1} more" if len(verdict.shortfalls) > 1 else ""
    return f"{evse} would lack {wh / 1000.0:.1f} kWh at departure{more}: {verdict.binding}"


def _alarms(verdict: Certificate, memory: DepartureMemory, wall_s: float) -> list[Event]:
    """What is new since the last look: best effort goes on, people learn of it in time to send another
    vehicle.
    """
    known = {evse for evse, at_s in memory.alarmed if 0.0 <= wall_s - at_s < CALM_S}
    events = [
        Event(
            "departure_impossible",
            "alarm",
            each.evse,
            f"departs in {each.in_h:.1f} h and lacks {each.lacks_wh / 1000.0:.1f} kWh even at all the power"
            " it takes from now on",
            wall_s,
        )
        for each in verdict.impossible
        if each.evse not in memory.hopeless and each.in_h > 0.0
    ]
    events += [
        Event(
            "departure_overdue",
            "alarm",
            each.evse,
            f"should have left {-each.in_h:.1f} h ago and lacks {each.lacks_wh / 1000.0:.1f} kWh; it is"
            " charged with all that those leave that can still be in time",
            wall_s,
        )
        for each in verdict.impossible
        if each.evse not in memory.overdue and each.in_h <= 0.0
    ]
    events += [
        Event(
            "departure_short",
            "alarm",
            evse,
            f"lacks {wh / 1000.0:.1f} kWh at departure: {verdict.binding}",
            wall_s,
        )
        for evse, wh in verdict.shortfalls
        if evse not in known
    ]
    return events
