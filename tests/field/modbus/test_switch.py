"""The contactor is energised to run: it closes only while fed. Temperatures reach the board with their
faults.
"""

import asyncio

import pytest
from msgspec.structs import replace

from sim.modbus.mapped import Mapped, WatchdogRelay
from sim.modbus.server import Fault, ModbusServer, Unit
from tests.field.modbus.conftest import SITE, RealClock, until
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.settings import ModbusDevice, ModbusLine
from v2g_edge.model.snapshot import Operator

PLACE = replace(SITE, contacts=("k1", "relay"), temperatures=("loop",))


VIRTUAL = True


class Stand:
    """A watchdog relay (unit 1) and a cooling loop (unit 2)."""

    def __init__(self, *, watchdog_s: float = 0.6) -> None:
        self.relay = WatchdogRelay(lambda: asyncio.get_running_loop().time())
        self.celsius = 21.5
        loop_map = load_map("temperature-tenths")
        self.relay_unit = Unit(1, self.relay)
        self.loop_unit = Unit(2, Mapped(loop_map, lambda: {"value_c": self.celsius}))
        self.server = ModbusServer([self.relay_unit, self.loop_unit])
        self.wakes = 0
        self.board = Board(PLACE, self._wake)
        self.devices = (
            ModbusDevice(
                "k",
                "line",
                "contactor",
                "k1",
                "watchdog-relay",
                unit=1,
                poll_s=0.02,
                watchdog_s=watchdog_s,
                channel=2,
            ),
            ModbusDevice("t", "line", "temperature", "loop", "temperature-tenths", unit=2, poll_s=0.02),
        )

    async def __aenter__(self) -> ModbusField:
        await self.server.start()
        line = ModbusLine("line", host="127.0.0.1", port=self.server.port, timeout_s=0.2)
        self.field = ModbusField((line,), self.devices, PLACE, self.board, RealClock())
        await self.field.start()
        return self.field

    async def __aexit__(self, *fault: object) -> None:
        await self.field.stop()
        await self.server.stop()

    def _wake(self) -> None:
        self.wakes += 1

    def state(self) -> float | None:
        closed = self.board.contact("k1").closed
        return closed.value if isinstance(closed, Reading) else None

    def celsius_read(self) -> Measured:
        return self.board.freeze(0, 0, clock_synced=True, operator=Operator()).temperatures[0].value_c

    async def until(self, value: float) -> None:
        await until(lambda: self.state() == value)


async def test_it_closes_when_fed_and_opens_when_nobody_feeds_it() -> None:
    """Our own polls reach the module all the time; the contactor opens all the same."""
    stand = Stand()
    async with stand as field:
        await stand.until(0.0)
        await field.feed()
        await stand.until(1.0)
        assert field.contactors["k"].dead_man
        assert stand.relay.closed(2)
        await stand.until(0.0)


async def test_fed_in_time_it_stays_closed() -> None:
    stand = Stand()
    async with stand as field:
        for _ in range(8):
            await field.feed()
            await asyncio.sleep(0.2)
            assert stand.relay.closed(2)


async def test_the_daemon_dies_and_the_module_opens_it() -> None:
    stand = Stand()
    async with stand as field:
        await field.feed()
        assert stand.relay.closed(2)
        await field.stop()
        await asyncio.sleep(0.8)
        assert not stand.relay.closed(2)


async def test_dropping_is_at_once() -> None:
    stand = Stand(watchdog_s=30.0)
    async with stand as field:
        await field.feed()
        await stand.until(1.0)
        await field.feed(opening=("k",))
        assert not stand.relay.closed(2)


async def test_the_tick_feeds_and_opens_without_waiting() -> None:
    """An opening overtakes a feeding that is stuck on a slow module."""
    stand = Stand(watchdog_s=30.0)
    async with stand as field:
        await stand.until(0.0)
        field.write_contactors(closed=True)
        await stand.until(1.0)
        stand.relay_unit.inject_fault(Fault("slow", delay_s=0.1))
        field.write_contactors(closed=True)
        await asyncio.sleep(0.01)
        stand.relay_unit.inject_fault(Fault())
        field.write_contactors(closed=False)
        field.write_contactors(closed=True)
        await stand.until(0.0)


