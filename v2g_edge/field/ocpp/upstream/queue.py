"""What waits for the upstream, on disk, station by station, oldest first.

A message is written in the same transaction as what the station told, before the station is answered. Those
that were sent stay as a digest for a while, so that what a station repeats does not go up twice.
"""

import hashlib
import secrets
from collections import deque
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.policy import ONCE, may_be_thinned

log = structlog.get_logger()

DIGESTS_KEPT: Final = 500
"""Sent messages of one station whose content is remembered: a station that was offline repeats the last
few.
"""

THINNED: Final = 100
"""Readings left out at a time where the queue is full."""

ID_FACT: Final = "upstream/id"
"""Begins all message ids of this depot: a new state folder gives no id a second time."""


AT_HAND: Final = 16
"""Messages kept in memory too while these are all that wait: a link that keeps up never reads them back."""

FORGET_EVERY: Final = 50
"""Messages between two looks at what may be forgotten."""

_HEAD: Final = (
    "SELECT seq, action, local, body FROM upstream WHERE station = ? AND sent = 0 ORDER BY seq LIMIT 1"
)
_PUT: Final = """INSERT INTO upstream (station, action, local, digest, thin, sent, body)
    VALUES (?, ?, ?, ?, ?, 0, ?)"""
_PUT_ONCE: Final = """INSERT INTO upstream (station, action, local, digest, thin, sent, body)
    SELECT ?1, ?2, ?3, ?4, ?5, 0, ?6
    WHERE NOT EXISTS (SELECT 1 FROM upstream WHERE station = ?1 AND digest = ?4)"""
_FORGET: Final = "DELETE FROM upstream WHERE station = ? AND sent = 1 AND seq < ?"
_FORGET_IDS: Final = """DELETE FROM upstream_ids WHERE rowid IN
    (SELECT rowid FROM upstream_ids WHERE station = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?)"""
_THIN: Final = """DELETE FROM upstream WHERE seq IN
    (SELECT seq FROM upstream WHERE station = ? AND sent = 0 AND thin = 1 ORDER BY seq LIMIT ?)"""
_THIN_ALL: Final = _THIN.replace(" AND thin = 1", "")


class Waiting(Struct, frozen=True, gc=False):
    """One message: its number, action, our number of its transaction ("": none), and the payload as the
    station sent it.
    """

    seq: int
    action: str
    local: str
    payload: dict[str, Any]


class UpstreamQueue:
    """The queue of one station. ``most``: messages that may wait before readings are left out."""

    def __init__(self, store: SqliteStore, station: str, most: int) -> None:
        self._store = store
        self._station = station
        self._most = most
        rows = store.read("SELECT COUNT(*) FROM upstream WHERE station = ? AND sent = 0", station)
        self._waiting = int(rows[0][0])
        self._done = 0
        self._at_hand: deque[Waiting] = deque()
        self.thinned = 0
        """Readings that were left out since the start."""

    def __len__(self) -> int:
        return self._waiting

    def put(self, action: str, payload: dict[str, Any], local: str) -> bool:
        """Queue a message; False for one that is there already. Durable with the store's next write."""
        body = msgspec.json.encode(payload)
        digest = hashlib.blake2b(action.encode() + body, digest_size=16).digest()
        thin = may_be_thinned(action, payload)
        put = _PUT_ONCE if action in ONCE else _PUT
        seq = self._store.insert(put, self._station, action, local, digest, thin, body)
        if not seq:
            return False
        if len(self._at_hand) == self._waiting < AT_HAND:
            self._at_hand.append(Waiting(seq, action, local, payload))
        self._waiting += 1
        if self._waiting > self._most:
            self._thin()
        return True

    def head(self) -> Waiting | None:
        """The oldest message that was not sent. One whose text a damaged disk has changed holds up none of
        those behind it.
        """
        if self._at_hand:
            return self._at_hand[0]
        while rows := self._store.read(_HEAD, self._station):
            seq, action, local, body = rows[0]
            try:
                return Waiting(seq, action, local, msgspec.json.decode(body, type=dict[str, Any]))
            except msgspec.DecodeError as error:
                log.error("upstream_message_damaged", station=self._station, action=action, error=str(error))
                self.done(Waiting(seq, action, local, {}))
        return None

    def message_id(self, waiting: Waiting) -> str:
        """The message's id, the same each time it is sent: the upstream can tell a repetition."""
        begin = self._store.fact(ID_FACT)
        if not begin:
            begin = secrets.token_hex(6)
            self._store.remember(ID_FACT, begin)
        return f"{begin}-{waiting.seq}"

    def done(self, waiting: Waiting) -> None:
        """The upstream has it, or never will."""
        if self._at_hand and self._at_hand[0].seq == waiting.seq:
            self._at_hand.popleft()
        # A power cut may undo this: the message goes up again then, under its id.
        self._store.write(
            "UPDATE upstream SET sent = 1, body = x'' WHERE seq = ?", waiting.seq, lasting=False
        )
        self._waiting -= 1
        self._done += 1
        if self._done % FORGET_EVERY == 0:
            self._store.write(_FORGET, self._station, waiting.seq - DIGESTS_KEPT, lasting=False)
        self._store.when_durable(lambda _: None)

    def map_transaction(self, local: str, theirs: str) -> None:
        """Remember the number that the upstream gave to a transaction (1.6)."""
        self._store.write(
            "INSERT OR REPLACE INTO upstream_ids VALUES (?, ?, ?)", self._station, local, theirs
        )
        self._store.write(_FORGET_IDS, self._station, DIGESTS_KEPT)

    def theirs(self, local: str) -> str:
        """The upstream's number of a transaction; "" where it has none."""
        rows = self._store.read(
            "SELECT theirs FROM upstream_ids WHERE station = ? AND local = ?", self._station, local
        )
        return str(rows[0][0]) if rows else ""

    def local(self, theirs: str) -> str:
        """Our number of the latest transaction that the upstream calls ``theirs``; "" where there is none."""
        rows = self._store.read(
            "SELECT local FROM upstream_ids WHERE station = ? AND theirs = ? ORDER BY rowid DESC LIMIT 1",
            self._station,
            theirs,
        )
        return str(rows[0][0]) if rows else ""

    def _thin(self) -> None:
        """Leave out the oldest readings; at twice the size the oldest of everything."""
        self._at_hand.clear()
        thin = _THIN_ALL if self._waiting > 2 * self._most else _THIN
        gone = self._store.write(thin, self._station, THINNED)
        self._waiting -= gone
        self.thinned += gone
