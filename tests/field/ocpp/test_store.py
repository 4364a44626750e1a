"""Transactions on a real disk: told durable when they are, together, and never when they are not."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import until
from tests.field.ocpp.test_server import BOOT_2, STARTED, ready, transaction
from v2g_edge.field.ocpp.events import Refused
from v2g_edge.field.ocpp.facts import Needs, Session
from v2g_edge.field.ocpp.store import FIRST_TRANSACTION, SqliteStore


def session(number: int, **changes: Any) -> Session:
    return Session("new", f"t-{number}", "b2", "bus-2", 1_000.0 + number, **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ocpp.sqlite"


def on_disk(file: Path) -> set[str]:
    """The transactions that another process sees."""
    with sqlite3.connect(file) as other:
        return {row[0] for row in other.execute('SELECT "transaction" FROM sessions')}


async def test_it_is_told_durable_when_another_process_can_read_it_and_not_before(file: Path) -> None:
    store, told = SqliteStore(file), []
    store.save(session(1), lasting=True)
    store.when_durable(lambda fault: told.append((fault, on_disk(file))))
    assert told == []
    assert on_disk(file) == set()
    await until(lambda: told)
    assert told == [(None, {"t-1"})]


async def test_with_nothing_to_write_it_is_told_at_once(file: Path) -> None:
    told: list[sqlite3.Error | None] = []
    SqliteStore(file).when_durable(told.append)
    assert told == [None]


async def test_all_frames_of_one_turn_share_one_write_and_are_told_in_order(file: Path) -> None:
    store, statements, told = SqliteStore(file), list[str](), list[int]()
    store._db.set_trace_callback(statements.append)
    for number in range(5):
        store.save(session(number), lasting=False)
        store.when_durable(lambda _, n=number: told.append(n))  # type: ignore[misc]
    await until(lambda: len(told) == 5)
    assert told == [0, 1, 2, 3, 4]
    assert statements.count("COMMIT") == 1
    assert not any("checkpoint" in each for each in statements)
    store.save(session(9), lasting=True)
    store.flush()
    assert any("checkpoint" in each for each in statements), "only a checkpoint syncs the medium"


async def test_what_sqlite_rolled_back_by_itself_is_told_as_failed_and_the_next_is_written(file: Path) -> None:
    store = SqliteStore(file)
    told: list[sqlite3.Error | None] = []
    store.save(session(1), lasting=True)
    store.when_durable(told.append)
    store._db.execute("ROLLBACK")  # as SQLite does when the disk is full
    await until(lambda: told)
    assert isinstance(told[0], sqlite3.Error)
    store.save(session(2), lasting=True)
    store.when_durable(told.append)
    await until(lambda: len(told) == 2)
    assert told[1] is None
    assert on_disk(file) == {"t-2"}


async def test_an_event_that_could_not_be_stored_is_refused_and_stored_when_it_is_sent_again(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot)
    for event in (STARTED, transaction("Ended", 1)):
        depot.central._store._db.execute("PRAGMA query_only = 1")
        assert isinstance(await station.call("TransactionEvent", event), Refused)
        depot.central._store._db.execute("PRAGMA query_only = 0")
        assert not isinstance(await station.call("TransactionEvent", event), Refused)
        with sqlite3.connect(tmp_path / "ocpp.sqlite") as other:
            ended = other.execute('SELECT ended FROM sessions WHERE "transaction" = ?', ("t-1",)).fetchall()
        assert ended == [(int(event is not STARTED),)]
    await station.close()
    await depot.central.stop()


async def test_a_station_that_hangs_up_before_its_answer_is_remembered_all_the_same(tmp_path: Path) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    depot = Depot(tmp_path)
    await depot.central.start()
    for action, payload in (("TransactionEvent", STARTED), ("BootNotification", BOOT_2)):
        ws = await connect(f"ws://localhost:{depot.port}/new", subprotocols=[Subprotocol("ocpp2.0.1")], proxy=None)
        await ws.send(json.dumps([2, "1", action, payload]))
        ws.transport.abort()
    store = depot.central._store
    await until(lambda: store.fact("identity/new") and not depot.central.links["new"].connection)
    assert [each.transaction for each in store.open_sessions("new")] == ["t-1"]
    await depot.central.stop()
    assert faults == []


async def test_sessions_facts_and_numbers_outlive_the_process(file: Path) -> None:
    store = SqliteStore(file)
    whole = session(2, needs=Needs(departure_wall_s=5.0, target_soc_pct=90.0), import_wh=1.25, seq=7)
    for each in (whole, session(1), session(3, ended_wall_s=2_000.0)):
        store.save(each, lasting=False)
    store.remember("make", "proven")
    assert [store.next_transaction() for _ in range(3)] == [FIRST_TRANSACTION + n for n in range(3)]
    store.flush()
    again = SqliteStore(file)
    assert again.session("new", "t-2") == whole
    assert again.session("old", "t-2") is None
    assert [each.transaction for each in again.open_sessions("new")] == ["t-1", "t-2"]
    assert (again.fact("make"), again.fact("other")) == ("proven", "")
    assert again.next_transaction() == FIRST_TRANSACTION + 3


async def test_the_registers_need_no_sync_of_their_own(file: Path) -> None:
    store = SqliteStore(file)
    store.save(session(1), lasting=False)
    done: asyncio.Future[sqlite3.Error | None] = asyncio.get_running_loop().create_future()
    store.when_durable(done.set_result)
    assert await done is None
    assert on_disk(file) == {"t-1"}, "another process sees it, though a power cut may still take it"
