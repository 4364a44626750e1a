"""Logs: what a line says, and what journald gets."""

import io
import json
import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.depot import small_site
from v2g_edge.host import logs
from v2g_edge.model.event import Event, Severity


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_line_is_an_event_with_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, level, event, then the keys; values with spaces are quoted."""
    logs.set_up_logs("info", lambda: "T", "console")
    structlog.get_logger().info("station_connected", station="CP-1", why="first time", ok=True)
    assert _lines(capsys) == [
        'timestamp=T level=info event=station_connected station=CP-1 why="first time" ok=true'
    ]


def test_a_value_cannot_begin_a_line_or_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Paths and names come from whoever dials."""
    logs.set_up_logs("info", lambda: "T", "console")
    structlog.get_logger().info("refused", path="/\x1b[2J\nlevel=info\u202e", name="Säule 7")
    (line,) = _lines(capsys)
    assert line.isprintable()
    assert r'path="/�[2J\nlevel=info�"' in line
    assert "Säule 7" in line


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    """And json is one object a line."""
    logs.set_up_logs("warning", lambda: "T", "json")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud", n=1)
    (line,) = _lines(capsys)
    assert json.loads(line) == {"timestamp": "T", "level": "warning", "event": "loud", "n": 1}


@pytest.mark.parametrize(("severity", "priority"), [("info", 6), ("warning", 4), ("alarm", 3), ("trip", 2)])
def test_outside_case_b8_an_events_severity_is_its_priority(
    severity: Severity, priority: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`journalctl -p warning` shows it, and so does `log_level = "warning"`."""
    logs.set_up_logs("warning", lambda: "T", "json")
    logs.record_event(Event("grid_fault", severity, "grid", "text", 0.0))
    lines = _lines(capsys)
    assert bool(lines) == (severity != "info")
    for line in lines:
        assert logs.PRIORITY[json.loads(line)["level"]] == priority


def test_what_libraries_log_becomes_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    """With the library's name and without a traceback of its own."""
    logs.set_up_logs("info", lambda: "T", "console")
    try:
        raise ValueError("bad frame")
    except ValueError:
        logging.getLogger("some.library").exception("late %s", "reply")
    (line,) = _lines(capsys)
    assert "event=library" in line
    assert "logger=some.library" in line
    assert "late reply: ValueError" in line


def _parse(datagram: bytes) -> dict[str, bytes]:
    """journald's own reading of an entry."""
    fields: dict[str, bytes] = {}
    stream = io.BytesIO(datagram)
    while line := stream.readline():
        key, equals, value = line.rstrip(b"\n").partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", stream.read(8))
            value = stream.read(size)
            assert stream.read(1) == b"\n"
        fields[key.decode()] = value
    return fields


def test_journald_gets_a_field_for_each_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a real datagram socket, as journald reads it."""
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        writer = logs.JournalWriter(path)
        monkeypatch.setattr(logs, "JournalWriter", lambda: writer)
        logs.set_up_logs("info", lambda: "T", "journal")
        structlog.get_logger().error("charger_silent", evse="B01", text="line\nbreak")
        fields = _parse(journald.recv(65_536))
        writer.close()
    assert fields["V2G_EVENT"] == b"charger_silent"
    assert fields["PRIORITY"] == b"3"
    assert fields["V2G_EVSE"] == b"B01"
    assert fields["V2G_TEXT"] == b"line\nbreak"
    assert fields["MESSAGE"] == b"charger_silent evse=B01 text=line\nbreak"


@given(st.dictionaries(st.text(min_size=1, max_size=80), st.text(), max_size=20))
def test_any_entry_reads_back(entry: dict[str, str]) -> None:
    """Whatever keys and values: well-formed names, bounded count, no value torn into fields of its own."""
    _, fields = logs.journal_fields(None, "info", {**entry, "event": "e", "level": "info"})
    assert len(fields) <= logs.FIELDS_MAX + len(logs.PLAIN) + 6
    read = _parse(b"".join(logs._field(key, value) for key, value in fields.items()))
    assert set(read) == set(fields)
    assert all(len(key) <= 64 and key.replace("_", "A").isalnum() and key == key.upper() for key in read)


def _fields_of(event: Event) -> dict[str, str]:
    return dict(logs.journal_fields(None, "info", {**_entry_of(event), "level": "info"})[1])


def _entry_of(event: Event) -> dict[str, str]:
    what = logs.subjects_of(small_site()).get(event.subject)
    extra = {what: event.subject} if what else {}
    return {
        "event": "event",
        "kind": event.kind,
        "severity": event.severity,
        "subject": event.subject,
        "text": event.text,
        **extra,
    }


def test_an_event_about_a_charger_is_found_by_its_name_and_by_its_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`journalctl EVSE=b1` and `EVENT=disobedient`; the fields are those that record_event writes."""
    event = Event("disobedient", "alarm", "b1", "draws 11 kW", 0.0)
    logs.set_up_logs("info", lambda: "T", "json")
    logs.record_event(event, logs.subjects_of(small_site()))
    written = json.loads(_lines(capsys)[0])
    assert {key: written[key] for key in _entry_of(event)} == _entry_of(event)
    fields = _fields_of(event)
    assert (fields["EVENT"], fields["EVSE"]) == ("disobedient", "b1")
    assert fields["MESSAGE"] == "disobedient b1: draws 11 kW"
    assert (
        fields["MESSAGE_ID"]
        == _fields_of(Event("disobedient.cleared", "info", "site", "", 0.0))["MESSAGE_ID"]
    )


def test_an_event_about_the_site_names_no_charger() -> None:
    assert "EVSE" not in _fields_of(Event("grid_fault", "trip", "site", "", 0.0))


def test_no_key_stands_in_for_a_field_of_journald() -> None:
    """What decides over an entry is ours; other keys have the prefix."""
    entry = {
        "event": "x",
        "message": "faked",
        "priority": "0",
        "syslog_identifier": "sshd",
        "_pid": "1",
        "message_id": "2",
    }
    _, fields = logs.journal_fields(None, "info", {**entry, "level": "info"})
    assert (fields["MESSAGE"].split()[0], fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"]) == (
        "x",
        "6",
        "v2g-edge",
    )
    assert "MESSAGE_ID" not in fields
    assert "_PID" not in fields


def test_a_journald_that_is_gone_costs_entries_only(tmp_path: Path) -> None:
    """They are counted."""
    writer = logs.JournalWriter(tmp_path / "nobody")
    writer.msg(MESSAGE="x")
    assert writer.lost == 1
    writer.close()


def test_stderr_is_the_journal_only_when_systemd_says_so() -> None:
    """JOURNAL_STREAM names another file when stderr was redirected."""
    stat = os.fstat(2)
    assert not logs.journal_is_stderr({})
    assert not logs.journal_is_stderr({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino + 1}"})
    assert logs.journal_is_stderr({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}) == logs.JOURNAL.exists()
    assert not logs.journal_is_stderr({"JOURNAL_STREAM": "1:1"}, stderr_fd=9_999)
