"""A tick in words and numbers: the status of the depot, and why one charger got what it got.

Works on a live tick and on one read back from the journal alike. Results are plain JSON values, ready for the
control socket.
"""

from typing import Any, Final

from v2g_edge.cycle import Outcome
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.orders import narrowed, narrower
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Measured, Reading, is_fresh
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.answer import answer_of, export_answer, say_room
from v2g_edge.study.answer_context import NOTHING, Beside
from v2g_edge.study.feeder_loading import loading_of
from v2g_edge.study.names import find
from v2g_edge.study.outlook import UNKNOWN, charged_of, outlook_of
from v2g_edge.study.rows import attention_of, brief_of, risks_of


def describe_status(
    site: Site, snapshot: Snapshot, plan: Plan | None, outcome: Outcome, beside: Beside | None = None
) -> dict[str, Any]:
    """The whole depot at one tick: grid, plan, what needs a person, what acts, and a row per outlet. Unknown
    values are null.

    ``beside`` None: without the words and estimates for people, which take time (telemetry).
    """
    site = in_force(site, snapshot)
    meter = snapshot.meters[site.meters.index(site.grid.meter)] if site.grid.meter else None
    relay = snapshot.contacts[site.contacts.index(site.grid.relay)] if site.grid.relay else None
    return {
        "site": site.name,
        "timezone": site.timezone,
        "seq": snapshot.seq,
        "wall_s": snapshot.wall_s,
        "clock_synced": snapshot.clock_synced,
        "grid": {
            "power_w": _value(meter.power_w) if meter else None,
            "frequency_hz": _value(meter.frequency_hz) if meter else None,
            "voltage_v": [_value(v) for v in meter.phase_voltage_v] if meter else None,
            "relay_closed": _value(relay.closed) == 1.0
            if relay and isinstance(relay.closed, Reading)
            else None,
        },
        "plan": {"source": plan.source, "revision": plan.revision, "until_wall_s": plan.valid_until_wall_s}
        if plan
        else None,
        "operator": {"stop": snapshot.operator.stop, "export_hold": snapshot.operator.export_hold},
        "attention": attention_of(site, snapshot, outcome, beside) if beside is not None else [],
        "acting": [
            {"row": latch.row, "subject": latch.subject, "text": latch.text, "present": latch.present}
            for latch in outcome.memory.envelope.latches
            if latch.active
        ],
        "contactor": outcome.contactor,
        "feeders": _feeders(site, snapshot, outcome) if beside is not None else [],
        "evses": [_row(site, snapshot, plan, outcome, index, beside) for index in range(len(site.evses))],
    }


def _feeders(site: Site, snapshot: Snapshot, outcome: Outcome) -> list[dict[str, Any]]:
    """How full each feeder is in the import direction; ``power_w`` is its meter's, null without one."""
    found = []
    for feeder in site.feeders:
        loading = loading_of(site, snapshot, outcome, feeder)
        meter = snapshot.meters[site.meters.index(feeder.meter)] if feeder.meter else None
        found.append(
            {
                "id": feeder.id,
                "parent": feeder.parent,
                "power_w": _value(meter.power_w) if meter else None,
                "import_limit_w": feeder.import_limit_w,
                "held_w": round(loading.limit_w - loading.free_w, 1),
                "free_w": round(loading.free_w, 1),
            }
        )
    return found


def _row(
    site: Site, snapshot: Snapshot, plan: Plan | None, outcome: Outcome, index: int, beside: Beside | None
) -> dict[str, Any]:
    evse, state, permit = site.evses[index], snapshot.evses[index], outcome.permits[index]
    vehicle = state.vehicle
    outlook, why = UNKNOWN, ""
    charged = charged_of(site, state, index)
    if beside is not None:
        outlook = outlook_of(site, snapshot, plan, index, full_power(site, snapshot, outcome, index))
        why = brief_of(site, snapshot, outcome, index, outlook, beside)
    return {
        "id": evse.id,
        "connected": state.link.connected,
        "status": state.status,
        "fault": state.fault,
        "vehicle": vehicle.vehicle if vehicle else None,
        "soc_pct": _value(vehicle.soc_pct) if vehicle else None,
        "target_soc_pct": _value(vehicle.target_soc_pct) if vehicle else None,
        "charged_wh": charged[0] if charged else None,
        "target_wh": charged[1] if charged else None,
        "departure_wall_s": _value(vehicle.departure_wall_s) if vehicle else None,
        "ready_wall_s": outlook.ready_wall_s,
        "leaves_with_pct": outlook.leaves_with_pct,
        "why": why,
        "power_w": _power(site, snapshot, index),
        "takes_w": _takes(snapshot, outcome, index),
        "permit_w": permit.power_w,
        "wish_w": permit.wish_w,
        "ack": state.command.ack,
        "bound_by": permit.bound_by.rule,
        "source": permit.bound_by.source,
        "risks": risks_of(site, snapshot, outcome, index),
    }


