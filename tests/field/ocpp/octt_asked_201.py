"""OCPP 2.0.1: the compliance cases in which a person asks for something, case → its steps in order (see
``octt_step``).
"""

from typing import Any, Final

from tests.field.ocpp.octt_step import (
    HASH,
    LATER,
    LOG,
    OK,
    URL,
    Call,
    Step,
    cancel,
    delete,
    each,
    install,
    said,
)
from tests.field.ocpp.peer import AT

BOOT_2: Final[Call] = (
    "BootNotification",
    {"reason": "RemoteReset", "chargingStation": {"vendorName": "v", "model": "m"}},
)


def state2(status: str, evse: int = 1) -> Call:
    return "StatusNotification", {
        "timestamp": AT,
        "connectorStatus": status,
        "evseId": evse,
        "connectorId": 1,
    }


def event2(kind: str, trigger: str, seq: int = 0, **info: Any) -> Call:
    payload = {
        "eventType": kind, "timestamp": AT, "triggerReason": trigger, "seqNo": seq, "evse": {"id": 1, "connectorId": 1},
        "transactionInfo": {"transactionId": "t", **info},
    }  # fmt: skip
    return "TransactionEvent", payload


def get2(variable: str, status: str = "Accepted") -> Step:
    row = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": variable}}
    answer = {
        "getVariableResult": [
            {"attributeStatus": status, **row, **({"attributeValue": "1"} if status == "Accepted" else {})}
        ]
    }
    params = {"component": "OCPPCommCtrlr", "variable": variable}
    return Step("get", params, "GetVariables", {"getVariableData": [row]}, answer)


def set2(component: str, variable: str, value: str, status: str = "Accepted", *after: Call) -> Step:
    row = {"component": {"name": component}, "variable": {"name": variable}}
    answer = {"setVariableResult": [{"attributeStatus": status, **row}]}
    params = {"component": component, "variable": variable, "value": value}
    return Step(
        "set", params, "SetVariables", {"setVariableData": [{"attributeValue": value, **row}]}, answer, after
    )


def asked(action: str, payload: dict[str, Any], answer: dict[str, Any], *after: Call) -> Step:
    """What no operation is for goes by ``call``."""
    return Step("call", {"action": action, "payload": payload}, action, payload, answer, after)


def report2(
    params: dict[str, Any], action: str, demands: dict[str, Any], answer: str = "Accepted"
) -> list[Step]:
    data = [{"component": {"name": "C"}, "variable": {"name": "V"}, "variableAttribute": [{"value": "1"}]}]
    parts = [
        {"requestId": 0, "generatedAt": AT, "seqNo": n, "tbc": n == 0, "reportData": data} for n in range(2)
    ]
    after = tuple(("NotifyReport", part) for part in parts) if answer == "Accepted" else ()
    return [Step("report", params, action, demands, said(answer), after)]


def reset2(how: str, answer: str, *after: Call, evse: int = 0) -> list[Step]:
    where = {"evseId": evse} if evse else {}
    return [
        Step(
            "reset",
            {"type": how} | ({"evse": evse} if evse else {}),
            "Reset",
            {"type": how, **where},
            said(answer),
            after,
        )
    ]


def network2(answer: str) -> list[Step]:
    demands = {
        "configurationSlot": 1,
        "connectionData": {
            "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": "wss://a.b/c", "messageTimeout": 30,
            "securityProfile": 2, "ocppInterface": "Wired0",
        },
    }  # fmt: skip
    return [asked("SetNetworkProfile", demands, said(answer))]


def start2(answer: str, *after: Call) -> list[Step]:
    demands = {"evseId": 1, "idToken": {"idToken": "bus-2", "type": "Central"}}
    return [Step("start", {"token": "bus-2"}, "RequestStartTransaction", demands, said(answer), after)]


def limited2() -> list[Step]:
    period = {
        "startPeriod": 0,
        "limit": 11_000,
    }  # 50 kW were asked for; the outlet's fallback is what is always allowed
    profile = {
        "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", "stackLevel": 0,
        "chargingSchedule": [{"chargingRateUnit": "W", "chargingSchedulePeriod": [period]}],
    }  # fmt: skip
    demands = {"evseId": 1, "idToken": {"idToken": "bus-2", "type": "Central"}, "chargingProfile": profile}
    return [
        Step(
            "start",
            {"token": "bus-2", "limit_w": 50_000.0},
            "RequestStartTransaction",
            demands,
            OK,
            (STARTED,),
        )
    ]


