"""The journal: what is read back is what was recorded, from any key record on, whatever cut the power."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from tests.processes import running
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.host.journal import KEY_EVERY, REOPEN_EVERY, WAITING_MAX, Journal
from v2g_edge.host.kept.packing import Record
from v2g_edge.host.records import (
    IntegrityCheck,
    JournalError,
    JournalReader,
    OrderRow,
    record_of,
)
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.snapshot import Snapshot

SITE = small_site()


async def _write(path: Path, ticks: int, first: int = 0) -> list[tuple[Snapshot, Outcome]]:
    journal = Journal.open(path, SITE, "test", sync="normal", keep_days=30.0)
    cycle, memory, written = Cycle(SITE), Memory(), []
    plan = None
    snapshot = healthy(SITE)
    for tick in range(first, first + ticks):
        evses = (plugged("bus-1", 100.0 + tick, 1e6), snapshot.evses[1])
        snapshot = replace(snapshot, seq=tick + 1, now_s=100.0 + tick, wall_s=1e6 + tick, evses=evses)
        if tick == first + 3:
            plan = Plan(1, "local", 1e6, 1e6, 2e6, (Slot(1e6, 2e6, (("b1", 5e3),)),))
        outcome = cycle.tick(snapshot, plan, memory)
        journal.record(
            snapshot, plan, outcome.permits, outcome.events, memory_before=memory, memory_after=outcome.memory
        )
        memory = outcome.memory
        written.append((snapshot, outcome))
        if tick % 50 == 0:
            await asyncio.sleep(0)
    await journal.close()
    return written


async def test_what_is_read_is_what_was_recorded(tmp_path: Path) -> None:
    written = await _write(tmp_path / "j.db", 40)
    ticks = list(JournalReader(tmp_path / "j.db").ticks())
    assert [tick.snapshot for tick in ticks] == [snapshot for snapshot, _ in written]
    assert [tick.permits for tick in ticks] == [outcome.permits for _, outcome in written]
    assert [tick.events for tick in ticks] == [outcome.events for _, outcome in written]
    assert [tick.plan is None for tick in ticks] == [i < 3 for i in range(40)]
    assert ticks[0].memory is not None
    assert ticks[1].memory is None


async def test_what_happened_beside_the_ticks_is_read_with_the_next_one_and_older_journals_have_none(
    tmp_path: Path,
) -> None:
    """It is on the disk at once, as a tick with an event is; a record of 15 fields is one of before."""
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=30.0)
    snapshot, told = healthy(SITE), Event("order_given", "info", "bus-1", "boost bus-1 (anna)", 1e6)
    outcome = Cycle(SITE).tick(snapshot, None, Memory())
    for events in ((), (told,)):
        journal.record(
            snapshot, None, outcome.permits, (), memory_before=Memory(), memory_after=Memory(), told=events
        )
    await journal.close()
    read = list(JournalReader(tmp_path / "j.db").ticks())
    assert [tick.told for tick in read] == [(), (told,)]
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(record_of(read[1], read[0])))
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(fields[:-1]), type=Record)
    assert (len(fields), old.told) == (16, ())


async def test_reading_starts_at_the_key_record_before_the_wanted_time(tmp_path: Path) -> None:
    await _write(tmp_path / "j.db", KEY_EVERY + 20)
    reader = JournalReader(tmp_path / "j.db")
    ticks = list(reader.ticks(1e6 + KEY_EVERY + 5))
    assert ticks[0].snapshot.wall_s == 1e6 + KEY_EVERY
    assert ticks[0].memory is not None
    assert ticks == list(reader.ticks())[KEY_EVERY:]


async def test_a_restart_is_a_new_run_that_starts_with_a_key_record_and_the_last_memory(
    tmp_path: Path,
) -> None:
    written = await _write(tmp_path / "j.db", 5)
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=30.0)
    memory, beside = journal.last_memories()
    await journal.close()
    assert memory == beside, "in the journal, and in a file of its own"
    assert msgspec.msgpack.decode(memory, type=Memory) == written[-1][1].memory
    await _write(tmp_path / "j.db", 5, first=10)
    ticks = list(JournalReader(tmp_path / "j.db").ticks())
    assert [tick.memory is not None for tick in ticks] == [True, False, False, False, False] * 2
    assert len({tick.run for tick in ticks}) == 2


async def test_old_ticks_are_swept_and_the_rest_still_reads(tmp_path: Path) -> None:
    await _write(tmp_path / "j.db", KEY_EVERY + 10)
    db = sqlite3.connect(tmp_path / "j.db")
    db.execute("DELETE FROM ticks WHERE wall_s < ?", (1e6 + 7,))
    db.commit()
    db.close()
    assert len(list(JournalReader(tmp_path / "j.db").ticks())) == 10


async def test_a_disk_that_does_not_keep_up_costs_records_and_says_so(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=30.0)
    snapshot, outcome = healthy(SITE), Cycle(SITE).tick(healthy(SITE), None, Memory())
    blocker = sqlite3.connect(tmp_path / "j.db")
    blocker.execute("BEGIN EXCLUSIVE")
    for _ in range(WAITING_MAX + 50):
        journal.record(
            snapshot, None, outcome.permits, outcome.events, memory_before=Memory(), memory_after=Memory()
        )
    assert journal.lost >= 1
    blocker.rollback()
    blocker.close()
    await journal.close()


async def test_a_file_that_is_no_journal_is_set_aside_by_name_and_a_new_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are not the ticks you are looking for " * 40)
    with pytest.raises(JournalError, match=r"notes\.txt"):
        JournalReader(path)
    journal = Journal.open(path, SITE, "test", sync="full", keep_days=1.0)
    assert "notes.txt.broken" in journal.faults[0]
    await journal.close()
    assert (tmp_path / "notes.txt.broken").read_text().startswith("these are not")
    assert list(JournalReader(path).ticks()) == []


async def test_a_full_disk_keeps_the_ticks_waiting_and_none_is_lost_when_it_has_room_again(
    tmp_path: Path,
) -> None:
    """SQLite's own limit of pages plays the full disk."""
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=1.0)
    outcome = Cycle(SITE).tick(healthy(SITE), None, Memory())

    async def tick(seq: int) -> None:
        journal.record(
            replace(healthy(SITE), seq=seq),
            None,
            outcome.permits,
            (),
            memory_before=Memory(),
            memory_after=Memory(),
        )
        while journal._writing is not None and not journal._writing.done():  # noqa: ASYNC110 - the executor has no event
            await asyncio.sleep(0.001)

    await tick(1)
    assert journal._db is not None
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    last = 1
    while not journal.faults and last < 200:
        last += 1
        await tick(last)
    assert "full" in journal.faults[0]
    assert not (tmp_path / "j.db.broken").exists(), "a full disk is no damage"
    for seq in range(last + 1, last + REOPEN_EVERY + 2):
        await tick(seq)
    await journal.close()
    assert [tick.snapshot.seq for tick in JournalReader(tmp_path / "j.db").ticks()] == list(
        range(1, last + REOPEN_EVERY + 2)
    )
    assert (journal.lost, len(journal.faults)) == (0, 1)


