"""What could be sold now: the energy above every mission and reserve, within every limit, less what is sold
already.

An offer is booked under the id of the request that asked for it. Asking again under the same id gives the
same offer and books nothing, so a caller that pings cannot over-commit; what is booked for one service is not
offered to another. A booking is no permit: each tick still decides what may flow.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from v2g_edge.departure.demand import Demand
from v2g_edge.departure.departures import demands_of
from v2g_edge.departure.depot import Depot
from v2g_edge.model.battery import capacity_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import known_or
from v2g_edge.model.site import Evse, VehicleType
from v2g_edge.model.snapshot import Snapshot, VehicleState

MOST_OFFERS: Final = 256
"""Open bookings at once: two and a half for every quarter hour of a day. Beyond it nothing is offered."""


class Taken(NamedTuple):
    """SoC points that discharge has taken out of the vehicle at one outlet: in the present event, and
    today.
    """

    event_pct: float = 0.0
    day_pct: float = 0.0


class Offer(Struct, frozen=True):
    """``evse_w``: (outlet, export in W ≥ 0), sorted by id, to be held until ``until_wall_s`` (UTC);
    ``total_w`` is their sum.
    """

    request: str
    service: str
    until_wall_s: float
    evse_w: tuple[tuple[str, float], ...] = ()

    @property
    def total_w(self) -> float:
        """Export of all outlets together."""
        return sum(power_w for _, power_w in self.evse_w)


class Ledger(Struct, frozen=True):
    """Open bookings, oldest first. Those whose time is over are dropped when the next one is asked for."""

    offers: tuple[Offer, ...] = ()


class Request(Struct, frozen=True):
    """``wanted_w`` of export for ``duration_s`` from now on, for ``service``. ``id`` is the caller's and
    never used twice.
    """

    id: str
    service: str
    wanted_w: float
    duration_s: float


def offer_of(
    depot: Depot,
    snapshot: Snapshot,
    room_w: tuple[float, ...],
    taken: tuple[Taken, ...],
    request: Request,
    ledger: Ledger,
) -> tuple[Offer, Ledger]:
    """Offer as much of ``request`` as there is, and book it. ``room_w``: export ≥ 0 that this tick's limits
    leave each outlet. ``taken``: what discharge has taken already. Both stand in the order of ``Site.evses``.

    A known id gets its booking back, whatever else changed. An offer of nothing is not booked.
    """
    wall_s = snapshot.wall_s
    open_now = tuple(offer for offer in ledger.offers if offer.until_wall_s > wall_s)
    known = next((offer for offer in open_now if offer.request == request.id), None)
    if known is not None:
        return known, ledger
    until_s = wall_s + max(request.duration_s, 0.0)
    demands = demands_of(depot, snapshot, (ANY_W,) * len(depot.frame.ids))
    free_w = unsold_w(depot, snapshot, demands, room_w, taken, until_s, open_now)
    total_w = sum(free_w)
    if total_w <= 0.0 or request.wanted_w <= 0.0 or until_s <= wall_s or len(open_now) >= MOST_OFFERS:
        return Offer(request.id, request.service, until_s), Ledger(open_now)
    share = min(request.wanted_w / total_w, 1.0)
    evse_w = tuple(
        (evse, power_w * share)
        for evse, power_w in zip(depot.frame.ids, free_w, strict=True)
        if power_w > 0.0
    )
    offer = Offer(request.id, request.service, until_s, evse_w)
    return offer, Ledger((*open_now, offer))


def without(ledger: Ledger, request: str) -> Ledger:
    """The ledger without the booking of ``request``; what it held may be sold again."""
    return Ledger(tuple(offer for offer in ledger.offers if offer.request != request))


def unsold_w(
    depot: Depot,
    snapshot: Snapshot,
    demands: Sequence[Demand | None],
    room_w: tuple[float, ...],
    taken: tuple[Taken, ...],
    until_s: float,
    sold: tuple[Offer, ...],
) -> list[float]:
    """Export that each outlet can hold until ``until_s`` beside all that is sold, every feeder's export
    limit kept.
    """
    frame, wall_s = depot.frame, snapshot.wall_s
    sold_w, sold_wh = dict.fromkeys(frame.ids, 0.0), dict.fromkeys(frame.ids, 0.0)
    for offer in sold:
        for name, power_w in offer.evse_w:
            if name not in sold_w:
                continue  # booked before the site file lost this outlet
            sold_w[name] += power_w
            sold_wh[name] += power_w * (offer.until_wall_s - wall_s) / 3600.0
    hours = max(until_s - wall_s, 1.0) / 3600.0
    free_w = []
    for evse, state, demand, most_w, gone in zip(
        frame.site.evses, snapshot.evses, demands, room_w, taken, strict=True
    ):
        stays = demand is not None and until_s <= demand.departs_s < ANY_W
        if (
            demand is None
            or state.vehicle is None
            or not stays
            or demand.wh_per_pct == ANY_W
            or demand.unreachable_pct > 0.0
        ):
            free_w.append(0.0)
            continue
        known = frame.known.get(state.vehicle.vehicle)
        kind, reserve_pct = (frame.kinds.get(known.type), known.reserve_soc_pct) if known else (None, 0.0)
        spare_wh = _spare_wh(evse, kind, reserve_pct, demand, gone)
        if kind is not None:
            spare_wh = min(spare_wh, _warranty_wh(evse, kind, state.vehicle, hours))
        spare_wh -= sold_wh[evse.id]
        free_w.append(max(min(min(most_w, evse.max_discharge_w) - sold_w[evse.id], spare_wh / hours), 0.0))
    _fit_feeders(depot, free_w, sold_w)
    return free_w


def _spare_wh(
    evse: Evse, kind: VehicleType | None, reserve_pct: float, demand: Demand, taken: Taken
) -> float:
    """Energy at the grid side above the mission and the floor, within the caps of event and day.

    A day that begins within a booking gives back what the day before has taken. That is not counted on.
    """
    goal_pct = demand.bands[-1].high_pct if demand.bands else 0.0
    # ``wh_per_pct`` is what putting a percent back costs the grid; taking it out yields less, by both ways'
    # losses.
    yield_wh = demand.wh_per_pct * evse.efficiency**2
    if kind is None:
        return (demand.soc_pct - goal_pct) * yield_wh
    above_pct = demand.soc_pct - max(goal_pct, kind.min_soc_pct + reserve_pct)
    event_pct, day_pct = kind.depth_per_event_pct - taken.event_pct, kind.depth_per_day_pct - taken.day_pct
    return min(above_pct, event_pct, day_pct) * yield_wh


def _warranty_wh(evse: Evse, kind: VehicleType, vehicle: VehicleState, hours: float) -> float:
    """What the warranty's caps leave for so many hours, at the grid side. A cap whose ledger is not known
    counts as used up.
    """
    left_wh = ANY_W
    if (
        kind.warranty_discharge_h < ANY_W
        and kind.warranty_discharge_h - known_or(vehicle.life_discharge_h, ANY_W) < hours
    ):
        return 0.0
    if kind.warranty_discharge_wh < ANY_W:
        left_wh = kind.warranty_discharge_wh - known_or(vehicle.life_discharge_wh, ANY_W)
    if kind.warranty_efc < ANY_W:
        left_efc = kind.warranty_efc - known_or(vehicle.life_discharge_efc, ANY_W)
        left_wh = min(left_wh, left_efc * (capacity_of(vehicle, kind) or 0.0))
    return left_wh * evse.efficiency


def _fit_feeders(depot: Depot, free_w: list[float], sold_w: dict[str, float]) -> None:
    """Cut ``free_w`` to what each feeder may still export beside what is sold."""
    frame = depot.frame
    limit_share = 1.0 - frame.site.safety.feeder_margin_pct / 100.0
    for feeder, members, base_w in zip(
        frame.tree.feeders, frame.tree.below, frame.tree.base_min_w, strict=True
    ):
        left_w = max(
            feeder.export_limit_w * limit_share + base_w - sum(sold_w[frame.ids[i]] for i in members), 0.0
        )
        asked_w = sum(free_w[i] for i in members)
        if asked_w > left_w:
            for i in members:
                free_w[i] *= left_w / asked_w
