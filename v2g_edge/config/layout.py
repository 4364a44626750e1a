"""How the TOML file is cut into tables, and the way between that and ``Settings``.

The file's tables are the settings' own types, so that a key of the file and a field of the program have one
name. Only ``[site]`` differs: it holds the depot's name and the names of what is measured; the rest of
``Site`` are tables beside it.
"""

from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from v2g_edge.model.service import Service
from v2g_edge.model.settings import (
    CloudSettings,
    DemandCharge,
    FleetSettings,
    HostSettings,
    Listener,
    ModbusDevice,
    ModbusLine,
    OcppSettings,
    OpenAdrSettings,
    PriceSettings,
    Settings,
    StationSettings,
    TelematicsSettings,
    TimeOfUse,
    UpstreamSettings,
)
from v2g_edge.model.site import (
    Evse,
    Feeder,
    FrequencyResponse,
    GridSettings,
    SafetySettings,
    Site,
    Vehicle,
    VehicleType,
    Window,
)

T = TypeVar("T", bound=Struct)

WORKED_OUT: Final[dict[type[Struct], frozenset[str]]] = {GridSettings: frozenset({"profile"})}
"""Fields that are no keys of the file, because they follow from others."""


@cache
def keys_of(struct: type[Struct]) -> tuple[FieldInfo, ...]:
    """The fields of a table that are keys of the file."""
    hidden = WORKED_OUT.get(struct, frozenset())
    return tuple(field for field in fields(struct) if field.name not in hidden)


class SiteTable(Struct, frozen=True):
    """``[site]``: the depot's name and zone, and the names of its meters, contacts and temperature
    sensors.
    """

    name: str
    timezone: str
    meters: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    temperatures: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()


class SiteFile(Struct, frozen=True):
    """The whole file, one field a table (or array of tables), in the order in which it is written."""

    site: SiteTable
    grid: GridSettings
    feeders: tuple[Feeder, ...]
    evses: tuple[Evse, ...] = ()
    vehicle_types: tuple[VehicleType, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    windows: tuple[Window, ...] = ()
    response: FrequencyResponse = FrequencyResponse()
    services: tuple[Service, ...] = ()
    safety: SafetySettings = SafetySettings()
    listeners: tuple[Listener, ...] = ()
    ocpp: OcppSettings = OcppSettings()
    stations: tuple[StationSettings, ...] = ()
    upstreams: tuple[UpstreamSettings, ...] = ()
    lines: tuple[ModbusLine, ...] = ()
    devices: tuple[ModbusDevice, ...] = ()
    cloud: CloudSettings = CloudSettings()
    host: HostSettings = HostSettings()
    prices: PriceSettings = PriceSettings()
    demand_charges: tuple[DemandCharge, ...] = ()
    time_of_use: tuple[TimeOfUse, ...] = ()
    fleet: FleetSettings = FleetSettings()
    openadr: OpenAdrSettings = OpenAdrSettings()
    telematics: TelematicsSettings = TelematicsSettings()


def from_plain(plain: dict[str, Any]) -> SiteFile:
    """The typed file from plain TOML values that the schema has already accepted."""
    overrides = plain["grid"].get("code_overrides", {})
    grid = {**plain["grid"], "code_overrides": sorted(overrides.items())}
    upstreams = [
        {"allow": [], **each} if each.get("role") == "copy" else each for each in plain.get("upstreams", ())
    ]
    return msgspec.convert({**plain, "grid": grid, "upstreams": upstreams}, SiteFile)


def to_settings(file: SiteFile) -> Settings:
    """Settings with every tuple sorted by id, so that the order of a file decides nothing."""
    site = Site(
        name=file.site.name,
        timezone=file.site.timezone,
        grid=file.grid,
        feeders=_by(file.feeders, "id"),
        evses=_by(file.evses, "id"),
        vehicle_types=_by(file.vehicle_types, "id"),
        vehicles=_by(file.vehicles, "id"),
        meters=tuple(sorted(file.site.meters)),
        contacts=tuple(sorted(file.site.contacts)),
        temperatures=tuple(sorted(file.site.temperatures)),
        safety=file.safety,
        response=file.response,
        services=_by(file.services, "id"),
        holidays=tuple(sorted(file.site.holidays)),
        windows=_by(file.windows, "id"),
    )
    return Settings(
        site=site,
        listeners=file.listeners,
        stations=_by(file.stations, "identity"),
        upstreams=_by(file.upstreams, "id"),
        lines=_by(file.lines, "id"),
        devices=_by(file.devices, "id"),
        cloud=file.cloud,
        host=file.host,
        prices=file.prices,
        demand_charges=_by(file.demand_charges, "id"),
        time_of_use=file.time_of_use,
        ocpp=file.ocpp,
        fleet=file.fleet,
        openadr=file.openadr,
        telematics=file.telematics,
    )


def from_settings(settings: Settings) -> SiteFile:
    """The file that would give these settings."""
    site = settings.site
    return SiteFile(
        site=SiteTable(
            site.name, site.timezone, site.meters, site.contacts, site.temperatures, site.holidays
        ),
        grid=site.grid,
        feeders=site.feeders,
        evses=site.evses,
        vehicle_types=site.vehicle_types,
        vehicles=site.vehicles,
        response=site.response,
        services=site.services,
        windows=site.windows,
        safety=site.safety,
        listeners=settings.listeners,
        ocpp=settings.ocpp,
        stations=settings.stations,
        upstreams=settings.upstreams,
        lines=settings.lines,
        devices=settings.devices,
        cloud=settings.cloud,
        host=settings.host,
        prices=settings.prices,
        demand_charges=settings.demand_charges,
        time_of_use=settings.time_of_use,
        fleet=settings.fleet,
        openadr=settings.openadr,
        telematics=settings.telematics,
    )


def _by(items: tuple[T, ...], name: str) -> tuple[T, ...]:
    return tuple(sorted(items, key=lambda item: str(getattr(item, name))))
