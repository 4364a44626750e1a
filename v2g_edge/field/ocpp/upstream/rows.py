"""The rows of all upstream queues on their way to the disk, one table for all stations.

What opens or ends something is inserted at once, and outlives a power cut before the station is answered. A
reading is held back for ``GROUP_S``, to be written with those of other stations: a sudden end of the process
takes none that was answered, a power cut may take the last. One that the upstream has by then never goes to
the disk. That a reading has gone up is written with what comes next, or ``LATER_S`` later.
"""

from typing import Final

from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.policy import ONCE

GROUP_S: Final = 0.02
"""So much later at most is a reading answered."""

LATER_S: Final = 0.5
"""A sudden end within this makes a reading go up again, under its id."""

DIGESTS_KEPT: Final = 500
"""Sent messages of one queue whose content is remembered, readings aside: a station that was offline repeats
the last few.
"""

BLOCK: Final = 10_000
RESERVED: Final = "upstream/reserved"
"""Numbers that may have been given out are never given again, also where their rows never were on disk: the
numbers are kept in blocks.
"""

Row = tuple[int, str, str, str, bytes, bool, bytes]
"""Number, queue, action, our number of the transaction, digest, whether it is a reading, payload as JSON."""

_PUT: Final = """INSERT OR REPLACE INTO upstream (seq, station, action, local, digest, thin, sent, body)
    VALUES (?, ?, ?, ?, ?, ?, 0, ?)"""
_PUT_ONCE: Final = """INSERT INTO upstream (seq, station, action, local, digest, thin, sent, body)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, 0, ?7
    WHERE NOT EXISTS (SELECT 1 FROM upstream WHERE station = ?2 AND digest = ?5 AND thin = 0)"""
_SENT: Final = "UPDATE upstream SET sent = 1, body = x'' WHERE seq = ?"
_GONE: Final = "DELETE FROM upstream WHERE seq = ?"
_FORGET: Final = """DELETE FROM upstream WHERE station = ?1 AND thin = 0 AND sent = 1 AND seq NOT IN
    (SELECT seq FROM upstream WHERE station = ?1 AND thin = 0 AND sent = 1 ORDER BY seq DESC LIMIT ?2)"""


class UpstreamRows:
    """See the module; one for a store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        store.holds = self
        used = store.read("SELECT seq FROM sqlite_sequence WHERE name = 'upstream'")
        self._last = self._reserved = max(int(store.fact(RESERVED) or 0), *(int(row[0]) for row in used), 0)
        self._held: dict[int, Row] = {}
        self._open: dict[int, Row] = {}
        self._gone: list[tuple[int]] = []
        self._going: list[tuple[int]] = []
        if store.read("SELECT 1 FROM upstream WHERE thin = 1 AND sent = 1 LIMIT 1"):
            store.write("DELETE FROM upstream WHERE thin = 1 AND sent = 1")  # of an older version

    def put(self, name: str, action: str, local: str, digest: bytes, body: bytes, *, thin: bool) -> int:
        """A row for a queue; its number, 0 where its content is there already (readings are not looked
        for).
        """
        self._last += 1
        if self._last > self._reserved:
            self._reserved = self._last + BLOCK
            self.store.remember(RESERVED, str(self._reserved))
        row: Row = (self._last, name, action, local, digest, thin, body)
        if thin:
            self._held[self._last] = row
            self.store.write_within(GROUP_S, held=True)
            return self._last
        return self._last if self.store.write(_PUT_ONCE if action in ONCE else _PUT, *row) else 0

    def done(self, seq: int, *, thin: bool) -> None:
        """A row's message has gone up, or never will."""
        if not thin:
            # A power cut may undo this: the message goes up again then, under its id.
            self.store.write(_SENT, seq, lasting=False)
            self.store.write_within(0.0)
        elif self._held.pop(seq, None) is None:
            self._gone.append((seq,))
            self.store.write_within(LATER_S)

    def forget(self, name: str) -> None:
        """Drop what was sent long ago."""
        self.store.write(_FORGET, name, DIGESTS_KEPT, lasting=False)

    def write(self) -> None:
        """See ``Held``; also before the table is read."""
        if self._held:
            self.store.write_many(_PUT, list(self._held.values()))
            self._open |= self._held
            self._held.clear()
        if self._gone:
            self.store.write_many(_GONE, self._gone)
            self._going += self._gone
            self._gone.clear()

    def written(self) -> None:
        """See ``Held``."""
        self._open.clear()
        self._going.clear()

    def undone(self) -> None:
        """See ``Held``."""
        going = {seq for (seq,) in self._going}
        self._held |= {seq: row for seq, row in self._open.items() if seq not in going}
        self._gone += self._going
        self.written()
