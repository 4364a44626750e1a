"""Ticks as octets for the journal, and back.

What moved since the tick before is written as the exclusive or of its octets and those before: most come out
as 0. One deflate stream runs from a key record to the next, flushed after each tick, so that what a tick has
in common with the minutes before it costs next to nothing. A day of 50 chargers takes a third of what whole
states did, each tick compressed by itself (0.3.0 and before; those are still read).
"""

import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from v2g_edge.model.event import Event
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.snapshot import (
    ContactState,
    EvseState,
    GridSample,
    MeterState,
    Operator,
    TemperatureState,
)

LEVEL: Final = 4
"""Measured at 50 chargers: 37 MB a day at 1, 32 at 4, 30 at 6, 27 at 9, at ten times the CPU of 4."""
RAW: Final = -15
"""No header and no sum of zlib: each body has its own."""
KEY, GOES_ON, WHOLE = b"\x01", b"\x02", b"\x78"
"""The first octet of a body: a stream begins, one goes on, or a tick by itself as zlib begins it."""
PLACE_OCTETS: Final = 3
SUM_OCTETS: Final = 4
HEAD_OCTETS: Final = 1 + PLACE_OCTETS + SUM_OCTETS
"""First octet, place in the stream, CRC-32 of what was packed."""


class Record(Struct, frozen=True, array_like=True):
    """One tick as it is stored. Changed states stand with their place in the site's order. ``told`` is what
    happened beside the ticks since the one before (orders, adapters); journals before 0.3 have none.
    """

    seq: int
    now_s: float
    wall_s: float
    clock_synced: bool
    operator: Operator
    grid_samples: tuple[GridSample, ...]
    evses: tuple[tuple[int, EvseState], ...]
    meters: tuple[tuple[int, MeterState], ...]
    contacts: tuple[tuple[int, ContactState], ...]
    temperatures: tuple[tuple[int, TemperatureState], ...]
    permits: tuple[tuple[int, Permit], ...]
    events: tuple[Event, ...]
    plan_changed: bool
    plan: Plan | None
    memory: bytes | None
    told: tuple[Event, ...] = ()


class _Head(Struct, frozen=True, array_like=True):
    """What every tick has."""

    seq: int
    now_s: float
    wall_s: float
    clock_synced: bool


Turned = tuple[tuple[int, bytes], ...]
"""Places in the site's order, each with the octets of its state turned by those before."""


class _Packed(Struct, frozen=True, array_like=True):
    """A record whose states are octets; ``head`` and ``operator`` are one each."""

    head: Turned
    operator: Turned
    grid_samples: tuple[GridSample, ...]
    evses: Turned
    meters: Turned
    contacts: Turned
    temperatures: Turned
    permits: Turned
    events: tuple[Event, ...]
    plan_changed: bool
    plan: Plan | None
    memory: bytes | None
    told: tuple[Event, ...] = ()


KINDS: Final[dict[str, type[Struct]]] = {
    "head": _Head,
    "operator": Operator,
    "evses": EvseState,
    "meters": MeterState,
    "contacts": ContactState,
    "temperatures": TemperatureState,
    "permits": Permit,
}


