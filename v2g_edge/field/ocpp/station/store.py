"""Transactions and what was learnt of stations, on disk: acknowledged only after they are written.

The start and the end of a transaction, and what its vehicle needs, are synced to the medium before they are
acknowledged. The registers in between are written every few seconds: what a sudden end takes of them, the
next reading and the end carry again.

Ended transactions are forgotten after ``KEPT_S``, and the pages they leave are used again; open ones never
are.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from v2g_edge.field.ocpp.vocabulary.facts import Session

FIRST_TRANSACTION: Final = 1
"""1.6 transaction ids are integers that the central system gives out; they never repeat (citrineos #172)."""

KEPT_S: Final = 100 * 86_400.0
"""An ended transaction is known for so long, 100 days. A station repeats what was not answered when it is
in the network again, however late. The longest silence of a station that is well is a school fleet's
summer, eleven weeks without power (77 days). A repetition that is not known any more would be taken for a
new transaction.
"""

KEPT_MAX: Final = 5_000
"""Ended transactions of one station that are known at most, the latest: two outlets with twenty vehicles a
day make 4,000 in ``KEPT_S``. So a station that makes them up fills no disk: they take 480 octets each with
their indexes, 2.4 MB a station.
"""

PRUNED_MAX: Final = 100
"""Rows forgotten at a time: about a millisecond of the loop."""

FACTS_KEPT: Final = 1_024
"""Facts kept in memory: a depot's makes, clocks and identities are some hundred short texts."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions
    (station TEXT, "transaction" TEXT, ended INTEGER, body BLOB, PRIMARY KEY (station, "transaction"));
CREATE INDEX IF NOT EXISTS open_sessions ON sessions (station) WHERE ended = 0;
CREATE INDEX IF NOT EXISTS ended_sessions ON sessions (station, ended) WHERE ended > 0;
CREATE INDEX IF NOT EXISTS old_sessions ON sessions (ended) WHERE ended > 0;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS upstream (seq INTEGER PRIMARY KEY AUTOINCREMENT, station TEXT, action TEXT,
    local TEXT, digest BLOB, thin INTEGER, sent INTEGER, body BLOB);
DROP INDEX IF EXISTS upstream_by_station;
CREATE INDEX IF NOT EXISTS upstream_waiting ON upstream (station, seq) WHERE sent = 0;
DROP INDEX IF EXISTS upstream_digests;
CREATE INDEX IF NOT EXISTS upstream_once ON upstream (station, digest) WHERE thin = 0;
CREATE TABLE IF NOT EXISTS upstream_ids (station TEXT, local TEXT, theirs TEXT, PRIMARY KEY (station, local));
"""
"""``ended``: 0 while it is open, else UTC seconds from which ``KEPT_S`` counts."""

_FROM_BEFORE: Final = "UPDATE sessions SET ended = MAX(2, ?) WHERE ended = 1"
"""Older files have 1 there, and no time that is sure to be ours: ``KEPT_S`` counts from now."""


class Held(Protocol):
    """Rows that are held back, to be written with the next write."""

    def write(self) -> None:
        """Write them, in the transaction that is about to be committed."""

    def written(self) -> None:
        """It was committed."""

    def undone(self) -> None:
        """It was rolled back: they are not written."""


class TransactionStore(Protocol):
    """Where transactions outlive the process."""

    def session(self, station: str, transaction: str) -> Session | None:
        """What is known of a transaction."""

    def open_sessions(self, station: str) -> list[Session]:
        """The transactions of a station that have not ended, oldest first."""

    def save(self, session: Session, *, lasting: bool) -> None:
        """Write; ``lasting``: it must survive a power cut. Durable only after ``commit``."""

    def prune(self) -> bool:
        """Forget some of what ended long ago; False when there is nothing left of it. Durable only after
        ``commit``.
        """

    def next_transaction(self) -> int:
        """A transaction id that was never given out before (1.6)."""

    def fact(self, key: str) -> str:
        """A remembered text; "" when there is none."""

    def count_facts(self, prefix: str) -> int:
        """How many texts are remembered under keys that begin so."""

    def remember(self, key: str, value: str) -> None:
        """Write a text under a key. Durable only after ``commit``."""

    def when_durable(self, then: Callable[[sqlite3.Error | None], None]) -> None:
        """Call ``then`` once everything saved so far is on disk: at once when it is, else after one write for
        all that wait.

        ``then`` gets the fault when it could not be written.
        """

    def flush(self) -> None:
        """Write what is left, at the end of a run."""


_DISK: Final = ("full", "disk I/O", "locked")
"""SQLite's words for a fault that a new file would not mend."""


def _connect(path: Path | str, wall_s: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        db.execute(_FROM_BEFORE, (wall_s,))
        db.execute("SELECT COUNT(*) FROM facts").fetchone()
        db.execute("SELECT body FROM sessions WHERE ended = 0").fetchall()
    except sqlite3.Error:
        db.close()
        raise
    return db


def _made_way(path: Path) -> Path:
    """Move the file aside as ``….broken``; its place is free then. OSError where it cannot be moved."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(path.with_name(path.name + ".broken"))
    return path


def _in_memory_with(path: Path, wall_s: int) -> sqlite3.Connection:
    """A store in memory that begins with what the file still gives to a reader."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.suppress(sqlite3.Error):
        reader = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        reader.backup(db)
        reader.close()
    try:
        db.executescript(_SCHEMA)
        db.execute(_FROM_BEFORE, (wall_s,))
    except sqlite3.Error:
        db.close()
        return _connect(":memory:", wall_s)
    return db


class SqliteStore:
    """One SQLite file (WAL); ":memory:" for tests. ``wall_s`` tells UTC seconds. It opens whatever became
    of the file.
    """

    _in_memory = False

    def __init__(self, path: Path | str, wall_s: Callable[[], float]) -> None:
        self._path = None if path == ":memory:" else Path(path)
        self.fault = ""
        """Why nothing is written to the file at present, in words; "" while all is well."""
        self._db = self._opened(int(wall_s()))
        self._wall_s = wall_s
        self._ended: dict[str, int] = {}
        self._facts: dict[str, str] = {}
        self._dirty = False
        self._lasting = False
        self._waiting: list[Callable[[sqlite3.Error | None], None]] = []
        self._due: asyncio.Handle | None = None
        self._due_s = 0.0
        self._held = False
        self.holds: Held | None = None
        self._encode = msgspec.json.Encoder().encode
        self._decoder = msgspec.json.Decoder(Session)

    def _opened(self, wall_s: int) -> sqlite3.Connection:
        """The file; a new one where it is damaged, which is then set aside; the memory where the disk
        takes neither (rule 13).
        """
        if self._path is None:
            return _connect(":memory:", wall_s)
        try:
            return _connect(self._path, wall_s)
        except sqlite3.Error as fault:
            self.fault = f"{self._path}: cannot be used ({fault})"
            damaged = not any(word in str(fault) for word in _DISK)
        try:
            if damaged:
                db = _connect(_made_way(self._path), wall_s)
                self.fault += (
                    f"; it is kept as {self._path.name}.broken, and transactions of before are not known"
                )
                return db
        except (sqlite3.Error, OSError) as fault:
            self.fault += f"; and not replaced ({fault})"
        self.fault += "; transactions are kept in memory until the disk takes them"
        self._in_memory = True
        return _in_memory_with(self._path, wall_s)

    def move_to_disk(self) -> bool:
        """Write what is kept in memory for want of a disk; True when nothing is (any more)."""
        if not self._in_memory or self._path is None or self._dirty:
            return not self._in_memory
        try:
            with contextlib.suppress(FileNotFoundError):
                _made_way(self._path)
            disk = sqlite3.connect(self._path, isolation_level=None)
            self._db.backup(disk)
            disk.execute("PRAGMA journal_mode = WAL")
            disk.execute("PRAGMA synchronous = NORMAL")
        except (sqlite3.Error, OSError) as fault:
            self.fault = (
                f"{self._path}: cannot be written ({fault}); transactions are kept in memory until it can"
            )
            return False
        self._db.close()
        self._db, self._in_memory, self.fault = disk, False, ""
        return True

    def session(self, station: str, transaction: str) -> Session | None:
        """See ``TransactionStore``."""
        row = self._db.execute(
            'SELECT body FROM sessions WHERE station = ? AND "transaction" = ?', (station, transaction)
        ).fetchone()
        return self._decoder.decode(row[0]) if row else None

    def open_sessions(self, station: str) -> list[Session]:
        """See ``TransactionStore``."""
        rows = self._db.execute("SELECT body FROM sessions WHERE station = ? AND ended = 0", (station,))
        return sorted(
            (self._decoder.decode(row[0]) for row in rows), key=lambda session: session.started_wall_s
        )

    def save(self, session: Session, *, lasting: bool) -> None:
        """See ``TransactionStore``."""
        self._begin()
        self._lasting |= lasting
        row = (session.station, session.transaction, self._ended_mark(session), self._encode(session))
        self._db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", row)
        if session.ended_wall_s is not None:
            self._keep_within(session.station)

    def prune(self) -> bool:
        """See ``TransactionStore``."""
        before_s = int(self._wall_s() - KEPT_S)
        old = "SELECT rowid, station FROM sessions WHERE ended > 0 AND ended < ? LIMIT ?"
        rows = self._db.execute(old, (before_s, PRUNED_MAX)).fetchall()
        if rows:
            self._begin()
            self._db.executemany("DELETE FROM sessions WHERE rowid = ?", [row[:1] for row in rows])
            for _, station in rows:
                self._ended.pop(station, None)
        return bool(rows)

    def next_transaction(self) -> int:
        """See ``TransactionStore``."""
        number = int(self.fact("next_transaction") or FIRST_TRANSACTION)
        self.remember("next_transaction", str(number + 1))
        return number

    def fact(self, key: str) -> str:
        """See ``TransactionStore``."""
        known = self._facts.get(key)
        if known is None:
            row = self._db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
            known = self._keep(key, row[0] if row else "")
        return known

    def count_facts(self, prefix: str) -> int:
        """See ``TransactionStore``."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM facts WHERE key >= ? AND key < ?", (prefix, prefix + "\U0010ffff")
        ).fetchone()
        return int(row[0])

    def remember(self, key: str, value: str) -> None:
        """See ``TransactionStore``."""
        self._begin()
        self._lasting = True
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, self._keep(key, value)))

    def read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query on the tables of the upstream queue."""
        return self._db.execute(sql, values).fetchall()

    def write(self, sql: str, *values: object, lasting: bool = True) -> int:
        """Change the tables of the upstream queue; how many rows. Durable only after ``when_durable``."""
        self._begin()
        self._lasting |= lasting
        return self._db.execute(sql, values).rowcount

    def write_many(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Change them row by row. Nothing that must outlive a power cut."""
        self._begin()
        self._db.executemany(sql, rows)

    def write_within(self, delay_s: float, *, held: bool = False) -> None:
        """Write in so many s, or sooner with something else. ``held``: what waits to be durable waits for
        it.
        """
        loop = asyncio.get_running_loop()
        self._held |= held
        due_s = loop.time() + delay_s
        if self._due is not None and due_s >= self._due_s:
            return
        if self._due is not None:
            self._due.cancel()
        self._due_s = due_s if delay_s else 0.0
        self._due = loop.call_at(due_s, self._write) if delay_s else loop.call_soon(self._write)

    def when_durable(self, then: Callable[[sqlite3.Error | None], None]) -> None:
        """See ``TransactionStore``. The write happens once all frames of this turn of the loop have been
        handled; of what is held back, when that is due.
        """
        if not self._dirty and not self._held:
            then(None)
            return
        if self._dirty:
            self.write_within(0.0)
        self._waiting.append(then)

    def flush(self) -> None:
        """See ``TransactionStore``."""
        self._write()

    def _ended_mark(self, session: Session) -> int:
        """By our clock, for a station's may stand at 1970; by the station's where it is later, for ours
        may, at a start.
        """
        return 0 if session.ended_wall_s is None else max(int(self._wall_s()), int(session.ended_wall_s), 2)

    def _keep_within(self, station: str) -> None:
        """Forget the station's oldest ones above ``KEPT_MAX``. They are counted only when there may be as
        many.
        """
        count = self._ended.get(station, KEPT_MAX) + 1
        if count > KEPT_MAX:
            (count,) = self._db.execute(
                "SELECT COUNT(*) FROM sessions WHERE station = ? AND ended > 0", (station,)
            ).fetchone()
        if count > KEPT_MAX:
            oldest = (
                "SELECT rowid FROM sessions WHERE station = ? AND ended > 0 ORDER BY ended, rowid LIMIT ?"
            )
            self._db.execute(f"DELETE FROM sessions WHERE rowid IN ({oldest})", (station, count - KEPT_MAX))  # noqa: S608 - ours
            count = KEPT_MAX
        self._ended[station] = count

    def _keep(self, key: str, value: str) -> str:
        """In memory too: whether a make discharges is asked for each outlet in each tick."""
        if len(self._facts) >= FACTS_KEPT:
            self._facts.clear()
        self._facts[key] = value
        return value

    def _begin(self) -> None:
        if not self._dirty:
            self._db.execute("BEGIN")
            self._dirty = True

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._due is not None:
            self._due.cancel()
        self._due, self._held = None, False
        failed = None
        try:
            if self.holds is not None:
                self.holds.write()
            if self._dirty:
                self._db.execute("COMMIT")
                self._dirty = False
                if self.holds is not None:
                    self.holds.written()
                if self._lasting:
                    # a checkpoint syncs the log and everything in it; NORMAL syncs nothing by itself
                    self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
                    self._lasting = False
        except sqlite3.Error as fault:
            failed = fault
            self._dirty = (
                self._db.in_transaction
            )  # a full disk makes SQLite roll back by itself: nothing is left to commit then
            if self.holds is not None and not self._dirty:
                self.holds.undone()
        for then in waiting:
            asyncio.get_running_loop().call_soon(then, failed)
