"""Telematics: what a report says, over HTTP and over a real broker, and what is refused by name."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cloud.broker import MOSQUITTO
from tests.depot import small_site
from tests.field.ocpp.peer import AT_S, Clock, until
from tests.processes import end, start
from v2g_edge.bounded_http import LINKS_MAX
from v2g_edge.bounded_mqtt import bound_packets
from v2g_edge.field.board import Board
from v2g_edge.fleet.telematics import FIELDS, BadState, read_report
from v2g_edge.fleet.telematics_in import PACKET_MAX, Telematics
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import TelematicsSettings
from v2g_edge.model.snapshot import Operator, VehicleState

SITE = small_site()
IDS = {"bus-1": "bus-1", "WVW123": "bus-1", "bus-2": "bus-2"}
WHOLE = {
    "vehicle": "bus-1", "at": "2026-03-01T11:59:00Z", "soc_pct": 64.5, "soh_pct": 93, "capacity_kwh": 190,
    "battery_temp_c": 18, "odometer_km": 123456.7, "plugged": True, "at_depot": True,
    "next_departure": "2026-03-02T05:30:00+01:00", "required_kwh": 152, "source": "fms",
}  # fmt: skip


def read(said: Any, **named: Any) -> Any:
    data = said if isinstance(said, bytes) else json.dumps(said).encode()
    return read_report(data, IDS, AT_S, {"bus-1": 200_000.0}, **named)


def test_a_whole_report_is_read() -> None:
    report = read(WHOLE)
    assert report.wrong == ()
    assert report.samples["soc_pct"] == (64.5, AT_S - 60.0)
    assert report.samples["capacity_wh"].value == 190_000.0
    assert report.mission is not None
    assert report.mission.min_soc_pct == pytest.approx(80.0)
    assert report.mission.departure_wall_s == AT_S + 16.5 * 3_600.0


def test_a_field_has_a_time_of_its_own_where_it_says_one() -> None:
    said = {**WHOLE, "soc_pct": {"value": 60, "at": "2026-03-01T11:00:00Z"}}
    assert read(said).samples["soc_pct"] == (60, AT_S - 3_600.0)
    assert read(said).samples["soh_pct"] == (93, AT_S - 60.0)


def test_another_id_of_a_vehicle_and_the_place_in_the_topic_name_it() -> None:
    assert read({**WHOLE, "vehicle": "WVW123"}).vehicle == "bus-1"
    assert read({"at": AT_S, "soc_pct": 5}, named="bus-2").vehicle == "bus-2"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"vehicle": "bus-9"}, "not in the site file"),
        ({"vehicle": None}, "not in the site file"),
        ({"at": "2026-03-01T11:59:00"}, "with an offset"),
        ({"at": AT_S * 1_000.0}, "milliseconds"),
        ({"at": AT_S + 130.0}, "future"),
        ({"at": AT_S - 90_000.0}, "h old"),
        ({"at": None}, "at is"),
        ({"at": 10**400}, "more than 64 digits"),
    ],
)
def test_a_report_that_cannot_be_placed_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BadState, match=word):
        read({**WHOLE, **changes})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"soc_pct": 101}, "soc_pct is 101"),
        ({"soc_pct": True}, "soc_pct is true"),
        ({"soc_pct": "64 %"}, 'soc_pct is "64 %"'),
        ({"capacity_kwh": 190_000}, "capacity_kwh is 190000"),
        ({"battery_temp_c": 291.0}, "battery_temp_c is 291"),
        ({"plugged": "yes"}, 'plugged is "yes"'),
        ({"next_departure": AT_S * 1_000.0}, "next_departure"),
        ({"required_kwh": 400}, "holds 190 kWh"),
        ({"required_soc_pct": -1}, "required_soc_pct is -1"),
        ({"required_soc_pct": 0.85}, "is 85 % meant?"),
        ({"soc_pct": {"value": 50, "at": "later"}}, 'soc_pct.at is "later"'),
        ({"soc_pct": {"value": 50, "at": 10**60}}, "soc_pct.at lies"),
    ],
)
def test_a_field_that_cannot_be_meant_is_named_and_spoils_no_other(
    changes: dict[str, Any], word: str
) -> None:
    report = read({**WHOLE, **changes})
    assert len(report.wrong) == 1
    assert word in report.wrong[0]
    assert report.samples["soh_pct"].value == 93


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "at"]), inner),
    max_leaves=4,
)


@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from([*WHOLE, *FIELDS]) | st.text(max_size=5), JSON | st.sampled_from(list(WHOLE.values()))
    ).map(lambda said: json.dumps(said).encode())
    | st.sampled_from([b"<html>moved</html>", b"[" * 9_000, b'{"a":' * 3_000, b" " * 20_000])
)
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        report = read(data)
    except BadState:
        return
    assert all(sample.value == sample.value for sample in report.samples.values())


class Depot:
    """Records on a board, and what was told."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.told, self.records = Clock(), list[Event](), VehicleRecords(SITE)
        self.telematics = Telematics(
            TelematicsSettings(**settings), SITE, self.records, self.clock, self.told.append
        )
        self.board = Board(SITE, lambda: None, self.records)

    def vehicle(self) -> VehicleState:
        picture = self.board.freeze(
            self.clock.now_s(), self.clock.wall_s(), clock_synced=True, operator=Operator()
        )
        assert picture.evses[0].vehicle is not None
        return picture.evses[0].vehicle


