"""This depot's safety table: one row, one hazard. ``facts`` has turned missing readings into worst cases
before they come here.

A trip allows what missing data allows, charging at the proven fallback, and no more: else bad data would
allow less than none.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from v2g_edge.envelope.facts import TURNS, Context, Outlet
from v2g_edge.envelope.table import SITE, Action, Clear, Found, Latch, Row, Scope
from v2g_edge.model.fault import fault_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import NO_SAMPLE, Reading, Unknown, fresh_or, is_fresh, known_or

SOC_HYSTERESIS_PCT: Final = 2.0
"""A vehicle at the lower SoC edge exports again only this far above it, so that it does not chatter there."""
FOLLOWS_S: Final = 5.0
"""So long a permit counts beside the next one: writing, answering and ramping take seconds."""
HEAT_HYSTERESIS_C: Final = 3.0
"""What was too hot must have cooled this far: sensors resolve 1 K, and packs warm by about 1 K a minute at
full power.
"""

Condition = Callable[[Context, Mapping[str, Latch]], list[Any]]
"""Of the context and the row's latches by subject: an answer for every subject, in order, words where it
holds, else false.
"""


def _why(meter: Any) -> str:
    """What the meter itself, or its adapter, says of a value that is missing; "" where the values are only
    old.
    """
    state = meter.state
    values = (state.power_w, *state.phase_power_w, *state.phase_voltage_v, state.frequency_hz)
    return next(
        (f": {value.why}" for value in values if isinstance(value, Unknown) and value != NO_SAMPLE), ""
    )


def _each(scope: Scope, subjects: Callable[[Context], tuple[Any, ...]]) -> Callable[..., Row]:
    """Maker of rows over all outlets, or all meters, or the one site."""

    def make(
        name: str,
        action: Action,
        condition: Condition,
        clear: Clear = "when_gone",
        *,
        override: bool = False,
        allowance: Callable[[Context], float] | None = None,
        proof: Callable[[Context, str], bool] | None = None,
    ) -> Row:
        def check(c: Context, standing: Mapping[str, Latch]) -> Found:
            texts = condition(c, standing)
            found = zip(subjects(c), texts, strict=True) if any(texts) else ()
            present = {i.id: str(text) for i, text in found if text}
            return Found(len(texts), present)

        return Row(name, scope, action, clear, name.replace("_", " "), check, override, allowance, proof)

    return make


_whole = _each("site", lambda _c: (SimpleNamespace(id=SITE),))
_meter = _each("meter", lambda c: c.meters)
_evse = _each("evse", lambda c: c.outlets)


def _site(name: str, action: Action, condition: Callable[[Context], Any], clear: Clear = "when_gone") -> Row:
    return _whole(name, action, lambda c, _: [condition(c)], clear)


def _export_hold(c: Context) -> str:
    if not c.site.grid.export_allowed:
        return "grid.export_allowed = false"
    if c.relay is None or c.grid_meter is None:
        return "export needs a grid contact and a grid meter (grid.relay, grid.meter)"
    return "export held by the operator" if c.snapshot.operator.export_hold else ""


def _relay_open(c: Context) -> str:
    open_now = c.relay is not None and isinstance(c.relay.closed, Reading) and c.relay.closed.value < 0.5
    return f"contact {c.site.grid.relay} is open" if open_now else ""


def _relay_silent(c: Context) -> str:
    max_age_s = c.site.safety.contact_max_age_s
    alive = c.relay is None or is_fresh(c.relay.closed, c.snapshot.now_s, max_age_s)
    return "" if alive else f"contact {c.site.grid.relay} has no sample younger than {max_age_s:g} s"


def _start_window(c: Context) -> str:
    window_hz = c.site.safety.export_start_window_hz
    reading = c.grid_meter.frequency_hz if c.grid_meter else NO_SAMPLE
    hz = fresh_or(reading, c.snapshot.now_s, c.site.safety.meter_max_age_s, 0.0)
    if abs(hz - c.site.grid.nominal_hz) <= window_hz:
        return ""
    return f"frequency is {hz:.3f} Hz (0: unknown), export starts within ±{window_hz:g} Hz of nominal"


def _stopped(o: Outlet, what: str) -> str:
    code, faulted = o.state.fault, o.state.status == "faulted"
    stops = "all" if faulted else fault_of(code).stops if code else ""
    return f"{code or 'status Faulted'}: {fault_of(code).text}" if stops == what else ""


def _disobeys(c: Context, o: Outlet, *, held: bool) -> str:
    # An unknown power never begins this and never ends it. Where the lease has run out, the default profile
    # is what is obeyed. A report is judged by the permits of its own time: a charger that follows each within
    # a tick and reports each 10 s obeys.
    tol_w, (least_w, most_w) = c.site.safety.obey_tolerance_w, _in_force(o)
    if c.snapshot.now_s >= o.state.command.lease_until_s:
        most_w = max(most_w, o.evse.fallback_w)
    between = min(least_w, 0.0) - tol_w <= o.power_w <= max(most_w, 0.0) + tol_w
    if o.state.follows and (between if o.metered else not held):
        return ""
    most_w = max(most_w, 0.0)
    return (
        f"{o.power_w:.0f} W (0: unknown), permit {least_w:.0f} to {most_w:.0f} W, follows: {o.state.follows}"
    )


def _in_force(o: Outlet) -> tuple[float, float]:
    """The span of the permits that were in force when the power was metered, with those of the moment
    before it.
    """
    power, told = o.state.power_w, o.memory.told
    if not isinstance(power, Reading) or not told:
        return o.memory.power_w - o.memory.droop_w, o.memory.power_w + o.memory.droop_w
    if told[-1].since_s <= power.at_s - FOLLOWS_S:
        return told[-1].least_w, told[-1].most_w
    spans = []
    for each in reversed(told):
        if each.since_s <= power.at_s:
            spans.append(each)
        if each.since_s <= power.at_s - FOLLOWS_S:
            break  # it ended what was in force before it
    if len(spans) < 2:
        only = spans[0] if spans else told[0]
        return only.least_w, only.most_w
    return min([each.least_w for each in spans]), max([each.most_w for each in spans])


def _silence(c: Context, o: Outlet) -> str:
    link = o.state.link
    if not link.ever_seen:
        return "has not connected since the controller started"
    silent = f"silent for {c.snapshot.now_s - link.last_seen_s:.0f} s"
    return f"connected, and {silent}" if link.connected else f"not connected, {silent}"


def _takes_nothing(c: Context, o: Outlet) -> str:
    command = o.state.command
    if o.vehicle is None or c.snapshot.now_s <= command.lease_until_s:
        return ""
    return "refuses every limit and charges at its default: power kept for it would be lost"


def _takes(c: Context, subject: str) -> bool:
    o = c.outlets[c.frame.ids.index(subject)]
    return o.vehicle is not None and o.state.command.ack == "accepted"


def _follows(c: Context, subject: str) -> bool:
    """Whether a quarantined charger shows that it follows: a vehicle is there, and its power is metered.
    (Beyond its permit the condition itself would be present.) What it may charge with meanwhile is the
    supervised retry, see ``feeders.exposure_of``.
    """
    o = c.outlets[c.frame.ids.index(subject)]
    return o.vehicle is not None and o.listens and o.metered


def _unauthorised(c: Context, o: Outlet) -> str:
    if o.vehicle is None or o.known is None or o.kind is None or not o.known.may_discharge:
        return f"vehicle {o.vehicle.vehicle or 'unknown'} may not discharge" if o.vehicle else "no vehicle"
    if not o.kind.needs_authorisation:
        return ""
    max_age_s = c.site.safety.authorisation_max_age_s
    granted = fresh_or(o.vehicle.discharge_authorised, c.snapshot.now_s, max_age_s, 0.0) == 1.0
    return "" if granted else f"vehicle {o.known.id} holds no fresh permission to discharge"


def _low(o: Outlet, *, held: bool) -> str:
    if (o.soc_pct or 0.0) > o.floor_pct + (SOC_HYSTERESIS_PCT if held else 0.0):
        return ""
    return f"SoC {'not known' if o.soc_pct is None else f'{o.soc_pct:.1f} %'}, floor {o.floor_pct:.1f} %"


def _deep(o: Outlet, *, held: bool) -> str:
    if o.kind is None or o.memory.event_pct < min(1e-9 if held else ANY_W, o.kind.depth_per_event_pct):
        return ""
    return f"{o.memory.event_pct:.1f} % taken in this event, cap {o.kind.depth_per_event_pct:g} %"


def _worn(o: Outlet) -> str:
    """The warranty's caps that are used up. Where the maker sets one and the ledger is lost, it counts as
    used up.
    """
    v, kind = o.vehicle, o.kind
    if v is None or kind is None:
        return ""
    lives = (v.life_discharge_wh, v.life_discharge_h, v.life_discharge_efc)
    caps = ((kind.warranty_discharge_wh, "Wh"), (kind.warranty_discharge_h, "h"), (kind.warranty_efc, "EFC"))
    used = [
        f"{known_or(life, ANY_W):g} of {cap:g} {unit}"
        for life, (cap, unit) in zip(lives, caps, strict=True)
        if cap < ANY_W and known_or(life, ANY_W) >= cap
    ]
    return f"warranty of {v.vehicle}: {', '.join(used)} used ({ANY_W:g}: unknown)" if used else ""


def _pack_out(o: Outlet, *, held: bool) -> str:
    # A type whose window is wider than any pack (±ANY_W) was commissioned without a temperature report.
    if o.kind is None or o.kind.pack_max_c >= ANY_W:
        return ""
    low_c, high_c, back_c = o.kind.pack_min_c, o.kind.pack_max_c, HEAT_HYSTERESIS_C if held else 0.0
    if low_c + back_c < o.pack_c < high_c - back_c:
        return ""
    told = o.vehicle is not None and o.pack_c == known_or(o.vehicle.pack_c, ANY_W)
    found = f"at {o.pack_c:.1f} °C" if told else "temperature not known"
    return f"pack {found}, window {low_c:g} to {high_c:g} °C"


# fmt: off
A = Action
ROWS: Final[tuple[Row, ...]] = (
    _site("operator_stop", A.ZERO, lambda c: c.snapshot.operator.stop and "stopped by the operator"),
    _site("service_stop", A.ZERO, lambda c: c.snapshot.operator.closing and "the controller's service ends"),
    _site("export_hold", A.EXPORT_OFF, _export_hold),
    _site("grid_relay_open", A.TRIP, _relay_open, "after_enter_service"),
    _site("grid_fault", A.TRIP, lambda c: c.grid.fault, "after_enter_service"),
    _site("grid_relay_silent", A.CHARGE_AT_FALLBACK, _relay_silent),
    _site("momentary_cessation", A.EXPORT_OFF, lambda c: c.grid.cease),
    _site("not_in_service", A.EXPORT_OFF, lambda c: c.grid.share <= 0.0 and c.grid.service),
    _site("start_window", A.NO_NEW_EXPORT, _start_window),
    _site("clock_unsynced", A.EXPORT_OFF, lambda c:
        not c.snapshot.clock_synced and "wall time is not synchronised: departures cannot be proven"),
    _meter("meter_silent", A.CHARGE_AT_FALLBACK, lambda c, _: [not m.alive
        and f"meter {m.id} has no full sample younger than {c.site.safety.meter_max_age_s:g} "
        f"s{_why(m)}" for m in c.meters]),
    _meter("meter_frozen", A.CHARGE_AT_FALLBACK, lambda c, _: [m.state.repeats >= c.site.safety.frozen_reads
        and f"meter {m.id} gave the same answer {m.state.repeats} times in a row" for m in c.meters]),
    _meter("meter_implausible", A.CHARGE_AT_FALLBACK, lambda c,
        held: [(m.odd and f"meter {m.id} reads {m.odd}")
        or (m.id in held and m.missing and f"meter {m.id} was implausible, now readings "
        f"miss") for m in c.meters],
        allowance=lambda c: c.site.safety.balance_within_s),
    _meter("meter_reversed", A.CHARGE_AT_FALLBACK, lambda c, _: [m.against >= TURNS
        and f"meter {m.id} moved against its chargers {m.against} times: transformer "
        f"reversed?" for m in c.meters],
        "by_operator", override=True),
    _evse("charger_silent", A.CHARGE_AT_FALLBACK, lambda c, _: [not o.listens and _silence(c, o)
        for o in c.outlets]),
    _evse("charger_faulted", A.ZERO, lambda c, _: [
        (o.state.fault or o.state.status == "faulted") and _stopped(o, "all") for o in c.outlets]),
    _evse("charger_impaired", A.EXPORT_OFF, lambda c,
        _: [o.state.fault and _stopped(o, "discharge") for o in c.outlets]),
    _evse("ev_connection_lost", A.EXPORT_OFF, lambda c,
        _: [o.state.status in {"available", "unavailable"} and o.vehicle
        and f"charger says {o.state.status} within a session" for o in c.outlets], "when_unplugged"),
    _evse("no_dead_man", A.EXPORT_OFF, lambda c, _: [
        (not o.state.dead_man_ok or o.evse.dead_man == "none" or o.evse.discharge_by == "none") and
        f"no confirmed lease for discharge (dead_man {o.evse.dead_man}, discharge_by "
        f"{o.evse.discharge_by})" for o in c.outlets]),
    _evse("link_quality", A.NO_NEW_EXPORT, lambda c,
        _: [o.state.link.loss_pct > c.site.safety.max_link_loss_pct and
        f"link loses {o.state.link.loss_pct:.1f} %, allowed {c.site.safety.max_link_loss_pct:g} "
        f"%" for o in c.outlets]),
    _evse("disobedient", A.EXPORT_OFF, lambda c,
        held: [_disobeys(c, o, held=o.id in held) for o in c.outlets],
        "by_proof", override=True, allowance=lambda c: c.site.safety.obey_within_s, proof=_follows),
    _evse("limits_not_taken", A.CHARGE_AT_FALLBACK, lambda c,
        _: [o.state.command.ack == "rejected" and _takes_nothing(c, o) for o in c.outlets],
        "by_proof", allowance=lambda c: c.site.safety.obey_within_s, proof=_takes),
    _evse("priority_charging", A.EXPORT_OFF, lambda c, _: [o.state.priority
        and "the station charges with priority, whatever its lease says: counted at its "
        "maximum" for o in c.outlets]),
    _evse("not_authorised", A.EXPORT_OFF, lambda c, _: [_unauthorised(c, o) for o in c.outlets]),
    _evse("departure_unknown", A.EXPORT_OFF, lambda c, _: [(v := o.vehicle) is not None
        and not (isinstance(v.departure_wall_s, Reading) and isinstance(v.target_soc_pct, Reading))
        and "departure or its SoC is not known" for o in c.outlets]),
    _evse("soc_low", A.EXPORT_OFF, lambda c, held: [_low(o, held=o.id in held) for o in c.outlets]),
    _evse("depth_of_event", A.EXPORT_OFF, lambda c, held: [_deep(o, held=o.id in held) for o in c.outlets]),
    _evse("depth_of_day", A.EXPORT_OFF, lambda c,
        _: [o.kind is not None and o.taken_pct >= o.kind.depth_per_day_pct
        and f"{o.taken_pct:.1f} % taken today, cap {o.kind.depth_per_day_pct:g} %" for o in c.outlets]),
    _evse("pack_temperature", A.CHARGE_AT_FALLBACK, lambda c,
        held: [_pack_out(o, held=o.id in held) for o in c.outlets]),
    _evse("cooling_temperature", A.CHARGE_AT_FALLBACK, lambda c, held: [
        o.loop_c >= c.site.safety.cooling_max_c - (HEAT_HYSTERESIS_C if o.id in held else 0.0)
        and f"{o.evse.cooling_loop} at {o.loop_c:.1f} °C (limit if unknown), limit "
        f"{c.site.safety.cooling_max_c:g} °C"
        for o in c.outlets]),
    _evse("soh_floor", A.EXPORT_OFF, lambda c, _: [o.kind is not None and o.vehicle is not None
        and o.kind.soh_floor_pct > 0.0 and o.kind.soh_floor_pct > known_or(o.vehicle.soh_pct, -1.0)
        and f"SoH {known_or(o.vehicle.soh_pct, -1.0):.1f} % (-1: unknown), floor {o.kind.soh_floor_pct:g} "
        f"%" for o in c.outlets]),
    _evse("battery_throughput_exceeded", A.EXPORT_OFF, lambda c, _: [
        o.kind is not None and o.kind.id in c.frame.warranted and _worn(o) for o in c.outlets]),
    _evse("grid_code_mismatch", A.EXPORT_OFF, lambda c, _: [not o.state.grid_code_ok
        and "the charger's programmed grid code differs from the site's" for o in c.outlets]),
    _evse("discharge_withheld", A.EXPORT_OFF, lambda c, _: [o.state.no_discharge for o in c.outlets]),
)
# fmt: on
