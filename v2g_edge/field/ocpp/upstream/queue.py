"""What waits for the upstream, on disk, station by station, oldest first.

Before the station is answered a message is on disk (``rows``) or has gone up. Digests of what was put here
stay for a while, so that what a station repeats does not go up twice.
"""

import hashlib
import secrets
from collections import deque
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from v2g_edge.field.ocpp.upstream.policy import may_be_thinned
from v2g_edge.field.ocpp.upstream.rows import DIGESTS_KEPT, UpstreamRows

log = structlog.get_logger()

RECENT: Final = 32
"""Readings whose content is remembered: a station repeats those that were not answered."""

THINNED: Final = 100
"""Readings left out at a time where the queue is full."""

ID_FACT: Final = "upstream/id"
"""Begins all message ids of this depot: a new state folder gives no id a second time."""

THEIRS_KEPT: Final = 16
"""Transactions whose upstream's number is kept in memory: a station has as many as outlets, and some that it
ends late.
"""

AT_HAND: Final = 16
"""Messages kept in memory too while these are all that wait: a link that keeps up never reads them back."""

FORGET_EVERY: Final = 50
"""Messages, readings aside, between two looks at what may be forgotten."""

_HEAD: Final = """SELECT seq, action, local, body FROM upstream
    WHERE station = ? AND sent = 0 AND seq > ? ORDER BY seq LIMIT 1"""
_RECENT: Final = """SELECT digest FROM upstream
    WHERE station = ? AND sent = 0 AND thin = 1 ORDER BY seq DESC LIMIT ?"""
_FORGET_IDS: Final = """DELETE FROM upstream_ids WHERE rowid IN
    (SELECT rowid FROM upstream_ids WHERE station = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?)"""
_THIN: Final = """DELETE FROM upstream WHERE seq IN
    (SELECT seq FROM upstream WHERE station = ? AND sent = 0 AND seq > ? AND thin = 1 ORDER BY seq LIMIT ?)"""
_THIN_ALL: Final = _THIN.replace(" AND thin = 1", "")


_encode: Final = msgspec.json.Encoder().encode


class Message(Struct, frozen=True, gc=False):
    """What a station called, for all of its upstreams.

    Attributes:
        action: Its action.
        payload: Its payload, as the station sent it.
        local: Our number of the transaction that it is about; "": none.
        conforms: Whether the payload conforms to its schema.
        body: The payload as JSON.
        digest: Tells a repetition.
        thin: Whether it may be left out where a queue is full.
    """

    action: str
    payload: dict[str, Any]
    local: str
    conforms: bool
    body: bytes
    digest: bytes
    thin: bool


def message_of(action: str, payload: dict[str, Any], local: str, *, conforms: bool = False) -> Message:
    """A message with what all queues need of it."""
    body = _encode(payload)
    digest = hashlib.blake2b(action.encode() + body, digest_size=16).digest()
    return Message(action, payload, local, conforms, body, digest, may_be_thinned(action, payload))


class Waiting(Struct, frozen=True, gc=False):
    """One message: its number, action, our number of its transaction ("": none), and the payload as the
    station sent it; ``body`` is that as JSON where it is known to conform, else "".
    """

    seq: int
    action: str
    local: str
    payload: dict[str, Any]
    body: bytes = b""


class UpstreamQueue:
    """The queue of one station at one upstream, under ``name``. ``most``: messages that may wait before
    readings are left out.
    """

    def __init__(self, rows: UpstreamRows, name: str, most: int) -> None:
        self._rows = rows
        self._store = store = rows.store
        self.name = name
        self.upstream = name.partition("/")[0]
        self._most = most
        self._waiting = int(
            store.read("SELECT COUNT(*) FROM upstream WHERE station = ? AND sent = 0", name)[0][0]
        )
        recent = store.read(_RECENT, name, RECENT) if self._waiting else []
        self._recent = deque([bytes(row[0]) for row in reversed(recent)], maxlen=RECENT)
        self._done = self._last = 0
        self._at_hand: deque[Waiting] = deque()
        self._theirs: dict[str, str] = {}
        self.thinned = 0
        """Readings that were left out since the start."""

    def __len__(self) -> int:
        return self._waiting

    def put(self, message: Message) -> bool:
        """Queue a message; False for one that is there already. Durable with the store's next write."""
        if message.thin:
            if message.digest in self._recent:
                return False
            self._recent.append(message.digest)
        action, local = message.action, message.local
        seq = self._rows.put(self.name, action, local, message.digest, message.body, thin=message.thin)
        if not seq:
            return False
        if len(self._at_hand) == self._waiting < AT_HAND:
            body = message.body if message.conforms else b""
            self._at_hand.append(Waiting(seq, action, local, message.payload, body))
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
        if self._waiting:
            self._rows.write()
        while self._waiting and (rows := self._store.read(_HEAD, self.name, self._last)):
            seq, action, local, body = rows[0]
            try:
                return Waiting(seq, action, local, msgspec.json.decode(body, type=dict[str, Any]))
            except msgspec.DecodeError as error:
                log.error("upstream_message_damaged", queue=self.name, action=action, error=str(error))
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
        self._last = waiting.seq
        self._waiting -= 1
        thin = may_be_thinned(waiting.action, waiting.payload)
        self._rows.done(waiting.seq, thin=thin)
        if not thin:
            self._done += 1
            if self._done % FORGET_EVERY == 0:
                self._rows.forget(self.name)

    def map_transaction(self, local: str, theirs: str) -> None:
        """Remember the number that the upstream gave to a transaction (1.6)."""
        self._theirs.pop(local, None)
        self._store.write("INSERT OR REPLACE INTO upstream_ids VALUES (?, ?, ?)", self.name, local, theirs)
        self._store.write(_FORGET_IDS, self.name, DIGESTS_KEPT)

    def theirs(self, local: str) -> str:
        """The upstream's number of a transaction; "" where it has none."""
        known = self._theirs.get(local)
        if known is None:
            rows = self._store.read(
                "SELECT theirs FROM upstream_ids WHERE station = ? AND local = ?", self.name, local
            )
            if len(self._theirs) >= THEIRS_KEPT:
                self._theirs.clear()
            known = self._theirs[local] = str(rows[0][0]) if rows else ""
        return known

    def local(self, theirs: str) -> str:
        """Our number of the latest transaction that the upstream calls ``theirs``; "" where there is none."""
        rows = self._store.read(
            "SELECT local FROM upstream_ids WHERE station = ? AND theirs = ? ORDER BY rowid DESC LIMIT 1",
            self.name,
            theirs,
        )
        return str(rows[0][0]) if rows else ""

    def _thin(self) -> None:
        """Leave out the oldest readings; at twice the size the oldest of everything."""
        self._at_hand.clear()
        self._rows.write()
        thin = _THIN_ALL if self._waiting > 2 * self._most else _THIN
        gone = self._store.write(thin, self.name, self._last, THINNED)
        self._waiting -= gone
        self.thinned += gone
