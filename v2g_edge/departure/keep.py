"""The second promise kept tick by tick: export only under a certificate, and word of a departure in danger hours ahead."""

from typing import Final, NamedTuple

from msgspec import Struct

from v2g_edge.departure.departures import Certificate, CertificateMemory, Depot, Proposal, certify, keep_exports
from v2g_edge.model.event import Event
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.snapshot import Snapshot

HOLD_S: Final = 900.0
"""Who was held back for the others' sake is tried again after a slot of the day plan."""

LOOK_EVERY_S: Final = 60.0
"""Without export the fleet's departures are looked at this often: a minute is nothing against the hours of a departure."""


class DepartureMemory(Struct, frozen=True):
    """``short``: (outlet, Wh) that cannot be had in time if nothing changes, largest first; ``hopeless``: not even alone.

    ``refused`` are the outlets whose export the certificate took away at the last tick. ``held``: outlets that the rules should
    not wish to export until ``held_until_s``, so that the others can. ``looked_s`` and ``held_until_s`` are wall time.
    """

    certificate: CertificateMemory = CertificateMemory()
    short: tuple[tuple[str, float], ...] = ()
    hopeless: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    held_until_s: float = 0.0
    looked_s: float = -ANY_W


class Kept(NamedTuple):
    """``refused``: outlets that may not export at this tick, with the reason."""

    refused: dict[str, str]
    events: tuple[Event, ...]
    memory: DepartureMemory


def keep_departures(
    depot: Depot, snapshot: Snapshot, wished_w: list[float], reserved_w: tuple[float, ...], memory: DepartureMemory
) -> Kept:
    """Judge the exports among ``wished_w``. ``reserved_w``: what outlets that do not listen may take. Order of ``Site.evses``.

    All exports or none: what is judged are the wishes, whatever readings leave of them, and a no ends every export of this tick.
    So a lost reading can never make room for another outlet's export. Whom to hold back is told to the rules for the next tick.
    """
    ids, wall_s = depot.frame.ids, snapshot.wall_s
    exports_w = tuple(max(-power_w, 0.0) for power_w in wished_w)
    proposal = Proposal(exports_w, depot.frame.site.safety.lease_s, reserved_w, (ANY_W,) * len(ids))
    refused: dict[str, str] = {}
    proof, held, held_until_s = memory.certificate, memory.held, memory.held_until_s
    if held and not 0.0 <= held_until_s - wall_s <= HOLD_S:
        held = ()
    if any(exports_w):
        verdict, proof = certify(depot, snapshot, proposal, proof)
        out = verdict.barred if verdict.others else tuple(evse for evse, w in zip(ids, exports_w, strict=True) if w > 0.0)
        refused = dict.fromkeys(out, _why(verdict))
        if not verdict.others:
            kept_w, _, _ = keep_exports(depot, snapshot, proposal, CertificateMemory())
            held, held_until_s = tuple(ids[i] for i, w in enumerate(exports_w) if w > 0.0 >= kept_w[i]), wall_s + HOLD_S
    events = [
        Event("export_refused", "warning", evse, why, wall_s) for evse, why in refused.items() if evse not in memory.refused
    ]
    short, hopeless, looked_s = memory.short, memory.hopeless, memory.looked_s
    if not 0.0 <= wall_s - looked_s < LOOK_EVERY_S:
        idle = proposal._replace(exports_w=(0.0,) * len(ids))
        verdict, _ = certify(depot, snapshot, idle, CertificateMemory())
        short, hopeless, looked_s = verdict.shortfalls, tuple(each.evse for each in verdict.impossible), wall_s
        events += _alarms(verdict, memory, wall_s)
    return Kept(refused, tuple(events), DepartureMemory(proof, short, hopeless, tuple(refused), held, held_until_s, looked_s))


def _why(verdict: Certificate) -> str:
    if not verdict.shortfalls:
        return f"departures cannot be proven: {verdict.binding}"
    evse, wh = verdict.shortfalls[0]
    more = f" and {len(verdict.shortfalls) - 1} more" if len(verdict.shortfalls) > 1 else ""
    return f"{evse} would lack {wh / 1000.0:.1f} kWh at departure{more}: {verdict.binding}"


def _alarms(verdict: Certificate, memory: DepartureMemory, wall_s: float) -> list[Event]:
    """What is new since the last look: best effort goes on, people hear of it in time to send another vehicle."""
    known = {evse for evse, _ in memory.short}
    events = [
        Event(
            "departure_impossible",
            "alarm",
            each.evse,
            f"departs in {each.in_h:.1f} h and lacks {each.lacks_wh / 1000.0:.1f} kWh even at full power from now on",
            wall_s,
        )
        for each in verdict.impossible
        if each.evse not in memory.hopeless
    ]
    events += [
        Event("departure_short", "alarm", evse, f"lacks {wh / 1000.0:.1f} kWh at departure: {verdict.binding}", wall_s)
        for evse, wh in verdict.shortfalls
        if evse not in known
    ]
    return events
