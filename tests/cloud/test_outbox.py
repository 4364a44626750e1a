"""Events wait on disk, in order and bounded; a bad disk costs messages, never the depot."""

import json
import sqlite3
from itertools import pairwise
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from v2g_edge.cloud.outbox import BATCH, Outbox
from v2g_edge.model.event import Event, Severity

LARGE = 50_000_000


def events(*numbers: int, severity: Severity = "info") -> tuple[Event, ...]:
    return tuple(Event("test", severity, f"e{n}", "text", float(n)) for n in numbers)


def subjects(outbox: Outbox) -> list[str]:
    return [json.loads(body)["subject"] for _, body in outbox.head()]


def test_events_stay_until_they_are_acknowledged_and_survive_a_restart(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    first.put(events(1, 2, 3))
    first.forget(first.head()[0][0])
    first.close()
    second = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    assert subjects(second) == ["e2", "e3"]
    second.close()


def test_a_number_tells_a_repeat_and_is_never_used_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    outbox.put(events(1))
    seq, body = outbox.head()[0]
    assert json.loads(body)["seq"] == seq
    outbox.forget(seq)
    outbox.put(events(2))
    assert outbox.head()[0][0] > seq
    outbox.close()


def past(outbox: Outbox) -> list[int]:
    """Numbers of the telemetry that waits, oldest first."""
    found = []
    while (waiting := outbox.head_past()) is not None:
        found.append(json.loads(waiting[1])["n"])
        outbox.forget_past(waiting[0])
    return found


def test_telemetry_gives_way_before_any_event_and_the_oldest_is_thinned(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=20_000)
    outbox.put(events(*range(40)))
    for n in range(200):
        outbox.put_past(b'{"n":%d,"pad":"%s"}' % (n, b"x" * 200))
    assert subjects(outbox) == [f"e{n}" for n in range(40)]
    kept = past(outbox)
    assert kept == sorted(kept)
    assert kept[-1] == 199
    steps = [later - earlier for earlier, later in pairwise(kept)]
    assert steps[-1] == 1
    assert steps[0] > 4
    outbox.close()


def test_events_beyond_the_size_lose_the_oldest_and_alarms_last(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=4_000)
    outbox.put(events(1, 2, severity="alarm"))
    outbox.put_past(b'{"n":1}')
    with capture_logs() as logs:
        outbox.put(events(*range(3, 40)))
    left = subjects(outbox)
    assert left[:2] == ["e1", "e2"]
    assert left[-1] == "e39"
    assert 10 < len(left) < 37
    assert past(outbox) == []
    assert logs[0]["event"] == "outbox_full"
    assert (logs[0]["telemetry"], logs[0]["events"]) == (1, 39 - len(left))
    outbox.close()


def test_alarms_go_before_what_waits_longer(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    outbox.put(events(1, 2))
    outbox.put(events(3, severity="trip"))
    assert subjects(outbox) == ["e3", "e1", "e2"]
    outbox.close()


def test_a_new_file_never_gives_an_id_of_the_one_before(tmp_path: Path) -> None:
    ids = set()
    for name in ("one", "two"):
        outbox = Outbox(tmp_path / name, max_bytes=LARGE)
        outbox.put(events(1))
        ids.add(json.loads(outbox.head()[0].body)["id"])
        outbox.close()
    again = Outbox(tmp_path / "one", max_bytes=LARGE)
    ids.add(json.loads(again.head()[0].body)["id"])
    again.close()
    assert len(ids) == 2


def test_the_file_of_version_0_4_is_read(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "o.sqlite")
    with db:
        db.execute("CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)")
        db.execute("INSERT INTO outbox (body) VALUES (?)", (msgspec.json.encode(events(7)[0]),))
    db.close()
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    outbox.put(events(8))
    assert subjects(outbox) == ["e7", "e8"]
    outbox.close()


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with capture_logs() as logs:
        outbox = Outbox(path, max_bytes=LARGE)
    outbox.put(events(1))
    assert subjects(outbox) == ["e1"]
    assert (tmp_path / "o.sqlite.broken").exists()
    assert logs[0]["event"] == "outbox_broken"
    outbox.close()


def test_a_disk_that_fails_is_logged_and_nothing_is_raised(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    outbox.close()
    with capture_logs() as logs:
        outbox.put(events(1))
        outbox.forget(1)
        outbox.keep_plan(1, b"{}")
        assert outbox.head() == []
    assert {log["event"] for log in logs} == {"outbox_write_failed", "outbox_read_failed"}


def test_only_the_last_plan_is_kept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=LARGE)
    assert outbox.kept_plan() is None
    outbox.keep_plan(1, b"old")
    outbox.keep_plan(2, b"new")
    assert outbox.kept_plan() == (2, b"new")
    outbox.close()


@given(st.lists(st.one_of(st.integers(1, 4), st.just(-1)), max_size=25))
@settings(max_examples=30, deadline=None)
def test_order_holds_whatever_is_put_and_acknowledged(steps: list[int]) -> None:
    """A positive step puts so many, −1 acknowledges the first of what is waiting."""
    outbox, expected, made = Outbox(Path(":memory:"), max_bytes=LARGE), [], 0
    for step in steps:
        if step > 0:
            outbox.put(events(*range(made, made + step)))
            expected += [f"e{n}" for n in range(made, made + step)]
            made += step
        elif expected:
            outbox.forget(outbox.head()[0][0])
            expected.pop(0)
        assert subjects(outbox) == expected[:BATCH]
    outbox.close()
