"""A simulated 1.6 station: transactions under the central system's ids, MeterValues, leases, settings,
remote start and stop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sim.scenarios.scenario import Fault, Visit
from sim.stations.outlet import Outlet
from sim.stations.profiles import ProfileStore
from sim.stations.station import Station
from sim.virtual.clock import LoopClock, stamp
from sim.virtual.loop import run_virtual
from sim.world.physics import Battery, Charger
from tests.sim.central import Central
from v2g_edge.field.ocpp.vocabulary.charging_profiles import Lease, default_profile, lease_profile
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
    """One 1.6 station on a virtual loop, stepped once a second, with a small central system."""

    def __init__(self, central: Central, station: Station, charger: Charger) -> None:
        self.central, self.station, self.charger = central, station, charger

    async def pass_s(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            await asyncio.sleep(1)
            self.charger.step(1)
            self.station.step(self.central.clock.wall_s())

    def plug(self) -> None:
        """A bus arrives."""
        battery = Battery("BUS01", 280_000, 60.0, (CurvePoint(0, 150_000), CurvePoint(100, 150_000)), 150_000)
        self.station.plug(1, battery, Visit("E1", "BUS01", T, T + 36_000, 90))

    async def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Call the station while time passes; {} when it refuses or stays silent."""
        asked = asyncio.create_task(self.central.ask(action, payload))
        while not asked.done():
            await self.pass_s(1)
        return await asked or {}

    async def lease(self, power_w: float, duration_s: int) -> str:
        """Set a lease exactly as the daemon writes it."""
        lease = Lease(1, "41", power_w, self.central.clock.wall_s(), duration_s)
        return str((await self.ask("SetChargingProfile", lease_profile("1.6", lease))).get("status"))


