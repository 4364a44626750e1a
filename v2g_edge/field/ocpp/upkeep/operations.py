"""Everything a depot asks of its stations, by name: one table of operations, each written for the versions
that have it.

    await Operations(links).perform("CP1", "reset", {"type": "Soft"})
    await Operations(links).perform("CP1", "call", {"action": "GetLog", "payload": {…}})

``call`` sends any message of the version, checked against its schema. What would bypass the envelope or the
dead-man is reserved: leases and default profiles are set by the daemon, and grid-code settings need an
engineer's name. So are passwords, which the daemon must know before the station does, and a
lower security profile.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from v2g_edge.field.ocpp.control.der_audit import check_control
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.trust.admission import Admission
from v2g_edge.field.ocpp.trust.passwords import change
from v2g_edge.field.ocpp.upkeep.catalogue import Message, Operation, Params, checked
from v2g_edge.field.ocpp.upkeep.operations_setup import SETUP
from v2g_edge.field.ocpp.upkeep.operations_trust import TRUST
from v2g_edge.field.ocpp.upkeep.operations_use import USE
from v2g_edge.field.ocpp.vocabulary.charging_profiles import first_profile
from v2g_edge.field.ocpp.vocabulary.reports import ANNOUNCED, Reports
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Expired, accepted
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL, Version

OPERATIONS: Final[dict[str, Operation]] = dict(sorted({**USE, **SETUP, **TRUST}.items()))
"""By name, for all versions."""

RESERVED: Final = {
    "SetChargingProfile": (
        "leases and default profiles are set by the daemon; an operator has stop, hold and the plan"
    ),
    "ClearChargingProfile": "it would take the dead-man away",
    "UpdateDynamicSchedule": "setpoints come from permits only",
    "AFRRSignal": "setpoints come from permits only",
    "UsePriorityCharging": "it would overrule the leases",
}
"""Actions that are not sent by hand, and why."""

COMMISSIONING: Final = frozenset({"SetDERControl", "ClearDERControl"})
"""Grid-code settings: written only with ``engineer``, the name of who answers for them; the name goes to
the log.
"""

NEW_PASSWORD: Final = "new-password"  # noqa: S105 - the operation's name
"""Gives a station a new Basic password that is not shown; it is no single message, so it stands beside the
table.
"""

RETRY_DISCHARGE: Final = "retry-discharge"
"""Forgets what was found of a make's discharge, with ``engineer``, so that it is probed again. Nothing is
sent.
"""

REPORT_S: Final = 25.0
"""How long the parts of a report are waited for: a whole device model is a hundred messages."""

PASSWORDS: Final = frozenset({"authorizationkey", "basicauthpassword"})
"""Settings that hold the station's password (1.6 key, 2.x variable of SecurityCtrlr; names are read
without regard to case).
"""


class Operations:
    """Performs operations at the stations that are connected. ValueError names what is wrong and what is
    allowed.
    """

    def __init__(self, links: Mapping[str, StationLink], admission: Admission) -> None:
        self._links = links
        self._admission = admission

    async def perform(self, station: str, operation: str, params: Params) -> dict[str, Any]:
        """Plain values: ``outcome`` "answered" with ``payload``, "refused" with ``code``, ``text``, or
        "silent" with ``why``.
        """
        connection = self._connection(station)
        if operation == RETRY_DISCHARGE:
            return self._retry_discharge(station, checked(operation, "engineer", params)["engineer"])
        if operation == NEW_PASSWORD:
            checked(operation, "", params)
            return await change(self._admission.passwords, self._links[station].station.settings, connection)
        action, payload = message(connection.version, operation, params)
        _refuse_lowering(payload, self._links[station].shown.profile)
        if "limit_w" in params:
            payload["chargingProfile"] = self._first_profile(station, connection.version, params)
        if action == "TriggerMessage":
            self._links[station].expect(payload["requestedMessage"])
        if operation != "call" and action in ANNOUNCED and "request" not in params:
            return await _reported(self._links[station].station.reports, connection, action, payload)
        outcome = await connection.call(action, payload)
        told = _told(action, outcome)
        if action in COMMISSIONING and accepted(outcome):
            told |= await check_control(connection, self._links[station].station, action, payload)
        return told

    def _retry_discharge(self, station: str, engineer: str) -> dict[str, Any]:
        make = self._links[station].station.model
        make.forget_proof(engineer)
        for link in self._links.values():
            link.station.model.recall()
        return {"outcome": "answered", "payload": {"make": make.identity.kind(), "discharge": make.proof()}}

    def _first_profile(self, station: str, version: Version, params: Params) -> dict[str, Any]:
        """What a transaction begins with that is started by hand; the first lease takes its place, having
        its id.
        """
        number, limit_w = int(params.get("evse", 1)), float(params["limit_w"])
        outlet = self._links[station].station.outlets.get(number)
        if outlet is None or not limit_w >= 0.0:
            raise ValueError(
                f"limit_w must be 0 W or more, and evse {number} one of the station's outlets in the site"
                " file"
            )
        return first_profile(
            version, number, min(limit_w, outlet.evse.fallback_w), phases=outlet.phases, shape=outlet.shape
        )

    def _connection(self, station: str) -> Connection:
        link = self._links.get(station)
        if link is None:
            raise ValueError(
                f"no station {station!r} in the site file; there are {', '.join(sorted(self._links))}"
            )
        if link.connection is None:
            raise ValueError(f"{station} is not connected")
        return link.connection


async def _reported(
    reports: Reports, connection: Connection, action: str, payload: dict[str, Any]
) -> dict[str, Any]:
    """The answer and, as ``report``, all that it announces; ``complete`` says whether the last part has
    come in time.
    """
    request_id, report = reports.expect()
    try:
        told = _told(action, await connection.call(action, {**payload, "requestId": request_id}))
        if told.get("payload", {}).get("status") == "Accepted":
            await asyncio.wait((report,), timeout=REPORT_S)
            told |= {"complete": report.done(), "report": reports.forget(request_id)}
        return told
    finally:
        reports.forget(request_id)


def message(version: Version, operation: str, params: Params) -> Message:
    """The message of an operation, allowed to be sent by hand. ValueError names what is wrong and what is
    allowed.
    """
    if operation == "call":
        given = checked("call", "action payload:table? engineer?", params)
        return _allowed(version, given["action"], given.get("payload", {}), params)
    row = OPERATIONS.get(operation)
    if row is None:
        raise ValueError(
            f"no operation {operation!r}; there are call, {NEW_PASSWORD}, {RETRY_DISCHARGE},"
            f" {', '.join(OPERATIONS)}"
        )
    form = row.form(version)
    if form is None:
        others = [other for other in FROM_CENTRAL if row.form(other) is not None]
        raise ValueError(f"OCPP {version} has no {operation}; it is in {', '.join(sorted(others))}")
    action, payload = form.build(checked(operation, form.takes, params))
    return _allowed(version, action, payload, params)


def _allowed(version: Version, action: str, payload: dict[str, Any], params: Params) -> Message:
    if action in RESERVED:
        raise ValueError(f"{action} is not sent by hand: {RESERVED[action]}")
    if action not in FROM_CENTRAL[version]:
        raise ValueError(f"{action!r} is no request of a central system in OCPP {version}")
    if action in COMMISSIONING and not params.get("engineer"):
        raise ValueError(
            f"{action} writes grid-code settings: give engineer = the name of who answers for them"
        )
    if "chargingProfile" in payload and action != "GetChargingProfiles":
        raise ValueError("payload must carry no charging profile")
    if PASSWORDS & _settings(payload).keys():
        raise ValueError(
            f"a password is changed by the operation {NEW_PASSWORD}, so that the daemon knows it before the"
            " station"
        )
    return action, payload


def _settings(payload: dict[str, Any]) -> dict[str, str]:
    """The settings that a payload writes, as far as it can be read, names in small letters; the rest the
    schema refuses.
    """
    found = {str(payload["key"]): payload["value"]} if {"key", "value"} <= payload.keys() else {}
    rows = payload.get("setVariableData")
    for row in rows if isinstance(rows, list) else ():
        variable = row.get("variable") if isinstance(row, dict) else None
        if isinstance(variable, dict):
            found[str(variable.get("name"))] = row.get("attributeValue")
    data = payload.get("connectionData")
    if isinstance(data, dict):
        found |= data
    return {name.lower(): str(value) for name, value in found.items()}


def _refuse_lowering(payload: dict[str, Any], profile: int) -> None:
    """No message takes a station to a weaker security profile than the one it came in with (1.6 whitepaper
    A00, 2.x A05).
    """
    wanted = _settings(payload).get("securityprofile", "")
    if wanted.isdigit() and int(wanted) < profile:
        raise ValueError(
            f"security profile {wanted} is below {profile}, which the station uses now; a message never"
            " lowers it"
        )


def _told(action: str, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Answered):
        return {"action": action, "outcome": "answered", "payload": outcome.payload}
    if isinstance(outcome, Expired):
        return {"action": action, "outcome": "silent", "why": outcome.why}
    return {"action": action, "outcome": "refused", "code": outcome.code, "text": outcome.description}
