"""Stations that write what others write in another form: the value is the right one, and no vehicle loses its
name or its charge for it.
"""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT_S, until
from tests.field.ocpp.station.test_strangers import say
from tests.field.ocpp.station.test_two_speakers import plugged, status, values
from tests.field.ocpp.test_server import BOOT_16, STARTED, permit, ready, transaction, vehicle
from v2g_edge.field.ocpp.link.polling import Polling
from v2g_edge.field.ocpp.vocabulary.facts import SessionEvent
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.fault import fault_of
from v2g_edge.model.reading import Reading


def reading(value: object) -> float | None:
    return value.value if isinstance(value, Reading) else None


@pytest.mark.parametrize("none", [0, -1, "0", "-1", "", 987_654, "abc", None, 0.0])
async def test_a_number_that_says_none_pushes_no_vehicle_out(depot: Depot, none: Any) -> None:
    """In meter values, while our transaction runs and has been named (1.6)."""
    station, number = await plugged(depot)
    await say(station, "MeterValues", values(depot, number, 5_000.0))
    depot.clock.advance(5.0)
    await say(station, "MeterValues", {**values(depot, number, 6_000.0), "transactionId": none})
    assert vehicle(depot, "b1").session == str(number)
    assert vehicle(depot, "b1").vehicle == "bus-1"
    assert reading(depot.board.evse("b1").power_w) == 6_000.0
    await station.close()


@pytest.mark.parametrize("none", [0, -1, "0", "abc", 0.0])
async def test_a_number_that_says_none_is_no_vehicle(depot: Depot, none: Any) -> None:
    """Meter values of an outlet that nothing stands at, as some stations send them all day."""
    station = await ready(depot, "old", "1.6")
    await say(station, "MeterValues", {**values(depot, 1, 0.0), "transactionId": none})
    assert depot.board.evse("b1").vehicle is None
    await station.close()


@pytest.mark.parametrize("form", [str, float, int])
async def test_a_number_is_the_same_number_in_every_form(depot: Depot, form: Any) -> None:
    """17, "17" and 17.0: JSON knows one kind of number."""
    station, number = await plugged(depot)
    await say(station, "MeterValues", {**values(depot, number, 5_000.0), "transactionId": form(number)})
    assert vehicle(depot, "b1").session == str(number)
    stop = {"transactionId": form(number), "timestamp": format_wall(depot.clock.wall), "meterStop": "849"}
    await say(station, "StopTransaction", stop)
    assert depot.board.evse("b1").vehicle is None
    kept = depot.central._store.session("old", str(number))
    assert kept is not None
    assert kept.import_wh == 849.0, "a register as a text counts too"
    await station.close()


async def test_a_start_that_is_repeated_with_another_time_ends_the_one_before(depot: Depot) -> None:
    """The answer was lost, and the station begins anew: one vehicle, one transaction, the later one."""
    station, first = await plugged(depot)
    at = format_wall(depot.clock.wall)
    again = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": at}
    second = (await station.call("StartTransaction", again))["transactionId"]
    assert (await station.call("StartTransaction", again))["transactionId"] == second != first
    assert (vehicle(depot, "b1").session, vehicle(depot, "b1").vehicle) == (str(second), "bus-1")
    assert [each.transaction for each in depot.central._store.open_sessions("old")] == [str(second)]
    await station.close()


@pytest.mark.parametrize("zone_s", [-18_000.0, 7_200.0, 3_600.0])
async def test_times_without_a_zone_are_learnt_as_a_clock_that_is_off(depot: Depot, zone_s: float) -> None:
    """Local time without saying so: hours off, until the readings agree; then the age is right."""
    station, number = await plugged(depot)
    for _ in range(5):
        told = values(depot, number, 5_000.0)
        told["meterValue"][0]["timestamp"] = format_wall(depot.clock.wall + zone_s)[:-1]
        await say(station, "MeterValues", told)
        depot.clock.advance(6.0)
    power = depot.board.evse("b1").power_w
    assert isinstance(power, Reading)
    assert power.at_s == pytest.approx(depot.clock.now - 6.0)
    await station.close()


@pytest.mark.parametrize("step_s", [3_600.0, -3_600.0, 90.0])
async def test_a_clock_that_steps_in_mid_session_is_learnt_anew(depot: Depot, step_s: float) -> None:
    """Meanwhile nothing is leased beyond the default; within half a minute the power is known again."""
    station, number = await plugged(depot)
    for round_ in range(12):
        told = values(depot, number, 5_000.0 + round_)
        off_s = step_s if round_ >= 6 else 0.0
        told["meterValue"][0]["timestamp"] = format_wall(depot.clock.wall + off_s)
        await station.call("MeterValues", told)
        known = depot.central.links["old"].station.clock_skew.known
        if round_ == 6:
            assert not known
            assert await depot.central.ports["b1"].write_permit(permit("b1", 22_000.0)) != "accepted"
        depot.clock.advance(6.0)
    assert depot.central.links["old"].station.clock_skew.known
    assert reading(depot.board.evse("b1").power_w) == 5_011.0
    await station.close()


