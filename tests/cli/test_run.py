"""`v2g-edge run` as a process, and what people ask it."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import daemon
from v2g_edge.cli.client import ask
from v2g_edge.cli.main import main
from v2g_edge.cli.site.run import in_words
from v2g_edge.config import inspect


def test_a_daemon_answers_obeys_ends_cleanly_and_can_be_replayed(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One daemon from start to SIGTERM: status, why, stop, release, events; then its journal, with 0
    differences.
    """
    socket = ["--socket", str(site.parent / "control.sock")]
    with daemon(site) as process:
        assert main(["status", "--once", *socket]) == 0
        status = capsys.readouterr().out
        assert "relay unknown" in status
        assert "silent" in status
        assert main(["status", "--json", *socket]) == 0
        assert json.loads(capsys.readouterr().out)["site"] == "small"
        assert main(["why", "a", *socket]) == 0
        assert "A is empty." in capsys.readouterr().out
        assert main(["why", "A", "--limits", *socket]) == 0
        assert "►" in capsys.readouterr().out
        assert main(["why", "Z", *socket]) == 2
        assert "A, B" in capsys.readouterr().err
        assert main(["stop", "--wait-s", "0.5", *socket]) == 1, "silent chargers are not proven to be at 0 W"
        stopped = capsys.readouterr().out
        assert stopped.startswith(
            "standing orders: stop\n0 of 2 outlets are proven to be at 0 W; not proven:\n"
        )
        assert "A: silent: not connected" in stopped
        assert main(["hold", *socket]) == 0
        assert capsys.readouterr().out == "standing orders: stop, hold\n"
        assert main(["release", "stop", "--by", "ana", "--why", "work is done", *socket]) == 0
        assert capsys.readouterr().out == "standing orders: hold\n"
        assert main(["release", "hold", *socket]) == 0
        assert capsys.readouterr().out == "standing orders: none\n"
        assert main(["clear", "nothing:site", *socket]) == 2
        assert "'nothing:site' does not act; there act: " in capsys.readouterr().err
        assert main(["clear", "grid_relay_silent:site", *socket]) == 2
        assert "has its cause still" in capsys.readouterr().err
        assert main(["plan", *socket]) == 0
        assert "no plan" in capsys.readouterr().out
        process.send_signal(signal.SIGHUP)  # new certificates, and no end
        assert main(["ocpp", "@site", "reload", *socket]) == 0
        assert json.loads(capsys.readouterr().out)["outcome"] == "done"
        assert main(["events", *socket]) == 0
        live = capsys.readouterr().out
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    journal = site.parent / "state" / "journal.db"
    assert main(["replay", str(journal)]) == 0
    assert "0 differences" in capsys.readouterr().out
    assert main(["events", "--journal", str(journal)]) == 0
    assert capsys.readouterr().out.startswith(live)
    assert main(["why", "A", "--journal", str(journal)]) == 0
    assert "A at" in capsys.readouterr().out
    assert not (site.parent / "control.sock").exists()


