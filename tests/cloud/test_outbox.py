"""Events wait on disk, in order and bounded; a bad disk costs messages, never the depot."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from v2g_edge.cloud.outbox import BATCH, Outbox
from v2g_edge.model.event import Event


def events(*numbers: int) -> tuple[Event, ...]:
    return tuple(Event("test", "info", f"e{n}", "text", float(n)) for n in numbers)


def subjects(outbox: Outbox) -> list[str]:
    return [json.loads(body)["subject"] for _, body in outbox.head()]


def test_events_stay_until_they_are_acknowledged_and_survive_a_restart(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.sqlite")
    first.put(events(1, 2, 3))
    first.forget(first.head()[0][0])
    first.close()
    second = Outbox(tmp_path / "o.sqlite")
    assert subjects(second) == ["e2", "e3"]
    second.close()


def test_a_number_tells_a_repeat_and_is_never_used_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite")
    outbox.put(events(1))
    seq, body = outbox.head()[0]
    assert json.loads(body)["seq"] == seq
    outbox.forget(seq)
    outbox.put(events(2))
    assert outbox.head()[0][0] > seq
    outbox.close()


def test_a_full_outbox_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_events=3)
    with capture_logs() as logs:
        outbox.put(events(1, 2))
        outbox.put(events(3, 4, 5))
    assert subjects(outbox) == ["e3", "e4", "e5"]
    assert [(log["event"], log["dropped"]) for log in logs] == [("outbox_full", 2)]
    outbox.close()


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with capture_logs() as logs:
        outbox = Outbox(path)
    outbox.put(events(1))
    assert subjects(outbox) == ["e1"]
    assert (tmp_path / "o.sqlite.broken").exists()
    assert logs[0]["event"] == "outbox_broken"
    outbox.close()


def test_a_disk_that_fails_is_logged_and_nothing_is_raised(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite")
    outbox.close()
    with capture_logs() as logs:
        outbox.put(events(1))
        outbox.forget(1)
        outbox.keep_plan(1, b"{}")
        assert outbox.head() == []
    assert {log["event"] for log in logs} == {"outbox_write_failed", "outbox_read_failed"}


def test_only_the_last_plan_is_kept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite")
    assert outbox.kept_plan() is None
    outbox.keep_plan(1, b"old")
    outbox.keep_plan(2, b"new")
    assert outbox.kept_plan() == (2, b"new")
    outbox.close()


@given(st.lists(st.one_of(st.integers(1, 4), st.just(-1)), max_size=25))
@settings(max_examples=30, deadline=None)
def test_order_holds_whatever_is_put_and_acknowledged(steps: list[int]) -> None:
    """A positive step puts so many, −1 acknowledges the first of what is waiting."""
    outbox, expected, made = Outbox(Path(":memory:")), [], 0
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
