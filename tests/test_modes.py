"""Whatever umask the product is started with, what it writes is its own: no file of state, journal, backup,
dump, authority or console can be read by another user, and no folder be written to.
"""

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.runners.demo import free_ports
from tests.hostile.__main__ import ask, settings
from tests.processes import running
from v2g_edge.cli.main import COMMANDS, PRIVATE
from v2g_edge.config.dump import dump

COMMAND = [sys.executable, "-m", "v2g_edge.cli"]
PATIENCE_S = 90.0


def do(*words: Any) -> None:
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, umask=0, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]


async def until_it_ticks(path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                answer = await ask(str(path), "status", {})
                if answer["result"]["seq"] >= 2:
                    return
            except (OSError, ValueError, KeyError):
                pass
            await asyncio.sleep(0.2)


async def until_it_listens(port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            except OSError:
                await asyncio.sleep(0.2)


def wait_for(path: Path) -> None:
    """Until another process has written it."""
    ends_s = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < ends_s, f"{path} was never written"
        time.sleep(0.2)  # between two looks at what another process writes, with a limit above


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything that a depot's controller writes in a first minute, each command with umask 0."""
    folder = tmp_path_factory.mktemp("depot")
    made, ports = folder / "made", free_ports(4)
    made.mkdir(mode=0o700)
    config = folder / "site.toml"
    config.write_text(dump(settings(made, ports)), encoding="utf-8")
    (made / "broker.password").chmod(0o600)
    do("pki", "--folder", made / "state" / "pki", "init", "depot")
    do("pki", "--folder", made / "state" / "pki", "server", "depot.example", "--out", made / "server")
    do("pki", "--folder", made / "state" / "pki", "station", "CP01", "--out", made / "station")
    with running([*COMMAND, "run", "--config", config], umask=0, stderr=subprocess.DEVNULL):
        asyncio.run(until_it_ticks(made / "control.sock"))
        do("hold", "--socket", made / "control.sock")
        do("backup", "--state", made / "state", "--with-journal", made / "backup.tar.gz")
        do("dump", "--config", config, "--socket", made / "control.sock", made / "dump.tar.gz")
        with running(
            [*COMMAND, "console", "--listen", f"127.0.0.1:{ports[3]}", "--state", made / "console"], umask=0
        ):
            asyncio.run(until_it_listens(ports[3]))
            wait_for(made / "console" / "console.sqlite")
        yield made


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_the_sweep_sees_what_it_should(written: Path) -> None:
    """A sweep of an empty folder would find nothing wrong."""
    names = {path.relative_to(written).as_posix() for path in everything(written)}
    expected = {
        "state/journal.db",
        "state/ocpp.sqlite",
        "state/operator.json",
        "state/pki/ca.key",
        "station.key",
    }
    expected |= {"backup.tar.gz", "dump.tar.gz", "console/console.sqlite", "control.sock"}
    assert expected - names == set(), names
    assert [name for name in names if name.startswith("server") and name.endswith(".key")]


def test_no_file_can_be_read_by_another_user(written: Path) -> None:
    open_to_others = {
        path.relative_to(written).as_posix(): oct(stat.S_IMODE(path.stat().st_mode))
        for path in everything(written)
        if path.is_file() and path.stat().st_mode & 0o077
    }
    assert open_to_others == {}


def test_no_folder_is_open_to_another_user(written: Path) -> None:
    folders = [path for path in everything(written) if path.is_dir()]
    assert folders
    assert [path for path in folders if path.stat().st_mode & 0o077] == []


def test_the_group_may_ask_the_control_socket_and_nobody_else(written: Path) -> None:
    sockets = [path for path in everything(written) if path.is_socket()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in sockets] == [0o660]


def test_the_daemon_has_no_file_open_that_a_child_would_get(written: Path) -> None:
    """A member of the group cannot become more by what the optimiser's process inherits."""
    pids = [int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and str(written.parent) in _said(pid)]
    assert pids
    for pid in pids:
        for number in os.listdir(f"/proc/{pid}/fd"):
            if int(number) > 2:
                flags = Path(f"/proc/{pid}/fdinfo/{number}").read_text(encoding="ascii").split("flags:")[1]
                assert int(flags.split()[0], 8) & os.O_CLOEXEC, os.readlink(f"/proc/{pid}/fd/{number}")


def _said(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_commands_that_write_secrets_are_commands() -> None:
    assert set(COMMANDS) >= PRIVATE
