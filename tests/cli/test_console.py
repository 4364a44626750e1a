"""``v2g-edge console`` and ``console-code`` as people start them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.processes import running
from v2g_edge.cli.main import main

COMMAND = [sys.executable, "-m", "v2g_edge.cli"]
PASSWORD = "a depot at night"


def test_the_first_visit_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed address answers, the printed code makes the first account, and a signal ends the
    console.
    """
    state = tmp_path / "state"
    options = ["--listen", "127.0.0.1:0", "--state", str(state), "--socket", str(tmp_path / "none.sock")]
    with running([*COMMAND, "console", *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found is not None
        assert "console-code" in process.stdout.readline()
        assert main(["console-code", "--state", str(state)]) == 0
        code = capsys.readouterr().out.splitlines()[0]
        with httpx.Client(base_url=found[0], trust_env=False, timeout=30.0) as browser:
            claim = {"code": code, "name": "erna", "password": PASSWORD}
            assert browser.post("/api/claim", json=claim).status_code == 204
            assert browser.post("/api/login", json={"name": "erna", "password": PASSWORD}).status_code == 204
            assert browser.get("/api/status").status_code == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(60.0) in (0, -signal.SIGTERM)
    assert (state / "console.sqlite").stat().st_mode & 0o077 == 0
    assert PASSWORD.encode() not in (state / "console.sqlite").read_bytes()
    assert code.encode() not in (state / "console.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--listen", "0.0.0.0:3000"], "--tls-cert"),
        (["--listen", "[::]:3000"], "--tls-cert"),
        (["--listen", "3000"], "an address and a port"),
        (["--listen", "localhost:99999"], "an address and a port"),
        (["--tls-cert", "a.pem"], "go together"),
        (["--listen", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "none.key"], "none.pem"),
    ],
)
def test_options_that_cannot_be_used(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["console", "--state", str(tmp_path), *options]) == 2
    assert says in capsys.readouterr().err


def test_a_code_that_cannot_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["console-code", "--state", str(tmp_path / "file" / "state")]) == 2
    assert "run it as root" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files away")
def test_what_root_makes_belongs_to_the_console(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_345)
    assert main(["console-code", "--state", str(tmp_path)]) == 0
    assert (tmp_path / "console.sqlite").stat().st_uid == 12_345
