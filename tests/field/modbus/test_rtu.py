"""A serial line in memory: a late reply never becomes the answer to another question."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from sim.modbus.devices import MeterTruth
from sim.modbus.mapped import Mapped
from sim.modbus.rtu import MemoryRtuServer, RtuServer, serial_in_memory
from sim.modbus.server import Fault as SimFault
from sim.modbus.server import Unit
from tests.field.modbus.conftest import SITE, RealClock, until
from v2g_edge.field.board import Board
from v2g_edge.field.modbus import wire as wire_module
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import ModbusDevice, ModbusLine

VIRTUAL = True


class SerialDepot:
    """Two SDM630 on one line: unit 1 reads 1000 W, unit 2 reads 2000 W."""

    def __init__(self, server: Callable[[list[Unit]], RtuServer]) -> None:
        layout = load_map("sdm630")
        truths = {
            unit: MeterTruth((unit * 1000.0, 0.0, 0.0), (230.0, 230.0, 230.0), 50.0 + unit / 10.0)
            for unit in (1, 2)
        }
        self.one = Unit(1, Mapped(layout, truths[1].values))
        self.two = Unit(2, Mapped(layout, truths[2].values))
        self.server = server([self.one, self.two])
        self.board = Board(SITE, lambda: None)

    def line(self, timeout_s: float = 0.1) -> ModbusLine:
        return ModbusLine(
            "serial", transport="rtu", serial_port=self.server.path, baud=115_200, timeout_s=timeout_s
        )


@pytest.fixture
async def depot() -> AsyncIterator[SerialDepot]:
    made = SerialDepot(lambda units: MemoryRtuServer(units, "/dev/serial"))
    await made.server.start()
    with serial_in_memory():
        yield made
    await made.server.stop()


async def two_meters(depot: SerialDepot, timeout_s: float) -> None:
    devices = (
        ModbusDevice("a", "serial", "meter", "grid", "sdm630", unit=1, poll_s=0.02),
        ModbusDevice("b", "serial", "meter", "sub", "sdm630", unit=2, poll_s=0.02),
    )
    field = ModbusField((depot.line(timeout_s),), devices, SITE, depot.board, RealClock())
    await field.start()
    await until(lambda: all(isinstance(depot.board.meter(name).power_w, Reading) for name in ("grid", "sub")))
    await field.stop()
    found = [depot.board.meter(name).power_w for name in ("grid", "sub")]
    assert [reading.value for reading in found if isinstance(reading, Reading)] == [1000.0, 2000.0]


async def test_two_meters_share_a_line(depot: SerialDepot) -> None:
    await two_meters(depot, timeout_s=0.1)


async def test_a_late_reply_never_answers_another_question(
    depot: SerialDepot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unit 1 answers 30 ms after the deadline, again and again; whatever is asked meanwhile gets its own
    answer or none.
    """
    monkeypatch.setattr(wire_module, "RTU_GHOST_S", 0.4)
    wire = Wire(depot.line(), RealClock())
    watts, hertz = 52, 70
    for delay_s in (0.105, 0.13, 0.16, 0.19, 0.25):
        depot.one.inject_fault(SimFault("slow", delay_s=delay_s))
        late = await wire.read(1, 4, watts, 2)
        assert isinstance(late, Fault)
        depot.one.inject_fault(SimFault())
        other = await wire.read(1, 4, hertz, 4)  # same unit and function, another length
        if not isinstance(other, Fault):
            assert list(other)[:2] == [0x4248, 0x6666]  # 50.1 Hz
        neighbour = await wire.read(2, 4, watts, 2)  # another unit, the same length
        if not isinstance(neighbour, Fault):
            assert list(neighbour) == [0x44FA, 0x0000]  # 2000 W
    wire.hang_up()


