"""Small things that must survive a restart and a power cut, each in a file of its own, in two copies.

A file that cannot be read is set aside and reported, and the other copy counts. Nothing here keeps the daemon
from starting.
"""

import contextlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

BROKEN: Final = ".broken"
"""Suffix under which a file that cannot be read is kept; one a file, so that broken ones never fill the
disk.
"""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file; ``data`` is on the disk when this returns. OSError where the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def set_aside(path: Path) -> str:
    """Move a file (and a database's companions) out of the way; where it went, in words. It stays where it
    cannot be moved.
    """
    with contextlib.suppress(OSError):
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    try:
        kept = path.with_name(path.name + BROKEN)
        if kept.is_dir():
            kept = path.with_name(path.name + BROKEN + "-dir")
        path.replace(kept)
    except OSError as error:
        return f"it stays where it is ({error})"
    return f"it is kept as {kept.name}"


MARK: Final = b"\n#crc32 "
"""Before the checksum at the end of a state file."""


def _sealed(data: bytes) -> bytes:
    return data + MARK + b"%08x" % zlib.crc32(data)


def _unsealed(data: bytes, *, alone: bool) -> bytes:
    """What was sealed. Without a checksum only a file that is ``alone`` counts: versions before this one
    wrote no copy.
    """
    body, mark, told = data.rpartition(MARK)
    if not mark and alone:
        return data
    if not mark or told.strip() != b"%08x" % zlib.crc32(body):
        raise ValueError("damaged: its checksum is wrong or missing")
    return body


class Loaded(NamedTuple, Generic[T]):
    """What a state file held. ``fault`` is "" where all is well; ``value`` is None where neither copy can
    be read.
    """

    value: T | None
    fault: str


class StateFile(Generic[T]):
    """One small state in ``path`` and ``path``.copy. ``decode`` raises ValueError (or a class of it) for
    what it cannot read.
    """

    def __init__(self, path: Path, encode: Callable[[T], bytes], decode: Callable[[bytes], T]) -> None:
        self._path = path
        self._copy = path.with_name(path.name + ".copy")
        self._encode = encode
        self._decode = decode

    def load(self) -> Loaded[T]:
        """The state from the first copy that can be read; no value and no fault where it was never
        written.
        """
        faults: list[str] = []
        alone = not self._copy.exists()
        for path in (self._path, self._copy):
            try:
                return Loaded(self._decode(_unsealed(path.read_bytes(), alone=alone)), " ".join(faults))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                faults.append(
                    f"{path}: cannot be read ({' '.join(str(error).split())[:200]}); {set_aside(path)}."
                )
        for fault in faults:
            log.error("state_file_unreadable", text=fault)
        return Loaded(None, " ".join(faults))

    def save(self, value: T) -> None:
        """Replace both copies; on the disk when this returns. OSError where the disk refuses."""
        data = _sealed(self._encode(value))
        write_atomically(self._path, data)
        write_atomically(self._copy, data)
