"""VDV 463 over a real WebSocket: depot management says which bus leaves when, and is told how it stands."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.depot import healthy, small_site
from tests.field.ocpp.peer import Clock
from v2g_edge.fleet.vdv463 import NAMES, BadFrame, parse_frame, read_requests, write_frame
from v2g_edge.fleet.vdv_info import Forecast, charging_information
from v2g_edge.fleet.vdv_server import VdvServer
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.mission import Mission
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import FleetSettings

WALL_S = datetime(2026, 11, 27, 18, tzinfo=UTC).timestamp()
SITE = small_site()
VEHICLE = SITE.vehicles[0].id
PASSWORD = "s3cret"
LEAVES = "2026-11-28T04:45:00Z"


def request(
    vehicle: str = VEHICLE, name: str = "r1", low: float = 80, high: float = 95, **data: Any
) -> dict[str, Any]:
    body = {"minTargetSoc": low, "maxTargetSoc": high, "requestedTimeForDeparture": LEAVES} | data
    return {"vehicleId": vehicle, "chargingRequestId": name, "chargingRequestData": body}


class Rig:
    def __init__(self, tmp_path: Path) -> None:
        password = tmp_path / "password"
        password.write_text(f"{PASSWORD}\n")
        self.records, self.events = VehicleRecords(SITE), list[Event]()
        settings = FleetSettings(host="127.0.0.1", port=0, user="bms", password_file=str(password))
        self.server = VdvServer(
            settings, self.records, Clock(WALL_S, scale=300.0), inform=self._inform, tell=self.events.append
        )

    def _inform(self, rejected: list[dict[str, str]]) -> dict[str, Any]:
        missions = {VEHICLE: found} if (found := self.records.mission_of(VEHICLE, WALL_S)) else {}
        ready = {SITE.evses[0].id: Forecast(WALL_S + 3_600.0, 91.0)}
        return charging_information(SITE, healthy(SITE), missions, ready, rejected)

    async def dial(
        self,
        path: str = "/vdv463/IVU",
        password: str = PASSWORD,
        protocols: Any = ("v2.463.vdv.de", "v1.463.vdv.de"),
    ) -> ClientConnection:
        coded = base64.b64encode(f"bms:{password}".encode()).decode()
        url = f"ws://127.0.0.1:{self.server.port}{path}"
        offered = [Subprotocol(each) for each in protocols] or None
        return await connect(
            url, subprotocols=offered, additional_headers={"Authorization": f"Basic {coded}"}
        )


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.server.start()
    telling = asyncio.create_task(rig.server.run())
    yield rig
    telling.cancel()
    await rig.server.stop()


async def ask(
    link: ClientConnection, action: str, payload: dict[str, Any], kind: int = 1, presystem: str = "IVU"
) -> list[Any]:
    await link.send(json.dumps([kind, "BMS", presystem, "2026-11-27T18:00:00Z", "m1", action, payload]))
    return await told(link, "m1")


async def told(link: ClientConnection, message: str = "", action: str = "") -> list[Any]:
    while True:
        frame: list[Any] = json.loads(await asyncio.wait_for(link.recv(), 10))
        if (message and frame[4] == message) or (action and frame[5] == action):
            return frame


async def test_a_boot_is_accepted_and_a_stranger_action_is_refused(rig: Rig) -> None:
    link = await rig.dial()
    assert link.subprotocol == "v1.463.vdv.de"
    assert (await ask(link, "BootNotification", {"presystem": "BMS"}))[:3] == [2, "CMS", "IVU"]
    assert (await ask(link, "BootNotification", {"presystem": "SAP"}))[6] == {"status": "Rejected"}
    refused = await ask(link, "MakeCoffee", {})
    assert refused[0] == 3
    assert "known: BootNotification" in refused[6]["errorMessage"]
    await link.close()


async def test_the_list_replaces_the_one_before(rig: Rig) -> None:
    link = await rig.dial()
    await ask(link, "ProvideChargingRequests", {"chargingRequestList": [request()]})
    mission = rig.records.mission_of(VEHICLE, WALL_S)
    assert mission is not None
    assert (mission.departure_wall_s, mission.min_soc_pct, mission.max_soc_pct) == (
        datetime.fromisoformat(LEAVES).timestamp(),
        80.0,
        95.0,
    )
    facts = rig.records.facts_of(VEHICLE, WALL_S, 100.0, WALL_S)
    assert (facts["departure_wall_s"].value, facts["target_soc_pct"].value) == (
        mission.departure_wall_s,
        80.0,
    )
    await ask(link, "ProvideChargingRequests", {"chargingRequestList": []})
    assert rig.records.mission_of(VEHICLE, WALL_S) is None
    await link.close()


async def test_what_was_said_outlives_its_link(rig: Rig) -> None:
    link = await rig.dial()
    await ask(link, "ProvideChargingRequests", {"chargingRequestList": [request()]})
    await link.close()
    assert rig.records.mission_of(VEHICLE, WALL_S) is not None


async def test_a_request_that_cannot_be_taken_is_rejected_with_its_reason_and_the_others_count(
    rig: Rig,
) -> None:
    link = await rig.dial()
    bad = [
        request("BUS-99", "unknown"),
        request(name="turned", low=90, high=80),
        request(name="wide", high=120),
        request(name="share", low=0.8, high=1.0),
        request(name="late", requestedTimeForDeparture="2020-01-01T00:00:00Z"),
        request(name="local", requestedTimeForDeparture="2026-11-28T04:45:00"),
        {"vehicleId": VEHICLE, "chargingRequestId": "empty"},
    ]
    await ask(link, "ProvideChargingRequests", {"chargingRequestList": [*bad, request()]})
    info = await told(link, action="ProvideChargingInformation")
    reasons = {
        each["chargingRequestId"]: each["reason"] for each in info[6]["rejectedChargingRequestInfoList"]
    }
    assert reasons == {
        "unknown": "vehicle 'BUS-99' is not known here",
        "turned": "minTargetSoc 90 % is above maxTargetSoc 80 %",
        "wide": "maxTargetSoc is 120; allowed are 0 to 100 %",
        "share": "minTargetSoc is 0.8; is 80 % meant?",
        "late": "requestedTimeForDeparture 2020-01-01T00:00:00Z is more than a day ago",
        "local": "requestedTimeForDeparture is '2026-11-28T04:45:00', without a time zone; "
        "expected one like 2026-11-27T04:45:00Z",
        "empty": "chargingRequestData is missing",
    }
    assert len([event for event in rig.events if event.kind == "mission_rejected"]) == len(bad)
    assert rig.records.mission_of(VEHICLE, WALL_S) is not None
    await link.close()


async def test_it_is_told_at_its_pace_and_in_its_own_form(rig: Rig) -> None:
    link = await rig.dial()
    values = [1, "BMS", "IVU", "2026-11-27T18:00:00Z", "m1", "BootNotification", {"presystem": "BMS"}]
    await link.send(json.dumps(dict(zip(NAMES, values, strict=True))))
    answer = json.loads(await asyncio.wait_for(link.recv(), 10))
    assert (answer["messageType"], answer["messageAction"]) == (2, "BootNotification")
    assert answer["payload"] == {"status": "Accepted"}
    info = json.loads(await asyncio.wait_for(link.recv(), 10))
    assert info["messageAction"] == "ProvideChargingInformation"
    (station, *_) = info["payload"]["depotInfoList"][0]["chargingStationInfoList"]
    point = station["chargingPointInfoList"][0]
    assert point["vehicleInfo"]["vehicleId"] == VEHICLE
    await link.close()


@pytest.mark.parametrize(
    ("path", "password", "status"),
    [("/vdv463/IVU", "wrong", 401), ("/other", PASSWORD, 404), ("/vdv463/a%20b", PASSWORD, 404)],
)
async def test_a_peer_without_the_right_path_or_password_is_refused(
    rig: Rig, path: str, password: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await rig.dial(path, password)
    assert refused.value.response.status_code == status


async def test_a_peer_that_speaks_no_known_version_is_closed_after_its_handshake(rig: Rig) -> None:
    link = await rig.dial(protocols=("v9.463.vdv.de",))
    with pytest.raises(ConnectionClosed) as closed:
        await link.recv()
    assert closed.value.rcvd is not None
    assert "v1.463.vdv.de expected" in closed.value.rcvd.reason


async def test_a_link_speaks_for_its_own_presystem_only(rig: Rig) -> None:
    link = await rig.dial()
    answer = await ask(link, "ProvideChargingRequests", {"chargingRequestList": []}, presystem="OTHER")
    assert answer[0] == 3
    assert "this link is of 'IVU'" in answer[6]["errorMessage"]
    await link.close()


KEYS = [*NAMES, "chargingRequestList", "chargingRequestData", "vehicleId", "minTargetSoc", "x"]
LEAVES_OF_JSON = st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.integers()


@given(
    st.recursive(
        LEAVES_OF_JSON,
        lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
        max_leaves=20,
    )
)
def test_whatever_is_sent_is_a_frame_or_a_reason(document: Any) -> None:
    try:
        frame = parse_frame(json.dumps(document))
        missions, rejected = read_requests(frame.payload, frame.presystem, WALL_S, {VEHICLE: VEHICLE}, {})
    except BadFrame:
        return
    assert all(isinstance(mission, Mission) for mission in missions)
    assert all(each.reason for each in rejected)


@given(st.sampled_from(["array", "object"]), st.text(max_size=40))
def test_a_frame_comes_back_as_it_was_written(form: Any, text: str) -> None:
    frame = parse_frame(json.dumps([1, "BMS", "IVU", "t", "m", "A", {"text": text}]))._replace(form=form)
    assert parse_frame(write_frame(frame, WALL_S)) == frame


def test_the_same_list_again_changes_nothing_whenever_it_came() -> None:
    """Depot management sends its whole list every few minutes: no plan is made anew for that."""
    records = VehicleRecords(small_site())
    first = Mission("bus-1", "vdv463:hof", "r1", 5_000.0, 80.0, 90.0, received_wall_s=1.0)
    records.replace_missions("vdv463:hof", [first])
    before = records.revision
    records.replace_missions("vdv463:hof", [replace(first, received_wall_s=300.0)])
    assert records.revision == before
    records.replace_missions("vdv463:hof", [replace(first, departure_wall_s=4_000.0)])
    assert records.revision == before + 1
    assert records.facts_of("bus-1", 0.0, 10.0, 20.0)["ceiling_soc_pct"] == Reading(90.0, 10.0)
