"""What waits for the upstream, after the disk has changed it: the damaged message is left out, and those
behind it go on.
"""

import random
import sqlite3
from pathlib import Path

import pytest

from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.queue import UpstreamQueue, message_of

CHANCE = random.Random(14)
PAYLOADS = [{"connectorId": number, "status": "Charging"} for number in range(5)]


def _waiting(path: Path) -> tuple[SqliteStore, UpstreamQueue]:
    store = SqliteStore(path, lambda: 1_800_000_000.0)
    return store, UpstreamQueue(store, "CP01", 100)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"null", b"[1]", b'"text"', CHANCE.randbytes(30), b'{"a": 1}{']
)
async def test_a_damaged_message_holds_up_none_behind_it(body: bytes, tmp_path: Path) -> None:
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    for payload in PAYLOADS:
        queue.put(message_of("StatusNotification", payload, ""))
    store.flush()
    store._db.close()
    with sqlite3.connect(tmp_path / "ocpp.sqlite") as db:
        db.execute("UPDATE upstream SET body = ? WHERE seq IN (1, 3)", (body,))
    db.close()
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    sent = []
    while (waiting := queue.head()) is not None:
        sent.append(waiting.payload)
        queue.done(waiting)
    assert sent == [PAYLOADS[1], PAYLOADS[3], PAYLOADS[4]]
    assert len(queue) == 0
    store.flush()
    store._db.close()
