"""What a depot asks of its stations from day to day: outlets, transactions, who may charge, texts, costs."""

from typing import Any, Final

from v2g_edge.field.ocpp.upkeep.catalogue import (
    REQUEST,
    Form,
    Message,
    Operation,
    Params,
    both,
    evse_of,
    picked,
    same,
    token_of,
)


def _list_16(p: Params) -> Message:
    tokens = [{"idTag": token, "idTagInfo": {"status": "Accepted"}} for token in p.get("tokens", ())]
    tokens += [{"idTag": token} for token in p.get("gone", ())]
    return "SendLocalList", {
        "listVersion": p["version"], "updateType": p.get("type", "Full"), "localAuthorizationList": tokens,
    }  # fmt: skip


def _list_2(p: Params) -> Message:
    tokens: list[dict[str, Any]] = [
        {"idToken": token_of(token), "idTokenInfo": {"status": "Accepted"}} for token in p.get("tokens", ())
    ]
    tokens += [{"idToken": token_of(token)} for token in p.get("gone", ())]
    payload: dict[str, Any] = {"versionNumber": p["version"], "updateType": p.get("type", "Full")}
    return "SendLocalList", {**payload, "localAuthorizationList": tokens} if tokens else payload


def _display(p: Params) -> Message:
    content = {"format": p.get("format", "UTF8"), "content": p["text"], **picked(p, language="language")}
    message = {"id": p.get("id", 1), "priority": p.get("priority", "NormalCycle"), "message": content}
    message |= picked(p, state="state", start="startDateTime", end="endDateTime", transaction="transactionId")
    return "SetDisplayMessage", {"message": message}


def _customer(p: Params) -> Message:
    payload: dict[str, Any] = {
        "requestId": p.get("request", REQUEST),
        "report": p["report"],
        "clear": p["clear"],
    }
    payload |= picked(p, customer="customerIdentifier", certificate="customerCertificate")
    if "token" in p:
        payload["idToken"] = token_of(p["token"], p.get("token_type", "Central"))
    return "CustomerInformation", payload


def _reserve_2(p: Params) -> Message:
    token = token_of(p["token"], p.get("token_type", "Central"))
    payload = {
        "id": p["reservation"],
        "expiryDateTime": p["until"],
        "idToken": token,
        "evseId": p.get("evse", 1),
    }
    return "ReserveNow", payload | ({"groupIdToken": token_of(p["group"])} if "group" in p else {})


def _start_2(p: Params) -> Message:
    token = token_of(p["token"], p.get("token_type", "Central"))
    return "RequestStartTransaction", {
        "evseId": p.get("evse", 1),
        "idToken": token,
        "remoteStartId": p.get("request", REQUEST),
    }


def _profiles(p: Params) -> Message:
    criterion = picked(p, purpose="chargingProfilePurpose", level="stackLevel", ids="chargingProfileId")
    return "GetChargingProfiles", {
        "requestId": p.get("request", REQUEST), "chargingProfile": criterion, **picked(p, evse="evseId"),
    }  # fmt: skip


def _availability_2(p: Params) -> Message:
    return "ChangeAvailability", {
        "operationalStatus": p["type"],
        **({"evse": evse_of(p)} if "evse" in p else {}),
    }


