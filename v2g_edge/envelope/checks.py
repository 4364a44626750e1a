"""This depot's safety table. Each check looks at every subject of its scope, every tick, and says where its condition holds.

A reading that is missing or old counts as the worst one that row could see: that is what makes the whole monotone
(design 4.10). For the same reason a trip allows what missing data allows, charging at the proven fallback, and no more.
"""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from v2g_edge.envelope.memory import EvseMemory
from v2g_edge.envelope.table import SITE, Action, Found, Row
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, fresh_or, is_fresh
from v2g_edge.model.site import Evse, Site, Vehicle, VehicleType
from v2g_edge.model.snapshot import ContactState, EvseState, MeterState, Snapshot, VehicleState

SOC_HYSTERESIS_PCT: Final = 2.0
"""A charger at the lower SoC edge exports again only this far above it, so that it does not chatter there."""


class Outlet(NamedTuple):
    """One outlet with all that is known of it at this tick. ``kind`` and ``known`` are None for an unknown vehicle.

    ``meters`` are the indices of the feeder meters above it, the grid meter apart.
    """

    evse: Evse
    state: EvseState
    memory: EvseMemory
    vehicle: VehicleState | None
    known: Vehicle | None
    kind: VehicleType | None
    meters: tuple[int, ...]


class Grid(NamedTuple):
    """The verdict on the grid connection: why it trips, why export ceases for a moment, and how far it is back in service."""

    fault: str
    cease: str
    service: str
    share: float


class Context(NamedTuple):
    """What the checks see. ``grid_meter`` and ``relay`` are None where the site has none: then nothing is ever exported."""

    site: Site
    snapshot: Snapshot
    outlets: tuple[Outlet, ...]
    grid_meter: MeterState | None
    relay: ContactState | None
    grid: Grid


def _site(condition: Callable[[Context], str]) -> Callable[[Context, Collection[str]], Found]:
    def check(context: Context, _active: Collection[str]) -> Found:
        text = condition(context)
        return Found(1, {SITE: text} if text else {})

    return check


def _evse(condition: Callable[[Context, Outlet, bool], str]) -> Callable[[Context, Collection[str]], Found]:
    def check(context: Context, active: Collection[str]) -> Found:
        present: dict[str, str] = {}
        for outlet in context.outlets:
            text = condition(context, outlet, outlet.evse.id in active)
            if text:
                present[outlet.evse.id] = text
        return Found(len(context.outlets), present)

    return check


def _operator_stop(c: Context) -> str:
    return "stopped by the operator" if c.snapshot.operator.stop else ""


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
    if c.relay is None:
        return ""
    max_age_s = c.site.safety.contact_max_age_s
    if is_fresh(c.relay.closed, c.snapshot.now_s, max_age_s):
        return ""
    return f"contact {c.site.grid.relay} has no sample younger than {max_age_s:g} s"


def _meter_silent(c: Context) -> str:
    if c.grid_meter is None:
        return ""
    meter, now_s, max_age_s = c.grid_meter, c.snapshot.now_s, c.site.safety.meter_max_age_s
    wanted = (meter.power_w, meter.frequency_hz, *meter.phase_voltage_v)
    if not all(is_fresh(reading, now_s, max_age_s) for reading in wanted):
        return f"meter {c.site.grid.meter} has no full sample younger than {max_age_s:g} s"
    return ""


def _meter_frozen(c: Context) -> str:
    repeats = c.grid_meter.repeats if c.grid_meter else 0
    if repeats >= c.site.safety.frozen_reads:
        return f"meter {c.site.grid.meter} has answered the same {repeats} times in a row"
    return ""


def _grid_fault(c: Context) -> str:
    return c.grid.fault


def _cessation(c: Context) -> str:
    return c.grid.cease


def _not_in_service(c: Context) -> str:
    return "" if c.grid.share > 0.0 else c.grid.service


def _outside_start_window(c: Context) -> str:
    window_hz = c.site.safety.export_start_window_hz
    hz = fresh_or(c.grid_meter.frequency_hz, c.snapshot.now_s, c.site.safety.meter_max_age_s, 0.0) if c.grid_meter else 0.0
    off_hz = hz - c.site.grid.nominal_hz
    return (
        "" if abs(off_hz) <= window_hz else f"frequency is {off_hz:+.3f} Hz off nominal, export starts within ±{window_hz:g} Hz"
    )


def _clock_unsynced(c: Context) -> str:
    return "" if c.snapshot.clock_synced else "wall time is not synchronised: departures cannot be proven"


def _silent(c: Context, o: Outlet, _active: bool) -> str:
    link = o.state.link
    age_s = c.snapshot.now_s - link.last_seen_s
    if link.connected and 0.0 <= age_s <= c.site.safety.charger_max_age_s:
        return ""
    return f"charger silent for {age_s:.0f} s" if link.ever_seen else "charger has not connected yet"