async def test_one_contactor_of_those_that_are_fed_can_be_opened() -> None:
    stand = Stand(watchdog_s=30.0)
    async with stand as field:
        await stand.until(0.0)
        field.write_contactors(closed=True, dropped=("another",))
        await stand.until(1.0)
        field.write_contactors(closed=True, dropped=("k1",))
        await stand.until(0.0)


async def test_a_module_that_does_not_answer_is_told_as_such() -> None:
    stand = Stand()
    async with stand as field:
        await stand.until(0.0)
        stand.relay_unit.inject_fault(Fault("exception"))
        assert await field.contactors["k"].feed() == "rejected"
        stand.relay_unit.inject_fault(Fault("silent"))
        assert await field.contactors["k"].feed() == "silent"


async def test_temperature_and_its_broken_sensor() -> None:
    stand = Stand()
    async with stand:
        await until(lambda: isinstance(stand.celsius_read(), Reading))
        stand.celsius = -3276.8
        await until(lambda: isinstance(stand.celsius_read(), Unknown))


async def test_a_feeding_that_is_overtaken_does_not_close_again() -> None:
    """Whatever became of its cancellation: what waits for the line behind the opening is not sent."""
    stand = Stand(watchdog_s=30.0)
    async with stand as field:
        await stand.until(0.0)
        stand.relay_unit.inject_fault(Fault("slow", delay_s=0.1))
        feeding = asyncio.get_running_loop().create_task(field.contactors["k"].feed())
        await asyncio.sleep(0.05)
        opening = asyncio.get_running_loop().create_task(field.contactors["k"].drop())
        await asyncio.gather(feeding, opening)
        assert not stand.relay.closed(2)


async def test_a_module_that_restarts_gets_its_time_out_again() -> None:
    """Its register is empty after a start; the contactor is fed on, and is a dead-man again."""
    stand = Stand(watchdog_s=30.0)
    async with stand as field:
        await stand.until(0.0)
        await field.feed()
        assert stand.relay._tenths == 300
        stand.relay_unit.inject_fault(Fault("silent"))
        peer = field.peers["k"]
        await until(lambda: not peer.link.connected)
        stand.relay._tenths = 0
        stand.relay_unit.inject_fault(Fault())
        await until(lambda: peer.link.connected)
        await field.feed()
        assert stand.relay._tenths == 300
        assert field.contactors["k"].dead_man


async def test_a_module_whose_own_time_out_is_gone_is_opened_by_us_when_nobody_feeds_it() -> None:
    stand = Stand(watchdog_s=5.0)
    async with stand as field:
        await stand.until(0.0)
        await field.feed()
        stand.relay._tenths = 0  # never
        await asyncio.sleep(4.0)
        assert stand.relay.closed(2)
        await asyncio.sleep(2.0)
        assert not stand.relay.closed(2)


async def test_a_time_out_that_is_not_taken_is_no_dead_man(monkeypatch: pytest.MonkeyPatch) -> None:
    """The write is confirmed, and another time is read back."""
    stand = Stand()
    written = stand.relay.written

    def ignore(address: int, values: list[int]) -> None:
        written(address, [7] if address == WatchdogRelay.REGISTER else values)

    monkeypatch.setattr(stand.relay, "written", ignore)
    async with stand as field:
        await stand.until(0.0)
        assert await field.contactors["k"].feed() == "accepted"
        assert not field.contactors["k"].dead_man
        assert not field.contactor_proven("k1")


async def test_a_contactor_that_moves_wakes_the_tick_and_one_that_stands_does_not() -> None:
    stand = Stand(watchdog_s=60.0)
    async with stand as field:
        await stand.until(0.0)
        wakes = stand.wakes
        await asyncio.sleep(5.0)
        assert stand.wakes == wakes
        await field.feed()
        await stand.until(1.0)
        assert stand.wakes == wakes + 1
        await field.contactors["k"].drop()
        await stand.until(0.0)
        assert stand.wakes == wakes + 2


async def test_the_time_out_is_set_once_and_not_with_each_feeding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module keeps it in a memory that wears."""
    stand, places = Stand(watchdog_s=30.0), list[int]()
    written = stand.relay.written

    def note(address: int, values: list[int]) -> None:
        places.append(address)
        written(address, values)

    monkeypatch.setattr(stand.relay, "written", note)
    async with stand as field:
        await stand.until(0.0)
        for _ in range(5):
            await field.feed()
        assert places.count(WatchdogRelay.REGISTER) == 1
        assert places.count(2) == 5
