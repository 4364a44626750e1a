"""Records of the journal, and the journal read back: the form of the file, whichever part writes it."""

import contextlib
import sqlite3
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import structlog

from v2g_edge.host.kept.packing import Record, Unpacker
from v2g_edge.host.kept.quarters import Quarter
from v2g_edge.model.event import Event
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.statefile import StateFile

log = structlog.get_logger()

NEW_RUN: Final = "INSERT INTO runs (version, site) VALUES (?, ?)"
KEEP_MEMORY: Final = "INSERT OR REPLACE INTO memory (id, wall_s, body) VALUES (1, ?, ?)"
NEW_QUARTER: Final = "INSERT INTO quarters (wall_s, body) VALUES (?, ?)"
NEW_ORDER: Final = (
    "INSERT INTO orders (wall_s, who, by_name, role, what, why, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)"
)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, version TEXT NOT NULL, site BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ticks (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs (id), wall_s REAL NOT NULL,
    key INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ticks_wall ON ticks (wall_s);
CREATE TABLE IF NOT EXISTS memory (id INTEGER PRIMARY KEY CHECK (id = 1), wall_s REAL NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, wall_s REAL NOT NULL,
    who TEXT NOT NULL, by_name TEXT NOT NULL, role TEXT NOT NULL,
    what TEXT NOT NULL, why TEXT NOT NULL, outcome TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS quarters (id INTEGER PRIMARY KEY, wall_s REAL NOT NULL, body BLOB NOT NULL);
"""

THINNED: Final = 0.1
"""Share of the ticks, the oldest, that go at once when the file is too large."""
QUARTERS_KEPT_S: Final = 10 * 366 * 86_400.0
"""Ten years, as long as bills are kept; at 50 chargers a year takes about 30 MB."""
CHECK_S: Final = 30.0
"""2 GB from a slow card take minutes: what is not found in this time is found when it is read."""
ORDERS_KEPT: Final = 100_000
"""Of the control socket: years of a depot whose people give fifty a day, in some 20 MB."""


class JournalError(Exception):
    """The file is not a journal that can be read; the message names it."""


class Tick(NamedTuple):
    """One tick read back. ``memory`` is what the tick started from, only in key records; ``run`` changes
    at every start. ``events`` are those that the tick decided, ``told`` those from beside it.
    """

    run: int
    snapshot: Snapshot
    plan: Plan | None
    permits: tuple[Permit, ...]
    events: tuple[Event, ...]
    memory: bytes | None
    told: tuple[Event, ...] = ()


class OrderRow(NamedTuple):
    """One order of the control socket. ``who``: the user by the kernel's word; ``by``: for whom that user
    gave it; ``outcome``: "done", or why it was refused.
    """

    wall_s: float
    who: str
    by: str
    role: str
    what: str
    why: str
    outcome: str


State = TypeVar("State")


def _merged(old: tuple[State, ...], moved: tuple[tuple[int, State], ...]) -> tuple[State, ...]:
    if not moved:
        return old
    states = dict(enumerate(old))
    states.update(moved)
    return tuple(states[i] for i in range(len(states)))


def _moved(new: tuple[State, ...], old: tuple[State, ...]) -> tuple[tuple[int, State], ...]:
    if len(old) != len(new):
        return tuple(enumerate(new))
    return tuple((i, state) for i, state in enumerate(new) if state is not old[i])


def record_of(tick: Tick, before: Tick | None) -> Record:
    """A tick as it is stored: what moved since the one before; all of it, with its memory, without one."""
    new, old = tick.snapshot, before.snapshot if before is not None else None
    known = before.permits if before is not None else ()
    changed = (
        tuple(enumerate(tick.permits))
        if len(known) != len(tick.permits)
        else tuple((i, permit) for i, permit in enumerate(tick.permits) if permit != known[i])
    )
    replanned = before is None or tick.plan is not before.plan
    return Record(
        new.seq,
        new.now_s,
        new.wall_s,
        new.clock_synced,
        new.operator,
        new.grid_samples,
        _moved(new.evses, old.evses if old else ()),
        _moved(new.meters, old.meters if old else ()),
        _moved(new.contacts, old.contacts if old else ()),
        _moved(new.temperatures, old.temperatures if old else ()),
        changed,
        tick.events,
        replanned,
        tick.plan if replanned else None,
        tick.memory,
        tick.told,
    )


def swept(db: sqlite3.Connection, run: int, oldest_wall_s: float, max_bytes: int) -> None:
    """Delete what is too old, and the oldest ticks while the file holds too much. The file keeps its pages
    and fills them again.
    """
    db.execute("DELETE FROM ticks WHERE wall_s < ?", (oldest_wall_s,))
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    if (pages - free) * size > max_bytes:
        first, last = db.execute("SELECT MIN(id), MAX(id) FROM ticks").fetchone()
        db.execute("DELETE FROM ticks WHERE id < ?", (first + (last - first) * THINNED,))
        log.info("journal_thinned", max_mb=max_bytes // 1_000_000)
    db.execute("DELETE FROM quarters WHERE wall_s < ?", (oldest_wall_s - QUARTERS_KEPT_S,))
    db.execute("DELETE FROM orders WHERE id <= (SELECT MAX(id) FROM orders) - ?", (ORDERS_KEPT,))
    db.execute("DELETE FROM runs WHERE id <> ? AND id NOT IN (SELECT DISTINCT run FROM ticks)", (run,))


class IntegrityCheck:
    """Looks through a whole journal once, in a thread beside the daemon. ``fault`` is what SQLite found, ""
    for nothing or where the time was over first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self.fault = ""

    def run(self) -> None:
        """Blocks for at most ``CHECK_S``."""
        try:
            self._db = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, check_same_thread=False)
        except sqlite3.Error:
            return  # who opens it for writing has said so
        timer = threading.Timer(CHECK_S, self.stop)
        timer.daemon = True
        timer.start()
        try:
            (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
            self.fault = "" if found == "ok" else str(found)
        except sqlite3.DatabaseError as error:
            self.fault = str(error) if is_damage(error) else ""
        finally:
            timer.cancel()
            self._db.close()

    def stop(self) -> None:
        """End a check that is under way."""
        db = self._db
        if db is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed: the check is over
                db.interrupt()


def is_damage(error: Exception) -> bool:
    """Whether the file is at fault, and a new one would help; a full or slow disk, or a second daemon, is
    none of that.
    """
    text = str(error)
    return isinstance(error, sqlite3.DatabaseError) and not any(
        word in text for word in ("full", "disk I/O", "locked", "interrupted")
    )


class JournalReader:
    """A journal open for reading, also while a daemon writes it."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            self._runs = {
                int(run): (str(version), msgspec.msgpack.decode(site, type=Site))
                for run, version, site in self._db.execute("SELECT id, version, site FROM runs ORDER BY id")
            }
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise JournalError(f"{path}: cannot be read as a journal ({error})") from error

    def site(self, run: int) -> Site:
        """The site of a run."""
        return self._runs[run][1]

    def version(self, run: int) -> str:
        """The program version that wrote a run."""
        return self._runs[run][0]

    def ticks(self, from_wall_s: float | None = None) -> Iterator[Tick]:
        """All ticks in the order they were written, or those from the last key record at or before
        ``from_wall_s`` on.
        """
        start = 0
        if from_wall_s is not None:
            row = self._db.execute(
                "SELECT MAX(id) FROM ticks WHERE key = 1 AND wall_s <= ?", (from_wall_s,)
            ).fetchone()
            start = int(row[0]) if row and row[0] is not None else 0
        old: Tick | None = None
        unpack = Unpacker().unpack
        for run, body in self._db.execute("SELECT run, body FROM ticks WHERE id >= ? ORDER BY id", (start,)):
            record = unpack(body)
            if record is None or (record.memory is None and (old is None or old.run != run)):
                continue  # the retention cut off this run's key record
            old = _tick(int(run), record, old)
            yield old

    def orders(self, from_wall_s: float = 0.0) -> Iterator[OrderRow]:
        """All orders since then, oldest first; none in a journal of a version that kept none."""
        asked = (
            "SELECT wall_s, who, by_name, role, what, why, outcome FROM orders WHERE wall_s >= ? ORDER BY id"
        )
        for row in self._rows("orders", asked, from_wall_s):
            yield OrderRow(*row)

    def quarters(self, from_wall_s: float = 0.0) -> Iterator[Quarter]:
        """All quarter hours that begin then or later, as they were written."""
        decode = msgspec.msgpack.Decoder(Quarter).decode
        asked = "SELECT body FROM quarters WHERE wall_s >= ? ORDER BY id"
        for (body,) in self._rows("quarters", asked, from_wall_s):
            yield decode(zlib.decompress(body))

    def _rows(self, table: str, asked: str, from_wall_s: float) -> Iterator[Any]:
        there = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        if there is not None:
            yield from self._db.execute(asked, (from_wall_s,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _tick(run: int, record: Record, old: Tick | None) -> Tick:
    before = old if record.memory is None else None
    snapshot = Snapshot(
        seq=record.seq,
        now_s=record.now_s,
        wall_s=record.wall_s,
        clock_synced=record.clock_synced,
        evses=_merged(before.snapshot.evses if before else (), record.evses),
        meters=_merged(before.snapshot.meters if before else (), record.meters),
        contacts=_merged(before.snapshot.contacts if before else (), record.contacts),
        temperatures=_merged(before.snapshot.temperatures if before else (), record.temperatures),
        operator=record.operator,
        grid_samples=record.grid_samples,
    )
    plan = record.plan if record.plan_changed or before is None else before.plan
    permits = _merged(before.permits if before else (), record.permits)
    return Tick(run, snapshot, plan, permits, record.events, record.memory, record.told)


HEAD: Final = 12
"""Octets before the memory: a CRC-32 and the wall time."""


class MemoryFile(StateFile[tuple[float, bytes]]):
    """``memory`` beside the journal: latches and ledgers outlive a journal that is damaged or lost.

    It holds the wall time of the last tick that was kept, and the memory after it as the journal packs it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _packed, _unpacked)


def _packed(kept: tuple[float, bytes]) -> bytes:
    body = struct.pack("<d", kept[0]) + kept[1]
    return struct.pack("<I", zlib.crc32(body)) + body


def _unpacked(data: bytes) -> tuple[float, bytes]:
    if len(data) < HEAD or zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
        raise ValueError("torn or damaged")
    return float(struct.unpack("<d", data[4:HEAD])[0]), data[HEAD:]
