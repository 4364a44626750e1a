"""A tick in words and numbers: the status of the depot, and why one charger got what it got.

Works on a live tick and on one read back from the journal alike. Results are plain JSON values, ready for the control socket.
"""

from typing import Any

from v2g_edge.cycle import Outcome
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Measured, Reading, is_fresh
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
        "power_w": _power(site, snapshot, index),
        "takes_w": _takes(snapshot, outcome, index),
        "permit_w": permit.power_w,
        "wish_w": permit.wish_w,
        "ack": state.command.ack,
        "bound_by": permit.bound_by.rule,
        "source": permit.bound_by.source,
        "risks": _risks(evse.id, snapshot, outcome, index),
    }


def _power(site: Site, snapshot: Snapshot, index: int) -> float | None:
    """What flows at an outlet with a vehicle; an old report, or one of a vehicle that has left, says nothing about now."""
    state = snapshot.evses[index]
    fresh = is_fresh(state.power_w, snapshot.now_s, site.safety.charger_max_age_s)
    return _value(state.power_w) if fresh and state.vehicle is not None else None


def _takes(snapshot: Snapshot, outcome: Outcome, index: int) -> float | None:
    """The most that the vehicle takes, by its own word or as it was seen; None where nothing is known beyond the plate."""
    vehicle, draws = snapshot.evses[index].vehicle, outcome.memory.envelope.departures.draws
    draw = draws[index] if draws else None
    known = vehicle is not None and draw is not None and draw.session == vehicle.session and draw.most_w < ANY_W
    return draw.most_w if known and draw is not None else None


def _risks(evse: str, snapshot: Snapshot, outcome: Outcome, index: int) -> list[str]:
    """What endangers this departure: "overdue", "impossible", "short", "not_charging"; as of the last look at the fleet."""
    vehicle, told = snapshot.evses[index].vehicle, outcome.memory.envelope.departures
    if vehicle is None:
        return []
    departs_s = _value(vehicle.departure_wall_s)
    overdue = snapshot.clock_synced and departs_s is not None and departs_s < snapshot.wall_s
    found = {
        "overdue": overdue,
        "impossible": evse in told.hopeless and not overdue,
        "short": any(evse == short for short, _ in told.short),
        "not_charging": evse in told.idle,
    }
    return [risk for risk, there in found.items() if there]


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
        "droop_w": permit.droop_w,
        "room_w": [permit.min_w, permit.max_w],
        "valid_for_s": permit.valid_for_s,
        "measured_w": _power(site, snapshot, index),
        "takes_w": _takes(snapshot, outcome, index),
        "risks": _risks(evse_id, snapshot, outcome, index),
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
