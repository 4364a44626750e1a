"""Two speakers, one truth (rule 15): which fact ends a transaction whose end was lost, and what opens
it again.
"""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_outlet_port import VERSIONS
from tests.field.ocpp.peer import AT_S, Peer, until
from tests.field.ocpp.test_server import BOOT_2, BOOT_16, STARTED, meter, permit, ready, transaction
from v2g_edge.field.ocpp.link import polling
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall


def status(depot: Depot, version: Version, word: str) -> dict[str, Any]:
    """A StatusNotification of now; 2.x knows of Preparing, Charging and Finishing only that it is
    occupied.
    """
    at = format_wall(depot.clock.wall)
    if version == "1.6":
        return {"connectorId": 1, "errorCode": "NoError", "status": word, "timestamp": at}
    known = word if word in ("Available", "Faulted", "Unavailable") else "Occupied"
    return {"evseId": 1, "connectorId": 1, "connectorStatus": known, "timestamp": at}


async def plugged(depot: Depot, identity: str = "old", *, vehicle: str = "bus-1") -> tuple[Peer, int]:
    """A booted 1.6 station with a transaction, and its number."""
    station = await ready(depot, identity, "1.6")
    return station, await start(depot, station, vehicle)


async def start(depot: Depot, station: Peer, vehicle: str = "bus-1") -> int:
    at = format_wall(depot.clock.wall)
    start = {"connectorId": 1, "idTag": vehicle, "meterStart": 0, "timestamp": at}
    number: int = (await station.call("StartTransaction", start))["transactionId"]
    depot.clock.advance(5.0)
    return number


def values(depot: Depot, number: int, power_w: float) -> dict[str, Any]:
    sampled = [{"value": str(power_w), "measurand": "Power.Active.Import", "unit": "W"}]
    meter_value = [{"timestamp": format_wall(depot.clock.wall), "sampledValue": sampled}]
    return {"connectorId": 1, "transactionId": number, "meterValue": meter_value}


@pytest.mark.parametrize("wrong", [-1, 0, 987_654, 10**12])
async def test_a7_ghost(depot: Depot, wrong: int) -> None:
    """An end under a wrong number is acknowledged; what says that the vehicle has gone is the outlet's own
    status.
    """
    station, _ = await plugged(depot)
    stop = {"transactionId": wrong, "timestamp": format_wall(depot.clock.wall), "meterStop": 849}
    assert await station.call("StopTransaction", stop) == {}
    assert depot.board.evse("b1").vehicle is not None
    await station.call("StatusNotification", status(depot, "1.6", "Finishing"))
    assert depot.board.evse("b1").vehicle is None
    await station.call("StatusNotification", status(depot, "1.6", "Available"))
    assert depot.central._store.open_sessions("old") == []
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a7_an_outlet_that_is_free_has_no_vehicle(depot: Depot, version: Version) -> None:
    """Also where nothing but the status tells it, in every version."""
    identity, evse = {"1.6": ("old", "b1"), "2.0.1": ("new", "b2"), "2.1": ("newest", "b3")}[version]
    station = await ready(depot, identity, version)
    if version == "1.6":
        await start(depot, station)
    else:
        await station.call("TransactionEvent", STARTED)
    await station.call("StatusNotification", status(depot, version, "Charging"))
    assert depot.board.evse(evse).vehicle is not None
    depot.clock.advance(60.0)
    await station.call("StatusNotification", status(depot, version, "Available"))
    assert depot.board.evse(evse).vehicle is None
    await station.close()


async def test_a7_while_power_flows_the_meter_is_believed(depot: Depot) -> None:
    station, number = await plugged(depot)
    await station.call("MeterValues", values(depot, number, 7_000.0))
    await station.call("StatusNotification", status(depot, "1.6", "Available"))
    assert depot.board.evse("b1").vehicle is not None
    depot.clock.advance(5.0)
    await station.call("MeterValues", values(depot, number, 0.0))
    depot.central.links["old"].station.settle(depot.central.links["old"].station.outlets[1])
    assert depot.board.evse("b1").vehicle is None
    await station.close()


