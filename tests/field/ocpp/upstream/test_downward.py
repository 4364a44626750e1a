"""What an upstream may do: by policy, and never power."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.field.ocpp.peer import AT, AT_S, Peer, until
from tests.field.ocpp.upstream.conftest import ForwardedDepot, Upstream
from tests.field.ocpp.upstream.test_forwarding import BOOT_16, BOOT_201, started
from v2g_edge.config.keys.external_systems import ALLOW
from v2g_edge.field.ocpp.upstream.policy import FORWARDED, GROUPS
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL, FROM_STATION
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.snapshot import Operator
from v2g_edge.wiring.external_limits import ExternalLimits


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """One process for all tests of this module: none of them kills it."""
    process = Upstream(tmp_path_factory.mktemp("upstream"))
    process.begin()
    yield process
    process.kill()


@pytest.fixture
def upstream(running: Upstream) -> Upstream:
    """It has heard of nothing."""
    running.log.write_text("")
    return running


@pytest.fixture
async def depot(tmp_path: Path, upstream: Upstream) -> AsyncIterator[ForwardedDepot]:
    """A 1.6 and a 2.0.1 station are connected upstream."""
    depot = ForwardedDepot(tmp_path, upstream.url)
    await depot.central.start()
    yield depot
    await depot.central.stop()


async def station_of(depot: ForwardedDepot, version: Any = "1.6") -> Peer:
    identity = "old" if version == "1.6" else "new"
    station = await Peer.dial(depot.port, identity, version)
    await station.call("BootNotification", BOOT_16 if version == "1.6" else BOOT_201)
    await depot.settled(identity)
    await until(lambda: depot.board.evse("b1" if version == "1.6" else "b2").dead_man_ok)
    return station


def profile_16(limit: float, **changes: Any) -> dict[str, Any]:
    return {
        "chargingProfileId": 7, "stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
            "startSchedule": AT,
        },
        **changes,
    }  # fmt: skip


async def test_a_profile_becomes_a_limit_and_never_reaches_the_charger(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await station_of(depot)
    before = len(station.got("SetChargingProfile"))
    upstream.call("old", "SetChargingProfile", connector_id=1, cs_charging_profiles=profile_16(6_000.0))
    await until(lambda: upstream.answers("old") == [{"status": "Accepted"}])
    (limit,) = depot.central.upstreams.limits_at(depot.clock.wall_s())
    assert (limit.evse, limit.power_w, limit.direction) == ("b1", 6_000.0, "import")
    assert limit.source == "upstream csms: profile 7 (TxDefaultProfile)"
    snapshot = depot.board.freeze(1.0, AT_S, clock_synced=True, operator=Operator())
    seen = ExternalLimits((depot.central.upstreams.limits_at,), lambda _: None).limited(snapshot)
    assert seen.operator.limits == (limit,)
    sent = [call["csChargingProfiles"] for call in station.got("SetChargingProfile")[before:]]
    assert not [each for each in sent if each["chargingProfileId"] == 7]
    await depot.restart()
    assert depot.central.upstreams.limits_at(depot.clock.wall_s()) == (limit,)


@pytest.mark.parametrize("ahead_s", [7_200.0, -7_200.0])
async def test_a_profile_begins_with_its_transaction_by_our_clock(
    depot: ForwardedDepot, upstream: Upstream, ahead_s: float
) -> None:
    """A station whose clock is hours off starts it in the future, or long ago: the limit would not hold."""
    station = await station_of(depot)
    skew = depot.central.links["old"].station.clock_skew
    skew.offset_s, skew.known = ahead_s, True
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": format_wall(AT_S + ahead_s)}
    await station.call("StartTransaction", start)
    schedule = {
        "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6_000.0}],
        "duration": 3_600,
    }  # fmt: skip
    profile = profile_16(0.0, chargingProfileKind="Relative", chargingSchedule=schedule)
    upstream.call("old", "SetChargingProfile", connector_id=1, cs_charging_profiles=profile)
    await until(lambda: {"status": "Accepted"} in upstream.answers("old"))
    (limit,) = depot.central.upstreams.limits_at(AT_S + 60.0)
    assert limit.power_w == 6_000.0
    assert limit.until_wall_s == pytest.approx(AT_S + 3_600.0, abs=1.0)
    await station.close()


async def test_a_profile_that_asks_for_discharge_is_rejected_and_said(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    await station_of(depot)
    upstream.call("old", "SetChargingProfile", connector_id=1, cs_charging_profiles=profile_16(-6_000.0))
    await until(lambda: upstream.answers("old") == [{"status": "Rejected"}])
    assert depot.central.upstreams.limits_at(depot.clock.wall_s()) == ()
    assert any("below 0 asks for discharge" in line for line in depot.news())


async def test_a_stop_from_upstream_reaches_the_station_under_its_own_number(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await station_of(depot)
    number = await started(depot, station)
    await depot.settled("old")
    upstream.call("old", "RemoteStopTransaction", transaction_id=9_001)
    await until(lambda: station.got("RemoteStopTransaction"))
    assert station.got("RemoteStopTransaction") == [{"transactionId": number}]
    await until(lambda: upstream.answers("old") == [{"status": "Accepted"}])
    upstream.call("old", "RemoteStopTransaction", transaction_id=77)
    await until(lambda: upstream.answers("old")[1:] == [{"status": "Rejected"}])


async def test_what_the_site_file_does_not_allow_is_rejected_and_said_once(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await station_of(depot)
    for _ in range(2):
        upstream.call("old", "Reset", type="Hard")
        upstream.call("old", "ChangeConfiguration", key="HeartbeatInterval", value="5")
    await until(lambda: upstream.answers("old") == [{"status": "Rejected"}] * 4)
    assert station.got("Reset") == []
    assert len([line for line in depot.news() if "is rejected" in line]) == 2


async def test_a_remote_start_of_2_0_1_goes_down_without_its_profile(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await station_of(depot, "2.0.1")
    profile = {
        "id": 3, "stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": [{
            "id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}],
        }],
    }  # fmt: skip
    upstream.call(
        "new", "RequestStartTransaction", evse_id=1, remote_start_id=5,
        id_token={"idToken": "card", "type": "Central"}, charging_profile=profile,
    )  # fmt: skip
    await until(lambda: upstream.answers("new"))
    (asked,) = station.got("RequestStartTransaction")
    assert "chargingProfile" not in asked
    (limit,) = depot.central.upstreams.limits_at(depot.clock.wall_s())
    assert limit.evse == "b2"
    assert limit.power_w == pytest.approx(10.0 * 230.0 * 3)


def test_the_tables_of_the_policy_name_messages_that_exist() -> None:
    for version, actions in FORWARDED.items():
        assert actions <= FROM_STATION[version]
    assert set().union(*GROUPS.values()) <= set().union(*FROM_CENTRAL.values())
    assert rf"^({'|'.join(GROUPS)})$" == ALLOW
