"""What the depot leaves of what an upstream asked for is told there: what is true now, and not too often."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.upstream.conftest import ForwardedDepot, Upstream
from tests.field.ocpp.upstream.test_downward import profile_16
from tests.field.ocpp.upstream.test_forwarding import BOOT_16, BOOT_201, at, started, stopped
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.limit_reports import REPORT_S, Limited, LimitReports, left_by
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.schemas import problems
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import UpstreamSettings
from v2g_edge.model.snapshot import Operator

RATING_W = 22_000.0
SETTINGS = UpstreamSettings("csms", "ws://csms", limit_vendor_id="com.example")


def reports() -> LimitReports:
    return LimitReports(SETTINGS, "csms/cp1", SqliteStore(":memory:", lambda: 1.8e9))


def permit(evse: str, power_w: float, rule: str = "feeder_import", source: str = "meter") -> Permit:
    return Permit(evse, power_w, 0.0, power_w, 60.0, True, power_w, Bound(0.0, power_w, rule, source))


@given(
    st.lists(
        st.one_of(st.none(), st.tuples(st.floats(-RATING_W, RATING_W), st.sampled_from(["EMS", "SO"]))),
        max_size=400,
    ),
    st.sampled_from(["1.6", "2.0.1", "2.1"]),
)
@settings(max_examples=60, deadline=None)
async def test_reports_conform_are_bounded_and_end_with_what_is_true(
    seen: list[tuple[float, str] | None], version: Version
) -> None:
    told, now_s, sent = reports(), 0.0, 0
    upstream: Limited | None = None
    last = seen[-1] if seen else None
    for each in [*seen, *[last] * 130]:
        if each is None:
            told.see_idle(1)
        else:
            told.see(1, RATING_W, Limited(each[1], max(each[0], 0.0)))
        while (report := told.due(version, now_s)) is not None:
            assert problems(version, report.action, "request", report.payload) == ()
            sent += 1
            upstream = report.known
            told.answered(report, now_s)
        now_s += 1.0
    assert sent <= 2 * (now_s / REPORT_S + 1)
    if last is None or last[0] >= 0.9 * RATING_W:
        assert upstream is None
    else:
        assert upstream is not None
        assert upstream.source == last[1]
        assert abs(upstream.power_w - max(last[0], 0.0)) < 0.1 * RATING_W


@pytest.mark.parametrize(
    ("rule", "source", "dimmed", "told"),
    [
        ("feeder_import", "meter", False, "EMS"),
        ("feeder_import", "meter", True, "SO"),
        ("wish", "plan", True, "EMS"),
        ("outside_limit", "upstream other: profile 3", False, "Other"),
        ("outside_limit", "grid operator", False, "SO"),
    ],
)
def test_a_limit_names_whose_it_is(rule: str, source: str, dimmed: bool, told: str) -> None:
    assert left_by(permit("b1", 5_000.0, rule, source), dimmed=dimmed) == Limited(told, 5_000.0)


async def test_what_was_told_is_cleared_after_a_restart_too() -> None:
    store = SqliteStore(":memory:", lambda: 1.8e9)
    first = LimitReports(SETTINGS, "csms/cp1", store)
    first.see(1, RATING_W, Limited("EMS", 5_000.0))
    report = first.due("2.0.1", 0.0)
    assert report is not None
    first.answered(report, 0.0)
    second = LimitReports(SETTINGS, "csms/cp1", store)
    second.see_idle(1)
    cleared = second.due("2.0.1", 0.0)
    assert cleared is not None
    assert cleared.action == "ClearedChargingLimit"
    assert cleared.payload == {"chargingLimitSource": "EMS", "evseId": 1}


@pytest.fixture
async def depot(tmp_path: Path, upstream: Upstream) -> AsyncIterator[ForwardedDepot]:
    depot = ForwardedDepot(tmp_path, upstream.url, limit_vendor_id="com.example")
    upstream.begin()
    await depot.central.start()
    yield depot
    await depot.central.stop()


def observe(depot: ForwardedDepot, evse: str, power_w: float, *limits: CapacityLimit) -> None:
    operator = replace(Operator(), limits=limits)
    depot.central.upstreams.observe([permit(evse, power_w)], operator, depot.clock.wall_s())


def reported(upstream: Upstream, station: str) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in upstream.calls(station) if call[0].endswith(("ChargingLimit", "DataTransfer"))]


async def told(depot: ForwardedDepot, station: str, upstream: Upstream, count: int) -> None:
    """Until so many reports are there, and their answers here; then a minute passes."""
    (forwarder,) = depot.central.upstreams.taps[station].forwarders
    version: Version = "1.6" if station == "old" else "2.0.1"
    await until(lambda: len(reported(upstream, station)) == count)
    await until(lambda: forwarder.reports.due(version, depot.clock.now_s()) is None)
    depot.clock.advance(REPORT_S + 1.0)


async def test_a_2_0_1_upstream_hears_of_a_limit_and_of_its_end(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await Peer.dial(depot.port, "new", "2.0.1")
    await station.call("BootNotification", BOOT_201)
    event: dict[str, Any] = {
        "eventType": "Started", "timestamp": at(depot), "triggerReason": "Authorized", "seqNo": 0,
        "transactionInfo": {"transactionId": "t-1"}, "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": "card", "type": "ISO14443"},
    }  # fmt: skip
    await station.call("TransactionEvent", event)
    await depot.settled("new")
    rating_w = depot.site.evses[1].max_charge_w
    observe(depot, "b2", 0.5 * rating_w)
    await told(depot, "new", upstream, 1)
    observe(depot, "b2", 0.0, CapacityLimit("import", 4_000.0, 0.0, 0.0, "grid operator"))
    await told(depot, "new", upstream, 3)
    observe(depot, "b2", rating_w)
    await told(depot, "new", upstream, 4)
    (first, limit), (second, _), (third, dimmed), (fourth, cleared) = reported(upstream, "new")
    assert [first, third] == ["NotifyChargingLimit"] * 2
    assert [second, fourth] == ["ClearedChargingLimit"] * 2
    assert limit["chargingLimit"] == {"chargingLimitSource": "EMS"}
    (period,) = limit["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert period == {"startPeriod": 0, "limit": 0.5 * rating_w}
    assert dimmed["chargingLimit"] == {"chargingLimitSource": "SO"}
    assert cleared == {"chargingLimitSource": "SO", "evseId": 1}


async def test_a_1_6_upstream_hears_under_a_vendor_id_and_its_own_limits_are_none_of_ours(
    depot: ForwardedDepot, upstream: Upstream
) -> None:
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    number = await started(depot, station)
    await depot.settled("old")
    upstream.call("old", "SetChargingProfile", connector_id=1, cs_charging_profiles=profile_16(6_000.0))
    await until(lambda: upstream.answers("old"))
    observe(depot, "b1", 6_000.0)  # what it asked for
    observe(depot, "b1", 2_000.0)
    await told(depot, "old", upstream, 1)
    await stopped(depot, station, number, 500)
    observe(depot, "b1", 0.0)
    await told(depot, "old", upstream, 2)
    assert [json.loads(call["data"]) for _, call in reported(upstream, "old")] == [
        {"connectorId": 1, "source": "EMS", "limit_w": 2_000.0},
        {"connectorId": 1, "source": "EMS", "cleared": True},
    ]


async def test_an_upstream_that_does_not_take_reports_is_left_alone(
    tmp_path: Path, upstream: Upstream
) -> None:
    depot = ForwardedDepot(tmp_path, upstream.url, limit_vendor_id="org.unknown")
    upstream.begin()
    await depot.central.start()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    await started(depot, station)
    await depot.settled("old")
    for power_w in (2_000.0, 9_000.0):
        observe(depot, "b1", power_w)
        await until(lambda: depot.central.upstreams.taps["old"].forwarders[0].reports.refused)
        depot.clock.advance(REPORT_S + 1.0)
    assert len(reported(upstream, "old")) == 1
    assert len([line for line in depot.news() if "UnknownVendorId" in line]) == 1
    await depot.central.stop()
