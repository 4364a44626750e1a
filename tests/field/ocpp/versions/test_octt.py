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
from tests.field.ocpp.test_server import permit, ready, transaction
from v2g_edge.field.ocpp.link.station_link import VERSION_ADAPTERS
from v2g_edge.field.ocpp.trust.tokens import Tokens
from v2g_edge.field.ocpp.wire.messages import FROM_STATION, VERSIONS, Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall

OCPP_IDENTITY: dict[Version, str] = {"1.6": "old", "2.0.1": "new", "2.1": "newest"}


@pytest.mark.parametrize("first", ["plug", "token", "cached"])
async def test_a_session_of_1_6_in_every_order_is_taken(depot: Depot, first: str) -> None:
    station = await ready(depot, "old", "1.6")
    if first == "plug":
        await station.call(
            "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
        )
    if first != "cached":
        assert (await station.call("Authorize", {"idTag": "bus-1"}))["idTagInfo"]["status"] == "Accepted"
    if first == "token":
        await station.call(
            "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
        )
    begun = await station.call(
        "StartTransaction", {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
    )
    assert begun["idTagInfo"]["status"] == "Accepted"
    await station.call(
        "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "SuspendedEV"}
    )
    assert depot.board.evse("b1").vehicle is not None
    stop = {
        "transactionId": begun["transactionId"],
        "idTag": "bus-1",
        "meterStop": 9,
        "timestamp": AT,
        "reason": "EVDisconnected",
    }
    assert (await station.call("StopTransaction", stop))["idTagInfo"]["status"] == "Accepted"
    await station.call(
        "StatusNotification", {"connectorId": 1, "errorCode": "ConnectorLockFailure", "status": "Faulted"}
    )
    assert (depot.board.evse("b1").vehicle, depot.board.evse("b1").fault) == (None, "ConnectorLockFailure")
    await station.close()


REASONS = [
    "Authorized", "CablePluggedIn", "ChargingStateChanged", "EVDetected", "SignedDataReceived", "RemoteStart",
    "EVConnectTimeout",
]  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
async def test_a_session_of_2_0_1_in_every_order_is_taken(depot: Depot, reason: str) -> None:
    station = await ready(depot)
    signed = {"signedMeterData": "AAAA", "signingMethod": "x", "encodingMethod": "x", "publicKey": "x"}
    sampled = [{"value": 1.0, "context": "Transaction.Begin", "signedMeterValue": signed}]
    token: dict[str, Any] = (
        {"idToken": {"idToken": "bus-2", "type": "ISO14443"}} if reason == "Authorized" else {}
    )
    where: dict[str, Any] = {} if reason == "Authorized" else {"evse": {"id": 1, "connectorId": 1}}
    begun = {
        **transaction("Started", meterValue=[{"timestamp": AT, "sampledValue": sampled}], **where, **token),
        "triggerReason": reason,
        "transactionInfo": {"transactionId": "t-9", "chargingState": "SuspendedEVSE"},
    }  # fmt: skip
    answer = await station.call("TransactionEvent", begun)
    assert answer == ({"idTokenInfo": {"status": "Accepted"}} if token else {})
    late = {"evse": {"id": 1}, "idToken": {"idToken": "bus-2", "type": "ISO14443"}}
    await station.call(
        "TransactionEvent",
        {**begun, "eventType": "Updated", "seqNo": 1, "triggerReason": "Authorized", **late},
    )
    vehicle = depot.board.evse("b2").vehicle
    assert vehicle is not None
    assert (vehicle.session, vehicle.vehicle) == ("t-9", "bus-2")
    clock = {
        "evseId": 1,
        "meterValue": [{"timestamp": AT, "sampledValue": [{"value": 2.0, "context": "Sample.Clock"}]}],
    }
    assert await station.call("MeterValues", clock) == {}
    left = {"transactionId": "t-9", "chargingState": "Idle", "stoppedReason": "EVDisconnected"}
    ended = {
        **begun,
        "eventType": "Ended",
        "seqNo": 2,
        "triggerReason": "EVCommunicationLost",
        "transactionInfo": left,
    }
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
async def test_who_shares_a_group_is_told_it_and_may_end_what_another_began(
    depot: Depot, tmp_path: Path, reason: str
) -> None:
    path = tmp_path / "tokens.json"
    known = {"bus-2": {"group": "fleet"}, "colleague": {"group": "fleet", "until": "2026-03-02"}}
    path.write_text(json.dumps({"others": "Invalid", "known": known}), encoding="ascii")
    for link in depot.central.links.values():
        link.station.tokens = Tokens(path)
    older, newer = await ready(depot, "old", "1.6"), await ready(depot)
    colleague = {"idToken": "colleague", "type": "ISO14443"}
    info = {
        "status": "Accepted",
        "groupIdToken": {"idToken": "fleet", "type": "Central"},
        "cacheExpiryDateTime": "2026-03-02T00:00:00.000Z",
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
    assert told["idTagInfo"] == {
        "status": "Accepted",
        "parentIdTag": "fleet",
        "expiryDate": "2026-03-02T00:00:00.000Z",
    }
    await older.close()
    await newer.close()


async def test_a_vehicle_that_plans_with_more_than_it_was_given_is_to_plan_again(depot: Depot) -> None:
    """High-level communication (K15-K17): needs, a profile, the vehicle's own schedule; renegotiated by
    either side.
    """
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", transaction("Started", evse={"id": 1, "connectorId": 1}))
    dc = {"evMaxCurrent": 100, "evMaxVoltage": 400, "evMaxPower": 40_000, "stateOfCharge": 30}
    needs = {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC", "dcChargingParameters": dc}}

    async def planned(limit: float, unit: str = "W") -> str:
        period = {"startPeriod": 0, "limit": limit, **({"numberPhases": 3} if unit == "A" else {})}
        schedule = {
            "id": 1,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1.0}, period],
        }
        answer = await station.call(
            "NotifyEVChargingSchedule", {"timeBase": AT, "evseId": 1, "chargingSchedule": schedule}
        )
        return str(answer["status"])

    assert await station.call("NotifyEVChargingNeeds", needs) == {"status": "Accepted"}
    assert await port.write_permit(permit("b2", 30_000.0)) == "accepted"
    assert [await planned(30_000.0), await planned(43.0, "A")] == ["Accepted", "Accepted"]
    assert [await planned(40_000.0), await planned(58.0, "A")] == ["Rejected", "Rejected"]
    assert await port.write_permit(permit("b2", 20_000.0)) == "accepted"
    assert [await planned(30_000.0), await planned(20_000.0)] == ["Rejected", "Accepted"]
    assert await station.call("NotifyEVChargingNeeds", needs) == {"status": "Accepted"}
    assert await port.write_permit(permit("b2", 25_000.0)) == "accepted"
    assert await planned(25_000.0) == "Accepted"
    leases = [p["chargingProfile"] for p in station.got("SetChargingProfile")]
    assert {p["transactionId"] for p in leases if p["chargingProfilePurpose"] == "TxProfile"} == {"t-1"}
    await station.close()


async def test_transactions_of_a_time_without_link_are_taken(depot: Depot) -> None:
    station = await ready(depot, "old", "1.6")
    depot.clock.advance(3_600.0)
    begun = await station.call(
        "StartTransaction", {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
    )
    values = [{"timestamp": AT, "sampledValue": [{"value": "50000", "measurand": "Power.Active.Import"}]}]
    await station.call(
        "MeterValues", {"connectorId": 1, "transactionId": begun["transactionId"], "meterValue": values}
    )
    stop = {"transactionId": begun["transactionId"], "meterStop": 9, "timestamp": AT, "reason": "PowerLoss"}
    assert await station.call("StopTransaction", stop) == {}
    assert await station.call("StopTransaction", stop) == {}
    assert depot.board.evse("b1").vehicle is None
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_notification_is_acknowledged(depot: Depot, version: Version) -> None:
    station = await Peer.dial(depot.port, OCPP_IDENTITY[version], version)
    handled = VERSION_ADAPTERS[version](depot.central.links["old"].station, lambda: 0.0).handles
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
    texts = {
        path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py")
    }
    for test in {*octt.V16.values(), *octt.V201.values(), *octt.V21.values()}:
        file, _, name = test.partition("::")
        assert re.search(rf"def {name}\(", texts[file]), test
    assert octt.PAGE.read_text(encoding="utf-8") == octt.render(), "run python -m tests.field.ocpp.octt"
