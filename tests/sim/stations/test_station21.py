"""What a simulated 2.1 station does beyond 2.0.1: droops, dynamic profiles, offline limits, DER controls,
streams.
"""

from typing import Any

import pytest

from sim.virtual.clock import stamp
from tests.sim.stations.test_station import Bench, play

NOMINAL_HZ = 50.0
CURVE = [
    {"frequency": 45.0, "power": -20_000},
    {"frequency": 49.8, "power": -20_000},
    {"frequency": 49.99, "power": 0},
    {"frequency": 50.01, "power": 0},
    {"frequency": 50.2, "power": 20_000},
    {"frequency": 55.0, "power": 20_000},
]
DROOP: dict[str, Any] = {
    "startPeriod": 0,
    "operationMode": "LocalFrequency",
    "v2xBaseline": 5_000,
    "v2xFreqWattCurve": CURVE,
}
SETPOINT: dict[str, Any] = {
    "startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -30_000, "limit": 0,
    "dischargeLimit": -30_000,
}  # fmt: skip


async def lease(bench: Bench, period: dict[str, Any], kind: str = "Absolute", **changes: Any) -> str:
    """Install a TxProfile of 30 s; the status."""
    now_s = bench.central.clock.wall_s()
    schedule = {"id": 1, "chargingRateUnit": "W", "duration": 30, "chargingSchedulePeriod": [period]}
    profile = {
        "id": 2_001, "stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": kind,
        "transactionId": bench.station.outlets[1].transaction, "validTo": stamp(now_s + 60),
        "chargingSchedule": [schedule | ({"startSchedule": stamp(now_s)} if kind == "Absolute" else {})],
        **changes,
    }  # fmt: skip
    answer = await bench.central.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})
    assert answer is not None
    return str(answer["status"])


def test_the_electronics_follow_the_frequency_by_themselves_until_the_lease_ends() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.set_profile("TxDefaultProfile", 6_000)
        assert await lease(bench, DROOP) == "Accepted"
        said = len(bench.central.calls)
        for hz, power_w in ((50.0, 5_000), (49.9, 0), (49.8, -15_000), (50.2, 25_000), (47.0, -15_000)):
            bench.charger.hz = hz
            for _ in range(20):
                bench.charger.step(0.1)
            expected_w = 5_000 + 20_000 * (hz - 49.99) / 0.19 if hz == 49.9 else power_w
            assert bench.charger.power_w == pytest.approx(expected_w, abs=1.0), hz
        assert len(bench.central.calls) == said, "nobody was asked"
        await bench.pass_s(33)
        assert bench.charger.power_w == 6_000

    play(story, "2.1")


@pytest.mark.parametrize(
    "period",
    [
        {**DROOP, "limit": 10_000},
        {**DROOP, "setpoint": 10_000},
        {**DROOP, "v2xFreqWattCurve": CURVE[:1]},
        {key: value for key, value in DROOP.items() if key != "v2xBaseline"},
        {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": 0, "dischargeLimit": -1},
    ],
)
def test_a_period_that_its_operation_mode_forbids_is_refused(period: dict[str, Any]) -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        assert await lease(bench, period) == "Rejected"

    play(story, "2.1")


def test_a_dynamic_profile_ends_so_long_after_its_last_update_and_never_after_its_last_day() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.set_profile("TxDefaultProfile", 6_000)
        assert await lease(bench, SETPOINT, "Dynamic", dynUpdateInterval=15) == "Accepted"
        await bench.pass_s(20)
        update = {"setpoint": -10_000, "limit": 0, "dischargeLimit": -10_000}
        said = await bench.central.ask(
            "UpdateDynamicSchedule", {"chargingProfileId": 2_001, "scheduleUpdate": update}
        )
        assert said == {"status": "Accepted"}
        await bench.pass_s(25)
        assert bench.charger.power_w == -10_000
        await bench.central.ask(
            "UpdateDynamicSchedule", {"chargingProfileId": 2_001, "scheduleUpdate": update}
        )
        await bench.pass_s(20)
        assert bench.charger.power_w == 6_000, "validTo has passed"
        assert await lease(bench, SETPOINT, dynUpdateInterval=15) == "Rejected"
        assert await lease(bench, SETPOINT) == "Accepted"
        said = await bench.central.ask(
            "UpdateDynamicSchedule", {"chargingProfileId": 2_001, "scheduleUpdate": update}
        )
        assert said == {"status": "Rejected"}

    play(story, "2.1")


def test_without_a_link_a_lease_ends_after_its_offline_time_for_good() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.set_profile("TxDefaultProfile", 6_000)
        schedule = {"id": 1, "chargingRateUnit": "W", "duration": 3_000, "chargingSchedulePeriod": [DROOP]}
        schedule["startSchedule"] = stamp(bench.central.clock.wall_s())
        changes: dict[str, Any] = {
            "validTo": stamp(bench.central.clock.wall_s() + 3_000),
            "chargingSchedule": [schedule],
        }
        assert (
            await lease(bench, DROOP, maxOfflineDuration=30, invalidAfterOfflineDuration=True, **changes)
            == "Accepted"
        )
        bench.charger.hz = 49.8
        bench.fault("offline", 45)
        await bench.pass_s(25)
        assert bench.charger.power_w == -15_000
        await bench.pass_s(10)
        assert bench.charger.power_w == 6_000
        await bench.pass_s(20)
        assert bench.charger.power_w == 6_000

    play(story, "2.1")


def test_der_controls_are_kept_reported_in_parts_and_cleared() -> None:
    async def story(bench: Bench) -> None:
        gradient = {
            "isDefault": True,
            "controlId": "g",
            "controlType": "Gradients",
            "gradient": {"priority": 0, "gradient": 1, "softGradient": 2},
        }
        droop = {
            "priority": 0,
            "overFreq": 50.2,
            "underFreq": 49.8,
            "overDroop": 0.05,
            "underDroop": 0.05,
            "responseTime": 2,
        }
        assert await bench.central.ask("GetDERControl", {"requestId": 3}) == {"status": "NotFound"}
        for control in (
            gradient,
            {"isDefault": True, "controlId": "d", "controlType": "FreqDroop", "freqDroop": droop},
        ):
            assert await bench.central.ask("SetDERControl", control) == {"status": "Accepted"}
        await bench.central.ask("GetDERControl", {"requestId": 3})
        await bench.pass_s(2)
        first, second = bench.central.said("ReportDERControl")
        assert (first["gradient"][0]["id"], first["tbc"], "tbc" in second) == ("g", True, False)
        assert second["freqDroop"] == [
            {"id": "d", "freqDroop": droop, "isDefault": True, "isSuperseded": False}
        ]
        assert await bench.central.ask("ClearDERControl", {"isDefault": True, "controlId": "g"}) == {
            "status": "Accepted"
        }
        assert await bench.central.ask("ClearDERControl", {"isDefault": True, "controlId": "g"}) == {
            "status": "NotFound"
        }

    play(story, "2.1")