def _feeder_meter_silent(c: Context, o: Outlet, _active: bool) -> str:
    for i in o.meters:
        meter = c.snapshot.meters[i]
        if not is_fresh(meter.power_w, c.snapshot.now_s, c.site.safety.meter_max_age_s):
            return f"feeder meter {c.site.meters[i]} has no sample younger than {c.site.safety.meter_max_age_s:g} s"
        if meter.repeats >= c.site.safety.frozen_reads:
            return f"feeder meter {c.site.meters[i]} has answered the same {meter.repeats} times in a row"
    return ""


def _faulted(_c: Context, o: Outlet, _active: bool) -> str:
    return f"charger fault {o.state.fault or 'status Faulted'}" if o.state.fault or o.state.status == "faulted" else ""


def _no_dead_man(_c: Context, o: Outlet, _active: bool) -> str:
    if o.evse.dead_man == "none" or o.evse.discharge_by == "none":
        return "charger cannot discharge under a lease (dead_man, discharge_by)"
    return "" if o.state.dead_man_ok else f"dead-man {o.evse.dead_man} is not confirmed by the charger"


def _lossy_link(c: Context, o: Outlet, _active: bool) -> str:
    loss_pct, limit_pct = o.state.link.loss_pct, c.site.safety.max_link_loss_pct
    return f"link loses {loss_pct:.1f} %, allowed {limit_pct:g} %" if loss_pct > limit_pct else ""


def _disobedient(c: Context, o: Outlet, _active: bool) -> str:
    if not isinstance(o.state.power_w, Reading) or not o.state.link.connected:
        return ""
    power_w, permit_w, slack_w = o.state.power_w.value, o.memory.power_w, c.site.safety.obey_tolerance_w
    if min(permit_w, 0.0) - slack_w <= power_w <= max(permit_w, 0.0) + slack_w:
        return ""
    return f"measured {power_w:.0f} W against a permit of {permit_w:.0f} W"


def _not_authorised(_c: Context, o: Outlet, _active: bool) -> str:
    if o.vehicle is None:
        return "no vehicle"
    if o.known is None or o.kind is None:
        return f"vehicle {o.vehicle.vehicle or '?'} is not known to the site"
    return "" if o.known.may_discharge else f"vehicle {o.known.id} may not discharge"


def _departure_unknown(_c: Context, o: Outlet, _active: bool) -> str:
    if o.vehicle is None:
        return ""
    said = isinstance(o.vehicle.departure_wall_s, Reading) and isinstance(o.vehicle.target_soc_pct, Reading)
    return "" if said else "departure or its SoC is not known"


def _soc_low(c: Context, o: Outlet, active: bool) -> str:
    if o.vehicle is None or o.kind is None:
        return ""
    floor_pct = o.kind.min_soc_pct + (o.known.reserve_soc_pct if o.known else 0.0) + (SOC_HYSTERESIS_PCT if active else 0.0)
    soc_pct = fresh_or(o.vehicle.soc_pct, c.snapshot.now_s, c.site.safety.soc_max_age_s, 0.0)
    if soc_pct > floor_pct:
        return ""
    return f"SoC {soc_pct:.1f} %, floor {floor_pct:.1f} %" if soc_pct else "SoC missing or old"


def _soc_high(c: Context, o: Outlet, _active: bool) -> str:
    # A vehicle type without an upper edge leaves the top to the battery's own management.
    if o.vehicle is None or o.kind is None or o.kind.max_soc_pct >= 100.0:
        return ""
    soc_pct = fresh_or(o.vehicle.soc_pct, c.snapshot.now_s, c.site.safety.soc_max_age_s, 100.0)
    return f"SoC {soc_pct:.1f} % (100 if unknown), ceiling {o.kind.max_soc_pct:.1f} %" if soc_pct >= o.kind.max_soc_pct else ""


def _depth_of_event(c: Context, o: Outlet, active: bool) -> str:
    if o.vehicle is None or o.kind is None:
        return ""
    soc_pct = fresh_or(o.vehicle.soc_pct, c.snapshot.now_s, c.site.safety.soc_max_age_s, 0.0)
    taken_pct, cap_pct = o.memory.event_soc_pct - soc_pct, o.kind.depth_per_event_pct
    return (
        f"{taken_pct:.1f} % taken in this event, cap {cap_pct:g} %" if taken_pct >= cap_pct or (active and taken_pct > 0) else ""
    )


def _depth_of_day(_c: Context, o: Outlet, _active: bool) -> str:
    if o.vehicle is None or o.kind is None:
        return ""
    taken_pct, cap_pct = o.memory.day_out_pct, o.kind.depth_per_day_pct
    return f"{taken_pct:.1f} % taken today, cap {cap_pct:g} %" if taken_pct >= cap_pct else ""


