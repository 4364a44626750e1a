"""The whole daemon with chargers by register, in virtual time: it charges them, and its death ends what it
asked for.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from sim.modbus.der import SunSpecDer
from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.mapped import MappedCharger, WatchdogRelay
from sim.modbus.server import Fault, ModbusServer, Unit
from sim.virtual.clock import LoopClock
from sim.virtual.loop import VirtualLoop
from tests.depot import small_evse, small_site
from v2g_edge.app import Daemon
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.host.systemd_notify import Watchdog
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import (
    CloudSettings,
    HostSettings,
    ModbusDevice,
    ModbusLine,
    PriceSettings,
    Settings,
)
from v2g_edge.model.site import DeadMan

PORT = 5021
BASE_W = 6_000.0


class Depot:
    """A Quasar (q1), a SunSpec DER charger (d1), a meter, a relay, and a watchdog relay that carries the
    contactor.
    """

    def __init__(self) -> None:
        now_s = asyncio.get_running_loop().time
        self.power_w = {"q1": 0.0, "d1": 0.0}
        self.closed = True
        self.contactor = WatchdogRelay(now_s)
        self.quasar = MappedCharger(load_map("quasar1"), self._quasar, lambda w: self._set("q1", w), now_s)
        self.der = SunSpecDer(self._der, lambda w: self._set("d1", w), now_s)
        self.meter = Unit(1, SunSpecMeter(self._truth))
        self.quasar_unit = Unit(11, self.quasar)
        others = [
            Unit(2, Inputs(lambda: [self.closed])),
            Unit(3, self.contactor),
            Unit(12, self.der),
        ]
        self.server = ModbusServer([self.meter, self.quasar_unit, *others], port=PORT)

    def _set(self, name: str, power_w: float) -> None:
        self.power_w[name] = power_w

    def _quasar(self) -> dict[str, float]:
        return {"power_w": self.power_w["q1"], "state": 1.0, "soc_pct": 50.0}

    def _der(self) -> dict[str, float]:
        return {"power_w": self.power_w["d1"], "soc_pct": 50.0}

    def _truth(self) -> MeterTruth:
        now_s = asyncio.get_running_loop().time()
        third_w = (BASE_W + sum(self.power_w.values()) + 5.0 * (now_s % 7.0)) / 3.0
        return MeterTruth((third_w, third_w, third_w), (230.0, 230.5, 229.5), 50.0 + 0.001 * (now_s % 5.0))


def settings(state_dir: Path, dead_man: DeadMan = "modbus_watchdog") -> Settings:
    site = small_site()
    silent = replace(
        site.vehicle_types[0], pack_min_c=-ANY_W, pack_max_c=ANY_W, derate_from_c=ANY_W
    )  # reports no temperature
    site = replace(site, vehicle_types=(silent,))
    evses = (
        small_evse("d1", max_charge_w=22_000.0, max_discharge_w=22_000.0, dead_man="sunspec_revert",
            discharge_by="register"),
        small_evse(
            "q1", max_charge_w=7_400.0, max_discharge_w=7_400.0, min_charge_w=1_380.0, dead_man=dead_man,
            discharge_by="register", contactor="k1",
        ),
    )  # fmt: skip
    devices = (
        ModbusDevice("meter", "line", "meter", "grid", "sunspec", unit=1, poll_s=0.5),
        ModbusDevice("relay", "line", "contact", "relay", "relay", unit=2, poll_s=0.2),
        ModbusDevice("k", "line", "contactor", "k1", "watchdog-relay", unit=3, poll_s=1.0),
        ModbusDevice(
            "q", "line", "charger", "q1", "quasar1", unit=11, poll_s=1.0, watchdog_s=10.0, vehicle="bus-1"
        ),
        ModbusDevice(
            "d", "line", "charger", "d1", "sunspec", unit=12, poll_s=1.0, watchdog_s=10.0, vehicle="bus-2"
        ),
    )
    host = HostSettings(state_dir=str(state_dir), socket="")
    line = ModbusLine("line", host="127.0.0.1", port=PORT)
    prices, cloud = PriceSettings(), CloudSettings()
    return Settings(replace(site, evses=evses), (), (), (line,), devices, cloud, host, prices)


def test_it_charges_by_register_feeds_the_contactor_and_lets_go_when_it_dies(tmp_path: Path) -> None:
    async def play() -> None:
        depot = Depot()
        await depot.server.start()
        daemon = Daemon(settings(tmp_path), LoopClock(1_700_000_000.0), Watchdog())
        await daemon.start()
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(120.0)
        for name in ("q1", "d1"):
            state = daemon.board.evse(name)
            assert state.dead_man_ok, name
            assert state.command.ack == "accepted", name
            assert isinstance(state.power_w, Reading)
            assert state.power_w.value > 5_000.0, (name, state)
        assert depot.contactor.closed(0)
        depot.meter.inject_fault(Fault("silent"))
        await asyncio.sleep(60.0)
        assert not daemon.board.meter("grid").link.connected
        daemon.stop()
        await running
        await daemon.close()
        await asyncio.sleep(15.0)
        for registers, device in ((depot.quasar, "q1"), (depot.der, "d1")):
            registers.refresh(3, 0 if device == "q1" else 40_000, [0] * 1_000)
            assert depot.power_w[device] == 0.0
        assert not depot.contactor.closed(0)
        await depot.server.stop()

    run(play())


def test_a_charger_that_only_its_contactor_can_stop_loses_it_when_it_falls_silent_while_the_daemon_lives(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        depot = Depot()
        await depot.server.start()
        daemon = Daemon(settings(tmp_path, "contactor"), LoopClock(1_700_000_000.0), Watchdog())
        await daemon.start()
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(60.0)
        assert depot.contactor.closed(0)
        depot.quasar_unit.inject_fault(Fault("silent"))
        await asyncio.sleep(60.0)
        assert not depot.contactor.closed(0)
        assert daemon.board.meter("grid").link.connected, "everything else goes on"
        depot.quasar_unit.inject_fault(Fault())
        await asyncio.sleep(60.0)
        assert depot.contactor.closed(0)
        daemon.stop()
        await running
        await daemon.close()
        await depot.server.stop()

    run(play())


def run(play: Coroutine[Any, Any, None]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(play)
    finally:
        loop.close()
