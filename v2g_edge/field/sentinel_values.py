"""What is said of a vehicle's needs and cannot be meant: a number by which a charger, or a system of the
fleet, says that it knows none. It counts as not said, so that the next source speaks: the site file, if any.
"""

from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.snapshot import VehicleState

LONG_AGO_S: Final = 30.0 * 86_400.0
"""A departure so long before the vehicle came is none: the year that begins a calendar (1970, 2000) is sent
for "not set". A station's clock, and with it the time of the plug, may be wrong by days.
"""
LEAST: Final = {"target_soc_pct": 0.0, "max_charge_w": 0.0}
"""Whatever is not above this says "none". A target of 0 % is no need at all; and a vehicle that takes 0 W
could never show that it takes more, since nothing would be offered to it. One that is really full, or asleep,
draws nothing by itself.
"""


def is_meant(name: str, said: Any, plugged_wall_s: float) -> bool:
    """Whether ``said`` of the field ``name`` can be meant."""
    least = plugged_wall_s - LONG_AGO_S if name == "departure_wall_s" else LEAST.get(name)
    return least is None or not isinstance(said, Reading) or said.value > least


def as_meant(vehicle: VehicleState) -> VehicleState:
    """The vehicle without what cannot be meant."""
    changes: dict[str, Measured] = {
        name: Unknown(f"{name} = {getattr(vehicle, name).value:g} says none")
        for name in (*LEAST, "departure_wall_s")
        if not is_meant(name, getattr(vehicle, name), vehicle.plugged_wall_s)
    }
    return replace(vehicle, **changes) if changes else vehicle
