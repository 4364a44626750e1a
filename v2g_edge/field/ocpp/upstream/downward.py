"""What an upstream may do at a station: its calls by policy, its profiles as limits, transaction numbers
turned.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.station_time import came_at
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.policy import CARRIED_IN, group_of
from v2g_edge.field.ocpp.upstream.profile_limits import Plugged, ProfileBook, Refused
from v2g_edge.field.ocpp.upstream.queue import Message, UpstreamQueue, Waiting
from v2g_edge.field.ocpp.upstream.tokens import info_of
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered, CallIn
from v2g_edge.field.ocpp.wire.events import Refused as CallRefused
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import UpstreamSettings
from v2g_edge.tasks import begin

if TYPE_CHECKING:
    from v2g_edge.field.ocpp.upstream.forwarder import Tell

log = structlog.get_logger()

Payload = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode

UNDER_WAY_MAX: Final = 8
"""Calls of the upstream that a station is busy with at once; it may have one by the specification."""


class Downward:
    """See the module; for one station."""

    def __init__(
        self,
        settings: UpstreamSettings,
        link: StationLink,
        queue: UpstreamQueue,
        store: SqliteStore,
        clock: ClockPort,
        phase_w: float,
        tell: "Tell",
    ) -> None:
        self._settings = settings
        self._link = link
        self._identity = link.station.settings.identity
        self._queue = queue
        self._store = store
        self._clock = clock
        self._phase_w = phase_w
        self._tell = tell
        self._fact = f"upstream/profiles/{settings.id}/{self._identity}"
        self.book = ProfileBook(f"upstream {settings.id}", store.fact(self._fact).encode())
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()

    def cancel(self) -> None:
        """The link is gone: what the upstream had called is answered nowhere."""
        for task in self._tasks:
            task.cancel()

    # Transaction numbers

    def upward(self, waiting: Waiting) -> Waiting | None:
        """The message with the upstream's number of its transaction (1.6); None where it gave none."""
        if "transactionId" not in waiting.payload or waiting.action not in {"MeterValues", "StopTransaction"}:
            return waiting
        if not (theirs := self._queue.theirs(waiting.local)):
            return None
        payload = {**waiting.payload, "transactionId": int(theirs)}
        body = _encode(payload) if waiting.body else b""
        return replace(waiting, payload=payload, body=body)

    def answered(self, waiting: Waiting, answer: Payload) -> None:
        """The upstream has a message. A start gives its number; a card that it refuses ends the
        transaction.
        """
        if not answer:
            return
        if waiting.action == "StartTransaction" and type(answer.get("transactionId")) is int:
            self._queue.map_transaction(waiting.local, str(answer["transactionId"]))
        refused = info_of(answer)[1].get("status", "Accepted") != "Accepted"
        started = waiting.action == "StartTransaction" or waiting.payload.get("eventType") == "Started"
        if refused and started and self._settings.role == "primary":
            self._end(waiting.local)

    def heard(self, message: Message) -> None:
        """The station ended a transaction: its profiles are over."""
        if not len(self.book):
            return
        ended = message.action == "StopTransaction" or message.payload.get("eventType") == "Ended"
        if ended and self.book.end_transaction(self._queue.theirs(message.local) or message.local):
            self._keep()

    def _end(self, local: str) -> None:
        link = self._link.connection
        running = any(
            outlet.session is not None and outlet.session.transaction == local
            for outlet in self._link.station.outlets.values()
        )
        text = f"upstream {self._settings.id} refuses the card of transaction {local}"
        if link is None or not running or "remote_stop" not in self._settings.allow:
            self._tell("upstream_refused", "warning", f"{text}; it goes on")
            return
        self._tell("upstream_refused", "warning", f"{text}; it is ended")
        if link.version == "1.6":
            link.start_call("RemoteStopTransaction", {"transactionId": int(local)})
        else:
            link.start_call("RequestStopTransaction", {"transactionId": local})

    # Calls of the upstream

    def take(self, connection: Connection, call: CallIn) -> None:
        """Answer a call of the upstream, now or when the station has."""
        group = group_of(call.action)
        if not group or group not in self._settings.allow:
            self._reject(connection, call, f"upstreams.allow has no {group or 'such operation'}")
        elif call.problems:
            connection.refuse(call.id, "FormatViolation", call.problems[0].what)
        elif group == "limits":
            self._take_profile(connection, call)
        elif len(self._tasks) >= UNDER_WAY_MAX:
            connection.refuse(call.id, "GenericError", f"{UNDER_WAY_MAX} calls are under way")
        else:
            task = begin(f"upstream {call.action}", self._pass_on(connection, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _reject(self, connection: Connection, call: CallIn, why: str) -> None:
        """The status Rejected where the answer has one, else an error; told once for each action."""
        if call.action not in self._told:
            self._told.add(call.action)
            text = f"{call.action} of upstream {self._settings.id} is rejected: {why}"
            self._tell("upstream_refused", "info", text)
        try:
            connection.answer(call.id, {"status": "Rejected"})
        except ValueError:
            connection.refuse(call.id, "NotSupported", why)

    async def _pass_on(self, connection: Connection, call: CallIn) -> None:
        link, payload = self._link.connection, dict(call.payload)
        if link is None or connection.version not in CARRIED_IN[link.version]:
            connection.refuse(call.id, "GenericError", "the station is not connected")
            return
        if call.action == "RemoteStopTransaction":
            local = self._queue.local(str(payload["transactionId"]))
            if not local:
                self._reject(connection, call, f"no transaction {payload['transactionId']}")
                return
            payload["transactionId"] = int(local)
        profile = payload.pop("chargingProfile", None)
        try:
            outcome = await link.call(call.action, payload)
        except ValueError as fault:  # the station speaks an older version than the upstream
            why = f"the station speaks OCPP {link.version}: {fault}"
            connection.refuse(call.id, "FormatViolation", why[:250])
            return
        if isinstance(outcome, Answered):
            accepted = outcome.payload.get("status") == "Accepted"
            if profile is not None and accepted and "limits" in self._settings.allow:
                where = payload.get("connectorId", payload.get("evseId", 0))
                self._add({"connectorId": where, "chargingProfile": profile})
            try:
                connection.answer(call.id, outcome.payload)
            except ValueError as fault:
                connection.refuse(call.id, "FormatViolation", f"the station's answer: {fault}"[:200])
        elif isinstance(outcome, CallRefused):
            connection.refuse(call.id, outcome.code, outcome.description)
        else:
            connection.refuse(call.id, "GenericError", "the station does not answer")

    # Profiles

    def _take_profile(self, connection: Connection, call: CallIn) -> None:
        if call.action == "ClearChargingProfile":
            gone = self.book.clear(call.payload)
            self._keep()
            connection.answer(call.id, {"status": "Accepted" if gone else "Unknown"})
            return
        connection.answer(call.id, {"status": "Accepted" if self._add(call.payload) else "Rejected"})

    def _add(self, payload: Payload) -> bool:
        where = payload.get("connectorId", payload.get("evseId", 0))
        try:
            if where and where not in self._link.station.outlets:
                raise Refused(f"there is no outlet {where}")
            profile = self.book.add(payload, self._clock.wall_s())
        except Refused as fault:
            if str(fault) not in self._told:
                self._told.add(str(fault))
                text = f"a charging profile of upstream {self._settings.id} is rejected: {fault}"
                self._tell("upstream_refused", "warning", text)
            return False
        log.info("upstream_profile", station=self._identity, profile=profile.id, purpose=profile.purpose)
        self._keep()
        return True

    def _keep(self) -> None:
        self._store.remember(self._fact, self.book.encoded().decode())
        self._store.when_durable(lambda _: None)

    def limits_at(self, wall_s: float) -> tuple[CapacityLimit, ...]:
        """What its profiles allow now. They hold until their own end, whether the upstream is there or
        not.
        """
        if not len(self.book):
            return ()
        outlets = {}
        for number, outlet in self._link.station.outlets.items():
            plugged = Plugged(outlet.evse.id, self._phase_w, outlet.phases)
            if (session := outlet.session) is not None:
                named = self._queue.theirs(session.transaction) or session.transaction
                began = came_at(session.started_wall_s, self._link.station.clock_skew, self._clock)
                plugged = replace(plugged, transaction=named, begun_wall_s=began)
            outlets[number] = plugged
        return self.book.limits_at(wall_s, outlets)

    def made_up_boot(self, version: Version) -> Payload:
        """A boot for an upstream that has never heard one of a station which is long running."""
        who = self._link.station.identity
        vendor, model = who.vendor or "unknown", who.model or "unknown"
        if version == "1.6":
            return {"chargePointVendor": vendor[:20], "chargePointModel": model[:20]}
        return {
            "reason": "Unknown",
            "chargingStation": {"vendorName": vendor[:50], "model": model[:20]},
        }
