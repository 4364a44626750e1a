"""Firmware in waves at simulated stations of all versions, over the real protocol, in virtual time."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from sim.scenarios.scenario import Fault, Version, Visit
from sim.stations.outlet import Outlet
from sim.stations.profiles import ProfileStore
from sim.stations.station import Station
from sim.virtual.clock import LoopClock
from sim.virtual.loop import run_virtual
from sim.world.physics import Battery, Charger
from tests.depot import small_site
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.upkeep.maintenance import SITE
from v2g_edge.model.settings import Listener, StationEvse, StationSettings
from v2g_edge.model.site import CurvePoint

T = 1_767_268_800.0
PORT = 8081
COUNT = 6
MAKES: dict[Version, str] = {
    "1.6": "v2g-edge sim/SimBidi 16",
    "2.0.1": "v2g-edge sim/SimBidi 100",
    "2.1": "v2g-edge sim/SimBidi 100",
}
NEW = {
    "version": "2.0",
    "location": "https://user:secret@files.example/simbidi-2.0.bin",
    "soak_s": 60,
    "deadline_s": 300,
}
SIGNED = {"signature": "c2ln", "certificate": "-----BEGIN CERTIFICATE-----"}


class Site:
    """Six stations of one version at a central system; ``pass_s`` lets time go by."""

    def __init__(self, version: Version, folder: Path) -> None:
        self.clock = LoopClock(T)
        self._folder = folder
        self._site = small_site(COUNT)
        self._board = Board(self._site, lambda: None)
        self.central = self._central()
        self.stations: dict[str, Station] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for evse in self._site.evses:
            profiles = ProfileStore()
            name = f"cs{evse.id[1:]}"
            outlet = Outlet(evse.id, 1, Charger(evse), profiles)
            self.stations[name] = Station(
                name, [outlet], profiles, self.clock, f"ws://127.0.0.1:{PORT}", version
            )

    def _central(self, gone: str = "") -> CentralSystem:
        stations = [StationSettings(f"cs{evse.id[1:]}", (StationEvse(evse.id),)) for evse in self._site.evses]
        stations = [station for station in stations if station.identity != gone]
        return CentralSystem(
            [Listener("127.0.0.1", PORT, 0)],
            stations,
            self._site,
            self._board,
            self.clock,
            state_dir=self._folder,
        )

    async def start(self) -> None:
        await self.central.start()
        self._tasks = [asyncio.create_task(station.run()) for station in self.stations.values()]
        await self.pass_s(30)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.central.stop()

    async def restart(self, gone: str = "") -> None:
        """Another daemon on the same state folder, perhaps with one station less in its site file."""
        await self.central.stop()
        self.central = self._central(gone)
        await self.central.start()

    async def pass_s(self, duration_s: float) -> None:
        for _ in range(int(duration_s)):
            for station in self.stations.values():
                station.step(self.clock.wall_s())
            await asyncio.sleep(1.0)

    async def ask(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self.central.perform(SITE, operation, params)

    async def phases(self) -> dict[str, str]:
        told = await self.ask("rollout-status")
        return {each["station"]: each["phase"] for each in told["stations"]}

    async def until(self, state: str, patience_s: int = 3_000) -> dict[str, Any]:
        for _ in range(patience_s // 10):
            told = await self.ask("rollout-status")
            if told["state"] == state:
                return told
            await self.pass_s(10)
        pytest.fail(f"not {state} after {patience_s} s: {told}")

    def fault(self, station: str, kind: Any, duration_s: float = 1e6) -> None:
        self.stations[station].faults = (Fault(kind, station, self.clock.wall_s(), duration_s),)

    def plug(self, name: str) -> None:
        station = self.stations[name]
        wall_s = self.clock.wall_s()
        battery = Battery("bus-1", 250_000, 50, (CurvePoint(0, 2e5), CurvePoint(100, 2e5)), 2e5)
        station.plug(1, battery, Visit(station.outlets[1].evse, "bus-1", wall_s, wall_s + 1e5, 80.0, 50.0))


def play(version: Version, folder: Path, story: Callable[[Site], Awaitable[None]]) -> None:
    async def main() -> None:
        site = Site(version, folder)
        await site.start()
        await story(site)
        await site.stop()

    run_virtual(main())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_three_waves_go_through_one_after_the_other(tmp_path: Path, version: Version, signed: bool) -> None:
    async def story(site: Site) -> None:
        begun = await site.ask(
            "rollout", make=MAKES[version], waves=[1, "30%"], **NEW, **(SIGNED if signed else {})
        )
        assert [each["wave"] for each in begun["stations"]] == [1, 2, 2, 3, 3, 3]
        seen = []
        for _ in range(100):
            await site.pass_s(10)
            seen.append({name: station.firmware.version for name, station in site.stations.items()})
            if (await site.ask("rollout-status"))["state"] == "finished":
                break
        versions = [sum(version == "2.0" for version in each.values()) for each in seen]
        assert sorted(set(versions)) == [0, 1, 3, 6]
        told = await site.ask("rollout-status")
        assert {each["phase"] for each in told["stations"]} == {"good"}
        assert {each["firmware"] for each in site.central.describe()} == {"2.0"}

    with structlog.testing.capture_logs() as logs:
        play(version, tmp_path, story)
    assert "secret" not in json.dumps(logs, default=str)
    assert [each["wave"] for each in logs if each["event"] == "rollout_goes_on"] == [2, 3]
    assert [each for each in logs if each["event"] == "rollout_finished"]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("bad_firmware", "cs2: InstallationFailed"),
        ("lost_in_update", "cs2: nothing new after Installing for 30"),
    ],
)
def test_a_failure_in_the_second_wave_keeps_the_third_from_it(
    tmp_path: Path, version: Version, fault: str, why: str
) -> None:
    async def story(site: Site) -> None:
        site.fault("cs2", fault)
        await site.ask("rollout", make=MAKES[version], waves=[1, 2], **NEW)
        told = await site.until("stopped")
        assert why in told["why"]
        await site.pass_s(600)
        assert await site.phases() == dict.fromkeys(["cs1", "cs3"], "good") | {
            "cs2": "failed"
        } | dict.fromkeys(["cs4", "cs5", "cs6"], "waiting")
        site.stations["cs2"].faults = ()
        await site.pass_s(60)
        await site.ask("rollout-continue", retry=True)
        await site.until("finished")
        assert {station.firmware.version for station in site.stations.values()} == {"2.0"}

    play(version, tmp_path, story)


@pytest.mark.parametrize("version", ["1.6", "2.1"])
def test_nobody_begins_while_a_vehicle_stands_there(tmp_path: Path, version: Version) -> None:
    async def story(site: Site) -> None:
        site.plug("cs1")
        await site.pass_s(30)
        await site.ask("rollout", make=MAKES[version], waves=[1], **NEW)
        await site.pass_s(300)
        told = (await site.ask("rollout-status"))["stations"][0]
        assert (told["phase"], told["station"]) == ("waiting", "cs1")
        assert told["why"].startswith("waits: transaction ")
        assert told["why"].endswith(" at b1")
        site.stations["cs1"].unplug(1)
        await site.until("finished")

    play(version, tmp_path, story)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_it_goes_on_where_it_was_after_a_restart_of_the_daemon(tmp_path: Path, version: Version) -> None:
    """In the middle of a station's installation, and again in its soak time."""

    async def story(site: Site) -> None:
        await site.ask("rollout", make=MAKES[version], waves=[1], **NEW)
        await site.pass_s(35)
        assert (await site.phases())["cs1"] == "updating"
        await site.restart()
        assert (await site.phases())["cs1"] == "updating"
        for _ in range(20):
            await site.pass_s(10)
            if (await site.phases())["cs1"] == "soaking":
                break
        await site.restart()
        assert (await site.phases())["cs1"] == "soaking"
        await site.until("finished")

    play(version, tmp_path, story)