def test_a_killed_daemon_comes_back_with_its_orders_and_its_journal(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 after an operator stop: the next daemon still stands still, and both runs replay."""
    socket = str(site.parent / "control.sock")
    with daemon(site) as process:
        ask(socket, "operate", {"stop": True})
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    with daemon(site) as process:
        assert ask(socket, "status")["operator"]["stop"] is True
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert main(["replay", str(site.parent / "state" / "journal.db")]) == 0
    assert "2 runs" in capsys.readouterr().out


def test_a_scaled_clock_runs_faster_from_where_it_is_told(site: Path) -> None:
    """At 100 times, ten seconds of the depot pass in a tenth."""
    with daemon(site, "--clock-start", "2026-01-31T18:00:00+00:00", "--clock-scale", "100"):
        socket = str(site.parent / "control.sock")
        first = ask(socket, "status")["wall_s"]
        assert 1_769_882_400.0 <= first < 1_769_882_400.0 + 100 * 120
        while ask(socket, "status")["wall_s"] < first + 10.0:
            pass


def test_a_bad_site_file_starts_nothing(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with the report, and no state folder."""
    site.write_text(site.read_text().replace("fallback_w = 4140.0", "fallback_w = -1.0"))
    assert main(["run", "--config", str(site)]) == 2
    assert "evses.A.fallback_w" in capsys.readouterr().err
    assert not (site.parent / "state").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--clock-scale", "2"],
        ["--clock-start", "2026-01-31", "--clock-scale", "0"],
        ["--clock-start", "yesterday"],
    ],
)
def test_a_clock_that_makes_no_sense_is_refused(
    site: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started."""
    assert main(["run", "--config", str(site), *options]) == 2
    assert "clock" in (error := capsys.readouterr().err) or "time" in error


def test_outside_case_b5_a_journal_that_is_no_journal_is_set_aside_and_the_daemon_runs(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real process: an alarm names the file and where it is kept, and a new journal begins."""
    state = site.parent / "state"
    state.mkdir()
    other = b"not a database, but long enough to look at" * 100
    (state / "journal.db").write_bytes(other)
    with daemon(site) as process:
        assert main(["events", "--socket", str(site.parent / "control.sock")]) == 0
        told = capsys.readouterr().out
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "journal.db.broken" in told
    assert (state / "journal.db.broken").read_bytes() == other
    assert main(["replay", str(state / "journal.db")]) == 0


def test_the_daemon_does_not_carry_what_it_needs_once() -> None:
    """The checker of site files stays outside: 14 MiB less for the life of the daemon."""
    code = "import sys, v2g_edge.cli.site.run; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & {"pydantic", "v2g_edge.config"}


def test_an_order_survives_kill_9_and_is_taken_back_by_its_number(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`limit`, kill, start, `orders`, `status`, `undo`."""
    socket = ["--socket", str(site.parent / "control.sock")]
    night = ("--clock-start", "2026-01-14T18:00:00+01:00")
    with daemon(site, *night) as process:
        assert main(["limit", "HALL", "60kW", "--why", "cable work", "--yes", *socket]) == 0
        assert "order 1: feeder hall at 60 kW until" in capsys.readouterr().out
        assert main(["limit", "hall", "60", *socket]) == 2
        assert "like 60kW" in capsys.readouterr().err
        assert main(["boost", "bus-2", "--yes", *socket]) == 2
        assert "did you mean bus-1?" in capsys.readouterr().err
        process.kill()
        process.wait(timeout=30)
    with daemon(site, *night):
        assert main(["orders", *socket]) == 0
        assert "cable work" in capsys.readouterr().out
        assert main(["status", "--once", *socket]) == 0
        assert "ORDERS: feeder hall at 60 kW" in capsys.readouterr().out
        assert main(["undo", "1", *socket]) == 0
        assert main(["orders", *socket]) == 0
        assert "no orders stand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "number", "mend"),
    [
        ("127.0.0.1", errno.EADDRINUSE, "ss -ltnp 'sport = :8081' names it); end it, or give another port"),
        ("192.0.2.1", errno.EADDRNOTAVAIL, "ip addr lists them); correct the host"),
        ("127.0.0.2", errno.EACCES, "ports below 1024 are root's; give one above"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_named_with_its_mend(
    host: str, number: int, mend: str
) -> None:
    text = f"error while attempting to bind on address ('{host}', 8081): {os.strerror(number).lower()}"
    assert in_words(OSError(number, text)).startswith(f"nothing can listen on {host}:8081: ")
    assert in_words(OSError(number, text)).endswith(mend)


async def test_the_words_for_a_port_in_use_are_those_of_the_event_loop() -> None:
    """What ``in_words`` looks for is what asyncio says."""
    taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match="in use") as raised:
        await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    taken.close()
    await taken.wait_closed()
    assert f"nothing can listen on 127.0.0.1:{port}: another program does" in in_words(raised.value)
    assert in_words(OSError(errno.ENOSPC, "no space left")) == "[Errno 28] no space left"


def test_the_first_site_file_raises_no_doubt(tmp_path: Path) -> None:
    """What the package leaves after its one question, answered with the default."""
    text = Path("debian/site.starter.toml").read_text(encoding="utf-8")
    site = tmp_path / "site.toml"
    site.write_text(text.replace("@TIMEZONE@", "Europe/Berlin").replace("@IMPORT_W@", "11000.0"))
    assert inspect(site).problems == []
