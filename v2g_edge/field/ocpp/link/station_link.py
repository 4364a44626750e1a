"""A station and its present link: answers its calls, onboards it when it connects, and lets a newer link
take over.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.control.outlet_port import OutletPort
from v2g_edge.field.ocpp.link.onboarding import Onboarding
from v2g_edge.field.ocpp.link.polling import Polling
from v2g_edge.field.ocpp.link.remote_start import start_waiting
from v2g_edge.field.ocpp.station.energy_transfer import TELLING, send_allowed_transfer
from v2g_edge.field.ocpp.station.station import ROUTINE_TALK, Station
from v2g_edge.field.ocpp.station.store import TransactionStore
from v2g_edge.field.ocpp.trust.admission import Shown
from v2g_edge.field.ocpp.versions.v16 import V16
from v2g_edge.field.ocpp.versions.v21 import V21
from v2g_edge.field.ocpp.versions.v201 import V201
from v2g_edge.field.ocpp.versions.version import VersionAdapter
from v2g_edge.field.ocpp.wire.budget import INFLATED_FREE, Allowance
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, CallIn, Refused, SendIn
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.websocket import Wire
from v2g_edge.model.ports import ClockPort
from v2g_edge.tasks import begin, keep

log = structlog.get_logger()

VERSION_ADAPTERS: Final[Mapping[Version, type[VersionAdapter]]] = {"1.6": V16, "2.0.1": V201, "2.1": V21}

HANDLES: Final[dict[Version, frozenset[str]]] = {}
"""What each adapter answers: one set for all stations."""

PINGS: Final = 50
"""Pings that the link's loss is counted over."""
AMENDING_MAX: Final = 4
"""Answers of one station that may wait for an OCSP responder at once; all stations share the few turns
that are asked there.
"""

PONG_S: Final = 5.0
"""A ping not answered by then is lost; on a depot's network an answer takes milliseconds (loop time)."""
LOST_MAX: Final = 3
"""So many lost pings in a row, and the link is dead: TCP alone would take a quarter of an hour to notice."""


class Tap(Protocol):
    """Hears what a station calls, on its way to an upstream central system."""

    def take(
        self,
        version: Version,
        action: str,
        payload: dict[str, Any],
        answer: dict[str, Any],
        *,
        conforms: bool,
    ) -> dict[str, Any]:
        """Queue a call that was taken in; the answer that the station gets. Durable with the store's next
        write, which the answer waits for. ``conforms``: the payload, to its schema.
        """

    def ask(
        self, version: Version, action: str, payload: dict[str, Any], answer: dict[str, Any]
    ) -> Awaitable[dict[str, Any]] | None:
        """A better answer that takes its time; None where there is nothing to ask."""


