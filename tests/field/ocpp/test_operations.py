"""Every operation makes a message that the schema of each version accepts; what would go past the envelope is refused."""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.test_server import ready
from v2g_edge.field.ocpp.messages import FROM_CENTRAL, VERSIONS, Version
from v2g_edge.field.ocpp.operations import COMMISSIONING, OPERATIONS, RESERVED
from v2g_edge.field.ocpp.schemas import problems

AT = "2026-03-01T12:00:00Z"
ONLY_16 = {"diagnostics", "signed-firmware"}
PARAMS: dict[str, dict[str, Any]] = {
    "availability": {"evse": 1, "type": "Inoperative"},
    "cancel-reservation": {"reservation": 7},
    "certificates": {},
    "data-transfer": {"vendor": "v", "data": "x"},
    "delete-certificate": {
        "hash": {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"},
    },
    "diagnostics": {"location": "https://a.b/c"},
    "signed-firmware": {"location": "https://a.b/c", "retrieve_at": AT, "signature": "s", "certificate": "c"},
    "display": {"text": "out of order"},
    "firmware": {"location": "https://a.b/c", "retrieve_at": AT},
    "get": {"key": "HeartbeatInterval", "component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"},
    "install-certificate": {"type": "ManufacturerRootCertificate", "pem": "x"},
    "local-list": {"version": 3, "tokens": ["a", "b"]},
    "log": {"location": "https://a.b/c"},
    "monitor": {"component": "EVSE", "variable": "Power", "value": 1.0},
    "publish-firmware": {"location": "https://a.b/c", "checksum": "x"},
    "reserve": {"evse": 1, "token": "bus-1", "until": AT, "reservation": 7},
    "set": {"key": "HeartbeatInterval", "component": "OCPPCommCtrlr", "variable": "HeartbeatInterval", "value": 300},
    "start": {"evse": 1, "token": "bus-1"},
    "stop": {"transaction": "12"},
    "trigger": {"message": "BootNotification"},
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_written_as_each_version_wants_it(name: str, version: Version) -> None:
    row = OPERATIONS[name]
    build = row.v16 if version == "1.6" else row.v2
    if build is None:
        assert (version == "1.6") != (name in ONLY_16)
        return
    params = dict(PARAMS.get(name, {}))
    if name == "install-certificate" and version == "1.6":
        params["type"] = "ManufacturerRootCertificate"
    action, payload = build(params)
    assert action in FROM_CENTRAL[version] or action == "GetDERControl"
    if action in FROM_CENTRAL[version]:
        assert problems(version, action, "request", payload) == ()


async def test_an_operation_is_performed_and_its_outcome_told(depot: Depot) -> None:
    station = await ready(depot, "old", "1.6")
    done = await depot.central.perform("old", "reset", {"type": "Hard"})
    assert done == {"action": "Reset", "outcome": "answered", "payload": {"status": "Accepted"}}
    assert station.got("Reset") == [{"type": "Hard"}]
    raw = await depot.central.perform("old", "call", {"action": "ClearCache", "payload": {}})
    assert raw["outcome"] == "answered"
    told = depot.central.describe()[0]
    assert (told["connected"], told["version"], told["vendor"]) == (True, "1.6", "v")
    assert [message["action"] for message in told["told"]] == ["BootNotification"]
    await station.close()


@pytest.mark.parametrize(
    ("station", "operation", "params", "text"),
    [
        ("stranger", "reset", {}, "no station 'stranger' in the site file; there are new, newest, old"),
        ("new", "reset", {}, "new is not connected"),
        ("old", "coffee", {}, "no operation 'coffee'"),
        ("old", "der", {}, "OCPP 1.6 has no der"),
        ("old", "reserve", {}, "'until' is missing"),
        ("old", "reset", {"type": "Gentle"}, "Reset"),
        ("old", "call", {"action": "Heartbeat"}, "no request of a central system"),
        ("old", "call", {"action": "SetChargingProfile", "payload": {}}, "not sent by hand"),
        ("old", "call", {"action": "RemoteStartTransaction", "payload": {"chargingProfile": {}}}, "no charging profile"),
    ],
)
async def test_what_cannot_be_done_is_named_with_what_can(
    depot: Depot, station: str, operation: str, params: dict[str, object], text: str
) -> None:
    peer = await ready(depot, "old", "1.6")
    with pytest.raises(ValueError, match=text):
        await depot.central.perform(station, operation, params)
    await peer.close()


async def test_grid_code_settings_need_an_engineers_name(depot: Depot) -> None:
    peer = await ready(depot, "newest", "2.1")
    wanted = {"action": "ClearDERControl", "payload": {"isDefault": False}}
    with pytest.raises(ValueError, match="engineer"):
        await depot.central.perform("newest", "call", wanted)
    assert (await depot.central.perform("newest", "call", {**wanted, "engineer": "A. Engineer"}))["outcome"] == "answered"
    await peer.close()


def test_nothing_that_moves_power_can_be_sent_by_hand() -> None:
    moves = {
        action
        for actions in FROM_CENTRAL.values()
        for action in actions
        if "Profile" in action and action.startswith(("Set", "Clear"))
    }
    assert moves - {"SetNetworkProfile"} <= RESERVED.keys()
    assert {"UpdateDynamicSchedule", "AFRRSignal"} <= RESERVED.keys()
    assert {"SetDERControl", "ClearDERControl"} == COMMISSIONING
