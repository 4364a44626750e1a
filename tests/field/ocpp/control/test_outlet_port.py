"""What the writer's permits become on the wire: leases, asked back now and then, and said again after a
boot.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_discharge import limits, measured
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import BOOT_2, BOOT_16, STARTED, permit, ready
from v2g_edge.field.ocpp.control import outlet_port
from v2g_edge.field.ocpp.control.expressible import SILENT_MAX
from v2g_edge.field.ocpp.control.outlet_port import COMPARE_S
from v2g_edge.field.ocpp.vocabulary.charging_profiles import DEFAULT_ID, LEASE_ID
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.field.writer import Writer
from v2g_edge.model.permit import Permit

EVSE = {"1.6": "b1", "2.0.1": "b2", "2.1": "b3"}
STATION = {"1.6": "old", "2.0.1": "new", "2.1": "newest"}
VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")


async def charging(depot: Depot, version: Version, *, clock_off_s: float = 0.0) -> Peer:
    """A booted station of a version with a vehicle at it, its clock ahead of ours."""
    station, at = await ready(depot, STATION[version], version), format_wall(depot.clock.wall + clock_off_s)
    if version == "1.6":
        await station.call(
            "StartTransaction", {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": at}
        )
    else:
        await station.call("TransactionEvent", {**STARTED, "timestamp": at})
    return station


def limit_of(payload: dict[str, Any]) -> float:
    """The limit that a SetChargingProfile of 2.x begins with."""
    limit: float = payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
    return limit


def ids(station: Peer, version: Version) -> list[int]:
    """The ids of all profiles it was given, in order."""
    found = station.got("SetChargingProfile")
    if version == "1.6":
        return [payload["csChargingProfiles"]["chargingProfileId"] for payload in found]
    return [payload["chargingProfile"]["id"] for payload in found]


def plan(limit_w: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """GetCompositeSchedule answered (2.x) with one limit."""
    periods = [{"startPeriod": 0, "limit": limit_w}]
    return lambda _: {
        "status": "Accepted",
        "schedule": {
            "evseId": 1, "duration": 10, "scheduleStart": "2026-03-01T12:00:00Z", "chargingRateUnit": "W",
            "chargingSchedulePeriod": periods,
        },
    }  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_boot_in_mid_lease_leads_to_a_new_default_new_metering_and_a_new_lease(
    depot: Depot, version: Version
) -> None:
    station, evse = await charging(depot, version), EVSE[version]
    writer = Writer(depot.central.ports, depot.board, depot.clock)

    async def tick(granted: Permit) -> None:
        if writer.submit((granted,)):
            await until(lambda: depot.board.evse(evse).command.ack != "pending")

    granted = permit(evse, 6_000.0)
    await tick(granted)
    await tick(granted)
    configured = "ChangeConfiguration" if version == "1.6" else "SetVariables"
    await until(lambda: len(station.got(configured)) == 2)
    assert ids(station, version) == [DEFAULT_ID + 1, LEASE_ID + 1]
    await station.call("BootNotification", BOOT_16 if version == "1.6" else BOOT_2)
    await tick(granted)
    await until(lambda: depot.board.evse(evse).dead_man_ok)
    await until(lambda: len(station.got(configured)) == 4)
    assert sorted(ids(station, version)[2:]) == [DEFAULT_ID + 1, LEASE_ID + 1]
    assert depot.board.evse(evse).command.ack == "accepted"
    await tick(granted)
    assert len(ids(station, version)) == 4, "and not a third time"
    await writer.stop()
    await station.close()


async def test_a_boot_while_a_lease_is_under_way_does_not_pass_for_its_answer(depot: Depot) -> None:
    station = await charging(depot, "2.0.1")
    writer = Writer(depot.central.ports, depot.board, depot.clock)
    station.scripts["SetChargingProfile"] = lambda _: None
    writer.submit((permit("b2", 6_000.0),))
    await until(lambda: ids(station, "2.0.1")[-1] == LEASE_ID + 1)
    waiting = next(
        call
        for call in station.calls
        if call.action == "SetChargingProfile"
        and call.payload.get("chargingProfile", {}).get("id") == LEASE_ID + 1
    )
    await station.call("BootNotification", BOOT_2)
    station.machine.answer(waiting.id, {"status": "Accepted"})
    del station.scripts["SetChargingProfile"]
    await station.call("Heartbeat", {})
    assert depot.board.evse("b2").command.ack == "none"
    assert writer.submit((permit("b2", 6_000.0),)) == 1
    await writer.stop()
    await station.close()


async def test_renewals_are_compared_with_the_stations_own_plan_every_five_minutes(depot: Depot) -> None:
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    for renewals in (30, 30):
        asked = len(station.got("GetCompositeSchedule"))
        for _ in range(renewals):
            await port.write_permit(permit("b2", 5_000.0))
            depot.clock.advance(COMPARE_S / 30.0)
        await until(lambda: len(station.got("GetCompositeSchedule")) > asked)  # noqa: B023 - awaited at once
        assert len(station.got("GetCompositeSchedule")) == asked + 1
    await station.close()


async def test_a_station_that_plans_more_than_it_accepted_is_asked_again_at_once_and_soon_not_trusted(
    depot: Depot,
) -> None:
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    station.scripts["GetCompositeSchedule"] = plan(33_000.0)
    for asked in (1, 2, 3):
        assert depot.board.evse("b2").follows
        await port.write_permit(permit("b2", 5_000.0))
        await until(lambda: len(station.got("GetCompositeSchedule")) == asked)  # noqa: B023 - awaited at once
        await station.call("Heartbeat", {})
    await until(lambda: not depot.board.evse("b2").follows)
    shown = depot.central.describe()[1]["outlets"][0]
    assert (shown["score"] < 0.5, shown["follows"]) == (True, False)
    await station.close()


async def test_a_station_whose_meter_shows_something_else_than_commanded_is_not_trusted(depot: Depot) -> None:
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    await port.write_permit(permit("b2", 5_000.0, valid_for_s=1e6))
    for seq in range(1, 16):
        await measured(depot, station, seq, 22_000.0)
    assert not depot.board.evse("b2").follows
    for seq in range(16, 48):
        await measured(depot, station, seq, 4_900.0)
    assert depot.board.evse("b2").follows
    await station.close()


async def test_a_station_that_does_not_answer_is_told_to_discharge_twice_and_then_only_to_stop(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet_port, "ANSWER_S", 0.05)
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    station.scripts["SetChargingProfile"] = lambda _: None
    results = [await port.write_permit(permit("b2", -30_000.0)) for _ in range(SILENT_MAX + 1)]
    assert results == ["silent"] * (SILENT_MAX + 1)
    assert limits(station) == [-2_000] * SILENT_MAX + [0]
    del station.scripts["SetChargingProfile"]
    assert await port.write_permit(permit("b2", 0.0)) == "accepted"
    assert await port.write_permit(permit("b2", -30_000.0)) == "withheld"
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_lease_by_a_clock_that_is_not_known_is_short(depot: Depot, version: Version) -> None:
    """It may begin at any time, so that it must be over soon after it has begun."""
    station = await charging(depot, version)
    depot.central.links[STATION[version]].station.clock_skew.known = False
    assert await depot.central.ports[EVSE[version]].write_permit(permit(EVSE[version], 5_000.0)) == "rejected"
    profile = station.got("SetChargingProfile")[-1]
    profile = profile.get("csChargingProfiles") or profile["chargingProfile"]
    schedule = profile["chargingSchedule"]
    assert (schedule[0] if isinstance(schedule, list) else schedule)["duration"] == 30
    await station.close()
