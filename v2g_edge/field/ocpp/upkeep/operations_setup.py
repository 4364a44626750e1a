"""What a depot asks of its stations to set them up and look into them: settings, device model, monitors,
reports, logs.
"""

from typing import Any, Final

from v2g_edge.field.ocpp.upkeep.catalogue import (
    REQUEST,
    VARIABLE,
    Form,
    Message,
    Operation,
    Params,
    both,
    evse_of,
    picked,
    same,
    variable_of,
)

_CRITERIA_TAKES: Final = "component? variable? evse:int? instance? criteria:texts? request:int?"


def _attribute(p: Params) -> dict[str, Any]:
    return picked(p, attribute="attributeType")


def _narrowed(p: Params) -> list[dict[str, Any]]:
    """``componentVariable`` of a report: one component, whole or one variable of it."""
    if "component" not in p:
        return []
    named = variable_of({"variable": "", **p})
    return [named if "variable" in p else {"component": named["component"]}]


def _report(p: Params) -> Message:
    request = {"requestId": p.get("request", REQUEST)}
    narrowed, criteria = _narrowed(p), picked(p, criteria="componentCriteria")
    if "base" in p:
        return "GetBaseReport", {**request, "reportBase": p["base"]}
    if narrowed or criteria:
        return "GetReport", {**request, **criteria, **({"componentVariable": narrowed} if narrowed else {})}
    return "GetBaseReport", {**request, "reportBase": "FullInventory"}


def _monitors(p: Params) -> Message:
    narrowed, payload = (
        _narrowed(p),
        {"requestId": p.get("request", REQUEST), **picked(p, criteria="monitoringCriteria")},
    )
    return "GetMonitoringReport", {**payload, "componentVariable": narrowed} if narrowed else payload


def _monitor(p: Params) -> Message:
    data = {
        "value": p["value"],
        "type": p.get("type", "Delta"),
        "severity": p.get("severity", 5),
        **variable_of(p),
    }
    return "SetVariableMonitoring", {
        "setMonitoringData": [data | picked(p, id="id", transaction="transaction")]
    }


def _log(p: Params) -> Message:
    wanted = {
        "remoteLocation": p["location"],
        **picked(p, oldest="oldestTimestamp", latest="latestTimestamp"),
    }
    payload = {
        "logType": p.get("type", "DiagnosticsLog"),
        "requestId": p.get("request", REQUEST),
        "log": wanted,
    }
    return "GetLog", payload | picked(p, retries="retries", retry_s="retryInterval")


def _trigger_16(p: Params) -> Message:
    return "TriggerMessage", {"requestedMessage": p["message"], **picked(p, evse="connectorId")}


def _trigger_2(p: Params) -> Message:
    payload = {"requestedMessage": p["message"], **picked(p, custom="customTrigger")}
    return "TriggerMessage", payload | ({"evse": evse_of(p)} if "evse" in p else {})


SETUP: Final[dict[str, Operation]] = {
    "clear-monitors": both(
        "take monitors away", None, Form("ids:ints", lambda p: ("ClearVariableMonitoring", {"id": p["ids"]}))
    ),
    "data-transfer": same(
        "a maker's own message", "vendor message? data?",
        lambda p: ("DataTransfer", {"vendorId": p["vendor"], **picked(p, message="messageId", data="data")}),
    ),
    "der": Operation(
        "read the grid-code settings of a charger", None, None,
        Form("type? id? default:flag? request:int?", lambda p: ("GetDERControl", {
            "requestId": p.get("request", REQUEST),
            **picked(p, type="controlType", id="controlId", default="isDefault"),
        })),
    ),
    "diagnostics": both(
        "have it upload its diagnostics (2.x: log)",
        Form("location start:time? end:time? retries:int? retry_s:int?", lambda p: ("GetDiagnostics", {
            "location": p["location"],
            **picked(p, start="startTime", end="stopTime", retries="retries", retry_s="retryInterval"),
        })),
        None,
    ),
    "extended-trigger": both(
        "have it send a message, as LogStatusNotification or SignChargePointCertificate (1.6 security; 2.x: "
        "trigger)",
        Form("message evse:int?", lambda p: (
            "ExtendedTriggerMessage", {"requestedMessage": p["message"], **picked(p, evse="connectorId")}
        )),
        None,
    ),
    "get": both(
        "read a setting",
        Form("key?", lambda p: ("GetConfiguration", {"key": [p["key"]]} if "key" in p else {})),
        Form(f"{VARIABLE} attribute?",
            lambda p: ("GetVariables", {"getVariableData": [{**_attribute(p), **variable_of(p)}]})),
    ),
    "log": both(
        "have it upload a log; type DiagnosticsLog|SecurityLog",
        Form("location type? oldest:time? latest:time? retries:int? retry_s:int? request:int?", _log),
        Form("location type? oldest:time? latest:time? retries:int? retry_s:int? request:int?", _log),
    ),
    "monitor": both(
        "set a monitor on a variable; type UpperThreshold|LowerThreshold|Delta|Periodic|PeriodicClockAligned",
        None,
        Form(f"{VARIABLE} value:number type? severity:int? id:int? transaction:flag?", _monitor),
    ),
    "monitoring-base": both(
        "which monitors are in force; base All|FactoryDefault|HardWiredOnly", None,
        Form("base", lambda p: ("SetMonitoringBase", {"monitoringBase": p["base"]})),
    ),
    "monitoring-level": both(
        "up to which severity (0 worst, 9 least) monitors report", None,
        Form("severity:int", lambda p: ("SetMonitoringLevel", {"severity": p["severity"]})),
    ),
    "monitors": both(
        "which monitors it has", None, Form(_CRITERIA_TAKES, _monitors)
    ),
    "report": both(
        "its device model: base FullInventory|ConfigurationInventory|SummaryInventory, or a part",
        None, Form(f"base? {_CRITERIA_TAKES}", _report),
    ),
    "reset": both(
        "restart the station; type 1.6 Soft|Hard, 2.x Immediate|OnIdle",
        Form("type?", lambda p: ("Reset", {"type": p.get("type", "Soft")})),
        Form("type? evse:int?",
            lambda p: ("Reset", {"type": p.get("type", "OnIdle"), **picked(p, evse="evseId")})),
    ),
    "set": both(
        "change a setting",
        Form("key value", lambda p: ("ChangeConfiguration", {"key": p["key"], "value": p["value"]})),
        Form(f"{VARIABLE} value attribute?", lambda p: ("SetVariables", {
            "setVariableData": [{"attributeValue": p["value"], **_attribute(p), **variable_of(p)}]
        })),
    ),
    "stream": Operation(
        "change how often a stream of values comes", None, None,
        Form("id:int interval:int? values:int?", lambda p: (
            "AdjustPeriodicEventStream",
            {"id": p["id"], "params": picked(p, interval="interval", values="values")}
        )),
    ),
    "streams": Operation("which streams of values it sends", None, None,
        Form("", lambda _: ("GetPeriodicEventStream", {}))),
    "trigger": Operation(
        "have it send a message", Form("message evse:int?", _trigger_16),
        Form("message evse:int? connector:int?", _trigger_2),
        Form("message evse:int? connector:int? custom?", _trigger_2),
    ),
}  # fmt: skip
"""By name."""
