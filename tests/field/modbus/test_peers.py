"""Independent peers: our reader against libmodbus, our simulator against mbpoll and pysunspec2's own
client.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from sim.modbus.devices import MeterTruth, SunSpecMeter
from sim.modbus.mapped import Mapped
from sim.modbus.server import ModbusServer, Unit
from tests.field.modbus.conftest import SITE, RealClock, until
from tests.processes import running
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import ModbusDevice, ModbusLine

TRUTH = MeterTruth((1_000.0, 2_000.0, -500.0), (229.0, 230.0, 231.0), 50.02, 123_000.0, 45_000.0)


@pytest.fixture(scope="module")
def libmodbus_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C server, compiled with the packages that `make setup` installs."""
    program = tmp_path_factory.mktemp("libmodbus") / "server"
    source = Path(__file__).with_name("libmodbus_server.c")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
    )
    subprocess.run(
        ["gcc", "-Wall", "-Werror", "-o", str(program), str(source), *flags.stdout.split()], check=True
    )
    return program


@pytest.fixture
def libmodbus_port(libmodbus_program: Path) -> Iterator[int]:
    with running([libmodbus_program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=5) == 0


async def test_our_reader_and_libmodbus_agree(libmodbus_port: int) -> None:
    board = Board(SITE, lambda: None)
    line = ModbusLine("line", host="127.0.0.1", port=libmodbus_port, timeout_s=5.0)
    devices = (
        ModbusDevice("m", "line", "meter", "grid", "sdm630", poll_s=0.02),
        ModbusDevice("r", "line", "contact", "relay", "relay", poll_s=0.02, channel=3),
    )
    field = ModbusField((line,), devices, SITE, board, RealClock())
    await field.start()
    await until(
        lambda: (
            isinstance(board.contact("relay").closed, Reading)
            and isinstance(board.meter("grid").power_w, Reading)
        )
    )
    await field.stop()
    state = board.meter("grid")
    values = [
        *state.phase_voltage_v,
        *state.phase_power_w,
        state.frequency_hz,
        state.energy_import_wh,
        state.energy_export_wh,
    ]
    found = [value.value for value in values if isinstance(value, Reading)]
    assert found == pytest.approx(
        [229.0, 230.0, 231.0, -1e3, 0.0, 1e3, 49.98, 1_234_500.0, 67_250.0], rel=1e-6
    )
    closed = board.contact("relay").closed
    assert isinstance(closed, Reading)
    assert closed.value == 1.0


async def test_our_writer_and_libmodbus_agree(libmodbus_port: int) -> None:
    """Functions 5, 6 and 16 are taken and read back; a write beyond the end is refused by name."""
    wire = Wire(ModbusLine("line", host="127.0.0.1", port=libmodbus_port, timeout_s=5.0), RealClock())
    assert await wire.write(1, 6, 7, [4711]) is None
    assert await wire.write(1, 16, 8, [1, 2, 3]) is None
    assert await wire.write(1, 5, 4, [1]) is None
    found = await wire.read(1, 3, 7, 4)
    assert not isinstance(found, Fault)
    assert list(found) == [4711, 1, 2, 3]
    coil = await wire.read(1, 1, 4, 1)
    assert not isinstance(coil, Fault)
    assert list(coil) == [True]
    denied = await wire.write(1, 6, 900, [1])
    assert isinstance(denied, Fault)
    assert denied.why == "exception 2 (illegal address)"
    wire.hang_up()


@pytest.fixture
async def simulated() -> AsyncIterator[int]:
    """A simulated SDM630 (unit 1) and SunSpec meters 213 and 203 (units 2, 3)."""
    units = [
        Unit(1, Mapped(load_map("sdm630"), TRUTH.values)),
        Unit(2, SunSpecMeter(lambda: TRUTH, model=213)),
        Unit(3, SunSpecMeter(lambda: TRUTH, model=203)),
    ]
    server = ModbusServer(units)
    await server.start()
    yield server.port
    await server.stop()


async def test_mbpoll_reads_our_simulator(simulated: int) -> None:
    """Input registers 53 and 71 (counted from 1) as big-endian floats: total power and frequency."""
    command = [
        "mbpoll",
        "-m",
        "tcp",
        "-p",
        str(simulated),
        "-a",
        "1",
        "-t",
        "3:float",
        "-B",
        "-1",
        "-q",
        "-r",
    ]
    for register, expected in (("53", 2500.0), ("71", 50.02), ("73", 123.0)):
        process = await asyncio.create_subprocess_exec(
            *command, register, "127.0.0.1", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 10.0)
        assert process.returncode == 0
        line = next(line for line in output.decode().splitlines() if line.startswith("["))
        assert float(line.split()[-1]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("unit", "model"), [(2, 213), (3, 203)])
async def test_pysunspec2s_client_finds_our_simulated_meter(simulated: int, unit: int, model: int) -> None:
    def scan() -> dict[str, float]:
        device = SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=simulated, timeout=5)
        try:
            device.scan()
            meter = device.models[model][0]
            meter.read()
            return {
                name: float(meter.points[name].cvalue)
                for name in ("W", "WphC", "PhVphA", "Hz", "TotWhImp", "TotWhExp")
            }
        finally:
            device.close()

    found = await asyncio.to_thread(scan)
    expected = {
        "W": 2500.0,
        "WphC": -500.0,
        "PhVphA": 229.0,
        "Hz": 50.02,
        "TotWhImp": 123_000.0,
        "TotWhExp": 45_000.0,
    }
    assert found == pytest.approx(expected, rel=1e-5)