def play(story: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a story on a fresh bench in virtual time."""

    async def main() -> None:
        clock = LoopClock(T)
        central = Central(clock, "1.6")
        url = await central.start()
        charger, profiles = Charger(EVSE), ProfileStore()
        station = Station("CS01", [Outlet("E1", 1, charger, profiles)], profiles, clock, url, "1.6")
        task = asyncio.create_task(station.run())
        bench = Bench(central, station, charger)
        await bench.pass_s(2)
        await story(bench)
        assert central.strays == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await central.stop()

    run_virtual(main())


def test_a_session_runs_under_the_id_that_the_central_system_gave() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.pass_s(65)
        bench.station.unplug(1)
        await bench.pass_s(1)
        said = bench.central.said
        started = said("StartTransaction")
        assert [(call["idTag"], call["meterStart"]) for call in started] == [("BUS01", 0)]
        assert [call["transactionId"] for call in said("StopTransaction")] == [41]
        assert said("StopTransaction")[0]["meterStop"] > 0
        values = said("MeterValues")
        assert len(values) >= 5
        assert {call["transactionId"] for call in values} == {41}
        assert [call["status"] for call in said("StatusNotification")] == [
            "Available",
            "Preparing",
            "Charging",
            "Available",
        ]

    play(story)


def test_a_lease_discharges_by_a_negative_limit_and_ends_in_the_default_profile() -> None:
    async def story(bench: Bench) -> None:
        default = default_profile("1.6", 1, EVSE.fallback_w)
        assert (await bench.ask("SetChargingProfile", default))["status"] == "Accepted"
        bench.plug()
        await bench.pass_s(10)
        assert bench.charger.power_w == EVSE.fallback_w
        assert await bench.lease(-40_000.0, 30) == "Accepted"
        await bench.pass_s(10)
        assert bench.charger.power_w == -40_000.0
        periods = (await bench.ask("GetCompositeSchedule", {"connectorId": 1, "duration": 60}))[
            "chargingSchedule"
        ]
        assert [period["limit"] for period in periods["chargingSchedulePeriod"]] == [
            -40_000.0,
            EVSE.fallback_w,
        ]
        values = bench.central.said("MeterValues")[-1]["meterValue"][0]["sampledValue"]
        assert {"40000.0"} == {each["value"] for each in values if each["measurand"] == "Power.Active.Export"}
        await bench.pass_s(30)
        assert bench.charger.power_w == EVSE.fallback_w

    play(story)


def test_a_profile_of_another_transaction_is_refused() -> None:
    async def story(bench: Bench) -> None:
        assert await bench.lease(-40_000.0, 30) == "Rejected"
        bench.plug()
        await bench.pass_s(2)
        other = lease_profile("1.6", Lease(1, "40", 10_000.0, bench.central.clock.wall_s(), 30))
        assert (await bench.ask("SetChargingProfile", other))["status"] == "Rejected"

    play(story)


def test_it_reports_what_its_configuration_lists_as_often_as_it_says() -> None:
    async def story(bench: Bench) -> None:
        async def change(key: str, value: str) -> str:
            return str((await bench.ask("ChangeConfiguration", {"key": key, "value": value}))["status"])

        assert await change("MeterValuesSampledData", "Power.Active.Import,SoC") == "Accepted"
        assert await change("MeterValuesSampledData", "Power.Active.Import,Wishes") == "Rejected"
        assert await change("MeterValueSampleInterval", "30") == "Accepted"
        assert await change("MeterValueSampleInterval", "soon") == "Rejected"
        assert await change("NoSuchKey", "1") == "NotSupported"
        shown = await bench.ask("GetConfiguration", {"key": ["MeterValueSampleInterval", "NoSuchKey"]})
        assert shown["configurationKey"][0]["value"] == "30"
        assert shown["unknownKey"] == ["NoSuchKey"]
        bench.plug()
        await bench.pass_s(75)
        values = bench.central.said("MeterValues")
        assert len(values) == 3  # the first after 10 s, as it was before anybody asked
        assert {each["measurand"] for each in values[0]["meterValue"][0]["sampledValue"]} == {
            "Power.Active.Import",
            "SoC",
        }

    play(story)


def test_a_start_that_the_outage_swallowed_is_made_up_for_with_the_time_of_the_plug_in() -> None:
    async def story(bench: Bench) -> None:
        bench.station.faults = (Fault("offline", "CS01", bench.central.clock.wall_s(), 60.0),)
        await bench.pass_s(5)
        bench.plug()
        plugged_wall_s = bench.central.clock.wall_s()
        await bench.pass_s(20)
        assert bench.central.said("StartTransaction") == []
        await bench.pass_s(60)
        assert [call["timestamp"] for call in bench.central.said("StartTransaction")] == [
            stamp(plugged_wall_s)
        ]
        assert bench.station.outlets[1].transaction == "41"

    play(story)


def test_a_vehicle_that_left_before_its_start_was_answered_leaves_no_open_transaction() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        bench.station.unplug(1)
        await bench.pass_s(3)
        assert len(bench.central.said("StartTransaction")) == 1
        assert [call["transactionId"] for call in bench.central.said("StopTransaction")] == [41]

    play(story)


def test_remote_stop_ends_the_flow_and_remote_start_begins_a_new_transaction() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.pass_s(10)
        assert (await bench.ask("RemoteStopTransaction", {"transactionId": 7}))["status"] == "Rejected"
        assert (await bench.ask("RemoteStopTransaction", {"transactionId": 41}))["status"] == "Accepted"
        await bench.pass_s(10)
        assert bench.charger.power_w == 0.0
        assert len(bench.central.said("StartTransaction")) == 1
        assert (await bench.ask("RemoteStartTransaction", {"idTag": "BUS01"}))["status"] == "Accepted"
        await bench.pass_s(10)
        assert len(bench.central.said("StartTransaction")) == 2
        assert bench.charger.power_w > 0.0

    play(story)


def test_a_trigger_brings_the_message_and_an_unknown_one_is_said_to_be_unknown() -> None:
    async def story(bench: Bench) -> None:
        before = len(bench.central.said("StatusNotification"))
        for wanted in ("StatusNotification", "MeterValues", "Heartbeat"):
            assert (await bench.ask("TriggerMessage", {"requestedMessage": wanted}))["status"] == "Accepted"
        assert (await bench.ask("TriggerMessage", {"requestedMessage": "DiagnosticsStatusNotification"}))[
            "status"
        ] == "NotImplemented"
        assert len(bench.central.said("StatusNotification")) == before + 1
        assert len(bench.central.said("MeterValues")) == 1

    play(story)


def test_losing_supply_ends_the_transaction_and_begins_another() -> None:
    async def story(bench: Bench) -> None:
        bench.plug()
        await bench.pass_s(5)
        assert (await bench.ask("Reset", {"type": "Hard"}))["status"] == "Accepted"
        await bench.pass_s(60)
        assert [call["reason"] for call in bench.central.said("StopTransaction")] == ["PowerLoss"]
        assert len(bench.central.said("StartTransaction")) == 2
        assert len(bench.central.said("BootNotification")) == 2

    play(story)
