"""What waits for the upstream on disk: when it is written, and after the disk has changed it: the damaged
message is left out, and those behind it go on.
"""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest

from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream import rows
from v2g_edge.field.ocpp.upstream.queue import Message, UpstreamQueue, Waiting, message_of
from v2g_edge.field.ocpp.upstream.rows import UpstreamRows

CHANCE = random.Random(14)
PAYLOADS = [{"connectorId": number, "status": "Charging"} for number in range(5)]


def _waiting(path: Path) -> tuple[SqliteStore, UpstreamQueue]:
    store = SqliteStore(path, lambda: 1_800_000_000.0)
    return store, UpstreamQueue(UpstreamRows(store), "csms/CP01", 100)


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
    """Messages that another reader of the file sees: those that wait, and those that were sent."""
    with sqlite3.connect(path) as db:
        found: tuple[int, int] = db.execute("SELECT COUNT(*), SUM(sent) FROM upstream").fetchone()
    db.close()
    sent = found[1] or 0
    return found[0] - sent, sent


def _reading(number: int) -> Message:
    return message_of("MeterValues", {"connectorId": number}, "")


def _head(queue: UpstreamQueue) -> Waiting:
    waiting = queue.head()
    assert waiting is not None
    return waiting


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_readings_are_written_together_and_a_start_takes_them_along_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "GROUP_S", 3_600.0)
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    told: list[object] = []
    queue.put(_reading(0))
    store.flush()
    for number in range(1, 4):
        queue.put(_reading(number))
        store.when_durable(told.append)
    await _turns()
    assert (told, _in_file(tmp_path / "ocpp.sqlite")) == ([], (1, 0))
    queue.put(message_of("StartTransaction", {"connectorId": 1}, "1"))
    store.when_durable(told.append)
    await _turns()
    assert (told, _in_file(tmp_path / "ocpp.sqlite")) == ([None] * 4, (5, 0))
    store._db.close()


async def test_a_reading_that_went_up_at_once_is_never_written_and_others_leave_with_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LATER_S", 3_600.0)
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    for number in range(3):
        queue.put(_reading(number))
    store.flush()
    queue.put(_reading(3))
    queue.put(message_of("StatusNotification", {"connectorId": 1}, ""))
    for _ in range(4):
        queue.done(_head(queue))
    await _turns()
    assert _in_file(tmp_path / "ocpp.sqlite") == (3, 0)
    queue.done(_head(queue))
    await _turns()
    assert _in_file(tmp_path / "ocpp.sqlite") == (0, 1)
    store._db.close()


async def test_a_write_that_is_undone_loses_no_reading_and_no_number_is_given_twice(tmp_path: Path) -> None:
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    queue.put(_reading(0))
    store.flush()
    queue.done(_head(queue))
    queue.put(_reading(1))
    store._db.execute(
        "CREATE TRIGGER full BEFORE DELETE ON upstream BEGIN SELECT RAISE(ROLLBACK, 'full'); END"
    )
    store.flush()
    assert _in_file(tmp_path / "ocpp.sqlite") == (1, 0)
    store._db.execute("DROP TRIGGER full")
    store.flush()
    assert _in_file(tmp_path / "ocpp.sqlite") == (1, 0)
    last = _head(queue)
    assert last.payload == {"connectorId": 1}
    queue.done(last)
    store.flush()
    assert _in_file(tmp_path / "ocpp.sqlite") == (0, 0)
    store._db.close()
    store, queue = _waiting(tmp_path / "ocpp.sqlite")
    queue.put(_reading(2))
    assert _head(queue).seq > last.seq
    store._db.close()


def test_what_was_sent_is_known_by_its_content_for_each_queue_however_many_there_are(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ocpp.sqlite", lambda: 1_800_000_000.0)
    table = UpstreamRows(store)
    for seq in range(1, 3 * rows.DIGESTS_KEPT):
        name = f"csms/CP{seq % 3}"
        table.put(name, "StartTransaction", "", seq.to_bytes(16), b"{}", thin=False)
        store.write("UPDATE upstream SET sent = 1 WHERE seq = ?", seq)
    table.forget("csms/CP1")
    counted = dict(store.read("SELECT station, COUNT(*) FROM upstream GROUP BY station"))
    assert counted["csms/CP1"] == rows.DIGESTS_KEPT
    assert table.put("csms/CP1", "StartTransaction", "", (1).to_bytes(16), b"{}", thin=False) == 0
    store._db.close()
