"""One connection, over pymodbus' async client; the devices that answer on it are ``peer.Peer``.

pymodbus' defaults block 12 s on a dead device and back off for up to 300 s (3 s × 4 tries, read in its 3.16
code); here a request has one try and a deadline, and liveness and back-off are ours. No exception leaves this
file: a request gives registers or a ``Fault``.
"""

import asyncio
import contextlib
import logging
import ssl
import struct
from collections.abc import Callable, Sequence
from typing import Final, Literal

from msgspec import Struct
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse
from pymodbus.transport import CommParams, CommType

from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import ModbusLine
from v2g_edge.tasks import described, is_cancelled

RTU_QUIET_S: Final = 0.1
"""Silence on a serial line after a missed reply, so that a reply that is under way does not collide with a
request.
"""

RTU_GHOST_S: Final = 2.0
"""How long a missed reply may still turn up on a serial line. RTU has no transaction id: until then no
request is made that this reply could answer (same unit, function and length).
"""

EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
    10: "gateway path unavailable",
    11: "gateway target silent",
}
"""Modbus Application Protocol V1.1b3, section 7."""

READS: Final = (1, 2, 3, 4)
"""Functions that read; the answer to none of them looks like its request."""

BUSY: Final = (5, 6)
"""A device's way of saying "ask again": it is there, and what it said before is as old as it is."""

GATEWAY_SILENT: Final = (10, 11)
"""A gateway's way of saying that the device behind it did not answer."""

logging.getLogger("pymodbus").setLevel(
    logging.CRITICAL
)  # every fault it logs comes back to us as a Fault, and is told once


class Fault(Struct, frozen=True, gc=False):
    """Why a request brought nothing: no (usable) answer in time, the device said no, or the answer was not
    one to it.
    """

    kind: Literal["silent", "busy", "refused", "garbled", "void"]
    why: str

    @property
    def keeps(self) -> bool:
        """Whether the values that stand go on growing old by themselves: nothing was said of them."""
        return self.kind in {"silent", "busy", "void"}


VOID: Final = Fault("void", "a newer command came before this one was sent")
"""What becomes of a write that waited for the line until it was not wanted any more: it was never sent."""


def always() -> bool:
    """Never void."""
    return True


class _Checked(FramerBase):
    """Drops what cannot be the answer to the open request: pymodbus checks the unit only, and lets garbage
    end the connection.
    """

    expected: tuple[int, int] = (0, 0)

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:  # noqa: N802 - its name
        """The first frame that can be the answer; surplus ones before and after it are dropped with it."""
        used = 0
        while used < len(data):
            try:
                size, pdu = super().handleFrame(data[used:], exp_devid, exp_tid)
            except ModbusException:
                return len(data), None
            used += size
            if pdu is None:
                return used, None
            if self._fits(pdu):
                return len(data), pdu
        return used, None

    def _fits(self, pdu: ModbusPDU) -> bool:
        function, size = self.expected
        if pdu.function_code & 0x7F != function:
            return False
        return not size or pdu.isError() or len(pdu.registers) in {0, size}


class _Holding(ReadHoldingRegistersResponse):
    """Unpacks all registers at once: pymodbus' loop over them was a fifth of the CPU of a poll. Nor is it
    written out: pymodbus makes a text of each answer for its log, also while that is off.
    """

    def __str__(self) -> str:
        return f"{len(self.registers)} registers of unit {self.dev_id}"

    def decode(self, data: bytes) -> None:
        """ModbusIOException for a byte count that is odd or longer than the data."""
        size = data[0]
        if size % 2 or size >= len(data):
            raise ModbusIOException(
                f"byte count {size} in {len(data)} bytes", function_code=self.function_code
            )
        self.registers = list(struct.unpack(f">{size // 2}H", data[1 : 1 + size]))


class _Input(_Holding):
    """The same for function 4."""

    function_code = 4


def _decoder() -> DecodePDU:
    decoder = DecodePDU(False)
    decoder.register(_Holding)
    decoder.register(_Input)
    return decoder


class _CheckedSocket(_Checked, FramerSocket):
    """For TCP and TLS."""


