"""A charger on a line in memory, in virtual time: port, peer and wire are the daemon's, and whatever is
written is looked at.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Literal

from msgspec.structs import replace
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from sim.modbus.der import SunSpecDer
from sim.modbus.devices import BASE
from sim.modbus.mapped import MappedCharger
from sim.virtual.clock import LoopClock
from tests.field.modbus.conftest import SITE
from tests.field.modbus.test_charger import evse
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.charger import RegisterCharger
from v2g_edge.field.modbus.der import W_SET, SunSpecCharger
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.field.modbus.outlet import LeasedCharger
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.wire import Wire
from v2g_edge.field.writer import Writer
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.settings import ModbusDevice, ModbusLine
from v2g_edge.model.snapshot import EvseState

Fate = Literal["taken", "answer lost", "lost", "busy", "refused"]
TIMEOUT_S = 0.3
BOUND = Bound(0.0, 0.0, "wish", "test")
FATES: tuple[Fate, ...] = ("taken", "answer lost", "lost", "busy", "refused")
ALWAYS_TAKEN: Iterator[tuple[float, Fate]] = itertools.repeat((0.01, "taken"))
NEVER_TAKEN: Iterator[tuple[float, Fate]] = itertools.repeat((0.0, "lost"))


def after(*first: tuple[float, Fate]) -> Iterator[tuple[float, Fate]]:
    """These, and then all is taken."""
    return itertools.chain(first, ALWAYS_TAKEN)


def permit(power_w: float, *, renew: bool = True, valid_for_s: float = 30.0) -> Permit:
    return Permit("e1", power_w, -11e3, 11e3, valid_for_s, renew, power_w, BOUND)


class Line(Wire):
    """One unit's wire. ``fates`` says of each request how long it takes and what becomes of it; ``written``
    is what reached the charger: when, where, what. ``overlay`` is read instead of the truth; writes to
    ``refuses`` are refused.
    """

    def __init__(self, clock: LoopClock, registers: MappedCharger | SunSpecDer) -> None:
        super().__init__(ModbusLine("l", host="nowhere", timeout_s=TIMEOUT_S), clock)
        self.fates: Iterator[tuple[float, Fate]] = ALWAYS_TAKEN
        self.written: list[tuple[float, int, list[int]]] = []
        self.overlay: dict[int, int] = {}
        self.refuses = -1
        self.asked = 0
        self.look: Callable[[int], None] = lambda _address: None
        self._registers = registers
        self._stub: Any = SimpleNamespace(connected=True, ctx=SimpleNamespace(framer=SimpleNamespace()))
        self._stub.close = lambda: None
        if isinstance(registers, SunSpecDer):
            data = registers._data
            self._low = BASE
            self._words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
        else:
            found = registers.addresses()
            self._low = min(found)
            self._words = [0] * (max(found) + 1 - self._low)

    async def _connected(self) -> Any:
        return self._stub

    async def _send(  # type: ignore[override]
        self, client: Any, unit: int, function: int, address: int, count: int, values: tuple[int, ...]
    ) -> ModbusPDU:
        self.asked += 1
        delay_s, fate = next(self.fates)
        fate = "refused" if values and address == self.refuses else fate
        if values and fate in {"taken", "answer lost"}:
            self.written.append((self.clock.now_s(), address, list(values)))
            self._words[address - self._low : address - self._low + count] = values
            self._registers.written(address, list(values))
            self.look(address)
        if fate in {"answer lost", "lost"}:
            await asyncio.sleep(TIMEOUT_S)
            raise ModbusIOException("no answer")
        await asyncio.sleep(min(delay_s, TIMEOUT_S))
        if fate in {"busy", "refused"}:
            return ExceptionResponse(function, 6 if fate == "busy" else 3)
        if function == 6:
            return WriteSingleRegisterResponse(address=address, registers=list(values))
        if function == 16:
            return WriteMultipleRegistersResponse(address=address, count=count)
        self._registers.refresh(function, self._low, self._words)
        told = self._words[address - self._low :][:count]
        return ReadHoldingRegistersResponse(
            registers=[self.overlay.get(address + at, word) for at, word in enumerate(told)]
        )


class Rig:
    """One outlet behind a line. ``power_w`` is what the charger was told last, and what it does at once."""

    def __init__(
        self,
        kind: str = "generic-charger",
        *,
        watchdog_s: float = 5.0,
        contactor: bool = False,
        channel: int = 0,
        models: Sequence[int] = (1, 701, 702, 704, 713, 715),
        poll_s: float = 1.0,
    ) -> None:
        self.poll_s = poll_s
        self.shown: dict[str, float] = {}
        self.clock = LoopClock(1_772_366_400.0)
        self.site = replace(SITE, evses=(evse(),))
        self.board = Board(self.site, self._wake)
        self.wakes = 0
        self.power_w = self.told_w = 0.0
        self.obeys = True
        self.contactor = contactor
        device = ModbusDevice("c", "l", "charger", "e1", kind, poll_s=1.0, watchdog_s=watchdog_s)
        self.registers: MappedCharger | SunSpecDer
        if kind == "sunspec":
            self.registers = SunSpecDer(self._values, self._apply, self.clock.now_s, models=models)
            self.line = Line(self.clock, self.registers)
            self.peer = Peer(self.line, 1, shared=False)
            self.port: LeasedCharger = SunSpecCharger(
                device, self.peer, None, self.board, self.clock, contactor=lambda: self.contactor
            )
            self.setpoint = self.registers._starts.get(704, 0) + W_SET
        else:
            layout = load_map(kind)
            device = replace(device, channel=layout.first_channel + channel)
            self._names = {field.name for block in layout.blocks for field in block.fields}
            self.registers = MappedCharger(
                layout, self._values, self._apply, self.clock.now_s, channel=device.channel
            )
            self.line = Line(self.clock, self.registers)
            self.peer = Peer(self.line, 1, shared=False)
            self.port = RegisterCharger(
                device, self.peer, layout, self.board, self.clock, contactor=lambda: self.contactor
            )
            assert layout.command.setpoint is not None
            self.setpoint = layout.command.setpoint.address + channel * layout.command_stride
        self.writer = Writer({"e1": self.port}, self.board, self.clock)
        self.latest = permit(0.0)
        self.wrong: list[str] = []
        self.line.look = self._judge
        self._polling = asyncio.get_running_loop().create_task(self._poll())

    def _wake(self) -> None:
        self.wakes += 1

    def _apply(self, power_w: float) -> None:
        self.told_w = power_w
        if self.obeys:
            self.power_w = power_w

    def _values(self) -> dict[str, float]:
        found = {"power_w": self.power_w, "state": 1.0, "soc_pct": 64.0, "connected": 1.0, **self.shown}
        return {name: found[name] for name in found if name in getattr(self, "_names", found)}

    def _judge(self, address: int) -> None:
        """A setpoint that reaches the charger lies within the latest permit."""
        low_w, high_w = min(self.latest.power_w, 0.0), max(self.latest.power_w, 0.0)
        if address == self.setpoint and not low_w - 1.0 <= self.told_w <= high_w + 1.0:
            said = f"{self.told_w} W said, {low_w} to {high_w} permitted"
            self.wrong.append(f"{self.clock.now_s():.2f} s: {said}")

    async def _poll(self) -> None:
        while True:
            await self.port.poll()
            await self.clock.sleep_s(self.poll_s)

    def setpoints(self) -> int:
        """How often the charger was told a power."""
        return sum(address == self.setpoint for _, address, _ in self.line.written)

    def tick(self, granted: Permit) -> None:
        self.latest = granted
        self.writer.submit((granted,))

    async def until(self, condition: Callable[[], bool], within_s: float = 60.0) -> None:
        """Let virtual time pass until it holds; TimeoutError where it does not come."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - the board has no event for every change
                await asyncio.sleep(0.05)

    async def ready(self) -> "Rig":
        """Connected, with its dead-man read back where it has one."""
        await self.until(lambda: self.state.link.connected)
        if self.port.has_dead_man:
            await self.until(lambda: self.state.dead_man_ok)
        return self

    @property
    def state(self) -> EvseState:
        """What the board says of the outlet."""
        return self.board.evse("e1")

    async def close(self) -> None:
        """End it; what had ended the polling is raised."""
        if self._polling.done():
            self._polling.result()
        await self.writer.stop()
        self._polling.cancel()
        await asyncio.gather(self._polling, return_exceptions=True)
