"""What stations that nobody here wrote may send, by the specification or beside it: each surprise that was found once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Peer
from tests.field.ocpp.test_server import STARTED, permit, ready, transaction, vehicle
from v2g_edge.field.ocpp.when import format_wall
from v2g_edge.model.reading import Reading


def status(evse: int, connector: int, what: str) -> dict[str, Any]:
    return {"timestamp": AT, "evseId": evse, "connectorId": connector, "connectorStatus": what}


def status_16(connector: int, what: str, error: str = "NoError") -> dict[str, Any]:
    return {"connectorId": connector, "errorCode": error, "status": what}


async def say(station: Peer, action: str, payload: dict[str, Any]) -> None:
    """A call that our own machine would not let out; it is answered when this returns."""
    await station.ws.send(msgspec.json.encode([2, "odd", action, payload]), text=True)
    await station.call("Heartbeat", {})


async def test_the_other_connector_of_an_evse_says_nothing_about_ours(depot: Depot) -> None:
    """Two plugs at one EVSE are both reported; the free one would stop the session at the other (ev_connection_lost)."""
    station = await ready(depot)
    await station.call("StatusNotification", status(1, 1, "Occupied"))
    await station.call("StatusNotification", status(1, 2, "Available"))
    assert depot.board.evse("b2").status == "occupied"
    await station.call("StatusNotification", status(1, 1, "Faulted"))
    await station.call("StatusNotification", status(1, 2, "Available"))
    assert (depot.board.evse("b2").status, depot.board.evse("b2").fault) == ("faulted", "Faulted")
    await station.close()


async def test_a_fault_of_the_whole_station_ends_when_it_says_so_and_the_outlets_are_what_they_were(depot: Depot) -> None:
    """1.6: connectors that were well all along do not report again when connector 0 has recovered."""
    station = await ready(depot, "old", "1.6")
    await station.call("StatusNotification", status_16(1, "Charging"))
    await station.call("StatusNotification", status_16(0, "Faulted", "GroundFailure"))
    assert (depot.board.evse("b1").status, depot.board.evse("b1").fault) == ("faulted", "GroundFailure")
    await station.call("StatusNotification", status_16(0, "Available"))
    assert (depot.board.evse("b1").status, depot.board.evse("b1").fault) == ("occupied", "")
    await station.close()


async def test_a_transaction_whose_id_no_profile_can_name_keeps_its_default_and_the_writer_lives(depot: Depot) -> None:
    """36 characters by the schema; a station that is read leniently may give more, and our own schema check then raised."""
    station = await ready(depot)
    event = {**STARTED, "transactionInfo": {"transactionId": "x" * 40}}
    await say(station, "TransactionEvent", event)
    assert depot.board.evse("b2").vehicle is not None
    assert await depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "rejected"
    await station.close()


async def test_after_a_lost_stop_a_restart_finds_the_transaction_that_runs_and_not_the_one_before(tmp_path: Path) -> None:
    """A 1.6 station drops a StopTransaction after some tries; the next start at that connector tells that it ended."""
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot, "old", "1.6")
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
    lost = await station.call("StartTransaction", start)
    runs = await station.call("StartTransaction", {**start, "idTag": "bus-2", "timestamp": format_wall(AT_S + 3_600.0)})
    await depot.central.stop()
    await station.close()
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot, "old", "1.6")
    found = vehicle(depot, "b1")
    assert (found.session, found.vehicle) == (str(runs["transactionId"]), "bus-2")
    stop = {"transactionId": lost["transactionId"], "meterStop": 5, "timestamp": AT}
    assert await station.call("StopTransaction", stop) == {}
    assert depot.board.evse("b1").vehicle is not None
    await station.close()
    await depot.central.stop()


async def test_a_start_that_was_queued_without_a_link_does_not_replace_the_vehicle_that_is_there(depot: Depot) -> None:
    """2.x queues events while it is offline and may send the present ones first."""
    station = await ready(depot)
    await station.call("TransactionEvent", {**STARTED, "timestamp": format_wall(AT_S)})
    old = {"transactionInfo": {"transactionId": "t-0"}, "timestamp": format_wall(AT_S - 7_200.0), "offline": True}
    await station.call("TransactionEvent", {**STARTED, **old})
    assert vehicle(depot).session == "t-1"
    await station.call("TransactionEvent", {**STARTED, **old, "eventType": "Ended", "seqNo": 1})
    assert depot.board.evse("b2").vehicle is not None
    await station.close()


@pytest.mark.parametrize(
    ("stamp", "age_s"),
    [
        ("2026-03-01T12:00:00z", 0.0),
        ("2026-03-01t12:00:00.000Z", 0.0),
        ("2026-03-01T12:00:00.023456789Z", 0.0),
        ("2026-03-01T11:59:50+00:00", 10.0),
        ("2026-03-01T13:59:50+02:00", 10.0),
        ("2026-03-01T12:00:00", 0.0),
        ("2026-03-01 12:00:00", 0.0),
    ],
)
async def test_a_time_is_read_in_every_form_that_stations_write_it(depot: Depot, stamp: str, age_s: float) -> None:
    """RFC 3339 lets T and Z be small; stations write microseconds, offsets, a space, and no zone at all."""
    station = await ready(depot, "old", "1.6")
    sampled = [{"value": "7", "measurand": "Power.Active.Import"}]
    await say(station, "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": sampled}]})
    power = depot.board.evse("b1").power_w
    assert isinstance(power, Reading)
    assert power.value == 7.0
    assert power.at_s == pytest.approx(depot.clock.now - age_s, abs=0.2)
    await station.close()


async def test_a_card_has_no_case_and_a_stop_with_another_card_does_not_change_the_vehicle(depot: Depot) -> None:
    """1.6 CiString20Type, 2.x IdTokenType: readers write a card in capitals or not. A colleague's card may end a session."""
    station = await ready(depot)
    await station.call("TransactionEvent", {**STARTED, "idToken": {"idToken": "BUS-2", "type": "ISO14443"}})
    assert vehicle(depot).vehicle == "bus-2"
    stops = transaction("Updated", 1, idToken={"idToken": "bus-1", "type": "ISO14443"}, triggerReason="StopAuthorized")
    await station.call("TransactionEvent", stops)
    assert vehicle(depot).vehicle == "bus-2"
    await station.close()