class _CheckedRtu(_Checked, FramerRTU):
    """For serial lines: looks for the frame behind noise, and behind the request where an adapter echoes it.

    ``echoes``: a request to read came back, which no device sends. From then on a write is confirmed by the
    second frame that looks like it: function 6 is answered by itself.
    """

    echoes = False
    _sent = b""

    def encode(self, payload: bytes, device_id: int, _tid: int) -> bytes:
        """As the original; what is sent may come back."""
        self._sent = super().encode(payload, device_id, _tid)
        return self._sent

    def decode(self, data: bytes) -> tuple[int, int, int, bytes]:
        """The first frame whose check sum is right; 0 octets used while none is complete (the original throws
        away all that has arrived where a line's first octet is noise).
        """
        echo_at = data.find(self._sent) if self._sent else -1
        self.echoes |= echo_at >= 0 and self.expected[0] in READS
        begin = echo_at + len(self._sent) if echo_at >= 0 and self.echoes else 0
        for at in range(begin, len(data) - self.MIN_SIZE + 1):
            kind = self.decoder.lookupPduClass(data[at:])
            size = kind.calculateRtuFrameSize(data[at:]) if kind is not None else 0
            end = at + size
            if size and end <= len(data):
                check = int.from_bytes(data[end - 2 : end], "big")
                if FramerRTU.check_CRC(data[at : end - 2], check):
                    return end, data[at], 0, data[at + 1 : end - 2]
        return 0, 0, 0, self.EMPTY


class _TlsClient(AsyncModbusTcpClient):
    """Modbus/TCP Security: the MBAP frame inside TLS (pymodbus' own TLS client leaves the MBAP header
    away).
    """

    def __init__(self, line: ModbusLine, context: ssl.SSLContext) -> None:
        self.comm_params = CommParams(
            comm_type=CommType.TLS,
            host=line.host,
            port=line.port,
            sslctx=context,
            comm_name=line.id,
            reconnect_delay=0.0,
            timeout_connect=line.timeout_s,
        )
        super().__init__(line.host, framer=FramerType.SOCKET, retries=0)


def _client(line: ModbusLine) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
    client: AsyncModbusTcpClient | AsyncModbusSerialClient
    if line.transport == "rtu":
        client = AsyncModbusSerialClient(
            line.serial_port,
            framer=FramerType.RTU,
            baudrate=line.baud,
            parity=line.parity,
            stopbits=line.stop_bits,
            name=line.id,
            timeout=line.timeout_s,
            retries=0,
            reconnect_delay=0.0,
        )
        client.ctx.framer = _CheckedRtu(_decoder())
        return client
    if line.transport == "tls":
        context = ssl.create_default_context(cafile=line.ca_file or None)
        client = _TlsClient(line, context)
    else:
        client = AsyncModbusTcpClient(
            line.host, port=line.port, name=line.id, timeout=line.timeout_s, retries=0, reconnect_delay=0.0
        )
    client.ctx.framer = _CheckedSocket(_decoder())
    return client


