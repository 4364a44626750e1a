"""One station forwarded to one upstream central system under its own identity.

What the station calls goes up in order, from a queue on disk; no answer to the station waits for it, but
Authorize with a bound. What the upstream calls comes down as the site file allows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.dialling import Refusal, dial
from v2g_edge.field.ocpp.upstream.downward import Downward
from v2g_edge.field.ocpp.upstream.limit_reports import LimitReports, left_by
from v2g_edge.field.ocpp.upstream.policy import FORWARDED
from v2g_edge.field.ocpp.upstream.queue import Message, UpstreamQueue, Waiting
from v2g_edge.field.ocpp.upstream.tokens import UpstreamTokens
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Refused, SendIn
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import BULK
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import UpstreamSettings
from v2g_edge.tasks import described

log = structlog.get_logger()

Payload = dict[str, Any]
Tell = Callable[[str, str, str], None]
"""Takes (kind, severity, text) of an event about a station."""

BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Waits between two dials, the last for ever (OCPP 2.x Part 4 5.4 leaves the figures to the station)."""

ANSWER_S: Final = 30.0
"""Patience with an answer of the upstream; then the link is dropped and the message sent again under its
id.
"""

ATTEMPTS: Final = 3
"""So often a message is sent that the upstream answers with an error (TransactionMessageAttempts, 1.6
9.1).
"""
RETRY_S: Final = 10.0

HEARTBEAT_RANGE_S: Final = (10.0, 86_400.0)
"""What is taken of the interval that the upstream asks for in its answer to a boot."""

LATER: Final = frozenset({"InternalError", "GenericError"})
"""Errors that another attempt may mend; all others are about the message itself."""


