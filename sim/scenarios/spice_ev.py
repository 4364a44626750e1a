"""SpiceEV scenario files → ours: the depot part of a bus fleet, one charging station a bus.

What is taken: the charging stations named ``…_deps`` at the wanted grid connector, and the stays at them
(arrival event with that station, up to the next departure event of the bus). What happens on the route
reaches the depot as the SoC on arrival: since the bus last left (at the beginning: its ``soc`` in the file)
every trip's ``soc_delta`` is applied as it stands, and every stop at a charger on the way adds that charger's
power, bounded by the vehicle's curve at its first point, times the stop's length, over the capacity, at 95 %;
after each step the SoC is kept within 0-1. What the depot discharged is therefore missing on the road, too.

The curve of "CKB_opps" ends in ``[1, 1900]`` where 190 is meant by all signs (a tenfold jump at full charge);
it is taken as it stands, because the 100 kW chargers bound it. Wanted SoC and capacity are the file's;
``v2g`` is false in the file, so bidirectional operation is set here, for every bus, with a floor and depth of
our own. The building's load file is not part of the data: a flat ``BUILDING_W`` stands for it. Stationary
batteries of the file are left out. A bus that has a station at the connector but reaches it only after the
file's two days is known to the site and stays away.
"""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sim.scenarios.scenario import Scenario, Visit
from sim.world.depot import Load
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import StationEvse, StationSettings
from v2g_edge.model.site import (
    CurvePoint,
    Evse,
    Feeder,
    GridSettings,
    SafetySettings,
    Site,
    Vehicle,
    VehicleType,
)

ROUTE_EFFICIENCY: Final = 0.95
"""Charger on the way to battery; SpiceEV's own default for vehicles without a figure."""

BUILDING_W: Final = 20_000.0
FLOOR_PCT: Final = 30.0
"""Discharge for the grid ends here: operators keep about a third for a failed charger or a detour."""

GRID_CODE: Final = "vde_ar_n_4105_2018"

SAFETY: Final = SafetySettings(
    meter_max_age_s=2.5, contact_max_age_s=2.5, charger_max_age_s=35.0, lease_s=60.0
)


class BadScenario(ValueError):  # noqa: N818 - names the file's fault
    """The file is not what it should be; the message says where and what is allowed."""


def import_spice_ev(
    path: Path, connector: str, prices: Path, *, bidirectional: bool = True, seed: int = 0
) -> Scenario:
    """The depot at ``connector`` as a scenario. Raises ``BadScenario``, or OSError when a file cannot be
    read.
    """
    source = _load(path, connector)
    parts = source["components"]
    start = datetime.fromisoformat(source["scenario"]["start_time"])
    start_wall_s = start.timestamp()
    duration_s = source["scenario"]["interval"] * source["scenario"]["n_intervals"] * 60.0
    depot = {
        name: cs
        for name, cs in parts["charging_stations"].items()
        if cs["parent"] == connector and name.endswith("_deps")
    }
    if not depot:
        raise BadScenario(
            f"{path}: grid connector {connector!r} has no charging station that ends in '_deps'"
        )
    evse_of = {name: f"E{n:02}" for n, name in enumerate(sorted(depot, key=_natural), start=1)}
    visits = _visits(source, evse_of)
    vehicles = tuple(
        Vehicle(name, parts["vehicles"][name]["vehicle_type"], may_discharge=bidirectional)
        for name in sorted({visit.vehicle for visit in visits}, key=_natural)
    )
    end_wall_s = start_wall_s + duration_s
    return Scenario(
        name=f"{path.stem} {connector}",
        seed=seed,
        start_wall_s=start_wall_s,
        duration_s=duration_s,
        site=_site(parts, connector, depot, evse_of, vehicles),
        stations=tuple(
            StationSettings(f"CS{evse[1:]}", (StationEvse(evse),), meter_interval_s=10.0)
            for evse in evse_of.values()
        ),
        visits=tuple(visit for visit in visits if start_wall_s <= visit.arrives_wall_s < end_wall_s),
        prices=read_prices(prices, start_wall_s, end_wall_s),
        tick_s=2.0,
        loads=(Load("main", BUILDING_W, restless_w=400.0),),
        ambient_c=5.0,
    )


def _load(path: Path, connector: str) -> dict[str, Any]:
    try:
        source: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        known = sorted(source["components"]["grid_connectors"])
        source["events"]["vehicle_events"], source["scenario"]["start_time"]
    except (msgspec.MsgspecError, KeyError, TypeError) as fault:
        raise BadScenario(
            f"{path}: not a SpiceEV scenario with components, events and scenario: {fault}"
        ) from fault
    if connector not in known:
        raise BadScenario(f"{path}: no grid connector {connector!r}; it has {', '.join(known)}")
    return source


def _natural(name: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name.split("_"))


def _visits(source: dict[str, Any], evse_of: dict[str, str]) -> tuple[Visit, ...]:
    by_vehicle: dict[str, list[dict[str, Any]]] = {}
    for event in source["events"]["vehicle_events"]:
        by_vehicle.setdefault(event["vehicle_id"], []).append(event)
    visits = [
        visit
        for vehicle, events in by_vehicle.items()
        for visit in _of_vehicle(source["components"], vehicle, events, evse_of)
    ]
    return tuple(sorted(visits, key=lambda visit: (visit.arrives_wall_s, visit.evse)))


