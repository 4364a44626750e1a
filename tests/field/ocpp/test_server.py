"""A central system and real stations on loopback: who gets in, what reaches the board, what reaches the
station.
"""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Peer, until
from tests.field.ocpp.samples import sample
from v2g_edge.field.ocpp.vocabulary.charging_profiles import DEFAULT_ID, LEASE_ID
from v2g_edge.field.ocpp.wire import budget
from v2g_edge.field.ocpp.wire.budget import BURST_OCTETS, MESSAGE_LEAST
from v2g_edge.field.ocpp.wire.events import Refused
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import VehicleState

BOOT_2 = {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m", "firmwareVersion": "1"}}
BOOT_16 = {"chargePointVendor": "v", "chargePointModel": "m", "firmwareVersion": "1"}


def permit(evse: str, power_w: float, valid_for_s: float = 30.0) -> Permit:
    return Permit(
        evse,
        power_w,
        -50_000.0,
        50_000.0,
        valid_for_s,
        True,
        power_w,
        Bound(power_w, power_w, "wish", "test"),
    )


def transaction(kind: str, seq: int = 0, at: str = AT, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind, "timestamp": at, "triggerReason": "CablePluggedIn", "seqNo": seq,
        "transactionInfo": {"transactionId": "t-1", "chargingState": "EVConnected"}, **more,
    }  # fmt: skip


def meter(power_w: float, at: str = AT, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "timestamp": at,
            "sampledValue": [{"value": power_w, "measurand": "Power.Active.Import"}, *more.get("also", [])],
        }
    ]


STARTED = transaction(
    "Started", evse={"id": 1, "connectorId": 1}, idToken={"idToken": "bus-2", "type": "MacAddress"}
)


async def ready(depot: Depot, identity: str = "new", version: Any = "2.0.1") -> Peer:
    """A booted station whose default profile has been accepted."""
    station = await Peer.dial(depot.port, identity, version)
    await station.call("BootNotification", BOOT_16 if version == "1.6" else BOOT_2)
    evse = {"old": "b1", "new": "b2", "newest": "b3"}[identity]
    await until(lambda: depot.board.evse(evse).dead_man_ok)
    return station


def vehicle(depot: Depot, evse: str = "b2") -> VehicleState:
    state = depot.board.evse(evse).vehicle
    assert state is not None
    return state


async def test_a_booted_station_gets_the_time_then_its_safe_default_and_its_metering(depot: Depot) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    answer = await station.call("BootNotification", BOOT_2)
    assert (answer["status"], answer["currentTime"]) == ("Accepted", AT)
    await until(lambda: len(station.got("SetVariables")) == 2)
    assert station.calls[0].payload == {
        "evseId": 1,
        "chargingProfile": {
            "id": DEFAULT_ID + 1, "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
            "chargingSchedule": [
                {"id": DEFAULT_ID + 1, "chargingRateUnit": "W",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000}]}
            ],
        },
    }  # fmt: skip
    wanted = [data["setVariableData"][0]["variable"]["name"] for data in station.got("SetVariables")]
    assert wanted == ["TxUpdatedMeasurands", "TxUpdatedInterval"]
    state = depot.board.evse("b2")
    assert (state.dead_man_ok, state.link.connected, state.link.last_seen_s) == (True, True, depot.clock.now)
    await station.close()
    await until(lambda: not depot.board.evse("b2").link.connected)
    assert depot.board.evse("b2").dead_man_ok is False
    assert depot.wakes > 0


async def test_without_an_accepted_default_profile_there_is_no_dead_man(depot: Depot) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    station.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected"}
    await station.call("BootNotification", BOOT_2)
    await until(lambda: station.got("SetChargingProfile"))
    await station.call("Heartbeat", {})
    assert depot.board.evse("b2").dead_man_ok is False
    await station.close()


async def test_e1_what_compresses_too_well_comes_again_without_compression(depot: Depot) -> None:
    """A message that may not be inflated is not lost: the station's next link is without compression."""
    values = [row for n in range(2_000) for row in meter(7_000.0, format_wall(AT_S + n))]
    long = transaction("Updated", 1, meterValue=values)
    station = await ready(depot)
    assert station.ws.protocol.extensions
    await station.call("TransactionEvent", STARTED)
    station.later("TransactionEvent", long)
    await station.call("Heartbeat", {})
    assert await station.gone() == 1009
    again = await Peer.dial(depot.port, "new", "2.0.1")
    assert again.ws.protocol.extensions == []
    assert await again.call("TransactionEvent", long) == {}
    other = await Peer.dial(depot.port, "newest", "2.1")
    assert other.ws.protocol.extensions, "the others keep theirs"
    for peer in (again, other):
        await peer.close()