class StationLink:
    """One configured station with at most one live link; the owner of its connection.

    ``allowance`` is what the station may still send, on whatever link. ``may_compress``: until one of its
    messages was larger than a compressed one may be; it sends that again on its next link, which is without
    compression then. ``on_message`` is called for each call that was taken, routine ones aside. ``amend`` may
    take its time over an answer; the station's other messages go on meanwhile.
    """

    def __init__(self, station: Station, board: Board, clock: ClockPort, store: TransactionStore) -> None:
        self.station = station
        self.ports = {
            outlet.evse.id: OutletPort(station, outlet, board, clock) for outlet in station.outlets.values()
        }
        self.connection: Connection | None = None
        self.shown = Shown()
        self.allowance = Allowance()
        self.may_compress = True
        self.amend: (
            Callable[[str, str, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]] | None] | None
        ) = None
        self.upstream: Tap | None = None
        self._amending: dict[asyncio.Task[None], Connection] = {}
        self.on_message: Callable[[str, str, dict[str, Any]], None] | None = None
        self._board = board
        self._clock = clock
        self._store = store
        self._adapter: VersionAdapter | None = None
        self._onboarding: Onboarding | None = None
        self._task: asyncio.Task[None] | None = None
        self._pings: deque[bool] = deque(maxlen=PINGS)
        self._unanswered = False
        self._ping_sent_s = 0.0

    async def serve(self, ws: Wire, version: Version, prefix: str, shown: Shown) -> None:
        """Run one link to its end. A link that still stands gives way: the station knows better than TCP
        whether it is dead.
        """
        identity = self.station.settings.identity
        old = self.connection
        adapter = VERSION_ADAPTERS[version](self.station, self._clock.wall_s)
        handles = HANDLES.setdefault(version, adapter.handles)
        machine = Machine(
            version, "central", prefix=prefix, strict=self.station.settings.strict, handles=handles
        )
        connection = Connection(ws, machine, self, identity)
        self.connection, self._adapter, self._unanswered, self.shown = connection, adapter, False, shown
        if old is not None:
            log.warning("station_link_taken_over", station=identity)
            old.ws.transport.abort()
        self._set_ports(connection)
        self.station.requests.encrypted = ws.transport.get_extra_info("ssl_object") is not None
        self.station.link_up(version)
        self._start_onboarding(version)
        polling = Polling(self.station, connection, self._board, self._clock)
        attending = keep(f"attend {identity}", polling.run)
        log.info("station_connected", station=identity, version=version, peer=str(ws.remote_address))
        try:
            await connection.run()
        finally:
            attending.cancel()
            for task in [task for task, its in self._amending.items() if its is connection]:
                task.cancel()  # no caller is left to be answered, and a station that dials anew may ask anew
            if self.connection is connection:
                self._stop_onboarding()
                self.connection = None
                self._set_ports(None)
                self.station.link_down()
                if ws.was_too_large and self.may_compress:
                    self.may_compress = False
                    log.warning("station_message_too_large", station=identity, allowed_octets=INFLATED_FREE)
                log.warning(
                    "station_disconnected", station=identity, code=ws.close_code, reason=ws.close_reason
                )

    def holds_against(self, shown: Shown) -> str:
        """Why a link that stands does not give way to one that has shown this; "" where it does.

        A lower security profile proves less: by it, another peer could take the place of the station.
        """
        if self.connection is None or shown.profile >= self.shown.profile:
            return ""
        identity = self.station.settings.identity
        return (
            f"{identity} is connected with security profile {self.shown.profile}; this listener has"
            f" {shown.profile}"
        )

    def take_call(self, connection: Connection, call: CallIn) -> None:
        """Answer one call: read it, let the station take it in, and answer when what came of it is on
        disk.
        """
        adapter = self._adapter
        if connection is not self.connection or adapter is None:
            connection.refuse(call.id, "GenericError", "this link was replaced by a newer one")
            return
        if adapter.unwelcome(call.action):
            connection.refuse(
                call.id,
                "SecurityError",
                "the boot is not accepted yet: send BootNotification, or what is asked for",
            )
            return
        if call.problems:
            told = [f"{problem.where}: {problem.what}" for problem in call.problems]
            log.warning(
                "station_payload_odd",
                station=self.station.settings.identity,
                action=call.action,
                problems=told,
            )
        try:
            payload = adapter.answer(call.action, call.payload)
            if self.upstream is not None:
                payload = self.upstream.take(
                    connection.version, call.action, call.payload, payload, conforms=not call.problems
                )
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
            connection.refuse(call.id, "FormatViolation", f"{call.action} cannot be read: {fault!r}")
            return
        except sqlite3.Error as fault:
            self._not_stored(connection, call, fault)
            return
        may_ask = len(self._amending) < AMENDING_MAX
        may_wait = self.amend is not None and may_ask
        better = (
            self.amend(connection.version, call.action, call.payload, payload)
            if self.amend and may_wait
            else None
        )
        if better is None and self.upstream is not None and may_ask:
            better = self.upstream.ask(connection.version, call.action, call.payload, payload)
        if better is None:
            self._store.when_durable(partial(self._answer, connection, call, payload))
            return
        task = begin(f"amend {call.action}", self._answer_later(connection, call, better))
        self._amending[task] = connection
        task.add_done_callback(self._amending.pop)

    async def _answer_later(
        self, connection: Connection, call: CallIn, better: Awaitable[dict[str, Any]]
    ) -> None:
        self._store.when_durable(partial(self._answer, connection, call, await better))

    def _answer(
        self, connection: Connection, call: CallIn, payload: dict[str, Any], failed: sqlite3.Error | None
    ) -> None:
        if failed is not None:
            self._not_stored(connection, call, failed)
            return
        try:
            connection.answer(call.id, payload)
        except ValueError as fault:  # it echoes what a lenient link let pass
            connection.refuse(call.id, "FormatViolation", f"{call.action} cannot be answered: {fault}")
        self.station.remember_told(call.action, call.payload)
        if self.on_message is not None and call.action not in ROUTINE_TALK:
            self.on_message(self.station.settings.identity, call.action, call.payload)
        if connection is not self.connection:
            return  # gone while the disk wrote
        if connection.version == "2.1" and call.action in TELLING:
            for outlet in self.station.outlets.values():
                send_allowed_transfer(connection, self.station.v21.site, outlet)
        if self.station.requests.signed:
            self._send_certificate(connection, call.payload)
        if call.action == "StatusNotification":
            start_waiting(connection, self.station, self._board)
        if call.action == "BootNotification":
            self._booted(connection.version, accepted=payload["status"] == "Accepted")

    def _not_stored(self, connection: Connection, call: CallIn, fault: sqlite3.Error) -> None:
        log.error("transaction_store_failed", station=self.station.settings.identity, fault=str(fault))
        self.station.sessions.not_stored()
        connection.refuse(call.id, "InternalError", "not stored; send it again")

    def expect(self, requested: str) -> None:
        """A message was asked for (TriggerMessage): it is welcome also while the boot is pending."""
        if self._adapter is not None:
            self._adapter.asked.add("SignCertificate" if requested.startswith("Sign") else requested)

    def _booted(self, version: Version, *, accepted: bool) -> None:
        """A station that may go on is onboarded now; one that must wait is left alone until it boots
        again.
        """
        if not accepted:
            self._stop_onboarding()
            return
        if self._onboarding is None or self._onboarding.booted.is_set():
            self._start_onboarding(version)
        if self._onboarding is not None:
            self._onboarding.booted.set()

    def _send_certificate(self, connection: Connection, request: dict[str, Any]) -> None:
        """A signed certificate goes back by a call of its own; the station installs it and dials in with
        it next time.
        """
        payload = {"certificateChain": self.station.requests.signed}
        payload |= {name: request[name] for name in ("certificateType", "requestId") if name in request}
        self.station.requests.signed = ""
        connection.start_call("CertificateSigned", payload).add_done_callback(
            partial(_tell_installed, connection.identity)
        )

    def take_send(self, message: SendIn) -> None:
        """Unconfirmed messages: periodic event streams (2.1)."""
        if isinstance(self._adapter, V21):
            try:
                self._adapter.take_stream(message.payload)
            except (ArithmeticError, LookupError, TypeError, ValueError) as fault:
                log.info("stream_unreadable", station=self.station.settings.identity, fault=repr(fault))

    def take_late(self, answer: Answered | Refused) -> None:
        """An answer after its deadline: the caller has long had its error; it is worth a line because it
        says how slow.
        """
        log.warning("station_answered_late", station=self.station.settings.identity, action=answer.action)

    def take_life(self) -> None:
        """Something arrived."""
        self.station.alive()

    def ping(self, now_s: float) -> None:
        """Send a ping unless one is under way; count what was lost; drop a dead link. ``now_s`` is loop
        time.
        """
        connection = self.connection
        if connection is None:
            return
        if self._unanswered:
            if now_s - self._ping_sent_s < PONG_S:
                return
            self._count(answered=False)
            if list(self._pings)[-LOST_MAX:] == [False] * LOST_MAX:
                log.warning("station_link_dead", station=connection.identity, pings=LOST_MAX)
                connection.ws.transport.abort()
                return
        self._ping_sent_s, self._unanswered = now_s, True
        connection.ping(self._on_pong)

    def _on_pong(self) -> None:
        if self._unanswered:
            self._unanswered = False
            self._count(answered=True)

    def _count(self, *, answered: bool) -> None:
        self._pings.append(answered)
        if answered:
            self.station.alive(100.0 * self._pings.count(False) / len(self._pings))

    def describe(self) -> dict[str, Any]:
        """The station for people."""
        station = self.station
        return {
            "station": station.settings.identity,
            "connected": self.connection is not None,
            "version": station.version or "",
            "vendor": station.identity.vendor,
            "model": station.identity.model,
            "firmware": station.identity.firmware,
            "quirk": station.model.quirk.reason,
            "clock_offset_s": station.clock_skew.offset_s,
            "clock_known": station.clock_skew.known,
            "outlets": [
                {
                    "evse": outlet.evse.id,
                    "transaction": outlet.session.transaction if outlet.session else "",
                    "discharge": outlet.watch.proof,
                    "score": round(outlet.watch.score, 3),
                    "follows": outlet.watch.follows,
                    "commanded_w": outlet.watch.sent_w,
                }
                for outlet in station.outlets.values()
            ],
            "told": station.last_messages.describe(),
        }

    async def stop(self) -> None:
        """Cancel what runs beside the link."""
        self._stop_onboarding()
        for task in self._amending:
            task.cancel()

    def _start_onboarding(self, version: Version) -> None:
        self._stop_onboarding()
        assert self.connection is not None  # noqa: S101 - the callers have set it
        self._onboarding = Onboarding(self.station, self.connection, version, self._board)
        self._task = begin(f"onboard {self.station.settings.identity}", self._onboarding.run())

    def _stop_onboarding(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = self._onboarding = None

    def _set_ports(self, connection: Connection | None) -> None:
        for port in self.ports.values():
            port.connection = connection


def _tell_installed(identity: str, done: "asyncio.Future[Outcome]") -> None:
    """What became of a certificate that was signed for a station: one that it does not take is nobody's."""
    outcome = done.result()
    status = outcome.payload.get("status") if isinstance(outcome, Answered) else type(outcome).__name__
    if status == "Accepted":
        log.info("station_certificate_installed", station=identity)
    else:
        log.error("station_certificate_not_installed", station=identity, status=status)
