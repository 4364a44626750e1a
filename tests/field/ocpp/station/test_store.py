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
from tests.field.ocpp.peer import Clock, until
from tests.field.ocpp.test_server import BOOT_2, STARTED, ready, transaction
from v2g_edge.field.ocpp.station.sessions import OPEN_MAX
from v2g_edge.field.ocpp.station.store import FIRST_TRANSACTION, KEPT_MAX, KEPT_S, PRUNED_MAX, SqliteStore
from v2g_edge.field.ocpp.vocabulary.facts import Needs, Session
from v2g_edge.field.ocpp.wire.events import Refused


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
    store, told = SqliteStore(file, Clock().wall_s), []
    store.save(session(1), lasting=True)
    store.when_durable(lambda fault: told.append((fault, on_disk(file))))
    assert told == []
    assert on_disk(file) == set()
    await until(lambda: told)
    assert told == [(None, {"t-1"})]


async def test_with_nothing_to_write_it_is_told_at_once(file: Path) -> None:
    told: list[sqlite3.Error | None] = []
    SqliteStore(file, Clock().wall_s).when_durable(told.append)
    assert told == [None]


async def test_all_frames_of_one_turn_share_one_write_and_are_told_in_order(file: Path) -> None:
    store, statements, told = SqliteStore(file, Clock().wall_s), list[str](), list[int]()
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


async def test_what_sqlite_rolled_back_by_itself_is_told_as_failed_and_the_next_is_written(
    file: Path,
) -> None:
    store = SqliteStore(file, Clock().wall_s)
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


async def test_an_event_that_could_not_be_stored_is_refused_and_stored_when_it_is_sent_again(
    tmp_path: Path,
) -> None:
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot)
    for event in (STARTED, transaction("Ended", 1)):
        depot.central._store._db.execute("PRAGMA query_only = 1")
        assert isinstance(await station.call("TransactionEvent", event), Refused)
        depot.central._store._db.execute("PRAGMA query_only = 0")
        assert not isinstance(await station.call("TransactionEvent", event), Refused)
        with sqlite3.connect(tmp_path / "ocpp.sqlite") as other:
            ended = other.execute(
                'SELECT ended > 0 FROM sessions WHERE "transaction" = ?', ("t-1",)
            ).fetchall()
        assert ended == [(int(event is not STARTED),)]
    await station.close()
    await depot.central.stop()


async def test_a_station_that_hangs_up_before_its_answer_is_remembered_all_the_same(tmp_path: Path) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    depot = Depot(tmp_path)
    await depot.central.start()
    for action, payload in (("TransactionEvent", STARTED), ("BootNotification", BOOT_2)):
        ws = await connect(
            f"ws://localhost:{depot.port}/new", subprotocols=[Subprotocol("ocpp2.0.1")], proxy=None
        )
        await ws.send(json.dumps([2, "1", action, payload]))
        ws.transport.abort()
    store = depot.central._store
    await until(lambda: store.fact("identity/new") and not depot.central.links["new"].connection)
    assert [each.transaction for each in store.open_sessions("new")] == ["t-1"]
    await depot.central.stop()
    assert faults == []


async def test_sessions_facts_and_numbers_outlive_the_process(file: Path) -> None:
    store = SqliteStore(file, Clock().wall_s)
    whole = session(2, needs=Needs(departure_wall_s=5.0, target_soc_pct=90.0), import_wh=1.25, seq=7)
    for each in (whole, session(1), session(3, ended_wall_s=2_000.0)):
        store.save(each, lasting=False)
    store.remember("make", "proven")
    assert [store.next_transaction() for _ in range(3)] == [FIRST_TRANSACTION + n for n in range(3)]
    store.flush()
    again = SqliteStore(file, Clock().wall_s)
    assert again.session("new", "t-2") == whole
    assert again.session("old", "t-2") is None
    assert [each.transaction for each in again.open_sessions("new")] == ["t-1", "t-2"]
    assert (again.fact("make"), again.fact("other")) == ("proven", "")
    assert again.next_transaction() == FIRST_TRANSACTION + 3


