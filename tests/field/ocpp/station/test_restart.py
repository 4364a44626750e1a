"""The daemon restarts; the stations do not: nothing is lost, nothing is doubled, nobody has to boot."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.depot import small_site
from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Clock, Peer, until
from tests.field.ocpp.test_server import BOOT_2, BOOT_16, STARTED, permit, ready, transaction
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.wire.boot_throttle import BOOTS_MAX, SPREAD_S, WAIT_S, WINDOW_S
from v2g_edge.field.ocpp.wire.events import Refused
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import Listener, StationEvse, StationSettings


async def test_a_restart_without_boot_recovers_sessions_needs_and_the_dead_man(tmp_path: Path) -> None:
    before = Depot(tmp_path)
    await before.central.start()
    station = await ready(before)
    await station.call("TransactionEvent", STARTED)
    dc = {"evMaxCurrent": 1, "evMaxVoltage": 1, "fullSoC": 95, "evEnergyCapacity": 200_000}
    needs = {
        "requestedEnergyTransfer": "DC",
        "departureTime": format_wall(AT_S + 3_600.0),
        "dcChargingParameters": dc,
    }
    await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
    await before.central.stop()
    await station.close()

    after = Depot(tmp_path)
    await after.central.start()
    again = await Peer.dial(after.port, "new", "2.0.1")
    await until(lambda: after.board.evse("b2").vehicle is not None)
    vehicle = after.board.evse("b2").vehicle
    assert vehicle is not None
    assert (vehicle.session, vehicle.vehicle) == ("t-1", "bus-2")
    assert (vehicle.departure_wall_s, vehicle.target_soc_pct) == (
        Reading(AT_S + 3_600.0, 5_000.0),
        Reading(95.0, 5_000.0),
    )
    assert await after.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "accepted"
    await until(lambda: after.board.evse("b2").dead_man_ok)
    await until(lambda: again.got("TriggerMessage"))
    assert after.central.links["new"].station.identity.vendor == "v"
    await again.call("TransactionEvent", transaction("Ended", 5))
    await again.close()
    await after.central.stop()


async def test_in_a_storm_of_boots_the_last_wait_each_a_while_and_are_then_taken(depot: Depot) -> None:
    boots = depot.central.links["new"].station.boot_throttle
    for n in range(BOOTS_MAX):
        assert boots.pending_s(f"s{n}", depot.clock.now) == 0
    waits = {boots.pending_s(f"s{n}", depot.clock.now) for n in range(BOOTS_MAX)}
    assert waits == set(range(WAIT_S, WAIT_S + SPREAD_S))
    station = await Peer.dial(depot.port, "new", "2.0.1")
    answer = await station.call("BootNotification", BOOT_2)
    assert (answer["status"], answer["interval"] in waits) == ("Pending", True)
    depot.clock.advance(WINDOW_S)
    assert (await station.call("BootNotification", BOOT_2))["status"] == "Accepted"
    await until(lambda: depot.board.evse("b2").dead_man_ok)
    await station.close()


def storm(depot: Depot) -> None:
    """So many boots just now that the next one must wait."""
    for n in range(BOOTS_MAX):
        depot.central.links["new"].station.boot_throttle.pending_s(f"s{n}", depot.clock.now)


async def test_while_its_boot_is_pending_a_station_may_say_nothing_but_what_it_is_asked_for(
    depot: Depot,
) -> None:
    storm(depot)
    station = await Peer.dial(depot.port, "new", "2.0.1")
    assert (await station.call("BootNotification", BOOT_2))["status"] == "Pending"
    status = {"timestamp": AT, "evseId": 1, "connectorId": 1, "connectorStatus": "Faulted"}
    refused = await station.call("StatusNotification", status)
    assert isinstance(refused, Refused)
    assert refused.code == "SecurityError"
    assert depot.board.evse("b2").fault == ""
    await depot.central.perform("new", "trigger", {"message": "StatusNotification"})
    assert await station.call("StatusNotification", status) == {}
    assert station.got("SetChargingProfile") == []
    await station.close()


async def test_a_boot_that_is_triggered_before_its_wait_is_over_is_taken_and_everything_is_heard(
    depot: Depot,
) -> None:
    storm(depot)
    station = await Peer.dial(depot.port, "new", "2.0.1")
    assert (await station.call("BootNotification", BOOT_2))["status"] == "Pending"
    depot.clock.advance(WINDOW_S)
    await depot.central.perform("new", "trigger", {"message": "BootNotification"})
    assert station.got("TriggerMessage") == [{"requestedMessage": "BootNotification"}]
    assert (await station.call("BootNotification", {**BOOT_2, "reason": "Triggered"}))["status"] == "Accepted"
    status = {"timestamp": AT, "evseId": 1, "connectorId": 1, "connectorStatus": "Available"}
    assert await station.call("StatusNotification", status) == {}
    await station.close()


@pytest.mark.parametrize(("identity", "version"), [("new", "2.0.1"), ("old", "1.6")])
async def test_a_station_that_does_not_wait_is_heard_at_last(
    depot: Depot, identity: str, version: Version
) -> None:
    """1.6 does not say what a central system answers meanwhile; some stations never boot again."""
    storm(depot)
    station = await Peer.dial(depot.port, identity, version)
    boot = BOOT_2 if version == "2.0.1" else BOOT_16
    assert (await station.call("BootNotification", boot))["status"] == "Pending"
    if version == "2.0.1":
        depot.clock.advance(WAIT_S + SPREAD_S)
    assert (await station.call("Heartbeat", {}))["currentTime"] == format_wall(depot.clock.wall)
    await station.close()


async def test_a_transaction_that_shows_itself_only_by_its_readings_is_picked_up(depot: Depot) -> None:
    new, old = await ready(depot), await ready(depot, "old", "1.6")
    await new.call("TransactionEvent", transaction("Updated", 7, evse={"id": 1, "connectorId": 1}))
    values = [{"timestamp": AT, "sampledValue": [{"value": "1"}]}]
    await old.call("MeterValues", {"connectorId": 1, "transactionId": 4711, "meterValue": values})
    for evse, session in (("b1", "4711"), ("b2", "t-1")):
        vehicle = depot.board.evse(evse).vehicle
        assert vehicle is not None
        assert vehicle.session == session
    await new.close()
    await old.close()


async def test_fifty_stations_are_back_under_control_within_ten_seconds_and_no_transaction_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    fifty = 50

    def system() -> tuple[Board, CentralSystem]:
        site = small_site(fifty)
        board = Board(site, lambda: None)
        stations = [StationSettings(f"s{n}", (StationEvse(f"b{n + 1}"),)) for n in range(fifty)]
        return board, CentralSystem(
            [Listener("127.0.0.1", 0, 0)], stations, site, board, Clock(), state_dir=tmp_path
        )

    def event(n: int, kind: str, seq: int) -> dict[str, Any]:
        payload = transaction(
            kind,
            seq,
            evse={"id": 1, "connectorId": 1},
            idToken={"idToken": f"bus-{n + 1}", "type": "Central"},
        )
        return {**payload, "transactionInfo": {"transactionId": f"t-{n}"}}

    board, central = system()
    await central.start()
    stations = await asyncio.gather(
        *(Peer.dial(central.bound_port(), f"s{n}", "2.0.1") for n in range(fifty))
    )
    await asyncio.gather(
        *(station.call("TransactionEvent", event(n, "Started", 0)) for n, station in enumerate(stations))
    )
    await central.stop()
    await asyncio.gather(*(station.close() for station in stations))

    board, central = system()
    await central.start()
    began = time.monotonic()
    stations = await asyncio.gather(
        *(Peer.dial(central.bound_port(), f"s{n}", "2.0.1") for n in range(fifty))
    )
    await until(lambda: all(board.evse(f"b{n + 1}").dead_man_ok for n in range(fifty)), 10.0)
    results = await asyncio.gather(
        *(central.ports[f"b{n + 1}"].write_permit(permit(f"b{n + 1}", 1_000.0)) for n in range(fifty))
    )
    assert time.monotonic() - began < 10.0
    assert set(results) == {"accepted"}
    sessions = []
    for n in range(fifty):
        vehicle = board.evse(f"b{n + 1}").vehicle
        assert vehicle is not None
        sessions.append(vehicle.session)
    assert sessions == [f"t-{n}" for n in range(fifty)]
    await asyncio.gather(
        *(station.call("TransactionEvent", event(n, "Ended", 1)) for n, station in enumerate(stations))
    )
    assert all(board.evse(f"b{n + 1}").vehicle is None for n in range(fifty))
    await central.stop()
    await asyncio.gather(*(station.close() for station in stations))