def _pack_temperature(c: Context, o: Outlet, _active: bool) -> str:
    # A type whose window is wider than any pack (±ANY) was commissioned without a temperature report.
    if o.vehicle is None or o.kind is None or o.kind.pack_max_c >= ANY_W:
        return ""
    pack_c = fresh_or(o.vehicle.pack_c, c.snapshot.now_s, c.site.safety.temperature_max_age_s, o.kind.pack_max_c)
    if o.kind.pack_min_c < pack_c < o.kind.pack_max_c:
        return ""
    return f"pack at {pack_c:.1f} °C (limit if unknown), window {o.kind.pack_min_c:g} to {o.kind.pack_max_c:g} °C"


def _wrong_grid_code(_c: Context, o: Outlet, _active: bool) -> str:
    return "" if o.state.grid_code_ok else "the charger's programmed grid code differs from the site's"


def _obey_allowance(c: Context) -> float:
    return c.site.safety.obey_within_s


ROWS: Final[tuple[Row, ...]] = (
    Row("operator_stop", "site", Action.ZERO, "when_gone", "operator stop", False, _site(_operator_stop)),
    Row("export_hold", "site", Action.EXPORT_OFF, "when_gone", "export not allowed", False, _site(_export_hold)),
    Row("grid_relay_open", "site", Action.TRIP, "after_enter_service", "grid contact open", False, _site(_relay_open)),
    Row("grid_fault", "site", Action.TRIP, "after_enter_service", "grid outside its code", False, _site(_grid_fault)),
    Row("grid_relay_silent", "site", Action.CHARGE_AT_FALLBACK, "when_gone", "grid contact silent", False, _site(_relay_silent)),
    Row("grid_meter_silent", "site", Action.CHARGE_AT_FALLBACK, "when_gone", "grid meter silent", False, _site(_meter_silent)),
    Row("grid_meter_frozen", "site", Action.CHARGE_AT_FALLBACK, "when_gone", "grid meter frozen", False, _site(_meter_frozen)),
    Row("momentary_cessation", "site", Action.EXPORT_OFF, "when_gone", "momentary cessation", False, _site(_cessation)),
    Row("not_in_service", "site", Action.EXPORT_OFF, "when_gone", "enter service", False, _site(_not_in_service)),
    Row("start_window", "site", Action.NO_NEW_EXPORT, "when_gone", "export start window", False, _site(_outside_start_window)),
    Row("clock_unsynced", "site", Action.EXPORT_OFF, "when_gone", "clock not synchronised", False, _site(_clock_unsynced)),
    Row("charger_silent", "evse", Action.CHARGE_AT_FALLBACK, "when_gone", "charger silent", False, _evse(_silent)),
    Row(
        "feeder_meter", "evse", Action.CHARGE_AT_FALLBACK, "when_gone", "feeder meter silent", False, _evse(_feeder_meter_silent)
    ),
    Row("charger_faulted", "evse", Action.ZERO, "when_gone", "charger fault", False, _evse(_faulted)),
    Row("no_dead_man", "evse", Action.EXPORT_OFF, "when_gone", "no dead-man", False, _evse(_no_dead_man)),
    Row("link_quality", "evse", Action.NO_NEW_EXPORT, "when_gone", "link quality", False, _evse(_lossy_link)),
    Row(
        "disobedient",
        "evse",
        Action.EXPORT_OFF,
        "by_operator",
        "charger does not follow",
        True,
        _evse(_disobedient),
        _obey_allowance,
    ),
    Row("not_authorised", "evse", Action.EXPORT_OFF, "when_gone", "discharge not authorised", False, _evse(_not_authorised)),
    Row("departure_unknown", "evse", Action.EXPORT_OFF, "when_gone", "departure unknown", False, _evse(_departure_unknown)),
    Row("soc_low", "evse", Action.EXPORT_OFF, "when_gone", "SoC window", False, _evse(_soc_low)),
    Row("soc_high", "evse", Action.CHARGE_AT_FALLBACK, "when_gone", "SoC window", False, _evse(_soc_high)),
    Row("depth_of_event", "evse", Action.EXPORT_OFF, "when_gone", "depth of discharge per event", False, _evse(_depth_of_event)),
    Row("depth_of_day", "evse", Action.EXPORT_OFF, "when_gone", "depth of discharge per day", False, _evse(_depth_of_day)),
    Row("pack_temperature", "evse", Action.CHARGE_AT_FALLBACK, "when_gone", "pack temperature", False, _evse(_pack_temperature)),
    Row("grid_code_mismatch", "evse", Action.EXPORT_OFF, "when_gone", "grid code mismatch", False, _evse(_wrong_grid_code)),
)