async def test_the_registers_need_no_sync_of_their_own(file: Path) -> None:
    store = SqliteStore(file, Clock().wall_s)
    store.save(session(1), lasting=False)
    done: asyncio.Future[sqlite3.Error | None] = asyncio.get_running_loop().create_future()
    store.when_durable(done.set_result)
    assert await done is None
    assert on_disk(file) == {"t-1"}, "another process sees it, though a power cut may still take it"


class Day:
    """A clock that the test turns on by days."""

    def __init__(self, days: float = 20_000.0) -> None:
        self.days = days

    def wall_s(self) -> float:
        return self.days * 86_400.0


async def written(store: SqliteStore) -> None:
    done: asyncio.Future[sqlite3.Error | None] = asyncio.get_running_loop().create_future()
    store.when_durable(done.set_result)
    assert await done is None


async def pruned(store: SqliteStore) -> int:
    """Prune as long as there is something; how often there was."""
    times = 0
    while store.prune():
        await written(store)
        times += 1
    return times


async def test_what_ended_long_ago_is_forgotten_and_what_is_open_never(file: Path) -> None:
    day = Day()
    store = SqliteStore(file, day.wall_s)
    store.save(session(1), lasting=True)
    store.save(session(2, ended_wall_s=day.wall_s()), lasting=True)
    day.days += KEPT_S / 86_400 - 1
    store.save(session(3, ended_wall_s=day.wall_s()), lasting=True)
    await written(store)
    assert await pruned(store) == 0
    day.days += 2
    assert await pruned(store) == 1
    assert on_disk(file) == {"t-1", "t-3"}
    day.days += 10_000
    await pruned(store)
    assert on_disk(file) == {"t-1"}
    assert [each.transaction for each in SqliteStore(file, day.wall_s).open_sessions("new")] == ["t-1"]


@pytest.mark.parametrize("theirs_s", [0.0, 4e9])
async def test_a_stations_wrong_clock_makes_its_transactions_neither_old_nor_eternal(
    file: Path, theirs_s: float
) -> None:
    day = Day()
    store = SqliteStore(file, day.wall_s)
    for number in range(KEPT_MAX + 10):
        store.save(session(number, ended_wall_s=theirs_s), lasting=True)
    assert await pruned(store) == 0
    await written(store)
    assert len(on_disk(file)) == KEPT_MAX
    assert f"t-{KEPT_MAX + 9}" in on_disk(file)


async def test_our_clock_before_it_was_set_makes_nothing_old(file: Path) -> None:
    day = Day(days=0.0)
    store = SqliteStore(file, day.wall_s)
    store.save(session(1, ended_wall_s=20_000 * 86_400.0), lasting=True)
    day.days = 20_001.0
    assert await pruned(store) == 0


async def test_many_are_forgotten_a_few_at_a_time(file: Path) -> None:
    day = Day()
    store = SqliteStore(file, day.wall_s)
    for number in range(3 * PRUNED_MAX):
        store.save(session(number, ended_wall_s=day.wall_s()), lasting=True)
    await written(store)
    day.days += 200
    assert store.prune()
    await written(store)
    assert len(on_disk(file)) == 2 * PRUNED_MAX
    assert await pruned(store) == 2
    assert on_disk(file) == set()


async def test_a_station_that_makes_up_transactions_keeps_its_latest_and_costs_the_others_nothing(
    file: Path,
) -> None:
    store = SqliteStore(file, Clock().wall_s)
    store.save(Session("other", "mine", "b1", "bus-1", 1.0, ended_wall_s=2.0), lasting=True)
    store.save(session(9_999_999), lasting=True)
    for number in range(KEPT_MAX + 300):
        store.save(session(number, ended_wall_s=2_000.0 + number), lasting=True)
        store.save(session(number, ended_wall_s=2_000.0 + number), lasting=True)
    await written(store)
    kept = {f"t-{number}" for number in range(300, KEPT_MAX + 300)}
    assert on_disk(file) == kept | {"mine", "t-9999999"}