@pytest.mark.parametrize("word", ["NoError", "", "None", "No Error", "noError", "OK", "NoError "])
async def test_no_error_in_other_letters_is_no_fault(depot: Depot, word: str) -> None:
    station, _ = await plugged(depot)
    await say(station, "StatusNotification", {**status(depot, "1.6", "Charging"), "errorCode": word})
    assert (depot.board.evse("b1").status, depot.board.evse("b1").fault) == ("occupied", "")
    await station.close()


@pytest.mark.parametrize(
    ("state", "vendor", "fault"),
    [
        ("Charging", {}, "OtherError"),
        ("Charging", {"vendorErrorCode": "evse_manager/VendorWarning"}, "OtherError"),
        ("Charging", {"vendorErrorCode": "0x04"}, "Inverter_Fault_0x04"),
        ("Faulted", {}, "OtherError"),
    ],
)
async def test_a_warning_beside_a_status_of_work_stops_no_charge(
    depot: Depot, state: str, vendor: dict[str, str], fault: str
) -> None:
    """EVerest's stations send each error and warning as OtherError, and say by the status what it stops."""
    station, _ = await plugged(depot)
    told = {**status(depot, "1.6", state), "errorCode": "OtherError", **vendor}
    await say(station, "StatusNotification", told)
    seen = depot.board.evse("b1")
    assert seen.fault == fault
    assert (fault_of(seen.fault).stops == "all" or seen.status == "faulted") == (
        state == "Faulted" or "0x04" in vendor.values()
    )
    await station.close()


@pytest.mark.parametrize("word", ["Mode3Error", "N/A", "Normal", "E-017"])
async def test_a_word_that_nobody_knows_beside_a_status_of_work_stops_no_charge(
    depot: Depot, word: str
) -> None:
    """As OtherError beside it does not; where the station says that it is faulted, everything stops."""
    station, _ = await plugged(depot)
    for state, fault in (("Charging", "OtherError"), ("Faulted", word), ("Unavailable", word)):
        await say(station, "StatusNotification", {**status(depot, "1.6", state), "errorCode": word})
        assert depot.board.evse("b1").fault == fault
    await station.close()


@pytest.mark.parametrize("word", ["charging", "CHARGING", "Charging ", "Occupied"])
async def test_a_status_in_other_letters_is_that_status(depot: Depot, word: str) -> None:
    station, _ = await plugged(depot)
    await say(station, "StatusNotification", {**status(depot, "1.6", "Charging"), "status": word})
    assert (depot.board.evse("b1").status, depot.board.evse("b1").fault) == ("occupied", "")
    await station.close()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_transaction_at_an_outlet_that_the_site_file_does_not_name_is_told_once(
    depot: Depot, version: Version
) -> None:
    """A second connector that the site file does not name: no rule counts what flows there."""
    station = await ready(depot, "old" if version == "1.6" else "new", version)
    start = {"connectorId": 2, "idTag": "x", "meterStart": 0, "timestamp": format_wall(depot.clock.wall)}
    for number in range(2):
        if version == "1.6":
            await station.call("StartTransaction", {**start, "meterStart": number})
        else:
            await station.call("TransactionEvent", {**STARTED, "seqNo": number, "evse": {"id": 2}})
    told = [event for event in depot.board.take_news(0.0) if event.kind == "outlet_unknown"]
    assert [(event.severity, event.subject) for event in told] == [("warning", "site")]
    assert "outlet 2 of station" in told[0].text
    await station.close()


async def test_readings_without_a_time_are_told(depot: Depot) -> None:
    """They do not count, and one event says why power and SoC stay unknown."""
    station, number = await plugged(depot)
    link = depot.central.links["old"]
    assert link.connection is not None
    polling = Polling(link.station, link.connection, depot.board, depot.clock)
    sampled = [{"value": "7000", "measurand": "Power.Active.Import", "unit": "W"}]
    for stamp in ("28.11.2026 10:00", "28.11.2026 10:01", format_wall(depot.clock.wall)):
        told = [{"timestamp": stamp, "sampledValue": sampled}]
        payload = {"connectorId": 1, "transactionId": number, "meterValue": told}
        await say(station, "MeterValues", payload)
        for _ in range(2):
            depot.clock.advance(31.0)
            polling._look_at_stamps()
    events = [event for event in depot.board.take_news(0.0) if "no time that can be read" in event.text]
    assert [(event.kind, event.subject) for event in events] == [("station_clock_unknown", "b1")]
    await station.close()


async def test_a_fault_ends_and_the_vehicle_is_still_there(depot: Depot) -> None:
    """Faulted, then what it was before: the transaction goes on; Faulted, then Available: it is over."""
    station, number = await plugged(depot)
    fault = {**status(depot, "1.6", "Faulted"), "errorCode": "GroundFailure"}
    await station.call("StatusNotification", fault)
    assert depot.board.evse("b1").fault == "GroundFailure"
    await station.call("StatusNotification", status(depot, "1.6", "Charging"))
    assert depot.board.evse("b1").fault == ""
    assert vehicle(depot, "b1").session == str(number)
    await station.call("StatusNotification", fault)
    depot.clock.advance(60.0)
    await station.call("StatusNotification", status(depot, "1.6", "Available"))
    assert depot.board.evse("b1").vehicle is None
    await station.close()