async def test_a7_a_status_from_before_the_transaction_ends_nothing(depot: Depot) -> None:
    station = await ready(depot, "old", "1.6")
    before = status(depot, "1.6", "Available")
    depot.clock.advance(10.0)
    await start(depot, station)
    await station.call("StatusNotification", before)
    assert depot.board.evse("b1").vehicle is not None
    await station.close()


async def test_a7_what_was_taken_for_over_goes_on_when_it_is_told_of_again_and_gets_its_true_end(
    depot: Depot,
) -> None:
    station, number = await plugged(depot)
    await station.call("StatusNotification", status(depot, "1.6", "Available"))
    assert depot.board.evse("b1").vehicle is None
    depot.clock.advance(5.0)
    await station.call("MeterValues", values(depot, number, 7_000.0))
    vehicle = depot.board.evse("b1").vehicle
    assert vehicle is not None
    assert (vehicle.session, vehicle.vehicle) == (str(number), "bus-1")
    await station.call("StatusNotification", status(depot, "1.6", "Finishing"))
    ended = depot.clock.wall + 30.0
    stop = {"transactionId": number, "timestamp": format_wall(ended), "meterStop": 849}
    await station.call("StopTransaction", stop)
    session = depot.central._store.session("old", str(number))
    assert session is not None
    assert (session.ended_wall_s, session.presumed) == (ended, False)
    await station.close()


async def test_d20_the_register_at_the_stop_counts(depot: Depot) -> None:
    station, number = await plugged(depot)
    sampled = [{"value": "292", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}]
    told = {"timestamp": format_wall(depot.clock.wall), "sampledValue": sampled}
    await station.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [told]})
    stop = {"transactionId": number, "timestamp": format_wall(depot.clock.wall), "meterStop": 849}
    await station.call("StopTransaction", stop)
    session = depot.central._store.session("old", str(number))
    assert session is not None
    assert session.import_wh == 849.0
    await station.close()


async def test_d20_the_register_at_the_end_counts_in_2(depot: Depot) -> None:
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    at = format_wall(depot.clock.wall)
    also = [{"value": 849.0, "measurand": "Energy.Active.Import.Register"}]
    await station.call("TransactionEvent", transaction("Ended", 1, at, meterValue=meter(0.0, at, also=also)))
    session = depot.central._store.session("new", "t-1")
    assert session is not None
    assert session.import_wh == 849.0
    await station.close()


@pytest.mark.parametrize("word", ["Preparing", "Available", "Finishing"])
async def test_a8_reboot_into_preparing(depot: Depot, word: str) -> None:
    station, _ = await plugged(depot)
    await station.call("StatusNotification", status(depot, "1.6", "Charging"))
    await station.call("BootNotification", BOOT_16)
    assert depot.board.evse("b1").vehicle is not None, (
        "a boot alone ends nothing: some take their transactions up again"
    )
    await station.call("StatusNotification", status(depot, "1.6", word))
    assert depot.board.evse("b1").vehicle is None
    await station.close()


async def test_a8_a_station_that_takes_its_transaction_up_again_keeps_it(depot: Depot) -> None:
    station, number = await plugged(depot)
    await station.call("BootNotification", BOOT_16)
    await station.call("MeterValues", values(depot, number, 0.0))
    await station.call("StatusNotification", status(depot, "1.6", "Preparing"))
    assert depot.board.evse("b1").vehicle is not None
    await station.close()


async def test_a8_the_vehicle_is_started_anew() -> None:
    depot = Depot(of_stations={"remote_start": True})
    await depot.central.start()
    station, _ = await plugged(depot)
    await station.call("BootNotification", BOOT_16)
    await station.call("StatusNotification", status(depot, "1.6", "Preparing"))
    await until(lambda: station.got("RemoteStartTransaction"))
    await station.close()
    await depot.central.stop()


