"""A site file of one's own, played: the daemon reads its settings as they are written, and the depot serves
each device by its own register map.

What differs from the file: lines lead to the simulator, stations dial one listener without passwords, no
cloud and no depot management, prices of a winter's day, and the state folder. Serial lines become TCP.
A tick is at least two seconds and a poll one, so that a night takes minutes.
"""

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.mapped import Mapped, MappedCharger, WatchdogRelay
from sim.modbus.server import ModbusServer, Registers, Unit
from sim.runners.world import World
from sim.scenarios.scenario import Scenario, Visit
from sim.virtual.clock import LoopClock
from sim.world.physics import Battery, Charger
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.model.settings import (
    CloudSettings,
    FleetSettings,
    Listener,
    ModbusDevice,
    ModbusLine,
    PriceSettings,
    Settings,
)

LINE_PORT: Final = 15_100
"""Port of the first line; the others follow."""
LEAST_TICK_S: Final = 2.0
LEAST_POLL_S: Final = 1.0
AMBIENT_C: Final = 20.0
"""What every temperature sensor shows."""
CONTACT_BITS: Final = 16
"""Inputs of a simulated module (``Inputs``)."""


def at_simulator(settings: Settings, state_dir: Path, ocpp_port: int, price_file: str) -> Settings:
    """The settings with the addresses of the simulator; everything else as the file says."""
    lines = tuple(
        ModbusLine(line.id, host="127.0.0.1", port=LINE_PORT + n, timeout_s=line.timeout_s)
        for n, line in enumerate(settings.lines)
    )
    stations = tuple(
        replace(station, password_file="", least_security_profile=0) for station in settings.stations
    )
    host = replace(settings.host, tick_s=max(settings.host.tick_s, LEAST_TICK_S))
    prices = PriceSettings(file=price_file, wear_per_kwh=settings.prices.wear_per_kwh)
    return replace(
        settings,
        lines=lines,
        stations=stations,
        listeners=(Listener(host="127.0.0.1", port=ocpp_port, security_profile=0),),
        cloud=CloudSettings(),
        fleet=FleetSettings(),
        prices=replace(prices, export_per_kwh=settings.prices.export_per_kwh),
        devices=tuple(replace(each, poll_s=max(each.poll_s, LEAST_POLL_S)) for each in settings.devices),
        host=replace(host, state_dir=str(state_dir), socket="", journal_sync="normal", metrics=""),
    )


class OwnSiteWorld(World):
    """A world whose Modbus devices are those of a site file. ValueError for what cannot be played."""

    def __init__(self, scenario: Scenario, settings: Settings, clock: LoopClock) -> None:
        super().__init__(scenario, clock)
        self._settings = settings
        self._own = [self._charger(device) for device in settings.devices if device.role == "charger"]
        self._station_of |= {own.evse: (own, 1) for own in self._own}
        self.servers = [self._line(line) for line in settings.lines]

    async def start(self) -> None:
        """Open every line."""
        for server in self.servers:
            await server.start()

    def step(self, wall_s: float) -> None:
        """Bring everything to ``wall_s``."""
        super().step(wall_s)
        for own in self._own:
            own.step(wall_s)

    async def stop(self) -> None:
        """Hang up and close everything."""
        await super().stop()
        for server in self.servers:
            await server.stop()

    def _line(self, line: ModbusLine) -> ModbusServer:
        mine = [device for device in self._settings.devices if device.line == line.id]
        units = {own.unit.number: own.unit for own in self._own if own.line == line.id}
        for device in mine:
            if device.role == "charger":
                continue
            if device.unit in units and device.role != "contact":
                raise ValueError(
                    f"devices.{device.id}: unit {device.unit} of line {line.id} is another device too; the"
                    " simulator plays one device a unit, and contacts"
                )
            units.setdefault(device.unit, Unit(device.unit, self._registers(device, mine)))
        return ModbusServer(list(units.values()), port=line.port)

    def _registers(self, device: ModbusDevice, mine: list[ModbusDevice]) -> Registers:
        if device.role == "meter":
            return self._meter_of(device)
        if device.role == "contactor":
            return WatchdogRelay(self.clock.now_s)
        if device.role == "temperature":
            return Mapped(load_map(device.map), lambda: {"value_c": AMBIENT_C}, channel=device.channel)
        inputs = [other for other in mine if (other.role, other.unit) == ("contact", device.unit)]
        beyond = [other.id for other in inputs if other.channel >= CONTACT_BITS]
        if beyond:
            raise ValueError(f"devices.{beyond[0]}: the simulator's modules have {CONTACT_BITS} inputs")
        return Inputs(lambda: self._contacts(inputs))

    def _contacts(self, inputs: list[ModbusDevice]) -> list[bool]:
        """The grid relay as the grid is, every other contact closed."""
        bits, closed = [False] * CONTACT_BITS, self._bits()[0]
        for each in inputs:
            bits[each.channel] = (
                closed if each.target == self.scenario.site.grid.relay else True
            ) != each.invert
        return bits

    def _meter_of(self, device: ModbusDevice) -> Registers:
        root = next(feeder.id for feeder in self.scenario.site.feeders if not feeder.parent)
        feeders = {feeder.meter: feeder.id for feeder in self.scenario.site.feeders if feeder.meter}
        feeder = feeders.get(device.target, root)

        def truth() -> MeterTruth:
            shown = self._truth_of(feeder)
            return shown.with_reversed_ct(1, 2, 3) if device.invert else shown

        if device.map == "sunspec":
            return SunSpecMeter(truth)
        return Mapped(load_map(device.map), lambda: shown_by(truth()), channel=device.channel)

    def _charger(self, device: ModbusDevice) -> "OwnCharger":
        return OwnCharger(device, self.depot.chargers[device.target], self.clock)


