"""Stations forwarded to a real central system: seen and billed there with the same registers, through its
kills.
"""

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.upstream.conftest import ForwardedDepot, Upstream
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall

BOOT_16 = {"chargePointVendor": "v", "chargePointModel": "m"}
BOOT_201 = {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}


@pytest.fixture
async def depot(tmp_path: Path, upstream: Upstream) -> AsyncIterator[ForwardedDepot]:
    depot = ForwardedDepot(tmp_path, upstream.url)
    await depot.central.start()
    yield depot
    await depot.central.stop()


def at(depot: ForwardedDepot) -> str:
    depot.clock.advance(1.0)
    return format_wall(depot.clock.wall_s())


async def started(depot: ForwardedDepot, station: Peer, card: str = "card") -> int:
    """A 1.6 transaction."""
    answer = await station.call(
        "StartTransaction", {"connectorId": 1, "idTag": card, "meterStart": 100, "timestamp": at(depot)}
    )
    number: int = answer["transactionId"]
    return number


async def metered(depot: ForwardedDepot, station: Peer, number: int, wh: int) -> None:
    value = {"timestamp": at(depot), "sampledValue": [{"value": str(wh)}]}
    payload = {"connectorId": 1, "transactionId": number, "meterValue": [value]}
    await station.call("MeterValues", payload)


async def stopped(depot: ForwardedDepot, station: Peer, number: int, wh: int) -> None:
    await station.call("StopTransaction", {"transactionId": number, "meterStop": wh, "timestamp": at(depot)})


