"""Every operation makes a message that the schema of each version accepts; what would go past the envelope
is refused.
"""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.test_server import ready
from v2g_edge.field.ocpp.upkeep import operations
from v2g_edge.field.ocpp.upkeep.operations import COMMISSIONING, OPERATIONS, RESERVED, message
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL, VERSIONS, Version
from v2g_edge.field.ocpp.wire.schemas import problems

AT = "2026-03-01T12:00:00Z"
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"}
VARIABLE = {"component": "EVSE", "variable": "Power"}
LEAST: dict[str, dict[str, Any]] = {
    "availability": {"type": "Inoperative"},
    "battery-swap": {"token": "bus-1"},
    "cancel-reservation": {"reservation": 7},
    "clear-display": {"id": 1},
    "clear-monitors": {"ids": [1, 2]},
    "cost": {"transaction": "12", "total": 3.5},
    "customer": {"report": True, "clear": False},
    "data-transfer": {"vendor": "v"},
    "delete-certificate": {"hash": HASH},
    "diagnostics": {"location": "https://a.b/c"},
    "display": {"text": "out of order"},
    "extended-trigger": {"message": "LogStatusNotification"},
    "firmware": {"location": "https://a.b/c", "retrieve_at": AT},
    "install-certificate": {"type": "ManufacturerRootCertificate", "pem": "x"},
    "local-list": {"version": 3},
    "log": {"location": "https://a.b/c"},
    "monitor": {**VARIABLE, "value": 1.0},
    "monitoring-base": {"base": "All"},
    "monitoring-level": {"severity": 5},
    "network-profile": {"slot": 1, "url": "wss://a.b/c", "security_profile": 2},
    "publish-firmware": {"location": "https://a.b/c", "checksum": "x"},
    "reserve": {"token": "bus-1", "until": AT, "reservation": 7},
    "signed-firmware": {"location": "https://a.b/c", "retrieve_at": AT, "signature": "s", "certificate": "c"},
    "start": {"token": "bus-1"},
    "stop": {"transaction": "12"},
    "stream": {"id": 1},
    "tariff": {"tariff": {"tariffId": "t", "currency": "EUR"}},
    "transaction-tariff": {"transaction": "12", "tariff": {"tariffId": "t", "currency": "EUR"}},
    "transfer-modes": {"transaction": "12", "modes": ["DC_BPT"]},
    "trigger": {"message": "BootNotification"},
    "unpublish-firmware": {"checksum": "x"},
}
"""What each operation must be given; 1.6 and 2.x differ in settings only."""

MORE: dict[str, Any] = {
    "attribute": "Actual", "base": "SummaryInventory", "certificate": "c", "component": "EVSE",
    "connector": 1,
    "criteria": ["Active"], "custom": "x", "customer": "c", "data": "x", "default": True, "duration": 60,
    "end": AT, "evse": 1,
    "format": "UTF8", "gone": ["b"], "id": 1, "ids": [1], "install_at": AT, "instance": "1",
    "interface": "Wired1",
    "interval": 5, "key": "HeartbeatInterval", "language": "en", "latest": AT, "level": 0, "message": "m",
    "oldest": AT,
    "group": "fleet", "limit_w": 5_000.0, "priority": "InFront", "purpose": "TxProfile", "request": 7,
    "retries": 2,
    "retry_s": 60, "severity": 5, "signature": "s",
    "start": AT, "state": "Idle", "timeout_s": 30, "token": "bus-1", "token_type": "Central", "tokens": ["a"],
    "transaction": "12", "type": "", "values": 5, "variable": "Power",
    "apn": {"apn": "a", "apnAuthentication": "AUTO"},
    "vpn": {"server": "s", "user": "u", "password": "p", "key": "k", "type": "IPSec"},
}  # fmt: skip
"""A value for every parameter that may be left out."""

TYPES = {
    "certificates": {"1.6": "CentralSystemRootCertificate", "2": "CSMSRootCertificate"},
    "der": {"2": "FreqDroop"},
    "local-list": {"1.6": "Differential", "2": "Full"},
    "log": {"1.6": "SecurityLog", "2": "SecurityLog"},
    "monitor": {"2": "Periodic"},
    "reset": {"1.6": "Hard", "2": "Immediate"},
}
SPECIAL: dict[tuple[str, str], Any] = {
    ("clear-tariffs", "ids"): ["t"],
    ("customer", "certificate"): HASH,
    ("monitor", "transaction"): True,
    ("monitors", "criteria"): ["DeltaMonitoring"],
}
ONLY_21 = {
    "battery-swap", "clear-tariffs", "der", "stream", "streams", "tariff", "tariffs", "transaction-tariff",
    "transfer-modes",
}  # fmt: skip


