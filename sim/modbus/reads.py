"""Reads over Modbus TCP, answered from a device's registers without pymodbus' objects for frame, request and
response.

Nearly all that a depot's devices are asked are whole frames with a read (functions 1 to 4) that can be
answered at once; of the CPU of a played night they took a tenth. Everything else goes pymodbus' way: writes,
frames in pieces, units and registers that do not exist. The octets are the same (Modbus Application Protocol
V1.1b3, 6.1 to 6.4).
"""

import struct
from typing import Final

from msgspec import Struct
from pymodbus.simulator import DataType
from pymodbus.simulator.simcore import SimCore
from pymodbus.simulator.simruntime import SimRuntime
from pymodbus.simulator.simutils import SimUtils

HEAD: Final = struct.Struct(">HHH")
ASKED: Final = struct.Struct(">BBHH")
ANSWERED: Final = struct.Struct(">HBBB")
WHOLE: Final = HEAD.pack(0, 0, ASKED.size)[2:]
"""What stands after the transaction in the head of a read: the protocol, and how many octets follow."""
KNOWN_MAX: Final = 1_024

BLOCKS: Final = {1: "c", 2: "d", 3: "h", 4: "i"}
COUNT_MAX: Final = {1: 2_000, 2: 2_000, 3: 125, 4: 125}


class Read(Struct, frozen=True, gc=False):
    """One read: unit, function, address and count, and where its registers are.

    ``start`` is the address of the first in ``registers``; ``offset`` and ``size`` say which are asked for,
    and ``bit`` from which bit on (functions 1 and 2).
    """

    unit: int
    function: int
    address: int
    count: int
    start: int
    registers: list[int]
    offset: int
    size: int
    bit: int


class Reads:
    """The reads of one server, each looked up once: what registers there are never changes."""

    def __init__(self, core: SimCore) -> None:
        self._core = core
        self._known: dict[bytes, Read | None] = {}

    def of(self, frame: bytes) -> Read | None:
        """The read that a frame asks for; None where it is anything else, or may not be answered."""
        asked = frame[HEAD.size :]
        if len(frame) != HEAD.size + ASKED.size or frame[2 : HEAD.size] != WHOLE:
            return None
        if asked not in self._known:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[asked] = _found(self._core, *ASKED.unpack(asked))
        return self._known[asked]


def _found(core: SimCore, unit: int, function: int, address: int, count: int) -> Read | None:
    runtime = core.devices.get(unit)
    if runtime is None or not 1 <= count <= COUNT_MAX.get(function, 0):
        return None
    start, size, registers, flags = runtime.block["x" if "x" in runtime.block else BLOCKS[function]]
    offset, asked, bit = _place(runtime, function, address - start, address, count)
    if offset < 0 or offset + asked > size:
        return None
    if any(flag & SimUtils.RunTimeFlag_TYPE == DataType.INVALID for flag in flags[offset : offset + asked]):
        return None
    return Read(unit, function, address, count, start, registers, offset, asked, bit)


def _place(runtime: SimRuntime, function: int, offset: int, address: int, count: int) -> tuple[int, int, int]:
    """(first register, how many, first bit) of what is asked."""
    if function > 2:
        return offset, count, 0
    bit = address % 16
    if runtime.use_bit_addressing:
        offset += address // 16 - address
    return offset, (bit + count + 15) // 16, bit


def answer_to(frame: bytes, read: Read) -> bytes:
    """The answer to ``frame``, which asks for ``read``, from what its registers hold now."""
    words = read.registers[read.offset : read.offset + read.size]
    if read.function > 2:
        body = struct.pack(f">{read.size}H", *words)
    else:
        bits = int.from_bytes(struct.pack(f"<{read.size}H", *words), "little") >> read.bit
        body = (bits & (1 << read.count) - 1).to_bytes((read.count + 7) // 8, "little")
    octets = len(body)
    return frame[:4] + ANSWERED.pack(3 + octets, read.unit, read.function, octets) + body
