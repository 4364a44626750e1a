"""What each vehicle has given in its life, from ``lives.json`` beside the ledger: what a warranty's caps are
held against.

``v2g-edge ledger`` writes the file whenever it takes new ticks (each night, by its timer). A file that is
missing, damaged or a week old says nothing: a cap whose count is lost counts as used up.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site

NAME: Final = "lives.json"
OLD_S: Final = 7 * 86_400.0
"""The timer extends the ledger each night: older than this it has failed for days."""
OCTETS_MAX: Final = 4_000_000


class Life(Struct, frozen=True):
    """Energy and hours that a vehicle has given."""

    discharge_wh: float
    discharge_h: float


class LifetimeThroughput(Struct, frozen=True):
    """The whole file: until when the ledger counts, and what it counts by vehicle."""

    until_wall_s: float
    vehicles: dict[str, Life]


def has_caps(site: Site) -> bool:
    """Whether a warranty's cap is set at all."""
    return any(
        min(kind.warranty_discharge_wh, kind.warranty_discharge_h, kind.warranty_efc) < ANY_W
        for kind in site.vehicle_types
    )


def read_lives(path: Path, wall_s: float) -> LifetimeThroughput | None:
    """The file; None where it says nothing that can be used."""
    try:
        if path.stat().st_size > OCTETS_MAX:
            return None
        found = msgspec.json.decode(path.read_bytes(), type=LifetimeThroughput)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if wall_s - found.until_wall_s < OLD_S else None


def readings_of(
    site: Site, ids: Mapping[str, str], lives: LifetimeThroughput, at_s: float
) -> dict[str, dict[str, Reading]]:
    """Fields of ``VehicleState`` by vehicle of the site; one that never gave has given nothing."""
    given = {vehicle.id: [0.0, 0.0] for vehicle in site.vehicles}
    for name, life in lives.vehicles.items():
        ours = ids.get(name)
        if ours in given:
            given[ours][0] += life.discharge_wh
            given[ours][1] += life.discharge_h
    capacity_wh = {kind.id: kind.capacity_wh for kind in site.vehicle_types}
    return {
        vehicle.id: {
            "life_discharge_wh": Reading(given[vehicle.id][0], at_s),
            "life_discharge_h": Reading(given[vehicle.id][1], at_s),
            "life_discharge_efc": Reading(given[vehicle.id][0] / capacity_wh[vehicle.type], at_s),
        }
        for vehicle in site.vehicles
    }
