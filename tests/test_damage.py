"""Rule 13: bookkeeping never decides control. No damage of a file, folder or disk keeps the daemon from
its ticks (case B5).
"""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cloud.plans import WALL_S
from tests.depot import small_site
from tests.test_app import _until
from v2g_edge.app import Daemon
from v2g_edge.host.clock import LoopClock
from v2g_edge.host.records import JournalReader
from v2g_edge.host.systemd_notify import Watchdog
from v2g_edge.model.settings import CloudSettings, HostSettings, Listener, PriceSettings, Settings
from v2g_edge.model.snapshot import Operator

PKI = ("pki/ca.key", "pki/ca.pem", "pki/issuers.pem", "passwords", "maps")
CHANCE = random.Random(13)
FILES = (
    "journal.db",
    "ocpp.sqlite",
    "operator.json",
    "offers.json",
    "memory",
    "cloud.sqlite",
    "grid_events.log",
    "tokens.json",
)


def settings(state: Path) -> Settings:
    host = HostSettings(
        state_dir=str(state), socket=str(state.parent / "socket"), tick_s=0.02, journal_sync="normal"
    )
    cloud = CloudSettings(host="127.0.0.1", port=1, tls=False)
    return Settings(small_site(), (Listener("127.0.0.1", 0, 0),), (), (), (), cloud, host, PriceSettings())


@contextlib.asynccontextmanager
async def ticking(state: Path, ticks: int = 3) -> AsyncIterator[Daemon]:
    """A daemon on the state folder, after its first ticks; ended cleanly."""
    daemon = Daemon(settings(state), LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    try:
        await _until(
            lambda: (
                running.done() or (daemon.state.tick is not None and daemon.state.tick.snapshot.seq >= ticks)
            )
        )
        assert not running.done()
        yield daemon
    finally:
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()


def told(daemon: Daemon) -> set[str]:
    return {event.subject for event in daemon.state.events if event.kind == "state_not_kept"}


def damage(path: Path, how: str) -> None:
    if path.is_dir():
        return
    data = path.read_bytes() if path.exists() else b""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    match how:
        case "random":
            path.write_bytes(CHANCE.randbytes(5_000))
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "head":
            path.write_bytes(b"\0" * 100 + data[100:])
        case "middle":
            path.write_bytes(
                data[: len(data) // 3] + CHANCE.randbytes(len(data) // 3) + data[2 * len(data) // 3 :]
            )
        case "folder":
            path.unlink(missing_ok=True)
            path.mkdir()


@pytest.mark.parametrize("how", ["random", "cut", "empty", "head", "middle", "folder"])
@pytest.mark.parametrize("name", [*FILES, "all"])
async def test_outside_case_b5_damaged_record(name: str, how: str, tmp_path: Path) -> None:
    """The daemon ticks, stop and hold can be ordered, and after the damage the journal is written again."""
    state = tmp_path / "state"
    async with ticking(state) as daemon:
        await daemon._handlers()["operate"]({"export_hold": True})
    for each in FILES if name == "all" else (name,):
        for companion in (each, f"{each}.copy") if name == "all" else (each,):
            damage(state / companion, how)
    async with ticking(state) as daemon:
        operator = daemon.state.operator
        assert operator.export_hold or operator.stop, (
            "an order that cannot be read is taken for the strictest"
        )
        if how in {"random", "folder"}:
            told_of = {"journal.db": "journal", "memory": "journal"}.get(name, name)
            assert name in {
                "cloud.sqlite",
                "grid_events.log",
                "tokens.json",
                "all",
            } or told_of in told(daemon)
        assert (await daemon._handlers()["operate"]({"stop": True}))["stop"]
    async with ticking(state) as daemon:
        assert daemon.state.operator.stop
    if (state / "journal.db").is_file():
        assert any(tick.snapshot.operator.stop for tick in JournalReader(state / "journal.db").ticks())


@pytest.mark.parametrize("how", ["random", "empty", "folder"])
async def test_what_lies_in_the_state_folders_own_folders_keeps_no_tick_either(
    how: str, tmp_path: Path
) -> None:
    (tmp_path / "pki").mkdir()
    for name in PKI:
        damage(tmp_path / name, how)
    async with ticking(tmp_path) as daemon:
        assert daemon.state.last_tick().outcome.permits


async def test_outside_case_b5_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands in its place: nothing can be kept, everything is told, and the depot runs. Then it
    can, and it is.
    """
    state = tmp_path / "state"
    state.write_text("not a folder")
    async with ticking(state) as daemon:
        assert told(daemon) >= {"journal", "ocpp.sqlite", "memory"}
        answer = await daemon._handlers()["operate"]({"stop": True})
        assert answer["stop"]
        assert "state" in answer["not_kept"]
        await _until(lambda: daemon.state.last_tick().snapshot.operator.stop)
        state.unlink()
        state.mkdir()
        await daemon._disk.look()
    async with ticking(state) as daemon:
        assert daemon.state.operator == Operator(stop=True)
        assert told(daemon) == set()
    ticks = list(JournalReader(state / "journal.db").ticks())
    assert ticks[0].memory is not None


async def test_outside_case_d13_torn_memory_starts_carefully_and_export_returns_the_next_day(
    tmp_path: Path,
) -> None:
    async with ticking(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("UPDATE memory SET body = substr(body, 1, length(body) / 2)")
        db.commit()
    for name in ("memory", "memory.copy"):
        (tmp_path / name).unlink()
    async with ticking(tmp_path) as daemon:
        assert "memory" in told(daemon)
        assert daemon.state.memory.envelope.taken_pct == {"bus-1": 100.0, "bus-2": 100.0}
    async with ticking(tmp_path) as daemon:
        assert told(daemon) == set()


async def test_a_torn_row_in_the_journal_costs_nothing_while_the_memory_stands_beside_it(
    tmp_path: Path,
) -> None:
    async with ticking(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("UPDATE memory SET body = x'00', wall_s = wall_s + 1")
        db.commit()
    async with ticking(tmp_path) as daemon:
        assert daemon.state.memory.envelope.taken_pct == {}