WRITER = """
import asyncio, sys
from pathlib import Path
import msgspec
from msgspec.structs import replace
from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.journal import Journal
from v2g_edge.model.event import Event

async def main():
    site = small_site()
    journal = Journal.open(Path(sys.argv[1]), site, "test", sync="full", keep_days=1.0)
    outcome = Cycle(site).tick(healthy(site), None, Memory())
    for tick in range(100_000):
        snapshot = replace(healthy(site), seq=tick + 1, wall_s=1e6 + tick)
        events = (Event("grid_fault", "trip", "site", "", 0.0),) if tick % 7 == 0 else ()
        journal.record(snapshot, None, outcome.permits, events, memory_before=Memory(), memory_after=Memory())
        if journal._writing is not None:
            await asyncio.wait([journal._writing])
        assert not (events and journal._waiting), "an event waits for nothing"
        print(tick + 1 - len(journal._waiting), flush=True)

asyncio.run(main())
"""


async def test_a_journal_that_holds_too_much_loses_its_oldest_ticks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By size, also in the first write of a process: one that restarts every hour would else never do it."""
    written = await _write(tmp_path / "j.db", 200)
    before = (tmp_path / "j.db").stat().st_size
    monkeypatch.setattr("v2g_edge.host.records.THINNED", 0.5)
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="full", keep_days=9_999.0, max_mb=0)
    outcome = Cycle(SITE).tick(healthy(SITE), None, Memory())
    last = replace(healthy(SITE), seq=9_999)
    journal.record(last, None, outcome.permits, (), memory_before=Memory(), memory_after=Memory())
    await journal.close()
    assert (tmp_path / "j.db").stat().st_size <= before + 16_384, "freed pages are filled again"
    db = sqlite3.connect(tmp_path / "j.db")
    kept = db.execute("SELECT COUNT(*), MAX(id) FROM ticks").fetchone()
    db.close()
    assert len(written) * 0.4 < kept[0] < len(written) * 0.6
    assert kept[1] == len(written) + 1


def test_after_kill_9_the_journal_opens_with_at_most_a_batch_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "j.db")]
    with running(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        last = 0
        for line in process.stdout:
            last = int(line)
            if last >= 40:
                os.kill(process.pid, signal.SIGKILL)
                break
        rest = process.stdout.read().split()
    last = int(rest[-1]) if rest else last
    ticks = list(JournalReader(tmp_path / "j.db").ticks())
    assert [tick.snapshot.seq for tick in ticks[:last]] == list(range(1, last + 1))


@pytest.mark.parametrize("cut", [1, 7, 100, 4_095, 4_200, 9_000, 20_000])
async def test_a_torn_log_file_still_opens(tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One commit a tick, so that there is something to tear."""
    monkeypatch.setattr("v2g_edge.host.journal.BATCH", 1)
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="full", keep_days=1.0)
    outcome = Cycle(SITE).tick(healthy(SITE), None, Memory())
    for tick in range(10):
        snapshot = replace(healthy(SITE), seq=tick + 1)
        journal.record(snapshot, None, outcome.permits, (), memory_before=Memory(), memory_after=Memory())
        while journal._writing is not None and not journal._writing.done():  # noqa: ASYNC110 - the executor has no event to wait on
            await asyncio.sleep(0.001)
    torn = tmp_path / "torn"
    torn.mkdir()
    for name in ("j.db", "j.db-wal"):
        shutil.copy(tmp_path / name, torn / name)
    await journal.close()
    wal = torn / "j.db-wal"
    with wal.open("r+b") as file:
        file.truncate(max(wal.stat().st_size - cut, 0))
    sqlite3.connect(torn / "j.db").execute("SELECT 1 FROM ticks").close()
    seqs = [tick.snapshot.seq for tick in JournalReader(torn / "j.db").ticks()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= 10 - 1 - cut // 4_096 * 2


ORDER = OrderRow(5.0, "anna", "ben", "operator", "operate {}", "a test", "done")


async def test_orders_are_kept_also_without_a_tick_and_over_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for the disk as ticks do, and each is written once."""
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=30.0)

    def full(*_arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as refusing:
        refusing.setattr(journal, "_write", full)
        journal.record_order(ORDER)
        journal._drain()
    journal._rests = REOPEN_EVERY
    journal.record_order(ORDER._replace(why="another"))
    journal._drain()
    journal._drain()
    await journal.close()
    reader = JournalReader(tmp_path / "j.db")
    assert [each.why for each in reader.orders()] == ["a test", "another"]
    assert list(reader.orders(from_wall_s=6.0)) == []


async def test_a_journal_of_a_version_without_orders_reads_as_none(tmp_path: Path) -> None:
    await _write(tmp_path / "j.db", 3)
    with sqlite3.connect(tmp_path / "j.db") as db:
        db.execute("DROP TABLE orders")
    reader = JournalReader(tmp_path / "j.db")
    assert list(reader.orders()) == []
    assert len(list(reader.ticks())) == 3


async def test_a_journal_damaged_in_the_middle_is_found_at_the_start_and_set_aside(tmp_path: Path) -> None:
    """Beside the ticks: the daemon does not wait, and the ticks go into a new file."""
    await _write(tmp_path / "j.db", 900)
    data = bytearray((tmp_path / "j.db").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8_192] = b"\xa5" * 8_192
    (tmp_path / "j.db").write_bytes(data)
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=30.0)
    assert journal._checking is not None
    await journal._checking
    assert journal._check.fault
    memory = Memory()
    outcome = Cycle(SITE).tick(healthy(SITE), None, memory)
    journal.record(healthy(SITE), None, outcome.permits, (), memory_before=memory, memory_after=memory)
    await journal.close()
    assert (tmp_path / "j.db.broken").exists()
    assert "a new one begins" in " ".join(journal.faults)
    assert len(list(JournalReader(tmp_path / "j.db").ticks())) == 1


async def test_a_whole_journal_passes_the_check_and_a_check_can_be_ended(tmp_path: Path) -> None:
    await _write(tmp_path / "j.db", 50)
    check = IntegrityCheck(tmp_path / "j.db")
    check.run()
    assert check.fault == ""
    check.stop()
    IntegrityCheck(tmp_path / "none.db").run()
