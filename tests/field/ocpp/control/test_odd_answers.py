"""Answers in another shape than OCPP says cost no other step of the set-up, and no vehicle its metering."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_outlet_port import charging
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import BOOT_2, BOOT_16, permit
from v2g_edge.field.ocpp.control.read_back import planned_w, tables
from v2g_edge.field.ocpp.link import onboarding
from v2g_edge.field.ocpp.vocabulary.charging_profiles import DEFAULT_ID

pytestmark = pytest.mark.usefixtures("at_once")
ODD: tuple[Any, ...] = (None, [], {}, "x", 5, [None], [{}], {"a": 1}, [[1]], True)
LIMIT = {"startPeriod": 0, "limit": 11_000.0}
SCHEDULE = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [LIMIT]}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that is not held is set again without a pause."""
    monkeypatch.setattr(onboarding, "DEFAULT_RETRY_S", 0.0)


def reported(schedule: Any) -> dict[str, Any]:
    return {
        "id": DEFAULT_ID + 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative", "chargingSchedule": schedule,
    }  # fmt: skip


def answers(station: Peer, action: str, odd: dict[str, Any]) -> None:
    """Have it answer so, though no schema allows it."""
    sending: list[asyncio.Task[None]] = []

    async def answer(frame: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await station.ws.send(frame)

    def send(_payload: dict[str, Any]) -> None:
        sending.append(asyncio.create_task(answer(json.dumps([3, station.calls[-1].id, odd]))))

    station.scripts[action] = send


async def set_up(depot: Depot, part: Any) -> Peer:
    """A 2.0.1 station that reports ``part`` where its default profile is asked for, once it is set up."""
    station = await Peer.dial(depot.port, "new", "2.0.1")
    station.machine.strict = False
    reports: list[asyncio.Task[Any]] = []

    def report(payload: dict[str, Any]) -> dict[str, Any]:
        said = {
            "requestId": payload["requestId"], "chargingLimitSource": "CSO", "evseId": 1,
            "chargingProfile": part,
        }  # fmt: skip
        frame = [2, "odd", "ReportChargingProfiles", said]
        reports.append(asyncio.create_task(station.ws.send(json.dumps(frame))))
        return {"status": "Accepted", "customData": {"vendorId": "x"}}  # the peer reports by itself else

    station.scripts["GetChargingProfiles"] = report
    station.profiles.clear()
    await station.call("BootNotification", BOOT_2)
    await until(lambda: station.got("SetVariables"))
    return station


@pytest.mark.parametrize("odd", ODD, ids=str)
async def test_a_default_that_is_reported_in_another_shape_ends_no_set_up(depot: Depot, odd: Any) -> None:
    station = await set_up(
        depot, [reported(odd), odd, reported([{**SCHEDULE, "chargingSchedulePeriod": odd}])]
    )
    assert not depot.board.evse("b2").dead_man_ok
    await station.close()


async def test_a_schedule_that_stands_alone_counts_as_a_list_of_one(depot: Depot) -> None:
    """As 1.6 has it."""
    station = await set_up(depot, [reported(SCHEDULE)])
    await until(lambda: depot.board.evse("b2").dead_man_ok)
    await station.close()


@pytest.mark.parametrize(
    "odd", [*ODD, {"chargingSchedulePeriod": 5}, {"chargingSchedulePeriod": [5]}], ids=str
)
async def test_a_composite_schedule_in_another_shape_says_nothing(depot: Depot, odd: Any) -> None:
    station = await charging(depot, "1.6")
    answers(station, "GetCompositeSchedule", {"status": "Accepted", "chargingSchedule": odd})
    assert await depot.central.ports["b1"].write_permit(permit("b1", 5_000.0)) == "accepted"
    link = depot.central.links["old"]
    assert link.connection is not None
    assert await planned_w(link.connection, "1.6", link.station.outlets[1]) is None
    await station.close()


@pytest.mark.parametrize("word", ["accepted", "ACCEPTED", "Accepted "])
async def test_accepted_in_other_letters_is_accepted(depot: Depot, word: str) -> None:
    """Else the station counts as one that takes no limit, and its vehicles get the default for ever."""
    station = await Peer.dial(depot.port, "old", "1.6")
    answers(station, "SetChargingProfile", {"status": word})
    await station.call("BootNotification", BOOT_16)
    await until(lambda: depot.board.evse("b1").dead_man_ok)
    await station.close()


def test_tables_of_anything() -> None:
    assert [tables(odd) for odd in ODD] == [[], [], [{}], [], [], [], [{}], [{"a": 1}], [], []]
