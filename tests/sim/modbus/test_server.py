"""The simulated devices and their faults, seen with a bare pymodbus client: no line of the daemon's is
involved.
"""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.image import Image, Spot, raw
from sim.modbus.mapped import Mapped, WatchdogRelay, runs
from sim.modbus.server import Fault, FaultKind, ModbusServer, Unit
from sim.virtual.loop import VirtualLoop
from v2g_edge.field.modbus.map_parser import available_maps, load_map

TRUTH = MeterTruth((1_000.0, 2_000.0, -500.0), (229.0, 230.0, 231.0), 50.02, 123_000.0, 45_000.0)
POWER = 52


class Rig:
    """An SDM630 as unit 1, inputs as unit 2, and a client."""

    def __init__(self) -> None:
        self.truth = TRUTH
        self.meter = Unit(1, Mapped(load_map("sdm630"), self.values))
        self.inputs = Unit(2, Inputs(lambda: [index == 3 for index in range(16)]))
        self.server = ModbusServer([self.meter, self.inputs])

    def values(self) -> dict[str, float]:
        return self.truth.values()

    async def start(self) -> None:
        await self.server.start()
        self.client = AsyncModbusTcpClient(
            "127.0.0.1", port=self.server.port, timeout=0.2, retries=0, reconnect_delay=0.0
        )
        assert await self.client.connect()

    async def power_w(self) -> float:
        answer = await self.client.read_input_registers(POWER, count=2, device_id=1)
        assert not answer.isError()
        return float(struct.unpack(">f", struct.pack(">2H", *answer.registers))[0])


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.start()
    yield made
    made.client.close()
    await made.server.stop()


async def test_registers_follow_the_truth(rig: Rig) -> None:
    assert await rig.power_w() == 2_500.0
    rig.truth = MeterTruth((1.0, 2.0, 3.0), (230.0,) * 3, 50.0)
    assert await rig.power_w() == 6.0


async def test_stuck_keeps_the_last_value(rig: Rig) -> None:
    await rig.power_w()
    rig.meter.inject_fault(Fault("stuck"))
    rig.truth = MeterTruth((1.0, 2.0, 3.0), (230.0,) * 3, 50.0)
    assert await rig.power_w() == 2_500.0


async def test_nan_and_swapped_words(rig: Rig) -> None:
    rig.meter.inject_fault(Fault("nan"))
    assert await rig.power_w() != await rig.power_w()
    rig.meter.inject_fault(Fault("swapped"))
    assert await rig.power_w() == pytest.approx(2.0042, abs=1e-3)  # 0x451C4000 read as 0x4000451C


async def test_garbage_is_the_same_for_the_same_seed(rig: Rig) -> None:
    async def some() -> list[int]:
        rig.meter.inject_fault(Fault("garbage", seed=7))
        answer = await rig.client.read_input_registers(0, count=20, device_id=1)
        return list(answer.registers)

    assert await some() == await some()


async def test_garbage_ends_with_its_fault_where_no_value_is_written_too() -> None:
    """The head of a SunSpec chain stayed garbage, so that the meter was never found again."""
    unit = Unit(1, SunSpecMeter(lambda: TRUTH))
    server = ModbusServer([unit])
    await server.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=0.5, retries=0, reconnect_delay=0.0)
    assert await client.connect()

    async def head() -> list[int]:
        return list((await client.read_holding_registers(40_000, count=4, device_id=1)).registers)

    sound = await head()
    unit.inject_fault(Fault("garbage", seed=7))
    assert await head() != sound
    unit.inject_fault(Fault())
    assert await head() == sound
    client.close()
    await server.stop()


async def test_an_exception_is_answered_as_such(rig: Rig) -> None:
    rig.meter.inject_fault(Fault("exception", code=6))
    answer = await rig.client.read_input_registers(POWER, count=2, device_id=1)
    assert answer.isError()
    assert answer.exception_code == 6


@pytest.mark.parametrize("kind", ["silent", "reset"])
async def test_silence_and_reset_bring_no_answer(rig: Rig, kind: FaultKind) -> None:
    rig.meter.inject_fault(Fault(kind))
    with pytest.raises(ModbusException):
        await rig.client.read_input_registers(POWER, count=2, device_id=1)


async def test_a_slow_answer_keeps_its_own_transaction(rig: Rig) -> None:
    """The reply to the first question comes after the second was asked, and does not pose as its answer."""
    rig.meter.inject_fault(Fault("slow", delay_s=0.3))
    with pytest.raises(ModbusException):
        await rig.client.read_input_registers(POWER, count=2, device_id=1)
    rig.meter.inject_fault(Fault("slow", delay_s=0.15))
    answer = await rig.client.read_input_registers(70, count=2, device_id=1)
    assert struct.unpack(">f", struct.pack(">2H", *answer.registers))[0] == pytest.approx(50.02)


@pytest.mark.parametrize("function", ["read_discrete_inputs", "read_coils"])
async def test_inputs_stand_in_their_place(rig: Rig, function: str) -> None:
    answer = await getattr(rig.client, function)(0, count=16, device_id=2)
    assert [index for index, bit in enumerate(answer.bits) if bit] == [3]