@pytest.mark.parametrize("links", [3, 6])
async def test_e2_a_station_that_dials_anew_has_no_new_budget(
    depot: Depot, links: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it may send counts by station, not by link. Nothing is given back while the test runs."""
    monkeypatch.setattr(budget, "OCTETS_PER_S", 0)
    allowance = depot.central.links["new"].allowance
    for _ in range(links):
        station = await Peer.dial(depot.port, "new", "2.0.1")
        await station.call("BootNotification", BOOT_2)
        await station.close()
    other = depot.central.links["newest"].allowance
    for each in (allowance, other):
        each.wait_s(asyncio.get_running_loop().time())
    assert other._left == BURST_OCTETS
    assert BURST_OCTETS - allowance._left >= links * MESSAGE_LEAST


async def test_a_vehicle_comes_says_what_it_needs_is_measured_and_leaves(depot: Depot) -> None:
    station = await ready(depot)
    assert await station.call("TransactionEvent", STARTED) == {"idTokenInfo": {"status": "Accepted"}}
    needs = {
        "requestedEnergyTransfer": "DC", "departureTime": format_wall(AT_S + 36_000.0),
        "dcChargingParameters": {
            "evMaxCurrent": 200, "evMaxVoltage": 800, "evMaxPower": 90_000,
            "stateOfCharge": 41, "evEnergyCapacity": 250_000, "fullSoC": 95,
        },
    }  # fmt: skip
    assert await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs}) == {
        "status": "Accepted"
    }
    also = [
        {"value": 1.5, "measurand": "Energy.Active.Import.Register", "unitOfMeasure": {"unit": "kWh"}},
        {"value": 41.5, "measurand": "SoC", "location": "EV"},
    ]
    depot.clock.advance(5.0)
    values = meter(7_000.0, format_wall(depot.clock.wall), also=also)
    await station.call(
        "TransactionEvent", transaction("Updated", 1, format_wall(depot.clock.wall), meterValue=values)
    )
    now_s, then_s = depot.clock.now, depot.clock.now - 5.0
    assert vehicle(depot) == VehicleState(
        session="t-1", vehicle="bus-2", plugged_wall_s=AT_S, soc_pct=Reading(41.5, now_s),
        capacity_wh=Reading(250_000.0, then_s),
        departure_wall_s=Reading(AT_S + 36_000.0, then_s), target_soc_pct=Reading(95.0, then_s),
        max_charge_w=Reading(90_000.0, then_s), max_discharge_w=Reading(50_000.0, then_s),
    )  # fmt: skip
    state = depot.board.evse("b2")
    assert (state.power_w, state.energy_import_wh) == (Reading(7_000.0, now_s), Reading(1_500.0, now_s))
    await station.call("TransactionEvent", transaction("Ended", 2))
    assert depot.board.evse("b2").vehicle is None
    await station.close()


async def test_a_permit_becomes_a_short_profile_whose_renewals_keep_the_id(depot: Depot) -> None:
    station = await ready(depot)
    port = depot.central.ports["b2"]
    assert await port.write_permit(permit("b2", 0.0)) == "accepted"
    await station.call("TransactionEvent", STARTED)
    assert await port.write_permit(permit("b2", 12_000.7)) == "accepted"
    depot.clock.advance(10.0)
    assert await port.write_permit(permit("b2", -4_000.0)) == "withheld"
    first, second = (payload["chargingProfile"] for payload in station.got("SetChargingProfile")[1:])
    assert first == {
        "id": LEASE_ID + 1, "transactionId": "t-1", "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute", "validTo": format_wall(AT_S + 30.0),
        "chargingSchedule": [
            {
                "id": LEASE_ID + 1, "startSchedule": AT, "duration": 30, "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 12_000}],
            }
        ],
    }  # fmt: skip
    assert second["id"] == first["id"]
    assert second["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": -2_000}]
    await station.close()


async def test_1_6_counts_its_transactions_and_writes_one_schedule(depot: Depot) -> None:
    station = await ready(depot, "old", "1.6")
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
    answer = await station.call("StartTransaction", start)
    assert (await station.call("StartTransaction", start))["transactionId"] == answer["transactionId"]
    assert vehicle(depot, "b1").vehicle == "bus-1"
    assert await depot.central.ports["b1"].write_permit(permit("b1", -3_000.0)) == "withheld"
    profile = station.got("SetChargingProfile")[-1]["csChargingProfiles"]
    assert (profile["transactionId"], profile["chargingSchedule"]["duration"]) == (
        answer["transactionId"],
        30,
    )
    assert profile["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": -2_000}]
    values = [
        {
            "timestamp": AT,
            "sampledValue": [{"value": "2.5", "measurand": "Power.Active.Export", "unit": "kW"}],
        }
    ]
    await station.call(
        "MeterValues", {"connectorId": 1, "transactionId": answer["transactionId"], "meterValue": values}
    )
    assert depot.board.evse("b1").power_w == Reading(-2_500.0, depot.clock.now)
    stop = {"transactionId": answer["transactionId"], "meterStop": 10, "timestamp": AT}
    assert await station.call("StopTransaction", stop) == {}
    assert depot.board.evse("b1").vehicle is None
    other = await station.call("StartTransaction", {**start, "meterStart": 10})
    assert other["transactionId"] != answer["transactionId"]
    await station.close()


async def test_2_1_discharges_by_setpoint_and_forgets_the_lease_without_a_link(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call("TransactionEvent", STARTED)
    assert await depot.central.ports["b3"].write_permit(permit("b3", -4_000.0, 20.9)) == "withheld"
    profile = station.got("SetChargingProfile")[-1]["chargingProfile"]
    assert (profile["maxOfflineDuration"], profile["invalidAfterOfflineDuration"]) == (20, True)
    assert profile["chargingSchedule"][0]["chargingSchedulePeriod"] == [
        {
            "startPeriod": 0,
            "operationMode": "CentralSetpoint",
            "setpoint": -2_000,
            "limit": 0,
            "dischargeLimit": -2_000,
        }
    ]
    await station.close()


async def test_discharge_is_never_commanded_where_it_is_not_agreed() -> None:
    depot = Depot(discharge_by="none")
    await depot.central.start()
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    assert await depot.central.ports["b2"].write_permit(permit("b2", -4_000.0)) == "withheld"
    schedule = station.got("SetChargingProfile")[-1]["chargingProfile"]["chargingSchedule"][0]
    assert schedule["chargingSchedulePeriod"][0]["limit"] == 0
    await station.close()
    await depot.central.stop()


async def test_refused_unanswered_and_unconnected_are_three_results(depot: Depot) -> None:
    assert await depot.central.ports["b2"].write_permit(permit("b2", 0.0)) == "silent"
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    station.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected"}
    assert await depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "rejected"
    station.scripts["SetChargingProfile"] = lambda _: None
    pending = depot.central.ports["b2"].write_permit(permit("b2", 5_000.0))
    await station.ws.close()
    assert await pending == "silent"
    await station.close()


async def test_an_unknown_station_is_turned_away_with_404_and_one_without_a_version_with_400(
    depot: Depot,
) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await Peer.dial(depot.port, "stranger", "2.0.1")
    assert refusal.value.response.status_code == 404
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"ws://localhost:{depot.port}/new", subprotocols=[Subprotocol("ocpp9")])
    assert refusal.value.response.status_code == 400


async def test_a_station_that_dials_in_again_takes_over_its_stale_link(depot: Depot) -> None:
    first = await ready(depot)
    second = await ready(depot)
    await first.gone()
    assert depot.board.evse("b2").link.connected is True
    await second.call("TransactionEvent", STARTED)
    assert await depot.central.ports["b2"].write_permit(permit("b2", 1_000.0)) == "accepted"
    await second.close()
    await first.close()


async def test_repeated_and_late_transaction_events_change_nothing(depot: Depot) -> None:
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    await station.call("TransactionEvent", transaction("Ended", 2))
    await station.call("TransactionEvent", transaction("Ended", 2))
    await station.call("TransactionEvent", transaction("Updated", 1, offline=True))
    await station.call("TransactionEvent", STARTED)
    assert depot.board.evse("b2").vehicle is None
    await station.close()


async def test_a_burst_of_old_readings_is_history_and_not_the_present(depot: Depot) -> None:
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    depot.clock.advance(600.0)
    for seq in range(1, 9):
        at = format_wall(AT_S + 10.0 * seq)
        await station.call(
            "TransactionEvent", transaction("Updated", seq, at, meterValue=meter(50_000.0, at), offline=True)
        )
    assert depot.board.evse("b2").power_w == Reading(50_000.0, depot.clock.now - 520.0)
    now = format_wall(depot.clock.wall)
    await station.call("TransactionEvent", transaction("Updated", 9, now, meterValue=meter(100.0, now)))
    await station.call("TransactionEvent", transaction("Updated", 10, AT, meterValue=meter(50_000.0, AT)))
    assert depot.board.evse("b2").power_w == Reading(100.0, depot.clock.now)
    await station.close()


async def test_a_fault_wakes_the_tick_and_is_cleared_by_a_good_status(depot: Depot) -> None:
    station = await ready(depot)
    wakes = depot.wakes
    report = {"timestamp": AT, "evseId": 1, "connectorId": 1, "connectorStatus": "Faulted"}
    await station.call("StatusNotification", report)
    assert (depot.board.evse("b2").status, depot.board.evse("b2").fault, depot.wakes) == (
        "faulted",
        "Faulted",
        wakes + 1,
    )
    await station.call("StatusNotification", {**report, "connectorStatus": "Available"})
    assert (depot.board.evse("b2").status, depot.board.evse("b2").fault) == ("available", "")
    await station.close()


async def test_nonsense_of_one_station_is_answered_as_the_protocol_says_and_leaves_the_others_alone(
    depot: Depot,
) -> None:
    good, bad = await ready(depot), await ready(depot, "newest", "2.1")
    refused = await bad.call("BatterySwap", sample("2.1", "BatterySwap", "request"))
    assert isinstance(refused, Refused)
    assert refused.code == "NotSupported"
    await bad.ws.send("[" * 50_000)
    await bad.ws.send('[2,"9","StationModel",{}]')
    await bad.ws.send(b"\x00\x01")
    assert await bad.gone() == 1003
    assert (await good.call("Heartbeat", {}))["currentTime"] == AT
    await bad.close()
    await good.close()


async def test_start_and_stop_may_be_called_twice(depot: Depot) -> None:
    await depot.central.start()
    await depot.central.stop()
    await depot.central.stop()