@pytest.mark.parametrize("word", ["Reserved", "Unavailable", "SuspendedEV", "SuspendedEVSE", "Charging"])
async def test_no_state_but_free_ends_a_transaction(depot: Depot, word: str) -> None:
    """An operator who takes the outlet out of service sends no vehicle away."""
    station, number = await plugged(depot)
    await station.call("StatusNotification", status(depot, "1.6", word))
    present = depot.board.evse("b1").vehicle
    assert (present is None) is (word == "Reserved"), "reserved is free: its vehicle has gone"
    if present is not None:
        assert present.session == str(number)
    await station.close()


async def test_an_offline_night_is_told_in_the_morning_and_the_present_stays(depot: Depot) -> None:
    """Queued starts and stops with old times, in order; then the vehicle that is there now."""
    station = await ready(depot, "old", "1.6")
    for hours, vehicle_id in ((8.0, "bus-2"), (4.0, "bus-3")):
        at_s = AT_S - hours * 3_600.0
        start = {"connectorId": 1, "idTag": vehicle_id, "meterStart": 0, "timestamp": format_wall(at_s)}
        number = (await station.call("StartTransaction", start))["transactionId"]
        stop = {"transactionId": number, "timestamp": format_wall(at_s + 3_600.0), "meterStop": 9_000}
        await station.call("StopTransaction", stop)
        assert depot.board.evse("b1").vehicle is None
        kept = depot.central._store.session("old", str(number))
        assert kept is not None
        assert (kept.started_wall_s, kept.ended_wall_s, kept.import_wh) == (at_s, at_s + 3_600.0, 9_000.0)
    at = format_wall(AT_S)
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": at}
    await station.call("StartTransaction", start)
    assert vehicle(depot, "b1").vehicle == "bus-1"
    assert depot.central.links["old"].station.clock_skew.known, "old news is no clock that is off"
    await station.close()


async def test_a_boot_while_charging_keeps_what_goes_on(depot: Depot) -> None:
    station, number = await plugged(depot)
    await station.call("BootNotification", BOOT_16)
    await station.call("StatusNotification", status(depot, "1.6", "Charging"))
    await station.call("MeterValues", values(depot, number, 5_000.0))
    assert vehicle(depot, "b1").session == str(number)
    await until(lambda: depot.board.evse("b1").dead_man_ok)
    assert await depot.central.ports["b1"].write_permit(permit("b1", 5_000.0)) == "accepted"
    await station.close()


@pytest.mark.parametrize("spelling", ["bus-1", "BUS-1", " bus-1", "Bus-1 "])
async def test_a_card_is_the_same_with_blanks_and_capitals(depot: Depot, spelling: str) -> None:
    station, _ = await plugged(depot, vehicle=spelling)
    assert vehicle(depot, "b1").vehicle == "bus-1"
    await station.close()


async def test_readings_of_another_connector_are_not_ours(depot: Depot) -> None:
    """A second plug, and the station's own meter (connector 0): neither is the power of outlet 1."""
    station, number = await plugged(depot)
    await station.call("MeterValues", values(depot, number, 5_000.0))
    for connector in (0, 2):
        other = {**values(depot, number, 99_000.0), "connectorId": connector}
        del other["transactionId"]
        await station.call("MeterValues", other)
    assert reading(depot.board.evse("b1").power_w) == 5_000.0
    await station.close()


async def test_needs_as_texts_are_needs(depot: Depot) -> None:
    """2.x, read leniently."""
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    needs = {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {
            "evMaxCurrent": "200", "evMaxVoltage": "800", "stateOfCharge": "42", "evEnergyCapacity": "300000",
            "evMaxPower": "90000",
        },
    }  # fmt: skip
    await say(station, "NotifyEVChargingNeeds", {"evseId": "1", "chargingNeeds": needs})
    found = vehicle(depot)
    assert [reading(each) for each in (found.soc_pct, found.capacity_wh, found.max_charge_w)] == [
        42.0,
        300_000.0,
        90_000.0,
    ]
    await station.close()


async def test_a_sequence_number_in_any_form_is_one(depot: Depot) -> None:
    station = await ready(depot)
    await say(station, "TransactionEvent", {**STARTED, "seqNo": 0.0})
    for seq in ("1", 2.0, None):
        await say(station, "TransactionEvent", {**transaction("Updated", 1), "seqNo": seq})
    kept = depot.central._store.session("new", "t-1")
    assert kept is not None
    assert vehicle(depot).session == "t-1"
    await station.close()


def test_a_transaction_of_which_no_link_carried_the_start_is_still_found() -> None:
    """Our state was lost: a number of ours that meter values name, where nothing is open."""
    depot = Depot()
    station = depot.central.links["old"].station
    station.link_up("1.6")
    station.on_session(SessionEvent("updated", "41", 1, None, told_wall_s=AT_S))
    assert vehicle(depot, "b1").session == "41"