async def test_the_same_question_waits_until_no_ghost_can_answer_it(
    depot: SerialDepot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a missed reply the identical request waits out the ghost; the value it then gets is of its own
    time.
    """
    monkeypatch.setattr(wire_module, "RTU_GHOST_S", 0.4)
    wire = Wire(depot.line(), RealClock())
    depot.one.inject_fault(SimFault("slow", delay_s=0.3))
    assert isinstance(await wire.read(1, 4, 52, 2), Fault)
    depot.one.inject_fault(SimFault())
    start_s = asyncio.get_running_loop().time()
    assert list(await answered(wire)) == [0x447A, 0x0000]
    assert asyncio.get_running_loop().time() - start_s >= 0.35
    wire.hang_up()


async def answered(wire: Wire) -> list[int]:
    """The registers; a Fault fails the test."""
    found = await wire.read(1, 4, 52, 2)
    assert not isinstance(found, Fault)
    return list(found)


async def test_a_port_that_is_not_there_is_a_silent_device() -> None:
    line = ModbusLine("serial", transport="rtu", serial_port="/dev/does-not-exist", timeout_s=0.2)
    found = await Wire(line, RealClock()).read(1, 4, 0, 2)
    assert isinstance(found, Fault)
    assert found.kind == "silent"


async def test_a_dead_unit_leaves_the_line_to_the_others(depot: SerialDepot) -> None:
    """Unit 2 is dead: at most one deadline and one quiet time in each back-off are taken from unit 1."""
    depot.two.inject_fault(SimFault("silent"))
    devices = (
        ModbusDevice("a", "serial", "meter", "grid", "sdm630", unit=1, poll_s=0.02),
        ModbusDevice("b", "serial", "meter", "sub", "sdm630", unit=2, poll_s=0.02),
    )
    field = ModbusField((depot.line(0.05),), devices, SITE, depot.board, RealClock())
    await field.start()
    await asyncio.sleep(0)
    await until(lambda: field.peers["b"].requests >= 3, within_s=8.0)
    reads, start_s = depot.one.reads, asyncio.get_running_loop().time()
    await until(lambda: depot.one.reads >= reads + 30)
    assert asyncio.get_running_loop().time() - start_s < 1.5
    await field.stop()


class Adapter(MemoryRtuServer):
    """A line with an adapter of some kind between us and the units."""

    echoes = False
    before, after = b"", b""
    piece = 300

    def __init__(self, units: list[Unit], path: str) -> None:
        super().__init__(units, path)
        self._line = asyncio.Lock()

    def _take(self, data: bytes) -> None:
        self._echo = data if self.echoes else b""
        super()._take(data)

    def _write(self, frame: bytes) -> None:
        asyncio.get_running_loop().create_task(self._in_pieces(self.before + self._echo + frame + self.after))

    async def _in_pieces(self, data: bytes) -> None:
        async with self._line:
            for at in range(0, len(data), self.piece):
                assert self._transport is not None
                self._transport.write(data[at : at + self.piece])
                await asyncio.sleep(0.001)


@pytest.fixture
async def behind() -> AsyncIterator[tuple[SerialDepot, Adapter]]:
    made = SerialDepot(lambda units: Adapter(units, "/dev/serial"))
    await made.server.start()
    assert isinstance(made.server, Adapter)
    with serial_in_memory():
        yield made, made.server
    await made.server.stop()


@pytest.mark.parametrize("before", [b"", b"\x00", b"\xff\x00\xff", b"\x01", b"\x01\x04", b"\x01\x04\x02"])
@pytest.mark.parametrize("after", [b"", b"\xff", b"\x01\x04"])
@pytest.mark.parametrize("piece", [300, 1, 3])
@pytest.mark.parametrize("echoes", [False, True])
async def test_noise_pieces_and_echoes_cost_nothing(
    behind: tuple[SerialDepot, Adapter], before: bytes, after: bytes, piece: int, *, echoes: bool
) -> None:
    """Octets of a driver that switches, a reply in parts, an adapter that echoes the request."""
    depot, adapter = behind
    adapter.before, adapter.after, adapter.piece, adapter.echoes = before, after, piece, echoes
    wire = Wire(depot.line(), RealClock())
    assert list(await answered(wire)) == [0x447A, 0x0000]
    other = await wire.read(2, 4, 52, 2)
    assert not isinstance(other, Fault)
    assert list(other) == [0x44FA, 0x0000]
    wire.hang_up()


@pytest.mark.parametrize("spoil", ["half", "another unit", "check sum"])
async def test_what_is_not_the_whole_answer_of_the_unit_is_none(
    behind: tuple[SerialDepot, Adapter], spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot, adapter = behind

    def write(frame: bytes) -> None:
        assert adapter._transport is not None
        other = FramerRTU(DecodePDU(False)).encode(frame[1:-2], 7, 0)
        adapter._transport.write(
            {"half": frame[:5], "another unit": other, "check sum": frame[:-1] + b"\x5a"}[spoil]
        )

    monkeypatch.setattr(adapter, "_write", write)
    wire = Wire(depot.line(), RealClock())
    found = await wire.read(1, 4, 52, 2)
    assert isinstance(found, Fault)
    assert found.kind == "silent"
    monkeypatch.undo()
    assert list(await answered(wire)) == [0x447A, 0x0000], "and the line goes on"
    wire.hang_up()


async def test_an_echo_does_not_confirm_a_write(behind: tuple[SerialDepot, Adapter]) -> None:
    """Function 6 is answered by itself: where the line echoes, by the second one."""
    depot, adapter = behind
    adapter.echoes = True
    wire = Wire(depot.line(), RealClock())
    assert list(await answered(wire)) == [0x447A, 0x0000]
    sent = FramerRTU(DecodePDU(False)).encode(b"\x06\x00\x10\x00\x05", 1, 0)
    client = wire._client
    assert client is not None
    framer = client.ctx.framer
    framer.expected = (6, 0)  # type: ignore[attr-defined]
    framer.encode(b"\x06\x00\x10\x00\x05", 1, 0)
    assert framer.handleFrame(sent, 1, 0) == (0, None)
    used, answer = framer.handleFrame(sent + sent, 1, 0)
    assert used == 2 * len(sent)
    assert answer is not None
    wire.hang_up()
