"""The journal: every tick's picture, plan, permits and events in SQLite, so that each decision can be
explained and replayed.

A record holds only what moved since the one before (states that did not change are the same objects, see
``field.board``); a key record holds everything and the memory the tick started from, so that a replay can
begin there. ``packing`` makes few octets of both. Writes happen in one thread of the loop's executor; the
tick never waits for the disk. With ``sync="full"`` every commit is flushed (PRAGMA synchronous=FULL, WAL): a
power cut costs at most the last ``BATCH`` ticks, and none with an event in it.
"""

import asyncio
import contextlib
import sqlite3
import zlib
from collections import deque
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import structlog
from msgspec import Struct

from v2g_edge.host.kept.packing import Packer
from v2g_edge.host.kept.quarters import Quarter, Quarters
from v2g_edge.host.records import (
    KEEP_MEMORY,
    NEW_ORDER,
    NEW_QUARTER,
    NEW_RUN,
    SCHEMA,
    IntegrityCheck,
    MemoryFile,
    OrderRow,
    Tick,
    is_damage,
    record_of,
    swept,
)
from v2g_edge.model.event import Event
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.statefile import set_aside

log = structlog.get_logger()

KEY_EVERY: Final = 300
"""A key record every five minutes of one-second ticks: a replay of any moment starts at most that far
before it.
"""

WAITING_MAX: Final = 3_600
"""Records that may wait for a slow disk (an hour of ticks, some megabytes). Past that new ones are counted
and left out.
"""

MEMORY_EVERY: Final = 30
"""A restart may find ledgers this many ticks old; latches never are, for they change with an event."""

BATCH: Final = 10
"""Ticks without an event that go to the disk together. A commit rewrites whole pages and flushes them: one
a tick wears a flash disk out for nothing. A tick with an event is written at once, with all that wait.
"""

SWEEP_EVERY: Final = 3_600
"""Ticks between two deletions of what is too old or too much; the first write of a process does one too."""


REOPEN_EVERY: Final = 30
"""Ticks between two tries to open a journal that the disk refuses."""
FAULTS_KEPT: Final = 16


class Beside(NamedTuple):
    """A row that outlives the ticks (an order, a quarter hour) on its way to the disk."""

    insert: str
    values: tuple[Any, ...]


class Waiting(NamedTuple):
    """A tick on its way to the disk. ``after``: the memory after it, empty where it is not kept;
    ``header``: its run's.
    """

    wall_s: float
    key: bool
    body: bytes
    after: bytes
    header: tuple[str, bytes]