STARTED: Final = event2("Started", "RemoteStart", 0, chargingState="Charging", remoteStartId=0)
STOPPED: Final = event2("Ended", "RemoteStop", 9, chargingState="Idle", stoppedReason="Remote")


def trigger2(message: str, *after: Call, evse: int = 0, answer: str = "Accepted") -> list[Step]:
    where = {"evse": {"id": evse}} if evse else {}
    demands = {"requestedMessage": message, **where}
    return [
        Step(
            "trigger",
            {"message": message} | ({"evse": evse} if evse else {}),
            "TriggerMessage",
            demands,
            said(answer),
            after,
        )
    ]


def available(kind: str, answer: str, evse: int = 0, connector: int = 0) -> list[Step]:
    params: dict[str, Any] = (
        {"type": kind} | ({"evse": evse} if evse else {}) | ({"connector": connector} if connector else {})
    )
    where = {"evse": {"id": evse} | ({"connectorId": connector} if connector else {})} if evse else {}
    after = (state2("Unavailable" if kind == "Inoperative" else "Available"),)
    return [
        Step(
            "availability",
            params,
            "ChangeAvailability",
            {"operationalStatus": kind, **where},
            said(answer),
            after,
        )
    ]


def transaction2(number: str, *, queue: bool, ongoing: bool | None = None) -> list[Step]:
    answer: dict[str, Any] = {"messagesInQueue": queue} | (
        {} if ongoing is None else {"ongoingIndicator": ongoing}
    )
    sent = {"transactionId": number} if number else {}
    return [
        Step("transaction", {"transaction": number} if number else {}, "GetTransactionStatus", sent, answer)
    ]


def firmware2(*statuses: str, answer: str = "Accepted", **times: str) -> list[Step]:
    params = {"location": URL, "retrieve_at": AT, "signature": "s", "certificate": "c", **times}
    demands = {"location": URL, "retrieveDateTime": AT, "signature": "s", "signingCertificate": "c"}
    demands |= {"installDateTime": times["install_at"]} if times else {}
    after = each("FirmwareStatusNotification", *statuses, requestId=0)
    return [Step("firmware", params, "UpdateFirmware", {"firmware": demands}, said(answer), after)]


def publish(*statuses: str) -> list[Step]:
    params = {"location": URL, "checksum": "5f4dcc3b5aa765d61d8327deb882cf99"}
    after = tuple(
        (
            "PublishFirmwareStatusNotification",
            {"status": status, "requestId": 0} | ({"location": [URL]} if status == "Published" else {}),
        )
        for status in statuses
    )
    return [Step("publish-firmware", params, "PublishFirmware", params, OK, after)]


def unpublish(answer: str) -> list[Step]:
    params = {"checksum": "5f4dcc3b5aa765d61d8327deb882cf99"}
    return [Step("unpublish-firmware", params, "UnpublishFirmware", params, said(answer))]


def installed2(answer: str = "Accepted", *kinds: str) -> Step:
    chain = [
        {"certificateType": kind, "certificateHashData": HASH} for kind in kinds or ("CSMSRootCertificate",)
    ]
    payload = {"status": answer} | ({"certificateHashDataChain": chain} if answer == "Accepted" else {})
    if len(kinds) == 1:
        return Step(
            "certificates",
            {"type": kinds[0]},
            "GetInstalledCertificateIds",
            {"certificateType": [*kinds]},
            payload,
        )
    return asked("GetInstalledCertificateIds", {"certificateType": [*kinds]} if kinds else {}, payload)


def customer(answer: str, *, report: bool, clear: bool, after: int = 1, **who: Any) -> list[Step]:
    sent = {"idToken": {"idToken": who["token"], "type": "Central"}} if "token" in who else {}
    sent |= {"customerIdentifier": who["customer"]} if "customer" in who else {}
    sent |= {"customerCertificate": who["certificate"]} if "certificate" in who else {}
    told = tuple(
        ("NotifyCustomerInformation", {"data": "x", "seqNo": n, "generatedAt": AT, "requestId": 0})
        for n in range(after)
    )
    demands = {"report": report, "clear": clear, **sent}
    return [
        Step(
            "customer",
            {"report": report, "clear": clear, **who},
            "CustomerInformation",
            demands,
            said(answer),
            told,
        )
    ]


