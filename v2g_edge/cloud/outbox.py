"""What must not be lost while there is no broker: events until they are acknowledged, telemetry of the
outage, and the last plan taken. SQLite, WAL.

Where the size is used up, telemetry gives way first, the oldest thinned to half each time; then the oldest
events, alarms and trips last.
"""

import secrets
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog

from v2g_edge.model.event import Event

log = structlog.get_logger()

BATCH: Final = 50
"""Events read at a time; each goes out by itself."""

URGENT: Final = frozenset({"alarm", "trip"})
"""Severities that go before all others."""

KEPT_SHARE: Final = 0.9
"""What a full outbox is brought down to: room for a while, so that not every message thins anew."""

ROW_OCTETS: Final = 40
"""What SQLite adds to each row, about."""

DIGITS_MAX: Final = 18
"""Of a number in an id: what SQLite's whole numbers hold in any case."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL,
    urgent INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS plan (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL,
    payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS past (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS about (one INTEGER PRIMARY KEY CHECK (one = 1), series TEXT NOT NULL);
"""
_INDEX: Final = "CREATE INDEX IF NOT EXISTS outbox_order ON outbox (urgent DESC, seq)"
_OLDEST: Final = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY urgent, seq LIMIT ?)"
_THIN: Final = """DELETE FROM past WHERE seq IN (SELECT seq FROM
    (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM past ORDER BY seq LIMIT ?) WHERE n % 2 = 0)"""


class Waiting(NamedTuple):
    """One event that waits: its number, and its JSON with ``id`` and ``seq`` in it."""

    seq: int
    body: bytes


