"""When vehicles leave and with how much, by the site file: for chargers that cannot say it (OCPP 1.6, registers)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import VehicleState


class Timetable:
    """The vehicles of the site file that have a daily departure."""

    def __init__(self, site: Site) -> None:
        self._rows = {v.id: (v.departs, v.target_soc_pct) for v in site.vehicles if v.departs}
        self._zone = ZoneInfo(site.timezone) if self._rows else None

    def says(self, vehicle: VehicleState, now_s: float, wall_s: float) -> dict[str, Reading]:
        """Departure and target of ``vehicle`` as readings of now, without what the charger said itself.

        ``wall_s`` is synchronised time. A station whose clock is ahead cannot move a departure to a later day.
        """
        row = self._rows.get(vehicle.vehicle)
        if row is None or self._zone is None:
            return {}
        departs_s = next_local_s(row[0], self._zone, min(vehicle.plugged_wall_s, wall_s))
        said = {"departure_wall_s": Reading(departs_s, now_s), "target_soc_pct": Reading(row[1], now_s)}
        return {name: value for name, value in said.items() if not isinstance(getattr(vehicle, name), Reading)}


def next_local_s(hh_mm: str, zone: ZoneInfo, after_wall_s: float) -> float:
    """UTC epoch seconds of the next local ``hh_mm`` after ``after_wall_s``.

    A time that a clock change skips or repeats has two meanings; the next one counts, because earlier is harder.
    """
    hour, minute = int(hh_mm[:2]), int(hh_mm[3:])
    today = datetime.fromtimestamp(after_wall_s, UTC).astimezone(zone)
    times = [
        (today + timedelta(days=days)).replace(hour=hour, minute=minute, second=0, microsecond=0, fold=fold).timestamp()
        for days in (0, 1)
        for fold in (0, 1)
    ]
    return min(time_s for time_s in times if time_s > after_wall_s)