def least(name: str, version: Version) -> dict[str, Any]:
    if name in ("get", "set"):
        return ({"key": "HeartbeatInterval"} if version == "1.6" else VARIABLE) | (
            {"value": 300} if name == "set" else {}
        )
    return LEAST.get(name, {})


def whole(name: str, version: Version, takes: str) -> dict[str, Any]:
    params = dict(least(name, version))
    for row in takes.split():
        optional = row.rstrip("?").partition(":")[0]
        if optional not in params:
            params[optional] = SPECIAL.get((name, optional), MORE[optional])
            if optional == "type":
                params["type"] = TYPES[name][version[:3] if version == "1.6" else "2"]
    return params


CASES = [
    (name, version)
    for name, row in OPERATIONS.items()
    for version in VERSIONS
    if row.form(version) is not None
]


@pytest.mark.parametrize(("name", "version"), CASES)
def test_every_operation_is_written_as_each_version_wants_it(name: str, version: Version) -> None:
    form = OPERATIONS[name].form(version)
    assert form is not None
    for params in (least(name, version), whole(name, version, form.takes)):
        action, payload = message(version, name, params)
        assert problems(version, action, "request", payload) == ()


def test_every_message_that_may_be_sent_has_its_operation() -> None:
    """``CertificateSigned`` answers a station's request and the two DER writes are the commissioning's:
    `call` sends those.
    """
    for version in VERSIONS:
        written = {message(version, name, least(name, version))[0] for name, of in CASES if of == version}
        if version != "1.6":
            written.add(message(version, "report", VARIABLE)[0])
        kept = {"CertificateSigned"} | RESERVED.keys() | COMMISSIONING
        assert FROM_CENTRAL[version] - written == FROM_CENTRAL[version] & kept


def test_what_one_version_lacks_is_known() -> None:
    assert {name for name, row in OPERATIONS.items() if row.v21 and not row.v201} == ONLY_21
    assert {name for name, row in OPERATIONS.items() if row.v16 and not row.v21} == {
        "diagnostics", "extended-trigger", "signed-firmware",
    }  # fmt: skip


async def test_an_operation_is_performed_and_its_outcome_told(depot: Depot) -> None:
    station = await ready(depot, "old", "1.6")
    done = await depot.central.perform("old", "reset", {"type": "Hard"})
    assert done == {"action": "Reset", "outcome": "answered", "payload": {"status": "Accepted"}}
    assert station.got("Reset") == [{"type": "Hard"}]
    raw = await depot.central.perform("old", "call", {"action": "ClearCache", "payload": {}})
    assert raw["outcome"] == "answered"
    told = depot.central.describe()[0]
    assert (told["connected"], told["version"], told["vendor"]) == (True, "1.6", "v")
    assert [message["action"] for message in told["told"]] == ["BootNotification"]
    await station.close()


@pytest.mark.parametrize(
    ("station", "operation", "params", "text"),
    [
        ("stranger", "reset", {}, "no station 'stranger' in the site file; there are new, newest, old"),
        ("new", "reset", {}, "new is not connected"),
        ("old", "coffee", {}, "no operation 'coffee'"),
        ("old", "der", {}, "OCPP 1.6 has no der; it is in 2.1"),
        ("old", "reserve", {}, r"reservation is missing; reserve takes reservation, token, until, \[evse\]"),
        ("old", "reset", {"tpye": "Soft"}, r"no parameter 'tpye'; reset takes \[type\]"),
        ("old", "unlock", {"evse": "left"}, "unlock: evse is a whole number, found 'left'"),
        ("old", "reserve", {"reservation": 1, "token": "a", "until": "soon"}, "until is a time as in 2026"),
        ("old", "local-list", {"version": 1, "tokens": "a"}, "tokens is a list of texts"),
        ("old", "availability", {"type": True}, "type is a text, found True"),
        ("old", "call", {"action": "Reset", "payload": "Soft"}, "payload is a table"),
        ("old", "set", {"key": "authorizationKey", "value": "x" * 16}, "operation new-password"),
        ("old", "reset", {"type": "Gentle"}, "Reset"),
        ("old", "call", {"action": "Heartbeat"}, "no request of a central system"),
        ("old", "call", {"action": "SetChargingProfile", "payload": {}}, "not sent by hand"),
        (
            "old",
            "call",
            {"action": "RemoteStartTransaction", "payload": {"chargingProfile": {}}},
            "no charging profile",
        ),
    ],
)
async def test_what_cannot_be_done_is_named_with_what_can(
    depot: Depot, station: str, operation: str, params: dict[str, object], text: str
) -> None:
    peer = await ready(depot, "old", "1.6")
    with pytest.raises(ValueError, match=text):
        await depot.central.perform(station, operation, params)
    await peer.close()


