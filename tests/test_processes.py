"""What a test has started is gone with it: when it fails, and when whoever runs the tests is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.processes import running

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
child.wait()
"""
"""A process with a child that would outlive it."""

RUNNER = """
import signal, subprocess, sys
from tests.processes import running
with running([sys.executable, "-c", "import signal; signal.pause()"]) as process:
    print(process.pid, flush=True)
    signal.pause()
"""
"""What runs tests, in the middle of one."""


def gone(pid: int, within_s: float = 20.0) -> bool:
    """Whether a process ends in time; a zombie has ended."""
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)  # between two looks at another process, not a wait for time to pass
    return False


def test_a_test_that_fails_leaves_nothing_behind_children_included() -> None:
    started: list[subprocess.Popen[str]] = []

    def fails() -> None:
        with running([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True) as process:
            started.append(process)
            assert process.stdout is not None
            children.append(int(process.stdout.readline()))
            raise ValueError("in the middle of it")

    children: list[int] = []
    with pytest.raises(ValueError, match="in the middle"):
        fails()
    assert started[0].returncode == -signal.SIGKILL
    assert gone(children[0])


def test_who_runs_the_tests_may_be_killed() -> None:
    with running(
        [sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        assert psutil.pid_exists(pid)
        os.kill(runner.pid, signal.SIGKILL)
        assert gone(pid)


def test_what_has_ended_by_itself_is_left_in_peace() -> None:
    with running([sys.executable, "-c", "raise SystemExit(7)"]) as process:
        process.wait(20)
    assert process.returncode == 7
