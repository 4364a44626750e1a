"""Registers ↔ numbers. A block is compiled once into one ``struct`` format and decoded in one call per poll.

Nothing here does I/O. A value that is a "not available" pattern, not finite, out of its range, or that hangs
on a missing scale factor becomes ``Unknown`` with the reason, never 0.
"""

import math
import struct
from collections.abc import Sequence
from typing import Final, Literal, get_args

from msgspec import Struct

from v2g_edge.model.reading import Measured, Reading, Unknown

RegisterType = Literal["i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"]

CODES: Final[dict[str, tuple[str, int]]] = {
    "i16": ("h", 1),
    "u16": ("H", 1),
    "i32": ("i", 2),
    "u32": ("I", 2),
    "i64": ("q", 4),
    "u64": ("Q", 4),
    "f32": ("f", 2),
    "f64": ("d", 4),
}
"""``struct`` code and width in 16-bit registers."""

TYPES: Final = get_args(RegisterType)

MAX_SCALE_EXPONENT: Final = 10
"""SunSpec allows scale factors of −10..10; anything else is a fault of the device."""

POWERS: Final = {exponent: 10.0**exponent for exponent in range(-MAX_SCALE_EXPONENT, MAX_SCALE_EXPONENT + 1)}


class Field(Struct, frozen=True):
    """One value: ``offset`` in registers from the block's start, value = raw × ``scale`` + ``shift`` (or ×
    10^``scale_by``).

    ``nan`` are the raw integers that mean "not available". Out of ``low``..``high`` (scaled, inclusive) is
    Unknown.
    """

    name: str
    offset: int
    type: RegisterType
    scale: float = 1.0
    shift: float = 0.0
    scale_by: str = ""
    nan: frozenset[int] = frozenset()
    low: float = -math.inf
    high: float = math.inf
    swapped: bool = False

    @property
    def width(self) -> int:
        """Registers taken."""
        return CODES[self.type][1]


class Block(Struct, frozen=True):
    """A contiguous run of ``count`` registers read with one request (function 3 or 4). ``every_s`` 0: with
    each poll.
    """

    name: str
    function: int
    address: int
    count: int
    fields: tuple[Field, ...]
    every_s: float = 0.0


class Decoder:
    """A block compiled. ``decode`` takes exactly ``count`` registers and answers every field of the block."""

    def __init__(self, block: Block) -> None:
        self.block = block
        order = list(range(block.count))
        parts, at = [">"], 0
        fields = sorted(block.fields, key=lambda field: field.offset)
        for field in fields:
            if field.offset < at or field.offset + field.width > block.count:
                raise ValueError(
                    f"field {field.name} at offset {field.offset} overlaps its neighbour or leaves the block"
                )
            parts.append(f"{2 * (field.offset - at)}x{CODES[field.type][0]}")
            at = field.offset + field.width
            if field.swapped:
                order[field.offset : at] = reversed(order[field.offset : at])
        parts.append(f"{2 * (block.count - at)}x")
        self._order = order if any(field.swapped for field in fields) else None
        self._pack = struct.Struct(f">{block.count}H").pack
        self._unpack = struct.Struct("".join(parts)).unpack
        places = {field.name: index for index, field in enumerate(fields)}
        self._steps = [
            (f.name, f.scale, f.shift, places[f.scale_by] if f.scale_by else -1, f.nan, f.low, f.high)
            for f in fields
            if f.name not in {g.scale_by for g in fields}
        ]
        self._indices = [places[step[0]] for step in self._steps]

    def unknown(self, why: str) -> dict[str, Measured]:
        """Every field of the block as unknown."""
        return {step[0]: Unknown(why) for step in self._steps}

    def decode(self, registers: Sequence[int], at_s: float) -> dict[str, Measured]:
        """Name → reading sampled at ``at_s``. ``registers`` are 0..65535; a wrong count makes everything
        Unknown.
        """
        if len(registers) != self.block.count:
            why = f"{len(registers)} registers instead of {self.block.count}"
            return self.unknown(why)
        ordered = registers if self._order is None else [registers[i] for i in self._order]
        raws = self._unpack(self._pack(*ordered))
        return {
            step[0]: _value(raws[index], raws, step, at_s)
            for step, index in zip(self._steps, self._indices, strict=True)
        }


def _value(
    raw: float,
    raws: tuple[float, ...],
    step: tuple[str, float, float, int, frozenset[int], float, float],
    at_s: float,
) -> Measured:
    _, scale, shift, scale_at, nan, low, high = step
    if raw in nan:
        return Unknown("not available")
    value = raw * scale + shift
    if scale_at >= 0:
        factor = POWERS.get(int(raws[scale_at]))
        if factor is None:
            return Unknown("scale factor missing")
        value = raw * factor
    if not math.isfinite(value):
        return Unknown("not a number" if math.isnan(value) else "infinite")
    if not low <= value <= high:
        return Unknown(f"{value:g} out of range {low:g}..{high:g}")
    return Reading(value, at_s)


def encode(value: float, kind: RegisterType, *, scale: float = 1.0, swapped: bool = False) -> list[int]:
    """``value`` / ``scale`` as registers, rounded for integer types; ValueError when it does not fit."""
    code, width = CODES[kind]
    raw: float = value / scale
    try:
        data = struct.pack(f">{code}", raw if code in "fd" else round(raw))
    except (struct.error, OverflowError) as fault:
        raise ValueError(f"{value} does not fit {kind} at scale {scale}") from fault
    registers = list(struct.unpack(f">{width}H", data))
    return registers[::-1] if swapped else registers
