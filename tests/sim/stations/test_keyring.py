"""A simulated station's password and root certificates change as the central system asks; real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from sim.scenarios.scenario import Version
from sim.stations.keyring import Keyring
from sim.stations.outlet import Outlet
from sim.stations.profiles import ProfileStore
from sim.stations.station import Station
from sim.virtual.clock import LoopClock
from sim.world.physics import Charger
from tests.depot import small_site
from tests.field.ocpp.peer import until
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.trust.pki import SiteCa
from v2g_edge.model.settings import Listener, StationEvse, StationSettings

PASSWORD = "0123456789abcdef"
SCALE = 10.0


@asynccontextmanager
async def running(
    tmp_path: Path, version: Version
) -> AsyncIterator[tuple[CentralSystem, Station, list[Any]]]:
    """A station at a listener that asks for a password; its central system, and the log."""
    (tmp_path / "password").write_text(PASSWORD, encoding="ascii")
    site, clock = small_site(1), LoopClock(time.time(), SCALE)
    settings = StationSettings("cs1", (StationEvse("b1"),), password_file=str(tmp_path / "password"))
    central = CentralSystem(
        [Listener("127.0.0.1", 0, 1)], [settings], site, Board(site, lambda: None), clock, state_dir=tmp_path
    )
    await central.start()
    profiles = ProfileStore()
    outlet = Outlet("b1", 1, Charger(site.evses[0]), profiles)
    station = Station("cs1", [outlet], profiles, clock, f"ws://localhost:{central.bound_port()}", version)
    station.keyring = Keyring(password=PASSWORD)
    tasks = [asyncio.create_task(station.run()), asyncio.create_task(steps(station, clock))]
    with structlog.testing.capture_logs() as logs:
        try:
            await until(lambda: [each for each in logs if each["event"] == "station_booted"])
            yield central, station, logs
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await central.stop()


async def steps(station: Station, clock: LoopClock) -> None:
    while True:
        station.step(clock.wall_s())
        await clock.sleep_s(1.0)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_new_password_is_taken_and_used(tmp_path: Path, version: Version) -> None:
    async with running(tmp_path, version) as (central, station, logs):
        done = await central.perform("cs1", "new-password", {})
        assert (done["outcome"], done["status"]) == ("done", "Accepted")
        await until(lambda: [each for each in logs if each["event"] == "station_password_changed"], 20.0)
        await until(lambda: len([each for each in logs if each["event"] == "station_connected"]) == 2, 20.0)
        assert station.keyring.password != PASSWORD
        assert [each for each in logs if each["event"] == "station_refused"] == []


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_roots_are_installed_listed_and_deleted(tmp_path: Path, version: Version) -> None:
    kind = "CentralSystemRootCertificate" if version == "1.6" else "CSMSRootCertificate"
    SiteCa.create(tmp_path / "other", "Depot", time.time())
    pem = (tmp_path / "other" / "ca.pem").read_text(encoding="ascii")
    async with running(tmp_path, version) as (central, _, _logs):

        async def ask(operation: str, **params: Any) -> Any:
            return (await central.perform("cs1", operation, params))["payload"]

        assert await ask("certificates", type=kind) == {"status": "NotFound"}
        assert await ask("install-certificate", type=kind, pem="nothing") == {"status": "Rejected"}
        assert await ask("install-certificate", type=kind, pem=pem) == {"status": "Accepted"}
        listed = await ask("certificates", type=kind)
        row = (
            listed["certificateHashData"][0]
            if version == "1.6"
            else listed["certificateHashDataChain"][0]["certificateHashData"]
        )
        assert await ask("certificates", type="ManufacturerRootCertificate") == {"status": "NotFound"}
        assert await ask("delete-certificate", hash=row) == {"status": "Accepted"}
        assert await ask("delete-certificate", hash=row) == {"status": "NotFound"}
