"""Depot management that means harm, or somebody with its password: costs are bounded (E1, E3, E10)."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.fleet.test_vdv463 import LEAVES, PASSWORD, SITE, VEHICLE, WALL_S, Rig, request
from v2g_edge.fleet.vdv463 import BadFrame, parse_frame, read_requests
from v2g_edge.fleet.vdv_server import LINKS_MAX, TOLD_MAX

POINTS = {evse.id: evse.id for evse in SITE.evses}
VEHICLES = {VEHICLE: VEHICLE}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    await made.server.start()
    yield made
    await made.server.stop()


def frame(payload: Any, **parts: Any) -> str:
    whole = {
        "kind": 1,
        "source": "BMS",
        "presystem": "IVU",
        "at": LEAVES,
        "id": "m1",
        "action": "ProvideChargingRequests",
    }
    return json.dumps([*(whole | parts).values(), payload])


def taken(**fields: Any) -> tuple[list[Any], list[Any]]:
    body = json.loads(json.dumps(request() | fields, default=str))
    return read_requests({"chargingRequestList": [body]}, "IVU", WALL_S, VEHICLES, POINTS)


@pytest.mark.parametrize(
    "odd",
    [10**400, -(10**400), 1e308, True, [1] * 10_000, {"a": 1}, "85", float("nan")],
    ids=lambda odd: str(odd)[:12],
)
def test_a_percentage_that_is_none_is_rejected_in_few_words(odd: Any) -> None:
    data = {"minTargetSoc": odd, "maxTargetSoc": 95}
    body = {"vehicleId": VEHICLE, "chargingRequestId": "r", "chargingRequestData": data}
    missions, rejected = read_requests({"chargingRequestList": [body]}, "IVU", WALL_S, VEHICLES, POINTS)
    assert missions == []
    assert len(rejected[0].reason) < 120


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("9999-12-31T23:59:59-23:00", "ahead"),
        ("0001-01-01T00:00:00+23:00", "ago"),
        ("2030-01-01T00:00:00Z", "ahead"),
        ("2026-11-27T04:45:00", "time zone"),
        (["x"] * 10_000, "expected a time"),
    ],
)
@pytest.mark.parametrize("name", ["requestedTimeForDeparture", "expectedArrivalTimeAtChargingPoint"])
def test_a_time_that_nobody_means_is_rejected(name: str, when: Any, why: str) -> None:
    """A year 10000 in the depot's answer would have ended the task that gives it."""
    body = request(**{name: when})
    missions, rejected = read_requests({"chargingRequestList": [body]}, "IVU", WALL_S, VEHICLES, POINTS)
    assert missions == []
    assert why in rejected[0].reason


@pytest.mark.parametrize(
    ("said", "kept"), [(10**400, 1_000_000), (-(10**30), -1_000_000), (3, 3), ("x", 0), (True, 0)]
)
def test_a_priority_fits_into_the_journal(said: Any, kept: int) -> None:
    missions, _ = read_requests(
        {"chargingRequestList": [request() | {"priority": said}]}, "IVU", WALL_S, VEHICLES, POINTS
    )
    assert missions[0].priority == kept


@pytest.mark.parametrize("name", ["\x1b[2Jx", "a\nb", ["x"] * 10_000, {"k": 1}, "x" * 100_000, 10**400])
def test_what_a_peer_calls_its_request_steers_no_terminal_and_fills_no_journal(name: Any) -> None:
    _, rejected = read_requests(
        {"chargingRequestList": [request("nobody") | {"chargingRequestId": name}]},
        "IVU",
        WALL_S,
        VEHICLES,
        POINTS,
    )
    assert rejected[0].request.isprintable()
    assert len(rejected[0].request) <= 200


@pytest.mark.parametrize(
    "text", ['["\\ud800"]', "[" * 100_000, "[" + "{}," * 200_000 + "{}]", "[" + "1e308," * 50_000 + "1]"]
)
def test_e1_a_frame_that_would_cost_more_than_its_octets_is_not_read(text: str) -> None:
    with pytest.raises(BadFrame):
        parse_frame(text)


@pytest.mark.parametrize("many", [5_001, 100_000])
def test_a_list_has_an_end(many: int) -> None:
    with pytest.raises(BadFrame, match="allowed are 5000"):
        read_requests({"chargingRequestList": [{}] * many}, "IVU", WALL_S, VEHICLES, POINTS)


@pytest.mark.parametrize("flips", [20, 40])
async def test_e10_lists_that_are_rejected_in_turn_fill_no_journal(rig: Rig, flips: int) -> None:
    """The peer is told each time; people once in a while, with a count."""
    link = await rig.dial()
    for turn in range(flips):
        body = [request("nobody", f"r{turn}-{n}") for n in range(50)]
        await link.send(frame({"chargingRequestList": body}))
        answer = json.loads(await link.recv())
        assert answer[0] == 2
        told = json.loads(await link.recv())[6]["rejectedChargingRequestInfoList"]
        assert told[0]["chargingRequestId"] == f"r{turn}-0"
    await link.close()
    assert len(rig.events) == TOLD_MAX + 1
    assert rig.events[-1].text == "30 more charging requests of IVU are rejected"


async def test_names_of_systems_are_few_for_what_each_said_is_kept(rig: Rig) -> None:
    for number in range(LINKS_MAX):
        await (await rig.dial(f"/vdv463/S{number}")).close()
    with pytest.raises(InvalidStatus, match="503"):
        await rig.dial(f"/vdv463/S{LINKS_MAX}")
    await (await rig.dial("/vdv463/S0")).close()


@pytest.mark.parametrize("count", [150, 300])
async def test_e3_idle_sockets_keep_depot_management_out_no_longer_than_they_are_new(
    rig: Rig, count: int
) -> None:
    idle = []
    try:
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            idle.append(one)
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", rig.server.port))
        link = await rig.dial()
        assert len(rig.server._keeper) <= rig.server._keeper.address_max
        await link.close()
    finally:
        for one in idle:
            one.close()


async def test_a_frame_of_megabytes_is_no_kilobyte_on_the_wire(rig: Rig) -> None:
    """Compression is not agreed to."""
    link = await rig.dial()
    assert "Sec-WebSocket-Extensions" not in link.response.headers  # type: ignore[union-attr]
    assert PASSWORD
    await link.close()
