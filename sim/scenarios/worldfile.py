"""Worlds as data: a fleet with its duty cycle, chargers, feeders, prices and climate, in one TOML file each.

    about = "fifty vans that sleep at the depot"
    zone = "Europe/Amsterdam"
    from = "2026-01-14T15:30"             # local time
    hours = 15
    ambient_c = 8
    prices = [0.09, 0.08, …]              # a kWh, by local hour; 24 of them
    [grid]                                # as in ``GridEntry``
    hz = 60
    [feeders.main]                        # one without ``parent`` is the connection, and has the meter
    import_limit_w = 400000
    [types.van]
    capacity_wh = 60000
    [[fleet]]
    type = "van"
    count = 50
    charger_w = 11000
    [[fleet.stays]]                       # local times, 25:00 is an hour after midnight; or over midnight
    arrives = ["16:00", "19:00"]
    departs = ["05:30", "07:00"]
    soc_pct = [25, 60]                    # on arrival; or ``used_pct`` since the stay before
    target_soc_pct = [80, 95]

Where two figures stand, each vehicle draws its own from the seed. What cannot be is refused with its place.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from sim.scenarios.check import BadWorld, check
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Load
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import StationEvse, StationSettings
from v2g_edge.model.site import (
    CurvePoint,
    Evse,
    Feeder,
    GridSettings,
    PhaseMap,
    SafetySettings,
    Site,
    Vehicle,
    VehicleType,
)

FOLDER: Final = "scenarios/worlds"
TIME_SHARE: Final = 1.1
"""Of the time at full power: a stay that leaves less than this cannot be met by any controller."""

Span = tuple[float, float]
Clock = tuple[str, str]


class GridEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The grid: its nominal values, its code, and what of it the judges hold the depot to."""

    code: str = "vde_ar_n_4105_2018"
    hz: float = 50.0
    nominal_v: float = 230.0
    export_allowed: bool = True
    window_hz: Span = (47.5, 51.5)
    window_pu: Span = (0.8, 1.25)
    enter_service_s: float = 60.0


class FeederEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A feeder, and what hangs on it beside the chargers: a load with its evening, the sun at its best."""

    import_limit_w: float
    export_limit_w: float = 0.0
    parent: str = ""
    load_w: float = 0.0
    evening_w: float = 0.0
    restless_w: float = 0.0
    solar_w: float = 0.0


class TypeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of vehicle; a stationary battery is one that never leaves."""

    capacity_wh: float
    charge_w: float
    discharge_w: float = 0.0
    min_soc_pct: float = 20.0
    max_soc_pct: float = 100.0
    taper_from_pct: float = 80.0
    depth_per_event_pct: float = 35.0
    depth_per_day_pct: float = 45.0


class StayEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One stay of the day. ``soc_pct`` on arrival for the first, ``used_pct`` of the road for later ones."""

    arrives: Clock
    departs: Clock
    target_soc_pct: Span = (90.0, 90.0)
    soc_pct: Span | None = None
    used_pct: Span | None = None


class FleetEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Vehicles of one type, each at an outlet of its own."""

    type: str
    count: int
    charger_w: float
    stays: tuple[StayEntry, ...]
    feeder: str = "main"
    discharge_w: float = 0.0
    fallback_w: float = 0.0
    min_charge_w: float = 4_140.0
    phases: PhaseMap = "L1L2L3"
    name: str = ""


