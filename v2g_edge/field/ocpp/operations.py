"""Everything a depot asks of its stations, by name: one table of operations, each written for the versions that have it.

    await Operations(links).perform("CP1", "reset", {"type": "Soft"})
    await Operations(links).perform("CP1", "call", {"action": "GetLog", "payload": {…}})

``call`` sends any message of the version, checked against its schema. What would bypass the envelope or the dead-man is reserved:
leases and default profiles are set by the daemon, and grid-code settings need an engineer's name (design 4.1, 4.7).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from v2g_edge.field.ocpp.connection import Connection, Outcome
from v2g_edge.field.ocpp.events import Answered, Expired
from v2g_edge.field.ocpp.link import StationLink
from v2g_edge.field.ocpp.messages import FROM_CENTRAL, Version

Params: TypeAlias = Mapping[str, Any]
Message: TypeAlias = tuple[str, dict[str, Any]]

RESERVED: Final = {
    "SetChargingProfile": "leases and default profiles are set by the daemon; an operator has stop, hold and the plan",
    "ClearChargingProfile": "it would take the dead-man away",
    "UpdateDynamicSchedule": "setpoints come from permits only",
    "AFRRSignal": "setpoints come from permits only",
    "UsePriorityCharging": "it would overrule the leases",
}
"""Actions that nobody sends by hand, and why."""

COMMISSIONING: Final = frozenset({"SetDERControl", "ClearDERControl"})
"""Grid-code settings: written only with ``engineer``, the name of who answers for them; the name goes to the log."""


class Operation(NamedTuple):
    """``v16`` and ``v2`` build the message, None where the version has none; ``params`` are told to people."""

    text: str
    params: str
    v16: Callable[[Params], Message] | None
    v2: Callable[[Params], Message] | None


def _evse(p: Params) -> dict[str, int]:
    return {"id": int(p.get("evse", 1)), "connectorId": int(p.get("connector", 1))}


def _token(p: Params) -> dict[str, Any]:
    return {"idToken": str(p["token"]), "type": str(p.get("token_type", "Central"))}


def _variable(p: Params) -> dict[str, Any]:
    return {"component": {"name": str(p["component"])}, "variable": {"name": str(p["variable"])}}


OPERATIONS: Final[dict[str, Operation]] = {
    "availability": Operation(
        "take an outlet out of service or back",
        "evse, type (Operative|Inoperative)",
        lambda p: ("ChangeAvailability", {"connectorId": int(p.get("evse", 0)), "type": p["type"]}),
        lambda p: ("ChangeAvailability", {"operationalStatus": p["type"]} | ({"evse": _evse(p)} if "evse" in p else {})),
    ),
    "cancel-reservation": Operation(
        "give a reserved outlet free",
        "reservation",
        lambda p: ("CancelReservation", {"reservationId": int(p["reservation"])}),
        lambda p: ("CancelReservation", {"reservationId": int(p["reservation"])}),
    ),
    "certificates": Operation(
        "list installed certificates",
        "type",
        lambda p: ("GetInstalledCertificateIds", {"certificateType": p.get("type", "CentralSystemRootCertificate")}),
        lambda p: ("GetInstalledCertificateIds", {"certificateType": [p["type"]]} if "type" in p else {}),
    ),
    "clear-cache": Operation("forget cached authorisations", "", lambda _: ("ClearCache", {}), lambda _: ("ClearCache", {})),
    "composite": Operation(
        "what a station means to do",
        "evse, duration",
        lambda p: (
            "GetCompositeSchedule",
            {"connectorId": int(p.get("evse", 1)), "duration": int(p.get("duration", 3600)), "chargingRateUnit": "W"},
        ),
        lambda p: (
            "GetCompositeSchedule",
            {"evseId": int(p.get("evse", 1)), "duration": int(p.get("duration", 3600)), "chargingRateUnit": "W"},
        ),
    ),
    "data-transfer": Operation(
        "a maker's own message",
        "vendor, message, data",
        lambda p: ("DataTransfer", {"vendorId": p["vendor"]} | _picked(p, message="messageId", data="data")),
        lambda p: ("DataTransfer", {"vendorId": p["vendor"]} | _picked(p, message="messageId", data="data")),
    ),
    "delete-certificate": Operation(
        "remove a certificate",
        "hash (as listed)",
        lambda p: ("DeleteCertificate", {"certificateHashData": p["hash"]}),
        lambda p: ("DeleteCertificate", {"certificateHashData": p["hash"]}),
    ),
    "der": Operation(
        "read the grid-code settings of a charger (answers come as reports)",
        "type",
        None,
        lambda p: ("GetDERControl", {"requestId": int(p.get("request", 1))} | _picked(p, type="controlType")),
    ),
    "diagnostics": Operation(
        "have it upload its diagnostics (1.6; 2.x: log)",
        "location",
        lambda p: ("GetDiagnostics", {"location": p["location"]}),
        None,
    ),
    "display": Operation(
        "show a text",
        "id, text, priority",
        None,
        lambda p: (
            "SetDisplayMessage",
            {
                "message": {
                    "id": int(p.get("id", 1)),
                    "priority": p.get("priority", "NormalCycle"),
                    "message": {"format": "UTF8", "content": str(p["text"])},
                }
            },
        ),
    ),
    "firmware": Operation(
        "update the firmware",
        "location, retrieve_at, signature, certificate",
        lambda p: ("UpdateFirmware", {"location": p["location"], "retrieveDate": p["retrieve_at"]}),
        lambda p: (
            "UpdateFirmware",
            {
                "requestId": int(p.get("request", 1)),
                "firmware": {"location": p["location"], "retrieveDateTime": p["retrieve_at"]}
                | _picked(p, signature="signature", certificate="signingCertificate"),
            },
        ),
    ),
    "get": Operation(
        "read a setting",
        "key (1.6) or component and variable (2.x)",
        lambda p: ("GetConfiguration", {"key": [p["key"]]} if "key" in p else {}),
        lambda p: ("GetVariables", {"getVariableData": [_variable(p)]}),
    ),
    "install-certificate": Operation(
        "install a root certificate",
        "type, pem",
        lambda p: ("InstallCertificate", {"certificateType": p["type"], "certificate": p["pem"]}),
        lambda p: ("InstallCertificate", {"certificateType": p["type"], "certificate": p["pem"]}),
    ),
    "local-list": Operation(
        "send the local authorisation list",
        "version, tokens, type (Full|Differential)",
        lambda p: (
            "SendLocalList",
            {
                "listVersion": int(p["version"]),
                "updateType": p.get("type", "Full"),
                "localAuthorizationList": [{"idTag": token, "idTagInfo": {"status": "Accepted"}} for token in p["tokens"]],
            },
        ),
        lambda p: (
            "SendLocalList",
            {
                "versionNumber": int(p["version"]),
                "updateType": p.get("type", "Full"),
                "localAuthorizationList": [
                    {"idToken": _token({"token": token}), "idTokenInfo": {"status": "Accepted"}} for token in p["tokens"]
                ],
            },
        ),
    ),
    "local-list-version": Operation(
        "which list it holds", "", lambda _: ("GetLocalListVersion", {}), lambda _: ("GetLocalListVersion", {})
    ),
    "log": Operation(
        "have it upload a log",
        "location, type (DiagnosticsLog|SecurityLog)",
        lambda p: ("GetLog", _log(p)),
        lambda p: ("GetLog", _log(p)),
    ),
    "monitor": Operation(
        "set a monitor on a variable",
        "component, variable, value, type, severity",
        None,
        lambda p: (
            "SetVariableMonitoring",
            {
                "setMonitoringData": [
                    {"value": p["value"], "type": p.get("type", "Delta"), "severity": int(p.get("severity", 5)), **_variable(p)}
                ]
            },
        ),
    ),
    "publish-firmware": Operation(
        "have a local controller publish a firmware file",
        "location, checksum, request",
        None,
        lambda p: (
            "PublishFirmware",
            {"location": p["location"], "checksum": p["checksum"], "requestId": int(p.get("request", 1))},
        ),
    ),
    "report": Operation(
        "have it report its device model",
        "base (FullInventory|ConfigurationInventory|SummaryInventory)",
        None,
        lambda p: ("GetBaseReport", {"requestId": int(p.get("request", 1)), "reportBase": p.get("base", "FullInventory")}),
    ),
    "reserve": Operation(
        "keep an outlet for a vehicle",
        "evse, token, until, reservation",
        lambda p: (
            "ReserveNow",
            {
                "connectorId": int(p.get("evse", 1)), "expiryDate": p["until"], "idTag": str(p["token"]),
                "reservationId": int(p["reservation"]),
            },
        ),
        lambda p: (
            "ReserveNow",
            {"id": int(p["reservation"]), "expiryDateTime": p["until"], "idToken": _token(p), "evseId": int(p.get("evse", 1))},
        ),
    ),
    "reset": Operation(
        "restart the station",
        "type (1.6: Soft|Hard; 2.x: Immediate|OnIdle)",
        lambda p: ("Reset", {"type": p.get("type", "Soft")}),
        lambda p: ("Reset", {"type": p.get("type", "OnIdle")} | ({"evseId": int(p["evse"])} if "evse" in p else {})),
    ),
    "set": Operation(
        "change a setting",
        "value, and key (1.6) or component and variable (2.x)",
        lambda p: ("ChangeConfiguration", {"key": p["key"], "value": str(p["value"])}),
        lambda p: ("SetVariables", {"setVariableData": [{"attributeValue": str(p["value"]), **_variable(p)}]}),
    ),
    "signed-firmware": Operation(
        "update to signed firmware (1.6; 2.x: firmware)",
        "location, retrieve_at, signature, certificate, request",
        lambda p: (
            "SignedUpdateFirmware",
            {
                "requestId": int(p.get("request", 1)),
                "firmware": {
                    "location": p["location"],
                    "retrieveDateTime": p["retrieve_at"],
                    "signature": p["signature"],
                    "signingCertificate": p["certificate"],
                },
            },
        ),
        None,
    ),
    "start": Operation(
        "start a transaction",
        "evse, token",
        lambda p: ("RemoteStartTransaction", {"connectorId": int(p.get("evse", 1)), "idTag": str(p["token"])}),
        lambda p: (
            "RequestStartTransaction",
            {"evseId": int(p.get("evse", 1)), "idToken": _token(p), "remoteStartId": int(p.get("request", 1))},
        ),
    ),
    "stop": Operation(
        "end a transaction",
        "transaction",
        lambda p: ("RemoteStopTransaction", {"transactionId": int(p["transaction"])}),
        lambda p: ("RequestStopTransaction", {"transactionId": str(p["transaction"])}),
    ),
    "transaction": Operation(
        "whether a transaction goes on, and whether messages of it wait",
        "transaction",
        None,
        lambda p: ("GetTransactionStatus", _picked(p, transaction="transactionId")),
    ),
    "trigger": Operation(
        "have it send a message",
        "message, evse",
        lambda p: (
            "TriggerMessage",
            {"requestedMessage": p["message"]} | ({"connectorId": int(p["evse"])} if "evse" in p else {}),
        ),
        lambda p: ("TriggerMessage", {"requestedMessage": p["message"]} | ({"evse": _evse(p)} if "evse" in p else {})),
    ),
    "unlock": Operation(
        "unlock the cable",
        "evse, connector",
        lambda p: ("UnlockConnector", {"connectorId": int(p.get("evse", 1))}),
        lambda p: ("UnlockConnector", {"evseId": int(p.get("evse", 1)), "connectorId": int(p.get("connector", 1))}),
    ),
}  # fmt: skip


class Operations:
    """Performs operations at the stations that are connected. ValueError names what is wrong and what is allowed."""

    def __init__(self, links: Mapping[str, StationLink]) -> None:
        self._links = links

    async def perform(self, station: str, operation: str, params: Params) -> dict[str, Any]:
        """Plain values: ``outcome`` "answered" with ``payload``, "refused" with ``code``, ``text``, or "silent" with ``why``."""
        connection = self._connection(station)
        version: Version = connection.version
        action, payload = _message(version, operation, params)
        return _told(action, await connection.call(action, payload))

    def _connection(self, station: str) -> Connection:
        link = self._links.get(station)
        if link is None:
            raise ValueError(f"no station {station!r} in the site file; there are {', '.join(sorted(self._links))}")
        if link.connection is None:
            raise ValueError(f"{station} is not connected")
        return link.connection


def _message(version: Version, operation: str, params: Params) -> Message:
    if operation == "call":
        action, payload = str(params.get("action", "")), params.get("payload", {})
        return _allowed(version, action, payload, params)
    row = OPERATIONS.get(operation)
    if row is None:
        raise ValueError(f"no operation {operation!r}; there are call, {', '.join(OPERATIONS)}")
    build = row.v16 if version == "1.6" else row.v2
    if build is None:
        raise ValueError(f"OCPP {version} has no {operation}")
    try:
        action, payload = build(params)
    except KeyError as missing:
        raise ValueError(f"{operation} needs {row.params}; {missing} is missing") from None
    return _allowed(version, action, payload, params)


def _allowed(version: Version, action: str, payload: Any, params: Params) -> Message:
    if action in RESERVED:
        raise ValueError(f"{action} is not sent by hand: {RESERVED[action]}")
    if action not in FROM_CENTRAL[version]:
        raise ValueError(f"{action!r} is no request of a central system in OCPP {version}")
    if action in COMMISSIONING and not params.get("engineer"):
        raise ValueError(f"{action} writes grid-code settings: give engineer = the name of who answers for them")
    if not isinstance(payload, dict) or "chargingProfile" in payload:
        raise ValueError("payload must be a table, and carry no charging profile")
    return action, payload


def _told(action: str, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Answered):
        return {"action": action, "outcome": "answered", "payload": outcome.payload}
    if isinstance(outcome, Expired):
        return {"action": action, "outcome": "silent", "why": outcome.why}
    return {"action": action, "outcome": "refused", "code": outcome.code, "text": outcome.description}


def _picked(p: Params, **names: str) -> dict[str, Any]:
    """The params that were given, under their wire names."""
    return {wire: p[name] for name, wire in names.items() if name in p}


def _log(p: Params) -> dict[str, Any]:
    log = {"remoteLocation": p["location"]}
    return {"logType": p.get("type", "DiagnosticsLog"), "requestId": int(p.get("request", 1)), "log": log}
