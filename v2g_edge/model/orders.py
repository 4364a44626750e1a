"""What people have ordered for tonight, each order with an end, and what outside limits ask; and what both
make of the picture and of the site.

A mission (``depart``, ``skip``) goes before what charger and site file say. A feeder's limit and a ban on
discharge make the site narrower for every part that reckons with it: rules, certificate, envelope and plan.
``boost`` and ``priority`` are the rules' own.
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.reading import Reading
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Operator, Order, Snapshot, VehicleState

OrderKind = Literal["boost", "depart", "skip", "no-v2g", "priority", "limit", "mute"]
OUTSIDE: Final = "outside_limit"
"""The rule of a limit from outside on one outlet."""
LIMITS: Final = frozenset({"limit", "export-limit"})
"""Orders that lower a limit of a feeder."""
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


def narrowed(given: Iterable[Order]) -> Narrowed:
    """What of the orders concerns the site. Two limits of one feeder: the lower one."""
    orders = tuple(given)
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


class Ahead(Struct, frozen=True, gc=False):
    """A lower limit of a feeder and when it holds, UTC epoch seconds: "limit" of what it draws,
    "export-limit" of what it feeds back.
    """

    kind: Literal["limit", "export-limit"]
    feeder: str
    limit_w: float
    from_wall_s: float
    until_wall_s: float


def limits_ahead(operator: Operator, root: str) -> tuple[Ahead, ...]:
    """The limits with an end or a beginning: people's orders, and what programmes outside ask of the
    connection, whether they hold now or will.
    """
    found = []
    for order in operator.orders:
        if order.kind in LIMITS and order.number and order.limit_w is not None:
            kind: Literal["limit", "export-limit"] = "limit" if order.kind == "limit" else "export-limit"
            found.append(Ahead(kind, order.subject, order.limit_w, order.given_wall_s, order.until_wall_s))
    for limit in operator.limits:
        if not limit.evse:
            kind = "limit" if limit.direction == "import" else "export-limit"
            until_s = limit.until_wall_s if limit.until_wall_s > 0.0 else ANY_W
            found.append(Ahead(kind, root, power_of(limit), limit.from_wall_s, until_s))
    return tuple(found)


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


def planned(site: Site, orders: Iterable[Order], ahead: tuple[Ahead, ...] | None) -> Site:
    """The site that a plan reckons with. Limits whose hours are known (``ahead``) bound their own slots
    alone.
    """
    return narrower(site, narrowed(o for o in orders if ahead is None or o.kind not in LIMITS))


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


def acts(limit: CapacityLimit, wall_s: float) -> bool:
    """Whether it holds at ``wall_s``."""
    return limit.from_wall_s <= wall_s and (limit.until_wall_s <= 0.0 or wall_s < limit.until_wall_s)


def power_of(limit: CapacityLimit) -> float:
    """Its power in W; one that is no number counts as 0."""
    return limit.power_w if limit.power_w >= 0.0 else 0.0


def strictest(
    limits: Iterable[CapacityLimit], direction: str, wall_s: float, evse: str = ""
) -> tuple[float, str]:
    """The tightest limit that acts on the connection, or on ``evse``, as (W, source); ANY_W and "" without
    one.
    """
    found = [
        (power_of(limit), limit.source)
        for limit in limits
        if limit.evse == evse and limit.direction == direction and acts(limit, wall_s)
    ]
    return min(found, default=(ANY_W, ""))


def set_by(limits: Iterable[CapacityLimit], direction: str, limit_w: float, wall_s: float) -> str:
    """Who set the connection's limit of ``limit_w`` from outside, in brackets; "" where nobody did."""
    power_w, source = strictest(limits, direction, wall_s)
    return f" ({source})" if source and power_w <= limit_w else ""


def as_orders(limits: Iterable[CapacityLimit], root: str, wall_s: float) -> tuple[Order, ...]:
    """The limits of the connection as orders on the root feeder: rules, proof and envelope all reckon with
    them.
    """
    found = []
    for kind, direction in (("limit", "import"), ("export-limit", "export")):
        power_w, source = strictest(limits, direction, wall_s)
        if power_w < ANY_W:
            found.append(Order(0, kind, root, 0.0, 0.0, source, limit_w=power_w))
    return tuple(found)


def outlet_bounds(limits: Iterable[CapacityLimit], wall_s: float) -> dict[str, list[Bound]]:
    """The limits of single outlets that act now, as bounds by outlet."""
    bounds: dict[str, list[Bound]] = {}
    for limit in limits:
        if limit.evse and acts(limit, wall_s):
            most_w = power_of(limit)
            room_w = (-ANY_W, most_w) if limit.direction == "import" else (-most_w, ANY_W)
            bounds.setdefault(limit.evse, []).append(Bound(*room_w, OUTSIDE, limit.source))
    return bounds
