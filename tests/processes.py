"""Other processes that tests start: they end with the test, and with whoever runs it, however that ends."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import psutil

PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal that the kernel sends a process when its parent dies, by kill -9 too."""

END_S: Final = 20.0

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def start(
    command: Sequence[Any], *, by: signal.Signals = signal.SIGKILL, **options: Any
) -> "subprocess.Popen[Any]":
    """``subprocess.Popen`` of a process that gets the signal ``by`` when we die. To be started from the
    main thread.
    """
    return subprocess.Popen(list(command), preexec_fn=_dies_with(os.getpid(), by), **options)  # noqa: PLW1509 - two system calls


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
    _dies_with(parent, signal.SIGKILL)()


def _dies_with(parent: int, by: signal.Signals) -> Callable[[], None]:
    def ask() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(by), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it was gone before we had asked

    return ask
