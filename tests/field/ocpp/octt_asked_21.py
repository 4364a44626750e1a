"""OCPP 2.1 beyond 2.0.1: the compliance cases in which a person asks for something, and those in which the
station only tells.

``V21``: case → its steps in order (see ``octt_step``). ``SENT``: case → what the station sends and wants
acknowledged.
"""

from typing import Final

from tests.field.ocpp.octt_asked_201 import (
    BOOT_2,
    asked,
    display,
    event2,
    log2,
    monitors,
    reset2,
    state2,
    trigger2,
)
from tests.field.ocpp.octt_step import Call, Step, each, install, said

TARIFF: Final = {
    "tariffId": "t", "currency": "EUR",
    "energy": {"prices": [{"priceKwh": 0.25, "conditions": {"startTimeOfDay": "00:00", "endTimeOfDay": "06:00"}}]},
}  # fmt: skip
RESUMED: Final = event2("Updated", "TxResumed", 2, chargingState="Charging")


def default_tariff(answer: str) -> list[Step]:
    demands = {"evseId": 1, "tariff": TARIFF}
    return [Step("tariff", {"evse": 1, "tariff": TARIFF}, "SetDefaultTariff", demands, said(answer))]


def transaction_tariff(answer: str) -> list[Step]:
    demands = {"transactionId": "t", "tariff": TARIFF}
    return [
        Step(
            "transaction-tariff",
            {"transaction": "t", "tariff": TARIFF},
            "ChangeTransactionTariff",
            demands,
            said(answer),
        )
    ]


def upload(location: str) -> list[Step]:
    """The host's user and password stand in the URL."""
    demands = {"logType": "DiagnosticsLog", "log": {"remoteLocation": location}}
    after = each("LogStatusNotification", "Uploading", "Uploaded", requestId=0)
    return [
        Step("log", {"location": location}, "GetLog", demands, {"status": "Accepted", "filename": "x"}, after)
    ]


def limited(name: str, value: float, reached: str, stopped: str = "") -> tuple[Call, ...]:
    """A transaction whose limit the station has set by itself."""
    return (
        event2("Started", "Authorized", chargingState="Charging"),
        event2("Updated", "LimitSet", 1, transactionLimit={name: value}),
        event2("Ended", reached, 2, chargingState="EVConnected", stoppedReason=stopped or reached),
    )


def costed(*calls: Call) -> tuple[Call, ...]:
    """The same, with what it has cost at its end."""
    total = {"currency": "EUR", "typeOfCost": "NormalCost", "total": {"exclTax": 1.0}}
    details = {"totalCost": total, "totalUsage": {"energy": 1.0, "chargingTime": 60, "idleTime": 0}}
    action, payload = calls[-1]
    return *calls[:-1], (action, {**payload, "costDetails": details})


V21: Final[dict[str, list[Step]]] = {
    "TC_B_103": reset2("ImmediateAndResume", "Accepted", BOOT_2, RESUMED),
    "TC_B_104": reset2("ImmediateAndResume", "Accepted", BOOT_2, state2("Available")),
    "TC_B_105": [
        asked("SetVariables", {"setVariableData": [{
            "attributeValue": "wss://a.b/c", "component": {"name": "NetworkConfiguration", "instance": "1"},
            "variable": {"name": "OcppCsmsUrl"},
        }]}, {"setVariableResult": [{
            "attributeStatus": "Accepted", "component": {"name": "NetworkConfiguration", "instance": "1"},
            "variable": {"name": "OcppCsmsUrl"},
        }]}),
    ],
    "TC_B_116": reset2("ImmediateAndResume", "Accepted", BOOT_2, RESUMED),
    "TC_F_100": [
        Step("trigger", {"message": "CustomTrigger", "custom": "x"}, "TriggerMessage",
             {"requestedMessage": "CustomTrigger", "customTrigger": "x"}, said("Accepted")),
        *trigger2("CustomTrigger", answer="NotImplemented"),
    ],
    "TC_I_101": default_tariff("Accepted"),
    "TC_I_102": default_tariff("TooManyElements"),
    "TC_I_105": default_tariff("ConditionNotSupported"),
    "TC_I_106": [*default_tariff("DuplicateTariffId"), *default_tariff("Rejected")],
    "TC_I_110": [
        Step("clear-tariffs", {"ids": ["t"]}, "ClearTariffs", {"tariffIds": ["t"]},
             {"clearTariffsResult": [{"status": "Accepted", "tariffId": "t"}]}),
    ],
    "TC_I_113": transaction_tariff("TooManyElements"),
    "TC_I_114": transaction_tariff("ConditionNotSupported"),
    "TC_I_115": transaction_tariff("Accepted"),
    "TC_M_101": install("OEMRootCertificate"),
    "TC_N_100": [log2("DataCollectorLog", "Accepted", "Uploading", "Uploaded")],
    "TC_N_102": upload("http://user:word@files.example/x"),
    "TC_N_102_2": upload("https://user:word@files.example/x"),
    "TC_N_104": monitors(criteria=["DeltaMonitoring"]),
    "TC_N_107": [
        Step("streams", {}, "GetPeriodicEventStream", {},
             {"constantStreamData": [{"id": 1, "variableMonitoringId": 1, "params": {"interval": 5}}]}),
    ],
    "TC_O_100": display("LanguageNotSupported"),
    "TC_O_101": [
        Step("display", {"text": "hallo", "language": "de"}, "SetDisplayMessage",
             {"message": {"message": {"format": "UTF8", "content": "hallo", "language": "de"}}}, said("Accepted")),
    ],
    "TC_S_102": [
        Step("battery-swap", {"token": "bus-3"}, "RequestBatterySwap",
             {"idToken": {"idToken": "bus-3", "type": "Central"}}, said("Rejected")),
    ],
}  # fmt: skip

SENT: Final[dict[str, tuple[Call, ...]]] = {
    "TC_E_106": limited("maxEnergy", 1_000.0, "EnergyLimitReached"),
    "TC_E_107": limited("maxTime", 60, "TimeLimitReached"),
    "TC_E_108": costed(*limited("maxCost", 5.0, "CostLimitReached", "StoppedByEV")),
    "TC_E_113": (event2("Started", "Authorized", chargingState="Charging"), RESUMED),
    "TC_G_01": tuple(
        state2(status) for status in ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")
    ),
    "TC_I_122": costed(
        event2("Started", "Authorized"), event2("Ended", "StopAuthorized", 1, stoppedReason="Local")
    ),
}
"""What the station tells and a central system takes."""