class Outbox:
    """One file, one writer. A fault of the disk costs messages, never the caller: it is logged and the
    work goes on.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._db = _open(path)
        self.series = _series(self._db)
        """Begins the id of every event of this file: a new file gives no id a second time."""
        self._bytes = {table: _size(self._db, table) for table in ("outbox", "past")}

    def put(self, events: Iterable[Event]) -> None:
        """Keep events for sending."""
        rows = [(msgspec.json.encode(event), event.severity in URGENT) for event in events]
        if not rows:
            return
        try:
            with self._db:
                self._db.executemany("INSERT INTO outbox (body, urgent) VALUES (?, ?)", rows)
                self._bytes["outbox"] += sum(len(body) + ROW_OCTETS for body, _ in rows)
                self._make_room()
        except sqlite3.Error as fault:
            log.error("outbox_write_failed", fault=str(fault), lost=len(rows))

    def put_past(self, body: bytes) -> None:
        """Keep telemetry that could not be sent when it was made."""
        try:
            with self._db:
                self._db.execute("INSERT INTO past (body) VALUES (?)", (body,))
                self._bytes["past"] += len(body) + ROW_OCTETS
                self._make_room()
        except sqlite3.Error as fault:
            log.error("outbox_write_failed", fault=str(fault), lost=1)

    def head(self, skip: Collection[int] = ()) -> list[Waiting]:
        """The next events to send, at most ``BATCH``: alarms and trips, then the others, each oldest first.

        ``skip`` names those that are under way.
        """
        query = "SELECT seq, body FROM outbox ORDER BY urgent DESC, seq LIMIT ?"
        try:
            rows = self._db.execute(query, (BATCH + len(skip),)).fetchall()
        except sqlite3.Error as fault:
            log.error("outbox_read_failed", fault=str(fault))
            return []
        begin = b'{"id":"%s-%d","seq":%d,'
        series = self.series.encode()
        waiting = [
            Waiting(seq, begin % (series, seq, seq) + body[1:]) for seq, body in rows if seq not in skip
        ]
        return waiting[:BATCH]

    def number_of(self, event_id: str) -> int | None:
        """The number of an event of this file by its id, None for any other id."""
        series, _, number = event_id.rpartition("-")
        known = series == self.series and number.isascii() and number.isdigit() and len(number) <= DIGITS_MAX
        return int(number) if known else None

    def head_past(self) -> tuple[int, bytes] | None:
        """The oldest telemetry of an outage as (number, JSON), None where none waits."""
        try:
            row = self._db.execute("SELECT seq, body FROM past ORDER BY seq LIMIT 1").fetchone()
        except sqlite3.Error as fault:
            log.error("outbox_read_failed", fault=str(fault))
            return None
        return (int(row[0]), bytes(row[1])) if row else None

    def forget(self, *seqs: int) -> None:
        """These events are acknowledged."""
        self._delete("outbox", seqs)

    def forget_past(self, seq: int) -> None:
        """This telemetry is acknowledged."""
        self._delete("past", (seq,))

    def _delete(self, table: str, seqs: Iterable[int]) -> None:
        query = f"DELETE FROM {table} WHERE seq = ? RETURNING length(body)"  # noqa: S608 - our own name
        try:
            with self._db:
                for seq in seqs:
                    gone = self._db.execute(query, (seq,)).fetchall()
                    self._bytes[table] -= sum(int(row[0]) + ROW_OCTETS for row in gone)
        except sqlite3.Error as fault:
            log.error("outbox_write_failed", fault=str(fault), lost=0)

    def _make_room(self) -> None:
        """Bring the contents within the size. Inside a transaction."""
        if sum(self._bytes.values()) <= self._max_bytes:
            return
        target, dropped = int(KEPT_SHARE * self._max_bytes), {"past": 0, "outbox": 0}
        while sum(self._bytes.values()) > target and (table := self._fullest()):
            (count,) = self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608 - our own name
            if table == "outbox":
                gone = self._db.execute(_OLDEST, (max(count // 20, 1),)).rowcount
            elif count > 3:
                gone = self._db.execute(_THIN, (max(count // 2, 2),)).rowcount
            else:
                gone = self._db.execute("DELETE FROM past").rowcount
            dropped[table] += gone
            self._bytes[table] = _size(self._db, table)
        log.warning(
            "outbox_full", telemetry=dropped["past"], events=dropped["outbox"], max_bytes=self._max_bytes
        )

    def _fullest(self) -> str:
        """The table that gives way: telemetry as long as there is any."""
        return next((table for table in ("past", "outbox") if self._bytes[table] > 0), "")

    def keep_plan(self, revision: int, payload: bytes) -> None:
        """Keep the plan just taken, for a restart without a broker."""
        try:
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO plan VALUES (1, ?, ?)", (revision, payload))
        except sqlite3.Error as fault:
            log.error("outbox_write_failed", fault=str(fault), lost=0)

    def kept_plan(self) -> tuple[int, bytes] | None:
        """Revision and payload of the last plan taken, None before the first."""
        try:
            row = self._db.execute("SELECT revision, payload FROM plan").fetchone()
            return (int(row[0]), bytes(row[1])) if row else None
        except (sqlite3.Error, TypeError, ValueError) as fault:
            log.error("outbox_read_failed", fault=str(fault))
            return None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()


def _open(path: Path) -> sqlite3.Connection:
    """Open or make the file; without a disk that takes it, events wait in memory (rule 13)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _opened(path)
    except (sqlite3.Error, OSError) as fault:
        log.error(
            "outbox_in_memory",
            path=str(path),
            fault=str(fault),
            effect="unsent events do not outlive a restart",
        )
        return _connect(":memory:")


def _opened(path: Path) -> sqlite3.Connection:
    """One that is no database is set aside as ``….broken``: the depot works without its contents."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError as fault:
        log.error("outbox_broken", path=str(path), fault=str(fault), kept_as=f"{path.name}.broken")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(path.with_name(path.name + ".broken"))
        return _connect(path)


def _connect(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=1.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last events here, never the file; the journal's own copy is synced.
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
        if "urgent" not in {row[1] for row in db.execute("PRAGMA table_info(outbox)")}:
            db.execute("ALTER TABLE outbox ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0")  # of 0.4.0
        db.execute(_INDEX)
        with db:
            db.execute("INSERT OR IGNORE INTO about VALUES (1, ?)", (secrets.token_hex(6),))
    except sqlite3.Error:
        db.close()
        raise
    return db


def _series(db: sqlite3.Connection) -> str:
    try:
        return str(db.execute("SELECT series FROM about").fetchone()[0])
    except (sqlite3.Error, TypeError) as fault:
        log.error("outbox_read_failed", fault=str(fault))
        return secrets.token_hex(6)


def _size(db: sqlite3.Connection, table: str) -> int:
    query = f"SELECT COALESCE(SUM(length(body) + {ROW_OCTETS}), 0) FROM {table}"  # noqa: S608 - our own names
    try:
        return int(db.execute(query).fetchone()[0])
    except sqlite3.Error as fault:
        log.error("outbox_read_failed", fault=str(fault))
        return 0
