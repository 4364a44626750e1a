"""What is peculiar to a make is heeded on the wire, and can take away only."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_discharge import limits
from tests.field.ocpp.control.test_outlet_port import VERSIONS
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import STARTED, meter, permit, transaction
from v2g_edge.field.ocpp.control import outlet_port
from v2g_edge.field.ocpp.link import onboarding
from v2g_edge.field.ocpp.station.quirks import NO_QUIRK, QUIRKS, Quirk, quirk_of, with_settings
from v2g_edge.field.ocpp.vocabulary.charging_profiles import LADDER
from v2g_edge.field.ocpp.vocabulary.facts import Identity, Sample
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import StationEvse, StationSettings

PLAIN = StationSettings("s", (StationEvse("b1"),))
WALLBOX = Identity("Wall Box Chargers", "PLP1-0-2-4", "6.7.38")
NAMES = {"1.6": ("old", "b1"), "2.0.1": ("new", "b2"), "2.1": ("newest", "b3")}


async def booted(depot: Depot, version: Version, identity: Identity) -> Peer:
    """A station of a make, its default profile accepted."""
    name, evse = NAMES[version]
    station = await Peer.dial(depot.port, name, version)
    await station.call("BootNotification", boot(version, identity))
    await until(lambda: depot.board.evse(evse).dead_man_ok)
    return station


def boot(version: Version, identity: Identity) -> dict[str, Any]:
    if version == "1.6":
        names = ("chargePointVendor", "chargePointModel", "firmwareVersion")
        return dict(zip(names, (identity.vendor, identity.model, identity.firmware), strict=True))
    names = ("vendorName", "model", "firmwareVersion")
    told = dict(zip(names, (identity.vendor, identity.model, identity.firmware), strict=True))
    return {"reason": "PowerUp", "chargingStation": told}


def units(station: Peer, version: Version) -> set[str]:
    profiles = station.got("SetChargingProfile")
    if version == "1.6":
        return {payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"] for payload in profiles}
    return {payload["chargingProfile"]["chargingSchedule"][0]["chargingRateUnit"] for payload in profiles}


@pytest.mark.parametrize("row", QUIRKS, ids=lambda row: row.vendor)
def test_every_row_says_why_and_where_it_was_seen_and_changes_something(row: Quirk) -> None:
    assert row.reason
    assert "#" in row.source
    bare = replace(row, vendor="*", model="*", firmware="*", reason="", source="")
    assert bare != NO_QUIRK


@pytest.mark.parametrize("row", [*QUIRKS, NO_QUIRK], ids=lambda row: row.vendor)
def test_no_row_can_widen_anything(row: Quirk) -> None:
    """A row has no word for a proof, a dead-man or a limit; what it has takes away or adds patience."""
    assert set(asdict(row)) == {
        "vendor", "model", "firmware", "reason", "source", "unit", "measurands", "settings", "make_available",
        "ask_status",
        "remote_start", "answers_within_s", "energy_factor", "discharges",
    }  # fmt: skip
    assert {shape.unit for shape in row.ladder()} <= {"W", "A"}
    assert set(row.asks(("Power.Active.Import", "SoC", "Frequency"))) <= {
        "Power.Active.Import",
        "SoC",
        "Frequency",
    }
    assert "Power.Active.Import" in row.asks(("Power.Active.Import",)), (
        "without power nothing closes the loop"
    )
    off = with_settings(replace(row, discharges=False), PLAIN)
    assert not off.discharges, "the site file cannot take back what a row forbids"


@pytest.mark.parametrize(
    ("identity", "vendor"),
    [
        (WALLBOX, "Wall Box Chargers"),
        (Identity("wall box chargers "), "Wall Box Chargers"),
        (Identity("ABB", "CDT_TACW22::NET_WIFI", "TAC3Z9119006710273::V1.8.21"), "ABB"),
        (Identity("ABB", "Terra 54"), "*"),
        (Identity("OpenEVSE", "ESP32", "4.2.2"), "OpenEVSE*"),
        (Identity("OpenEVSE", "ESP32", "5.0.0"), "*"),
        (Identity("Phoenix Contact GmbH & Co. KG", "EV-CC-AC1-M3-CBC-RCM-ETH-3PN-SER"), "Phoenix Contact*"),
        (Identity("go-e", "go-eCharger_V4", "055.5"), "go-e*"),
        (Identity(), "*"),
    ],
)
def test_a_station_is_known_by_vendor_model_and_firmware(identity: Identity, vendor: str) -> None:
    assert quirk_of(identity, PLAIN).vendor == vendor


def test_the_site_file_says_the_same_of_one_station() -> None:
    told = replace(PLAIN, limit_unit="W", answers_within_s=45.0, discharges=False)
    quirk = quirk_of(WALLBOX, told)
    assert (quirk.unit, quirk.answers_within_s, quirk.discharges, quirk.remote_start) == (
        "W",
        45.0,
        False,
        True,
    )
    assert quirk_of(Identity(), replace(PLAIN, remote_start=True)).remote_start
    assert quirk_of(Identity(), PLAIN) == NO_QUIRK


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_make_that_takes_amperes_only_is_never_sent_watts(depot: Depot, version: Version) -> None:
    station = await booted(depot, version, WALLBOX)
    assert units(station, version) == {"A"}
    shown = next(each for each in depot.central.describe() if each["station"] == NAMES[version][0])
    assert "takes amperes only" in shown["quirk"]
    assert len(quirk_of(WALLBOX, PLAIN).ladder()) < len(LADDER), (
        "what differs by the unit alone is tried once"
    )
    made_available = station.got("ChangeAvailability")[0]
    assert made_available == (
        {"connectorId": 0, "type": "Operative"} if version == "1.6" else {"operationalStatus": "Operative"}
    )
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_make_that_waits_for_it_is_started_once_when_a_vehicle_comes(
    depot: Depot, version: Version
) -> None:
    station, at = await booted(depot, version, WALLBOX), format_wall(depot.clock.wall)
    if version == "1.6":
        action = "RemoteStartTransaction"
        plugged: dict[str, Any] = {
            "connectorId": 1,
            "errorCode": "NoError",
            "status": "Preparing",
            "timestamp": at,
        }
        again, free = {**plugged, "status": "Finishing"}, {**plugged, "status": "Available"}
    else:
        action = "RequestStartTransaction"
        plugged = {"evseId": 1, "connectorId": 1, "connectorStatus": "Occupied", "timestamp": at}
        again, free = plugged, {**plugged, "connectorStatus": "Available"}
    for status, starts in ((free, 0), (plugged, 1), (again, 1), (free, 1), (plugged, 2)):
        await station.call("StatusNotification", status)
        await until(lambda: len(station.got(action)) >= starts)  # noqa: B023 - awaited at once
        await station.call("Heartbeat", {})
        assert len(station.got(action)) == starts
    asked = station.got(action)[0]
    token = asked["idTag"] if version == "1.6" else asked["idToken"]["idToken"]
    assert token == "depot"
    await station.close()


async def test_a_running_transaction_and_a_refused_token_are_not_started(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    await depot.central.start()
    station = await booted(depot, "2.0.1", WALLBOX)
    plugged = {
        "evseId": 1,
        "connectorId": 1,
        "connectorStatus": "Occupied",
        "timestamp": format_wall(depot.clock.wall),
    }
    await station.call("TransactionEvent", STARTED)
    await station.call("StatusNotification", plugged)
    await station.call("TransactionEvent", transaction("Ended", 1))
    await station.call("StatusNotification", {**plugged, "connectorStatus": "Available"})
    (tmp_path / "tokens.json").write_text('{"others": "Invalid", "known": {}}')
    await station.call("StatusNotification", plugged)
    await station.call("Heartbeat", {})
    assert station.got("RequestStartTransaction") == []
    await station.close()
    await depot.central.stop()


async def test_a_make_is_asked_only_for_what_it_knows_and_its_own_keys_come_first(depot: Depot) -> None:
    abb = await booted(depot, "1.6", Identity("ABB", "CDT_TACW22::NET_WIFI", "V1.8.21"))
    await until(lambda: len(abb.got("ChangeConfiguration")) == 2)
    assert (
        abb.got("ChangeConfiguration")[0]["value"] == "Power.Active.Import,Energy.Active.Import.Register,SoC"
    )
    await abb.close()
    await until(lambda: not depot.board.evse("b1").link.connected)
    phoenix = await booted(depot, "1.6", Identity("Phoenix Contact GmbH", "EV-CC-AC1-M3-CBC"))
    await until(lambda: len(phoenix.got("ChangeConfiguration")) == 4)
    assert [asked["key"] for asked in phoenix.got("ChangeConfiguration")][:2] == [
        "FreeMode",
        "AuthorizeRemoteTxRequests",
    ]
    await phoenix.close()


async def test_a_make_that_tells_no_status_is_asked_for_it_after_a_boot_too(depot: Depot) -> None:
    station = await booted(depot, "1.6", Identity("EV-BOX", "Elvi"))
    await until(lambda: station.got("TriggerMessage"))
    assert station.got("TriggerMessage") == [{"requestedMessage": "StatusNotification", "connectorId": 1}]
    await station.close()


async def test_a_station_that_never_said_who_it_is_is_asked(depot: Depot) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    await until(lambda: len(station.got("TriggerMessage")) == 2)
    assert [asked["requestedMessage"] for asked in station.got("TriggerMessage")] == [
        "BootNotification",
        "StatusNotification",
    ]
    await station.close()


async def test_a_register_in_another_unit_is_turned(depot: Depot) -> None:
    assert Sample(0.0, 5.0, 361.0, None).registers_times(1_000.0) == Sample(0.0, 5.0, 361_000.0, None)
    station = await booted(depot, "2.0.1", Identity("OpenEVSE", "ESP32", "4.2.2"))
    await station.call("TransactionEvent", STARTED)
    also = [{"value": 361.0, "measurand": "Energy.Active.Import.Register"}]
    depot.clock.advance(5.0)
    at = format_wall(depot.clock.wall)
    await station.call(
        "TransactionEvent", transaction("Updated", 1, at, meterValue=meter(5_000.0, at, also=also))
    )
    state = depot.board.evse("b2")
    assert state.energy_import_wh == Reading(361_000.0, depot.clock.now)
    assert state.power_w == Reading(5_000.0, depot.clock.now)
    await station.close()


async def test_what_the_site_file_says_of_a_station_reaches_its_outlets() -> None:
    depot = Depot(of_stations={"answers_within_s": 45.0, "discharges": False})
    await depot.central.start()
    assert depot.central.links["new"].station.model.quirk.answers_within_s == 45.0
    station = await booted(depot, "2.0.1", Identity("v", "m", "1"))
    await station.call("TransactionEvent", STARTED)
    assert await depot.central.ports["b2"].write_permit(permit("b2", -30_000.0)) == "withheld"
    assert limits(station) == [0]
    await station.close()
    await depot.central.stop()


async def test_a_slow_make_has_more_time_to_take_its_default_and_its_leases(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody else's patience is cut to nothing; the answers come after it."""
    monkeypatch.setattr(onboarding, "TIMEOUT_S", 0.01)
    monkeypatch.setattr(outlet_port, "ANSWER_S", 0.01)
    station = await Peer.dial(depot.port, "new", "2.0.1")
    station.scripts["SetChargingProfile"] = lambda _: None

    async def answer_late(purpose: str) -> None:
        await until(lambda: purpose in str(station.got("SetChargingProfile")))
        await asyncio.sleep(0.05)
        asked = station.calls[-1]
        station.profiles[asked.payload["chargingProfile"]["id"]] = asked.payload["chargingProfile"]
        station.machine.answer(asked.id, {"status": "Accepted"})
        await station.call("Heartbeat", {})

    await station.call("BootNotification", boot("2.0.1", Identity("MENNEKES", "Amtron 4Business")))
    await answer_late("TxDefaultProfile")
    await until(lambda: depot.board.evse("b2").dead_man_ok)
    await until(lambda: len(station.got("SetVariables")) == 2 and station.got("TriggerMessage"))
    await station.call("TransactionEvent", STARTED)
    writing = asyncio.create_task(depot.central.ports["b2"].write_permit(permit("b2", 5_000.0)))
    await answer_late("TxProfile")
    assert await writing == "accepted"
    await station.close()
