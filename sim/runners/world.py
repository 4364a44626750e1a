"""The depot outside the daemon's walls, running: physics, stations, Modbus devices, comings and goings, and
the judges.

``start`` opens the Modbus servers, ``join`` lets the stations dial in, ``play`` lets time pass. The clock
decides whether that is virtual, scaled or real time. ``distort`` stands between the truth and what the meter
shows, ``contact`` in place of what the grid contact shows; ``watchers`` are called before each step.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from sim.judges.panel import Panel
from sim.modbus.charger import WiredCharger
from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.mapped import Mapped
from sim.modbus.rtu import MemoryRtuServer, RtuServer
from sim.modbus.server import ModbusServer, Unit
from sim.scenarios.fault import EVERYBODY, STATION
from sim.scenarios.scenario import SERIAL_PORT, WIRED_PORT, Scenario
from sim.scenarios.visit import Visit
from sim.stations.outlet import Outlet
from sim.stations.profiles import ProfileStore
from sim.stations.station import Station
from sim.virtual.clock import LoopClock
from sim.virtual.loop import VirtualLoop
from sim.world.physics import Battery
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.tasks import end

STEP_S: Final = 1.0
"""Played seconds between two steps of stations and judges; meters bring the physics up to date whenever
they are read.
"""


class Plugged(Protocol):
    """Whatever has outlets that vehicles plug into. ``heard_wall_s``: when the daemon was heard last."""

    heard_wall_s: float | None

    def plug(self, number: int, battery: Battery, visit: Visit) -> None:
        """A vehicle is connected to outlet ``number``."""

    def unplug(self, number: int) -> Battery | None:
        """The vehicle leaves."""


class World:
    """See the module. ``port`` numbers 0 take free ones, to be read from ``meter`` and ``relay`` after
    ``start``.
    """

    def __init__(
        self,
        scenario: Scenario,
        clock: LoopClock,
        *,
        meter_port: int = 0,
        relay_port: int = 0,
        wired_port: int = WIRED_PORT,
    ) -> None:
        self.scenario = scenario
        self.clock = clock
        self.depot = scenario.depot()
        self.stations: dict[str, Station] = {}
        self.panel = Panel(scenario, self._heard_wall_s)
        self.depot.watchers.append(self.panel.look)
        self.distort: Callable[[MeterTruth], MeterTruth] = lambda truth: truth
        self.contact: bool | None = None
        self.meter_unit = self._meter_unit()
        self.relay_unit = Unit(1, Inputs(self._bits))
        self.meter = self._meter(meter_port)
        self.relay = ModbusServer([self.relay_unit], port=relay_port)
        self.watchers: list[Callable[[float], None]] = []
        self.cost = 0.0
        self.depot.watchers.append(lambda _, dt_s: self._pay(dt_s))
        self.wired = [
            WiredCharger(wired, self.depot.chargers[wired.evse], clock, port=wired_port and wired_port + n)
            for n, wired in enumerate(scenario.wired)
        ]
        self._station_of: dict[str, tuple[Plugged, int]] = {w.evse: (w, 1) for w in self.wired}
        self._tasks: list[asyncio.Task[None]] = []
        self._plugged: dict[str, Visit] = {}
        self._parked: dict[str, Battery] = {}
        self._to_come = sorted(scenario.visits, key=lambda visit: (visit.arrives_wall_s, visit.evse))
        self._prices = sorted(scenario.prices, key=lambda price: price.start_wall_s)
        self._price_at = 0

    async def start(self) -> None:
        """Open the meter, the relay and the chargers without OCPP."""
        for server in (self.meter, self.relay, *(wired.server for wired in self.wired)):
            await server.start()

    def join(self, url: str) -> None:
        """Let all stations dial in at ``url`` (``ws://host:port``)."""
        for spec in self.scenario.stations:
            profiles = ProfileStore()
            outlets = [
                Outlet(o.evse, o.ocpp_evse, self.depot.chargers[o.evse], profiles) for o in spec.outlets
            ]
            station = Station(
                spec.identity, outlets, profiles, self.clock, url, self.scenario.version_of(spec.identity)
            )
            mine = {spec.identity, EVERYBODY}
            station.faults = tuple(f for f in self.scenario.faults if f.kind in STATION and f.target in mine)
            self.stations[spec.identity] = station
            for outlet in outlets:
                self._station_of[outlet.evse] = (station, outlet.number)
            self._tasks.append(asyncio.create_task(station.run(), name=f"station {spec.identity}"))

    async def play(self, until_wall_s: float) -> None:
        """Let time pass up to ``until_wall_s``."""
        due_s = self.clock.wall_s()
        while (wall_s := self.clock.wall_s()) < until_wall_s:
            self.step(wall_s)
            due_s = max(due_s + STEP_S, wall_s)
            await self.clock.sleep_s(due_s - wall_s)
        self.step(self.clock.wall_s())

    def step(self, wall_s: float) -> None:
        """Bring everything to ``wall_s``."""
        for watch in self.watchers:
            watch(wall_s)
        self.depot.advance(wall_s)
        self._come_and_go(wall_s)
        for station in self.stations.values():
            station.step(wall_s)
        for wired in self.wired:
            wired.step(wall_s)

    async def stop(self) -> None:
        """Hang up and close everything."""
        tasks, self._tasks = self._tasks, []
        await end(*tasks)
        for server in (self.meter, self.relay, *(wired.server for wired in self.wired)):
            await server.stop()

    def soc_pct(self) -> dict[str, float]:
        """Charge of every vehicle that was ever here, plugged in or away, by id."""
        plugged = {
            charger.battery.id: charger.battery for charger in self.depot.chargers.values() if charger.battery
        }
        return {name: battery.soc_pct for name, battery in sorted({**self._parked, **plugged}.items())}

    def _come_and_go(self, wall_s: float) -> None:
        for evse, visit in list(self._plugged.items()):
            if visit.gone_wall_s <= wall_s:
                del self._plugged[evse]
                station, number = self._station_of[evse]
                battery = station.unplug(number)
                if battery is not None:
                    self._parked[visit.vehicle] = battery
                    self.panel.left(visit, battery, wall_s)
        while self._to_come and self._to_come[0].arrives_wall_s <= wall_s:
            self._arrive(self._to_come.pop(0), wall_s)

    def _arrive(self, visit: Visit, wall_s: float) -> None:
        before = self._parked.pop(visit.vehicle, None)
        battery = before or self.scenario.battery(visit.vehicle, 100.0)
        battery.soc_pct = visit.arrival_soc_pct(battery.soc_pct)
        battery.pack_c = max(battery.pack_c, self.scenario.ambient_c + 7.0)  # the road has warmed it
        station, number = self._station_of[visit.evse]
        station.plug(number, battery, visit)
        self._plugged[visit.evse] = visit
        self.panel.arrived(visit, self.depot.chargers[visit.evse], wall_s)

    def _heard_wall_s(self, evse: str) -> float | None:
        known = self._station_of.get(evse)
        return known[0].heard_wall_s if known else None

    def _meter_unit(self) -> Unit:
        if self.scenario.meter == "sunspec":
            return Unit(1, SunSpecMeter(self._shown))
        return Unit(1, Mapped(load_map(self.scenario.meter), lambda: self._shown().values()))

    def _meter(self, port: int) -> ModbusServer | RtuServer:
        units = [self.meter_unit]
        if self.scenario.meter == "sunspec":
            return ModbusServer(units, port=port)
        return (
            MemoryRtuServer(units, SERIAL_PORT)
            if isinstance(asyncio.get_running_loop(), VirtualLoop)
            else RtuServer(units)
        )

    def _shown(self) -> MeterTruth:
        return self.distort(self._truth())

    def _truth(self) -> MeterTruth:
        return self._truth_of(self.scenario.site.feeders[0].id)

    def _truth_of(self, feeder: str) -> MeterTruth:
        """What a meter at this feeder sees now."""
        depot, wall_s = self.depot, self.clock.wall_s()
        depot.advance(wall_s)
        volts = (
            depot.grid.voltage_v(wall_s, 0),
            depot.grid.voltage_v(wall_s, 1),
            depot.grid.voltage_v(wall_s, 2),
        )
        registers = depot.import_wh[feeder], depot.export_wh[feeder]
        return MeterTruth(depot.phase_w(feeder), volts, depot.grid.frequency_hz(wall_s), *registers)

    def _bits(self) -> list[bool]:
        closed = self.depot.grid.relay_closed(self.clock.wall_s()) if self.contact is None else self.contact
        return [closed, *[False] * 15]

    def _pay(self, dt_s: float) -> None:
        """Energy at the connection point, bought and sold at the hour's price."""
        wall_s = self.depot.wall_s
        while (
            self._price_at + 1 < len(self._prices) and self._prices[self._price_at + 1].start_wall_s <= wall_s
        ):
            self._price_at += 1
        if self._prices:
            power_w = self.depot.feeder_w[self.scenario.site.feeders[0].id]
            self.cost += power_w * dt_s / 3.6e6 * self._prices[self._price_at].per_kwh
