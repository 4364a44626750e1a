"""What 2.1 adds: DER alarms, the audit of grid-code settings, power as a stream, availability as an event."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Peer, until
from tests.field.ocpp.test_server import ready
from v2g_edge.field.ocpp.der import audit
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.when import format_wall
from v2g_edge.model.gridcode import Element, EnterService, GridCode
from v2g_edge.model.reading import Reading

WINDOW = EnterService(
    v_lo_pu=0.85, v_hi_pu=1.1, f_lo_hz=49.5, f_hi_hz=50.1, delay_s=60.0, ramp_s=600.0, random_delay_s=0.0,
    v_lo_range_pu=(0.8, 0.9), v_hi_range_pu=(1.0, 1.2), f_lo_range_hz=(49.0, 50.0), f_hi_range_hz=(50.0, 51.0),
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


def enter(**changes: float) -> dict[str, Any]:
    setting = {"priority": 0, "highVoltage": 110, "lowVoltage": 85, "highFreq": 50.1, "lowFreq": 49.5, "delay": 60, **changes}
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


async def streaming(depot: Depot) -> Peer:
    station = await Peer.dial(depot.port, "newest", "2.1")
    station.scripts["SetVariableMonitoring"] = lambda p: {
        "setMonitoringResult": [
            {
                "id": 77, "status": "Accepted", "type": "Periodic", "severity": 9,
                "component": p["setMonitoringData"][0]["component"], "variable": p["setMonitoringData"][0]["variable"],
            }
        ]
    }  # fmt: skip
    await station.call("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}})
    await until(lambda: depot.central.links["newest"].station.power_monitors)
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
        "eventId": 1, "timestamp": AT, "trigger": "Delta", "actualValue": "Occupied", "eventNotificationType": "CustomMonitor",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}}, "variable": {"name": "AvailabilityState"},
    }  # fmt: skip
    await station.call("NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": [event]})
    assert depot.board.evse("b3").status == "occupied"
    await station.close()


async def test_what_the_car_says_in_2_1_becomes_its_needs(depot: Depot) -> None:
    station = await ready(depot, "newest", "2.1")
    started = {
        "eventType": "Started", "timestamp": AT, "triggerReason": "CablePluggedIn", "seqNo": 0,
        "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1},
        "idToken": {"idToken": "card", "type": "ISO14443", "additionalInfo": [{"additionalIdToken": "bus-3", "type": "EVCCID"}]},
    }  # fmt: skip
    v2x = {"maxChargePower": 60_000, "maxDischargePower": -45_000, "targetSoC": 88}
    needs = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": v2x}
    await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
    await station.call("TransactionEvent", started)
    vehicle = depot.board.evse("b3").vehicle
    assert vehicle is not None
    now_s = depot.clock.now
    assert (vehicle.vehicle, vehicle.target_soc_pct) == ("bus-3", Reading(88.0, now_s))
    assert (vehicle.max_charge_w, vehicle.max_discharge_w) == (Reading(60_000.0, now_s), Reading(45_000.0, now_s))
    await station.close()