class Journal:
    """A journal open for writing. All methods run on the loop's thread. No fault of file or disk ever
    leaves it (rule 13).
    """

    def __init__(
        self,
        path: Path,
        site: Site,
        version: str,
        *,
        sync: Literal["full", "normal"] = "full",
        keep_days: float = 30.0,
        max_mb: int = 2_000,
    ) -> None:
        self._path = path
        self._version = version
        self._header = self._run_header = (version, msgspec.msgpack.encode(site))
        self._sync = sync
        self._keep_s = keep_days * 86_400.0
        self._max_bytes = max_mb * 1_000_000
        self._urgent = False
        self._db: sqlite3.Connection | None = None
        self._run = 0
        self._rests = 0
        self._check = IntegrityCheck(path)
        self._checking: asyncio.Future[None] | None = None
        self._memory_file = MemoryFile(path.with_name("memory"))
        self._last: Tick | None = None
        self._since_key = KEY_EVERY
        self._since_memory = 0
        self._since_sweep = SWEEP_EVERY
        self._newest: tuple[float, Struct] | None = None
        self._waiting: deque[Waiting] = deque()
        self._beside: deque[Beside] = deque(maxlen=WAITING_MAX)
        self._quarters = Quarters(site)
        self._writing: asyncio.Future[None] | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._packer = Packer()
        self.lost = 0
        self._told = ""
        self.faults: deque[str] = deque(maxlen=FAULTS_KEPT)
        """What went wrong with the file since this was last emptied, in words, for an alarm."""

    @classmethod
    def open(
        cls,
        path: Path,
        site: Site,
        version: str,
        *,
        sync: Literal["full", "normal"],
        keep_days: float,
        max_mb: int = 2_000,
    ) -> "Journal":
        """Open or make the file and begin a run. A file that is something else is set aside; without any
        the ticks wait.
        """
        journal = cls(path, site, version, sync=sync, keep_days=keep_days, max_mb=max_mb)
        journal._open()
        journal._begin_check()
        return journal

    def _begin_check(self) -> None:
        """Look through the file beside the ticks. Where it is damaged, the next write sets it aside."""
        if self._db is not None:
            self._checking = asyncio.get_running_loop().run_in_executor(None, self._check.run)

    def _open(self) -> None:
        """Begin a run in the file, or in a new one where this one cannot be used. Leaves ``_db`` None
        where the disk refuses.
        """
        for attempt in ("first", "last"):
            try:
                self._db = self._begin_run()
            except (sqlite3.Error, OSError) as error:
                if attempt == "last" or not is_damage(error) or not self._path.exists():
                    self._tell(
                        f"{self._path}: no journal can be written ({error}); the depot goes on without, and"
                        " tries again"
                    )
                    return
                self._tell(
                    f"{self._path}: not a journal that can be used ({error}); {set_aside(self._path)}, a new"
                    " one begins"
                )
            else:
                return

    def _begin_run(self) -> sqlite3.Connection:
        db = _connect(self._path)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if self._sync == 'full' else 'NORMAL'}")
            db.executescript(SCHEMA)
            known = db.execute(
                "SELECT id FROM runs WHERE id = ? AND version = ? AND site = ?",
                (self._run, *self._run_header),
            )
            if known.fetchone() is None:  # else our own run goes on, in the file that the disk takes again
                self._run = db.execute(NEW_RUN, self._run_header).lastrowid or 0
                self._since_key = KEY_EVERY
            db.commit()
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _tell(self, text: str) -> None:
        """Once, until something else is the matter."""
        if text != self._told:
            self._told = text
            log.error("journal_fault", text=text)
            self.faults.append(text)

    def take_site(self, site: Site, keep_days: float) -> None:
        """What is recorded from now on belongs to another site file: a new run, which a replay decides by
        that file.
        """
        self._header = (self._version, msgspec.msgpack.encode(site))
        self._keep_s = keep_days * 86_400.0
        self._since_key = KEY_EVERY
        self._keep_quarter(self._quarters.take_site(site))

    def last_memories(self) -> list[bytes]:
        """What was kept of the memory after the last tick of any run, newest first: in the journal, and in
        a file of its own.
        """
        kept = []
        try:
            row = (
                self._db.execute("SELECT wall_s, body FROM memory WHERE id = 1").fetchone()
                if self._db is not None
                else None
            )
            kept += [(float(row[0]), bytes(row[1]))] if row else []
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._tell(f"{self._path}: its memory cannot be read ({error})")
        beside, fault = self._memory_file.load()
        if fault:
            self._tell(fault)
        kept += [beside] if beside is not None else []
        return [body for _, body in sorted(kept, key=lambda each: each[0], reverse=True)]

    def record(
        self,
        snapshot: Snapshot,
        plan: Plan | None,
        permits: tuple[Permit, ...],
        events: tuple[Event, ...],
        *,
        memory_before: Struct,
        memory_after: Struct,
        told: tuple[Event, ...] = (),
    ) -> None:
        """Take one tick. Returns at once; a disk that is an hour behind costs records (``lost``), never a
        tick. ``told``: events from beside the tick, which a replay does not decide again.

        The memory after the tick is kept for a restart when something happened, and else every
        ``MEMORY_EVERY`` ticks.
        """
        if len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            self._since_key = KEY_EVERY
            return
        key = self._since_key >= KEY_EVERY
        before = self._encoder.encode(memory_before) if key else None
        tick = Tick(0, snapshot, plan, permits, events, before, told)
        body = self._packer.pack(record_of(tick, None if key else self._last))
        self._since_memory += 1
        after = b""
        if events or key or self._since_memory >= MEMORY_EVERY:
            self._since_memory, after = 0, self._encoder.encode(memory_after)
        self._newest = (snapshot.wall_s, memory_after)
        self._keep_quarter(self._quarters.take(snapshot, events))
        self._since_key = 1 if key else self._since_key + 1
        self._last = tick
        self._waiting.append(Waiting(snapshot.wall_s, key, body, after, self._header))
        self._urgent = self._urgent or bool(events) or bool(told) or key or self._db is None
        due = self._urgent or len(self._waiting) >= BATCH
        if due and (self._writing is None or self._writing.done()):
            self._urgent = False
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._drain)

    def record_order(self, order: OrderRow) -> None:
        """Take one order; it goes to the disk with the next tick, at once."""
        self._beside.append(Beside(NEW_ORDER, order))
        self._urgent = True

    def _keep_quarter(self, quarter: Quarter | None) -> None:
        if quarter is not None:
            body = zlib.compress(self._encoder.encode(quarter))
            self._beside.append(Beside(NEW_QUARTER, (quarter.start_wall_s, body)))

    def _drain(self) -> None:
        """In the executor: write what waits, one commit for all of it. What the disk refuses goes on
        waiting.
        """
        fault, self._check.fault = self._check.fault, ""
        if fault and self._db is not None:
            self._give_up(sqlite3.DatabaseError(fault))
        if self._db is None:
            self._rests += 1
            if self._rests < REOPEN_EVERY:
                return
            self._rests = 0
            self._open()
        if self._db is None:
            return
        taken, beside = list(self._waiting), list(self._beside)
        memory = next((each.after for each in reversed(taken) if each.after), b"")
        try:
            self._write(self._db, taken, memory, beside)
        except sqlite3.Error as error:
            self._give_up(error)
        else:
            self._told = ""
            for _ in taken:
                self._waiting.popleft()
            for row in beside:
                with contextlib.suppress(ValueError):  # gone where a disk stayed away for too long
                    self._beside.remove(row)
            self._keep_memory(taken[-1][0] if taken else 0.0, memory)

    def _write(
        self, db: sqlite3.Connection, taken: list[Waiting], memory: bytes, beside: list[Beside]
    ) -> None:
        with db:
            for row in beside:
                db.execute(*row)
            for each in taken:
                if each.header is not self._run_header:
                    self._run_header, self._run = each.header, db.execute(NEW_RUN, each.header).lastrowid or 0
                db.execute(
                    "INSERT INTO ticks (run, wall_s, key, body) VALUES (?, ?, ?, ?)", (self._run, *each[:3])
                )
            self._since_sweep += len(taken)
            if memory:
                db.execute(KEEP_MEMORY, (taken[-1][0], memory))
            if taken and self._since_sweep >= SWEEP_EVERY:
                self._since_sweep = 0
                swept(db, self._run, taken[-1].wall_s - self._keep_s, self._max_bytes)

    def _give_up(self, error: sqlite3.Error) -> None:
        """Close the file; a damaged one is set aside when it is opened next. Until then the ticks wait."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()
        damaged = is_damage(error)
        mend = (
            set_aside(self._path) + ", a new one begins"
            if damaged
            else "the depot goes on, the ticks wait for the disk"
        )
        self._tell(f"{self._path}: cannot be written ({error}); {mend}")
        self._rests = REOPEN_EVERY if damaged else 0

    def _keep_memory(self, wall_s: float, memory: bytes) -> None:
        if memory:
            try:
                self._memory_file.save((wall_s, memory))
            except OSError as error:
                log.error("memory_not_kept", error=str(error))

    async def close(self) -> None:
        """Write what waits and close the file."""
        self._check.stop()
        if under_way := [each for each in (self._writing, self._checking) if each is not None]:
            await asyncio.wait(under_way)
        if self._newest is not None:
            wall_s, memory = self._newest[0], self._encoder.encode(self._newest[1])
            self._keep_quarter(self._quarters.end())
            for _ in ("here", "in a new file, where this one turns out to be damaged"):
                self._rests = REOPEN_EVERY
                await asyncio.get_running_loop().run_in_executor(None, self._drain)
            if self._db is not None:
                with contextlib.suppress(sqlite3.Error), self._db:
                    self._db.execute(KEEP_MEMORY, (wall_s, memory))
            self._keep_memory(wall_s, memory)
        if self._db is not None:
            self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(path, check_same_thread=False)
