"""Writes down, once a second, whether the kernel's clock is synchronised: ``python -m
v2g_edge.host.clockstate FILE``.

The call that reads this (adjtimex) is also the call that sets the clock, so systemd's ``ProtectClock=``
forbids both. A small unit without network and without files of its own asks the kernel; the daemon, which is
locked in, reads one line.
"""

import ctypes
import sys
import time
from pathlib import Path
from typing import Final

TIME_ERROR: Final = 5
"""What adjtimex(2) returns while the kernel's clock is not synchronised."""

EVERY_S: Final = 1.0
ROUNDED_S: Final = 0.1
STALE_S: Final = 5.0
"""A line older than five turns says nothing: the unit that writes it stands still."""


class Kernel:
    """Asks the kernel itself. ``read`` is None where the sandbox does not let it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads.
        self._timex = ctypes.create_string_buffer(512)

    def read(self) -> bool | None:
        """Whether a time service disciplines the clock (chrony, timesyncd, ntpd)."""
        ctypes.memset(self._timex, 0, ctypes.sizeof(self._timex))
        state = int(self._libc.adjtimex(self._timex))
        return None if state < 0 else state < TIME_ERROR


def write(path: Path, synced: bool, now_s: float) -> None:
    """Replace the line in one step."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(f"{int(synced)} {now_s:.1f}\n", encoding="ascii")
    fresh.replace(path)


def read(path: Path, now_s: float) -> bool:
    """What the line says; False where there is none, or an old or unreadable one. ``now_s`` is
    CLOCK_MONOTONIC.
    """
    try:
        word, at = path.read_text(encoding="ascii").split()
        return word == "1" and -ROUNDED_S <= now_s - float(at) <= STALE_S
    except (OSError, ValueError):
        return False


def main() -> int:
    """Write for ever."""
    path, kernel = Path(sys.argv[1]), Kernel()
    while True:
        write(path, kernel.read() is True, time.monotonic())
        time.sleep(EVERY_S)  # the pace of a program that does nothing else


if __name__ == "__main__":
    sys.exit(main())
