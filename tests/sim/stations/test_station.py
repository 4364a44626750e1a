"""A simulated station boots, tells of its sessions, obeys profiles and loses its lease; each fault does
what it says.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sim.scenarios.scenario import Fault, FaultKind, Visit
from sim.stations.outlet import Outlet
from sim.stations.profiles import ProfileStore
from sim.stations.station import Station
from sim.virtual.clock import LoopClock, stamp
from sim.virtual.loop import run_virtual
from sim.world.physics import Battery, Charger
from tests.sim.central import Central
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.site import CurvePoint, Evse

T = 1_768_000_000.0
EVSE = Evse(
    "E1",
    "main",
    100_000,
    100_000,
    4_000,
    6_000,
    "L1L2L3",
    "ocpp_profile",
    "negative_limit",
    min_discharge_w=1_000,
)


class Bench:
    """One station on a virtual loop, stepped once a second, with a small central system."""

    def __init__(self, central: Central, station: Station, charger: Charger) -> None:
        self.central = central
        self.station = station
        self.charger = charger

    async def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds)):
            await asyncio.sleep(1)
            self.charger.step(1)
            self.station.step(self.central.clock.wall_s())

    def plug(self, soc_pct: float = 60) -> None:
        """A bus arrives for ten hours."""
        battery = Battery(
            "BUS01", 280_000, soc_pct, (CurvePoint(0, 150_000), CurvePoint(100, 150_000)), 150_000
        )
        self.station.plug(1, battery, Visit("E1", "BUS01", T, T + 36_000, 90))

    def fault(self, kind: FaultKind, duration_s: float, value: float = 0) -> None:
        """Begin a fault now."""
        self.station.faults = (Fault(kind, "CS01", self.central.clock.wall_s(), duration_s, value),)

    async def set_profile(
        self, purpose: str, limit_w: float, *, duration_s: int | None = None, ident: int = 1
    ) -> str:
        """Install a profile; the answer's status, or "silent"."""
        schedule: dict[str, Any] = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": stamp(self.central.clock.wall_s()),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_w}],
        }
        profile: dict[str, Any] = {
            "id": ident,
            "stackLevel": 0,
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [schedule if duration_s is None else {**schedule, "duration": duration_s}],
        }
        if purpose == "TxProfile":
            profile["transactionId"] = self.station.outlets[1].transaction
        asked = asyncio.create_task(
            self.central.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})
        )
        for _ in range(25):
            if asked.done():
                break
            await self.pass_s(1)
        answer = await asked
        return answer["status"] if answer else "silent"


def play(story: Callable[[Bench], Awaitable[None]], version: Version = "2.0.1") -> None:
    """Run a story on a fresh bench in virtual time."""

    async def main() -> None:
        clock = LoopClock(T)
        central = Central(clock, version)
        url = await central.start()
        charger, profiles = Charger(EVSE), ProfileStore()
        station = Station("CS01", [Outlet("E1", 1, charger, profiles)], profiles, clock, url, version)
        task = asyncio.create_task(station.run())
        bench = Bench(central, station, charger)
        await bench.pass_s(2)
        await story(bench)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await central.stop()

    run_virtual(main())


def test_it_boots_and_tells_of_a_session_from_plug_to_unplug() -> None:
    async def story(bench: Bench) -> None:
        bench.plug(60.7)
        await bench.pass_s(65)
        bench.station.unplug(1)
        await bench.pass_s(1)
        central = bench.central
        assert [name for name, _ in central.calls[:3]] == [
            "BootNotification",
            "StatusNotification",
            "Heartbeat",
        ]
        events = central.said("TransactionEvent")
        assert [event["eventType"] for event in events] == ["Started", *["Updated"] * 7, "Ended"]
        assert [event["seqNo"] for event in events] == list(range(9))
        assert events[0]["idToken"]["idToken"] == "BUS01"
        needs = central.said("NotifyEVChargingNeeds")[0]["chargingNeeds"]
        assert needs["departureTime"] == stamp(T + 36_000)
        assert needs["dcChargingParameters"]["stateOfCharge"] == 60
        assert needs["dcChargingParameters"]["fullSoC"] == 90
        assert central.said("NotifyEvent")[0]["eventData"][0]["actualValue"] == "15.0"
        assert [status["connectorStatus"] for status in central.said("StatusNotification")] == [
            "Available",
            "Occupied",
            "Available",
        ]
        assert central.strays == []

    play(story)


def test_a_pending_boot_is_repeated_and_nothing_else_is_said() -> None:
    async def story(bench: Bench) -> None:
        bench.central.boot_status = "Pending"
        bench.station._booted = False
        bench.station._drop()
        bench.central.calls.clear()
        await bench.pass_s(700)
        assert {name for name, _ in bench.central.calls} == {"BootNotification"}
        assert len(bench.central.calls) >= 3
        bench.central.boot_status = "Accepted"
        await bench.pass_s(400)
        assert bench.station.accepted

    play(story)


def test_without_a_profile_it_charges_at_full_power_and_a_lease_ends_in_the_default() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.pass_s(8)
        assert bench.charger.power_w == 100_000
        assert await bench.set_profile("TxDefaultProfile", 6_000) == "Accepted"
        await bench.pass_s(3)
        assert bench.charger.power_w == 6_000
        assert await bench.set_profile("TxProfile", -40_000, duration_s=30, ident=2) == "Accepted"
        await bench.pass_s(10)
        assert bench.charger.power_w == -40_000
        assert (
            await bench.central.ask(
                "GetCompositeSchedule", {"duration": 600, "evseId": 1, "chargingRateUnit": "W"}
            )
            is not None
        )
        assert (
            bench.central.said("TransactionEvent")[-1]["meterValue"][0]["sampledValue"][1]["value"] == 40_000
        )
        await bench.pass_s(20)
        assert bench.charger.power_w >= 0, "the lease has run out"
        await bench.pass_s(3)
        assert bench.charger.power_w == 6_000

    play(story)


