"""What systemd is told (sd_notify(3)). The watchdog is fed by proof of work only: the caller feeds it after a whole tick."""

import sdnotify


class Watchdog:
    """Speaks to the service manager; silent where there is none (no NOTIFY_SOCKET)."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        self.fed = 0

    def ready(self) -> None:
        """The daemon listens and the first tick is done."""
        self._notifier.notify("READY=1")

    def feed(self, status: str) -> None:
        """One whole tick: every check answered, gate passed, writer served. ``status`` is one line for people."""
        self.fed += 1
        self._notifier.notify(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The daemon is on its way out; chargers go to their defaults."""
        self._notifier.notify("STOPPING=1")
