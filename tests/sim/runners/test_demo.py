"""The demo: a site file that the daemon takes, the same depot at a hurried clock, and an end that leaves
nothing behind.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sim.runners.demo import SCALE, Demo, free_ports, hurried
from sim.scenarios.night import night
from tests.processes import running
from v2g_edge.config import load


def test_the_hurried_night_is_the_same_depot_with_longer_patience() -> None:
    slow, fast = night(7), hurried(night(7), SCALE)
    assert fast.site.feeders == slow.site.feeders
    assert fast.site.evses == slow.site.evses
    assert fast.visits == slow.visits
    assert fast.duration_s / SCALE < 8 * 60, (
        "the demo has to end within ten minutes, start and report included"
    )
    assert fast.reaction_s < min(disturbance.duration_s for disturbance in fast.disturbances), (
        "a late trip must show"
    )
    for name in ("meter_max_age_s", "contact_max_age_s", "lease_s"):
        assert getattr(fast.site.safety, name) >= 0.5 * SCALE


def test_the_daemon_would_take_the_demos_site_file(tmp_path: Path) -> None:
    demo = Demo(tmp_path, 7, SCALE)
    demo._spawn = lambda *_: None  # type: ignore[method-assign]
    demo.start()
    assert load(tmp_path / "site.toml").host.socket == demo.socket


def test_free_ports_are_free_and_different() -> None:
    assert len(set(free_ports(5))) == 5


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path may have 107 bytes; pytest's own folders under xdist are longer than that allows."""
    with tempfile.TemporaryDirectory(prefix="v2g-", dir="/tmp") as folder:
        yield Path(folder)


def alive(process: psutil.Process) -> bool:
    """A zombie is over: it only waits for the init process of the machine to ask how it ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_cleanly_children_included(by: signal.Signals, short_folder: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(short_folder)}
    command = [sys.executable, "-m", "sim", "demo"]
    with running(command, by=signal.SIGTERM, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        watched = psutil.Process(demo.pid)
        ends_s = time.monotonic() + 60
        while (
            not list(short_folder.glob("*/control.sock"))
            and demo.poll() is None
            and time.monotonic() < ends_s
        ):
            time.sleep(0.1)  # until the socket of another process is there, with a limit above
        children = watched.children(recursive=True)
        assert len(children) >= 2, "daemon and simulator"
        demo.send_signal(by)
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert output.rstrip().endswith("ended")
    assert not [child for child in children if alive(child)]
    assert not list(short_folder.iterdir()), "nothing is left on disk"