class World(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One file; see the module."""

    about: str
    feeders: dict[str, FeederEntry]
    types: dict[str, TypeEntry]
    fleet: tuple[FleetEntry, ...]
    prices: tuple[float, ...]
    zone: str = "Europe/Amsterdam"
    from_: str = "2026-01-14T15:30"
    hours: float = 15.0
    ambient_c: float = 8.0
    grid: GridEntry = GridEntry()


def presets() -> list[str]:
    """The names of the worlds that ship."""
    folder = resources.files("sim").joinpath(FOLDER)
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def read_world(name: str, seed: int) -> Scenario:
    """The scenario of a preset, or of a TOML file; ``BadWorld`` names the place and what is wrong in it."""
    if name in presets():
        text = resources.files("sim").joinpath(FOLDER, f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        text = Path(name).read_text(encoding="utf-8")
    else:
        raise BadWorld(f"world {name!r}: there are {', '.join(presets())}, and files that end with .toml")
    try:
        world = msgspec.toml.decode(text, type=World)
    except msgspec.MsgspecError as fault:
        raise BadWorld(f"{name}: {fault}") from fault
    return scenario_of(world, Path(name).stem, seed)


def scenario_of(world: World, name: str, seed: int) -> Scenario:
    """The scenario that a world describes; ``BadWorld`` lists what cannot be."""
    problems = [*_unknown(world)]
    if problems:
        raise BadWorld(f"{name}: " + "; ".join(problems))
    dice, zone = random.Random(f"{name} {seed}"), ZoneInfo(world.zone)
    start = datetime.fromisoformat(world.from_).replace(tzinfo=zone)
    evses, vehicles, visits = _fleet(world, dice, start)
    site = _site(world, name, evses, vehicles)
    problems = [*_impossible(site, visits)]
    if problems:
        raise BadWorld(f"{name}: " + "; ".join(problems))
    hours = [start.replace(minute=0) + timedelta(hours=n) for n in range(int(world.hours) + 2)]
    return check(
        Scenario(
            name=name,
            seed=seed,
            start_wall_s=start.timestamp(),
            duration_s=world.hours * 3_600.0,
            site=site,
            stations=tuple(
                StationSettings(f"CS-{evse.id}", (StationEvse(evse.id),), meter_interval_s=10.0)
                for evse in evses
            ),
            visits=tuple(visits),
            prices=tuple(Price(h.timestamp(), world.prices[h.astimezone(zone).hour]) for h in hours),
            loads=tuple(
                Load(
                    feeder,
                    each.load_w,
                    each.evening_w,
                    restless_w=each.restless_w,
                    solar_w=each.solar_w,
                    noon_hour_utc=_noon_hour_utc(start),
                )
                for feeder, each in world.feeders.items()
            ),
            tick_s=2.0,
            window_hz=world.grid.window_hz,
            window_pu=world.grid.window_pu,
            enter_service_s=world.grid.enter_service_s,
            ambient_c=world.ambient_c,
        )
    )


def _unknown(world: World) -> Iterator[str]:
    if len(world.prices) != 24:
        yield f"prices has {len(world.prices)} figures, one for each of 24 hours is needed"
    roots = [feeder for feeder, each in world.feeders.items() if not each.parent]
    if len(roots) != 1:
        yield f"feeders: {', '.join(roots) or 'none'} without parent, there must be one (the connection)"
    for feeder, each in world.feeders.items():
        if each.parent and each.parent not in world.feeders:
            yield f"feeders.{feeder}.parent is {each.parent!r}, allowed are {', '.join(world.feeders)}"
    for n, part in enumerate(world.fleet):
        if part.type not in world.types:
            yield f"fleet[{n}].type is {part.type!r}, allowed are {', '.join(world.types)}"
        if part.feeder not in world.feeders:
            yield f"fleet[{n}].feeder is {part.feeder!r}, allowed are {', '.join(world.feeders)}"
        if part.count < 1:
            yield f"fleet[{n}].count is {part.count}, at least 1 is needed"
        for m, stay in enumerate(part.stays):
            if (stay.soc_pct is None) == (stay.used_pct is None):
                yield f"fleet[{n}].stays[{m}]: give soc_pct or used_pct, one of them"


def _impossible(site: Site, visits: list[Visit]) -> Iterator[str]:
    for feeder in site.feeders:
        members = [evse for evse in site.evses if evse.feeder == feeder.id]
        least_w = sum(evse.fallback_w for evse in members) + feeder.base_load_max_w
        if least_w > feeder.import_limit_w:
            yield (
                f"feeders.{feeder.id}: the defaults of its chargers and its load come to {least_w:.0f} W, it"
                f" carries {feeder.import_limit_w:.0f} W: lower fallback_w"
            )
    kinds = {kind.id: kind for kind in site.vehicle_types}
    types = {vehicle.id: kinds[vehicle.type] for vehicle in site.vehicles}
    evses = {evse.id: evse for evse in site.evses}
    for visit in visits:
        if visit.soc_pct is None:
            continue
        need_wh = (visit.target_soc_pct - visit.soc_pct) / 100.0 * types[visit.vehicle].capacity_wh
        hours = (visit.departs_wall_s - visit.arrives_wall_s) / 3_600.0
        most_wh = evses[visit.evse].max_charge_w * evses[visit.evse].efficiency * hours
        if need_wh * TIME_SHARE > most_wh:
            yield (
                f"{visit.vehicle}: needs {need_wh / 1e3:.0f} kWh in {hours:.1f} h, its charger gives"
                f" {most_wh / 1e3:.0f} kWh"
            )


def _fleet(
    world: World, dice: random.Random, start: datetime
) -> tuple[list[Evse], list[Vehicle], list[Visit]]:
    evses: list[Evse] = []
    vehicles: list[Vehicle] = []
    visits: list[Visit] = []
    end = start + timedelta(hours=world.hours)
    for part in world.fleet:
        for _ in range(part.count):
            evse = _evse(part, len(evses) + 1)
            vehicle = Vehicle(
                f"{part.name or part.type}-{len(evses) + 1:02}", part.type, part.discharge_w > 0.0
            )
            evses.append(evse)
            vehicles.append(vehicle)
            visits += _visits(part, evse.id, vehicle.id, dice, start, end)
    return evses, vehicles, visits


def _evse(part: FleetEntry, n: int) -> Evse:
    gives = part.discharge_w > 0.0
    return Evse(
        f"E{n:02}",
        part.feeder,
        part.charger_w,
        part.discharge_w,
        part.min_charge_w,
        part.fallback_w,
        part.phases,
        "ocpp_profile",
        "negative_limit" if gives else "none",
        min_discharge_w=1_000.0 if gives else 0.0,
    )


def _visits(
    part: FleetEntry, evse: str, vehicle: str, dice: random.Random, start: datetime, end: datetime
) -> Iterator[Visit]:
    first = True
    for day in range(-1, int((end - start).days) + 2):
        for stay in part.stays:
            arrives = _at(start + timedelta(days=day), stay.arrives, dice)
            departs = _at(start + timedelta(days=day), stay.departs, dice)
            if departs <= arrives:
                departs += timedelta(days=1)
            used_pct = dice.uniform(*stay.used_pct) if stay.used_pct else None
            soc_pct = round(dice.uniform(*stay.soc_pct), 1) if stay.soc_pct else None
            target_pct = round(dice.uniform(*stay.target_soc_pct))
            if departs <= start + timedelta(minutes=30) or arrives >= end:
                continue
            if first and soc_pct is None:
                soc_pct = round(max(target_pct - (used_pct or 0.0), 5.0), 1)
            yield Visit(
                evse,
                vehicle,
                max(arrives, start + timedelta(seconds=10)).timestamp(),
                departs.timestamp(),
                float(target_pct),
                soc_pct,
                route_pct=() if soc_pct is not None or used_pct is None else (-used_pct,),
            )
            first = False


def _noon_hour_utc(start: datetime) -> float:
    offset = start.utcoffset()
    return (12.0 - (offset.total_seconds() / 3_600.0 if offset else 0.0)) % 24.0


def _at(day: datetime, clock: Clock, dice: random.Random) -> datetime:
    low, high = (60 * int(text[:2]) + int(text[3:]) for text in clock)
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(minutes=int(dice.uniform(low, high)))


def _site(world: World, name: str, evses: list[Evse], vehicles: list[Vehicle]) -> Site:
    grid = world.grid
    feeders = tuple(
        Feeder(
            feeder,
            each.parent,
            each.import_limit_w,
            each.export_limit_w,
            base_load_max_w=1.2 * (each.load_w + each.evening_w + each.restless_w),
            base_load_min_w=-1.05 * each.solar_w,
            meter="" if each.parent else "grid",
        )
        for feeder, each in sorted(world.feeders.items(), key=lambda pair: bool(pair[1].parent))
    )
    return Site(
        name,
        world.zone,
        GridSettings(
            grid.code,
            nominal_v=grid.nominal_v,
            nominal_hz=grid.hz,
            relay="grid_relay",
            meter="grid",
            export_allowed=grid.export_allowed,
        ),
        feeders,
        tuple(evses),
        tuple(_type(kind, each) for kind, each in world.types.items()),
        tuple(vehicles),
        ("grid",),
        ("grid_relay",),
        (),
        SafetySettings(meter_max_age_s=2.5, contact_max_age_s=2.5, charger_max_age_s=35.0, lease_s=60.0),
    )


def _type(kind: str, each: TypeEntry) -> VehicleType:
    return VehicleType(
        id=kind,
        capacity_wh=each.capacity_wh,
        min_soc_pct=each.min_soc_pct,
        max_soc_pct=each.max_soc_pct,
        charge_curve=(
            CurvePoint(0, each.charge_w),
            CurvePoint(each.taper_from_pct, each.charge_w),
            CurvePoint(100, 0.2 * each.charge_w),
        ),
        max_discharge_w=each.discharge_w,
        depth_per_event_pct=each.depth_per_event_pct,
        depth_per_day_pct=each.depth_per_day_pct,
        pack_min_c=0.0,
        pack_max_c=45.0,
        derate_from_c=38.0,
        soh_floor_pct=0.0,
        warranty_discharge_wh=ANY_W,
        warranty_discharge_h=ANY_W,
        warranty_efc=ANY_W,
    )