def log2(kind: str, answer: str, *statuses: str) -> Step:
    reply = {"status": answer} | ({} if answer == "Rejected" else {"filename": "x"})
    after = each("LogStatusNotification", *statuses, requestId=0)
    return Step("log", {"location": URL, "type": kind}, "GetLog", {"logType": kind, "log": LOG}, reply, after)


def list2(
    answer: str, kind: str = "Full", tokens: tuple[str, ...] = ("bus-2",), gone: tuple[str, ...] = ()
) -> list[Step]:
    entries: list[dict[str, Any]] = [
        {"idToken": {"idToken": token, "type": "Central"}, "idTokenInfo": {"status": "Accepted"}}
        for token in tokens
    ]
    entries += [{"idToken": {"idToken": token, "type": "Central"}} for token in gone]
    demands = {"versionNumber": 1, "updateType": kind} | (
        {"localAuthorizationList": entries} if entries else {}
    )
    params = {"version": 1, "type": kind, "tokens": [*tokens], "gone": [*gone]}
    return [Step("local-list", params, "SendLocalList", demands, said(answer))]


def group2(status: str) -> list[Step]:
    """A local list whose entries share a group; the station decides by it, also without a link."""
    info = {"status": status, "groupIdToken": {"idToken": "fleet", "type": "Central"}}
    entry = {"idToken": {"idToken": "bus-2", "type": "Central"}, "idTokenInfo": info}
    wanted = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [entry]}
    return [
        asked(
            "SendLocalList", wanted, OK, event2("Started", "Authorized"), event2("Ended", "StopAuthorized", 1)
        )
    ]


def reserve2(answer: str, *after: Call, evse: int | None = 1, **more: Any) -> list[Step]:
    demands: dict[str, Any] = {
        "id": 1,
        "expiryDateTime": LATER,
        "idToken": {"idToken": "bus-2", "type": "Central"},
    }
    demands |= {"evseId": evse} if evse else {}
    if evse is None:
        return [asked("ReserveNow", {**demands, **more}, said(answer), *after)]
    params = {"evse": evse, "token": "bus-2", "until": LATER, "reservation": 1, **more}
    demands |= {"groupIdToken": {"idToken": more["group"], "type": "Central"}} if more else {}
    return [Step("reserve", params, "ReserveNow", demands, said(answer), after)]


ENDED_RESERVATION: Final[Call] = (
    "ReservationStatusUpdate",
    {"reservationId": 1, "reservationUpdateStatus": "Expired"},
)


def profiles2(after: bool = True, **params: Any) -> list[Step]:
    names = {"purpose": "chargingProfilePurpose", "level": "stackLevel", "ids": "chargingProfileId"}
    criterion = {wire: params[name] for name, wire in names.items() if name in params}
    demands = {"chargingProfile": criterion} | ({"evseId": params["evse"]} if "evse" in params else {})
    told = (("ReportChargingProfiles", REPORTED),) if after else ()
    return [Step("profiles", params, "GetChargingProfiles", demands, OK, told)]


