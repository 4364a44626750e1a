"""OCPP 1.6: the compliance cases in which a person asks for something, case → its steps in order (see
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


def state16(status: str, connector: int = 1, error: str = "NoError") -> Call:
    return "StatusNotification", {"connectorId": connector, "errorCode": error, "status": status}


def began16(card: str = "bus-1", **more: Any) -> tuple[Call, ...]:
    begun = {"connectorId": 1, "idTag": card, "meterStart": 0, "timestamp": AT, **more}
    return (
        ("Authorize", {"idTag": card}),
        state16("Preparing"),
        ("StartTransaction", begun),
        state16("Charging"),
    )


def ended16(reason: str) -> tuple[Call, ...]:
    stop = {"transactionId": 1, "idTag": "bus-1", "meterStop": 5, "timestamp": AT, "reason": reason}
    return ("StopTransaction", stop), state16("Finishing"), state16("Available")


BOOT_16: Final[Call] = ("BootNotification", {"chargePointVendor": "v", "chargePointModel": "m"})
START_16: Final = {"connectorId": 1, "idTag": "bus-1"}


def start16(answer: str, *after: Call) -> list[Step]:
    return [Step("start", {"token": "bus-1"}, "RemoteStartTransaction", START_16, said(answer), after)]


def limited16() -> list[Step]:
    profile = {
        "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", "stackLevel": 0,
        "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6_000}]},
    }  # fmt: skip
    demands = {**START_16, "chargingProfile": profile}
    return [
        Step(
            "start", {"token": "bus-1", "limit_w": 6_000.0}, "RemoteStartTransaction", demands, OK, began16()
        )
    ]


def stop16(answer: str, *after: Call) -> list[Step]:
    return [
        Step("stop", {"transaction": 1}, "RemoteStopTransaction", {"transactionId": 1}, said(answer), after)
    ]


def reset16(how: str) -> list[Step]:
    return [
        Step(
            "reset",
            {"type": how},
            "Reset",
            {"type": how},
            OK,
            (BOOT_16, state16("Available", 0), state16("Available")),
        )
    ]


def unlock16(answer: str, *after: Call) -> list[Step]:
    return [Step("unlock", {"evse": 1}, "UnlockConnector", {"connectorId": 1}, said(answer), after)]


def set16(key: str, value: Any, answer: str, *after: Call) -> list[Step]:
    return [
        Step(
            "set",
            {"key": key, "value": value},
            "ChangeConfiguration",
            {"key": key, "value": str(value)},
            said(answer),
            after,
        )
    ]


def list16(answer: str, **more: Any) -> list[Step]:
    kind = more.pop("type", "Full")
    entries = [
        {"idTag": "bus-1", "idTagInfo": {"status": "Accepted"}},
        *({"idTag": gone} for gone in more.get("gone", ())),
    ]
    demands = {"listVersion": 1, "updateType": kind, "localAuthorizationList": entries}
    params = {"version": 1, "tokens": ["bus-1"], "type": kind, **more}
    return [Step("local-list", params, "SendLocalList", demands, said(answer))]


def version16(number: int) -> list[Step]:
    return [Step("local-list-version", {}, "GetLocalListVersion", {}, {"listVersion": number})]


def firmware16(*statuses: str) -> list[Step]:
    demands = {"location": URL, "retrieveDate": AT}
    after = each("FirmwareStatusNotification", *statuses)
    return [Step("firmware", {"location": URL, "retrieve_at": AT}, "UpdateFirmware", demands, {}, after)]


def diagnostics16(*statuses: str) -> list[Step]:
    after = each("DiagnosticsStatusNotification", *statuses)
    return [
        Step(
            "diagnostics",
            {"location": URL},
            "GetDiagnostics",
            {"location": URL},
            {"fileName": "x.log"},
            after,
        )
    ]


def reserve16(answer: str, *after: Call, evse: int = 1, **more: Any) -> list[Step]:
    demands = {"connectorId": evse, "expiryDate": LATER, "idTag": "bus-1", "reservationId": 1}
    demands |= {"parentIdTag": more["group"]} if more else {}
    params = {"evse": evse, "token": "bus-1", "until": LATER, "reservation": 1, **more}
    return [Step("reserve", params, "ReserveNow", demands, said(answer), after)]


def trigger16(message: str, *after: Call, answer: str = "Accepted") -> Step:
    demands = {"requestedMessage": message, "connectorId": 1}
    return Step("trigger", {"message": message, "evse": 1}, "TriggerMessage", demands, said(answer), after)


def installed16(kind: str) -> Step:
    answer = {"status": "Accepted", "certificateHashData": [HASH]}
    return Step(
        "certificates", {"type": kind}, "GetInstalledCertificateIds", {"certificateType": kind}, answer
    )


def signed16(*statuses: str) -> list[Step]:
    params = {"location": URL, "retrieve_at": AT, "signature": "s", "certificate": "c"}
    firmware = {"location": URL, "retrieveDateTime": AT, "signature": "s", "signingCertificate": "c"}
    after = each("SignedFirmwareStatusNotification", *statuses, requestId=0)
    return [Step("signed-firmware", params, "SignedUpdateFirmware", {"firmware": firmware}, OK, after)]


METER_16: Final[Call] = (
    "MeterValues",
    {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": "1"}]}]},
)
SCHEDULE_16: Final = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1.0}]}

V16: Final[dict[str, list[Step]]] = {
    "TC_010": start16("Accepted", *began16()),
    "TC_011_1": start16("Accepted", *began16()),
    "TC_011_2": start16("Accepted", ("Authorize", {"idTag": "bus-1"}), state16("Preparing"), state16("Available")),
    "TC_012": stop16("Accepted", *ended16("Remote")),
    "TC_013": reset16("Hard"),
    "TC_014": reset16("Soft"),
    "TC_017_1": unlock16("Unlocked"),
    "TC_017_2": unlock16("NotSupported"),
    "TC_018_1": unlock16("Unlocked", state16("Finishing"), *ended16("UnlockCommand")),
    "TC_019_1": [
        Step("get", {}, "GetConfiguration", {}, {"configurationKey": [{"key": "a", "readonly": False, "value": "1"}]}),
    ],
    "TC_019_2": [
        Step("get", {"key": "SupportedFeatureProfiles"}, "GetConfiguration", {"key": ["SupportedFeatureProfiles"]},
             {"configurationKey": [{"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core"}]}),
    ],
    "TC_021": set16("MeterValueSampleInterval", 60, "Accepted"),
    "TC_026": start16("Rejected"),
    "TC_028": stop16("Rejected"),
    "TC_030": unlock16("UnlockFailed"),
    "TC_031": [Step("unlock", {"evse": 3}, "UnlockConnector", {"connectorId": 3}, said("NotSupported"))],
    "TC_040_1": set16("Unknown", 1, "NotSupported"),
    "TC_040_2": set16("MeterValueSampleInterval", -1, "Rejected"),
    "TC_042_1": version16(-1),
    "TC_042_2": version16(0),
    "TC_043_1": list16("NotSupported"),
    "TC_043_3": list16("Failed"),
    "TC_043_4": list16("Accepted"),
    "TC_043_5": list16("Accepted", type="Differential", gone=["bus-2"]),
    "TC_044_1": firmware16("Downloading", "Downloaded", "Installing", "Installed"),
    "TC_044_2": firmware16("Downloading", "DownloadFailed"),
    "TC_044_3": firmware16("Downloading", "Downloaded", "Installing", "InstallationFailed"),
    "TC_045_1": diagnostics16("Uploading", "Uploaded"),
    "TC_045_2": diagnostics16("Uploading", "UploadFailed"),
    "TC_046": reserve16("Accepted", state16("Reserved"), *began16(reservationId=1)),
    "TC_047": reserve16("Accepted", state16("Reserved"), state16("Available")),
    "TC_048_1": reserve16("Faulted"),
    "TC_048_2": reserve16("Occupied"),
    "TC_048_3": reserve16("Unavailable"),
    "TC_048_4": reserve16("Rejected"),
    "TC_049": reserve16("Accepted", *began16(reservationId=1), evse=0),
    "TC_051": [*reserve16("Accepted", state16("Reserved")), *cancel("Accepted", state16("Available"))],
    "TC_052": cancel("Rejected"),
    "TC_053": reserve16("Accepted", state16("Reserved"), *began16("colleague", reservationId=1), group="fleet"),
    "TC_054": [
        trigger16("MeterValues", METER_16),
        trigger16("Heartbeat", ("Heartbeat", {})),
        trigger16("StatusNotification", state16("Available")),
        trigger16("BootNotification", BOOT_16),
        trigger16("DiagnosticsStatusNotification", *each("DiagnosticsStatusNotification", "Idle")),
        trigger16("FirmwareStatusNotification", answer="NotImplemented"),
    ],
    "TC_055": [trigger16("MeterValues", answer="Rejected")],
    "TC_059": limited16(),
    "TC_061": [Step("clear-cache", {}, "ClearCache", {}, OK)],
    "TC_066": [
        Step("composite", {"evse": 1, "duration": 300}, "GetCompositeSchedule",
             {"connectorId": 1, "duration": 300, "chargingRateUnit": "W"},
             {"status": "Accepted", "connectorId": 1, "scheduleStart": AT, "chargingSchedule": SCHEDULE_16}),
    ],
    "TC_075_1": install("ManufacturerRootCertificate", "Accepted", installed16("ManufacturerRootCertificate")),
    "TC_075_2": install("CentralSystemRootCertificate", "Accepted", installed16("CentralSystemRootCertificate")),
    "TC_076": [installed16("CentralSystemRootCertificate"), delete("Accepted")],
    "TC_079": [
        Step("log", {"location": URL, "type": "SecurityLog"}, "GetLog", {"logType": "SecurityLog", "log": LOG},
             {"status": "Accepted", "filename": "x"}, each("LogStatusNotification", "Uploading", "Uploaded", requestId=0)),
    ],
    "TC_080": signed16("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed"),
    "TC_081": signed16("Downloading", "Downloaded", "InvalidSignature"),
    "TC_083": [*set16("SecurityProfile", 2, "Accepted"), *reset16("Hard")],
}  # fmt: skip