async def test_a8_after_a_restart_of_the_daemon_too(tmp_path: Any) -> None:
    """The session on disk is older than what the station says now."""
    before = Depot(tmp_path, of_stations={"remote_start": True})
    await before.central.start()
    station, _ = await plugged(before)
    await before.central.stop()
    await station.close()
    after = Depot(tmp_path, of_stations={"remote_start": True})
    await after.central.start()
    again = await Peer.dial(after.port, "old", "1.6")
    await until(lambda: after.board.evse("b1").vehicle is not None)
    after.clock.advance(600.0)
    await again.call("StatusNotification", status(after, "1.6", "Preparing"))
    assert after.board.evse("b1").vehicle is None
    await until(lambda: again.got("RemoteStartTransaction"))
    await again.close()
    await after.central.stop()


async def test_a19_one_vehicle_two_places(depot: Depot) -> None:
    """The later start ends the earlier one; where power still flows, somebody without a name is there."""
    first, number = await plugged(depot)
    second = await ready(depot)
    depot.clock.advance(60.0)
    token = {"idToken": {"idToken": "BUS-1", "type": "Central"}, "timestamp": format_wall(depot.clock.wall)}
    await second.call("TransactionEvent", STARTED | token)
    assert depot.board.evse("b1").vehicle is None
    moved = depot.board.evse("b2").vehicle
    assert moved is not None
    assert moved.vehicle == "bus-1"
    depot.clock.advance(5.0)
    await first.call("MeterValues", values(depot, number, 7_000.0))
    back = depot.board.evse("b1").vehicle
    assert back is not None
    assert back.vehicle == "", "it goes on, and is not the bus that stands elsewhere"
    assert depot.board.evse("b2").vehicle == moved
    await first.close()
    await second.close()


@pytest.mark.parametrize("ahead_s", [7_200.0, -7_200.0])
async def test_a19_the_later_start_is_the_later_one_by_our_clock(depot: Depot, ahead_s: float) -> None:
    """Two stations have two clocks, and one of them may be hours off."""
    first = await ready(depot, "old", "1.6")
    skew = depot.central.links["old"].station.clock_skew
    skew.offset_s, skew.known = ahead_s, True
    at = format_wall(depot.clock.wall + ahead_s)
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": at}
    await first.call("StartTransaction", start)
    depot.clock.advance(60.0)
    second = await ready(depot)
    token = {"idToken": {"idToken": "BUS-1", "type": "Central"}, "timestamp": format_wall(depot.clock.wall)}
    await second.call("TransactionEvent", STARTED | token)
    assert depot.board.evse("b1").vehicle is None
    moved = depot.board.evse("b2").vehicle
    assert moved is not None
    assert moved.vehicle == "bus-1"
    await first.close()
    await second.close()


async def test_a19_where_power_flows_only_the_name_is_wrong(depot: Depot) -> None:
    first, number = await plugged(depot)
    await first.call("MeterValues", values(depot, number, 7_000.0))
    second = await ready(depot)
    token = {"idToken": {"idToken": "bus-1", "type": "Central"}, "timestamp": format_wall(depot.clock.wall)}
    await second.call("TransactionEvent", STARTED | token)
    stays = depot.board.evse("b1").vehicle
    assert stays is not None
    assert stays.vehicle == ""
    await first.close()
    await second.close()


async def test_a19_a_card_of_no_vehicle_may_be_at_many_outlets(depot: Depot) -> None:
    first, _ = await plugged(depot, vehicle="depot")
    second = await ready(depot)
    token = {"idToken": {"idToken": "depot", "type": "Central"}}
    await second.call("TransactionEvent", STARTED | token)
    assert depot.board.evse("b1").vehicle is not None
    await first.close()
    await second.close()


