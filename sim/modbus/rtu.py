"""A serial line of the simulated depot: Modbus RTU units behind a pseudo-terminal, so that the daemon
opens a real tty.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import Iterator
from typing import Any, cast

from pymodbus.exceptions import ModbusException, NoSuchIdException
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.simulator.simcore import SimCore
from pymodbus.transport import transport

from sim.modbus.server import Unit
from sim.virtual.loop import VirtualLoop
from v2g_edge.tasks import end

MAX_FRAME = 256
"""Longest RTU frame (Modbus over Serial Line V1.02, 2.5.1)."""


class RtuServer:
    """Units on one pseudo-terminal. ``path`` is the tty to open, after ``start``. Late replies come as the
    faults say.
    """

    def __init__(self, units: list[Unit]) -> None:
        self._units = units
        self._framer = FramerRTU(DecodePDU(True))
        self._buffer = b""
        self._ends: tuple[int, int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.path = ""

    async def start(self) -> None:
        """Open the pair and listen."""
        self._core = SimCore([unit.device() for unit in self._units])
        master, slave = os.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._ends, self.path = (master, slave), os.ttyname(slave)
        for unit in self._units:
            unit.reset = self._forget
        asyncio.get_running_loop().add_reader(master, self._readable)

    async def stop(self) -> None:
        """Close the pair: the daemon sees a port that is gone."""
        ends, self._ends = self._ends, None
        if ends is None:
            return
        asyncio.get_running_loop().remove_reader(ends[0])
        await end(*self._tasks)
        for each in ends:
            os.close(each)

    def _forget(self) -> None:
        self._buffer = b""

    def _readable(self) -> None:
        if self._ends is None:
            return
        with contextlib.suppress(OSError):
            self._take(os.read(self._ends[0], MAX_FRAME))

    def _take(self, data: bytes) -> None:
        self._buffer += data
        try:
            used, request = self._framer.handleFrame(self._buffer, 0, 0)
        except ModbusException:
            used, request = len(self._buffer), None
        self._buffer = self._buffer[used:][-MAX_FRAME:]
        if request is not None and request.dev_id in self._core.devices:
            task = asyncio.get_running_loop().create_task(self._answer(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: ModbusPDU) -> None:
        try:
            response: ModbusPDU = await request.datastore_update(self._core, request.dev_id)  # type: ignore[arg-type]
        except NoSuchIdException:
            return
        response.dev_id = request.dev_id
        self._write(self._framer.buildFrame(response))

    def _write(self, frame: bytes) -> None:
        if self._ends is not None:
            with contextlib.suppress(OSError):
                os.write(self._ends[0], frame)


class MemoryRtuServer(RtuServer):
    """The same units and RTU frames on a serial line of the virtual network: no tty, and so no baud rate
    and no late bytes.
    """

    def __init__(self, units: list[Unit], path: str) -> None:
        super().__init__(units)
        self.path = path
        self._listener: asyncio.AbstractServer | None = None
        self._transport: asyncio.Transport | None = None

    async def start(self) -> None:
        """Listen at ``path`` of the running virtual loop."""
        self._core = SimCore([unit.device() for unit in self._units])
        for unit in self._units:
            unit.reset = self._forget
        self._listener = await asyncio.get_running_loop().create_unix_server(lambda: _Port(self), self.path)

    async def stop(self) -> None:
        """The port cannot be found any more."""
        if self._listener is not None:
            self._listener.close()
        await end(*self._tasks)

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)


class _Port(asyncio.Protocol):
    """The device's end of the line."""

    def __init__(self, server: MemoryRtuServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._server._take(data)


@contextlib.contextmanager
def serial_in_memory() -> Iterator[None]:
    """On virtual loops pymodbus' serial ports lead to the virtual network: a tty is the kernel's, and
    knows real time only.
    """
    name = "create_serial_connection"
    real = getattr(transport, name)

    async def create(loop: asyncio.AbstractEventLoop, factory: Any, url: str, **settings: Any) -> Any:
        if isinstance(loop, VirtualLoop):
            return await loop.create_unix_connection(factory, url)
        return await real(loop, factory, url, **settings)

    setattr(transport, name, create)
    try:
        yield
    finally:
        setattr(transport, name, real)
