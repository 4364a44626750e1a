"""The message flows of the public compliance cases for a central system (see ``octt``)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.field.ocpp import octt
from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Peer
from tests.field.ocpp.samples import sample
from tests.field.ocpp.test_server import ready, transaction
from v2g_edge.field.ocpp.link import DIALECTS
from v2g_edge.field.ocpp.messages import FROM_STATION, VERSIONS, Version
from v2g_edge.field.ocpp.operations import message
from v2g_edge.field.ocpp.tokens import Tokens
from v2g_edge.field.ocpp.when import format_wall

SIGNED = {"signature": "s", "certificate": "c"}
URL = "https://files.example/x"
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"}
OCPP_IDENTITY: dict[Version, str] = {"1.6": "old", "2.0.1": "new", "2.1": "newest"}

OPERATIONS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("1.6", "start", {"token": "bus-1"}, {"status": "Accepted"}),
    ("1.6", "start", {"token": "bus-1"}, {"status": "Rejected"}),
    ("1.6", "stop", {"transaction": 1}, {"status": "Rejected"}),
    ("1.6", "reset", {"type": "Hard"}, {"status": "Accepted"}),
    ("1.6", "reset", {"type": "Soft"}, {"status": "Accepted"}),
    ("1.6", "unlock", {"evse": 1}, {"status": "Unlocked"}),
    ("1.6", "unlock", {"evse": 1}, {"status": "NotSupported"}),
    ("1.6", "get", {}, {"configurationKey": [{"key": "a", "readonly": False, "value": "1"}], "unknownKey": []}),
    ("1.6", "get", {"key": "SupportedFeatureProfiles"}, {"unknownKey": ["SupportedFeatureProfiles"]}),
    ("1.6", "set", {"key": "MeterValueSampleInterval", "value": -1}, {"status": "Rejected"}),
    ("1.6", "set", {"key": "Unknown", "value": 1}, {"status": "NotSupported"}),
    ("1.6", "set", {"key": "SecurityProfile", "value": 2}, {"status": "Accepted"}),
    ("1.6", "clear-cache", {}, {"status": "Accepted"}),
    ("1.6", "local-list-version", {}, {"listVersion": -1}),
    ("1.6", "local-list", {"version": 1, "tokens": ["a"]}, {"status": "NotSupported"}),
    ("1.6", "local-list", {"version": 1, "tokens": ["a"], "type": "Differential"}, {"status": "Failed"}),
    ("1.6", "firmware", {"location": URL, "retrieve_at": AT}, {}),
    ("1.6", "diagnostics", {"location": URL}, {"fileName": "x.log"}),
    ("1.6", "reserve", {"evse": 0, "token": "bus-1", "until": AT, "reservation": 1}, {"status": "Faulted"}),
    ("1.6", "cancel-reservation", {"reservation": 1}, {"status": "Rejected"}),
    ("1.6", "trigger", {"message": "MeterValues", "evse": 1}, {"status": "Rejected"}),
    ("1.6", "availability", {"evse": 0, "type": "Inoperative"}, {"status": "Scheduled"}),
    ("1.6", "composite", {"evse": 1}, {"status": "Rejected"}),
    ("1.6", "install-certificate", {"type": "CentralSystemRootCertificate", "pem": "x"}, {"status": "Accepted"}),
    ("1.6", "certificates", {"type": "ManufacturerRootCertificate"}, {"status": "NotFound"}),
    ("1.6", "delete-certificate", {"hash": HASH}, {"status": "Accepted"}),
    ("1.6", "log", {"location": URL, "type": "SecurityLog"}, {"status": "Accepted", "filename": "x"}),
    ("1.6", "signed-firmware", {"location": URL, "retrieve_at": AT, **SIGNED}, {"status": "InvalidCertificate"}),
    ("2.0.1", "get", {"component": "OCPPCommCtrlr", "variable": "OfflineThreshold"}, {"getVariableResult": []}),
    ("2.0.1", "report", {"base": "ConfigurationInventory"}, {"status": "Accepted"}),
    ("2.0.1", "report", {}, {"status": "EmptyResultSet"}),
    ("2.0.1", "reset", {"type": "OnIdle"}, {"status": "Scheduled"}),
    ("2.0.1", "reset", {"type": "Immediate", "evse": 1}, {"status": "Accepted"}),
    ("2.0.1", "clear-cache", {}, {"status": "Rejected"}),
    ("2.0.1", "transaction", {"transaction": "t"}, {"messagesInQueue": True, "ongoingIndicator": True}),
    ("2.0.1", "transaction", {}, {"messagesInQueue": False}),
    ("2.0.1", "start", {"token": "bus-2", "evse": 1}, {"status": "Accepted", "transactionId": "t"}),
    ("2.0.1", "stop", {"transaction": "t"}, {"status": "Accepted"}),
    ("2.0.1", "unlock", {"evse": 1}, {"status": "Unlocked"}),
    ("2.0.1", "trigger", {"message": "MeterValues", "evse": 1}, {"status": "Accepted"}),
    ("2.0.1", "trigger", {"message": "TransactionEvent"}, {"status": "NotImplemented"}),
    ("2.0.1", "availability", {"evse": 1, "type": "Inoperative"}, {"status": "Scheduled"}),
    ("2.0.1", "availability", {"type": "Operative"}, {"status": "Accepted"}),
    ("2.0.1", "firmware", {"location": URL, "retrieve_at": AT, **SIGNED}, {"status": "AcceptedCanceled"}),
    ("2.0.1", "install-certificate", {"type": "CSMSRootCertificate", "pem": "x"}, {"status": "Failed"}),
    ("2.0.1", "certificates", {}, {"status": "NotFound"}),
    ("2.0.1", "delete-certificate", {"hash": HASH}, {"status": "Failed"}),
    ("2.0.1", "log", {"location": URL}, {"status": "AcceptedCanceled", "filename": "x"}),
    ("2.0.1", "reserve", {"token": "bus-2", "until": AT, "reservation": 1}, {"status": "Occupied"}),
]  # fmt: skip


@pytest.mark.parametrize(("version", "operation", "params", "answer"), OPERATIONS)
async def test_what_the_station_answers_is_told(
    depot: Depot, version: Version, operation: str, params: dict[str, Any], answer: dict[str, Any]
) -> None:
    identity = OCPP_IDENTITY[version]
    station = await Peer.dial(depot.port, identity, version)
    await station.call("Heartbeat", {})
    if operation == "get" and version != "1.6":
        row = {"component": {"name": params["component"]}, "variable": {"name": params["variable"]}}
        answer = {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "1", **row}]}
    names = {"diagnostics": "GetDiagnostics", "get": "GetConfiguration" if version == "1.6" else "GetVariables"}
    done: dict[str, Any] = {}
    for action in {names.get(operation, ""), *_actions(operation, params, version)}:
        station.scripts[action] = lambda _: answer
    done = await depot.central.perform(identity, operation, params)
    assert (done["outcome"], done.get("payload")) == ("answered", answer)
    await station.close()


def _actions(operation: str, params: dict[str, Any], version: Version) -> list[str]:
    return [message(version, operation, params)[0]]


@pytest.mark.parametrize("first", ["plug", "token", "cached"])
async def test_a_session_of_1_6_in_every_order_is_taken(depot: Depot, first: str) -> None:
    station = await ready(depot, "old", "1.6")
    if first == "plug":
        await station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"})
    if first != "cached":
        assert (await station.call("Authorize", {"idTag": "bus-1"}))["idTagInfo"]["status"] == "Accepted"
    if first == "token":
        await station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"})
    begun = await station.call("StartTransaction", {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT})
    assert begun["idTagInfo"]["status"] == "Accepted"
    await station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "SuspendedEV"})
    assert depot.board.evse("b1").vehicle is not None
    stop = {
        "transactionId": begun["transactionId"],
        "idTag": "bus-1",
        "meterStop": 9,
        "timestamp": AT,
        "reason": "EVDisconnected",
    }
    assert (await station.call("StopTransaction", stop))["idTagInfo"]["status"] == "Accepted"
    await station.call("StatusNotification", {"connectorId": 1, "errorCode": "ConnectorLockFailure", "status": "Faulted"})
    assert (depot.board.evse("b1").vehicle, depot.board.evse("b1").fault) == (None, "ConnectorLockFailure")
    await station.close()


REASONS = [
    "Authorized", "CablePluggedIn", "ChargingStateChanged", "EVDetected", "SignedDataReceived", "RemoteStart", "EVConnectTimeout",
]  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
async def test_a_session_of_2_0_1_in_every_order_is_taken(depot: Depot, reason: str) -> None:
    station = await ready(depot)
    signed = {"signedMeterData": "AAAA", "signingMethod": "x", "encodingMethod": "x", "publicKey": "x"}
    sampled = [{"value": 1.0, "context": "Transaction.Begin", "signedMeterValue": signed}]
    token: dict[str, Any] = {"idToken": {"idToken": "bus-2", "type": "ISO14443"}} if reason == "Authorized" else {}
    where: dict[str, Any] = {} if reason == "Authorized" else {"evse": {"id": 1, "connectorId": 1}}
    begun = {
        **transaction("Started", meterValue=[{"timestamp": AT, "sampledValue": sampled}], **where, **token),
        "triggerReason": reason, "transactionInfo": {"transactionId": "t-9", "chargingState": "SuspendedEVSE"},
    }  # fmt: skip
    answer = await station.call("TransactionEvent", begun)
    assert answer == ({"idTokenInfo": {"status": "Accepted"}} if token else {})
    late = {"evse": {"id": 1}, "idToken": {"idToken": "bus-2", "type": "ISO14443"}}
    await station.call("TransactionEvent", {**begun, "eventType": "Updated", "seqNo": 1, "triggerReason": "Authorized", **late})
    vehicle = depot.board.evse("b2").vehicle
    assert vehicle is not None
    assert (vehicle.session, vehicle.vehicle) == ("t-9", "bus-2")
    clock = {"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": 2.0, "context": "Sample.Clock"}]}]}
    assert await station.call("MeterValues", clock) == {}
    left = {"transactionId": "t-9", "chargingState": "Idle", "stoppedReason": "EVDisconnected"}
    ended = {**begun, "eventType": "Ended", "seqNo": 2, "triggerReason": "EVCommunicationLost", "transactionInfo": left}
    await station.call("TransactionEvent", ended)
    assert depot.board.evse("b2").vehicle is None
    await station.close()


async def test_an_identifier_is_answered_as_the_token_file_says(depot: Depot, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    known = {"good": {}, "blocked": {"status": "Blocked"}, "old": {"until": format_wall(AT_S - 1.0)}}
    path.write_text(json.dumps({"others": "Unknown", "known": known}), encoding="ascii")
    for link in depot.central.links.values():
        link.station.tokens = Tokens(path)
    older, newer = await ready(depot, "old", "1.6"), await ready(depot)
    for identifier, status, status_16 in (
        ("good", "Accepted", "Accepted"),
        ("blocked", "Blocked", "Blocked"),
        ("old", "Expired", "Expired"),
        ("stranger", "Unknown", "Invalid"),
    ):
        token = {"idToken": {"idToken": identifier, "type": "ISO14443"}}
        assert (await newer.call("Authorize", token))["idTokenInfo"]["status"] == status
        assert (await older.call("Authorize", {"idTag": identifier}))["idTagInfo"]["status"] == status_16
    event = transaction("Started", evse={"id": 1}, idToken={"idToken": "stranger", "type": "ISO14443"})
    assert await newer.call("TransactionEvent", event) == {"idTokenInfo": {"status": "Unknown"}}
    path.write_text("{broken", encoding="ascii")
    assert await older.call("Authorize", {"idTag": "good"}) == {"idTagInfo": {"status": "Invalid"}}
    path.unlink()
    assert await older.call("Authorize", {"idTag": "anybody"}) == {"idTagInfo": {"status": "Accepted"}}
    await older.close()
    await newer.close()


@pytest.mark.parametrize("reason", ["Local", "MasterPass"])
async def test_who_shares_a_group_is_told_it_and_may_end_what_another_began(depot: Depot, tmp_path: Path, reason: str) -> None:
    path = tmp_path / "tokens.json"
    known = {"bus-2": {"group": "fleet"}, "colleague": {"group": "fleet", "until": format_wall(AT_S + 60.0)}}
    path.write_text(json.dumps({"others": "Invalid", "known": known}), encoding="ascii")
    for link in depot.central.links.values():
        link.station.tokens = Tokens(path)
    older, newer = await ready(depot, "old", "1.6"), await ready(depot)
    colleague = {"idToken": "colleague", "type": "ISO14443"}
    info = {
        "status": "Accepted",
        "groupIdToken": {"idToken": "fleet", "type": "Central"},
        "cacheExpiryDateTime": format_wall(AT_S + 60.0),
    }
    began = transaction("Started", evse={"id": 1}, idToken={"idToken": "bus-2", "type": "ISO14443"})
    answer = await newer.call("TransactionEvent", began)
    assert answer["idTokenInfo"]["groupIdToken"] == info["groupIdToken"]
    assert await newer.call("Authorize", {"idToken": colleague}) == {"idTokenInfo": info}
    ended = transaction("Ended", 1, idToken=colleague, triggerReason="StopAuthorized")
    ended["transactionInfo"] |= {"chargingState": "Idle", "stoppedReason": reason}
    assert await newer.call("TransactionEvent", ended) == {"idTokenInfo": info}
    assert depot.board.evse("b2").vehicle is None
    told = await older.call("Authorize", {"idTag": "colleague"})
    assert told["idTagInfo"] == {"status": "Accepted", "parentIdTag": "fleet", "expiryDate": format_wall(AT_S + 60.0)}
    await older.close()
    await newer.close()


async def test_transactions_of_a_time_without_link_are_taken(depot: Depot) -> None:
    station = await ready(depot, "old", "1.6")
    depot.clock.advance(3_600.0)
    begun = await station.call("StartTransaction", {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT})
    values = [{"timestamp": AT, "sampledValue": [{"value": "50000", "measurand": "Power.Active.Import"}]}]
    await station.call("MeterValues", {"connectorId": 1, "transactionId": begun["transactionId"], "meterValue": values})
    stop = {"transactionId": begun["transactionId"], "meterStop": 9, "timestamp": AT, "reason": "PowerLoss"}
    assert await station.call("StopTransaction", stop) == {}
    assert await station.call("StopTransaction", stop) == {}
    assert depot.board.evse("b1").vehicle is None
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_notification_is_acknowledged(depot: Depot, version: Version) -> None:
    station = await Peer.dial(depot.port, OCPP_IDENTITY[version], version)
    handled = DIALECTS[version](depot.central.links["old"].station, lambda: 0.0).handles
    for action in sorted(FROM_STATION[version]):
        answer = await station.call(action, sample(version, action, "request"))
        if action in handled:
            assert isinstance(answer, dict), (action, answer)
        else:
            assert answer.code == "NotSupported", (action, answer)
        if action == "DataTransfer":
            assert answer["status"] == "UnknownVendorId"
    await station.close()


def test_every_case_names_a_test_that_exists_and_the_page_is_up_to_date() -> None:
    here = Path(__file__).parent
    for case, test in {**octt.V16, **octt.V201}.items():
        if test:
            file, _, name = test.partition("::")
            assert re.search(rf"def {name}\(", (here / file).read_text(encoding="utf-8")), (case, test)
    assert octt.PAGE.read_text(encoding="utf-8") == octt.render(), "run python -m tests.field.ocpp.octt"
