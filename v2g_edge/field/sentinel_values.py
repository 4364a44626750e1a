"""What is said of a vehicle's needs and cannot be meant: a number by which a charger, or a system of the
fleet, says that it knows none, or one in another unit. It counts as not said, so that the next source speaks:
the site file, if any. And what an outlet's meter cannot mean.
"""

from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.site import Evse
from v2g_edge.model.snapshot import VehicleState

LONG_AGO_S: Final = 30.0 * 86_400.0
"""A departure so long before the vehicle came is none: the year that begins a calendar (1970, 2000) is sent
for "not set". A station's clock, and with it the time of the plug, may be wrong by days.
"""
FAR_AHEAD_S: Final = 400.0 * 86_400.0
"""Nor is one so far ahead: 2³² s, the most that ISO 15118 can say, are 136 years; others send 2038, 2099 or
9999.
"""
RANGES: Final = {
    "target_soc_pct": (1.0, 100.0),
    "max_charge_w": (1_000.0, 1e7),
    "capacity_wh": (1_000.0, 5e6),
}
"""What is not above the first, or above the second, says "none". A target of 0 % is no need at all, and 0.8
is a share. A vehicle that takes 0 W could never show that it takes more, since nothing would be offered to
it; "50" W are kilowatts: IEC 61851-1 begins at 6 A on one phase. One that is really full, or asleep, draws
nothing by itself. A capacity within the site file's own range: "60" Wh are kilowatt-hours.
"""

BEYOND: Final = 5.0
LEAST_RATING_W: Final = 7_400.0
"""So many times an outlet's rating (and that of one phase at 32 A at least) nothing flows that its fuse would
let pass: 65,535 W or 4.3 GW is a register without a value, and kilowatts that are called so are watts.
"""


def most_w(evse: Evse) -> float:
    """What can flow at an outlet at all, either way, whatever its rating in the site file."""
    return BEYOND * max(evse.max_charge_w, evse.max_discharge_w, LEAST_RATING_W)


def is_meant(name: str, said: Any, plugged_wall_s: float, wall_s: float = 0.0) -> bool:
    """Whether ``said`` of the field ``name`` can be meant. ``wall_s``: UTC as far as it is known."""
    if not isinstance(said, Reading):
        return True
    if name == "departure_wall_s":
        earliest_s = min(plugged_wall_s, wall_s or plugged_wall_s) - LONG_AGO_S
        return earliest_s < said.value < max(plugged_wall_s, wall_s) + FAR_AHEAD_S
    span = RANGES.get(name)
    return span is None or span[0] < said.value <= span[1]


def as_meant(vehicle: VehicleState, wall_s: float = 0.0) -> VehicleState:
    """The vehicle without what cannot be meant."""
    changes: dict[str, Measured] = {
        name: Unknown(f"{name} = {getattr(vehicle, name).value:g} says none")
        for name in (*RANGES, "departure_wall_s")
        if not is_meant(name, getattr(vehicle, name), vehicle.plugged_wall_s, wall_s)
    }
    return replace(vehicle, **changes) if changes else vehicle