def test_in_2_1_a_setpoint_discharges_and_the_vehicle_says_what_it_can_give() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        period = {
            "startPeriod": 0,
            "operationMode": "CentralSetpoint",
            "setpoint": -30_000,
            "limit": 0,
            "dischargeLimit": -30_000,
        }
        schedule = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": stamp(bench.central.clock.wall_s()),
            "duration": 60,
            "chargingSchedulePeriod": [period],
        }
        profile = {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "transactionId": bench.station.outlets[1].transaction,
            "chargingSchedule": [schedule],
        }
        assert await bench.central.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": profile}) == {
            "status": "Accepted"
        }
        await bench.pass_s(10)
        assert bench.charger.power_w == -30_000
        planned = await bench.central.ask("GetCompositeSchedule", {"duration": 10, "evseId": 1})
        assert planned is not None
        assert planned["schedule"]["chargingSchedulePeriod"][0]["setpoint"] == -30_000
        needs = bench.central.said("NotifyEVChargingNeeds")[0]["chargingNeeds"]
        assert needs["v2xChargingParameters"] == {
            "maxChargePower": 100_000,
            "maxDischargePower": 100_000,
            "targetSoC": 90,
        }

    play(story, "2.1")


def test_a_reply_never_sent_is_silence_and_the_link_stays() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        bench.fault("mute", 60)
        await bench.pass_s(1)
        said = len(bench.central.calls)
        assert await bench.set_profile("TxDefaultProfile", 6_000) == "silent"
        assert len(bench.central.calls) == said
        assert bench.central.links == 1
        await bench.pass_s(60)
        assert await bench.set_profile("TxDefaultProfile", 6_000) == "Accepted"

    play(story)


def test_a_late_station_answers_late_and_in_order() -> None:
    async def story(bench: Bench) -> None:
        bench.fault("late", 100, 7)
        await bench.pass_s(1)
        before_s = bench.central.clock.now_s()
        assert await bench.set_profile("TxDefaultProfile", 6_000) == "Accepted"
        assert 7 <= bench.central.clock.now_s() - before_s <= 9

    play(story)


def test_profiles_may_be_refused_or_accepted_and_ignored() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        bench.fault("reject", 10)
        await bench.pass_s(1)
        assert await bench.set_profile("TxDefaultProfile", 6_000) == "Rejected"
        await bench.pass_s(10)
        bench.fault("ignore", 30)
        await bench.pass_s(1)
        assert await bench.set_profile("TxDefaultProfile", 6_000) == "Accepted"
        await bench.pass_s(5)
        assert bench.charger.power_w == 100_000

    play(story)


def test_a_reboot_loses_the_transaction_and_keeps_the_default() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.set_profile("TxDefaultProfile", 6_000)
        await bench.set_profile("TxProfile", -40_000, duration_s=600, ident=2)
        await bench.pass_s(5)
        bench.fault("reboot", 30)
        await bench.pass_s(2)
        assert bench.charger.power_w == 0
        await bench.pass_s(40)
        assert bench.charger.power_w == 6_000
        assert len(bench.central.said("BootNotification")) == 2
        assert [event["eventType"] for event in bench.central.said("TransactionEvent")].count("Started") == 2

    play(story)


def test_offline_it_keeps_its_profile_and_catches_up_with_history() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.set_profile("TxDefaultProfile", 6_000)
        await bench.set_profile("TxProfile", -40_000, duration_s=600, ident=2)
        await bench.pass_s(5)
        bench.fault("offline", 60)
        await bench.pass_s(30)
        assert bench.charger.power_w == -40_000
        bench.station.unplug(1)
        await bench.pass_s(45)
        assert bench.central.links == 2
        assert len(bench.central.said("BootNotification")) == 1, "a mere reconnect is no boot"
        last = bench.central.said("TransactionEvent")[-1]
        assert (last["eventType"], last["offline"]) == ("Ended", True)

    play(story)


def test_wrong_sign_stuck_meter_and_missing_soc_show_in_power_and_reports() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.set_profile("TxProfile", -40_000, duration_s=600)
        bench.fault("wrong_sign", 30)
        await bench.pass_s(10)
        assert bench.charger.power_w == 40_000
        bench.fault("stuck_meter", 60)
        await bench.pass_s(30)
        reports = [
            event["meterValue"][0]["sampledValue"] for event in bench.central.said("TransactionEvent")
        ][-2:]
        assert reports[0] == reports[1]
        bench.fault("quiet_soc", 30)
        await bench.pass_s(15)
        values = bench.central.said("TransactionEvent")[-1]["meterValue"][0]["sampledValue"]
        assert "SoC" not in {value["measurand"] for value in values}

    play(story)


def test_floods_nonsense_and_a_link_lost_in_mid_frame_reach_the_central_system() -> None:
    async def story(bench: Bench) -> None:
        bench.fault("flood", 3, 50)
        await bench.pass_s(5)
        assert len(bench.central.said("Heartbeat")) > 100
        bench.fault("nonsense", 2)
        await bench.pass_s(4)
        assert len(bench.central.strays) >= 4
        bench.fault("vanish", 10)
        await bench.pass_s(30)
        assert bench.central.links == 2
        assert bench.station.accepted

    play(story)
