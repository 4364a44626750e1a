"""SunSpec: finding the models of a device, and turning a model into a block that is decoded without generic
code.

Offsets, types and scale factors come from the model definitions that ship with ``pysunspec2``; a test decodes
random registers with both and compares.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Final

from msgspec import Struct
from sunspec2.device import Model

from v2g_edge.field.modbus.codec import Block, Field, RegisterType
from v2g_edge.field.modbus.wire import Fault

BASES: Final = (40000, 0, 50000)
"""Where the marker may stand, in the order in which pysunspec2 looks."""

MARKER: Final = [0x5375, 0x6E53]
"""'SunS'."""

END_MODEL: Final = 0xFFFF

MAX_MODELS: Final = 64
"""A chain longer than this is no chain: real devices have a dozen."""

Read = Callable[[int, int, int], Awaitable[Sequence[int] | Fault]]
"""(function, address, count) → registers, as ``Peer.read``."""

TYPES: Final[dict[str, tuple[RegisterType, frozenset[int]]]] = {
    "int16": ("i16", frozenset({-0x8000})),
    "sunssf": ("i16", frozenset({-0x8000})),
    "uint16": ("u16", frozenset({0xFFFF})),
    "enum16": ("u16", frozenset({0xFFFF})),
    "bitfield16": ("u16", frozenset({0xFFFF})),
    "count": ("u16", frozenset({0xFFFF})),
    "acc16": ("u16", frozenset({0})),
    "int32": ("i32", frozenset({-0x8000_0000})),
    "uint32": ("u32", frozenset({0xFFFF_FFFF})),
    "enum32": ("u32", frozenset({0xFFFF_FFFF})),
    "bitfield32": ("u32", frozenset({0xFFFF_FFFF})),
    "acc32": ("u32", frozenset({0})),
    "int64": ("i64", frozenset({-0x8000_0000_0000_0000})),
    "uint64": ("u64", frozenset({0xFFFF_FFFF_FFFF_FFFF})),
    "bitfield64": ("u64", frozenset({0xFFFF_FFFF_FFFF_FFFF})),
    "acc64": ("u64", frozenset({0})),
    "float32": ("f32", frozenset()),
    "float64": ("f64", frozenset()),
}
"""Register type and "not implemented" patterns (SunSpec Information Model Specification; equal to
``sunspec2.mb``).
"""


class ModelAt(Struct, frozen=True, gc=False):
    """A model in a device: its id, the address of its ID register, and the length that the device states."""

    id: int
    address: int
    length: int


async def discover(read: Read) -> tuple[ModelAt, ...] | Fault:
    """All models of the device by following the chain, or why there are none."""
    why = Fault("silent", "no answer")
    for base in BASES:
        found = await read(3, base, 2)
        if isinstance(found, Fault):
            why = found
        elif list(found) == MARKER:
            return await _chain(read, base + 2)
        else:
            why = Fault("garbled", "no SunSpec marker at 40000, 0 or 50000")
    return why


async def _chain(read: Read, address: int) -> tuple[ModelAt, ...] | Fault:
    models: list[ModelAt] = []
    while len(models) < MAX_MODELS:
        header = await read(3, address, 2)
        if isinstance(header, Fault):
            if header.kind == "silent":
                return header
            end = await read(3, address, 1)  # some devices leave the length of the end model out
            if not isinstance(end, Fault) and end[0] == END_MODEL:
                return tuple(models)
            return Fault("garbled", f"the chain of models breaks at {address}: {header.why}")
        identity, length = header[0], header[1]
        if identity == END_MODEL:
            return tuple(models)
        if address + 2 + length > 65535:
            return Fault("garbled", f"model {identity} at {address} has the impossible length {length}")
        models.append(ModelAt(identity, address, length))
        address += 2 + length
    return Fault("garbled", f"more than {MAX_MODELS} models")


@cache
def _points(model_id: int) -> dict[str, tuple[int, str, str]]:
    """Point → (offset from the ID register, SunSpec type, name of its scale factor or "") of the model's
    fixed part.
    """
    model = Model(model_id)
    return {
        name: (int(point.offset), point.pdef["type"], point.sf or "") for name, point in model.points.items()
    }


def block_of(
    model: ModelAt, names: dict[str, str], ranges: dict[str, tuple[float, float]], *, every_s: float = 0.0
) -> Block | None:
    """One block with the points ``names`` (ours → SunSpec's) that the device's stated length covers; None
    without any.

    Scale factors ride in the same block, so that value and scale are always of one reply. ``ranges`` are by
    our names.
    """
    points = _points(model.id)
    wanted: list[tuple[str, str]] = []
    for ours, theirs in names.items():
        scale_by = points[theirs][2]
        last = max(_end(points, theirs), _end(points, scale_by) if scale_by else 0)
        if last <= model.length + 2:
            wanted.append((ours, theirs))
    if not wanted:
        return None
    factors = sorted({points[theirs][2] for _, theirs in wanted} - {""})
    spans = [points[name][0] for name in [theirs for _, theirs in wanted] + factors]
    start = min(spans)
    fields = [_field(points, ours, theirs, start, ranges.get(ours)) for ours, theirs in wanted]
    fields += [_field(points, name, name, start, None) for name in factors]
    count = max(field.offset + field.width for field in fields)
    return Block(f"model {model.id}", 3, model.address + start, count, tuple(fields), every_s)


def _end(points: dict[str, tuple[int, str, str]], name: str) -> int:
    offset, kind, _ = points[name]
    return offset + Field(name, offset, TYPES[kind][0]).width


def _field(
    points: dict[str, tuple[int, str, str]],
    ours: str,
    theirs: str,
    start: int,
    allowed: tuple[float, float] | None,
) -> Field:
    offset, kind, scale_by = points[theirs]
    low, high = allowed or (float("-inf"), float("inf"))
    register, nan = TYPES[kind]
    return Field(ours, offset - start, register, scale_by=scale_by, nan=nan, low=low, high=high)


METER_MODELS: Final = (201, 202, 203, 204, 211, 212, 213, 214)

METER_POINTS: Final = {
    "power_w": "W",
    "power_l1_w": "WphA",
    "power_l2_w": "WphB",
    "power_l3_w": "WphC",
    "voltage_l1_v": "PhVphA",
    "voltage_l2_v": "PhVphB",
    "voltage_l3_v": "PhVphC",
    "frequency_hz": "Hz",
    "energy_import_wh": "TotWhImp",
    "energy_export_wh": "TotWhExp",
}
"""Our names → points of models 201-204 and 211-214. A meter's W is + for import (its TotWhImp counts it)."""
