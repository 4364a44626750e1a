"""What stations that nobody here wrote may send, by the specification or beside it: each surprise that was
found once.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, Peer, until
from tests.field.ocpp.samples import sample
from tests.field.ocpp.test_server import BOOT_2, STARTED, permit, ready, transaction, vehicle
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.trust.tokens import Token, Tokens
from v2g_edge.field.ocpp.wire.events import Refused
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.settings import StationEvse, StationSettings


def status(evse: int, connector: int, what: str) -> dict[str, Any]:
    return {"timestamp": AT, "evseId": evse, "connectorId": connector, "connectorStatus": what}


def status_16(connector: int, what: str, error: str = "NoError") -> dict[str, Any]:
    return {"connectorId": connector, "errorCode": error, "status": what}


async def say(station: Peer, action: str, payload: dict[str, Any]) -> None:
    """A call that our own machine would not let out; it is answered when this returns."""
    await station.ws.send(msgspec.json.encode([2, "odd", action, payload]), text=True)
    await station.call("Heartbeat", {})


async def test_the_other_connector_of_an_evse_says_nothing_about_ours(depot: Depot) -> None:
    """Two plugs at one EVSE are both reported; the free one would stop the session at the other
    (ev_connection_lost).
    """
    station = await ready(depot)
    await station.call("StatusNotification", status(1, 1, "Occupied"))
    await station.call("StatusNotification", status(1, 2, "Available"))
    assert depot.board.evse("b2").status == "occupied"
    await station.call("StatusNotification", status(1, 1, "Faulted"))
    await station.call("StatusNotification", status(1, 2, "Available"))
    assert (depot.board.evse("b2").status, depot.board.evse("b2").fault) == ("faulted", "Faulted")
    await station.close()


async def test_a_fault_of_the_whole_station_ends_when_it_says_so_and_the_outlets_are_what_they_were(
    depot: Depot,
) -> None:
    """1.6: connectors that were well all along do not report again when connector 0 has recovered."""
    station = await ready(depot, "old", "1.6")
    await station.call("StatusNotification", status_16(1, "Charging"))
    await station.call("StatusNotification", status_16(0, "Faulted", "GroundFailure"))
    assert (depot.board.evse("b1").status, depot.board.evse("b1").fault) == ("faulted", "GroundFailure")
    await station.call("StatusNotification", status_16(0, "Available"))
    assert (depot.board.evse("b1").status, depot.board.evse("b1").fault) == ("occupied", "")
    await station.close()


async def test_a_transaction_whose_id_no_profile_can_name_keeps_its_default_and_the_writer_lives(
    depot: Depot,
) -> None:
    """36 characters by the schema; a station that is read leniently may give more, and our own schema
    check then raised.
    """
    station = await ready(depot)
    event = {**STARTED, "transactionInfo": {"transactionId": "x" * 40}}
    await say(station, "TransactionEvent", event)
    assert depot.board.evse("b2").vehicle is not None
    assert await depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "rejected"
    await station.close()


async def test_after_a_lost_stop_a_restart_finds_the_transaction_that_runs_and_not_the_one_before(
    tmp_path: Path,
) -> None:
    """A 1.6 station drops a StopTransaction after some tries; the next start at that connector tells that
    it ended.
    """
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await ready(depot, "old", "1.6")
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
    lost = await station.call("StartTransaction", start)
    runs = await station.call(
        "StartTransaction", {**start, "idTag": "bus-2", "timestamp": format_wall(AT_S + 3_600.0)}
    )
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


async def test_a_start_that_was_queued_without_a_link_does_not_replace_the_vehicle_that_is_there(
    depot: Depot,
) -> None:
    """2.x queues events while it is offline and may send the present ones first."""
    station = await ready(depot)
    await station.call("TransactionEvent", {**STARTED, "timestamp": format_wall(AT_S)})
    old = {
        "transactionInfo": {"transactionId": "t-0"},
        "timestamp": format_wall(AT_S - 7_200.0),
        "offline": True,
    }
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
async def test_a_time_is_read_in_every_form_that_stations_write_it(
    depot: Depot, stamp: str, age_s: float
) -> None:
    """RFC 3339 lets T and Z be small; stations write microseconds, offsets, a space, and no zone at all."""
    station = await ready(depot, "old", "1.6")
    sampled = [{"value": "7", "measurand": "Power.Active.Import"}]
    await say(
        station,
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": sampled}]},
    )
    power = depot.board.evse("b1").power_w
    assert isinstance(power, Reading)
    assert power.value == 7.0
    assert power.at_s == pytest.approx(depot.clock.now - age_s, abs=0.2)
    await station.close()


async def test_a_card_has_no_case_and_a_stop_with_another_card_does_not_change_the_vehicle(
    depot: Depot,
) -> None:
    """1.6 CiString20Type, 2.x IdTokenType: readers write a card in capitals or not. A colleague's card may
    end a session.
    """
    station = await ready(depot)
    await station.call("TransactionEvent", {**STARTED, "idToken": {"idToken": "BUS-2", "type": "ISO14443"}})
    assert vehicle(depot).vehicle == "bus-2"
    stops = transaction(
        "Updated", 1, idToken={"idToken": "bus-1", "type": "ISO14443"}, triggerReason="StopAuthorized"
    )
    await station.call("TransactionEvent", stops)
    assert vehicle(depot).vehicle == "bus-2"
    await station.close()


@pytest.mark.parametrize(
    ("path", "offered", "chosen"),
    [
        ("/old", ["ocpp1.6"], "ocpp1.6"),
        ("/ocpp/v16/old/", ["ocpp1.6"], "ocpp1.6"),
        ("//old?token=x", ["ocpp1.6"], "ocpp1.6"),
        ("/%6fld", ["ocpp1.6"], "ocpp1.6"),
        ("/new", ["ocpp0.1", "ocpp2.0.1"], "ocpp2.0.1"),
        ("/old", ["ocpp0.1", "ocpp1.6"], "ocpp1.6"),
        ("/newest", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"], "ocpp2.1"),
        ("/new", ["ocpp0.1"], 400),
        ("/new", ["OCPP2.0.1"], 400),
        ("/new", None, 400),
        ("/New", ["ocpp2.0.1"], 404),
        ("/", ["ocpp2.0.1"], 404),
        ("/new%2F", ["ocpp2.0.1"], 404),
        ("/%ff", ["ocpp2.0.1"], 404),
    ],
)
async def test_who_is_let_in_and_what_is_spoken(
    depot: Depot, path: str, offered: list[str] | None, chosen: str | int
) -> None:
    """The newest version that both know. Without one there is no upgrade: the compliance tool wants 400
    where 1.6-J 3.2 had a handshake that is closed at once.
    """
    subprotocols = [Subprotocol(name) for name in offered] if offered else None
    try:
        async with connect(f"ws://localhost:{depot.port}{path}", subprotocols=subprotocols) as ws:
            found: str | int | None = ws.subprotocol
    except InvalidStatus as refusal:
        found = refusal.response.status_code
    assert found == chosen


async def test_a_name_with_signs_that_a_url_must_escape_finds_its_station(tmp_path: Path) -> None:
    """RDAM|123 is the example of 1.6-J 3.1.1; clients escape it or not."""
    depot = Depot()
    depot.central = CentralSystem(
        (depot.listener,),
        (StationSettings("RDAM|123", (StationEvse("b1"),)),),
        depot.site,
        depot.board,
        depot.clock,
        state_dir=tmp_path,
    )
    await depot.central.start()
    for path in ("RDAM%7C123", "RDAM|123", "RDAM%7c123/"):
        async with connect(
            f"ws://localhost:{depot.port}/{path}", subprotocols=[Subprotocol("ocpp1.6")]
        ) as ws:
            assert ws.subprotocol == "ocpp1.6"
    await depot.central.stop()


async def test_a_station_without_smart_charging_is_asked_once_and_has_no_dead_man(depot: Depot) -> None:
    """CALLERROR NotSupported to a profile (TC_K_15): no other shape mends that."""
    station = await Peer.dial(depot.port, "new", "2.0.1")
    station.scripts["SetChargingProfile"] = lambda _: {
        "no": "answer"
    }  # our station's machine makes it NotSupported
    await station.call("BootNotification", BOOT_2)
    await until(lambda: station.got("ClearChargingProfile"))
    await station.call("TransactionEvent", STARTED)
    before = len(station.got("SetChargingProfile"))
    assert await depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "rejected"
    profiles = [payload["chargingProfile"] for payload in station.got("SetChargingProfile")[before:]]
    assert 1 <= sum(profile["chargingProfilePurpose"] == "TxProfile" for profile in profiles) <= 2
    assert depot.board.evse("b2").dead_man_ok is False
    await station.close()


async def test_a_profile_that_is_refused_is_cleared_by_its_purpose_even_where_there_was_none(
    depot: Depot,
) -> None:
    """ClearChargingProfile by criteria, answered Unknown (TC_K_06, TC_K_08)."""
    station = await ready(depot)
    answers = ["Rejected", "Accepted"]
    station.scripts["SetChargingProfile"] = lambda _: {"status": answers.pop(0)}
    station.scripts["ClearChargingProfile"] = lambda _: {"status": "Unknown"}
    await station.call("TransactionEvent", STARTED)
    assert await depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "accepted"
    assert station.got("ClearChargingProfile") == [
        {"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxProfile"}}
    ]
    await station.close()


@pytest.mark.parametrize("action", ["BatterySwap", "NotifySettlement", "NotifyWebPaymentStarted",
                                    "VatNumberValidation"])  # fmt: skip
async def test_what_a_depot_has_no_use_for_is_answered_not_supported(depot: Depot, action: str) -> None:
    """2.1: payments, tax numbers, battery swaps. No answer at all would hold up the station for its
    time-out.
    """
    station = await ready(depot, "newest", "2.1")
    refused = await station.call(action, sample("2.1", action, "request"))
    assert isinstance(refused, Refused)
    assert refused.code == "NotSupported"
    await station.close()


class TooLong(Tokens):
    def find(self, identifier: str, wall_s: float) -> Token:
        return Token(group="x" * 30)


async def test_an_answer_of_ours_that_no_schema_allows_becomes_an_error_and_not_silence(depot: Depot) -> None:
    """What is echoed to a station that is read leniently may be as odd as what it sent; here a group is
    too long for 1.6.
    """
    station = await ready(depot, "old", "1.6")
    depot.central.links["old"].station.tokens = TooLong(None)
    refused = await station.call("Authorize", {"idTag": "bus-1"})
    assert isinstance(refused, Refused)
    assert refused.code == "FormationViolation"
    assert "currentTime" in await station.call("Heartbeat", {})
    await station.close()


async def test_texts_for_currents_and_volts_are_no_needs(depot: Depot) -> None:
    """A text times a number is a long text: 300 letters times a hundred million would have been 30 GB."""
    station = await ready(depot)
    ac = {"energyAmount": 1, "evMinCurrent": 6, "evMaxCurrent": "x" * 300, "evMaxVoltage": 100_000_000}
    needs = {"requestedEnergyTransfer": "AC_three_phase", "acChargingParameters": ac}
    await say(station, "NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
    await station.call("TransactionEvent", STARTED)
    assert vehicle(depot).max_charge_w == NO_SAMPLE
    await station.close()


async def test_a_number_that_a_station_still_has_from_before_the_state_was_lost_is_not_given_again(
    depot: Depot,
) -> None:
    """1.6: we count from 1 again, and the station goes on with its transaction 1; a second 1 would be
    taken for the first.
    """
    station = await ready(depot, "old", "1.6")
    values = [{"timestamp": AT, "sampledValue": [{"value": "1"}]}]
    await station.call("MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": values})
    assert vehicle(depot, "b1").session == "1"
    assert await station.call("StopTransaction", {"transactionId": 1, "meterStop": 2, "timestamp": AT}) == {}
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 2, "timestamp": AT}
    begun = await station.call("StartTransaction", start)
    assert begun["transactionId"] != 1
    assert vehicle(depot, "b1").session == str(begun["transactionId"])
    await station.close()


async def test_a_2_1_station_reports_itself_its_evse_and_its_connectors_as_components(depot: Depot) -> None:
    """AvailabilityState of ChargingStation, EVSE or Connector in NotifyEvent, in place of
    StatusNotification.
    """
    station = await ready(depot, "newest", "2.1")

    async def notify(name: str, value: str, **where: int) -> tuple[str, str]:
        datum = {
            "eventId": 1, "timestamp": AT, "trigger": "Delta", "actualValue": value,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": name} | ({"evse": where} if where else {}),
            "variable": {"name": "AvailabilityState"},
        }  # fmt: skip
        assert await station.call("NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": [datum]}) == {}
        state = depot.board.evse("b3")
        return state.status, state.fault

    assert await notify("Connector", "Occupied", id=1, connectorId=1) == ("occupied", "")
    assert await notify("Connector", "Faulted", id=1, connectorId=2) == ("occupied", "")
    assert await notify("ChargingStation", "Faulted") == ("faulted", "Faulted")
    assert await notify("ChargingStation", "Available") == ("occupied", "")
    assert await notify("EVSE", "Unavailable", id=1) == ("unavailable", "")
    assert await notify("Controller", "Faulted") == ("unavailable", "")
    await station.close()


async def test_a_card_before_the_cable_names_the_vehicle_though_its_evse_is_not_known_yet(
    tmp_path: Path,
) -> None:
    """2.x may start a transaction by a card alone (TxStartPoint Authorized); where it stands is told when
    the cable is in.
    """

    async def two_outlets() -> Depot:
        depot = Depot()
        wires = (StationEvse("b1", 1), StationEvse("b2", 2))
        depot.central = CentralSystem(
            (depot.listener,),
            (StationSettings("new", wires),),
            depot.site,
            depot.board,
            depot.clock,
            state_dir=tmp_path,
        )
        await depot.central.start()
        return depot

    depot = await two_outlets()
    station = await Peer.dial(depot.port, "new", "2.0.1")
    card = transaction(
        "Started", idToken={"idToken": "bus-2", "type": "ISO14443"}, triggerReason="Authorized"
    )
    assert (await station.call("TransactionEvent", card))["idTokenInfo"]["status"] == "Accepted"
    assert [depot.board.evse(evse).vehicle for evse in ("b1", "b2")] == [None, None]
    await depot.central.stop()
    await station.close()
    depot = await two_outlets()
    station = await Peer.dial(depot.port, "new", "2.0.1")
    assert (
        await station.call("TransactionEvent", transaction("Updated", 1, evse={"id": 2, "connectorId": 1}))
        == {}
    )
    found = vehicle(depot)
    assert (found.session, found.vehicle, found.plugged_wall_s) == ("t-1", "bus-2", AT_S)
    assert depot.board.evse("b1").vehicle is None
    timed_out = transaction("Started", idToken={"idToken": "bus-1", "type": "ISO14443"})
    timed_out["transactionInfo"] = {"transactionId": "t-2"}
    await station.call("TransactionEvent", timed_out)
    await station.call("TransactionEvent", {**timed_out, "eventType": "Ended", "seqNo": 1})
    await station.call(
        "TransactionEvent", {**timed_out, "eventType": "Updated", "seqNo": 2, "evse": {"id": 1}}
    )
    assert depot.board.evse("b1").vehicle is None
    await station.close()
    await depot.central.stop()


async def test_a_vehicle_that_was_unplugged_within_its_transaction_stays_gone_until_a_state_says_otherwise(
    depot: Depot,
) -> None:
    """2.x leaves ``chargingState`` out while it does not change: a meter value after Idle is no vehicle."""

    async def told(seq: int, state: str) -> bool:
        event = transaction("Updated", seq, evse={"id": 1})
        event["transactionInfo"] = {"transactionId": "t-1"} | ({"chargingState": state} if state else {})
        await station.call("TransactionEvent", event)
        return depot.board.evse("b2").vehicle is not None

    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    states = ["", "Idle", "", "EVConnected", "", "SuspendedEV", "Idle", ""]
    assert [await told(seq, state) for seq, state in enumerate(states, 1)] == [
        True,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    await station.call("TransactionEvent", transaction("Ended", 20))
    event = {**STARTED, "transactionInfo": {"transactionId": "t-2"}}
    await station.call("TransactionEvent", event)
    assert vehicle(depot).session == "t-2"
    await station.close()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_start_before_its_status_is_no_lost_vehicle_and_a_free_outlet_within_the_session_is_one(
    depot: Depot, version: str
) -> None:
    """What was said before the vehicle came is not of its session: `ev_connection_lost` would hold it back
    until it leaves.
    """
    identity, evse = ("old", "b1") if version == "1.6" else ("new", "b2")
    station = await ready(depot, identity, version)
    free = status_16(1, "Available") if version == "1.6" else status(1, 1, "Available")
    await station.call("StatusNotification", free)
    assert depot.board.evse(evse).status == "available"
    if version == "1.6":
        await station.call(
            "StartTransaction", {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
        )
    else:
        await station.call("TransactionEvent", STARTED)
    assert depot.board.evse(evse).status == "occupied"
    await station.call("StatusNotification", free)
    assert depot.board.evse(evse).status == "available"
    if version == "2.0.1":
        await station.call("TransactionEvent", transaction("Updated", 1))
        assert depot.board.evse(evse).status == "available"
    await station.close()


async def test_an_id_that_a_station_uses_again_for_a_later_transaction_is_a_new_one(depot: Depot) -> None:
    """Stations that count from 1 after a reboot; news of the first, before its end, stay history."""
    station = await ready(depot)
    await station.call("TransactionEvent", STARTED)
    await station.call("TransactionEvent", transaction("Ended", 5, format_wall(AT_S + 60.0)))
    for kind, seq, after_s in (
        ("Started", 0, 0.0),
        ("Started", 1, 30.0),
        ("Updated", 2, 90.0),
        ("Ended", 6, 90.0),
    ):
        await station.call(
            "TransactionEvent", transaction(kind, seq, format_wall(AT_S + after_s), evse={"id": 1})
        )
        assert depot.board.evse("b2").vehicle is None
    depot.clock.advance(120.0)
    token = {"idToken": "bus-1", "type": "Central"}
    await station.call(
        "TransactionEvent",
        transaction("Started", 0, format_wall(AT_S + 120.0), evse={"id": 1}, idToken=token),
    )
    found = vehicle(depot)
    assert (found.session, found.vehicle, found.plugged_wall_s) == ("t-1", "bus-1", AT_S + 120.0)
    assert await depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)) == "accepted"
    await station.call("TransactionEvent", transaction("Ended", 1, format_wall(AT_S + 180.0)))
    assert depot.board.evse("b2").vehicle is None
    await station.close()


async def test_a_number_written_as_a_text_is_still_that_number(depot: Depot) -> None:
    """Stations that are read leniently: the connector "1" is the connector 1, and no stranger's."""
    old, new = await ready(depot, "old", "1.6"), await ready(depot)
    await say(
        old, "StartTransaction", {"connectorId": "1", "idTag": "bus-1", "meterStart": "0", "timestamp": AT}
    )
    await say(old, "StatusNotification", {"connectorId": "1", "errorCode": "NoError", "status": "Charging"})
    await say(new, "TransactionEvent", {**STARTED, "seqNo": "0", "evse": {"id": "1", "connectorId": "1"}})
    await say(
        new,
        "StatusNotification",
        {"timestamp": AT, "evseId": "1", "connectorId": "1", "connectorStatus": "Occupied"},
    )
    for evse, name in (("b1", "bus-1"), ("b2", "bus-2")):
        assert (vehicle(depot, evse).vehicle, depot.board.evse(evse).status) == (name, "occupied")
    await old.close()
    await new.close()


async def test_words_of_a_station_cannot_steer_the_terminal_of_who_reads_them(depot: Depot) -> None:
    """A vendor, a card or an error code with escape sequences, line ends or a megabyte in it."""
    station = await Peer.dial(depot.port, "old", "1.6")
    evil = "\x1b[2Jlevel=info\nall is well\u202e"
    await say(station, "BootNotification", {"chargePointVendor": evil, "chargePointModel": "m" * 100_000})
    await say(station, "StatusNotification", status_16(1, "Faulted", evil))
    await say(
        station, "StartTransaction", {"connectorId": 1, "idTag": evil, "meterStart": 0, "timestamp": AT}
    )
    shown = depot.central.describe()[0]
    state = depot.board.evse("b1")
    words = (shown["vendor"], shown["model"], state.fault, vehicle(depot, "b1").vehicle)
    assert all(word.isprintable() and len(word) <= 255 for word in words)
    assert words[3] == "\ufffd[2Jlevel=info\ufffdall is well\ufffd"
    await station.close()
