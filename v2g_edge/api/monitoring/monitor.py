"""Watches the program and its machine beside the ticks: serves monitoring, and says what runs out before
it does.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from v2g_edge import __version__
from v2g_edge.api.monitoring.metrics import MetricsApi
from v2g_edge.api.state import DepotState
from v2g_edge.host.health import LOOK_EVERY_S, Health, Machine, look_at_machine
from v2g_edge.host.http import HttpServer
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings
from v2g_edge.tasks import end, keep

DISK_LOW_BYTES: Final = 200_000_000
"""Some hours of journal at 200 chargers."""
MEMORY_HIGH_BYTES: Final = 800_000_000
"""Four fifths of the unit's MemoryMax (1 GiB less a margin), at which the kernel would end the daemon."""
BOX_HOT_C: Final = 85.0
"""Industrial boards throttle or stop at 85-100 °C."""
CERTIFICATE_ENDS_S: Final = 30 * 86_400.0
"""A month to renew a certificate that nothing renews by itself."""


class Monitor:
    """``health`` takes what tick and pace report; ``tell`` gets an event for each new trouble, and one
    when it is over.
    """

    def __init__(
        self,
        state: DepotState,
        settings: Settings,
        clock: ClockPort,
        journal_lost: Callable[[], int],
        tell: Callable[[Event], None],
    ) -> None:
        self.health = Health(__version__)
        self.metrics = MetricsApi(state, self.health, clock.now_s, journal_lost)
        self._http = HttpServer(settings.host.metrics, self.metrics.pages())
        self._state_dir = Path(settings.host.state_dir)
        self._certificates = certificates_of(settings)
        self._clock = clock
        self._tell = tell
        self._troubles: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look once, listen, and go on looking. A port in use costs the page, never the daemon: it is
        tried again.
        """
        self._watching = keep("monitor", self._watch)

    async def stop(self) -> None:
        """Stop looking and listening."""
        if self._watching is not None:
            await end(self._watching)
        await self._http.stop()

    async def _watch(self) -> None:
        while True:
            fault = await self._listen()
            machine = await asyncio.to_thread(look_at_machine, self._state_dir, self._certificates)
            self.health.machine = machine
            wall_s = self._clock.wall_s()
            found = list(troubles(machine, wall_s))
            if fault:
                found.append(Event("metrics_not_served", "warning", "site", fault, wall_s))
            self._tell_changes(found, wall_s)
            await self._clock.sleep_s(LOOK_EVERY_S)

    async def _listen(self) -> str:
        try:
            await self._http.start()
        except OSError as error:
            return f"host.metrics cannot be served ({error}); it is tried again every {LOOK_EVERY_S:g} s"
        return ""

    def _tell_changes(self, found: list[Event], wall_s: float) -> None:
        for event in found:
            if event.kind not in self._troubles:
                self._tell(event)
        kinds = {event.kind for event in found}
        for kind in sorted(self._troubles - kinds):
            self._tell(Event("trouble_over", "info", "site", f"{kind} is over", wall_s))
        self._troubles = kinds


def certificates_of(settings: Settings) -> tuple[str, ...]:
    """Every certificate file that the site file names."""
    files = [file for each in settings.listeners for file in (*each.certificate_files, each.client_ca_file)]
    files += [
        settings.cloud.certificate_file,
        settings.cloud.ca_file,
        *(line.ca_file for line in settings.lines),
    ]
    return tuple(sorted({file for file in files if file}))


def troubles(machine: Machine, wall_s: float) -> Iterator[Event]:
    """What runs out, in words."""
    free, used, warm_c = machine.disk_free_bytes, machine.memory_bytes, machine.temperature_c
    if free is not None and free < DISK_LOW_BYTES:
        text = (
            f"{free / 1e6:.0f} MB are free where the state folder lies; a full disk stops the journal, never"
            " the control"
        )
        yield Event("disk_low", "warning", "site", text, wall_s)
    if used is not None and used > MEMORY_HIGH_BYTES:
        text = f"the daemon holds {used / 1e6:.0f} MB; at 1 GiB the system ends it and starts it again"
        yield Event("memory_high", "warning", "site", text, wall_s)
    if warm_c is not None and warm_c > BOX_HOT_C:
        yield Event(
            "box_hot",
            "warning",
            "site",
            f"the machine is at {warm_c:.0f} °C; look at its fan and its cabinet",
            wall_s,
        )
    ending = [name for name, end_s in machine.certificates.items() if end_s - wall_s < CERTIFICATE_ENDS_S]
    if ending:
        first = min(ending, key=lambda name: machine.certificates[name])
        days = (machine.certificates[first] - wall_s) / 86_400.0
        text = f"{first} ends in {days:.0f} days; renew it, then `systemctl reload v2g-edge`"
        yield Event("certificate_ending", "warning", "site", text, wall_s)
