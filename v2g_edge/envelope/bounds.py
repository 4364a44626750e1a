"""The bounds of one charger: its rating, its vehicle, and every row of the safety table that acts on it.

What a car takes at most is the car's and the charger's own affair (ISO 15118, IEC 61851) and no bound here,
else losing that value would widen a permit; the rules wish no more. What it gives must have been said.
"""

from typing import Final

from msgspec.structs import replace

from v2g_edge.envelope.facts import Context, Outlet
from v2g_edge.envelope.table import Action, Latch, Row, Verdict, action_of
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.orders import outlet_bounds
from v2g_edge.model.reading import known_or
from v2g_edge.model.site import VehicleType
from v2g_edge.model.snapshot import VehicleState

HEADROOM: Final = 0.9
"""Derating for sustained load begins at this share of it, so that power falls gently instead of at once."""
NO_VEHICLE: Final = Bound(0.0, 0.0, "no_vehicle", "nothing is plugged in")
STRANGER: Final = Bound(0.0, ANY_W, "vehicle_unknown", "the vehicle is not in the site file")


def collect_bounds(context: Context, verdict: Verdict) -> list[list[Bound]]:
    """All bounds of every outlet, in the order of ``Site.evses``; those of the table come last."""
    everybody = range(len(context.outlets))
    under = {meter.id: span.members for meter, span in zip(context.meters, context.frame.spans, strict=True)}
    place = {evse: (index,) for index, evse in enumerate(context.frame.ids)}
    bounds = [
        _own(context, outlet, rated)
        for outlet, rated in zip(context.outlets, context.frame.rated, strict=True)
    ]
    operator = context.snapshot.operator
    for evse, limits in outlet_bounds(operator.limits, context.snapshot.wall_s).items():
        for i in place.get(evse, ()):
            bounds[i].extend(limits)
    for row, latch in verdict.active:
        scope = under if row.scope == "meter" else place
        action = action_of(row, latch)
        if action is Action.TRIP and not latch.present:
            action = (
                Action.EXPORT_OFF
            )  # the grid is good again: charging need not wait for the way back to export
        alike = Bound(0.0, ANY_W, row.id, latch.text) if action is Action.EXPORT_OFF else None
        for i in scope.get(latch.subject, everybody):
            bounds[i].append(alike or _acted(action, row, latch, context.outlets[i]))
    return bounds


def _own(c: Context, o: Outlet, rated: Bound) -> list[Bound]:
    evse, vehicle, kind = o.evse, o.vehicle, o.kind
    if vehicle is None:
        return [NO_VEHICLE]
    gives_w = max(known_or(vehicle.max_discharge_w, 0.0), 0.0)
    bounds = [
        rated,
        Bound(
            -gives_w, ANY_W, "vehicle_limits", "discharge limit reported by the vehicle (0: none reported)"
        ),
    ]
    if c.grid.share < 1.0:
        bounds.append(
            Bound(-evse.max_discharge_w * c.grid.share, ANY_W, "enter_service_ramp", c.grid.service)
        )
    if evse.cooling_loop:
        safety, full = c.site.safety, c.site.safety.sustained_pct / 100.0
        share = _falling(o.loop_c, safety.cooling_derate_c, safety.cooling_max_c)
        _add_derating(bounds, o, "cooling_derating", share, evse.fallback_w)
        worn = full + (1.0 - full) * _falling(o.memory.heat_pct / 100.0, HEADROOM * full, full)
        _add_derating(bounds, o, "sustained_load", worn, evse.fallback_w)
    if kind is None:
        bounds.append(STRANGER)
        return bounds
    bounds.append(_of_type(kind, vehicle, c.frame.by_type[kind.id]))
    if o.pack_c >= kind.derate_from_c and kind.pack_max_c < ANY_W:
        share = _falling(o.pack_c, kind.derate_from_c, kind.pack_max_c)
        _add_derating(bounds, o, "temperature_derating", share, o.careful_w)
    top_pct = o.memory.top_pct
    if kind.max_soc_pct < 100.0 and top_pct is None:
        bounds.append(Bound(-ANY_W, evse.fallback_w, "soc_not_reckoned", "first tick of the session"))
    elif kind.max_soc_pct < 100.0 and top_pct is not None and top_pct >= kind.max_soc_pct:
        # A type without an upper edge leaves the top to the battery's own management. What is known from the
        # ticks before counts: one that never reported its SoC may take what would fill an empty battery, and
        # no reading that is lost can make it more.
        words = f"SoC may be {top_pct:.1f} %, ceiling {kind.max_soc_pct:g} %"
        bounds.append(Bound(-ANY_W, evse.fallback_w, "soc_high", words))
    return bounds


def _of_type(kind: VehicleType, vehicle: VehicleState, whole: Bound) -> Bound:
    """Participation by health: an old battery gives less of what its type may give (``whole``)."""
    if kind.soh_floor_pct <= 0.0:
        return whole
    share = known_or(vehicle.soh_pct, 0.0) / 100.0
    return whole if share >= 1.0 else replace(whole, min_w=whole.min_w * max(share, 0.0))


def _falling(value: float, start: float, end: float) -> float:
    """1 up to ``start``, 0 from ``end``, straight between."""
    return min(max((end - value) / max(end - start, 1e-9), 0.0), 1.0)


def _add_derating(bounds: list[Bound], o: Outlet, rule: str, share: float, least_w: float) -> None:
    if share < 1.0:
        up_w = max(o.evse.max_charge_w * share, min(least_w, o.evse.max_charge_w))
        bounds.append(Bound(-o.evse.max_discharge_w * share, up_w, rule, f"{share:.0%} of the rating"))


def _acted(action: Action, row: Row, latch: Latch, o: Outlet) -> Bound:
    low_w = -ANY_W if action is Action.NO_NEW_EXPORT and o.memory.power_w < o.memory.droop_w else 0.0
    least_w = o.careful_w if row.id == "pack_temperature" else o.evse.fallback_w
    high_w = {Action.NO_NEW_EXPORT: ANY_W, Action.EXPORT_OFF: ANY_W, Action.ZERO: 0.0}.get(action, least_w)
    return Bound(low_w, high_w, row.id, latch.text)
