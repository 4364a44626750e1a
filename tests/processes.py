"""Other processes that tests start: they end with the test, and with whoever runs it, however that ends."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psutil

END_S: Final = 20.0

PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal that the kernel sends a process when its parent dies, by kill -9 too."""

DIES_WITH: Final = ("/usr/bin/setpriv", "--pdeathsig")
"""The same of util-linux, for the command after it."""
UNLESS_ALONE: Final = ("/bin/sh", "-c", 'test "$PPID" = "$0" && exec "$@"')
"""With a parent's number and a command: run it, unless the parent was gone before the kernel was asked."""


def start(
    command: Sequence[Any], *, by: signal.Signals = signal.SIGKILL, **options: Any
) -> "subprocess.Popen[Any]":
    """``subprocess.Popen`` of a process that gets the signal ``by`` when we die. To be started from the
    main thread.
    """
    # Not by preexec_fn: Python between fork and exec may wait for ever for a lock that another thread holds.
    asked = (*DIES_WITH, by.name.removeprefix("SIG"), *UNLESS_ALONE, str(os.getpid()))
    return subprocess.Popen([*asked, *command], **options)


@contextlib.contextmanager
def running(command: Sequence[Any], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """The same for a block: at its end the process and all that it has started are gone, whatever has
    happened.
    """
    process = start(command, **options)
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[Any]") -> None:
    """Kill it and everything that it has started, and close the pipes to it."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.kill()
    process.wait(END_S)
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family, timeout=END_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was still to be written has nobody to read it
                pipe.close()


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before we had asked
