"""The second promise kept tick by tick: export only under a certificate, and word of a departure in danger hours ahead."""

from typing import Final, NamedTuple

from msgspec import Struct

from v2g_edge.departure.departures import Certificate, CertificateMemory, Depot, Proposal, certify, keep_exports
from v2g_edge.model.event import Event
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.snapshot import Snapshot

LOOK_EVERY_S: Final = 60.0
"""Without export the fleet's departures are looked at this often: a minute is nothing against the hours of a departure."""


class DepartureMemory(Struct, frozen=True):
    """``short``: (outlet, Wh) that cannot be had in time if nothing changes, largest first; ``hopeless``: not even alone.

    ``refused`` are the outlets whose export the certificate took away at the last tick; ``looked_s`` is wall time.
    """

    certificate: CertificateMemory = CertificateMemory()
    short: tuple[tuple[str, float], ...] = ()
    hopeless: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    looked_s: float = -ANY_W


class Kept(NamedTuple):
    """``refused``: outlets that may not export at this tick, with the reason."""

    refused: dict[str, str]
    events: tuple[Event, ...]
    memory: DepartureMemory


def keep_departures(
    depot: Depot, snapshot: Snapshot, powers_w: list[float], reserved_w: tuple[float, ...], memory: DepartureMemory
) -> Kept:
    """Judge the exports among ``powers_w``. ``reserved_w``: what outlets that do not listen may take. Order of ``Site.evses``."""
    ids = depot.frame.ids
    learned_w = (ANY_W,) * len(ids)
    exports_w = tuple(max(-power_w, 0.0) for power_w in powers_w)
    lease_s = depot.frame.site.safety.lease_s
    proposal = Proposal(exports_w, lease_s, reserved_w, learned_w)
    refused: dict[str, str] = {}
    proof = memory.certificate
    if any(exports_w):
        kept_w, verdict, proof = keep_exports(depot, snapshot, proposal, proof)
        why = _why(verdict)
        refused = {ids[i]: why for i, w in enumerate(exports_w) if w > 0.0 >= kept_w[i]}
    events = [
        Event("export_refused", "warning", evse, why, snapshot.wall_s)
        for evse, why in refused.items()
        if evse not in memory.refused
    ]
    short, hopeless, looked_s = memory.short, memory.hopeless, memory.looked_s
    if not 0.0 <= snapshot.wall_s - looked_s < LOOK_EVERY_S:
        idle = proposal._replace(exports_w=(0.0,) * len(ids))
        verdict, _ = certify(depot, snapshot, idle, CertificateMemory())
        short, hopeless, looked_s = verdict.shortfalls, tuple(i.evse for i in verdict.impossible), snapshot.wall_s
        events += _alarms(verdict, memory, snapshot.wall_s)
    return Kept(refused, tuple(events), DepartureMemory(proof, short, hopeless, tuple(refused), looked_s))


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
