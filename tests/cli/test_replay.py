"""`v2g-edge replay` finds what is not the same."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.depot import small_site
from v2g_edge.cli.main import main
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.field.board import Board
from v2g_edge.host.journal import KEY_EVERY, Journal
from v2g_edge.model.snapshot import Operator

Capture = pytest.CaptureFixture[str]
TICKS = KEY_EVERY + 20
BAD = 7


def write(path: Path, *, permit: bool = False, event: bool = False, memory: bool = False) -> None:
    """A journal of a silent depot, with one thing in it that the cycle did not decide."""
    site = small_site()
    cycle, board, carried = Cycle(site), Board(site, lambda: None), Memory()

    async def fill() -> None:
        nonlocal carried
        journal = Journal.open(path, site, "0", sync="normal", keep_days=1.0)
        for place in range(TICKS):
            snapshot = board.freeze(float(place), 1_000_000.0 + place, clock_synced=True, operator=Operator())
            out = cycle.tick(snapshot, None, carried)
            permits, events, before = out.permits, out.events, carried
            if place == BAD and permit:
                permits = (replace(permits[0], power_w=permits[0].power_w + 2**-40), *permits[1:])
            if place == 0 and event:
                events = events[1:]
            if place == KEY_EVERY and memory:
                before = Memory()
            journal.record(snapshot, None, permits, events, memory_before=before, memory_after=out.memory)
            carried = out.memory
        await journal.close()

    asyncio.run(fill())


def test_what_the_cycle_decided_comes_out_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every tick, across a key record; and beginning in the middle."""
    write(tmp_path / "j.db")
    assert main(["replay", str(tmp_path / "j.db")]) == 0
    assert f"{TICKS} ticks of 1 run decided again: 0 differences" in capsys.readouterr().out
    assert main(["replay", str(tmp_path / "j.db"), "--from", "1970-01-12T13:51:55+00:00"]) == 0
    assert "20 ticks" in capsys.readouterr().out


def test_a_permit_that_differs_in_its_last_bits_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With tick and field; exit 1."""
    write(tmp_path / "j.db", permit=True)
    assert main(["replay", str(tmp_path / "j.db")]) == 1
    out = capsys.readouterr().out
    assert f"tick {BAD + 1} " in out
    assert "permit b1.power_w: recorded 9.09" in out
    assert "1 differences" in out
    assert "written by version 0" in out


def test_an_event_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers of events differ, and the ones after it too."""
    write(tmp_path / "j.db", event=True)
    assert main(["replay", str(tmp_path / "j.db")]) == 1
    assert "tick 1 " in (out := capsys.readouterr().out)
    assert "events: recorded" in out


def test_a_memory_that_was_changed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key record whose memory is not what the ticks before it lead to."""
    write(tmp_path / "j.db", memory=True)
    assert main(["replay", str(tmp_path / "j.db")]) == 1
    assert f"tick {KEY_EVERY + 1} " in (out := capsys.readouterr().out)
    assert "memory: what this replay carried" in out


@pytest.mark.parametrize("content", [None, b"", b"no journal" * 1_000])
def test_a_file_that_is_no_journal_is_bad_input(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty, something else: exit 2, the file named."""
    path = tmp_path / "j.db"
    if content is not None:
        path.write_bytes(content)
    for command in (
        ["replay", str(path)],
        ["events", "--journal", str(path)],
        ["why", "b1", "--journal", str(path)],
    ):
        assert main(command) == 2
        assert "j.db" in capsys.readouterr().err


def test_the_past_can_be_asked_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At a time between two ticks: the one before; outside the journal: bad input."""
    write(tmp_path / "j.db")
    journal = ["--journal", str(tmp_path / "j.db")]
    assert main(["why", "b1", *journal, "--at", "1970-01-12T13:46:45.5+00:00", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["seq"] == 6
    assert main(["why", "b1", *journal, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["seq"] == TICKS
    assert main(["why", "b1", *journal]) == 0
    assert capsys.readouterr().out.startswith("b1 at Mon 12 Jan ")
    assert main(["why", "b1", *journal, "--at", "1970-01-01T00:00:00+00:00"]) == 2
    assert main(["why", "b9", *journal]) == 2
    assert main(["why", "b1", "--at", "1970-01-01"]) == 2