async def test_grid_code_settings_need_an_engineers_name(depot: Depot) -> None:
    peer = await ready(depot, "newest", "2.1")
    wanted = {"action": "ClearDERControl", "payload": {"isDefault": False}}
    with pytest.raises(ValueError, match="engineer"):
        await depot.central.perform("newest", "call", wanted)
    assert (await depot.central.perform("newest", "call", {**wanted, "engineer": "A. Engineer"}))[
        "outcome"
    ] == "answered"
    await peer.close()


def test_nothing_that_moves_power_can_be_sent_by_hand() -> None:
    moves = {
        action
        for actions in FROM_CENTRAL.values()
        for action in actions
        if "Profile" in action and action.startswith(("Set", "Clear"))
    }
    assert moves - {"SetNetworkProfile"} <= RESERVED.keys()
    assert {"UpdateDynamicSchedule", "AFRRSignal"} <= RESERVED.keys()
    assert {"SetDERControl", "ClearDERControl"} == COMMISSIONING


async def test_a_report_comes_back_whole_however_many_messages_it_takes(depot: Depot) -> None:
    """One of another request is not among it; where the station has nothing to report there is none."""
    station = await ready(depot, "newest", "2.1")
    rows = [
        {"component": {"name": f"C{n}"}, "variable": {"name": "V"}, "variableAttribute": [{"value": "1"}]}
        for n in range(30)
    ]

    def announce(asked: dict[str, Any]) -> dict[str, Any]:
        for n, row in enumerate(rows):
            report = {
                "requestId": asked["requestId"],
                "generatedAt": AT,
                "seqNo": n,
                "tbc": n < 29,
                "reportData": [row],
            }
            station.later("NotifyReport", {**report, "requestId": 99})
            station.later("NotifyReport", report)
        return {"status": "Accepted"}

    station.scripts["GetBaseReport"] = announce
    done = await depot.central.perform("newest", "report", {})
    assert (done["outcome"], done["complete"], done["report"]) == ("answered", True, rows)
    station.scripts["GetBaseReport"] = lambda _: {"status": "EmptyResultSet"}
    assert "report" not in await depot.central.perform("newest", "report", {})
    await station.close()


@pytest.mark.parametrize(
    ("operation", "asked", "action", "content", "report"),
    [
        ("monitors", "GetMonitoringReport", "NotifyMonitoringReport", {"seqNo": 0, "generatedAt": AT}, []),
        ("displays", "GetDisplayMessages", "NotifyDisplayMessages", {}, []),
        (
            "customer",
            "CustomerInformation",
            "NotifyCustomerInformation",
            {"data": "all", "seqNo": 0, "generatedAt": AT},
            ["all"],
        ),
    ],
)
async def test_other_reports_come_back_too(
    depot: Depot, operation: str, asked: str, action: str, content: dict[str, Any], report: list[Any]
) -> None:
    station = await ready(depot, "new", "2.0.1")

    def announce(request: dict[str, Any]) -> dict[str, Any]:
        station.later(action, {"requestId": request["requestId"], **content})
        return {"status": "Accepted"}

    station.scripts[asked] = announce
    done = await depot.central.perform("new", operation, least(operation, "2.0.1"))
    assert (done["complete"], done["report"]) == (True, report)
    await station.close()


async def test_der_settings_come_back_and_a_report_without_an_end_is_told_so(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "REPORT_S", 0.2)
    station = await ready(depot, "newest", "2.1")

    def announce(request: dict[str, Any]) -> dict[str, Any]:
        station.later("ReportDERControl", {"requestId": request["requestId"], "tbc": True})
        return {"status": "Accepted"}

    station.scripts["GetDERControl"] = announce
    done = await depot.central.perform("newest", "der", {})
    assert (done["complete"], [part["tbc"] for part in done["report"]]) == (False, [True])
    await station.close()


async def test_what_a_local_controller_tells_of_a_published_file_is_kept_for_people(depot: Depot) -> None:
    station = await ready(depot, "new", "2.0.1")
    station.scripts["UnpublishFirmware"] = lambda _: {"status": "Unpublished"}
    for operation in ("publish-firmware", "unpublish-firmware"):
        assert (await depot.central.perform("new", operation, least(operation, "2.0.1")))[
            "outcome"
        ] == "answered"
    told = {"status": "Published", "requestId": 0, "location": ["https://a.b/c"]}
    assert await station.call("PublishFirmwareStatusNotification", told) == {}
    kept = [
        each["payload"]
        for each in depot.central.describe()[1]["told"]
        if each["action"].startswith("Publish")
    ]
    assert kept == [told]
    await station.close()