@pytest.mark.parametrize("map_id", sorted(m for m in available_maps() if load_map(m).blocks))
async def test_every_map_with_registers_can_be_served(map_id: str) -> None:
    layout = load_map(map_id)
    names = {field.name for block in layout.blocks for field in block.fields}
    server = ModbusServer(
        [Unit(1, Mapped(layout, lambda: dict.fromkeys(names, 2_000.0), channel=layout.first_channel))]
    )
    await server.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=1.0, retries=0, reconnect_delay=0.0)
    await client.connect()
    for block in layout.blocks:
        read = client.read_input_registers if block.function == 4 else client.read_holding_registers
        answer = await read(block.address, count=block.count, device_id=1)
        assert not answer.isError()
        assert any(answer.registers)
    client.close()
    await server.stop()


def test_a_watchdog_relay_drops_when_nobody_writes() -> None:
    now_s = 0.0
    relay = WatchdogRelay(lambda: now_s)
    relay.written(WatchdogRelay.REGISTER, [20])
    relay.written(4, [1])
    now_s = 2.0
    assert relay.closed(4)
    now_s = 2.1
    assert not relay.closed(4)


def test_integers_saturate_and_nan_becomes_the_sentinel() -> None:
    assert raw(1e9, Spot("x", 0, "h")) == 0x7FFF
    assert raw(-5.0, Spot("x", 0, "H")) == 0
    assert raw(float("nan"), Spot("x", 0, "h")) == -0x8000
    assert raw(float("nan"), Spot("x", 0, "I")) == 0xFFFF_FFFF


def test_a_wrongly_connected_meter_sees_the_same_power_elsewhere() -> None:
    assert TRUTH.rotated(1).phase_power_w == (2_000.0, -500.0, 1_000.0)
    assert TRUTH.rotated(1).phase_voltage_v == (230.0, 231.0, 229.0)
    assert TRUTH.rotated(3) == TRUTH
    assert TRUTH.with_reversed_ct(2, 3).phase_power_w == (1_000.0, -2_000.0, 500.0)
    assert TRUTH.with_reversed_ct(2).values()["power_w"] == -1_500.0


def test_runs_join_neighbours() -> None:
    assert runs([5, 1, 2, 3, 9, 10]) == [(1, 3), (5, 1), (9, 2)]


def test_an_image_leaves_what_it_does_not_own() -> None:
    registers = [9] * 8
    Image([Spot("a", 101, "H"), Spot("b", 102, "i", swapped=True), Spot("c", 106, "h", 0.1)]).write(
        registers, 100, {"a": 1.0, "b": 65_538.0, "c": -2.5}
    )
    assert registers == [9, 1, 2, 1, 9, 9, 0x10000 - 25, 9]


def test_a_virtual_night_of_polls_is_cheap_and_the_same_each_time() -> None:
    """The same requests in virtual time give the same answers at the same times."""

    async def play() -> list[tuple[float, float]]:
        rig = Rig()
        await rig.start()
        found = []
        for _ in range(50):
            found.append((asyncio.get_running_loop().time(), await rig.power_w()))
            await asyncio.sleep(1.0)
        rig.client.close()
        await rig.server.stop()
        return found

    def night() -> list[tuple[float, float]]:
        loop = VirtualLoop()
        try:
            return loop.run_until_complete(play())
        finally:
            loop.close()

    assert night() == night()


async def test_sunspec_meters_say_who_they_are() -> None:
    registers = SunSpecMeter(lambda: TRUTH, model=203).build(1).build_device()
    assert isinstance(registers, tuple)
    assert registers[0] == 40000
    assert registers[1][:4] == [0x5375, 0x6E53, 1, 66]


AT_ONCE = [
    (1, 4, POWER, 2),
    (2, 1, 0, 16),
    (2, 2, 3, 1),
    (2, 2, 0, 9),
    (2, 3, 0, 1),
]
OTHERWISE = [
    (1, 4, 1_000, 2),
    (1, 4, 0, 126),
    (2, 2, 8, 20),
    (7, 3, 0, 1),
    (1, 43, 0, 1),
    (2, 4, 1, 1),
    (1, 3, 0, 0),
]


async def test_reads_are_answered_octet_for_octet_as_pymodbus_does(rig: Rig) -> None:
    """A frame in one piece takes the short way where there is one, one in two pieces pymodbus' own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
    assert rig.server._server is not None
    reads = rig.server._server.reads

    async def answered(frame: bytes, *, cut: int) -> bytes:
        for part in (frame[:cut], frame[cut:]):
            writer.write(part)
            await asyncio.sleep(0.002)
        try:
            return await asyncio.wait_for(reader.read(400), 0.05)
        except TimeoutError:
            return b""

    for transaction, asked in enumerate((*AT_ONCE, *OTHERWISE), 1):
        unit, function, address, count = asked
        frame = struct.pack(">HHHBBHH", transaction, 0, 6, unit, function, address, count)
        assert (reads.of(frame) is not None) == (asked in AT_ONCE), asked
        assert await answered(frame, cut=12) == await answered(frame, cut=5), asked
    writer.close()
