"""What people have ordered for tonight, each order with an end, and what it makes of the picture and of the
site.

A mission (``depart``, ``skip``) goes before what charger and site file say. A feeder's limit and a ban on
discharge make the site narrower for every part that reckons with it: rules, certificate, envelope and plan.
``boost`` and ``priority`` are the rules' own.
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Order, Snapshot, VehicleState

OrderKind = Literal["boost", "depart", "skip", "no-v2g", "priority", "limit", "mute"]
AWAY_S: Final = 7 * 86_400.0
"""A vehicle that leaves not at all leaves in a week: beyond every plan and proof, and still a departure."""


class Narrowed(Struct, frozen=True):
    """What makes a site narrower: (feeder, W) drawn and fed back, (vehicle type, %) and vehicles that must
    not discharge.
    """

    limits_w: tuple[tuple[str, float], ...] = ()
    exports_w: tuple[tuple[str, float], ...] = ()
    reserves_pct: tuple[tuple[str, float], ...] = ()
    no_v2g: tuple[str, ...] = ()


def narrowed(orders: Iterable[Order]) -> Narrowed:
    """What of the orders concerns the site. Two limits of one feeder: the lower one."""
    found: dict[str, dict[str, float]] = {"limit": {}, "export-limit": {}, "reserve": {}}
    for order in orders:
        value = order.soc_pct if order.kind == "reserve" else order.limit_w
        if order.kind in found and value is not None:
            pick = max if order.kind == "reserve" else min
            found[order.kind][order.subject] = pick(value, found[order.kind].get(order.subject, value))
    limits, exports, reserves = (
        tuple(sorted(found[kind].items())) for kind in ("limit", "export-limit", "reserve")
    )
    return Narrowed(
        limits, exports, reserves, tuple(sorted({o.subject for o in orders if o.kind == "no-v2g"}))
    )


def narrower(site: Site, by: Narrowed) -> Site:
    """The site with lower import limits and fewer that may discharge; never a wider one."""
    if by == Narrowed():
        return site
    limits, exports, reserves = dict(by.limits_w), dict(by.exports_w), dict(by.reserves_pct)
    feeders = tuple(
        replace(
            feeder,
            import_limit_w=min(feeder.import_limit_w, limits.get(feeder.id, feeder.import_limit_w)),
            export_limit_w=min(feeder.export_limit_w, exports.get(feeder.id, feeder.export_limit_w)),
        )
        for feeder in site.feeders
    )
    kinds = tuple(
        replace(kind, min_soc_pct=max(kind.min_soc_pct, min(reserves.get(kind.id, 0.0), kind.max_soc_pct)))
        for kind in site.vehicle_types
    )
    vehicles = tuple(
        replace(vehicle, may_discharge=False) if vehicle.id in by.no_v2g else vehicle
        for vehicle in site.vehicles
    )
    return replace(site, feeders=feeders, vehicle_types=kinds, vehicles=vehicles)


def with_missions(snapshot: Snapshot) -> Snapshot:
    """The picture with the departures that were ordered. Without such an order it is the same object."""
    missions = {
        order.subject: order for order in snapshot.operator.orders if order.kind in {"depart", "skip"}
    }
    if not missions:
        return snapshot
    evses = tuple(
        _sent(state, missions.get(state.vehicle.vehicle) if state.vehicle else None)
        for state in snapshot.evses
    )
    return replace(snapshot, evses=evses)


def _sent(state: EvseState, order: Order | None) -> EvseState:
    vehicle = state.vehicle
    if vehicle is None or order is None:
        return state
    return replace(state, vehicle=_mission(vehicle, order))


def _mission(vehicle: VehicleState, order: Order) -> VehicleState:
    at_s = order.given_wall_s + AWAY_S if order.kind == "skip" else order.at_wall_s
    target = Reading(order.soc_pct, 0.0) if order.soc_pct is not None else vehicle.target_soc_pct
    if order.kind == "skip" and not isinstance(target, Reading):
        target = Reading(0.0, 0.0)
    return replace(vehicle, departure_wall_s=Reading(at_s, 0.0), target_soc_pct=target)
