"""The bounds of one charger: its rating, its vehicle, and every row of the safety table that acts on it or on the site."""

from v2g_edge.envelope.checks import Context, Outlet
from v2g_edge.envelope.table import SITE, Action, Latch, Row, Verdict, action_of
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.reading import Reading, fresh_or


def collect_bounds(context: Context, verdict: Verdict) -> list[list[Bound]]:
    """All bounds of every outlet, in the order of ``Site.evses``; the site's rows come last."""
    own: dict[str, list[tuple[Row, Latch]]] = {}
    for row, latch in verdict.active:
        own.setdefault(latch.subject, []).append((row, latch))
    site_wide = own.get(SITE, [])
    result = []
    for outlet in context.outlets:
        bounds = _ratings(outlet)
        if outlet.vehicle is not None:
            bounds += _vehicle(context, outlet)
        for row, latch in (*own.get(outlet.evse.id, ()), *site_wide):
            bounds.append(_acted(row, latch, outlet))
        result.append(bounds)
    return result


def room(bounds: list[Bound]) -> tuple[float, float]:
    """The intersection (min_w, max_w) of all bounds. Every bound contains 0, so there is always room for 0."""
    return max(bound.min_w for bound in bounds), min(bound.max_w for bound in bounds)


def _ratings(o: Outlet) -> list[Bound]:
    evse = o.evse
    if o.vehicle is None:
        return [Bound(0.0, 0.0, "no_vehicle", f"nothing is plugged in at {evse.id}")]
    discharge_w = evse.max_discharge_w if evse.discharge_by != "none" else 0.0
    return [Bound(-discharge_w, evse.max_charge_w, "charger_rating", f"site file, evses.{evse.id}")]


def _vehicle(c: Context, o: Outlet) -> list[Bound]:
    assert o.vehicle is not None  # noqa: S101 - the caller has looked
    now_s, safety, vehicle, evse = c.snapshot.now_s, c.site.safety, o.vehicle, o.evse
    # What the car takes is the car's and the charger's own affair (ISO 15118, IEC 61851); what it gives must have been said.
    takes_w = vehicle.max_charge_w.value if isinstance(vehicle.max_charge_w, Reading) else ANY_W
    gives_w = vehicle.max_discharge_w.value if isinstance(vehicle.max_discharge_w, Reading) else 0.0
    bounds = [Bound(-max(gives_w, 0.0), max(takes_w, 0.0), "vehicle_limits", "limits reported by the vehicle")]
    if c.grid.share < 1.0:
        bounds.append(Bound(-evse.max_discharge_w * c.grid.share, ANY_W, "enter_service_ramp", c.grid.service))
    kind = o.kind
    if kind is None:
        bounds.append(Bound(0.0, ANY_W, "vehicle_unknown", "the vehicle is not in the site file"))
        return bounds
    bounds.append(Bound(-kind.max_discharge_w, ANY_W, "vehicle_type", f"site file, vehicle_types.{kind.id}"))
    if kind.pack_max_c < ANY_W:
        pack_c = fresh_or(vehicle.pack_c, now_s, safety.temperature_max_age_s, kind.pack_max_c)
        if pack_c > kind.derate_from_c:
            span_c = max(kind.pack_max_c - kind.derate_from_c, 1e-9)
            share = min(max((kind.pack_max_c - pack_c) / span_c, 0.0), 1.0)
            up_w = max(evse.max_charge_w * share, min(evse.fallback_w, evse.max_charge_w))
            bounds.append(Bound(-evse.max_discharge_w * share, up_w, "temperature_derating", f"pack at {pack_c:.1f} °C"))
    return bounds


def _acted(row: Row, latch: Latch, o: Outlet) -> Bound:
    action = action_of(row, latch)
    exporting = o.memory.power_w < 0.0
    if action is Action.TRIP and not latch.present:
        action = Action.EXPORT_OFF  # the grid is good again: charging need not wait for the way back to export
    match action:
        case Action.NO_NEW_EXPORT:
            low_w, high_w = (-ANY_W if exporting else 0.0), ANY_W
        case Action.EXPORT_OFF:
            low_w, high_w = 0.0, ANY_W
        case Action.CHARGE_AT_FALLBACK | Action.TRIP:
            low_w, high_w = 0.0, o.evse.fallback_w
        case Action.ZERO:
            low_w, high_w = 0.0, 0.0
        case Action.NONE:
            low_w, high_w = -ANY_W, ANY_W
    return Bound(low_w, high_w, row.id, latch.text)
