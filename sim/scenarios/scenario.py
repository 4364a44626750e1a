"""What is played: a depot, its weather, which vehicles come and go, what breaks. One frozen value, written to
and read from JSON.

A scenario gives the daemon its site settings and the simulator its world, so that both speak of the same
depot.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sim.scenarios.aggregator import Aggregator
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.visit import Visit
from sim.world.depot import Depot, Disturbance, Grid, Load
from sim.world.frequency import FrequencyProcess, Wandering
from sim.world.physics import Battery, Charger
from v2g_edge.config.gridcode import shipped_code
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import (
    CloudSettings,
    HostSettings,
    Listener,
    ModbusDevice,
    ModbusLine,
    PriceSettings,
    Settings,
    StationSettings,
)
from v2g_edge.model.site import DischargeBy, Site

__all__ = [
    "Fault",
    "FaultKind",
    "Scenario",
    "Version",
    "Visit",
    "Wired",
    "read_scenario",
    "speaking",
    "write_scenario",
]

Version = Literal["1.6", "2.0.1", "2.1"]

METER_PORT = 15_020
RELAY_PORT = 15_021
WIRED_PORT = 15_030
SERIAL_PORT = "/dev/ttyS0"
"""Ports of the simulated Modbus devices on the virtual network; a real run takes free ones."""


class Wired(Struct, frozen=True):
    """A charger without OCPP, on a TCP port of its own: ``map`` names its registers ("quasar1", or "sunspec"
    for a DER charger).

    ``vehicle`` always stands there (no such charger reports which one does); ``watchdog_s`` is the dead-man
    time that the daemon sets.
    """

    evse: str
    map: Literal["quasar1", "sunspec"]
    vehicle: str
    watchdog_s: float = 10.0


class Scenario(Struct, frozen=True):
    """Everything that a run depends on. ``reaction_s`` is how long discharge may go on after the grid has
    gone wrong.

    ``allowed_late_s`` is what a charger and its protocol take from plug-in to full power; the checkers grant
    it before they call a departure possible. ``window_hz`` and ``window_pu`` are the must-trip limits of the
    grid code, ``enter_service_s`` how long the grid must be healthy before anything is exported again
    (VDE-AR-N 4105: 47.5-51.5 Hz, 0.8-1.25 pu, 60 s). ``speak`` names the version of stations (by identity)
    that do not speak ``ocpp``; ``wired`` are the chargers by register. ``meter``: the grid meter is a SunSpec
    meter on TCP, or an SDM630 on a serial line. ``one_phase`` are the vehicles whose on-board chargers use
    the first phase of an outlet alone. ``frequency`` is the process that the grid's follows, and
    ``aggregator`` asks for what was sold to it.
    """

    name: str
    seed: int
    start_wall_s: float
    duration_s: float
    site: Site
    stations: tuple[StationSettings, ...]
    visits: tuple[Visit, ...]
    prices: tuple[Price, ...]
    loads: tuple[Load, ...]
    disturbances: tuple[Disturbance, ...] = ()
    faults: tuple[Fault, ...] = ()
    meter_poll_s: float = 1.0
    relay_poll_s: float = 1.0
    tick_s: float = 1.0
    reaction_s: float = 2.0
    allowed_late_s: float = 60.0
    window_hz: tuple[float, float] = (47.5, 51.5)
    window_pu: tuple[float, float] = (0.8, 1.25)
    enter_service_s: float = 60.0
    ambient_c: float = 8.0
    ocpp: Version = "2.0.1"
    speak: tuple[tuple[str, Version], ...] = ()
    wired: tuple[Wired, ...] = ()
    meter: Literal["sunspec", "sdm630"] = "sunspec"
    one_phase: tuple[str, ...] = ()
    frequency: FrequencyProcess | None = None
    aggregator: Aggregator | None = None

    def version_of(self, station: str) -> Version:
        """What a station speaks."""
        return dict(self.speak).get(station, self.ocpp)

    @property
    def end_wall_s(self) -> float:
        """When it is over."""
        return self.start_wall_s + self.duration_s

    def depot(self) -> Depot:
        """The physical world at its beginning, nothing plugged in."""
        wandering = Wandering(self.frequency, self.start_wall_s) if self.frequency else None
        grid = Grid(self.site.grid.nominal_v, self.site.grid.nominal_hz, self.disturbances, wandering)
        chargers = {evse.id: Charger(evse) for evse in self.site.evses}
        return Depot(self.site, grid, self.loads, chargers, self.start_wall_s)

    def battery(self, vehicle: str, soc_pct: float) -> Battery:
        """A vehicle's pack as its type describes it; KeyError for a vehicle that the site does not have."""
        kinds = {kind.id: kind for kind in self.site.vehicle_types}
        kind = kinds[{known.id: known.type for known in self.site.vehicles}[vehicle]]
        return Battery(
            vehicle,
            kind.capacity_wh,
            soc_pct,
            kind.charge_curve,
            kind.max_discharge_w,
            ambient_c=self.ambient_c,
            on_one_phase=vehicle in self.one_phase,
        )

    def settings(
        self,
        state_dir: Path,
        *,
        ocpp_port: int = 8081,
        meter_port: int = METER_PORT,
        relay_port: int = RELAY_PORT,
        serial_port: str = SERIAL_PORT,
        wired_ports: tuple[int, ...] = (),
        price_file: str = "",
        socket: str = "",
    ) -> Settings:
        """The site settings for a daemon that lives in this depot. KeyError for an unknown grid code."""
        meter_line = ModbusLine("meter_line", host="127.0.0.1", port=meter_port)
        if self.meter == "sdm630":
            meter_line = ModbusLine("meter_line", transport="rtu", serial_port=serial_port)
        grid = replace(self.site.grid, profile=shipped_code(self.site.grid.code))
        site = replace(self.site, grid=grid)
        return Settings(
            # Whole numbers become floats, as from a site file and from the journal: so a replay is the same
            # to the bit.
            site=msgspec.convert(msgspec.to_builtins(site), Site),
            listeners=(Listener(host="127.0.0.1", port=ocpp_port, security_profile=0),),
            stations=self.stations,
            lines=(
                meter_line,
                ModbusLine("relay_line", host="127.0.0.1", port=relay_port),
                *(
                    ModbusLine(
                        f"{wired.evse}_line",
                        host="127.0.0.1",
                        port=wired_ports[n] if wired_ports else WIRED_PORT + n,
                    )
                    for n, wired in enumerate(self.wired)
                ),
            ),
            devices=(
                ModbusDevice(
                    "grid_meter", "meter_line", "meter", grid.meter, self.meter, poll_s=self.meter_poll_s
                ),
                ModbusDevice(
                    "grid_relay",
                    "relay_line",
                    "contact",
                    grid.relay,
                    "discrete-input",
                    poll_s=self.relay_poll_s,
                ),
                *(_charger(wired) for wired in self.wired),
            ),
            cloud=CloudSettings(),
            host=HostSettings(
                state_dir=str(state_dir), socket=socket, journal_sync="normal", tick_s=self.tick_s
            ),
            prices=PriceSettings(file=price_file),
        )


