"""One link to an upstream, our side of the talk: the boot, what waits, reports, heartbeats; one call at once.

A message that conforms, on a link that keeps up, takes the fast path: it is sent in the call that brought it,
and its answer brings the next one. Everything else is done by ``run``.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.downward import Downward
from v2g_edge.field.ocpp.upstream.limit_reports import LimitReports
from v2g_edge.field.ocpp.upstream.queue import UpstreamQueue, Waiting
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Expired, Refused
from v2g_edge.field.ocpp.wire.queue import BULK
from v2g_edge.model.ports import ClockPort
from v2g_edge.tasks import described

log = structlog.get_logger()

Payload = dict[str, Any]

ANSWER_S: Final = 30.0
"""Patience with an answer of the upstream; then the link is dropped and the message sent again under its
id.
"""

ATTEMPTS: Final = 3
"""So often a message is sent that the upstream answers with an error (TransactionMessageAttempts, 1.6
9.1).
"""
RETRY_S: Final = 10.0

HEARTBEAT_S: Final = 300.0
HEARTBEAT_RANGE_S: Final = (10.0, 86_400.0)
"""What is taken of the interval that the upstream asks for in its answer to a boot."""

LATER: Final = frozenset({"InternalError", "GenericError"})
"""Errors that another attempt may mend; all others are about the message itself."""

BOOT: Final = "BootNotification"


class Exchange:
    """See the module. ``tell`` gets events about the station; ``answers`` counts what the upstream said.
    ``same_version``: as the station's; else each message is held against the schema of the upstream's.
    """

    def __init__(
        self,
        connection: Connection,
        link: StationLink,
        queue: UpstreamQueue,
        down: Downward,
        reports: LimitReports,
        store: SqliteStore,
        clock: ClockPort,
        tell: Callable[[str, str, str], None],
        *,
        same_version: bool,
    ) -> None:
        self._same_version = same_version
        self.answers = 0
        self._connection = connection
        self._link = link
        self._queue = queue
        self._down = down
        self._reports = reports
        self._store = store
        self._clock = clock
        self._tell = tell
        self._identity = link.station.settings.identity
        self._fact = f"upstream/booted/{queue.name}"
        self._wake = asyncio.Event()
        self._heartbeat_s = HEARTBEAT_S
        self._beats = False
        self._waits = False
        self._flying: Waiting | None = None
        self._silent = ""

    # The fast path

    def go_on(self) -> None:
        """There is something to say. What goes wrong is the link's, not that of the station that spoke."""
        try:
            flies = self._waits and self._flying is None and self._fly()
        except Exception as fault:  # noqa: BLE001 - a link that is about to end: any class (rule 14)
            self._flying, flies = None, False
            self._silent = f"upstream {self._queue.upstream} cannot be written to: {described(fault)[:200]}"
        if not flies:
            self._wake.set()

    def _fly(self) -> bool:
        """Send the oldest message where it can go the fast path."""
        waiting = self._queue.head()
        if waiting is None or not (waiting.body and self._same_version) or waiting.action == BOOT:
            return False
        ready = self._down.upward(waiting)
        if ready is None:
            return False
        self._flying = waiting
        self._connection.call_then(
            ready.action, ready.body, self._landed, priority=BULK, timeout_s=ANSWER_S,
            message_id=self._queue.message_id(waiting),
        )  # fmt: skip
        return True

    def _landed(self, outcome: Outcome) -> None:
        waiting, self._flying = self._flying, None
        if isinstance(outcome, Answered) and waiting is not None:
            self.answers += 1
            self._down.answered(waiting, outcome.payload)
            self._queue.done(waiting)
            if self._waits and (not len(self._queue) or self._fly()):
                return
        elif isinstance(outcome, Expired):
            self._silent = f"upstream {self._queue.upstream} does not answer {outcome.action} ({outcome.why})"
        self._wake.set()  # what was refused is sent once more, and judged there

    # All else

    async def run(self) -> None:
        """Boot where that is due, then send what waits, in order, and heartbeats. Returns when no station is
        behind the link; ConnectionError when the upstream does not answer.
        """
        if not self._store.fact(self._fact):
            head = self._queue.head()
            if head is None or head.action != BOOT:
                await self._boot(self._down.made_up_boot(self._connection.version), "")
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._heartbeat_s, self._beat)
        self._reports.refused = False
        try:
            while True:
                self._wake.clear()
                if self._silent:
                    raise ConnectionError(self._silent)
                if self._flying is None:
                    await self._say_all()
                    if self._link.connection is None:
                        return  # no station is behind this link: the upstream sees the station as offline
                    if self._beats:
                        self._beats = False
                        timer = loop.call_later(self._heartbeat_s, self._beat)
                        await self._call("Heartbeat", {}, "")
                        continue
                self._waits = self._flying is None
                await self._wake.wait()
                self._waits = False
        finally:
            timer.cancel()

    def _beat(self) -> None:
        self._beats = True
        self._wake.set()

    async def _say_all(self) -> None:
        while (waiting := self._queue.head()) is not None:
            await self._send(waiting)
        await self._report()

    async def _send(self, waiting: Waiting) -> None:
        """Send one message until the upstream has it, or refuses it for good."""
        ready = self._down.upward(waiting)
        if ready is None:
            self._drop(waiting, "the upstream gave its transaction no number")
            return
        message_id = self._queue.message_id(waiting)
        if waiting.action == BOOT:
            await self._boot(ready.payload, message_id)
            self._queue.done(waiting)
            return
        for attempt in range(ATTEMPTS):
            try:
                encoded = ready.body if self._same_version else b""
                outcome = await self._call(waiting.action, ready.payload, message_id, encoded=encoded)
            except ValueError as fault:
                self._drop(waiting, str(fault)[:200])
                return
            if isinstance(outcome, Answered):
                self._down.answered(waiting, outcome.payload)
                self._queue.done(waiting)
                return
            if outcome.code not in LATER or attempt == ATTEMPTS - 1:
                self._drop(waiting, f"{outcome.code} {outcome.description[:150]}")
                return
            await self._clock.sleep_s(RETRY_S)

    async def _report(self) -> None:
        """Tell what is limited, as far as that is due."""
        reports, version = self._reports, self._connection.version
        if not reports.speaks(version):
            return
        while (report := reports.due(version, self._clock.now_s())) is not None:
            outcome = await self._call(report.action, report.payload, "")
            if isinstance(outcome, Refused):
                why = f"{outcome.code} {outcome.description[:150]}"
            elif outcome.payload.get("status", "Accepted") != "Accepted":
                why = str(outcome.payload["status"])
            else:
                reports.answered(report, self._clock.now_s())
                continue
            reports.refused = True
            text = f"upstream {self._queue.upstream} does not take {report.action} ({why}): what the depot"
            self._tell("upstream_refused", "info", f"{text} limits is not told there")
            return

    async def _boot(self, payload: Payload, message_id: str) -> None:
        """Boot until it is accepted; nothing else goes up before (OCPP 1.6 4.2, 2.x B02, B03)."""
        while True:
            outcome = await self._call(BOOT, payload, message_id)
            said = outcome.payload if isinstance(outcome, Answered) else {}
            low_s, high_s = HEARTBEAT_RANGE_S
            wait_s = min(max(float(said.get("interval") or low_s), low_s), high_s)
            if said.get("status") == "Accepted":
                self._heartbeat_s = wait_s
                self._store.remember(self._fact, "1")
                return
            status = str(said.get("status", "error"))
            log.warning("upstream_boot_waits", station=self._identity, status=status)
            await self._clock.sleep_s(wait_s)

    async def _call(
        self, action: str, payload: Payload, message_id: str, encoded: bytes = b""
    ) -> Answered | Refused:
        """ConnectionError when the upstream does not answer: the link is worth nothing then."""
        outcome = await self._connection.call(
            action, payload, priority=BULK, timeout_s=ANSWER_S, message_id=message_id, encoded=encoded
        )
        if isinstance(outcome, Answered | Refused):
            self.answers += 1
            return outcome
        raise ConnectionError(f"upstream {self._queue.upstream} does not answer {action} ({outcome.why})")

    def _drop(self, waiting: Waiting, why: str) -> None:
        self._queue.done(waiting)
        text = f"{waiting.action} does not reach upstream {self._queue.upstream}: {why}"
        self._tell("upstream_refused", "warning", text)