def _of_vehicle(
    parts: dict[str, Any], vehicle: str, events: list[dict[str, Any]], evse_of: dict[str, str]
) -> list[Visit]:
    kind = parts["vehicle_types"][parts["vehicles"][vehicle]["vehicle_type"]]
    start_soc: float | None = 100.0 * parts["vehicles"][vehicle]["soc"]
    route: list[float] = []
    visits: list[Visit] = []
    # Python's sort is stable: events of one minute (a stop of no length) stay in the file's order.
    ordered = sorted(events, key=lambda event: datetime.fromisoformat(event["start_time"]))
    for event, following in zip(ordered, [*ordered[1:], None], strict=True):
        if event["event_type"] != "arrival":
            continue
        update, arrives = event["update"], datetime.fromisoformat(event["start_time"])
        leaves = datetime.fromisoformat(
            (following or {}).get("start_time") or update["estimated_time_of_departure"]
        )
        route.append(100.0 * update["soc_delta"])
        station = update["connected_charging_station"]
        if station in evse_of and leaves > arrives:
            wanted = 100.0 * update["desired_soc"]
            stay = (arrives.timestamp(), leaves.timestamp(), wanted)
            visits.append(Visit(evse_of[station], vehicle, *stay, soc_pct=start_soc, route_pct=tuple(route)))
            route, start_soc = [], None
        elif station is not None:
            power_kw = min(parts["charging_stations"][station]["max_power"], kind["charging_curve"][0][1])
            hours = (leaves - arrives).total_seconds() / 3_600.0
            route.append(100.0 * power_kw * hours * ROUTE_EFFICIENCY / kind["capacity"])
    return visits


def _site(
    parts: dict[str, Any],
    connector: str,
    depot: dict[str, Any],
    evse_of: dict[str, str],
    vehicles: tuple[Vehicle, ...],
) -> Site:
    limit_w = 1_000.0 * parts["grid_connectors"][connector]["max_power"]
    evses = tuple(
        _evse(evse, 1_000.0 * depot[name]["max_power"], 1_000.0 * depot[name]["min_power"])
        for name, evse in evse_of.items()
    )
    used = {vehicle.type for vehicle in vehicles}
    return Site(
        name=connector.replace(" ", "_"),
        timezone="Europe/Berlin",
        grid=GridSettings(
            GRID_CODE, nominal_v=230, nominal_hz=50, relay="grid_relay", meter="grid", export_allowed=True
        ),
        feeders=(
            Feeder(
                "main", "", limit_w, limit_w, base_load_max_w=2 * BUILDING_W, base_load_min_w=0, meter="grid"
            ),
        ),
        evses=evses,
        vehicle_types=tuple(
            _kind(name, kind) for name, kind in sorted(parts["vehicle_types"].items()) if name in used
        ),
        vehicles=vehicles,
        meters=("grid",),
        contacts=("grid_relay",),
        temperatures=(),
        safety=SAFETY,
    )


def _evse(name: str, power_w: float, least_w: float) -> Evse:
    return Evse(
        id=name,
        feeder="main",
        max_charge_w=power_w,
        max_discharge_w=power_w,
        min_charge_w=least_w,
        fallback_w=least_w,
        phases="L1L2L3",
        dead_man="ocpp_profile",
        discharge_by="negative_limit",
        efficiency=0.94,
        min_discharge_w=least_w,
    )


def _kind(name: str, kind: dict[str, Any]) -> VehicleType:
    curve = tuple(CurvePoint(100.0 * soc, 1_000.0 * power_kw) for soc, power_kw in kind["charging_curve"])
    return VehicleType(
        id=name,
        capacity_wh=1_000.0 * kind["capacity"],
        min_soc_pct=FLOOR_PCT,
        max_soc_pct=100.0,
        charge_curve=curve,
        max_discharge_w=1_000.0 * kind["charging_curve"][0][1],
        depth_per_event_pct=40.0,
        depth_per_day_pct=60.0,
        pack_min_c=-5.0,
        pack_max_c=45.0,
        derate_from_c=38.0,
        soh_floor_pct=0.0,  # OCPP reports no state of health
        warranty_discharge_wh=ANY_W,
        warranty_discharge_h=ANY_W,
        warranty_efc=ANY_W,
    )


def read_prices(path: Path, start_wall_s: float, end_wall_s: float) -> tuple[Price, ...]:
    """Hourly prices per MWh from a CSV of (UTC hour, price), moved to the year of ``start_wall_s``: the same
    days of the year.

    Covers the hours that touch the run, and a day after it where the file goes on. ``BadScenario`` when hours
    are missing.
    """
    year = datetime.fromtimestamp(start_wall_s, UTC).year
    prices = []
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        for number, row in enumerate(rows, start=2):
            try:
                hour = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
                price = float(row[1]) / 1_000.0
            except (ValueError, IndexError) as fault:
                raise BadScenario(
                    f"{path}:{number}: expected 'YYYY-MM-DD HH:MM:SS,price', found {row!r}"
                ) from fault
            if (hour.month, hour.day) == (2, 29) and year % 4:
                continue
            wall_s = hour.replace(year=year).timestamp()
            if start_wall_s - 3_600 < wall_s < end_wall_s + 86_400:
                prices.append(Price(wall_s, price))
    if not prices or prices[0].start_wall_s > start_wall_s or prices[-1].start_wall_s + 3_600 < end_wall_s:
        raise BadScenario(f"{path}: no prices for the whole of the run")
    return tuple(sorted(prices, key=lambda price: price.start_wall_s))
