"""When vehicles leave and with how much, by the site file: for chargers that cannot say it (OCPP 1.6,
registers).
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from v2g_edge.model.calendar import Day, Departure, best, departure_of
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site, Vehicle
from v2g_edge.model.snapshot import VehicleState

OVER_S: Final = 6 * 3_600.0
"""A departure this long ago has happened or never will: a vehicle that still stands there leaves by the next
one.
"""
STAYS_S: Final = 12 * 3_600.0
"""A battery that stays is planned at least so far ahead."""
DAY_S: Final = 86_400.0
DAYS_AHEAD: Final = 14
"""A vehicle that leaves on no day of the next two weeks leaves at a time that is not known."""


class Timetable:
    """The vehicles of the site file that have a departure: each day the same, or by their own calendar.

    A battery that stays is to leave with its least charge, by a midnight (UTC) that never comes.
    """

    def __init__(self, site: Site) -> None:
        self._vehicles = {v.id: v for v in site.vehicles if v.departs or v.departures}
        self._rules = {name: tuple(map(departure_of, v.departures)) for name, v in self._vehicles.items()}
        least_pct = {kind.id: kind.min_soc_pct for kind in site.vehicle_types}
        self._stationary = {v.id: least_pct[v.type] for v in site.vehicles if v.stationary}
        self._capacity_wh = {kind.id: kind.capacity_wh for kind in site.vehicle_types}
        self._holidays = frozenset(site.holidays)
        self._zone = ZoneInfo(site.timezone) if self._vehicles else None

    def says(self, vehicle: VehicleState, now_s: float, wall_s: float) -> dict[str, Reading]:
        """Departure and target of ``vehicle`` as readings of now, without what the charger said itself.

        ``wall_s`` is synchronised time. A station whose clock is ahead cannot move a departure to a later
        day, and one whose clock began in 1970 cannot move it into the past.
        """
        if vehicle.vehicle in self._stationary:
            until_s = (wall_s + STAYS_S) // DAY_S * DAY_S + DAY_S
            least_pct = self._stationary[vehicle.vehicle]
            return {
                "departure_wall_s": Reading(until_s, now_s),
                "target_soc_pct": Reading(least_pct, now_s),
            }
        row = self._vehicles.get(vehicle.vehicle)
        if row is None or self._zone is None:
            return {}
        found = self._next(row, self._zone, max(min(vehicle.plugged_wall_s, wall_s), wall_s - OVER_S))
        if found is None:
            return {}
        said = {"departure_wall_s": Reading(found[0], now_s), "target_soc_pct": Reading(found[1], now_s)}
        return {
            name: value for name, value in said.items() if not isinstance(getattr(vehicle, name), Reading)
        }

    def _next(self, row: Vehicle, zone: ZoneInfo, after_wall_s: float) -> tuple[float, float] | None:
        """(UTC, SoC) of the next departure; None where none is in sight."""
        rules, daily = self._rules[row.id], Departure("", row.departs, None)
        if not rules:
            return next_local_s(row.departs, zone, after_wall_s), self._target_pct(row, daily)
        today = datetime.fromtimestamp(after_wall_s, UTC).astimezone(zone).date()
        for days in range(DAYS_AHEAD + 1):
            day = today + timedelta(days=days)
            rule = (
                best(rules, Day(day.weekday(), f"{day:%Y-%m-%d}", f"{day:%Y-%m-%d}" in self._holidays))
                or daily
            )
            later = (
                [time_s for time_s in _times(rule.at, day, zone) if time_s > after_wall_s] if rule.at else []
            )
            if later:
                return min(later), self._target_pct(row, rule)
        return None

    def _target_pct(self, row: Vehicle, rule: Departure) -> float:
        """What it needs by the line of this day, else by the vehicle's own target; kWh as a share of the
        type's capacity.
        """
        need_wh = row.target_wh if rule.need_wh is None else rule.need_wh
        if rule.soc_pct is not None or need_wh <= 0.0:
            return row.target_soc_pct if rule.soc_pct is None else rule.soc_pct
        return min(need_wh / self._capacity_wh[row.type] * 100.0, 100.0)


def next_local_s(hh_mm: str, zone: ZoneInfo, after_wall_s: float) -> float:
    """UTC epoch seconds of the next local ``hh_mm`` after ``after_wall_s``.

    A time that a clock change skips or repeats has two meanings; the next one counts, because earlier is
    harder.
    """
    today = datetime.fromtimestamp(after_wall_s, UTC).astimezone(zone).date()
    times = [time_s for days in (0, 1) for time_s in _times(hh_mm, today + timedelta(days=days), zone)]
    return min(time_s for time_s in times if time_s > after_wall_s)


def _times(hh_mm: str, day: date, zone: ZoneInfo) -> list[float]:
    """Both meanings of a local time on a day; the same where no clock change is."""
    at = time(int(hh_mm[:2]), int(hh_mm[3:]))
    return [datetime.combine(day, at, zone).replace(fold=fold).timestamp() for fold in (0, 1)]
