"""What happens when a station has connected: the safe default first, then its configuration, then what we
missed.

Each step may fail by itself; the others go on. Until the default profile is accepted the outlet has no
dead-man, so it never discharges.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.control.read_back import holds_default, tables
from v2g_edge.field.ocpp.control.set_profile import set_profile
from v2g_edge.field.ocpp.link.discovery21 import read_21
from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.vocabulary.charging_profiles import Shape, default_profile
from v2g_edge.field.ocpp.vocabulary.facts import Identity
from v2g_edge.field.ocpp.vocabulary.metering import CURRENTS, MEASURANDS, PACK
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Expired, accepted, refused
from v2g_edge.field.ocpp.wire.machine import TIMEOUT_S
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import BULK, SETPOINT
from v2g_edge.tasks import described

log = structlog.get_logger()

BOOT_WAIT_S: Final = 2.0
"""A station that boots sends BootNotification at once; one that merely reconnects sends nothing at all
(reference ocpp.md).
"""

BULK_S: Final = 10.0
"""Patience with what is good to know and no more."""

DEFAULT_TRIES: Final = 3
DEFAULT_RETRY_S: Final = 5.0
"""A refused or unanswered default profile is tried again a few times, then again at the next connect or
boot.
"""


class Onboarding:
    """One run for one link. ``run`` is cancelled when the link goes."""

    def __init__(self, station: Station, connection: Connection, version: Version, board: Board) -> None:
        self._station = station
        self._connection = connection
        self._version = version
        self._board = board
        self.booted = asyncio.Event()

    async def run(self) -> None:
        """All steps, in the order of what matters."""
        if not self.booted.is_set():
            try:
                async with asyncio.timeout(BOOT_WAIT_S):
                    await self.booted.wait()
            except TimeoutError:
                log.info("station_reconnected_without_boot", station=self._station.settings.identity)
        fresh, quirk = self.booted.is_set(), self._station.model.quirk
        if quirk.make_available:
            await self._make_available()
        for outlet in self._station.outlets.values():
            await self._step("default", self._set_default(outlet))
        await self._step("metering", self._configure())
        if not fresh or quirk.ask_status:
            await self._step("status", self._ask_what_we_missed())
        if self._version == "2.1":
            await self._step("2.1", read_21(self._connection, self._station))

    async def _step(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """One part of the set-up: an answer that cannot be read costs no other part."""
        try:
            await work
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as fault:
            log.warning(
                "station_answer_unreadable",
                station=self._station.settings.identity,
                step=name,
                fault=described(fault)[:200],
            )

    @property
    def _patience_s(self) -> float:
        return max(TIMEOUT_S, self._station.model.quirk.answers_within_s)

    async def _make_available(self) -> None:
        """The station as a whole: connector 0 of 1.6, no EVSE in 2.x."""
        word = (
            {"connectorId": 0, "type": "Operative"}
            if self._version == "1.6"
            else {"operationalStatus": "Operative"}
        )
        await self._connection.call("ChangeAvailability", word, timeout_s=self._patience_s)

    async def _set_default(self, outlet: Outlet) -> None:
        number, held = outlet.wire.ocpp_evse, self._board.evse(outlet.evse.id).default_held
        for _ in range(DEFAULT_TRIES):

            def build(shape: Shape) -> dict[str, Any]:
                return default_profile(
                    self._version, number, outlet.evse.fallback_w, phases=outlet.phases, shape=shape
                )

            outcome = await set_profile(
                self._connection, self._version, outlet, "TxDefaultProfile", build,
                priority=SETPOINT, key=f"default {number}", timeout_s=self._patience_s, may_clear=not held,
            )  # fmt: skip
            if accepted(outcome) and await self._is_held(outlet):
                self._station.model.keep_default(outlet, held=True)
                self._board.update_evse(outlet.evse.id, dead_man_ok=True)
                return
            if refused(outcome) or accepted(outcome):
                self._station.model.keep_default(outlet, held=False)
            if isinstance(outcome, Expired) and outcome.why == "link_lost":
                return
            log.warning("default_profile_not_taken", evse=outlet.evse.id, outcome=_told(outcome))
            await asyncio.sleep(DEFAULT_RETRY_S)  # paces a conversation, so loop time
        log.error(
            "no_dead_man",
            evse=outlet.evse.id,
            why="the station takes no default profile: it will not discharge",
        )

    async def _is_held(self, outlet: Outlet) -> bool:
        """Read the default profile back where the version can; a station that cannot say is believed, and
        the log says so.
        """
        held = (
            None if self._version == "1.6" else await holds_default(self._connection, self._station, outlet)
        )
        if held is None:
            log.info("default_profile_not_read_back", evse=outlet.evse.id)
        elif not held:
            log.error(
                "default_profile_not_held",
                evse=outlet.evse.id,
                why="accepted, and not among the profiles it reports",
            )
        return held is not False

    async def _configure(self) -> None:
        for key, value in self._station.model.quirk.settings if self._version == "1.6" else ():
            await self._change_16(key, value)
        interval = str(max(int(self._station.settings.meter_interval_s), 1))
        whole = (*MEASURANDS, PACK) if self._version == "1.6" else MEASURANDS
        if self._station.asks_currents:
            whole = (*whole, CURRENTS)
        await self._ask_for(self._station.model.quirk.asks(whole))
        if self._version == "1.6":
            await self._change_16("MeterValueSampleInterval", interval)
        else:
            await self._set_2("SampledDataCtrlr", "TxUpdatedInterval", interval)

    async def _ask_for(self, wanted: tuple[str, ...]) -> None:
        """Have the station report what we want beside what it reports already; what it refuses is left out,
        and nothing else.

        What a make refuses is remembered, and a list that a person made longer stays.
        """
        model, present = self._station.model, await self._reports_now()
        refused_before = model.refused_measurands()
        wanted = tuple(name for name in wanted if name not in refused_before)
        if present and set(wanted) <= set(present):
            return
        if self._station.model.quirk.measurands:
            present = ()  # such a make is asked for its own list and for nothing else
        taken = list(present)
        missing = [name for name in wanted if name not in present]
        if await self._set_measurands((*taken, *missing)):
            return
        left_out = []
        for name in missing:
            if await self._set_measurands((*taken, name)):
                taken.append(name)
            else:
                left_out.append(name)
        if taken and left_out:  # where all are refused it is the key that it does not know
            model.refuse_measurands((*refused_before, *left_out))
            log.warning(
                "measurands_left_out", station=self._station.settings.identity, refused=left_out, kept=taken
            )

    async def _set_measurands(self, names: tuple[str, ...]) -> bool:
        if self._version == "1.6":
            return await self._change_16("MeterValuesSampledData", ",".join(names))
        return await self._set_2("SampledDataCtrlr", "TxUpdatedMeasurands", ",".join(names))

    async def _reports_now(self) -> tuple[str, ...]:
        """The measurands that the station is set to, () where it does not say."""
        if self._version == "1.6":
            asked = {"key": ["MeterValuesSampledData"]}
            outcome = await self._connection.call("GetConfiguration", asked, timeout_s=self._patience_s)
            rows, name = (
                (outcome.payload.get("configurationKey") if isinstance(outcome, Answered) else None),
                "value",
            )
        else:
            datum = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedMeasurands"}}
            outcome = await self._connection.call(
                "GetVariables", {"getVariableData": [datum]}, timeout_s=self._patience_s
            )
            rows, name = (
                (outcome.payload.get("getVariableResult") if isinstance(outcome, Answered) else None),
                "attributeValue",
            )
        text = rows[0].get(name) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else None
        return (
            tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else ()
        )

    async def _change_16(self, key: str, value: str) -> bool:
        outcome = await self._connection.call(
            "ChangeConfiguration", {"key": key, "value": value}, timeout_s=self._patience_s
        )
        status = outcome.payload.get("status") if isinstance(outcome, Answered) else _told(outcome)
        return self._told_if_refused(key, value, _is_done(status), status)

    async def _set_2(self, component: str, variable: str, value: str) -> bool:
        data = {"attributeValue": value, "component": {"name": component}, "variable": {"name": variable}}
        outcome = await self._connection.call(
            "SetVariables", {"setVariableData": [data]}, timeout_s=self._patience_s
        )
        status = _told(outcome)
        if isinstance(outcome, Answered):
            results = tables(outcome.payload.get("setVariableResult"))
            status = results[0].get("attributeStatus", "") if results else "no result"
        return self._told_if_refused(f"{component}.{variable}", value, _is_done(status), status)

    def _told_if_refused(self, key: str, value: str, done: bool, status: Any) -> bool:
        if not done:
            log.warning(
                "station_setting_refused",
                station=self._station.settings.identity,
                key=key,
                value=value,
                status=status,
            )
        return done

    async def _ask_what_we_missed(self) -> None:
        """Its identity where it is unknown (some stations report it only on request: evcc #6906), and the
        status of every outlet.
        """
        if self._station.identity == Identity():
            who = {"requestedMessage": "BootNotification"}
            await self._connection.call("TriggerMessage", who, priority=BULK, timeout_s=BULK_S)
        for outlet in self._station.outlets.values():
            wire = outlet.wire
            payload: dict[str, Any] = {"requestedMessage": "StatusNotification"}
            if self._version == "1.6":
                payload["connectorId"] = wire.ocpp_evse
            else:
                payload["evse"] = {"id": wire.ocpp_evse, "connectorId": wire.ocpp_connector}
            await self._connection.call("TriggerMessage", payload, priority=BULK, timeout_s=BULK_S)


def _is_done(status: Any) -> bool:
    return isinstance(status, str) and status.strip().casefold() in ("accepted", "rebootrequired")


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, Expired):
        return outcome.why
    return (
        str(outcome.payload.get("status", ""))
        if isinstance(outcome, Answered)
        else f"{outcome.code} {outcome.description}"
    )
