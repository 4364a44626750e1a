"""What 2.1 adds: DER alarms, the audit of grid-code settings, power as a stream, availability as an event."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Peer, until
from tests.field.ocpp.test_server import permit, ready, transaction
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.vocabulary.der_settings import audit
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.fault import fault_of
from v2g_edge.model.gridcode import Element, EnterService, GridCode
from v2g_edge.model.reading import NO_SAMPLE, Reading

WINDOW = EnterService(
    v_lo_pu=0.85, v_hi_pu=1.1, f_lo_hz=49.5, f_hi_hz=50.1, delay_s=60.0, ramp_s=600.0, random_delay_s=0.0,
    v_lo_range_pu=(0.8, 0.9), v_hi_range_pu=(1.0, 1.2), f_lo_range_hz=(49.0, 50.0),
    f_hi_range_hz=(50.0, 51.0),
    delay_range_s=(0.0, 600.0), ramp_range_s=(0.0, 900.0), random_delay_range_s=(0.0, 0.0), source="test",
)  # fmt: skip
OVER = Element("over_voltage", "voltage_high", 1.15, 0.2, (1.1, 1.2), (0.1, 0.3), "test")
CODE = GridCode(
    name="test",
    edition="1",
    nominal_hz=50.0,
    status="verified",
    source="test",
    elements=(OVER,),
    ride_through=(),
    enter_service=WINDOW,
)

STARTED = transaction(
    "Started", evse={"id": 1, "connectorId": 1}, idToken={"idToken": "bus-3", "type": "MacAddress"}
)


def enter(**changes: float) -> dict[str, Any]:
    setting = {
        "priority": 0,
        "highVoltage": 110,
        "lowVoltage": 85,
        "highFreq": 50.1,
        "lowFreq": 49.5,
        "delay": 60,
        **changes,
    }
    return {"requestId": 1, "enterService": [{"id": "e", "enterService": setting}]}


def curve(*points: tuple[float, float]) -> dict[str, Any]:
    data = {"priority": 0, "yUnit": "PctEffectiveV", "curveData": [{"x": x, "y": y} for x, y in points]}
    row = {"id": "c", "curveType": "HVMustTrip", "isDefault": True, "isSuperseded": False, "curve": data}
    return {"requestId": 1, "curve": [row]}


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (enter(), []),
        (enter(delay=5), ["EnterService delay is 5, the code says 60"]),
        (enter(highVoltage=120), ["EnterService highVoltage is 1.2, the code says 1.1"]),
        (enter(highVoltage=1.1), []),
        (curve((0.2, 115.0)), []),
        (curve((0.1, 115.0), (5.0, 110.0)), []),
        (curve((2.0, 115.0)), ["HVMustTrip has no point for over_voltage: 1.15 within 0.2 s"]),
        ({"requestId": 1}, []),
    ],
)
def test_settings_are_held_against_the_code(report: dict[str, Any], told: list[str]) -> None:
    assert audit(report, CODE) == told


async def test_a_charger_programmed_otherwise_loses_its_grid_code_mark_and_gets_it_back() -> None:
    depot = Depot()
    site = replace(depot.site, grid=replace(depot.site.grid, profile=CODE))
    depot.central = CentralSystem([depot.listener], depot.stations, site, depot.board, depot.clock)
    await depot.central.start()
    station = await ready(depot, "newest", "2.1")
    await until(lambda: station.got("GetDERControl"))
    await station.call("ReportDERControl", enter(delay=1))
    assert depot.board.evse("b3").grid_code_ok is False
    await station.call("ReportDERControl", enter())
    assert depot.board.evse("b3").grid_code_ok is True
    await station.close()
    await depot.central.stop()


async def test_a_der_alarm_is_a_fault_until_it_ends(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    wakes = depot.wakes
    alarm = {"controlType": "HVMustTrip", "gridEventFault": "OverVoltage", "timestamp": AT}
    await station.call("NotifyDERAlarm", alarm)
    assert (depot.board.evse("b3").fault, depot.wakes) == ("DER OverVoltage", wakes + 1)
    await station.call("NotifyDERAlarm", {**alarm, "alarmEnded": True})
    assert depot.board.evse("b3").fault == ""
    await station.close()


async def test_each_alarm_ends_by_itself_and_no_status_ends_one(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    over = {"controlType": "HVMustTrip", "gridEventFault": "OverVoltage", "timestamp": AT}
    under = {"controlType": "LFMustTrip", "gridEventFault": "UnderFrequency", "timestamp": AT}
    await station.call("NotifyDERAlarm", over)
    await station.call("NotifyDERAlarm", under)
    status = {"timestamp": AT, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
    await station.call("StatusNotification", status)
    assert depot.board.evse("b3").fault == "DER OverVoltage"
    await station.call("NotifyDERAlarm", {**over, "alarmEnded": True})
    assert depot.board.evse("b3").fault == "DER UnderFrequency"
    await station.call("NotifyDERAlarm", {**under, "alarmEnded": True})
    assert depot.board.evse("b3").fault == ""
    await station.close()


async def test_a_fault_of_the_outlet_outlasts_an_alarm_of_the_inverter(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call(
        "StatusNotification", {"timestamp": AT, "connectorStatus": "Faulted", "evseId": 1, "connectorId": 1}
    )
    alarm = {"controlType": "HVMustTrip", "gridEventFault": "OverVoltage", "timestamp": AT}
    await station.call("NotifyDERAlarm", alarm)
    await station.call("NotifyDERAlarm", {**alarm, "alarmEnded": True})
    assert depot.board.evse("b3").fault == "Faulted"
    await station.close()


async def test_a_boot_ends_alarms_and_priority(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call("TransactionEvent", STARTED)
    await station.call("NotifyPriorityCharging", {"transactionId": "t-1", "activated": True})
    await station.call("NotifyDERAlarm", {"controlType": "HVMustTrip", "timestamp": AT})
    assert (depot.board.evse("b3").fault, depot.board.evse("b3").priority) == ("DER HVMustTrip", True)
    await station.call(
        "BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}
    )
    await station.call(
        "StatusNotification", {"timestamp": AT, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
    )
    assert (depot.board.evse("b3").fault, depot.board.evse("b3").priority) == ("", False)
    await station.close()


async def test_a_control_that_ceases_ends_the_discharge_while_it_runs_and_a_droop_does_not(
    depot: Depot,
) -> None:
    station = await ready(depot, "newest", "2.1")
    droop = {
        "priority": 0,
        "overFreq": 50.2,
        "underFreq": 49.8,
        "overDroop": 0.05,
        "underDroop": 0.05,
        "responseTime": 2,
    }
    held = {"id": "slope", "isDefault": True, "isSuperseded": False, "freqDroop": droop}
    await station.call("ReportDERControl", {"requestId": 9, "freqDroop": [held]})
    await station.call(
        "ReportDERControl",
        {"requestId": 9, "curve": [{**curve((1.0, 50.0))["curve"][0], "curveType": "LVMomCess"}]},
    )
    fault = fault_of("DERControlCeased")
    assert fault.stops == "discharge"
    for control, expected in (
        ("slope", ""),
        ("c", "DERControlCeased"),
        ("never heard of", "DERControlCeased"),
    ):
        event = {"controlId": control, "started": True, "timestamp": AT}
        await station.call("NotifyDERStartStop", event)
        assert depot.board.evse("b3").fault == expected, control
        await station.call("NotifyDERStartStop", {**event, "started": False})
        assert depot.board.evse("b3").fault == ""
    await station.call("NotifyDERStartStop", {"controlId": "c", "started": True, "timestamp": AT})
    await station.call(
        "NotifyDERStartStop", {"controlId": "slope", "started": True, "timestamp": AT, "supersededIds": ["c"]}
    )
    assert depot.board.evse("b3").fault == ""
    await station.close()


async def coded() -> tuple[Depot, Peer]:
    depot = Depot()
    site = replace(depot.site, grid=replace(depot.site.grid, profile=CODE))
    depot.central = CentralSystem([depot.listener], depot.stations, site, depot.board, depot.clock)
    await depot.central.start()
    station = await ready(depot, "newest", "2.1")
    await until(lambda: station.got("GetDERControl"))
    return depot, station


async def test_a_later_part_of_a_report_does_not_excuse_an_earlier_one() -> None:
    depot, station = await coded()
    request = station.got("GetDERControl")[0]["requestId"]
    await station.call("ReportDERControl", {**enter(delay=1), "requestId": request, "tbc": True})
    await station.call("ReportDERControl", {**curve((0.2, 115.0)), "requestId": request, "tbc": True})
    assert depot.board.evse("b3").grid_code_ok is False
    await station.call("ReportDERControl", {**enter(), "requestId": request})
    assert depot.board.evse("b3").grid_code_ok is True
    await station.close()
    await depot.central.stop()


async def test_settings_are_read_again_after_a_boot_and_what_is_gone_counts_no_more() -> None:
    depot, station = await coded()
    await station.call(
        "ReportDERControl",
        {**curve((9.0, 115.0)), "requestId": station.got("GetDERControl")[-1]["requestId"]},
    )
    assert depot.board.evse("b3").grid_code_ok is False
    asked = len(station.got("GetDERControl"))
    await station.call(
        "BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}
    )
    await until(lambda: len(station.got("GetDERControl")) > asked)
    await station.call(
        "ReportDERControl", {**enter(), "requestId": station.got("GetDERControl")[-1]["requestId"]}
    )
    await until(lambda: depot.board.evse("b3").grid_code_ok)
    await station.close()
    await depot.central.stop()


async def test_priority_charging_is_seen_until_it_ends_or_the_vehicle_leaves(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call("TransactionEvent", STARTED)
    wakes = depot.wakes
    await station.call("NotifyPriorityCharging", {"transactionId": "t-1", "activated": True})
    assert (depot.board.evse("b3").priority, depot.wakes) == (True, wakes + 1)
    await station.call("NotifyPriorityCharging", {"transactionId": "t-1", "activated": False})
    assert depot.board.evse("b3").priority is False
    await station.call("NotifyPriorityCharging", {"transactionId": "t-1", "activated": True})
    await station.call("TransactionEvent", transaction("Ended", 1))
    assert depot.board.evse("b3").priority is False
    await station.close()


def bpt(**changes: Any) -> dict[str, Any]:
    v2x = {"maxChargePower": 60_000, "maxDischargePower": 45_000, "targetSoC": 88}
    needs = {
        "requestedEnergyTransfer": "DC_BPT",
        "availableEnergyTransfer": ["DC", "DC_BPT"],
        "v2xChargingParameters": v2x,
        **changes,
    }
    return {"evseId": 1, "chargingNeeds": needs}


async def test_a_vehicle_that_may_feed_back_is_allowed_both_ways_and_told_once(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call("NotifyEVChargingNeeds", bpt())
    assert station.got("NotifyAllowedEnergyTransfer") == [], "no transaction yet"
    await station.call("TransactionEvent", STARTED)
    await until(lambda: station.got("NotifyAllowedEnergyTransfer"))
    await station.call("NotifyEVChargingNeeds", bpt())
    assert station.got("NotifyAllowedEnergyTransfer") == [
        {"transactionId": "t-1", "allowedEnergyTransfer": ["DC", "DC_BPT"]}
    ]
    await station.close()


@pytest.mark.parametrize(
    ("offered", "told"),
    [
        (["DC", "DC_BPT"], ["DC"]),
        (["DC_BPT"], ["DC"]),
        (["AC_BPT", "AC_BPT_DER", "AC_three_phase"], ["AC_three_phase"]),
        (["AC_BPT", "AC_BPT_DER"], ["AC_three_phase", "AC_DER"]),
        (["DC_ACDP_BPT"], ["DC_ACDP"]),
    ],
)
async def test_a_vehicle_that_nobody_let_feed_back_is_allowed_to_charge(
    depot: Depot, offered: list[str], told: list[str]
) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call(
        "TransactionEvent", {**STARTED, "idToken": {"idToken": "stranger", "type": "MacAddress"}}
    )
    await station.call(
        "NotifyEVChargingNeeds", bpt(requestedEnergyTransfer=offered[0], availableEnergyTransfer=offered)
    )
    await until(lambda: station.got("NotifyAllowedEnergyTransfer"))
    assert station.got("NotifyAllowedEnergyTransfer")[0]["allowedEnergyTransfer"] == told
    await station.close()


@pytest.mark.parametrize(("card", "modes"), [("bus-3", 11), ("BUS-3", 11), ("stranger", 0)])
async def test_who_may_feed_back_is_told_so_when_it_is_authorised(
    depot: Depot, card: str, modes: int
) -> None:
    station = await ready(depot, "newest", "2.1")
    answer = await station.call("Authorize", {"idToken": {"idToken": card, "type": "MacAddress"}})
    assert answer["idTokenInfo"]["status"] == "Accepted"
    assert len(answer.get("allowedEnergyTransfer", ())) == modes
    started = {**STARTED, "idToken": {"idToken": card, "type": "MacAddress"}}
    assert (await station.call("TransactionEvent", started)).keys() == {"idTokenInfo"}
    await station.close()


async def test_a_vehicle_that_only_charges_needs_no_word(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    await station.call("TransactionEvent", STARTED)
    await station.call(
        "NotifyEVChargingNeeds",
        bpt(requestedEnergyTransfer="DC", availableEnergyTransfer=["DC", "AC_three_phase"]),
    )
    assert "currentTime" in await station.call("Heartbeat", {})
    assert station.got("NotifyAllowedEnergyTransfer") == []
    await station.close()


async def test_a_vehicle_may_plan_no_more_discharge_than_was_permitted(depot: Depot) -> None:
    station, port = await ready(depot, "newest", "2.1"), depot.central.ports["b3"]
    await station.call("TransactionEvent", STARTED)
    depot.central.links["newest"].station.outlets[1].watch.proof = "proven"
    await port.write_permit(permit("b3", -10_000.0))

    def planned(**period: Any) -> dict[str, Any]:
        schedule = {
            "id": 1,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, **period}],
        }
        return {"timeBase": AT, "evseId": 1, "chargingSchedule": schedule}

    assert await station.call("NotifyEVChargingSchedule", planned(setpoint=-10_000)) == {"status": "Accepted"}
    assert await station.call("NotifyEVChargingSchedule", planned(setpoint=-15_000)) == {"status": "Rejected"}
    assert await station.call("NotifyEVChargingSchedule", planned(dischargeLimit=-15_000)) == {
        "status": "Rejected"
    }
    assert await station.call("NotifyEVChargingSchedule", planned(limit=40_000)) == {"status": "Rejected"}
    await station.close()


async def streaming(depot: Depot) -> Peer:
    station = await Peer.dial(depot.port, "newest", "2.1")
    station.scripts["SetVariableMonitoring"] = lambda p: {
        "setMonitoringResult": [
            {
                "id": 77, "status": "Accepted", "type": "Periodic", "severity": 9,
                "component": p["setMonitoringData"][0]["component"],
                "variable": p["setMonitoringData"][0]["variable"],
            }
        ]
    }  # fmt: skip
    await station.call(
        "BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}
    )
    await until(lambda: depot.central.links["newest"].station.v21.power_monitors)
    return station


async def test_power_comes_as_a_stream(depot: Depot) -> None:
    station = await streaming(depot)
    opened = {"constantStreamData": {"id": 3, "variableMonitoringId": 77, "params": {"interval": 1}}}
    assert await station.call("OpenPeriodicEventStream", opened) == {"status": "Accepted"}
    foreign = {"constantStreamData": {"id": 4, "variableMonitoringId": 78, "params": {"interval": 1}}}
    assert await station.call("OpenPeriodicEventStream", foreign) == {"status": "Rejected"}
    depot.clock.advance(3.0)
    data = [{"t": 0.0, "v": "-4000"}, {"t": 2.0, "v": "-4200.5"}]
    stream = {"id": 3, "pending": 0, "basetime": format_wall(AT_S + 1.0), "data": data}
    station.machine.send("NotifyPeriodicEventStream", stream)
    assert "currentTime" in await station.call("Heartbeat", {})
    assert depot.board.evse("b3").power_w == Reading(-4_200.5, depot.clock.now)
    station.machine.send("NotifyPeriodicEventStream", {**stream, "data": [{"t": 0.0, "v": "full"}]})
    assert "currentTime" in await station.call("Heartbeat", {})
    await station.close()


async def test_availability_as_an_event_is_a_status(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    event = {
        "eventId": 1, "timestamp": AT, "trigger": "Delta", "actualValue": "Occupied",
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": "AvailabilityState"},
    }  # fmt: skip
    await station.call("NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": [event]})
    assert depot.board.evse("b3").status == "occupied"
    await station.close()


async def test_what_the_car_says_in_2_1_becomes_its_needs(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    started = {
        "eventType": "Started", "timestamp": AT, "triggerReason": "CablePluggedIn", "seqNo": 0,
        "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1},
        "idToken": {"idToken": "card", "type": "ISO14443",
            "additionalInfo": [{"additionalIdToken": "bus-3", "type": "EVCCID"}]},
    }  # fmt: skip
    v2x = {"maxChargePower": 60_000, "maxDischargePower": -45_000, "targetSoC": 88}
    needs = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": v2x}
    await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
    await station.call("TransactionEvent", started)
    vehicle = depot.board.evse("b3").vehicle
    assert vehicle is not None
    now_s = depot.clock.now
    assert (vehicle.vehicle, vehicle.target_soc_pct) == ("bus-3", Reading(88.0, now_s))
    assert (vehicle.max_charge_w, vehicle.max_discharge_w) == (
        Reading(60_000.0, now_s),
        Reading(45_000.0, now_s),
    )
    await station.close()


async def test_a_stream_may_be_opened_before_the_answer_about_its_monitor_is_read(depot: Depot) -> None:
    """Both can come in one segment; and one that turns out not to be ours tells nothing."""
    station = await Peer.dial(depot.port, "newest", "2.1")
    station.scripts["SetVariableMonitoring"] = lambda _: None
    await station.call(
        "BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}
    )
    await until(lambda: station.got("SetVariableMonitoring"))
    opened = {"constantStreamData": {"id": 3, "variableMonitoringId": 78, "params": {"interval": 1}}}
    assert await station.call("OpenPeriodicEventStream", opened) == {"status": "Accepted"}
    stream = {"id": 3, "pending": 0, "basetime": format_wall(AT_S), "data": [{"t": 0.0, "v": "-4000"}]}
    station.machine.send("NotifyPeriodicEventStream", stream)
    assert "currentTime" in await station.call("Heartbeat", {})
    assert depot.board.evse("b3").power_w is NO_SAMPLE
    await station.close()


async def test_a_closed_stream_tells_nothing_more(depot: Depot) -> None:
    station = await streaming(depot)
    await station.call(
        "OpenPeriodicEventStream",
        {"constantStreamData": {"id": 3, "variableMonitoringId": 77, "params": {"interval": 1}}},
    )
    await station.call("ClosePeriodicEventStream", {"id": 3})
    depot.clock.advance(3.0)
    stream = {"id": 3, "pending": 0, "basetime": format_wall(AT_S + 3.0), "data": [{"t": 0.0, "v": "-4000"}]}
    station.machine.send("NotifyPeriodicEventStream", stream)
    assert "currentTime" in await station.call("Heartbeat", {})
    assert depot.board.evse("b3").power_w is NO_SAMPLE
    await station.close()


async def test_after_a_reconnect_streams_are_taken_up_under_their_old_ids_at_our_pace(depot: Depot) -> None:
    station = await streaming(depot)
    await station.close()
    await until(lambda: not depot.board.evse("b3").link.connected)
    again = await Peer.dial(depot.port, "newest", "2.1")
    streams = [
        {"id": 8, "variableMonitoringId": 77, "params": {"interval": 60}},
        {"id": 9, "variableMonitoringId": 5, "params": {}},
    ]
    again.scripts["GetPeriodicEventStream"] = lambda _: {"constantStreamData": streams}
    await until(lambda: again.got("AdjustPeriodicEventStream"), 10.0)
    assert again.got("AdjustPeriodicEventStream") == [{"id": 8, "params": {"interval": 5}}]
    assert again.got("SetVariableMonitoring") == [], "its monitors are still there"
    depot.clock.advance(3.0)
    stream = {"id": 8, "pending": 0, "basetime": format_wall(AT_S + 3.0), "data": [{"t": 0.0, "v": "-4000"}]}
    again.machine.send("NotifyPeriodicEventStream", stream)
    assert "currentTime" in await again.call("Heartbeat", {})
    assert depot.board.evse("b3").power_w == Reading(-4_000.0, depot.clock.now)
    await again.close()


async def perform(depot: Depot, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    params = {"action": action, "payload": payload, "engineer": "A. Meyer"}
    return await depot.central.perform("newest", "call", params)


@pytest.mark.parametrize(("held", "differs"), [(2.0, []), (5.0, ["gradient.gradient is 5.0, 2.0 was set"])])
async def test_what_commissioning_has_set_is_read_back_and_compared(
    depot: Depot, held: float, differs: list[str]
) -> None:
    station = await ready(depot, "newest", "2.1")
    await until(lambda: depot.central.links["newest"].station.v21 and station.got("GetDERControl"))
    control = {"isDefault": True, "controlId": "g", "controlType": "Gradients"}
    gradient = {"priority": 0, "gradient": 2.0, "softGradient": 3.0}
    station.scripts["GetDERControl"] = lambda _: {"status": "Accepted"}
    asking = asyncio.create_task(perform(depot, "SetDERControl", {**control, "gradient": gradient}))
    await until(lambda: any("controlId" in got for got in station.got("GetDERControl")))
    request = station.got("GetDERControl")[-1]
    assert request == {**control, "requestId": request["requestId"]}
    await station.call(
        "ReportDERControl",
        {
            "requestId": request["requestId"],
            "gradient": [{"id": "g", "gradient": {**gradient, "gradient": held}}],
        },
    )
    told = await asking
    assert (told["held"], told["differs"]) == (not differs, differs)
    await station.close()


async def test_what_commissioning_has_cleared_is_gone_or_told(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    station.scripts["GetDERControl"] = lambda _: {"status": "NotFound"}
    told = await perform(depot, "ClearDERControl", {"isDefault": True, "controlId": "g"})
    assert (told["held"], told["differs"]) == (True, [])
    station.scripts["GetDERControl"] = lambda _: {"status": "NotSupported"}
    told = await perform(depot, "ClearDERControl", {"isDefault": True, "controlId": "g"})
    assert told["held"] is None
    await station.close()