def test_the_charger_wins_while_it_is_fresher_and_each_field_keeps_its_own_age() -> None:
    depot = Depot()
    now_s = depot.clock.now_s()
    depot.telematics.take(json.dumps(WHOLE).encode())
    depot.board.plug_in("b1", VehicleState("s", "bus-1", AT_S, soc_pct=Reading(70.0, now_s - 30.0)))
    vehicle = depot.vehicle()
    assert vehicle.soc_pct == Reading(70.0, now_s - 30.0)
    assert vehicle.soh_pct == Reading(93.0, now_s - 60.0)
    assert isinstance(vehicle.target_soc_pct, Reading)
    assert vehicle.target_soc_pct.value == pytest.approx(80.0)
    depot.telematics.take(json.dumps({**WHOLE, "at": AT_S - 10.0, "soc_pct": 66}).encode())
    assert depot.vehicle().soc_pct == Reading(70.0, now_s - 30.0)
    depot.board.update_vehicle("b1", soc_pct=Reading(70.0, now_s - 80.0))
    assert depot.vehicle().soc_pct == Reading(66.0, now_s - 10.0)
    assert depot.records.notes_of("bus-1")["odometer_km"] == (123456.7, AT_S - 10.0, "fms")


def test_the_same_departure_again_changes_nothing() -> None:
    depot = Depot()
    depot.telematics.take(json.dumps(WHOLE).encode())
    before = depot.records.revision
    depot.clock.advance(5.0)
    depot.telematics.take(json.dumps(WHOLE).encode())
    assert depot.records.revision == before


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Depot]:
    (tmp_path / "token").write_text("open sesame\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    depot = Depot(host="127.0.0.1", port=port, token_file=str(tmp_path / "token"))
    await depot.telematics.start()
    yield depot
    await depot.telematics.stop()


async def post(depot: Depot, content: Any, word: str = "open sesame", path: str = "/telematics") -> Any:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(
            f"http://127.0.0.1:{depot.telematics.port}{path}", content=data,
            headers={"Authorization": f"Bearer {word}"},
        )  # fmt: skip


async def test_a_sender_hears_what_was_taken_and_what_was_not(served: Depot) -> None:
    answer = await post(served, {**WHOLE, "soc_pct": 640})
    assert answer.status_code == 200
    assert answer.json()["vehicle"] == "bus-1"
    assert "soc_pct is 640" in answer.json()["refused"][0]
    assert (await post(served, WHOLE, word="wrong")).status_code == 401
    assert (await post(served, WHOLE, path="/other")).status_code == 404
    assert (await post(served, b"<html>")).status_code == 422
    assert (await post(served, b"x" * 20_000)).status_code == 413
    assert len([event for event in served.told if event.kind == "telematics_refused"]) == 2


async def test_a_sender_that_says_nothing_holds_no_place(served: Depot) -> None:
    links = [await asyncio.open_connection("127.0.0.1", served.telematics.port) for _ in range(40)]
    for _, writer in links:
        writer.close()
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", served.telematics.port)
        writer.write(b"GET / HTTP/9\r\n\x00\r\n\r\n")
        writer.close()
    await until(lambda: not served.telematics.inlet.links)
    assert (await post(served, WHOLE)).status_code == 200


@pytest.mark.parametrize("idle", [LINKS_MAX, 2 * LINKS_MAX])
async def test_e3_idle_connections_keep_no_sender_out(served: Depot, idle: int) -> None:
    """The oldest give way: whoever only holds a place loses it."""
    links = [await asyncio.open_connection("127.0.0.1", served.telematics.port) for _ in range(idle)]
    assert (await post(served, WHOLE)).status_code == 200
    assert len(served.telematics.inlet.links) <= LINKS_MAX
    for _, writer in links:
        writer.close()
    await until(lambda: not served.telematics.inlet.links)


@pytest.mark.parametrize("announced", [PACKET_MAX + 1, (1 << 28) - 1])
async def test_a_broker_that_announces_a_large_packet_loses_the_session(announced: int) -> None:
    client = aiomqtt.Client("127.0.0.1")
    bound_packets(client, PACKET_MAX)
    client._client._in_packet["remaining_length"] = announced
    with pytest.raises(ConnectionError, match=f"allowed are {PACKET_MAX}"):
        client._client._sock_recv(announced)


async def test_reports_come_over_a_broker_and_go_on_after_it_was_killed(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")

    def broker() -> "subprocess.Popen[Any]":
        return start([MOSQUITTO, "-c", str(tmp_path / "m.conf")], stderr=subprocess.DEVNULL)

    async def published(soc_pct: float) -> None:
        for _ in range(100):
            try:
                async with aiomqtt.Client("127.0.0.1", port) as client:
                    said = {**WHOLE, "vehicle": None, "at": AT_S + soc_pct, "soc_pct": soc_pct}
                    await client.publish("fleet/bus-1/state", json.dumps(said), qos=1, retain=True)
                    return
            except aiomqtt.MqttError:
                await asyncio.sleep(0.05)

    depot, process = Depot(mqtt_host="127.0.0.1", mqtt_port=port, mqtt_tls=False), broker()
    task = asyncio.get_running_loop().create_task(depot.telematics.run_mqtt())
    try:
        await published(41.0)
        await until(lambda: depot.records.notes_of("bus-1").get("soc_pct", (0.0,))[0] == 41.0)
        end(process)
        process = broker()
        await published(42.0)
        await until(lambda: depot.records.notes_of("bus-1")["soc_pct"][0] == 42.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        end(process)