REPORTED: Final = {
    "requestId": 0, "chargingLimitSource": "CSO", "evseId": 1,
    "chargingProfile": [{
        "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": [{"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1000}]}],
    }],
}  # fmt: skip


def composite2(evse: int) -> list[Step]:
    schedule = {
        "evseId": evse, "duration": 300, "scheduleStart": AT, "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1000}],
    }  # fmt: skip
    demands = {"evseId": evse, "duration": 300, "chargingRateUnit": "W"}
    answer = {"status": "Accepted", "schedule": schedule}
    return [Step("composite", {"evse": evse, "duration": 300}, "GetCompositeSchedule", demands, answer)]


def monitors(answer: str = "Accepted", **params: Any) -> list[Step]:
    demands: dict[str, Any] = {"monitoringCriteria": params["criteria"]} if "criteria" in params else {}
    if "component" in params:
        demands["componentVariable"] = [
            {"component": {"name": params["component"]}, "variable": {"name": params["variable"]}}
        ]
    told = (
        (("NotifyMonitoringReport", {"requestId": 0, "seqNo": 0, "generatedAt": AT}),)
        if answer == "Accepted"
        else ()
    )
    return [Step("monitors", params, "GetMonitoringReport", demands, said(answer), told)]


def monitor(kind: str, status: str = "Accepted", *after: Call) -> Step:
    row = {"component": {"name": "EVSE"}, "variable": {"name": "Power"}}
    wanted = {"value": 1.0, "type": kind, "severity": 5, **row}
    result = {"status": status, "type": kind, "severity": 5, **row} | (
        {"id": 1} if status == "Accepted" else {}
    )
    params = {"component": "EVSE", "variable": "Power", "value": 1.0, "type": kind, "severity": 5}
    answer = {"setMonitoringResult": [result]}
    return Step("monitor", params, "SetVariableMonitoring", {"setMonitoringData": [wanted]}, answer, after)


def happened(trigger: str, kind: str, **more: Any) -> Call:
    datum = {
        "eventId": 1, "timestamp": AT, "trigger": trigger, "actualValue": "1", "eventNotificationType": kind,
        "component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}, **more,
    }  # fmt: skip
    return "NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": [datum]}


def clear_monitor(status: str) -> list[Step]:
    answer = {"clearMonitoringResult": [{"status": status, "id": 1}]}
    return [Step("clear-monitors", {"ids": [1]}, "ClearVariableMonitoring", {"id": [1]}, answer)]


def display(answer: str, *after: Call, **more: Any) -> list[Step]:
    wire = {"start": "startDateTime", "end": "endDateTime", "transaction": "transactionId"}
    demands: dict[str, Any] = {
        "id": 1,
        "priority": "NormalCycle",
        "message": {"format": "UTF8", "content": "hello"},
    }
    demands["message"] |= {"format": more["format"]} if "format" in more else {}
    demands |= {wire.get(name, name): value for name, value in more.items() if name != "format"}
    return [
        Step(
            "display",
            {"text": "hello", **more},
            "SetDisplayMessage",
            {"message": demands},
            said(answer),
            after,
        )
    ]


def displays(answer: str, *after: Call, **params: Any) -> list[Step]:
    demands = {{"ids": "id"}.get(name, name): value for name, value in params.items()}
    return [Step("displays", params, "GetDisplayMessages", demands, said(answer), after)]


SHOWN: Final[Call] = ("NotifyDisplayMessages", {"requestId": 0})


def clear_display(answer: str) -> list[Step]:
    return [Step("clear-display", {"id": 1}, "ClearDisplayMessage", {"id": 1}, said(answer))]


AUTHORIZE: Final[Call] = ("Authorize", {"idToken": {"idToken": "bus-2", "type": "Central"}})
METER_2: Final[Call] = (
    "MeterValues",
    {"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": 1}]}]},
)
EXTERNAL: Final = "ChargingStationExternalConstraints"
V2X: Final = ("DeltaMonitoring", "ThresholdMonitoring", "PeriodicMonitoring")

