"""A station's certificate is renewed before it runs out, without anybody's hand: real TLS, real sockets, a
fast clock.
"""

import asyncio
import time
from pathlib import Path

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
from tests.field.ocpp.trust.test_security import tls_listener
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.trust.pki import LEAF_DAYS
from v2g_edge.field.ocpp.upkeep import certificate_renewal as renewals
from v2g_edge.field.ocpp.upkeep import maintenance as chores
from v2g_edge.field.ocpp.upkeep.maintenance import SITE
from v2g_edge.model.settings import StationEvse, StationSettings

SCALE = 10.0
WAIT_S = 20.0
"""Played seconds before anybody is asked: a third of the daemon's own, so that the clock need not run so
fast.
"""
DAY_S = 86_400.0


async def steps(station: Station, clock: LoopClock) -> None:
    while True:
        station.step(clock.wall_s())
        await clock.sleep_s(1.0)


@pytest.mark.parametrize(("version", "days_left"), [("1.6", 30), ("2.0.1", 30), ("2.1", 30), ("2.1", 300)])
async def test_a_certificate_that_runs_out_is_renewed_and_used(
    tmp_path: Path, version: Version, days_left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is good for long is left alone."""
    monkeypatch.setattr(chores, "LOOK_S", 0.02)
    monkeypatch.setattr(renewals, "WAIT_S", WAIT_S)
    now_s = time.time()
    authority, listener = tls_listener(tmp_path, 3)
    own = authority.issue_station("cs1", tmp_path / "own", now_s - (LEAF_DAYS - days_left) * DAY_S)
    site, clock = small_site(1), LoopClock(now_s, SCALE)
    central = CentralSystem(
        [listener],
        [StationSettings("cs1", (StationEvse("b1"),))],
        site,
        Board(site, lambda: None),
        clock,
        state_dir=tmp_path,
    )
    await central.start()
    profiles = ProfileStore()
    outlet = Outlet("b1", 1, Charger(site.evses[0]), profiles)
    station = Station("cs1", [outlet], profiles, clock, f"wss://localhost:{central.bound_port()}", version)
    station.keyring = Keyring(
        tmp_path / "pki" / "ca.pem",
        own.read_text(encoding="ascii"),
        own.with_suffix(".key").read_text(encoding="ascii"),
    )
    tasks = [asyncio.create_task(station.run()), asyncio.create_task(steps(station, clock))]

    async def shown() -> list[str]:
        told = await central.perform(SITE, "certificates", {})
        return [str(each["until"]) for each in told["stations"]]

    with structlog.testing.capture_logs() as logs:
        try:
            await until(lambda: [each for each in logs if each["event"] == "station_booted"])
            before = await shown()
            if days_left > 60:
                await asyncio.sleep(2 * WAIT_S / SCALE)  # twice the wait before anybody is asked
                assert not [each for each in logs if "certificate" in each["event"]]
                return
            await until(
                lambda: [each for each in logs if each["event"] == "station_certificate_installed"], 20.0
            )
            await until(
                lambda: len([each for each in logs if each["event"] == "station_connected"]) == 2, 20.0
            )
            assert await shown() > before
            assert len(authority.issued()) == 4  # two of the listener, two of the station
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await central.stop()
