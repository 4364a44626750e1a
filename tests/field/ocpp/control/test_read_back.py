"""What a station says it holds and means to do, in all the words that stations use; what says nothing
counts as nothing.
"""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_outlet_port import STATION
from tests.field.ocpp.peer import Peer, Script, until
from tests.field.ocpp.test_server import ready
from v2g_edge.field.ocpp.control import read_back as readback
from v2g_edge.field.ocpp.control.read_back import holds_default, planned_w
from v2g_edge.field.ocpp.vocabulary.charging_profiles import DEFAULT_ID
from v2g_edge.field.ocpp.wire.messages import Version

AT = "2026-03-01T12:00:00Z"


def planning(version: Version, unit: str, *periods: dict[str, Any]) -> dict[str, Any]:
    """The answer to GetCompositeSchedule."""
    schedule: dict[str, Any] = {
        "duration": 10,
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": list(periods),
    }
    if version == "1.6":
        return {"status": "Accepted", "connectorId": 1, "scheduleStart": AT, "chargingSchedule": schedule}
    return {"status": "Accepted", "schedule": {**schedule, "evseId": 1, "scheduleStart": AT}}


@pytest.mark.parametrize(
    ("version", "answer", "planned"),
    [
        ("1.6", planning("1.6", "W", {"startPeriod": 0, "limit": 7_000.0}), 7_000.0),
        ("1.6", planning("1.6", "A", {"startPeriod": 0, "limit": 10.0}), 6_900.0),
        (
            "2.0.1",
            planning("2.0.1", "W", {"startPeriod": 0, "limit": -4_000.0}, {"startPeriod": 5, "limit": 1.0}),
            -4_000.0,
        ),
        ("2.1", planning("2.1", "W", {"startPeriod": 0, "limit": 0, "setpoint": -4_000.0}), -4_000.0),
        ("2.1", planning("2.1", "W", {"startPeriod": 0, "operationMode": "Idle"}), None),
        ("1.6", {"status": "Accepted"}, None),
        ("2.0.1", {"status": "Accepted"}, None),
        ("1.6", {"status": "Rejected"}, None),
        ("2.0.1", {"status": "Rejected"}, None),
    ],
)
async def test_the_power_that_a_station_means_to_begin_with(
    depot: Depot, version: Version, answer: dict[str, Any], planned: float | None
) -> None:
    station = await ready(depot, STATION[version], version)
    station.scripts["GetCompositeSchedule"] = lambda _: answer
    link = depot.central.links[STATION[version]]
    assert link.connection is not None
    assert await planned_w(link.connection, version, link.station.outlets[1]) == planned
    await station.close()


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"limit": 11_000.9}, True),
        ({"limit": 11_001.1}, False),
        ({"limit": 15.0, "unit": "A"}, True),
        ({"limit": 32.0, "unit": "A"}, False),
        ({"id": DEFAULT_ID + 2}, False),
        ({"chargingProfilePurpose": "TxProfile"}, False),
    ],
    ids=str,
)
async def test_the_default_is_held_only_if_it_is_ours_and_allows_no_more(
    depot: Depot, change: dict[str, Any], held: bool
) -> None:
    station = await ready(depot)
    profile = station.profiles[DEFAULT_ID + 1]
    (schedule,) = profile["chargingSchedule"]
    schedule["chargingRateUnit"] = change.pop("unit", "W")
    schedule["chargingSchedulePeriod"][0]["limit"] = change.pop("limit", 11_000)
    station.profiles[DEFAULT_ID + 1] = profile | change
    link = depot.central.links["new"]
    assert link.connection is not None
    assert await holds_default(link.connection, link.station, link.station.outlets[1]) is held
    await station.close()


@pytest.mark.parametrize(
    ("script", "held"),
    [
        (lambda _: {"status": "NoProfiles"}, False),
        (lambda _: {"status": "Nonsense"}, None),
        (lambda _: None, None),
    ],
    ids=["none", "refused", "silent"],
)
async def test_a_station_that_cannot_say_what_it_holds_is_not_taken_for_one_that_holds_nothing(
    depot: Depot, script: Script, held: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await ready(depot)
    monkeypatch.setattr(readback, "REPORT_S", 0.05)
    station.scripts["GetChargingProfiles"] = script
    link = depot.central.links["new"]
    assert link.connection is not None
    assert await holds_default(link.connection, link.station, link.station.outlets[1]) is held
    await station.close()


async def test_an_announced_report_that_never_comes_says_nothing(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    station: Peer = await ready(depot)
    await until(lambda: len(station.got("SetVariables")) == 2)
    monkeypatch.setattr(readback, "REPORT_S", 0.05)
    station.profiles.clear()
    link = depot.central.links["new"]
    assert link.connection is not None
    assert await holds_default(link.connection, link.station, link.station.outlets[1]) is None
    await station.close()