def test_a_station_that_left_the_site_file_stops_it_like_one_that_never_comes_back(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.ask("rollout", make=MAKES["2.0.1"], waves=[1], **NEW)
        await site.pass_s(30)
        await site.restart(gone="cs1")
        told = await site.until("stopped")
        assert told["why"].startswith("cs1: nothing new after")
        await site.ask("rollout-continue")
        await site.until("finished")

    play("2.0.1", tmp_path, story)


def test_what_cannot_be_read_any_more_is_forgotten(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.ask("rollout", make=MAKES["2.0.1"], **NEW)
        await site.central.stop()
        with sqlite3.connect(tmp_path / "ocpp.sqlite") as database:
            database.execute("UPDATE facts SET value = '{}' WHERE key = 'rollout'")
        database.close()
        site.central = site._central()
        await site.central.start()
        with pytest.raises(ValueError, match="there is no roll-out"):
            await site.ask("rollout-status")

    play("2.0.1", tmp_path, story)


def test_an_operator_aborts_and_begins_another(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        make = MAKES["2.1"]
        await site.ask("rollout", make=make, **NEW)
        with pytest.raises(ValueError, match="a roll-out is running; `rollout-abort` ends it"):
            await site.ask("rollout", make=make, **NEW)
        await site.pass_s(5)
        told = await site.ask("rollout-abort")
        assert (told["state"], told["location"]) == ("aborted", "https://files.example/simbidi-2.0.bin")
        assert [each["phase"] for each in told["stations"]] == ["updating"] + ["skipped"] * 5
        await site.ask("rollout", make=make, stations=["cs3"], **NEW)
        await site.until("finished")

    play("2.1", tmp_path, story)


def test_what_cannot_be_rolled_out_is_named(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        make = MAKES["2.1"]
        for params, text in (
            (
                {"make": "x/y", **NEW},
                r"no station of make 'x/y' \(vendor/model\); known makes: v2g-edge sim/SimBidi 100",
            ),
            ({"make": make, **NEW, "stations": ["cs9"]}, "cs9 is not in the site file, not"),
            ({"make": make, **NEW, "waves": ["x"]}, "a wave is a number of stations or a share"),
            ({"make": make, **NEW, "waves": "1"}, "waves is a list"),
            ({"make": make, **NEW, "busy": "hit"}, 'busy is "wait" or "skip"'),
            ({"make": make, **NEW, "soak_s": 0}, "above 0"),
            ({"make": make, **NEW, "signature": "x"}, "give both or neither"),
            ({"make": make}, "version is missing; rollout takes make, version, location"),
        ):
            with pytest.raises(ValueError, match=text):
                await site.ask("rollout", **params)
        for operation in ("rollout-status", "rollout-continue", "rollout-abort"):
            with pytest.raises(ValueError, match="there is no roll-out"):
                await site.ask(operation)

    play("2.1", tmp_path, story)