def _charger(wired: Wired) -> ModbusDevice:
    return ModbusDevice(
        f"{wired.evse}_charger", f"{wired.evse}_line", "charger", wired.evse, wired.map,
        poll_s=1.0, watchdog_s=wired.watchdog_s, vehicle=wired.vehicle,
    )  # fmt: skip


def speaking(scenario: Scenario, version: Version) -> Scenario:
    """``scenario`` with stations of another version, discharge commanded as that version does it.
    ValueError for a mixed one.
    """
    if scenario.speak or scenario.wired:
        raise ValueError(f"{scenario.name}: its chargers speak several protocols; leave --ocpp out")
    word: DischargeBy = "setpoint" if version == "2.1" else "negative_limit"
    evses = tuple(replace(evse, discharge_by=word) for evse in scenario.site.evses)
    return replace(scenario, ocpp=version, site=replace(scenario.site, evses=evses))


def write_scenario(scenario: Scenario, path: Path) -> None:
    """Write a scenario as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(scenario)))


def read_scenario(path: Path) -> Scenario:
    """Read a scenario; ``ValueError`` names the file and what is wrong in it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Scenario)
    except msgspec.MsgspecError as fault:
        raise ValueError(f"{path}: {fault}") from fault


def write_prices(prices: tuple[Price, ...], path: Path) -> None:
    """Write prices as the CSV of the day-ahead files: UTC hour, price per MWh."""
    rows = ["Datetime,Price (EUR/MWh)"]
    rows += [f"{_stamp(price.start_wall_s)},{1_000 * price.per_kwh:.2f}" for price in prices]
    path.write_text("\n".join(rows) + "\n")


def _stamp(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
