"""2.1's finer leases: a droop that stays in its permit, changes without a new profile, plain leases where
they are refused.
"""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import BOOT_2, permit, transaction
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.vocabulary.charging_profiles import LEASE_ID
from v2g_edge.field.ocpp.vocabulary.dynamic_profiles import FAR_HZ, droop_period
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.permit import Permit
from v2g_edge.model.site import FrequencyResponse

STARTED = transaction(
    "Started", evse={"id": 1, "connectorId": 1}, idToken={"idToken": "bus-3", "type": "MacAddress"}
)
LEASE = LEASE_ID + 1
FAST = 20_000.0


def drooping(power_w: float, droop_w: float) -> Permit:
    return replace(permit("b3", power_w), droop_w=droop_w)


def last(station: Peer) -> dict[str, Any]:
    profile: dict[str, Any] = station.got("SetChargingProfile")[-1]["chargingProfile"]
    return profile


def period(station: Peer) -> dict[str, Any]:
    told: dict[str, Any] = last(station)["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    return told


def says(supports: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An answer to GetVariables: what it says of dynamic profiles, "" where it does not know the variable."""

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        named = {name: payload["getVariableData"][0][name] for name in ("component", "variable")}
        said = (
            {"attributeStatus": "Accepted", "attributeValue": supports}
            if supports
            else {"attributeStatus": "UnknownVariable"}
        )
        return {"getVariableResult": [{**said, **named}]}

    return answer


async def charging(depot: Depot, *, proven: bool = True, supports: str = "true") -> Peer:
    """A 2.1 station with a transaction, of a make that is known to discharge."""
    station = await Peer.dial(depot.port, "newest", "2.1")
    station.scripts["GetVariables"] = says(supports)
    await station.call("BootNotification", BOOT_2)
    await until(lambda: depot.board.evse("b3").dead_man_ok and station.got("SetVariableMonitoring"))
    await station.call("TransactionEvent", STARTED)
    if proven:
        depot.central.links["newest"].station.outlets[1].watch.proof = "proven"
    return station


def power_at(told: dict[str, Any], hz: float) -> float:
    """What a charger does at a frequency: straight between the points, beyond the ends on the last slope,
    the worst reading.
    """
    points = [(point["frequency"], point["power"]) for point in told["v2xFreqWattCurve"]]
    low, high = next(((a, b) for a, b in pairwise(points) if hz <= b[0]), (points[-2], points[-1]))
    return float(told["v2xBaseline"] + low[1] + (high[1] - low[1]) * (hz - low[0]) / (high[0] - low[0]))


@given(
    power_w=st.floats(-50_000.0, 50_000.0),
    droop_w=st.floats(1.0, 50_000.0),
    hz=st.floats(30.0, 70.0),
    dead_hz=st.floats(0.0, 0.1),
    slope_hz=st.floats(0.01, 1.0),
)
def test_no_frequency_leads_a_charger_out_of_its_permit(
    power_w: float, droop_w: float, hz: float, dead_hz: float, slope_hz: float
) -> None:
    told = droop_period(power_w, droop_w, 50.0, FrequencyResponse(dead_hz, dead_hz + slope_hz))
    assert power_w - droop_w - 1e-6 <= power_at(told, hz) <= power_w + droop_w + 1e-6


def test_low_frequency_takes_power_off_and_high_frequency_puts_it_on() -> None:
    told = droop_period(5_000.0, FAST, 50.0, FrequencyResponse(0.01, 0.2))
    assert told["operationMode"] == "LocalFrequency"
    assert [power_at(told, hz) for hz in (49.0, 49.8, 49.99, 50.01, 50.2, 51.5)] == [
        -15_000,
        -15_000,
        5_000,
        5_000,
        25_000,
        25_000,
    ]
    assert power_at(told, 50.105) == pytest.approx(15_000)
    assert (told["v2xFreqWattCurve"][0]["frequency"], told["v2xFreqWattCurve"][-1]["frequency"]) == (
        50 - FAR_HZ,
        50 + FAR_HZ,
    )


async def test_a_droop_is_a_lease_that_ends_by_itself(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    assert await port.write_permit(drooping(0.0, FAST)) == "accepted"
    profile = last(station)
    schedule = profile["chargingSchedule"][0]
    assert (profile["chargingProfilePurpose"], profile["chargingProfileKind"]) == ("TxProfile", "Absolute")
    assert (schedule["duration"], schedule["chargingRateUnit"]) == (30, "W")
    assert profile["validTo"] == format_wall(depot.clock.wall + 30)
    assert (profile["maxOfflineDuration"], profile["invalidAfterOfflineDuration"]) == (30, True)
    assert period(station).keys() == {"startPeriod", "operationMode", "v2xBaseline", "v2xFreqWattCurve"}
    assert (period(station)["v2xBaseline"], period(station)["v2xFreqWattCurve"][0]["power"]) == (0, -20_000)
    await station.close()


@pytest.mark.parametrize("why", ["unproven", "not followed", "negative limits"])
async def test_where_it_is_not_sure_there_is_a_plain_setpoint_and_no_droop(why: str) -> None:
    depot = Depot()
    if why == "negative limits":
        evses = (*depot.site.evses[:2], replace(depot.site.evses[2], discharge_by="negative_limit"))
        site = replace(depot.site, evses=evses)
        depot.central = CentralSystem([depot.listener], depot.stations, site, depot.board, depot.clock)
    await depot.central.start()
    station = await charging(depot, proven=why != "unproven")
    depot.central.links["newest"].station.outlets[1].watch.follows = why != "not followed"
    assert await depot.central.ports["b3"].write_permit(drooping(5_000.0, 5_000.0)) == "accepted"
    assert (period(station).get("operationMode"), period(station)["limit"]) == ("ChargingOnly", 5_000)
    await station.close()
    await depot.central.stop()


async def test_a_station_that_refuses_droops_gets_plain_leases_until_it_boots(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        told = payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]
        return {"status": "Rejected" if told.get("operationMode") == "LocalFrequency" else "Accepted"}

    station.scripts["SetChargingProfile"] = answer
    assert await port.write_permit(drooping(5_000.0, 5_000.0)) == "accepted"
    assert (period(station)["operationMode"], period(station)["limit"]) == ("ChargingOnly", 5_000)
    asked = len(station.got("SetChargingProfile"))
    depot.clock.advance(12.0)
    assert await port.write_permit(drooping(5_000.0, 5_000.0)) == "accepted"
    assert len(station.got("SetChargingProfile")) == asked + 1
    del station.scripts["SetChargingProfile"]
    await station.call(
        "BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}
    )
    await until(lambda: depot.board.evse("b3").dead_man_ok)
    depot.central.links["newest"].station.outlets[1].watch.proof = "proven"
    assert await port.write_permit(drooping(5_000.0, 5_000.0)) == "accepted"
    assert period(station)["operationMode"] == "LocalFrequency"
    await station.close()


async def test_a_station_whose_own_schedule_leaves_the_droop_is_given_no_more(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    station.scripts["GetCompositeSchedule"] = lambda _: {
        "status": "Accepted",
        "schedule": {
            "evseId": 1, "duration": 10, "scheduleStart": format_wall(depot.clock.wall),
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 33_000}],
        },
    }  # fmt: skip
    await port.write_permit(drooping(0.0, FAST))
    outlet = depot.central.links["newest"].station.outlets[1]
    await until(lambda: not outlet.dynamic.takes_droop)
    await port.write_permit(drooping(0.0, FAST))
    assert period(station)["operationMode"] == "ChargingOnly"
    await station.close()


async def test_the_power_of_a_droop_is_no_disobedience_and_beyond_it_is(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    watch = depot.central.links["newest"].station.outlets[1].watch
    await port.write_permit(drooping(0.0, FAST))
    for second in range(6, 20):
        watch.measured(-19_000.0, depot.clock.now + second)
    assert watch.score == 1.0
    watch.measured(-25_000.0, depot.clock.now + 20)
    assert watch.score < 1.0
    await station.close()


async def test_a_setpoint_within_a_lease_is_an_update_and_the_lease_is_renewed_by_a_profile(
    depot: Depot,
) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    await port.write_permit(permit("b3", -10_000.0))
    assert (last(station)["chargingProfileKind"], last(station)["dynUpdateInterval"]) == ("Dynamic", 15)
    assert "startSchedule" not in last(station)["chargingSchedule"][0]
    assert last(station)["validTo"] == format_wall(depot.clock.wall + 30)
    depot.clock.advance(5.0)
    assert await port.write_permit(permit("b3", -15_000.0)) == "accepted"
    assert station.got("UpdateDynamicSchedule") == [
        {
            "chargingProfileId": LEASE,
            "scheduleUpdate": {"limit": 0, "dischargeLimit": -15_000, "setpoint": -15_000},
        }
    ]
    profiles = len(station.got("SetChargingProfile"))
    depot.clock.advance(6.0)
    await port.write_permit(permit("b3", -15_000.0))
    assert len(station.got("SetChargingProfile")) == profiles + 1
    assert last(station)["validTo"] == format_wall(depot.clock.wall + 30)
    await station.close()


async def test_a_stop_and_a_turn_are_new_profiles_with_their_own_operation_mode(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    await port.write_permit(permit("b3", -10_000.0))
    assert await port.write_permit(permit("b3", 0.0)) == "accepted"
    assert (station.got("UpdateDynamicSchedule"), period(station)["operationMode"]) == ([], "ChargingOnly")
    await port.write_permit(permit("b3", 8_000.0))
    assert station.got("UpdateDynamicSchedule") == [
        {"chargingProfileId": LEASE, "scheduleUpdate": {"limit": 8_000}}
    ]
    await station.close()


@pytest.mark.parametrize("supports", ["", "false", "FALSE", "perhaps"])
async def test_a_station_that_does_not_say_it_supports_dynamic_profiles_gets_absolute_ones(
    depot: Depot, supports: str
) -> None:
    station, port = await charging(depot, supports=supports), depot.central.ports["b3"]
    assert await port.write_permit(permit("b3", 10_000.0)) == "accepted"
    assert await port.write_permit(permit("b3", 12_000.0)) == "accepted"
    kinds = [each["chargingProfile"]["chargingProfileKind"] for each in station.got("SetChargingProfile")]
    assert kinds == ["Relative", "Absolute", "Absolute"], "the default, and two leases"
    assert station.got("UpdateDynamicSchedule") == []
    await station.close()


@pytest.mark.parametrize("refused", ["SetChargingProfile", "UpdateDynamicSchedule"])
async def test_a_station_that_refuses_dynamic_profiles_gets_absolute_ones(depot: Depot, refused: str) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        dynamic = payload.get("chargingProfile", {}).get("chargingProfileKind") == "Dynamic"
        return {"status": "Rejected" if dynamic or "scheduleUpdate" in payload else "Accepted"}

    station.scripts[refused] = answer
    assert await port.write_permit(permit("b3", 10_000.0)) == "accepted"
    assert await port.write_permit(permit("b3", 12_000.0)) == "accepted"
    assert period(station)["limit"] == 12_000
    if refused == "SetChargingProfile":
        assert last(station)["chargingProfileKind"] == "Absolute"
        assert station.got("UpdateDynamicSchedule") == []
        kinds = [each["chargingProfile"]["chargingProfileKind"] for each in station.got("SetChargingProfile")]
        assert kinds.count("Dynamic") == 1, "asked once"
    await station.close()


async def test_a_station_that_takes_no_end_date_gets_no_dynamic_profile(depot: Depot) -> None:
    """Only the date ends a dynamic lease whatever updates come."""
    station, port = await charging(depot), depot.central.ports["b3"]
    station.scripts["SetChargingProfile"] = lambda payload: {
        "status": "Rejected" if "validTo" in payload["chargingProfile"] else "Accepted"
    }
    assert await port.write_permit(permit("b3", 10_000.0)) == "accepted"
    assert await port.write_permit(permit("b3", 12_000.0)) == "accepted"
    assert (last(station)["chargingProfileKind"], station.got("UpdateDynamicSchedule")) == ("Absolute", [])
    assert "validTo" not in last(station)
    await station.close()


async def test_a_reconnected_station_gets_a_whole_profile(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    await port.write_permit(permit("b3", 10_000.0))
    await station.close()
    await until(lambda: not depot.board.evse("b3").link.connected)
    again = await Peer.dial(depot.port, "newest", "2.1")
    await until(lambda: depot.board.evse("b3").link.connected)
    await port.write_permit(permit("b3", 12_000.0))
    assert again.got("UpdateDynamicSchedule") == []
    assert period(again)["limit"] == 12_000
    await again.close()


async def test_who_asks_is_told_what_is_wanted_while_the_lease_stands_and_rejected_afterwards(
    depot: Depot,
) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    pull = {"chargingProfileId": LEASE}
    assert await station.call("PullDynamicScheduleUpdate", pull) == {"status": "Rejected"}
    await port.write_permit(permit("b3", 12_000.0))
    assert await station.call("PullDynamicScheduleUpdate", pull) == {
        "status": "Accepted",
        "scheduleUpdate": {"limit": 12_000},
    }
    assert await station.call("PullDynamicScheduleUpdate", {"chargingProfileId": LEASE + 1}) == {
        "status": "Rejected"
    }
    depot.clock.advance(30.0)
    assert await station.call("PullDynamicScheduleUpdate", pull) == {"status": "Rejected"}
    await station.close()


async def test_the_lease_of_the_last_vehicle_is_told_to_nobody(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    await port.write_permit(permit("b3", 10_000.0))
    await station.call("TransactionEvent", transaction("Ended", 1))
    info = {"transactionInfo": {"transactionId": "t-2"}}
    await station.call("TransactionEvent", {**STARTED, **info})
    assert await station.call("PullDynamicScheduleUpdate", {"chargingProfileId": LEASE}) == {
        "status": "Rejected"
    }
    await station.close()


async def test_who_asks_while_a_stop_is_on_its_way_is_not_encouraged(depot: Depot) -> None:
    station, port = await charging(depot), depot.central.ports["b3"]
    await port.write_permit(permit("b3", -10_000.0))
    told = len(station.got("SetChargingProfile"))
    station.scripts["SetChargingProfile"] = lambda _: None
    stop = asyncio.create_task(port.write_permit(permit("b3", 0.0)))
    await until(lambda: len(station.got("SetChargingProfile")) > told)
    assert await station.call("PullDynamicScheduleUpdate", {"chargingProfileId": LEASE}) == {
        "status": "Rejected"
    }
    await station.close()
    assert await stop == "silent"


async def test_of_a_long_lease_that_allows_little_no_update_makes_one_that_allows_more(depot: Depot) -> None:
    """An update changes the numbers and leaves the end: an hour of 0 W may not become an hour of
    discharge.
    """
    station, port = await charging(depot), depot.central.ports["b3"]
    await port.write_permit(permit("b3", 0.0))
    profiles = len(station.got("SetChargingProfile"))
    await port.write_permit(permit("b3", 12_000.0))
    assert station.got("UpdateDynamicSchedule") == []
    assert len(station.got("SetChargingProfile")) == profiles + 1
    profile = station.got("SetChargingProfile")[-1]["chargingProfile"]
    assert profile["chargingSchedule"][0]["duration"] == 30
    await station.close()
