"""What depot management, telematics and timetables say of each vehicle, and which of them counts.

Of several sources for a departure the first of ``RANK`` wins. A source replaces its own list as a whole. SoC
and its like come from telematics and age by their own time; the field takes them only where the charger says
nothing fresh.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import structlog
from msgspec.structs import replace

from v2g_edge.model.mission import Mission
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site, VehicleIds

log = structlog.get_logger()

RANK: Final = ("vdv463", "telematics", "timetable")
"""Depot management decides which vehicle leaves when; a file is what it was when it was written."""
OVER_S: Final = 6 * 3_600.0
"""A departure this long ago has happened or never will; the next one of the list counts."""
LATE_S: Final = 900.0
"""A vehicle that comes this long after a departure may still be meant by it; one that comes later has left by
it, and is back.
"""


class VehicleRecords:
    """Missions and readings by vehicle. ``ids`` gives our id for each id that other systems use."""

    def __init__(self, site: Site) -> None:
        self.ids: Mapping[str, str] = VehicleIds(site.vehicles)
        self.points: dict[str, str] = {evse.id: evse.id for evse in site.evses}
        self._missions: dict[str, tuple[Mission, ...]] = {}
        self._readings: dict[str, dict[str, Reading]] = {}
        self._by_vehicle: dict[tuple[str, str], tuple[Mission, ...]] = {}
        self._notes: dict[str, dict[str, tuple[float, float, str]]] = {}
        self._revision = 0

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self._revision

    def replace_missions(self, source: str, missions: Iterable[Mission]) -> None:
        """Take ``missions`` for all that ``source`` says; what it said before and does not say now is
        withdrawn. The same list again changes nothing, whenever it came.
        """
        known = {replace(old, received_wall_s=0.0): old for old in self._missions.get(source, ())}
        new = tuple(known.get(replace(each, received_wall_s=0.0), each) for each in missions)
        if new != self._missions.get(source, ()):
            self._missions[source] = new
            self._sort()
            self._revision += 1
            log.info("missions_replaced", source=source, missions=len(new))

    def _sort(self) -> None:
        """By kind of source and vehicle: each tick asks for each vehicle, and lists are long."""
        found: dict[tuple[str, str], list[Mission]] = {}
        for source, missions in self._missions.items():
            for mission in missions:
                found.setdefault((source.partition(":")[0], mission.vehicle), []).append(mission)
        self._by_vehicle = {key: tuple(each) for key, each in found.items()}

    def update_readings(self, vehicle: str, readings: Mapping[str, Reading]) -> None:
        """Take newer readings of a vehicle; an older one never replaces a newer one."""
        known = self._readings.setdefault(vehicle, {})
        fresh = {
            name: value
            for name, value in readings.items()
            if name not in known or known[name].at_s < value.at_s
        }
        if fresh:
            known.update(fresh)
            self._revision += 1

    def note(self, vehicle: str, values: Mapping[str, tuple[float, float, str]]) -> None:
        """Keep what telematics say, for people: (value, UTC epoch seconds, source) by field."""
        self._notes.setdefault(vehicle, {}).update(values)

    def notes_of(self, vehicle: str) -> dict[str, tuple[float, float, str]]:
        """See ``note``."""
        return dict(self._notes.get(vehicle, {}))

    def mission_of(self, vehicle: str, wall_s: float, plugged_wall_s: float = 0.0) -> Mission | None:
        """The next mission of a vehicle, by the source that counts most; None where no source names one.

        It came at ``plugged_wall_s``. A station's clock that is ahead takes no mission away.
        """
        over_wall_s = max(wall_s - OVER_S, min(plugged_wall_s, wall_s) - LATE_S)
        for kind in RANK:
            found = [
                mission
                for mission in self._by_vehicle.get((kind, vehicle), ())
                if mission.departure_wall_s is None or mission.departure_wall_s > over_wall_s
            ]
            if found:
                return min(
                    found,
                    key=lambda each: (
                        each.departure_wall_s is None,
                        each.departure_wall_s or 0.0,
                        -each.priority,
                    ),
                )
        return None

    def missions(self) -> tuple[Mission, ...]:
        """All missions, by vehicle and departure."""
        every = [mission for missions in self._missions.values() for mission in missions]
        return tuple(sorted(every, key=lambda each: (each.vehicle, each.departure_wall_s or 0.0)))

    def facts_of(
        self, vehicle: str, plugged_wall_s: float, now_s: float, wall_s: float
    ) -> dict[str, Reading]:
        """See ``model.mission.FleetPort``. A mission's facts are as of now; telematics keep their own age."""
        ours = self.ids.get(vehicle)
        if ours is None:
            return {}
        facts = dict(self._readings.get(ours, {}))
        mission = self.mission_of(ours, wall_s, plugged_wall_s)
        if mission is not None and mission.departure_wall_s is not None:
            facts["departure_wall_s"] = Reading(mission.departure_wall_s, now_s)
        if mission is not None and mission.min_soc_pct is not None:
            facts["target_soc_pct"] = Reading(mission.min_soc_pct, now_s)
        if mission is not None and mission.max_soc_pct is not None:
            facts["ceiling_soc_pct"] = Reading(mission.max_soc_pct, now_s)
        return facts
