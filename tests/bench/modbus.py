"""Modbus: CPU of a poll against bare pymodbus, what one dead device costs the others, and how fast 50
chargers get their zero.

The devices live in a second process, so that only the reading side is counted.
"""

import asyncio
import statistics
import subprocess
import sys
import time

from msgspec.structs import replace
from pymodbus.client import AsyncModbusTcpClient

from tests.field.modbus.conftest import SITE, RealClock, until
from tests.processes import start
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.settings import ModbusDevice, ModbusLine
from v2g_edge.model.site import Evse, Site

Row = tuple[str, float, str, str, float, float, str]

DEVICES = 50
MAP = "sdm630"
BLOCKS = [(block.address, block.count) for block in load_map(MAP).blocks]
REGISTERS = sum(count for _, count in BLOCKS)
"""A poll of this map, a request for each of its blocks, by the product and by bare pymodbus alike."""

POLL_S = 0.1
SETTLE_S = 1.0
MEASURE_S = 5.0
EVENTS = 40

DEVICES_PROGRAM = """
import asyncio, sys
from sim.modbus.devices import Inputs, MeterTruth
from sim.modbus.mapped import Mapped, MappedCharger
from sim.modbus.server import ModbusServer, Unit
from v2g_edge.field.modbus.map_parser import load_map

def power(watts):
    pass

async def main(count):
    meter, charger = load_map("sdm630"), load_map("generic-charger")
    clock = asyncio.get_running_loop().time
    truth = MeterTruth((1000.0, 1000.0, 1000.0), (230.0, 230.0, 230.0), 50.0)
    servers = []
    for _ in range(count):
        units = [
            Unit(1, Mapped(meter, truth.values)),
            Unit(2, MappedCharger(charger, lambda: {"power_w": 0.0, "state": 1.0}, power, clock)),
        ]
        servers.append(ModbusServer(units))
        await servers[-1].start()
    print(*[server.port for server in servers], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for server in servers:
        await server.stop()

asyncio.run(main(int(sys.argv[1])))
"""


def _meter_site(count: int) -> Site:
    return replace(SITE, meters=tuple(f"m{index:02d}" for index in range(count)))


async def _ours(ports: list[int]) -> tuple[float, float]:
    """CPU in ms a poll, and the median poll period of the first devices in s."""
    board = Board(_meter_site(len(ports)), lambda: None)
    lines = tuple(ModbusLine(f"l{index}", host="127.0.0.1", port=port) for index, port in enumerate(ports))
    devices = tuple(
        ModbusDevice(f"d{index}", f"l{index}", "meter", f"m{index:02d}", MAP, poll_s=POLL_S)
        for index in range(len(ports))
    )
    field = ModbusField(lines, devices, _meter_site(len(ports)), board, RealClock())
    await field.start()
    await asyncio.sleep(SETTLE_S)
    alive = [peer for peer in field.peers.values() if peer.link.connected]
    before, cpu_s, start_s = [peer.requests for peer in alive], time.process_time(), time.monotonic()
    await asyncio.sleep(MEASURE_S)
    cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - start_s
    requests = [peer.requests - earlier for peer, earlier in zip(alive, before, strict=True)]
    polls = [count / len(BLOCKS) for count in requests]
    await field.stop()
    return 1000.0 * cpu_s / sum(polls), took_s / statistics.median(polls)


async def _bare(ports: list[int]) -> float:
    """CPU in ms a poll of pymodbus alone at the same pace: connect, read the blocks, convert nothing."""
    polls = 0

    async def run(port: int) -> None:
        nonlocal polls
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.3, retries=0)
        await client.connect()
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        try:
            while True:
                answers = [
                    await client.read_input_registers(address, count=count, device_id=1)
                    for address, count in BLOCKS
                ]
                if sum(len(answer.registers) for answer in answers) != REGISTERS:
                    raise ValueError(f"the simulated meter does not answer the blocks of {MAP}: {answers}")
                polls += 1
                due_s = max(due_s + POLL_S, loop.time())
                await asyncio.sleep(due_s - loop.time())
        finally:
            client.close()

    tasks = [asyncio.create_task(run(port)) for port in ports]
    await asyncio.sleep(SETTLE_S)
    before, cpu_s = polls, time.process_time()
    await asyncio.sleep(MEASURE_S)
    cpu_s, done = time.process_time() - cpu_s, polls - before
    failed = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()
    return 1000.0 * cpu_s / done


def _permit(evse: str, power_w: float) -> Permit:
    return Permit(
        evse, power_w, -9_000.0, 9_000.0, 30.0, True, power_w, Bound(-9_000.0, 9_000.0, "wish", "bench")
    )


async def _zeros(ports: list[int]) -> float:
    """p99 in ms from "all to zero" to the last confirmation, all chargers polled meanwhile."""
    names = [f"e{index:02d}" for index in range(len(ports))]
    evses = tuple(Evse(n, "main", 9e3, 9e3, 1e3, 0.0, "L1L2L3", "modbus_watchdog", "register") for n in names)
    site = replace(SITE, evses=evses)
    lines = tuple(ModbusLine(f"l{index}", host="127.0.0.1", port=port) for index, port in enumerate(ports))
    devices = tuple(
        ModbusDevice(f"d{index}", f"l{index}", "charger", name, "generic-charger", unit=2, poll_s=1.0)
        for index, name in enumerate(names)
    )
    board = Board(site, lambda: None)
    field = ModbusField(lines, devices, site, board, RealClock())
    await field.start()
    await until(lambda: all(board.evse(name).dead_man_ok for name in names), within_s=10.0)
    took_ms = []
    for _ in range(EVENTS):
        for power_w in (-5_000.0, 0.0):
            start_s = time.monotonic()
            await asyncio.gather(*(field.ports[name].write_permit(_permit(name, power_w)) for name in names))
        took_ms.append(1000.0 * (time.monotonic() - start_s))
    await field.stop()
    return sorted(took_ms)[int(0.99 * (len(took_ms) - 1))]


def rows() -> list[Row]:
    """The table."""
    process = start(
        [sys.executable, "-c", DEVICES_PROGRAM, str(DEVICES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        ports = [int(word) for word in process.stdout.readline().split()]
        bare_ms = asyncio.run(_bare(ports))
        ours_ms, period_s = asyncio.run(_ours(ports))
        dead = [*ports[1:], 1]  # port 1: nobody listens
        _, with_dead_s = asyncio.run(_ours(dead))
        zeros_ms = asyncio.run(_zeros(ports))
    finally:
        process.stdin.write("\n")
        process.stdin.close()
        process.wait(timeout=20)
    return [
        (
            f"CPU of a poll of {REGISTERS} registers, {DEVICES} TCP devices at 10 Hz",
            ours_ms,
            "ms",
            "bare pymodbus",
            bare_ms,
            ours_ms / bare_ms,
            "≤ 1.3",
        ),
        (
            "poll period of the others with one dead device of 50",
            1000.0 * with_dead_s,
            "ms",
            "all alive",
            1000.0 * period_s,
            with_dead_s / period_s,
            "≤ 1.10",
        ),
        (
            "50 Modbus chargers told zero, last one confirmed, p99",
            zeros_ms,
            "ms",
            "budget of the whole chain less the 100 ms poll",
            50.0,
            zeros_ms / 50.0,
            "≤ 150 ms with the poll",
        ),
    ]
