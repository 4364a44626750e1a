"""Stands in for the devices of a site file, in real time, for the daemon that runs here by that file: its
charging stations dial in with their passwords, and devices on lines of this machine answer.

What is real is left alone: a line that leads to another machine or to a serial port is not served, and a
station that is connected already is not played. A vehicle is plugged in at each outlet; where the site file
knows none, an unknown one.
"""

import ipaddress
import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from sim.runners.own_site import OwnSiteWorld
from sim.runners.rehearse import places
from sim.scenarios.scenario import Scenario, Version
from sim.scenarios.visit import Visit
from sim.stations.keyring import Keyring
from sim.virtual.clock import LoopClock
from sim.world.depot import Load
from v2g_edge import config
from v2g_edge.model.settings import Listener, ModbusLine, Settings
from v2g_edge.model.site import CurvePoint, Vehicle, VehicleType

SECRETS: Final = Path("/etc/v2g-edge/secrets")
CREDENTIALS: Final = Path("/run/credentials")
"""Where systemd hands a secret to the daemon, and to nothing else; it lies in ``SECRETS``."""
ARRIVES_S: Final = 5.0
"""Until the vehicles are plugged in: the stations have booted by then."""
STAYS_S: Final = 12 * 3_600.0
PLAIN: Final = 1
"""Highest security profile of a listener without TLS."""
NOBODY: Final = "nobody"
GUEST_TYPE: Final = VehicleType(
    id="stand-in",
    capacity_wh=60_000.0,
    min_soc_pct=10.0,
    max_soc_pct=100.0,
    charge_curve=(CurvePoint(0.0, 50_000.0), CurvePoint(80.0, 50_000.0), CurvePoint(100.0, 5_000.0)),
    max_discharge_w=0.0,
    depth_per_event_pct=0.0,
    depth_per_day_pct=0.0,
    pack_min_c=0.0,
    pack_max_c=45.0,
    derate_from_c=40.0,
    soh_floor_pct=0.0,
    warranty_discharge_wh=0.0,
    warranty_discharge_h=0.0,
    warranty_efc=0.0,
)
"""A car of today: 60 kWh, and more power than an outlet of a first site has."""


async def stand_in(site_file: Path, connected: frozenset[str], soc_pct: float, version: Version) -> None:
    """Until it is cancelled. ValueError, ConfigError or OSError for what cannot be played."""
    settings = config.load(site_file)
    listener = _listener(settings)
    stations = tuple(each for each in settings.stations if each.identity not in connected)
    lines = tuple(line for line in settings.lines if is_here(line))
    served = {line.id for line in lines}
    devices = tuple(device for device in settings.devices if device.line in served)
    clock = LoopClock(time.time())
    scenario = scenario_of(replace(settings, stations=stations, devices=devices), clock.wall_s(), soc_pct)
    scenario = replace(scenario, ocpp=version)
    keyrings = {each.identity: Keyring(password=_password(each.password_file)) for each in stations}
    known = replace(settings, site=scenario.site, stations=stations, lines=lines, devices=devices)
    world = StandIn(scenario, known, clock, keyrings)
    await world.start()
    become_nobody()
    for words in told(settings, scenario, lines, connected):
        print(words, flush=True)
    world.join(f"ws://{_dialled(listener)}:{listener.port}")
    try:
        await world.play(scenario.end_wall_s)
    finally:
        await world.stop()


class StandIn(OwnSiteWorld):
    """The devices that are played; ``keyrings`` has what each station proves itself with."""

    def __init__(
        self, scenario: Scenario, settings: Settings, clock: LoopClock, keyrings: dict[str, Keyring]
    ) -> None:
        super().__init__(scenario, settings, clock)
        self._keyrings = keyrings

    def join(self, url: str) -> None:
        """Let all stations dial in, with their passwords."""
        super().join(url)
        for identity, station in self.stations.items():
            station.keyring = self._keyrings[identity]


