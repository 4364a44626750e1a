"""Limits from outside: which of them act now, and the strictest of those for the connection or for one
outlet.
"""

from collections.abc import Iterable

from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.snapshot import Order

RULE = "outside_limit"


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
            bounds.setdefault(limit.evse, []).append(Bound(*room_w, RULE, limit.source))
    return bounds
