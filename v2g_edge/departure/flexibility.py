"""What the depot could give or take from now on, by how long it would have to hold it.

Nothing of it is booked: it says what ``capacity`` would offer, and what more could be charged. Sums over the
outlets, never what one vehicle has.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from v2g_edge.departure.capacity import Offer, Taken, unsold_w
from v2g_edge.departure.demand import Demand
from v2g_edge.departure.departures import demands_of
from v2g_edge.departure.depot import Depot
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import known_or
from v2g_edge.model.snapshot import Snapshot

INTERVAL_S: Final = 900
"""A quarter hour, as in settlement."""
INTERVALS: Final = 16
"""Four hours: what comes after is the day plan's, which is made anew until then."""


class Flexibility(Struct, frozen=True):
    """What could be held from now until ``end_wall_s``.

    Attributes:
        end_wall_s: End of a quarter hour, UTC epoch seconds.
        up_w: Export beside what is sold, in W; every departure is kept.
        up_wh: Its energy until then.
        down_w: Charging beside what flows now, in W.
        down_wh: Its energy until then.
    """

    end_wall_s: float
    up_w: float
    up_wh: float
    down_w: float
    down_wh: float


def flexibility_of(
    depot: Depot,
    snapshot: Snapshot,
    permits: tuple[Permit, ...],
    taken: tuple[Taken, ...],
    sold: tuple[Offer, ...],
) -> tuple[Flexibility, ...]:
    """One row for each quarter hour that ends within ``INTERVALS`` of them. Permits and ``taken`` stand in
    the order of ``Site.evses``. A vehicle that leaves before, or of which too little is known, adds nothing.
    """
    wall_s = snapshot.wall_s
    demands = demands_of(depot, snapshot, (ANY_W,) * len(depot.frame.ids))
    open_now = tuple(offer for offer in sold if offer.until_wall_s > wall_s)
    room_w = tuple(max(-permit.min_w, 0.0) for permit in permits)
    rows = []
    for number in range(1, INTERVALS + 1):
        end_s = float((wall_s // INTERVAL_S + number) * INTERVAL_S)
        hours = (end_s - wall_s) / 3_600.0
        up_w = sum(unsold_w(depot, snapshot, demands, room_w, taken, end_s, open_now))
        down_w: float = sum(_more_w(depot, snapshot, demands, permits, end_s))
        rows.append(Flexibility(end_s, up_w, up_w * hours, down_w, down_w * hours))
    return tuple(rows)


def _more_w(
    depot: Depot,
    snapshot: Snapshot,
    demands: Sequence[Demand | None],
    permits: tuple[Permit, ...],
    until_s: float,
) -> list[float]:
    """What each outlet could draw until ``until_s`` beside what it is permitted now, within its battery, its
    limits of this tick, and every feeder's import with its base load at its greatest.
    """
    frame, hours = depot.frame, (until_s - snapshot.wall_s) / 3_600.0
    now_w = [max(permit.power_w, 0.0) for permit in permits]
    more_w: list[float] = []
    for state, demand, permit, flows_w in zip(snapshot.evses, demands, permits, now_w, strict=True):
        vehicle = state.vehicle
        known = frame.known.get(vehicle.vehicle) if vehicle is not None else None
        kind = frame.kinds.get(known.type) if known is not None else None
        if demand is None or vehicle is None or kind is None or demand.wh_per_pct == ANY_W:
            more_w.append(0.0)
            continue
        stays = until_s <= demand.departs_s < ANY_W
        room_pct = max(kind.max_soc_pct - max(known_or(vehicle.soc_pct, 100.0), demand.soc_pct), 0.0)
        most_w = min(permit.max_w, demand.full_w, room_pct * demand.wh_per_pct / hours) if stays else 0.0
        more_w.append(max(most_w - flows_w, 0.0))
    for row, members in enumerate(frame.tree.below):
        left_w = max(float(depot.limit_w[row]) - sum(now_w[i] for i in members), 0.0)
        asked_w = sum(more_w[i] for i in members)
        if asked_w > left_w:
            for i in members:
                more_w[i] *= left_w / asked_w
    return more_w