class Wire:
    """One TCP or TLS connection, or one serial line. One request at a time; made when first needed, remade
    after faults.
    """

    def __init__(self, line: ModbusLine, clock: ClockPort) -> None:
        self.line = line
        self.clock = clock
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._ghosts: dict[tuple[int, int, int], float] = {}
        self._quiet_until_s = 0.0

    async def read(self, unit: int, function: int, address: int, count: int) -> Sequence[int] | Fault:
        """``count`` registers (functions 3, 4) or bits (1, 2) from ``address``."""
        if address < 0 or count < 1 or address + count > 65536:
            return Fault("refused", f"registers {address}+{count} do not exist")
        answer = await self._ask(unit, function, address, count, ())
        if isinstance(answer, Fault):
            return answer
        if function in {1, 2}:
            return answer.bits[:count] if len(answer.bits) >= count else Fault("garbled", "too few bits")
        if len(answer.registers) != count:
            return Fault("garbled", f"{len(answer.registers)} registers instead of {count}")
        return answer.registers

    async def write(
        self,
        unit: int,
        function: int,
        address: int,
        values: list[int],
        still: Callable[[], bool] = always,
    ) -> Fault | None:
        """Write registers (function 6 or 16) or one coil (5). None: the device confirmed this very write.

        ``still`` is asked when the line is free, just before it is sent; where it says no, ``VOID``.
        """
        answer = await self._ask(unit, function, address, len(values), tuple(values), still)
        if isinstance(answer, Fault):
            return answer
        if answer.address != address:
            return Fault("garbled", f"confirmed address {answer.address} instead of {address}")
        if function == 6 and answer.registers[:1] != values[:1]:
            return Fault("garbled", "confirmed another value")
        if function == 16 and answer.count != len(values):
            return Fault("garbled", f"confirmed {answer.count} registers instead of {len(values)}")
        return None

    async def _ask(
        self,
        unit: int,
        function: int,
        address: int,
        count: int,
        values: tuple[int, ...],
        still: Callable[[], bool] = always,
    ) -> ModbusPDU | Fault:
        await self._outwait((unit, function, count))
        async with self._lock:
            if self._quiet_until_s > self.clock.now_s():
                await self.clock.sleep_s(self._quiet_until_s - self.clock.now_s())
            client = await self._connected()
            if isinstance(client, Fault):
                return client
            if not still():
                return VOID
            client.ctx.framer.expected = (function, count if function in {3, 4} else 0)  # type: ignore[attr-defined]
            answered = False
            try:
                answer = await self._send(client, unit, function, address, count, values)
                answered = True
            except ModbusException:
                answer = Fault("silent", "no answer in time")
                answered = not client.connected
            except asyncio.CancelledError as fault:
                if is_cancelled():
                    raise
                answer = self._broken(fault)
            except Exception as fault:  # noqa: BLE001 - pymodbus, pyserial, termios, ssl: any class (rule 14)
                answer = self._broken(fault)
            finally:
                if not answered:
                    self._missed((unit, function, count))
            if isinstance(answer, Fault):
                return answer
            if answer.isError():
                code = answer.exception_code
                name = EXCEPTIONS.get(code, "unknown exception")
                kind: Literal["silent", "busy", "refused"] = "silent" if code in GATEWAY_SILENT else "refused"
                return Fault("busy" if code in BUSY else kind, f"exception {code} ({name})")
            return answer

    async def _connected(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient | Fault:
        """The client, connected; or why there is none, whatever class of exception said so."""
        try:
            if self._client is None:
                self._client = _client(self.line)
            client = self._client
            if client.connected or await client.connect():
                return client
        except asyncio.CancelledError as fault:
            if is_cancelled():
                raise
            return self._broken(fault)
        except Exception as fault:  # noqa: BLE001 - name look-up, certificates, termios.error (no OSError): any class (rule 14)
            return self._broken(fault)
        return Fault("silent", "no connection")

    def _broken(self, fault: BaseException) -> Fault:
        """A connection that raised is not used again: what state it is in, nobody knows."""
        self.hang_up()
        return Fault("silent", described(fault))

    @staticmethod
    async def _send(
        client: AsyncModbusTcpClient | AsyncModbusSerialClient,
        unit: int,
        function: int,
        address: int,
        count: int,
        values: tuple[int, ...],
    ) -> "ModbusPDU | Fault":
        match function:
            case 1:
                return await client.read_coils(address, count=count, device_id=unit)
            case 2:
                return await client.read_discrete_inputs(address, count=count, device_id=unit)
            case 3:
                return await client.read_holding_registers(address, count=count, device_id=unit)
            case 4:
                return await client.read_input_registers(address, count=count, device_id=unit)
            case 5:
                return await client.write_coil(address, bool(values[0]), device_id=unit)
            case 6:
                return await client.write_register(address, values[0], device_id=unit)
            case 16:
                return await client.write_registers(address, list(values), device_id=unit)
        return Fault("refused", f"function {function} is not used here")

    def _missed(self, shape: tuple[int, int, int]) -> None:
        if self.line.transport != "rtu":
            return  # MBAP transaction ids tell a late reply from the right one
        now_s = self.clock.now_s()
        self._quiet_until_s = now_s + RTU_QUIET_S
        self._ghosts[shape] = now_s + RTU_GHOST_S

    async def _outwait(self, shape: tuple[int, int, int]) -> None:
        """Wait, with the line free for others, until no late reply can be taken for the answer of the
        request ahead.
        """
        while (until_s := self._ghosts.get(shape, 0.0)) > self.clock.now_s():
            await self.clock.sleep_s(until_s - self.clock.now_s())

    def hang_up(self) -> None:
        """End the connection; the next request makes a new one. On a serial line this also throws away
        what it holds.
        """
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(
                Exception
            ):  # a port that was unplugged may fail in any way while it is closed
                client.close()
