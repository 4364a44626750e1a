"""The vehicles of the site file as a station names them, and what is known of one beyond its readings."""

from functools import lru_cache

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.vocabulary.facts import Session, readable
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Site, Vehicle, VehicleIds


class SiteVehicles:
    """The vehicles that can be plugged in. OCPP's identifiers have no case; the site file's spelling
    counts.
    """

    def __init__(self, site: Site) -> None:
        self.take_site(site)

    def take_site(self, site: Site) -> None:
        """Another site of the same outlets."""
        self._site = site
        self._ids = _ids_of(site.vehicles)

    def knows(self, vehicle: str) -> bool:
        """Whether the site file has it, and so there is only one."""
        return vehicle in self._ids

    def name(self, known: str, told: str) -> str:
        """The vehicle's own id for any of its cards and names, however spelt. A vehicle that is known stays:
        a stop may carry another's card.
        """
        return known if not told or known in self._ids else self._ids.get(told, readable(told))

    def readings(
        self, outlet: Outlet, session: Session, version: Version | None, now_s: float
    ) -> dict[str, Measured]:
        """The needs as readings of now. What a wire cannot say at all, the site file says (1.6 and 2.0.1:
        discharge power).
        """
        needs = session.needs
        gives_w = needs.max_discharge_w
        if gives_w is None and version != "2.1":
            types = {kind.id: kind for kind in self._site.vehicle_types}
            vehicle = next((v for v in self._site.vehicles if v.id == session.vehicle), None)
            kind = types.get(vehicle.type) if vehicle else None
            gives_w = min(kind.max_discharge_w, outlet.evse.max_discharge_w) if kind else None
        said = {
            "departure_wall_s": needs.departure_wall_s,
            "target_soc_pct": needs.target_soc_pct,
            "soc_pct": needs.soc_pct,
            "capacity_wh": needs.capacity_wh,
            "max_charge_w": needs.max_charge_w,
            "max_discharge_w": gives_w,
        }
        return {name: Reading(value, now_s) for name, value in said.items() if value is not None}


@lru_cache(
    maxsize=1
)  # one for all stations: a thousand copies for a thousand vehicles cost 36 MB and two seconds
def _ids_of(vehicles: tuple[Vehicle, ...]) -> VehicleIds:
    """Every vehicle by each of its ids."""
    return VehicleIds(vehicles)
