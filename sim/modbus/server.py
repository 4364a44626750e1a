"""Modbus TCP servers of the simulated depot, on pymodbus' server with ``SimDevice`` and its ``action`` hook.

The hook refreshes a device's registers from the physics when it is asked, and plays the faults. Times are
loop time, so the same code runs in a virtual night.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol, cast

from msgspec import Struct
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import SimDevice
from pymodbus.simulator.simcore import SimCore

from sim.modbus.reads import Read, Reads, answer_to
from v2g_edge.tasks import end

FaultKind = Literal["none", "stuck", "nan", "garbage", "swapped", "slow", "exception", "silent", "reset"]


class Fault(Struct, frozen=True, gc=False):
    """What a device does wrong: ``delay_s`` is for "slow", ``code`` (of Modbus) for "exception", ``seed``
    for "garbage".
    """

    kind: FaultKind = "none"
    delay_s: float = 0.0
    code: int = 4
    seed: int = 0


HEALTHY: Final = Fault()

BY_ANSWER: Final[frozenset[FaultKind]] = frozenset({"slow", "exception", "silent", "reset"})
"""Faults that show in whether and when there is an answer, not in its registers."""


class Registers(Protocol):
    """What a simulated device does with its registers."""

    def build(self, unit: int) -> SimDevice:
        """The device with its initial registers."""

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """Bring the registers of the asked function's block up to date; ``start`` is the address of the
        first.
        """

    def spoil(self, kind: FaultKind, start: int, registers: list[int]) -> None:
        """Make the registers wrong in the way of "nan" or "swapped"."""

    def written(self, address: int, values: list[int]) -> None:
        """The daemon has written these values."""


class Unit:
    """One simulated device on a server. ``fault`` can be changed at any time; ``reads`` and ``writes``
    count requests.
    """

    def __init__(self, number: int, registers: Registers) -> None:
        self.number = number
        self.registers = registers
        self.fault = HEALTHY
        self.reads = 0
        self.writes = 0
        self.reset: Callable[[], None] = _nothing
        self._chance = random.Random(0)
        self._sound: list[tuple[list[int], list[int]]] = []

    def device(self) -> SimDevice:
        """For the server."""
        device = self.registers.build(self.number)
        device.action = self._action
        return device

    def inject_fault(self, fault: Fault) -> None:
        """From the next request on."""
        self.fault = fault
        self._chance = random.Random(fault.seed)

    async def _action(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        kind = self.fault.kind
        if kind == "slow":
            await asyncio.sleep(self.fault.delay_s)
        elif kind == "exception":
            return ExcCodes(self.fault.code)
        elif kind in {"silent", "reset"}:
            if kind == "reset":
                self.reset()
            raise NoSuchIdException("plays dead")
        if values is not None:
            self.writes += 1
            self.registers.written(address, [int(value) for value in values])
        else:
            self._show(kind, function, start, current)
        return None

    def show(self, function: int, start: int, current: list[int]) -> bool:
        """Bring registers up to date for a read; False where the answer is late, an exception or none."""
        kind = self.fault.kind
        if kind in BY_ANSWER:
            return False
        self._show(kind, function, start, current)
        return True

    def _show(self, kind: FaultKind, function: int, start: int, current: list[int]) -> None:
        self.reads += 1
        for registers, sound in self._sound:  # garbage is in an answer, not in the device
            registers[:] = sound
        self._sound.clear()
        if kind != "stuck":
            self.registers.refresh(function, start, current)
        if kind in {"nan", "swapped"}:
            self.registers.spoil(kind, start, current)
        elif kind == "garbage":
            self._sound.append((current, current.copy()))
            current[:] = [self._chance.randrange(0x10000) for _ in current]


def _nothing() -> None:
    """No server yet."""


class _Handler(ServerRequestHandler):
    """One connection. Keeps each request with its own reply: pymodbus would label a late reply with the
    newest request's id.
    """

    server: "_Server"

    def data_received(self, data: bytes) -> None:
        """A read in one piece is answered in as many turns of the loop as anything else, only cheaper."""
        read = None if self.recv_buffer else self.server.reads.of(data)
        if read is None or read.unit not in self.server.units:
            super().data_received(data)
        else:
            self.loop.call_soon(self.loop.call_soon, self._answer, data, read)

    def _answer(self, frame: bytes, read: Read) -> None:
        if not self.server.units[read.unit].show(read.function, read.start, read.registers):
            super().data_received(frame)
        elif self.transport is not None:
            self.transport.write(answer_to(frame, read))  # type: ignore[attr-defined]

    def handle_later(self) -> None:
        if self.last_pdu is not None:
            self.server.answer(self, self.last_pdu)


class _Server(ModbusTcpServer):
    """Answers each request in a task of its own and knows its connections."""

    def __init__(
        self, devices: list[SimDevice], address: tuple[str, int], units: Iterable[Unit] = ()
    ) -> None:
        super().__init__(devices, address=address, ignore_missing_devices=True)
        self.reads = Reads(cast(SimCore, self.context))
        self.units = {unit.number: unit for unit in units}
        self.tasks: set[asyncio.Task[None]] = set()

    def callback_new_connection(self) -> ServerRequestHandler:
        return _Handler(self, self.trace_packet, self.trace_pdu, self.trace_connect)  # type: ignore[no-untyped-call]

    def answer(self, handler: _Handler, request: ModbusPDU) -> None:
        """Handle ``request`` without holding up the connection."""
        task = self.loop.create_task(self._answer(handler, request))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, handler: _Handler, request: ModbusPDU) -> None:
        response: ModbusPDU
        try:
            response = await request.datastore_update(self.context, request.dev_id)  # type: ignore[arg-type]
        except NoSuchIdException:
            return
        except KeyError:  # no such unit
            response = ExceptionResponse(request.function_code, ExcCodes.GATEWAY_NO_RESPONSE)
        response.transaction_id = request.transaction_id
        response.dev_id = request.dev_id
        if handler.transport is not None:
            handler.pdu_send(response)

    def hang_up(self) -> None:
        """Abort every connection."""
        for handler in list(self.active_connections.values()):
            if handler.transport is not None:
                handler.transport.abort()  # type: ignore[attr-defined]


class ModbusServer:
    """One simulated TCP endpoint with its units. ``port`` is the bound one after ``start`` (0 asks for
    any).
    """

    def __init__(self, units: list[Unit], host: str = "127.0.0.1", port: int = 0) -> None:
        self._units = units
        self._host = host
        self.port = port
        self._server: _Server | None = None

    async def start(self) -> None:
        """Listen. OSError when the port cannot be had."""
        if self._server is not None:
            return
        server = _Server([unit.device() for unit in self._units], (self._host, self.port), self._units)
        if not await server.listen():
            raise OSError(f"cannot listen on {self._host}:{self.port}")
        self._server = server
        for unit in self._units:
            unit.reset = server.hang_up
        if self.port == 0:
            self.port = int(server.transport.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    async def stop(self) -> None:
        """Close the listener and all connections."""
        server, self._server = self._server, None
        if server is None:
            return
        await end(*server.tasks)
        await server.shutdown()  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)  # transports close in the loop's next round
