"""A tick in words and numbers: the status of the depot, and why one charger got what it got.

Works on a live tick and on one read back from the journal alike. Results are plain JSON values, ready for the control socket.
"""

from typing import Any

from v2g_edge.cycle import Outcome
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot


def describe_status(site: Site, snapshot: Snapshot, plan: Plan | None, outcome: Outcome) -> dict[str, Any]:
    """The whole depot at one tick: grid, plan, what acts on it, and a row per outlet. Unknown values are null."""
    meter = snapshot.meters[site.meters.index(site.grid.meter)] if site.grid.meter else None
    relay = snapshot.contacts[site.contacts.index(site.grid.relay)] if site.grid.relay else None
    return {
        "site": site.name,
        "seq": snapshot.seq,
        "wall_s": snapshot.wall_s,
        "clock_synced": snapshot.clock_synced,
        "grid": {
            "power_w": _value(meter.power_w) if meter else None,
            "frequency_hz": _value(meter.frequency_hz) if meter else None,
            "voltage_v": [_value(v) for v in meter.phase_voltage_v] if meter else None,
            "relay_closed": _value(relay.closed) == 1.0 if relay and isinstance(relay.closed, Reading) else None,
        },
        "plan": {"source": plan.source, "revision": plan.revision, "until_wall_s": plan.valid_until_wall_s} if plan else None,
        "operator": {"stop": snapshot.operator.stop, "export_hold": snapshot.operator.export_hold},
        "acting": [
            {"row": latch.row, "subject": latch.subject, "text": latch.text, "present": latch.present}
            for latch in outcome.memory.envelope.latches
            if latch.active
        ],
        "contactor": outcome.contactor,
        "evses": [_row(site, snapshot, outcome, index) for index in range(len(site.evses))],
    }


def _row(site: Site, snapshot: Snapshot, outcome: Outcome, index: int) -> dict[str, Any]:
    evse, state, permit = site.evses[index], snapshot.evses[index], outcome.permits[index]
    vehicle = state.vehicle
    return {
        "id": evse.id,
        "connected": state.link.connected,
        "status": state.status,
        "fault": state.fault,
        "vehicle": vehicle.vehicle if vehicle else None,
        "soc_pct": _value(vehicle.soc_pct) if vehicle else None,
        "target_soc_pct": _value(vehicle.target_soc_pct) if vehicle else None,
        "departure_wall_s": _value(vehicle.departure_wall_s) if vehicle else None,
        "power_w": _value(state.power_w),
        "permit_w": permit.power_w,
        "wish_w": permit.wish_w,
        "ack": state.command.ack,
        "bound_by": permit.bound_by.rule,
        "source": permit.bound_by.source,
    }


def describe_why(site: Site, snapshot: Snapshot, outcome: Outcome, evse_id: str) -> dict[str, Any]:
    """Every limit on one outlet at one tick, and the one that binds. KeyError, with the ids there are, for an unknown outlet."""
    ids = [evse.id for evse in site.evses]
    if evse_id not in ids:
        raise KeyError(f"no outlet {evse_id!r} on this site; there are {', '.join(ids)}")
    index = ids.index(evse_id)
    permit = outcome.permits[index]
    wish = next((wish for wish in outcome.wishes if wish.evse == evse_id), None)
    limits = [_limit(bound, permit.bound_by) for bound in outcome.bounds[index]]
    if permit.bound_by not in outcome.bounds[index]:
        limits.append(_limit(permit.bound_by, permit.bound_by))
    return {
        "evse": evse_id,
        "wall_s": snapshot.wall_s,
        "seq": snapshot.seq,
        "wish_w": permit.wish_w,
        "reason": wish.reason if wish else "no vehicle",
        "permit_w": permit.power_w,
        "room_w": [permit.min_w, permit.max_w],
        "valid_for_s": permit.valid_for_s,
        "measured_w": _value(snapshot.evses[index].power_w),
        "ack": snapshot.evses[index].command.ack,
        "limits": limits,
    }


def _limit(bound: Bound, binding: Bound) -> dict[str, Any]:
    return {
        "rule": bound.rule,
        "min_w": bound.min_w if bound.min_w > -ANY_W else None,
        "max_w": bound.max_w if bound.max_w < ANY_W else None,
        "source": bound.source,
        "binds": bound == binding,
    }


def _value(measured: Measured) -> float | None:
    return measured.value if isinstance(measured, Reading) else None