def shown_by(truth: MeterTruth) -> dict[str, float]:
    """A meter's points, currents among them."""
    values = truth.values()
    for phase in (1, 2, 3):
        volts = values[f"voltage_l{phase}_v"]
        values[f"current_l{phase}_a"] = abs(values[f"power_l{phase}_w"]) / max(volts, 1.0)
    return values


class OwnCharger:
    """A charger by register: its map on one side, the depot's physics on the other."""

    def __init__(self, device: ModbusDevice, charger: Charger, clock: LoopClock) -> None:
        self.evse, self.line = device.target, device.line
        self.heard_wall_s: float | None = None
        self._charger = charger
        self._asked = 0
        layout = load_map(device.map)
        if layout.kind != "charger":
            raise ValueError(
                f"devices.{device.id}: the map {device.map} is of a {layout.kind}, not of a charger"
            )
        named = {status: number for number, status in layout.states.items()}
        other = next(number for number in range(len(layout.states) + 1) if number not in layout.states)
        self._states = {"available": named.get("available", other), "occupied": named.get("occupied", other)}
        self._registers = MappedCharger(
            layout,
            self._values,
            self._apply,
            clock.now_s,
            channel=device.channel,
            fallback_w=charger.evse.fallback_w,
        )
        self.unit = Unit(device.unit, self._registers)

    def plug(self, number: int, battery: Battery, visit: Visit) -> None:
        """A vehicle is connected; there is one outlet."""
        self._charger.plug(battery)

    def unplug(self, number: int) -> Battery | None:
        """The vehicle leaves."""
        return self._charger.unplug()

    def step(self, wall_s: float) -> None:
        """Let the watchdog run out; note whether anybody asked since the last step."""
        asked = self.unit.reads + self.unit.writes
        if asked != self._asked:
            self._asked, self.heard_wall_s = asked, wall_s
        self._registers.check_watchdog()

    def _apply(self, power_w: float) -> None:
        self._charger.command_w = power_w

    def _values(self) -> dict[str, float]:
        charger, battery = self._charger, self._charger.battery
        status = "available" if battery is None else "occupied"
        return {
            "power_w": charger.power_w,
            "state": float(self._states[status]),
            "connected": float(battery is not None),
            "soc_pct": battery.soc_pct if battery else 0.0,
            "capacity_wh": battery.capacity_wh if battery else 0.0,
            "voltage_v": 400.0,
            "energy_import_wh": charger.import_wh,
            "energy_export_wh": charger.export_wh,
            "max_charge_w": charger.evse.max_charge_w,
            "max_discharge_w": charger.evse.max_discharge_w,
            "pack_c": battery.pack_c if battery else AMBIENT_C,
        }