async def test_a20_edge_not_state() -> None:
    """A vehicle that waits is asked for again and again, more and more rarely, and the third time is told."""
    depot = Depot(of_stations={"remote_start": True, "remote_start_token": "CARD-7"})
    await depot.central.start()
    station, number = await plugged(depot)
    station.scripts["RemoteStartTransaction"] = lambda _: {"status": "Rejected"}
    stop = {"transactionId": number, "timestamp": format_wall(depot.clock.wall), "meterStop": 1}
    await station.call("StopTransaction", stop)
    await station.call("StatusNotification", status(depot, "1.6", "Preparing"))
    await until(lambda: station.got("RemoteStartTransaction"))
    connection = depot.central.links["old"].connection
    assert connection is not None
    attending = polling.Polling(depot.central.links["old"].station, connection, depot.board, depot.clock)
    asked = []
    for second in range(600):
        before = len(station.got("RemoteStartTransaction"))
        await attending.look()
        await station.call("Heartbeat", {})
        if len(station.got("RemoteStartTransaction")) > before:
            asked.append(second)
        depot.clock.advance(1.0)
    assert asked == [10, 40, 100, 220, 520]
    assert {each["idTag"] for each in station.got("RemoteStartTransaction")} == {"CARD-7"}
    news = depot.board.take_news(AT_S)
    assert [(event.kind, event.subject, event.severity) for event in news] == [
        ("remote_start_failed", "b1", "alarm")
    ]
    assert "Rejected" in news[0].text
    assert "remote_start_token" in news[0].text
    await station.close()
    await depot.central.stop()


async def test_a20_a_vehicle_that_has_been_charged_is_not_started_again_by_itself() -> None:
    depot = Depot(of_stations={"remote_start": True})
    await depot.central.start()
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    await station.call("StatusNotification", status(depot, "2.0.1", "Charging"))
    await station.call("TransactionEvent", transaction("Ended", 1))
    assert depot.central.links["new"].station.waiting() == []
    await station.call("StatusNotification", status(depot, "2.0.1", "Charging"))
    assert depot.central.links["new"].station.outlets[1].start.asked == 1
    await station.close()
    await depot.central.stop()


@pytest.mark.parametrize("ongoing", [False, True])
async def test_d27_definite_answer(depot: Depot, ongoing: bool) -> None:
    """No other shapes for this reason: the station is asked, and believed."""
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    info = {"reasonCode": "TxNotFound"}
    station.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected", "statusInfo": info}
    station.scripts["GetTransactionStatus"] = lambda _: {
        "ongoingIndicator": ongoing,
        "messagesInQueue": False,
    }
    before = len(station.got("SetChargingProfile"))
    assert await port.write_permit(permit("b2", 9_000.0)) == "rejected"
    assert len(station.got("SetChargingProfile")) == before + 1
    assert station.got("ClearChargingProfile") == []
    await until(lambda: station.got("GetTransactionStatus"))
    assert station.got("GetTransactionStatus") == [{"transactionId": "t-1"}]
    await station.call("Heartbeat", {})
    await until(lambda: depot.board.evse("b2").vehicle is None or ongoing)
    assert (depot.board.evse("b2").vehicle is not None) == ongoing
    await station.close()


async def test_d27_a_station_that_cannot_be_asked_is_believed_the_second_time(depot: Depot) -> None:
    station, port = await ready(depot), depot.central.ports["b2"]
    await station.call("TransactionEvent", STARTED)
    words = "TxProfileEvseHasNoActiveTransaction"
    station.scripts["SetChargingProfile"] = lambda _: {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "x", "additionalInfo": words},
    }
    for asked in (1, 2):
        assert depot.board.evse("b2").vehicle is not None
        await port.write_permit(permit("b2", 9_000.0))
        await until(lambda: len(station.got("GetTransactionStatus")) == asked)  # noqa: B023 - awaited at once
        await station.call("Heartbeat", {})
    await until(lambda: depot.board.evse("b2").vehicle is None)
    await station.close()


async def test_d27_a_boot_without_its_transaction_is_asked_about(depot: Depot) -> None:
    """2.x says of a vehicle that is still plugged in no more than that the outlet is occupied."""
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    station.scripts["GetTransactionStatus"] = lambda _: {"ongoingIndicator": False, "messagesInQueue": False}
    await station.call("BootNotification", BOOT_2)
    await station.call("StatusNotification", status(depot, "2.0.1", "Charging"))
    await until(lambda: depot.board.evse("b2").vehicle is None)
    await station.close()