class Packer:
    """Records to bodies, in the order in which they are written."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._before = _nothing()
        self._stream = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
        self._place = 0

    def pack(self, record: Record) -> bytes:
        """A record with its memory begins a stream."""
        key = record.memory is not None
        if key:
            self._before = _nothing()
            self._stream, self._place = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW), 0
        head = _Head(record.seq, record.now_s, record.wall_s, record.clock_synced)
        packed = _Packed(
            self._turned("head", ((0, head),)),
            self._turned("operator", ((0, record.operator),)),
            record.grid_samples,
            self._turned("evses", record.evses),
            self._turned("meters", record.meters),
            self._turned("contacts", record.contacts),
            self._turned("temperatures", record.temperatures),
            self._turned("permits", record.permits),
            record.events,
            record.plan_changed,
            record.plan,
            record.memory,
            record.told,
        )
        raw = self._encode(packed)
        place, self._place = self._place.to_bytes(PLACE_OCTETS, "big"), self._place + 1
        summed = zlib.crc32(raw).to_bytes(SUM_OCTETS, "big")
        body = self._stream.compress(raw) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return (KEY if key else GOES_ON) + place + summed + body

    def _turned(self, kind: str, moved: Iterable[tuple[int, Struct]]) -> Turned:
        before, encode, made = self._before[kind], self._encode, []
        for place, state in moved:
            octets = encode(state)
            made.append((place, turned(octets, before.get(place, b""))))
            before[place] = octets
        return tuple(made)


class Unpacker:
    """Bodies to records, in the order in which they were written."""

    def __init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(_Packed).decode
        self._decode_whole = msgspec.msgpack.Decoder(Record).decode
        self._decoders = {kind: msgspec.msgpack.Decoder(list[of]).decode for kind, of in KINDS.items()}  # type: ignore[valid-type]
        self._before = _nothing()
        self._stream: Any = None
        self._place = 0

    def unpack(self, body: bytes) -> Record | None:
        """None for a tick whose key record is not there: retention has cut it off. zlib.error or
        msgspec.MsgspecError for what is damaged.
        """
        if body[:1] == WHOLE:
            self._stream = None
            return self._decode_whole(zlib.decompress(body))
        place = int.from_bytes(body[1 : 1 + PLACE_OCTETS], "big")
        if body[:1] == KEY:
            self._before = _nothing()
            self._stream = zlib.decompressobj(RAW)
        elif body[:1] != GOES_ON:
            raise zlib.error(f"a record that begins with {body[:1].hex() or 'nothing'}: of a later version?")
        elif self._stream is None or place != self._place:
            self._stream = None
            return None
        self._place = place + 1
        raw = self._stream.decompress(body[HEAD_OCTETS:])
        if zlib.crc32(raw) != int.from_bytes(body[1 + PLACE_OCTETS : HEAD_OCTETS], "big"):
            raise zlib.error("the sum of a record is wrong")
        return self._record(self._decode(raw))

    def _record(self, packed: _Packed) -> Record:
        ((_, head),) = self._states("head", packed.head)
        ((_, operator),) = self._states("operator", packed.operator)
        return Record(
            head.seq,
            head.now_s,
            head.wall_s,
            head.clock_synced,
            operator,
            packed.grid_samples,
            self._states("evses", packed.evses),
            self._states("meters", packed.meters),
            self._states("contacts", packed.contacts),
            self._states("temperatures", packed.temperatures),
            self._states("permits", packed.permits),
            packed.events,
            packed.plan_changed,
            packed.plan,
            packed.memory,
            packed.told,
        )

    def _states(self, kind: str, moved: Turned) -> Any:
        if not moved:
            return ()
        before = self._before[kind]
        for place, octets in moved:
            before[place] = turned_back(octets, before.get(place, b""))
        places = [place for place, _ in moved]
        # Read as one array (array 32 of msgpack): a call for each state would take most of the time.
        array = b"\xdd" + len(places).to_bytes(4, "big") + b"".join([before[place] for place in places])
        return tuple(zip(places, self._decoders[kind](array), strict=True))


def _nothing() -> dict[str, dict[int, bytes]]:
    """What is known before a key record: for each kind, the octets of each place."""
    return {kind: {} for kind in KINDS}


def turned(octets: bytes, before: bytes) -> bytes:
    """The exclusive or with what was there before; as they are where the two are not alike in length and
    first octet. A state begins with the octet of an array or a map, never 0; what was turned begins with 0.
    """
    alike = len(octets) == len(before) and octets[:1] == before[:1]
    return _xor(octets, before) if alike else octets


def turned_back(octets: bytes, before: bytes) -> bytes:
    """The octets that ``turned`` was given."""
    return _xor(octets, before) if octets[:1] == b"\0" and len(octets) == len(before) else octets


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
