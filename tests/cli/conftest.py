"""A site file in a folder of its own, and the real command as a process."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.config.small import TEXT
from tests.processes import running
from v2g_edge.cli.client import ask
from v2g_edge.cli.outcome import CommandError

START_S = 60.0
"""Two cores may be busy with other tests."""


@pytest.fixture(autouse=True)
def _log_restored() -> Iterator[None]:
    """`run` sets up the log of its process, which here is the tests'."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The small site; its devices are behind a port that refuses."""
    path = tmp_path / "site.toml"
    host = f'\n[host]\nstate_dir = "{tmp_path}/state"\nsocket = "{tmp_path}/control.sock"\ntick_s = 0.1\n'
    path.write_text(
        TEXT.replace('host = "192.0.2.10"', 'host = "127.0.0.1"\nport = 1') + host, encoding="utf-8"
    )
    return path


@contextlib.contextmanager
def daemon(site: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`v2g-edge run` as a process that has finished its first tick."""
    command = [sys.executable, "-m", "v2g_edge.cli", "run", "--config", str(site), *options]
    with running(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NOTIFY_SOCKET": ""}
    ) as process:
        wait_until_up(process, site.parent / "control.sock")
        yield process


def wait_until_up(process: subprocess.Popen[str], control: Path) -> None:
    """Until the control socket answers; the log says why it does not."""
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        with contextlib.suppress(CommandError):
            ask(str(control), "status")
            return
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.fail(f"the daemon ended: {process.stderr.read()}")
        time.sleep(0.05)  # between two tries to reach another process, not a wait for time to pass
    pytest.fail("the daemon did not answer in time")