USE: Final[dict[str, Operation]] = {
    "availability": both(
        "take an outlet out of service or back; type Operative|Inoperative",
        Form("type evse:int?",
            lambda p: ("ChangeAvailability", {"connectorId": p.get("evse", 0), "type": p["type"]})),
        Form("type evse:int? connector:int?", _availability_2),
    ),
    "battery-swap": Operation(
        "ask for a battery swap", None, None,
        Form("token token_type? request:int?", lambda p: ("RequestBatterySwap", {
            "idToken": token_of(p["token"], p.get("token_type", "Central")),
            "requestId": p.get("request", REQUEST),
        })),
    ),
    "cancel-reservation": same(
        "give a reserved outlet free", "reservation:int",
        lambda p: ("CancelReservation", {"reservationId": p["reservation"]})
    ),
    "clear-cache": same("forget cached authorisations", "", lambda _: ("ClearCache", {})),
    "clear-display": both(
        "take a text off the display", None,
        Form("id:int", lambda p: ("ClearDisplayMessage", {"id": p["id"]}))
    ),
    "clear-tariffs": Operation(
        "forget tariffs; without ids all of them", None, None,
        Form("ids:texts? evse:int?", lambda p: ("ClearTariffs", picked(p, ids="tariffIds", evse="evseId"))),
    ),
    "composite": both(
        "what a station means to do",
        Form("evse:int? duration:int?", lambda p: ("GetCompositeSchedule", {
            "connectorId": p.get("evse", 1), "duration": p.get("duration", 3600), "chargingRateUnit": "W",
        })),
        Form("evse:int? duration:int?", lambda p: ("GetCompositeSchedule", {
            "evseId": p.get("evse", 1), "duration": p.get("duration", 3600), "chargingRateUnit": "W",
        })),
    ),
    "cost": both(
        "tell what a transaction has cost so far", None,
        Form("transaction total:number", lambda p: (
            "CostUpdated", {"transactionId": p["transaction"], "totalCost": p["total"]}
        )),
    ),
    "customer": both(
        "report or clear what is kept of a customer", None,
        Form("report:flag clear:flag token? token_type? customer? certificate:table? request:int?",
            _customer),
    ),
    "display": both(
        "show a text; priority AlwaysFront|InFront|NormalCycle", None,
        Form("text id:int? priority? format? language? state? start:time? end:time? transaction?", _display),
    ),
    "displays": both(
        "which texts it shows", None,
        Form("ids:ints? priority? state? request:int?", lambda p: ("GetDisplayMessages", {
            "requestId": p.get("request", REQUEST), **picked(p, ids="id", priority="priority", state="state"),
        })),
    ),
    "local-list": both(
        "send the local authorisation list: tokens that may charge, and (Differential) that are gone; type "
        "Full|Differential",
        Form("version:int tokens:texts? gone:texts? type?", _list_16),
        Form("version:int tokens:texts? gone:texts? type?", _list_2),
    ),
    "local-list-version": same("which list it holds", "", lambda _: ("GetLocalListVersion", {})),
    "profiles": both(
        "which charging profiles it holds", None,
        Form("evse:int? purpose? level:int? ids:ints? request:int?", _profiles),
    ),
    "reserve": both(
        "keep an outlet for a vehicle, or for all of a group",
        Form("reservation:int token until:time evse:int? group?", lambda p: ("ReserveNow", {
            "connectorId": p.get("evse", 1), "expiryDate": p["until"], "idTag": p["token"],
            "reservationId": p["reservation"],
            **picked(p, group="parentIdTag"),
        })),
        Form("reservation:int token until:time evse:int? group? token_type?", _reserve_2),
    ),
    "start": both(
        "start a transaction; limit_w: at no more than this (nor than `fallback_w`) until its first lease",
        Form("token evse:int? limit_w:number?", lambda p: (
            "RemoteStartTransaction", {"connectorId": p.get("evse", 1), "idTag": p["token"]}
        )),
        Form("token evse:int? limit_w:number? token_type? request:int?", _start_2),
    ),
    "stop": both(
        "end a transaction",
        Form("transaction:int", lambda p: ("RemoteStopTransaction", {"transactionId": p["transaction"]})),
        Form("transaction", lambda p: ("RequestStopTransaction", {"transactionId": p["transaction"]})),
    ),
    "tariff": Operation(
        "set an outlet's tariff (0: all outlets)", None, None,
        Form("tariff:table evse:int?",
            lambda p: ("SetDefaultTariff", {"evseId": p.get("evse", 0), "tariff": p["tariff"]})),
    ),
    "tariffs": Operation(
        "which tariffs it holds", None, None,
        Form("evse:int?", lambda p: ("GetTariffs", {"evseId": p.get("evse", 0)}))
    ),
    "transaction": both(
        "whether a transaction goes on, and whether messages of it wait", None,
        Form("transaction?", lambda p: ("GetTransactionStatus", picked(p, transaction="transactionId"))),
    ),
    "transaction-tariff": Operation(
        "change the tariff of a running transaction", None, None,
        Form("transaction tariff:table", lambda p: (
            "ChangeTransactionTariff", {"transactionId": p["transaction"], "tariff": p["tariff"]}
        )),
    ),
    "transfer-modes": Operation(
        "which energy transfers a vehicle may use from now on, as AC_three_phase, DC_BPT", None, None,
        Form("transaction modes:texts", lambda p: (
            "NotifyAllowedEnergyTransfer",
            {"transactionId": p["transaction"], "allowedEnergyTransfer": p["modes"]}
        )),
    ),
    "unlock": both(
        "unlock the cable",
        Form("evse:int?", lambda p: ("UnlockConnector", {"connectorId": p.get("evse", 1)})),
        Form("evse:int? connector:int?", lambda p: (
            "UnlockConnector", {"evseId": p.get("evse", 1), "connectorId": p.get("connector", 1)}
        )),
    ),
}  # fmt: skip
"""By name."""
