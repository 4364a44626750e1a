"""What the daemon keeps on the disk, looked after beside the ticks (rule 13): what the disk refused is
written again, and what is the matter with a file is reported once.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from v2g_edge.host.control import ControlSocket
from v2g_edge.host.journal import Journal
from v2g_edge.host.operator import OperatorFile
from v2g_edge.host.rescuefile import NAME, Contactors, RescueFile
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.tasks import end, keep

HOUSEKEEPING_S: Final = 5.0
"""Between two looks at what the disk or the control socket refused."""


class Stations(Protocol):
    """The central system, as far as its store is concerned."""

    def store_fault(self) -> str:
        """What is the matter with its file, "" for nothing."""


class Bookings(Protocol):
    """The ledger of sold export."""

    def look(self, wall_s: float, *, synced: bool) -> None:
        """Read it once."""

    def fault(self) -> str:
        """What is the matter with its file, "" for nothing."""


class Persistence:
    """``start`` once everything else runs; ``tell`` gets an event for each file that is not well."""

    def __init__(
        self,
        control: ControlSocket,
        orders: OperatorFile,
        stations: Stations,
        bookings: Bookings,
        clock: ClockPort,
        tell: Callable[[Event], None],
    ) -> None:
        self._control = control
        self._orders = orders
        self._stations = stations
        self._bookings = bookings
        self._clock = clock
        self._tell = tell
        self._journal: Journal | None = None
        self._told: dict[str, str] = {}
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self, journal: Journal) -> None:
        """Look at everything once, and from now on every few seconds."""
        self._journal = journal
        if self._orders.fault:
            self.tell(
                "operator.json",
                f"{self._orders.fault} A stop is taken to stand: `v2g-edge release stop` ends it.",
            )
        self._bookings.look(self._clock.wall_s(), synced=self._clock.synced())
        await self.look()
        self._housekeeping = keep("housekeeping", self._keep_house)

    async def stop(self) -> None:
        """End the looks."""
        if self._housekeeping is not None:
            await end(self._housekeeping)

    async def keep_rescue(self, file: RescueFile, contactors: Contactors) -> None:
        """This start is a good one: what it knows of contactors opens them when the site file cannot be
        read any more.
        """
        try:
            await asyncio.to_thread(file.save, contactors)
        except OSError as error:
            self.tell(NAME, f"the contactors are known from the site file alone: {error}")

    async def look(self) -> None:
        """Listen on the control socket, write the orders that the disk refused, and report what is the
        matter with the files.
        """
        try:
            await self._control.start()
        except OSError as error:
            self._tell_once("control socket", f"nobody can ask or order: {error}; tried again")
        if unsaved := await asyncio.to_thread(self._orders.save_again):
            self._tell_once(
                "operator.json", f"the standing orders act and are not on the disk: {unsaved}; tried again"
            )
        if fault := self._stations.store_fault():
            self._tell_once("ocpp.sqlite", fault)
        if fault := self._bookings.fault():
            self._tell_once("offers.json", fault)
        faults = self._journal.faults if self._journal is not None else ()
        while faults:
            self.tell("journal", faults.popleft())

    def tell(self, subject: str, text: str) -> None:
        """A file of ours cannot be read or written; control goes on."""
        self._tell(Event("state_not_kept", "alarm", subject, text, self._clock.wall_s()))

    def _tell_once(self, subject: str, text: str) -> None:
        """Again only when it has changed."""
        if self._told.get(subject) != text:
            self._told[subject] = text
            self.tell(subject, text)

    async def _keep_house(self) -> None:
        while True:
            await self._clock.sleep_s(HOUSEKEEPING_S)
            await self.look()