async def test_a_session_is_seen_upstream_with_the_same_registers(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    upstream.begin()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    await until(lambda: depot.central.upstreams.taps["old"].forwarders[0].connection)
    answer = await station.call("Authorize", {"idTag": "card"})
    assert answer["idTagInfo"]["status"] == "Accepted"
    number = await started(depot, station)
    await metered(depot, station, number, 2_000)
    await stopped(depot, station, number, 3_100)
    await depot.settled("old")
    calls = upstream.calls("old")
    assert [action for action, _ in calls if action != "Authorize"] == [
        "BootNotification",
        "StartTransaction",
        "MeterValues",
        "StopTransaction",
    ]
    start, meter, stop = (payload for _, payload in calls[-3:])
    assert start["meterStart"] == 100
    assert (meter["transactionId"], stop["transactionId"], stop["meterStop"]) == (9_001, 9_001, 3_100)
    assert number != 9_001


async def test_the_upstream_is_killed_and_comes_back_nothing_is_lost_or_doubled_and_the_order_holds(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    chance, sent = random.Random(1), []
    for _ in range(2):
        upstream.begin()
        number = await started(depot, station)
        sent.append("StartTransaction")
        for step in range(chance.randint(2, 12)):
            await metered(depot, station, number, 200 + step)
            sent.append("MeterValues")
        upstream.kill()
        for step in range(chance.randint(2, 6)):
            await metered(depot, station, number, 300 + step)
            sent.append("MeterValues")
        await stopped(depot, station, number, 400)
        sent.append("StopTransaction")
        await depot.restart()
        station = await Peer.dial(depot.port, "old", "1.6")
    upstream.begin()
    await metered(depot, station, 1, 500)  # of a transaction that is over
    sent.append("MeterValues")
    await depot.settled("old")
    calls = [(action, payload) for action, payload in upstream.calls("old") if action != "BootNotification"]
    assert [action for action, _ in calls] == sent
    stamps = [payload.get("timestamp") or payload["meterValue"][0]["timestamp"] for _, payload in calls]
    assert stamps == sorted(stamps)
    numbers = [payload["transactionId"] for action, payload in calls if action == "StopTransaction"]
    assert numbers == [9_001, 9_002]


async def test_what_a_station_was_answered_is_on_the_disk_of_a_depot_whose_upstream_is_away(
    depot: ForwardedDepot, tmp_path: Path
) -> None:
    """Another reader sees what a process that is killed now would leave."""
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    number = await started(depot, station)
    for count in range(3, 8):
        await metered(depot, station, number, 100 + count)
        with closing(sqlite3.connect(tmp_path / "state" / "ocpp.sqlite")) as db:
            assert db.execute("SELECT COUNT(*) FROM upstream WHERE sent = 0").fetchone() == (count,)


async def test_what_a_station_repeats_goes_up_once(depot: ForwardedDepot, upstream: Upstream) -> None:
    upstream.begin()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    start = {"connectorId": 1, "idTag": "card", "meterStart": 100, "timestamp": at(depot)}
    first, second = (
        await station.call("StartTransaction", start),
        await station.call("StartTransaction", start),
    )
    assert first == second
    await depot.settled("old")
    await depot.restart()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("StartTransaction", start)
    await station.call("Heartbeat", {})
    await stopped(depot, station, first["transactionId"], 500)
    await depot.settled("old")
    actions = [action for action, _ in upstream.calls("old")]
    assert actions.count("StartTransaction") == 1


@pytest.mark.parametrize(("name", "version"), [("new", "2.0.1"), ("newest", "2.1")])
async def test_a_transaction_of_2_x_keeps_its_own_number(
    depot: ForwardedDepot, upstream: Upstream, name: str, version: Version
) -> None:
    upstream.begin()
    station = await Peer.dial(depot.port, name, version)
    await station.call("BootNotification", BOOT_201)
    token = {"idToken": "card", "type": "ISO14443"}
    for seq, kind in enumerate(("Started", "Updated", "Ended")):
        event: dict[str, Any] = {
            "eventType": kind, "timestamp": at(depot), "triggerReason": "Authorized", "seqNo": seq,
            "transactionInfo": {"transactionId": "t-1"}, "evse": {"id": 1, "connectorId": 1},
        }  # fmt: skip
        await station.call("TransactionEvent", event | ({"idToken": token} if seq == 0 else {}))
    await depot.settled(name)
    events = [payload for action, payload in upstream.calls(name) if action == "TransactionEvent"]
    assert [(each["eventType"], each["seqNo"]) for each in events] == [
        ("Started", 0),
        ("Updated", 1),
        ("Ended", 2),
    ]
    assert {each["transactionInfo"]["transactionId"] for each in events} == {"t-1"}


async def test_no_answer_waits_for_an_upstream_that_is_gone_and_cards_go_by_the_policy(
    tmp_path: Path, upstream: Upstream
) -> None:
    """Nothing listens on the upstream's port."""
    for policy, word in (("site", "Accepted"), ("refuse", "Invalid")):
        depot = ForwardedDepot(tmp_path / policy, upstream.url, when_gone=policy)
        await depot.central.start()
        station = await Peer.dial(depot.port, "old", "1.6")
        await station.call("BootNotification", BOOT_16)
        answer = await station.call("Authorize", {"idTag": "card"})
        assert answer["idTagInfo"]["status"] == word
        assert await started(depot, station)
        await depot.central.stop()


async def test_who_the_upstream_blocks_is_blocked_and_a_start_of_such_a_card_is_ended(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    upstream.begin()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    await depot.settled("old")
    number = await started(depot, station, "thief")  # from the station's own list: nobody was asked
    await until(lambda: station.got("RemoteStopTransaction"))
    assert station.got("RemoteStopTransaction") == [{"transactionId": number}]
    answer = await station.call("Authorize", {"idTag": "thief"})
    assert answer["idTagInfo"]["status"] == "Blocked"


async def test_a_full_queue_leaves_out_readings_and_never_transactions(
    tmp_path: Path, upstream: Upstream
) -> None:
    depot = ForwardedDepot(tmp_path, upstream.url, queue_max=100)
    await depot.central.start()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    number = await started(depot, station)
    for step in range(150):
        await metered(depot, station, number, 200 + step)
    await stopped(depot, station, number, 500)
    assert any("readings were left out" in line for line in depot.news())
    upstream.begin()
    await depot.settled("old")
    actions = [action for action, _ in upstream.calls("old")]
    assert actions.count("StartTransaction") == actions.count("StopTransaction") == 1
    assert 0 < actions.count("MeterValues") <= 100
    await depot.central.stop()