def scenario_of(settings: Settings, wall_s: float, soc_pct: float) -> Scenario:
    """A vehicle at each outlet that is played, from now on."""
    site = settings.site
    played = {outlet.evse for station in settings.stations for outlet in station.outlets}
    played |= {device.target for device in settings.devices if device.role == "charger"}
    stands = {evse.id: vehicle.id for evse, vehicle in places(settings)}
    guests = {evse.id: f"guest-{evse.id}" for evse in site.evses if evse.id not in stands}
    vehicles = tuple(Vehicle(name, GUEST_TYPE.id, may_discharge=False) for name in guests.values())
    if guests:
        types = (*site.vehicle_types, GUEST_TYPE)
        site = replace(site, vehicle_types=types, vehicles=(*site.vehicles, *vehicles))
    arrives_s, leaves_s = wall_s + ARRIVES_S, wall_s + STAYS_S
    return Scenario(
        name=site.name,
        seed=0,
        start_wall_s=wall_s,
        duration_s=STAYS_S + 3_600.0,
        site=site,
        stations=settings.stations,
        visits=tuple(
            Visit(evse, vehicle, arrives_s, leaves_s, 80.0, soc_pct)
            for evse, vehicle in sorted({**stands, **guests}.items())
            if evse in played
        ),
        prices=(),
        loads=tuple(Load(f.id, 0.5 * max(f.base_load_max_w, 0.0)) for f in site.feeders),
    )


def told(
    settings: Settings, scenario: Scenario, lines: tuple[ModbusLine, ...], connected: frozenset[str]
) -> list[str]:
    """What is played and what is not, in words."""
    words = [
        f"station {station.identity} ({scenario.ocpp}): outlets"
        f" {', '.join(outlet.evse for outlet in station.outlets)}"
        for station in scenario.stations
    ]
    words += [f"station {each} is connected already: it is left alone" for each in sorted(connected)]
    words += [f"line {line.id}: its devices answer at {line.host}:{line.port}" for line in lines]
    for line in settings.lines:
        if line not in lines:
            where = line.serial_port or f"{line.host}:{line.port}"
            words.append(f"line {line.id} leads to {where}: it is left alone")
    if not scenario.stations and not lines:
        raise ValueError("nothing is left to stand in for: every station is connected, no line is local")
    arrivals = ", ".join(f"{visit.vehicle} at {visit.evse}" for visit in scenario.visits)
    return [*words, f"in {ARRIVES_S:g} s: {arrivals or 'no vehicle'}; end with Ctrl-C"]


def is_here(line: ModbusLine) -> bool:
    """Whether a line leads to this machine, by TCP without TLS."""
    if line.transport != "tcp":
        return False
    try:
        return line.host == "localhost" or ipaddress.ip_address(line.host).is_loopback
    except ValueError:
        return False


def _listener(settings: Settings) -> Listener:
    for listener in settings.listeners:
        if listener.security_profile <= PLAIN:
            return listener
    raise ValueError(
        "listeners: the simulated stations speak no TLS, and every listener has security_profile 2 or 3;"
        ' for a trial add one with host = "127.0.0.1" and security_profile = 1'
    )


def _dialled(listener: Listener) -> str:
    """Its address, seen from this machine."""
    anywhere = listener.host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
    return "127.0.0.1" if anywhere else f"[{listener.host}]" if ":" in listener.host else listener.host


def _password(name: str) -> str:
    """A station's password, from where root keeps it."""
    path = Path(name)
    if path.is_relative_to(CREDENTIALS):
        path = SECRETS / path.name.removeprefix("secrets_")
    try:
        return path.read_text(encoding="utf-8").strip() if name else ""
    except PermissionError as error:
        raise ValueError(f"{path}: only root may read it; sudo v2g-edge simulate") from error


def become_nobody(user: Callable[[str], pwd.struct_passwd] = pwd.getpwnam) -> None:
    """Give up root's rights: passwords are read and ports are open."""
    if os.geteuid() == 0:
        nobody = user(NOBODY)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
