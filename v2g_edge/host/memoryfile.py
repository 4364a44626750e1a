"""``memory`` beside the journal: latches and ledgers outlive a journal that is damaged or lost."""

import struct
import zlib
from pathlib import Path
from typing import Final

from v2g_edge.host.statefile import StateFile

HEAD: Final = 12
"""Octets before the memory: a CRC-32 and the wall time."""


class MemoryFile(StateFile[tuple[float, bytes]]):
    """The wall time of the last tick that was kept, and the memory after it as the journal packs it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _packed, _unpacked)


def _packed(kept: tuple[float, bytes]) -> bytes:
    body = struct.pack("<d", kept[0]) + kept[1]
    return struct.pack("<I", zlib.crc32(body)) + body


def _unpacked(data: bytes) -> tuple[float, bytes]:
    if len(data) < HEAD or zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
        raise ValueError("torn or damaged")
    return float(struct.unpack("<d", data[4:HEAD])[0]), data[HEAD:]
