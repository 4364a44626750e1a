"""A night with every kind of charger: OCPP 2.1, 2.0.1 and 1.6, a Quasar 1 and a SunSpec DER charger on Modbus
TCP.

The grid meter is an SDM630 on a serial line, the relay is on TCP. A vehicle at a 1.6 station or at a charger
by register cannot say when it leaves or how full it must be then: the site file does.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from sim.scenarios.night import ZONE, night
from sim.scenarios.scenario import Scenario, Version, Visit, Wired
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import CurvePoint, Evse, Site, Vehicle, VehicleType

SPEAK: Final[tuple[Version, ...]] = ("2.1", "2.1", "2.0.1", "2.0.1", "1.6", "1.6")
"""Stations CS01 to CS06, in order; E07 is the Quasar, E08 the SunSpec charger."""

QUASAR_W: Final = 7_400.0
"""Wallbox Quasar 1: 32 A at 230 V, both ways."""

SOC_MAX_AGE_S: Final = 3_600.0
"""A Quasar reports the state of charge only while power flows: with the usual 300 s it would never begin to
feed back.
"""

WIRED: Final = (Wired("E07", "quasar1", "CAR07"), Wired("E08", "sunspec", "BUS08"))


def mixed(seed: int, *, quiet: bool = False) -> Scenario:
    """The scenario for ``seed``; ``quiet`` leaves the grid alone. The same seed gives the same scenario."""
    base = night(seed, chargers=len(SPEAK) + len(WIRED), quiet=quiet)
    visits = tuple(_visit(visit) for visit in base.visits)
    stations = base.stations[: len(SPEAK)]
    return replace(
        base,
        name="mixed",
        site=_site(base.site, visits),
        stations=stations,
        visits=visits,
        speak=tuple((station.identity, version) for station, version in zip(stations, SPEAK, strict=True)),
        wired=WIRED,
        meter="sdm630",
    )


def _visit(visit: Visit) -> Visit:
    """Departures on whole minutes, as timetables have them; a car at the Quasar."""
    vehicle = "CAR07" if visit.evse == "E07" else visit.vehicle
    return replace(visit, vehicle=vehicle, departs_wall_s=visit.departs_wall_s // 60 * 60)


def _site(site: Site, visits: tuple[Visit, ...]) -> Site:
    bus = site.vehicle_types[0]
    kinds = (*site.vehicle_types, _untold(bus), _car(bus))
    types = {vehicle.id: vehicle.type for vehicle in site.vehicles} | {
        "BUS08": "bus12-untold",
        "CAR07": "car",
    }
    return replace(
        site,
        name="Mixed-depot",
        safety=replace(site.safety, soc_max_age_s=SOC_MAX_AGE_S),
        evses=tuple(_evse(evse, n) for n, evse in enumerate(site.evses)),
        vehicle_types=kinds,
        vehicles=tuple(_vehicle(visit, types[visit.vehicle], n) for n, visit in enumerate(visits)),
    )


def _evse(evse: Evse, n: int) -> Evse:
    if n < len(SPEAK):
        return replace(evse, discharge_by="setpoint" if SPEAK[n] == "2.1" else "negative_limit")
    evse = replace(evse, fallback_w=0.0, discharge_by="register")
    if WIRED[n - len(SPEAK)].map == "sunspec":
        return replace(evse, dead_man="sunspec_revert")
    return replace(
        evse,
        max_charge_w=QUASAR_W,
        max_discharge_w=QUASAR_W,
        min_charge_w=1_380.0,
        min_discharge_w=0.0,
        phases="L1",
        dead_man="modbus_watchdog",
    )


def _vehicle(visit: Visit, kind: str, n: int) -> Vehicle:
    """A timetable where the charger is silent about departures (1.6, registers)."""
    known = Vehicle(visit.vehicle, kind, may_discharge=True)
    if n < len(SPEAK) and SPEAK[n] != "1.6":
        return known
    departs = datetime.fromtimestamp(visit.departs_wall_s, ZONE).strftime("%H:%M")
    return replace(known, departs=departs, target_soc_pct=visit.target_soc_pct)


def _untold(kind: VehicleType) -> VehicleType:
    """The same kind behind a charger that reports no pack temperature."""
    return replace(kind, id=f"{kind.id}-untold", pack_min_c=-ANY_W, derate_from_c=ANY_W / 2, pack_max_c=ANY_W)


def _car(kind: VehicleType) -> VehicleType:
    """60 kWh behind a Quasar, which reports no pack temperature either."""
    curve = (CurvePoint(0, 50_000), CurvePoint(80, 50_000), CurvePoint(100, 10_000))
    return replace(
        _untold(kind), id="car", capacity_wh=60_000.0, charge_curve=curve, max_discharge_w=10_000.0
    )
