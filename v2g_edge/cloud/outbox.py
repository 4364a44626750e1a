"""What must not be lost while there is no broker: events until they are acknowledged, and the last plan
taken. SQLite, WAL.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from v2g_edge.model.event import Event

log = structlog.get_logger()

MAX_EVENTS: Final = 20_000
"""A bad week of a large depot; at some 300 bytes each 6 MB of disk. Beyond it the oldest go: the journal
has them all.
"""

BATCH: Final = 50
"""Events read at a time; each goes out by itself."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS plan (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL,
    payload BLOB NOT NULL);
"""


class Outbox:
    """One file, one writer. A fault of the disk costs messages, never the caller: it is logged and the
    work goes on.
    """

    def __init__(self, path: Path, *, max_events: int = MAX_EVENTS) -> None:
        self._max_events = max_events
        self._db = _open(path)

    def put(self, events: Iterable[Event]) -> None:
        """Keep events for sending, in order; beyond the bound the oldest are dropped."""
        rows = [(msgspec.json.encode(event),) for event in events]
        if not rows:
            return
        try:
            with self._db:
                self._db.executemany("INSERT INTO outbox (body) VALUES (?)", rows)
                dropped = self._db.execute(
                    "DELETE FROM outbox WHERE seq <= (SELECT max(seq) FROM outbox) - ?", (self._max_events,)
                ).rowcount
        except sqlite3.Error as fault:
            log.error("outbox_write_failed", fault=str(fault), lost=len(rows))
            return
        if dropped:
            log.warning("outbox_full", dropped=dropped, kept=self._max_events)

    def head(self) -> list[tuple[int, bytes]]:
        """The oldest unacknowledged events as (seq, JSON with ``seq`` in it), at most ``BATCH``."""
        try:
            rows = self._db.execute("SELECT seq, body FROM outbox ORDER BY seq LIMIT ?", (BATCH,)).fetchall()
        except sqlite3.Error as fault:
            log.error("outbox_read_failed", fault=str(fault))
            return []
        return [(seq, b'{"seq":%d,' % seq + body[1:]) for seq, body in rows]

    def forget(self, seq: int) -> None:
        """The broker has acknowledged this event and, as they go in order, all before it."""
        try:
            with self._db:
                self._db.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))
        except sqlite3.Error as fault:
            log.error("outbox_write_failed", fault=str(fault), lost=0)

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
    except sqlite3.Error:
        db.close()
        raise
    return db