def full_power(site: Site, snapshot: Snapshot, outcome: Outcome, index: int) -> float:
    """The most that an outlet's vehicle gets when it charges, for an estimate."""
    takes_w = _takes(snapshot, outcome, index)
    feeders = {feeder.id: feeder.import_limit_w for feeder in site.feeders}
    evse = site.evses[index]
    return min(evse.max_charge_w, feeders[evse.feeder], takes_w if takes_w is not None else evse.max_charge_w)


def _power(site: Site, snapshot: Snapshot, index: int) -> float | None:
    """What flows at an outlet with a vehicle; an old report, or one of a vehicle that has left, says
    nothing about now.
    """
    state = snapshot.evses[index]
    fresh = is_fresh(state.power_w, snapshot.now_s, site.safety.charger_max_age_s)
    return _value(state.power_w) if fresh and state.vehicle is not None else None


def _takes(snapshot: Snapshot, outcome: Outcome, index: int) -> float | None:
    """The most that the vehicle takes, by its own word or as it was seen; None where nothing is known
    beyond the plate.
    """
    vehicle, draws = snapshot.evses[index].vehicle, outcome.memory.envelope.departures.draws
    draw = draws[index] if draws else None
    known = (
        vehicle is not None and draw is not None and draw.session == vehicle.session and draw.most_w < ANY_W
    )
    return draw.most_w if known and draw is not None else None


def in_force(site: Site, snapshot: Snapshot) -> Site:
    """The site with the limits that orders and windows set at this time: what the tick was decided by."""
    return narrower(site, narrowed(snapshot.operator.orders))


EXPORT: Final = frozenset({"export", "v2g", "discharge"})
"""Asked of nothing by name: why so little flows out."""


def describe_answer(
    site: Site, snapshot: Snapshot, plan: Plan | None, outcome: Outcome, asked: str, beside: Beside = NOTHING
) -> dict[str, Any]:
    """Why an outlet, vehicle, station or feeder is as it is, or ``export``: sentences first, then the limits
    of each outlet.

    With one outlet its own fields (``describe_why``) stand at the top too. KeyError, with what was meant, for
    an unknown name.
    """
    head = {"asked": asked, "wall_s": snapshot.wall_s, "seq": snapshot.seq, "timezone": site.timezone}
    if asked.lower() in EXPORT:
        answer = export_answer(site, snapshot, outcome, beside)
        return {**head, "kind": "export", "name": "export", "answer": answer, "outlets": []}
    site = in_force(site, snapshot)
    named = find(site, snapshot, beside, asked)
    head |= {"kind": named.kind, "name": named.name}
    if named.kind == "feeder":
        feeder = next(each for each in site.feeders if each.id == named.name)
        return {**head, "answer": say_room(site, snapshot, outcome, feeder), "outlets": []}
    if not named.outlets:
        return {**head, "answer": [f"{named.name} is not plugged in."], "outlets": []}
    lines, whys = [], []
    for index in named.outlets:
        outlook = outlook_of(site, snapshot, plan, index, full_power(site, snapshot, outcome, index))
        lines += answer_of(site, snapshot, plan, outcome, index, outlook, beside)
        whys.append(describe_why(site, snapshot, outcome, site.evses[index].id))
    top = whys[0] if len(whys) == 1 else {}
    return {**top, **head, "answer": lines, "outlets": whys}


def describe_why(site: Site, snapshot: Snapshot, outcome: Outcome, evse_id: str) -> dict[str, Any]:
    """Every limit on one outlet at one tick, and the one that binds. KeyError, with the ids there are, for
    an unknown outlet.
    """
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
        "risks": risks_of(site, snapshot, outcome, index),
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
