"""A week on the simulator's chargers and batteries, moved by plans alone; what the meters show of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from sim.scenarios.visit import Visit
from sim.world.physics import Battery, Charger
from tests.depot import healthy
from tests.planner.weeks.presets import Week
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Link, Snapshot, VehicleState
from v2g_edge.planner.stay import DAY_S, Past

SLOT_S: Final = 900.0
PARTS_S: Final = (5.0, 5.0, 290.0, 300.0, 300.0)
"""How a quarter hour is played: a change of setpoint takes 5 s, one of direction twice that; a charge curve
bends within five minutes.
"""
NOW_S: Final = 100.0


@dataclass
class Quarter:
    """What the meters say of one quarter hour: by charger, kWh in and out, and the charge at its end of the
    vehicles that are there.
    """

    start_wall_s: float
    in_kwh: dict[str, float]
    out_kwh: dict[str, float]
    soc_pct: dict[str, float]


@dataclass
class Course:
    """A week that was played. ``short``: departures below their target, and by how many percent.
    ``end_pct``: with what each vehicle left last.
    """

    quarters: list[Quarter] = field(default_factory=list)
    short: list[tuple[str, float]] = field(default_factory=list)
    departures: int = 0
    end_pct: dict[str, float] = field(default_factory=dict)
    plans: int = 0


Asked = dict[str, float]
Pilot = Callable[["Yard", float, bool], Asked]
"""What a policy asks of each charger for the next quarter hour, in W. It is told whether somebody came."""


class Yard:
    """Every vehicle with its battery, at a site; ``wall_s`` moves in quarter hours. ``within`` is called in
    each, with the seconds that have passed of it.
    """

    def __init__(self, week: Week, site: Site) -> None:
        self.week, self.site = week, site
        self.chargers = {evse.id: Charger(evse, efficiency=evse.efficiency) for evse in site.evses}
        self.stay: dict[str, Visit] = {}
        self.course = Course()
        self.per_pct_kwh = site.vehicle_types[0].capacity_wh / 1e5
        self.within: Callable[[float, float], None] = lambda _wall_s, _passed_s: None
        self._left_pct: dict[str, float] = {}
        self._event_pct: dict[str, float] = {}
        self._day_pct: dict[tuple[str, int], float] = {}
        self._to_come = list(week.visits)

    def play(self, pilot: Pilot) -> Course:
        """The whole week under a policy."""
        wall_s = self.week.start_wall_s
        while wall_s < self.week.end_wall_s:
            came = self._come_and_go(wall_s)
            self._quarter(wall_s, pilot(self, wall_s, came))
            wall_s += SLOT_S
        self._come_and_go(wall_s)
        return self.course

    def soc_pct(self, evse: str) -> float:
        """Charge of the vehicle that stands there."""
        battery = self.chargers[evse].battery
        assert battery is not None
        return battery.soc_pct

    def pasts(self, wall_s: float) -> dict[str, Past]:
        """What each vehicle has given since it came, and today."""
        day = int(wall_s // DAY_S)
        return {
            evse: Past(self._event_pct[evse], self._day_pct.get((visit.vehicle, day), 0.0))
            for evse, visit in self.stay.items()
        }

    def picture(self, wall_s: float) -> Snapshot:
        """What the board would hold."""
        return healthy(
            self.site, NOW_S, wall_s, evses=tuple(self._state(evse.id) for evse in self.site.evses)
        )

    def _state(self, evse: str) -> EvseState:
        link = Link(connected=True, ever_seen=True, last_seen_s=NOW_S)
        visit, kind = self.stay.get(evse), self.site.vehicle_types[0]
        if visit is None:
            return EvseState(link=link, status="available")
        vehicle = VehicleState(
            session=f"{visit.vehicle} {visit.arrives_wall_s:.0f}",
            vehicle=visit.vehicle,
            plugged_wall_s=visit.arrives_wall_s,
            soc_pct=Reading(self.soc_pct(evse), NOW_S),
            capacity_wh=Reading(kind.capacity_wh, NOW_S),
            departure_wall_s=Reading(visit.departs_wall_s, NOW_S),
            target_soc_pct=Reading(visit.target_soc_pct, NOW_S),
            max_charge_w=Reading(self.chargers[evse].evse.max_charge_w, NOW_S),
            max_discharge_w=Reading(kind.max_discharge_w, NOW_S),
        )
        return EvseState(link=link, status="occupied", proven_discharge=True, vehicle=vehicle)

    def _come_and_go(self, wall_s: float) -> bool:
        for evse, visit in list(self.stay.items()):
            if visit.departs_wall_s <= wall_s:
                del self.stay[evse]
                battery = self.chargers[evse].unplug()
                assert battery is not None
                self._left_pct[visit.vehicle] = battery.soc_pct
                self.course.departures += 1
                self.course.end_pct[visit.vehicle] = battery.soc_pct
                if battery.soc_pct < visit.target_soc_pct - 0.01:
                    self.course.short.append((visit.vehicle, visit.target_soc_pct - battery.soc_pct))
        came = False
        while self._to_come and self._to_come[0].arrives_wall_s <= wall_s:
            self._arrive(self._to_come.pop(0))
            came = True
        return came

    def _arrive(self, visit: Visit) -> None:
        soc_pct = visit.arrival_soc_pct(self._left_pct.get(visit.vehicle, 0.0))
        kind = self.site.vehicle_types[0]
        curve, most_w = kind.charge_curve, kind.max_discharge_w
        battery = Battery(visit.vehicle, kind.capacity_wh, soc_pct, curve, most_w, efficiency=1.0)
        self.chargers[visit.evse].plug(battery)
        self._event_pct[visit.evse] = 0.0
        self.stay[visit.evse] = visit

    def _quarter(self, wall_s: float, asked_w: Asked) -> None:
        before = {evse: (each.import_wh, each.export_wh) for evse, each in self.chargers.items()}
        for evse, charger in self.chargers.items():
            charger.command_w = asked_w.get(evse, 0.0)
        passed_s = 0.0
        for dt_s in PARTS_S:
            for charger in self.chargers.values():
                charger.step(dt_s)
            passed_s += dt_s
            if passed_s < SLOT_S:
                self.within(wall_s, passed_s)
        moved_in = {evse: (each.import_wh - before[evse][0]) / 1e3 for evse, each in self.chargers.items()}
        moved_out = {evse: (each.export_wh - before[evse][1]) / 1e3 for evse, each in self.chargers.items()}
        for evse, visit in self.stay.items():
            given_pct = moved_out[evse] / self.chargers[evse].efficiency / self.per_pct_kwh
            self._event_pct[evse] += given_pct
            day = visit.vehicle, int(wall_s // DAY_S)
            self._day_pct[day] = self._day_pct.get(day, 0.0) + given_pct
        soc_pct = {evse: self.soc_pct(evse) for evse in self.stay}
        self.course.quarters.append(Quarter(wall_s, moved_in, moved_out, soc_pct))


def one_way(site: Site) -> Site:
    """The same site without any export."""
    return replace(site, vehicles=tuple(replace(each, may_discharge=False) for each in site.vehicles))
