"""What rooms that may not know each other must reckon with alike when they speak of one battery."""

from v2g_edge.model.reading import Reading, known_or
from v2g_edge.model.site import VehicleType
from v2g_edge.model.snapshot import VehicleState


def capacity_of(vehicle: VehicleState, kind: VehicleType | None) -> float | None:
    """The capacity in Wh: what the site file says of the type, else what the vehicle says; None where neither
    does.

    The type's first: with either known, losing the other changes nothing. A capacity of 0 or less is none.
    """
    if kind is not None and kind.capacity_wh > 0.0:
        return kind.capacity_wh
    told = vehicle.capacity_wh
    return told.value if isinstance(told, Reading) and told.value > 0.0 else None


def least_soc_pct(vehicle: VehicleState, capacity_wh: float, efficiency: float) -> float:
    """What a vehicle without a SoC has at least: it may have come empty, and what it took since is in it."""
    if isinstance(vehicle.soc_pct, Reading) or capacity_wh <= 0.0:
        return 0.0
    taken_wh = max(known_or(vehicle.charged_wh, 0.0), 0.0) * efficiency
    return min(taken_wh / capacity_wh * 100.0, 100.0)
