"""What systemd gets (sd_notify(3): one datagram a message). The watchdog is fed by proof of work only,
after a whole tick.
"""

import os
import socket


class Watchdog:
    """Speaks to the service manager; silent where there is none (no NOTIFY_SOCKET)."""

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.fed = 0

    def ready(self) -> None:
        """The daemon listens and the first tick is done."""
        self._notify("READY=1")

    def feed(self, status: str) -> None:
        """One whole tick: every check answered, gate passed, writer served. ``status`` is one line for
        people.
        """
        self.fed += 1
        self._notify(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The daemon is on its way out; chargers go to their defaults."""
        self._notify("STOPPING=1")

    def _notify(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        ) as manager:
            try:
                manager.sendto(message.encode(), self._address)
            except OSError:
                # a manager that does not listen will miss the watchdog and act; there is no other to notify
                return
