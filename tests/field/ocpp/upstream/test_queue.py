"""What waits for the upstream on disk: when it is written, and after the disk has changed it: the damaged
message is left out, and those behind it go on.
"""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest

from v2g_edge.field.ocpp.station import store as store_module
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


def _in_file(path: Path) -> tuple[int, int]:
    """Messages that another reader of the file sees: all of them, and those that were sent."""
    with sqlite3.connect(path) as db:
        found: tuple[int, int] = db.execute("SELECT COUNT(*), SUM(sent) FROM upstream").fetchone()
    db.close()
    return found[0], found[1] or 0


async def test_readings_are_written_together_and_a_start_takes_them_along_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "GROUP_S", 3_600.0)
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    told: list[object] = []
    for number in range(3):
        queue.put(message_of("MeterValues", {"connectorId": number}, ""))
        store.when_durable(told.append)
    for _ in range(3):
        await asyncio.sleep(0)
    assert (told, _in_file(tmp_path / "ocpp.sqlite")) == ([], (0, 0))
    queue.put(message_of("StartTransaction", {"connectorId": 1}, "1"))
    store.when_durable(told.append)
    for _ in range(3):
        await asyncio.sleep(0)
    assert (told, _in_file(tmp_path / "ocpp.sqlite")) == ([None] * 4, (4, 0))
    store._db.close()


async def test_that_a_reading_was_sent_is_written_with_what_comes_next(tmp_path: Path) -> None:
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    for number in range(3):
        queue.put(message_of("MeterValues", {"connectorId": number}, ""))
    queue.put(message_of("StatusNotification", {"connectorId": 1}, ""))
    store.flush()
    while (waiting := queue.head()) is not None:
        assert _in_file(tmp_path / "ocpp.sqlite") == (4, 0)
        queue.done(waiting)
    for _ in range(3):
        await asyncio.sleep(0)
    assert _in_file(tmp_path / "ocpp.sqlite") == (4, 4)
    store._db.close()
