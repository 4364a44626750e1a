"""One station forwarded to one upstream central system under its own identity.

What the station calls goes up in order, from a queue on disk; no answer to the station waits for it, but
Authorize with a bound. What the upstream calls comes down as the site file allows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.upstream.dialling import Refusal, dial
from v2g_edge.field.ocpp.upstream.downward import Downward
from v2g_edge.field.ocpp.upstream.exchange import Exchange
from v2g_edge.field.ocpp.upstream.limit_reports import LimitReports, left_by
from v2g_edge.field.ocpp.upstream.policy import FORWARDED
from v2g_edge.field.ocpp.upstream.queue import Message, UpstreamQueue
from v2g_edge.field.ocpp.upstream.rows import UpstreamRows
from v2g_edge.field.ocpp.upstream.tokens import UpstreamTokens
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.dialed import Dialed
from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Refused, SendIn
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import UpstreamSettings
from v2g_edge.tasks import begin, described, end

log = structlog.get_logger()

Payload = dict[str, Any]
Tell = Callable[[str, str, str], None]
"""Takes (kind, severity, text) of an event about a station."""

BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Waits between two dials, the last for ever (OCPP 2.x Part 4 5.4 leaves the figures to the station)."""


class Forwarder:
    """See the module. ``tell`` gets events about the station."""

    def __init__(
        self,
        settings: UpstreamSettings,
        link: StationLink,
        rows: UpstreamRows,
        clock: ClockPort,
        phase_w: float,
        tell: Tell,
    ) -> None:
        self.settings = settings
        self.connection: Connection | None = None
        self.identity = link.station.settings.identity
        self.name = f"{settings.id}/{self.identity}"
        self._link = link
        self._store = store = rows.store
        self._clock = clock
        self._tell = tell
        self.queue = UpstreamQueue(rows, self.name, settings.queue_max)
        self.down = Downward(settings, link, self.queue, store, clock, phase_w, tell)
        self.tokens = UpstreamTokens(settings)
        self.reports = LimitReports(settings, self.name, store)
        self.exchange: Exchange | None = None
        self._wake = asyncio.Event()
        self._version = _known_version(store.fact(f"upstream/version/{self.name}"))
        self._told_thinned = 0

    # What the station calls

    def take(self, version: Version, message: Message) -> None:
        """Queue what the station called."""
        self._speaks(version)
        if self.queue.put(message):
            self._due_now()
        if self.queue.thinned:
            self._tell_thinned()
        self.down.heard(message)

    def ask(
        self, version: Version, action: str, payload: Payload, answer: Payload
    ) -> Awaitable[Payload] | None:
        """A better answer to Authorize, where this upstream is asked."""
        if action != "Authorize" or self.settings.authorize != "upstream":
            return None
        self._speaks(version)
        self._due_now()
        return self.tokens.ask(self.connection, version, payload, answer)

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
            self._due_now()

    def _due_now(self) -> None:
        """There is something to say upstream."""
        if self.exchange is not None:
            self.exchange.go_on()
        else:
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
                ws, chosen = await dial(self.settings, self.identity, version)
                if await self._serve(ws, chosen):
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

    async def _serve(self, ws: Dialed, version: Version) -> bool:
        """Run one link to its end; whether the upstream has answered anything."""
        machine = Machine(version, "station", prefix="lc-", strict=False)
        connection = Connection(ws, machine, self, f"{self.identity} at {self.settings.id}")
        exchange = Exchange(
            connection, self._link, self.queue, self.down, self.reports, self._store, self._clock, self._tell,
            same_version=version == self._version,
        )  # fmt: skip
        self.connection, self.exchange = connection, exchange
        log.info("upstream_online", station=self.identity, upstream=self.settings.id, version=version)
        listening = begin(f"upstream link of {self.name}", connection.run())
        sending = begin(f"upstream {self.name}", _quietly(exchange.run()))
        try:
            await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.connection = self.exchange = None
            sending.cancel()
            self.down.cancel()
            await ws.close()
            await asyncio.gather(listening, return_exceptions=True)
            await end(sending)
            log.warning("upstream_offline", station=self.identity, upstream=self.settings.id)
        return exchange.answers > 0

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


async def _quietly(work: Any) -> None:
    """An upstream that goes silent ends the link; that is no failure of ours."""
    try:
        await work
    except ConnectionError as fault:
        log.warning("upstream_silent", fault=str(fault))