async def test_the_file_does_not_grow_over_many_sessions(file: Path) -> None:
    """Half a year of a busy station, forty vehicles a day: from the hundredth day on the pages are used
    again.
    """
    day, octets = Day(), []
    store = SqliteStore(file, day.wall_s)
    for number in range(200 * 40):
        store.save(session(number, needs=Needs(target_soc_pct=90.0), ended_wall_s=day.wall_s()), lasting=True)
        if number % 40 == 39:
            await written(store)
            await pruned(store)
            day.days += 1.0
            octets.append(sum(path.stat().st_size for path in file.parent.glob("ocpp.sqlite*")))
    assert max(octets[110:]) <= 1.02 * max(octets[:110])
    assert max(octets) < 8e6


async def test_a_1_6_number_is_not_given_again_when_its_transaction_is_forgotten(file: Path) -> None:
    day = Day()
    store = SqliteStore(file, day.wall_s)
    numbers = [store.next_transaction() for _ in range(5)]
    for number in numbers:
        store.save(Session("old", str(number), "b1", "", 1.0, ended_wall_s=2.0), lasting=True)
    await written(store)
    day.days += 1_000
    assert await pruned(store)
    assert on_disk(file) == set()
    assert store.next_transaction() == numbers[-1] + 1
    store.flush()
    assert SqliteStore(file, day.wall_s).next_transaction() == numbers[-1] + 2


async def test_a_file_from_before_keeps_its_sessions_for_the_whole_time_from_now(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute('CREATE TABLE sessions (station TEXT, "transaction" TEXT, ended INTEGER, body BLOB, '
                      'PRIMARY KEY (station, "transaction"))')  # fmt: skip
        body = {"station": "new", "evse": "b2", "vehicle": "", "started_wall_s": 0.0}
        ends = {0: None, 1: 1.0}
        rows = [
            ("new", f"t-{n}", n, json.dumps({**body, "transaction": f"t-{n}", "ended_wall_s": ends[n]}))
            for n in (0, 1)
        ]
        other.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?)", rows)
    day = Day()
    store = SqliteStore(file, day.wall_s)
    assert await pruned(store) == 0
    assert [each.transaction for each in store.open_sessions("new")] == ["t-0"]
    day.days += 101
    assert await pruned(store) == 1
    assert on_disk(file) == {"t-0"}


async def test_the_central_system_forgets_beside_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("v2g_edge.field.ocpp.upkeep.maintenance.LOOK_S", 0.01)
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot)
    for event in (STARTED, transaction("Ended", 1)):
        await station.call("TransactionEvent", event)
    file = tmp_path / "ocpp.sqlite"
    assert on_disk(file) == {"t-1"}
    depot.clock.advance(KEPT_S + 86_400.0)
    await until(lambda: on_disk(file) == set())
    await station.close()
    await depot.central.stop()


async def test_queued_news_without_an_end_does_not_pile_up(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    for number in range(OPEN_MAX + 20):
        old = transaction("Started", 0, offline=True, timestamp="2026-02-01T12:00:00.000Z")
        old["transactionInfo"] = {"transactionId": f"queued-{number}"}
        await station.call("TransactionEvent", old)
    opened = {each.transaction for each in depot.central._store.open_sessions("new")}
    assert len(opened) == OPEN_MAX + 1
    assert "t-1" in opened, "the one that runs"
    await station.close()
    await depot.central.stop()


async def test_a_station_that_repeats_itself_three_months_later_is_still_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was offline for a summer, we were restarted meanwhile, and nothing of what it repeats plugs
    anybody in.
    """
    monkeypatch.setattr("v2g_edge.field.ocpp.upkeep.maintenance.LOOK_S", 0.01)
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot)
    for event in (STARTED, transaction("Ended", 1)):
        await station.call("TransactionEvent", event)
    await station.close()
    await depot.central.stop()
    later = Depot(tmp_path)
    later.clock.advance(KEPT_S - 86_400.0)
    await later.central.start()
    station = await ready(later)
    for event in (STARTED, transaction("Ended", 1)):
        await station.call("TransactionEvent", {**event, "offline": True})
        assert later.board.evse("b2").vehicle is None
    assert later.central._store.open_sessions("new") == []
    assert on_disk(tmp_path / "ocpp.sqlite") == {"t-1"}
    await station.close()
    await later.central.stop()