class Forwarder:
    """See the module. ``tell`` gets events about the station."""

    def __init__(
        self,
        settings: UpstreamSettings,
        link: StationLink,
        store: SqliteStore,
        clock: ClockPort,
        phase_w: float,
        tell: Tell,
    ) -> None:
        self.settings = settings
        self.connection: Connection | None = None
        self.identity = link.station.settings.identity
        self.name = f"{settings.id}/{self.identity}"
        self._link = link
        self._store = store
        self._clock = clock
        self._tell = tell
        self.queue = UpstreamQueue(store, self.name, settings.queue_max)
        self.down = Downward(settings, link, self.queue, store, clock, phase_w, tell)
        self.tokens = UpstreamTokens(settings)
        self.reports = LimitReports(settings, self.name, store)
        self._wake = asyncio.Event()
        self._fact = f"upstream/booted/{self.name}"
        self._version = _known_version(store.fact(f"upstream/version/{self.name}"))
        self._heartbeat_s = 300.0
        self._beats = False
        self._told_thinned = 0
        self._answered = 0

    # What the station calls

    def take(self, version: Version, message: Message) -> None:
        """Queue what the station called."""
        self._speaks(version)
        if self.queue.put(message):
            self._wake.set()
        self._tell_thinned()
        self.down.heard(message)

    def ask(
        self, version: Version, action: str, payload: Payload, answer: Payload
    ) -> Awaitable[Payload] | None:
        """A better answer to Authorize, where this upstream is asked."""
        if action != "Authorize" or self.settings.authorize != "upstream":
            return None
        self._speaks(version)
        self._wake.set()
        return self.tokens.ask(self.connection, payload, answer)

    def observe(self, permits: Mapping[str, Permit], wall_s: float, *, dimmed: bool) -> None:
        """What the depot permits now, to be reported where it is less than this upstream asked for."""
        connection, reports = self.connection, self.reports
        if connection is None or not reports.speaks(connection.version):
            return
        limits = self.down.limits_at(wall_s)
        for number, outlet in self._link.station.outlets.items():
            evse, permit = outlet.evse, permits.get(outlet.evse.id)
            if permit is None or outlet.session is None:
                reports.see_idle(number)
                continue
            asked_w = min([evse.max_charge_w, *(each.power_w for each in limits if each.evse == evse.id)])
            reports.see(number, asked_w, left_by(permit, dimmed=dimmed))
        if reports.due(connection.version, self._clock.now_s()) is not None:
            self._wake.set()

    def _speaks(self, version: Version) -> None:
        """What waits is in this version, also after a restart."""
        if self._version != version:
            self._version = version
            self._store.remember(f"upstream/version/{self.name}", version)

    def _tell_thinned(self) -> None:
        if self.queue.thinned >= 2 * max(self._told_thinned, 1):
            self._told_thinned = self.queue.thinned
            self._tell(
                "upstream_thinned",
                "warning",
                f"{self.queue.thinned} readings were left out: more than {self.settings.queue_max} messages"
                f" wait for upstream {self.settings.id}. Transactions are kept. See why it is not reached.",
            )

    # The link up

    async def run(self) -> None:
        """Dial, serve, and dial again, until cancelled."""
        attempt = 0
        while True:
            version = await self._due()
            try:
                ws = await dial(self.settings, self.identity, version)
                answered = self._answered
                await self.down.serve(self, ws, version)
                if self._answered > answered:
                    attempt = 0
            except Refusal as fault:
                attempt = max(attempt, len(BACKOFF_S) - 1)
                self._tell("upstream_refused", "warning", str(fault))
            except Exception as fault:  # noqa: BLE001 - network, certificates, password files: any class (rule 14)
                log.info("upstream_offline", station=self.identity, fault=described(fault)[:200])
            await self._clock.sleep_s(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1

    async def _due(self) -> Version:
        """Wait until there is something to say upstream: a station that is here, or a message that waits."""
        while True:
            self._wake.clear()
            link = self._link.connection
            version = self._version or (link.version if link is not None else None)
            if version is not None and (link is not None or len(self.queue)):
                return version
            await self._wake.wait()

    async def exchange(self, connection: Connection) -> None:
        """Boot where that is due, then send what waits, in order, and heartbeats."""
        if not self._store.fact(self._fact):
            head = self.queue.head()
            if head is None or head.action != "BootNotification":
                await self._boot(connection, self.down.made_up_boot(connection.version), "")
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._heartbeat_s, self._beat)
        self._beats, self.reports.refused = False, False
        try:
            while True:
                self._wake.clear()
                while (waiting := self.queue.head()) is not None:
                    await self._send(connection, waiting)
                await self._report(connection)
                if self._link.connection is None:
                    return  # no station is behind this link: the upstream sees the station as offline
                if self._beats:
                    self._beats = False
                    timer = loop.call_later(self._heartbeat_s, self._beat)
                    await self._call(connection, "Heartbeat", {}, "")
                else:
                    await self._wake.wait()
        finally:
            timer.cancel()

    def _beat(self) -> None:
        self._beats = True
        self._wake.set()

    async def _send(self, connection: Connection, waiting: Waiting) -> None:
        """Send one message until the upstream has it, or refuses it for good."""
        ready = self.down.upward(waiting)
        if ready is None:
            self._drop(waiting, "the upstream gave its transaction no number")
            return
        message_id = self.queue.message_id(waiting)
        if waiting.action == "BootNotification":
            await self._boot(connection, ready.payload, message_id)
            self.queue.done(waiting)
            return
        for attempt in range(ATTEMPTS):
            try:
                outcome = await self._call(
                    connection, waiting.action, ready.payload, message_id, encoded=ready.body
                )
            except ValueError as fault:
                self._drop(waiting, str(fault)[:200])
                return
            if isinstance(outcome, Answered):
                self.down.answered(waiting, outcome.payload)
                self.queue.done(waiting)
                return
            if outcome.code not in LATER or attempt == ATTEMPTS - 1:
                self._drop(waiting, f"{outcome.code} {outcome.description[:150]}")
                return
            await self._clock.sleep_s(RETRY_S)

    async def _report(self, connection: Connection) -> None:
        """Tell what is limited, as far as that is due."""
        reports, version = self.reports, connection.version
        if not reports.speaks(version):
            return
        while (report := reports.due(version, self._clock.now_s())) is not None:
            outcome = await self._call(connection, report.action, report.payload, "")
            if isinstance(outcome, Refused):
                why = f"{outcome.code} {outcome.description[:150]}"
            elif outcome.payload.get("status", "Accepted") != "Accepted":
                why = str(outcome.payload["status"])
            else:
                reports.answered(report, self._clock.now_s())
                continue
            reports.refused = True
            text = f"upstream {self.settings.id} does not take {report.action} ({why}): what the depot limits"
            self._tell("upstream_refused", "info", f"{text} is not told there")
            return

    async def _boot(self, connection: Connection, payload: Payload, message_id: str) -> None:
        """Boot until it is accepted; nothing else goes up before (OCPP 1.6 4.2, 2.x B02, B03)."""
        while True:
            outcome = await self._call(connection, "BootNotification", payload, message_id)
            said = outcome.payload if isinstance(outcome, Answered) else {}
            low_s, high_s = HEARTBEAT_RANGE_S
            wait_s = min(max(float(said.get("interval") or low_s), low_s), high_s)
            if said.get("status") == "Accepted":
                self._heartbeat_s = wait_s
                self._store.remember(self._fact, "1")
                return
            log.warning("upstream_boot_waits", station=self.identity, status=str(said.get("status", "error")))
            await self._clock.sleep_s(wait_s)

    async def _call(
        self, connection: Connection, action: str, payload: Payload, message_id: str, encoded: bytes = b""
    ) -> Answered | Refused:
        """ConnectionError when the upstream does not answer: the link is worth nothing then."""
        outcome = await connection.call(
            action, payload, priority=BULK, timeout_s=ANSWER_S, message_id=message_id, encoded=encoded
        )
        if isinstance(outcome, Answered | Refused):
            self._answered += 1
            return outcome
        raise ConnectionError(f"upstream {self.settings.id} does not answer {action} ({outcome.why})")

    def _drop(self, waiting: Waiting, why: str) -> None:
        self.queue.done(waiting)
        text = f"{waiting.action} does not reach upstream {self.settings.id}: {why}"
        self._tell("upstream_refused", "warning", text)

    # What the upstream calls: ``ConnectionOwner``

    def take_call(self, connection: Connection, call: CallIn) -> None:
        """See ``ConnectionOwner``."""
        self.down.take(connection, call)

    def take_send(self, message: SendIn) -> None:
        """See ``ConnectionOwner``. A central system sends nothing unconfirmed."""

    def take_late(self, answer: Answered | Refused) -> None:
        """See ``ConnectionOwner``. The message was sent again meanwhile, under the same id."""
        log.info("upstream_answered_late", station=self.identity, action=answer.action)

    def take_life(self) -> None:
        """See ``ConnectionOwner``."""

    def describe(self) -> Payload:
        """For status and people."""
        return {
            "id": self.settings.id,
            "connected": self.connection is not None,
            "waiting": len(self.queue),
            "left_out": self.queue.thinned,
            "profiles": len(self.down.book),
        }


def _known_version(text: str) -> Version | None:
    return next((version for version in FORWARDED if version == text), None)
