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

ASKED: Final = struct.Struct(">HHHBBHH")
ASKED_OCTETS: Final = 6
"""Of unit, function, address and count, as the head of the frame counts them."""
ANSWERED: Final = struct.Struct(">HHHBBB")

BLOCKS: Final = {1: "c", 2: "d", 3: "h", 4: "i"}
COUNT_MAX: Final = {1: 2_000, 2: 2_000, 3: 125, 4: 125}


class Read(Struct, frozen=True, gc=False):
    """One read: its transaction, unit, function and address, and where its registers are.

    ``start`` is the address of the first in ``registers``; ``offset`` and ``size`` say which are asked for,
    ``count`` how many values of them from ``bit`` on (functions 1 and 2).
    """

    transaction: int
    unit: int
    function: int
    address: int
    count: int
    start: int
    registers: list[int]
    offset: int
    size: int
    bit: int


def read_of(frame: bytes, core: SimCore) -> Read | None:
    """The read that a frame asks for; None where it is anything else, or may not be answered."""
    if len(frame) != ASKED.size:
        return None
    transaction, protocol, octets, unit, function, address, count = ASKED.unpack(frame)
    runtime = core.devices.get(unit)
    if protocol or octets != ASKED_OCTETS or runtime is None or not 1 <= count <= COUNT_MAX.get(function, 0):
        return None
    start, size, registers, flags = runtime.block["x" if "x" in runtime.block else BLOCKS[function]]
    offset, asked, bit = _place(runtime, function, address - start, address, count)
    if offset < 0 or offset + asked > size:
        return None
    if any(flag & SimUtils.RunTimeFlag_TYPE == DataType.INVALID for flag in flags[offset : offset + asked]):
        return None
    return Read(transaction, unit, function, address, count, start, registers, offset, asked, bit)


def _place(runtime: SimRuntime, function: int, offset: int, address: int, count: int) -> tuple[int, int, int]:
    """(first register, how many, first bit) of what is asked."""
    if function > 2:
        return offset, count, 0
    bit = address % 16
    if runtime.use_bit_addressing:
        offset += address // 16 - address
    return offset, (bit + count + 15) // 16, bit


def answer_to(read: Read) -> bytes:
    """The frame that answers ``read`` from what its registers hold now."""
    words = read.registers[read.offset : read.offset + read.size]
    if read.function > 2:
        body = struct.pack(f">{read.size}H", *words)
    else:
        bits = int.from_bytes(struct.pack(f"<{read.size}H", *words), "little") >> read.bit
        body = (bits & (1 << read.count) - 1).to_bytes((read.count + 7) // 8, "little")
    octets = len(body)
    return ANSWERED.pack(read.transaction, 0, 3 + octets, read.unit, read.function, octets) + body


def frame_of(read: Read) -> bytes:
    """The frame that asked for ``read``."""
    return ASKED.pack(read.transaction, 0, ASKED_OCTETS, read.unit, read.function, read.address, read.count)