V201: Final[dict[str, list[Step]]] = {
    "TC_A_19": [set2("SecurityCtrlr", "SecurityProfile", "2"), *reset2("OnIdle", "Accepted", BOOT_2)],
    "TC_B_06": [get2("OfflineThreshold")],
    "TC_B_07": [asked("GetVariables", {"getVariableData": [
        {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}},
        {"component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}},
    ]}, {"getVariableResult": [
        {"attributeStatus": "Accepted", "attributeValue": "1",
         "component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}},
        {"attributeStatus": "UnknownVariable", "component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}},
    ]})],
    "TC_B_09": [set2("OCPPCommCtrlr", "OfflineThreshold", "123")],
    "TC_B_10": [asked("SetVariables", {"setVariableData": [
        {"attributeValue": "123", "component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}},
        {"attributeValue": "true", "component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}},
    ]}, {"setVariableResult": [
        {"attributeStatus": "Accepted", "component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}},
        {"attributeStatus": "RebootRequired", "component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}},
    ]})],
    "TC_B_12": report2({"base": "ConfigurationInventory"}, "GetBaseReport", {"reportBase": "ConfigurationInventory"}),
    "TC_B_13": report2({"base": "FullInventory"}, "GetBaseReport", {"reportBase": "FullInventory"}),
    "TC_B_14": report2({"base": "SummaryInventory"}, "GetBaseReport", {"reportBase": "SummaryInventory"}),
    "TC_B_18": report2(
        {"criteria": ["Problem"], "component": "EVSE", "variable": "AvailabilityState"}, "GetReport",
        {"componentCriteria": ["Problem"],
         "componentVariable": [{"component": {"name": "EVSE"}, "variable": {"name": "AvailabilityState"}}]}),
    "TC_B_20": reset2("OnIdle", "Accepted", BOOT_2, state2("Available")),
    "TC_B_21": reset2("OnIdle", "Scheduled", STOPPED, BOOT_2),
    "TC_B_22": reset2("Immediate", "Accepted", event2("Ended", "ResetCommand", 9, stoppedReason="ImmediateReset"), BOOT_2),
    "TC_B_25": reset2("OnIdle", "Accepted", state2("Unavailable"), state2("Available"), evse=1),
    "TC_B_26": reset2("OnIdle", "Scheduled", STOPPED, evse=1),
    "TC_B_27": reset2("Immediate", "Accepted", event2("Ended", "ResetCommand", 9, stoppedReason="ImmediateReset"), evse=1),
    "TC_B_42": network2("Accepted"),
    "TC_B_44": network2("Failed"),
    "TC_C_37": [Step("clear-cache", {}, "ClearCache", {}, OK)],
    "TC_C_38": [Step("clear-cache", {}, "ClearCache", {}, said("Rejected"))],
    "TC_C_40": group2("Accepted"),
    "TC_C_43": group2("Blocked"),
    "TC_D_01": list2("Accepted"),
    "TC_D_02": list2("Accepted", "Differential"),
    "TC_D_03": list2("Accepted", "Differential", (), ("bus-2",)),
    "TC_D_04": list2("Accepted", "Full", ()),
    "TC_D_08": [Step("local-list-version", {}, "GetLocalListVersion", {}, {"versionNumber": 5})],
    "TC_D_09": [Step("local-list-version", {}, "GetLocalListVersion", {}, {"versionNumber": 0})],
    "TC_E_21": [
        *start2("Accepted", STARTED),
        Step("stop", {"transaction": "t"}, "RequestStopTransaction", {"transactionId": "t"}, OK, (STOPPED,)),
    ],
    "TC_E_29": transaction2("t", queue=True, ongoing=True),
    "TC_E_30": transaction2("t", queue=False, ongoing=True),
    "TC_E_31": transaction2("t", queue=True, ongoing=False),
    "TC_E_33": transaction2("", queue=True),
    "TC_E_34": transaction2("", queue=False),
    "TC_F_01": start2("Accepted", STARTED),
    "TC_F_02": start2("Accepted", AUTHORIZE, state2("Occupied"), STARTED),
    "TC_F_03": start2("Accepted", state2("Occupied"), STARTED),
    "TC_F_04": start2(
        "Accepted", event2("Started", "RemoteStart", remoteStartId=0),
        event2("Ended", "EVConnectTimeout", 1, stoppedReason="Timeout")),
    "TC_F_06": [Step("unlock", {"evse": 1}, "UnlockConnector", {"evseId": 1, "connectorId": 1}, said("Unlocked"))],
    "TC_F_11": trigger2("MeterValues", METER_2, evse=1),
    "TC_F_12": trigger2("MeterValues", METER_2),
    "TC_F_13": trigger2("TransactionEvent", event2("Updated", "Trigger", 3, chargingState="Charging"), evse=1),
    "TC_F_14": trigger2("TransactionEvent", event2("Updated", "Trigger", 3, chargingState="Charging")),
    "TC_F_15": trigger2("LogStatusNotification", *each("LogStatusNotification", "Idle")),
    "TC_F_18": trigger2("FirmwareStatusNotification", *each("FirmwareStatusNotification", "Idle")),
    "TC_F_20": trigger2("Heartbeat", ("Heartbeat", {})),
    "TC_F_23": trigger2("StatusNotification", state2("Available"), evse=1),
    "TC_F_24": trigger2("StatusNotification", state2("Occupied"), evse=1),
    "TC_F_27": trigger2("SignV2GCertificate", answer="NotImplemented"),
    "TC_G_03": available("Inoperative", "Accepted", 1),
    "TC_G_04": available("Operative", "Accepted", 1),
    "TC_G_05": available("Inoperative", "Accepted"),
    "TC_G_06": available("Operative", "Accepted"),
    "TC_G_07": available("Inoperative", "Accepted", 1, 1),
    "TC_G_08": available("Operative", "Accepted", 1, 1),
    "TC_G_11": available("Inoperative", "Scheduled", 1),
    "TC_G_14": available("Inoperative", "Scheduled"),
    "TC_G_17": available("Inoperative", "Scheduled", 1, 1),
    "TC_H_01": reserve2("Accepted", state2("Reserved"), event2("Started", "Authorized")),
    "TC_H_07": reserve2("Accepted", state2("Reserved"), ENDED_RESERVATION, state2("Available")),
    "TC_H_08": reserve2("Accepted", evse=None),
    "TC_H_14": reserve2("Accepted", state2("Reserved"), evse=None),
    "TC_H_15": reserve2("Accepted", state2("Reserved"), evse=None, connectorType="cType2"),
    "TC_H_17": [*reserve2("Accepted", state2("Reserved")), *cancel("Accepted", state2("Available"))],
    "TC_H_19": reserve2("Accepted", state2("Reserved"), event2("Started", "Authorized"), group="fleet"),
    "TC_H_20": reserve2("Accepted", state2("Reserved"), state2("Faulted"),
                        ("ReservationStatusUpdate", {"reservationId": 1, "reservationUpdateStatus": "Removed"})),
    "TC_H_22": reserve2("Rejected"),
    "TC_I_01": [Step("cost", {"transaction": "t", "total": 3.5}, "CostUpdated", {"transactionId": "t", "totalCost": 3.5}, {})],
    "TC_K_29": profiles2(evse=0, purpose="TxDefaultProfile"),
    "TC_K_30": profiles2(evse=1, purpose="TxDefaultProfile"),
    "TC_K_31": profiles2(purpose="TxDefaultProfile"),
    "TC_K_32": profiles2(ids=[1]),
    "TC_K_33": profiles2(evse=1, level=0),
    "TC_K_34": [asked("GetChargingProfiles",
                      {"requestId": 5, "evseId": 1, "chargingProfile": {"chargingLimitSource": ["CSO"]}}, OK,
                      ("ReportChargingProfiles", {**REPORTED, "requestId": 5}))],
    "TC_K_35": profiles2(evse=1, purpose="TxProfile"),
    "TC_K_36": profiles2(evse=1, purpose="TxProfile", level=0),
    "TC_K_37": limited2(),
    "TC_K_43": composite2(1),
    "TC_K_44": composite2(0),
    "TC_K_52": profiles2(evse=1, purpose=EXTERNAL),
    "TC_L_01": firmware2("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed"),
    "TC_L_02": firmware2("Downloading", "Downloaded", "SignatureVerified", "InstallScheduled", "Installing", install_at=LATER),
    "TC_L_03": firmware2("DownloadScheduled", "Downloading", "Downloaded"),
    "TC_L_04": firmware2(answer="RevokedCertificate"),
    "TC_L_05": firmware2(answer="InvalidCertificate"),
    "TC_L_06": firmware2("Downloading", "Downloaded", "InvalidSignature"),
    "TC_L_07": firmware2("Downloading", "DownloadFailed"),
    "TC_L_08": firmware2("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallVerificationFailed"),
    "TC_L_09": firmware2("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallationFailed"),
    "TC_L_10": firmware2("Downloading", answer="AcceptedCanceled"),
    "TC_L_11": [*firmware2("Downloading"), *firmware2(answer="Rejected")],
    "TC_L_13": [*firmware2("Downloading", "Downloaded"), *available("Inoperative", "Scheduled", 1)],
    "TC_L_17": publish("Downloading", "Downloaded", "ChecksumVerified", "Published"),
    "TC_L_19": publish("Downloading", "Downloaded", "InvalidChecksum"),
    "TC_L_20": publish("Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"),
    "TC_L_21": unpublish("Unpublished"),
    "TC_L_22": unpublish("NoFirmware"),
    "TC_L_23": unpublish("DownloadOngoing"),
    "TC_L_24": publish("Downloading", "DownloadFailed"),
    "TC_M_01": install("CSMSRootCertificate"),
    "TC_M_02": install("ManufacturerRootCertificate"),
    "TC_M_03": install("V2GRootCertificate"),
    "TC_M_04": install("MORootCertificate"),
    "TC_M_05": install("CSMSRootCertificate", "Failed"),
    "TC_M_12": [installed2("Accepted", "CSMSRootCertificate")],
    "TC_M_13": [installed2("Accepted", "ManufacturerRootCertificate")],
    "TC_M_14": [installed2("Accepted", "V2GRootCertificate")],
    "TC_M_15": [installed2("Accepted", "V2GCertificateChain")],
    "TC_M_16": [installed2("Accepted", "MORootCertificate")],
    "TC_M_17": [installed2("Accepted", "CSMSRootCertificate", "ManufacturerRootCertificate")],
    "TC_M_18": [installed2()],
    "TC_M_19": [installed2("NotFound")],
    "TC_M_20": [installed2(), delete("Accepted")],
    "TC_M_21": [delete("Failed")],
    "TC_N_01": monitors(criteria=list(V2X)),
    "TC_N_02": monitors(component="EVSE", variable="Power"),
    "TC_N_03": monitors(criteria=["DeltaMonitoring"], component="EVSE", variable="Power"),
    "TC_N_05": [Step("monitoring-base", {"base": "All"}, "SetMonitoringBase", {"monitoringBase": "All"}, OK)],
    "TC_N_08": [monitor("UpperThreshold")],
    "TC_N_09": [monitor("UpperThreshold"), monitor("LowerThreshold", "Rejected")],
    "TC_N_16": [Step("monitoring-level", {"severity": 4}, "SetMonitoringLevel", {"severity": 4}, OK)],
    "TC_N_17": [Step("monitoring-level", {"severity": 9}, "SetMonitoringLevel", {"severity": 9}, said("Rejected"))],
    "TC_N_18": clear_monitor("NotFound"),
    "TC_N_24": [monitor("Periodic", "Accepted", happened("Periodic", "CustomMonitor", variableMonitoringId=1))],
    "TC_N_25": [log2("DiagnosticsLog", "Accepted", "Uploading", "Uploaded")],
    "TC_N_27": customer("Accepted", report=True, clear=False, token="bus-2"),
    "TC_N_28": customer("Accepted", report=True, clear=False, token="bus-2"),
    "TC_N_29": customer("Rejected", report=True, clear=False, after=0, token="bus-2"),
    "TC_N_30": customer("Accepted", report=True, clear=True, after=2, token="bus-2"),
    "TC_N_31": customer("Accepted", report=True, clear=True, token="bus-2"),
    "TC_N_32": customer("Accepted", report=False, clear=True, token="bus-2"),
    "TC_N_34": [log2("DiagnosticsLog", "Rejected")],
    "TC_N_35": [log2("SecurityLog", "Accepted", "Uploading", "Uploaded")],
    "TC_N_36": [log2("DiagnosticsLog", "Accepted", "Uploading"), log2("DiagnosticsLog", "AcceptedCanceled", "AcceptedCanceled")],
    "TC_N_44": clear_monitor("Rejected"),
    "TC_N_46": [
        *customer("Accepted", report=True, clear=True, token="bus-2"),
        *list2("Accepted", "Differential", (), ("bus-2",)),
    ],
    "TC_N_47": monitors(),
    "TC_N_60": [asked("GetMonitoringReport", {
        "requestId": 5, "monitoringCriteria": ["DeltaMonitoring"],
        "componentVariable": [{"component": {"name": "EVSE"}}, {"component": {"name": "Connector"}}],
    }, OK)],
    "TC_N_62": customer("Accepted", report=True, clear=True, customer="OpenChargeAlliance"),
    "TC_N_63": customer("Accepted", report=True, clear=True, certificate=HASH),
    "TC_O_01": display("Accepted"),
    "TC_O_02": displays("Accepted", SHOWN),
    "TC_O_03": displays("Unknown"),
    "TC_O_04": clear_display("Accepted"),
    "TC_O_05": clear_display("Unknown"),
    "TC_O_06": display("Accepted", transaction="t"),
    "TC_O_07": displays("Accepted", SHOWN, ids=[1]),
    "TC_O_08": displays("Accepted", SHOWN, priority="NormalCycle"),
    "TC_O_09": displays("Accepted", SHOWN, state="Charging"),
    "TC_O_10": display("UnknownTransaction", transaction="t"),
    "TC_O_11": displays("Unknown", ids=[99]),
    "TC_O_12": [*display("Accepted"), *display("Accepted", priority="AlwaysFront")],
    "TC_O_13": display("Accepted", start=LATER),
    "TC_O_14": display("Accepted", end=LATER),
    "TC_O_17": display("NotSupportedPriority", priority="AlwaysFront"),
    "TC_O_18": display("NotSupportedState", state="Charging"),
    "TC_O_19": display("NotSupportedMessageFormat", format="HTML"),
    "TC_O_25": display("Accepted", state="Charging"),
    "TC_O_26": display("Rejected"),
    "TC_O_27": display("Accepted", transaction="t", start=LATER),
    "TC_O_28": display("Accepted", transaction="t", end=LATER),
}  # fmt: skip
