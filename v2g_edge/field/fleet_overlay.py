"""Lays what the fleet's systems say over what the chargers say, and takes it away again when it is withdrawn.

Which word counts, and until when:

- departure, target and highest SoC: the fleet's (depot management, then telematics, then a timetable) while
  it names one, else the charger's own, else the site file's ``departs``;
- SoC, SoH and pack temperature: the charger's own sample, unless the fleet's is newer by ``OWN_FRESH_S``.
"""

from typing import Final

from msgspec.structs import replace

from v2g_edge.field.sentinel_values import is_meant
from v2g_edge.model.mission import FleetPort
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import VehicleState

MISSION: Final = frozenset({"departure_wall_s", "target_soc_pct", "ceiling_soc_pct"})
"""Fields that the fleet decides; all others go by the age of the sample."""


OWN_FRESH_S: Final = 60.0
"""A charger's own sample counts beside one of the fleet that is newer by less: telematics stamp what they
keep with the time at which they send it. A charger reports once a minute at least.
"""


class FleetOverlay:
    """Remembers for each outlet what it laid over, so that the charger's own word comes back."""

    def __init__(self, fleet: FleetPort) -> None:
        self._fleet = fleet
        self._revision = -1
        self._seen: dict[str, VehicleState] = {}
        self._laid: dict[str, dict[str, tuple[Measured, Measured]]] = {}

    def apply(self, evse_id: str, vehicle: VehicleState, now_s: float, wall_s: float) -> VehicleState:
        """The vehicle as the depot is to see it. The same object comes back where nothing changes."""
        if self._seen.get(evse_id) is vehicle:
            return vehicle
        own = self._own(evse_id, vehicle)
        facts = self._fleet.facts_of(own.vehicle, own.plugged_wall_s, now_s, wall_s)
        wins = {
            name: value
            for name, value in facts.items()
            if _counts(name, value, getattr(own, name)) and is_meant(name, value, own.plugged_wall_s, wall_s)
        }
        self._laid[evse_id] = {name: (value, getattr(own, name)) for name, value in wins.items()}
        seen = replace(own, **wins) if wins else own
        self._seen[evse_id] = seen
        return seen

    def begin(self) -> None:
        """Called once a picture: whatever the fleet changed since the last one is looked at again."""
        if self._fleet.revision != self._revision:
            self._revision = self._fleet.revision
            self._seen.clear()

    def _own(self, evse_id: str, vehicle: VehicleState) -> VehicleState:
        """The vehicle as the charger describes it: what was laid over and still stands is taken away."""
        laid = self._laid.get(evse_id, {})
        before = {name: own for name, (placed, own) in laid.items() if getattr(vehicle, name) is placed}
        return replace(vehicle, **before) if before else vehicle


def _counts(name: str, said: Reading, own: Measured) -> bool:
    return name in MISSION or not isinstance(own, Reading) or own.at_s + OWN_FRESH_S < said.at_s
