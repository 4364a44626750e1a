"""``kill -9`` of the daemon while 20 stations of all OCPP versions discharge: all are at their safe default
within their lease.

Real processes and real sockets; the clock runs ten times as fast as life on both sides.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.judges.checkers import FLOW_W
from sim.runners.demo import free_ports
from sim.runners.world import World
from sim.scenarios.night import ZONE, night
from sim.scenarios.scenario import Scenario, Version, write_prices
from sim.virtual.clock import LoopClock
from tests.processes import running
from v2g_edge.config import dump

SCALE = 10.0
CHARGERS = 20
SPEAK: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")
POWER_W = 50_000.0
"""So little that what a bus may give takes all of the two dearest hours: nobody waits for the second."""
PATIENCE_S = 90.0
"""Real seconds for the daemon to start and for everybody to discharge: 60 played seconds of enter service,
and a slow machine.
"""


def evening() -> Scenario:
    """Twenty buses, all in, as the dearest hour begins; feeders that take all they give, safety times for a
    slow machine.

    Stations speak 1.6, 2.0.1 and 2.1 in turn; 1.6 cannot tell departures, so the site file does.
    """
    scenario = night(3, chargers=CHARGERS, quiet=True)
    versions = [SPEAK[n % len(SPEAK)] for n in range(CHARGERS)]
    evses = tuple(
        replace(
            evse,
            max_charge_w=POWER_W,
            max_discharge_w=POWER_W,
            discharge_by="setpoint" if version == "2.1" else "negative_limit",
        )
        for evse, version in zip(scenario.site.evses, versions, strict=True)
    )
    vehicles = tuple(
        replace(
            vehicle,
            departs=datetime.fromtimestamp(visit.departs_wall_s, ZONE).strftime("%H:%M"),
            target_soc_pct=visit.target_soc_pct,
        )
        for vehicle, visit in zip(scenario.site.vehicles, scenario.visits, strict=True)
    )
    start_wall_s = scenario.start_wall_s + 5_400.0
    feeders = tuple(
        replace(feeder, import_limit_w=1e6, export_limit_w=1e6) for feeder in scenario.site.feeders
    )
    safety = replace(
        scenario.site.safety,
        meter_max_age_s=20.0,
        contact_max_age_s=20.0,
        charger_max_age_s=120.0,
        obey_within_s=120.0,
        balance_within_s=120.0,
        frozen_reads=500,
        lease_s=30.0,
    )
    visits = tuple(replace(visit, arrives_wall_s=start_wall_s, soc_pct=85.0) for visit in scenario.visits)
    return replace(
        scenario,
        start_wall_s=start_wall_s,
        visits=visits,
        site=replace(scenario.site, safety=safety, feeders=feeders, evses=evses, vehicles=vehicles),
        speak=tuple(
            (station.identity, version) for station, version in zip(scenario.stations, versions, strict=True)
        ),
        meter_poll_s=2.0,
        relay_poll_s=2.0,
    )


async def until(condition: Callable[[], bool], patience_s: float) -> bool:
    """Wait for a condition; False when it did not come."""
    ends_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > ends_s:
            return False
        await asyncio.sleep(0.02)
    return True


@contextlib.contextmanager
def daemon_of(
    scenario: Scenario, folder: Path, ports: list[int], origin_s: float
) -> "Iterator[subprocess.Popen[bytes]]":
    """``v2g-edge run`` as a process of its own, gone afterwards."""
    write_prices(scenario.prices, folder / "prices.csv")
    settings = scenario.settings(
        folder,
        ocpp_port=ports[0],
        meter_port=ports[1],
        relay_port=ports[2],
        price_file=str(folder / "prices.csv"),
    )
    (folder / "site.toml").write_text(
        dump(replace(settings, host=replace(settings.host, socket=str(folder / "control.sock"))))
    )
    start = datetime.fromtimestamp(scenario.start_wall_s, UTC).isoformat()
    command = [
        sys.executable,
        "-m",
        "v2g_edge.cli",
        "run",
        "--config",
        str(folder / "site.toml"),
        "--clock-start",
        start,
    ]
    command += ["--clock-scale", str(SCALE), "--clock-origin", f"{origin_s:.3f}"]
    with (
        (folder / "daemon.log").open("wb") as log,
        running(command, stdout=log, stderr=log, env={**os.environ, "NOTIFY_SOCKET": ""}) as daemon,
    ):
        yield daemon


@contextlib.asynccontextmanager
async def played(world: World, daemon_port: int, end_wall_s: float) -> AsyncIterator[None]:
    """The depot at its work, its stations dialling the daemon."""
    await world.start()
    world.join(f"ws://127.0.0.1:{daemon_port}")
    playing = asyncio.create_task(world.play(end_wall_s))
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await world.stop()


@pytest.mark.slow
async def test_after_kill_9_twenty_stations_of_all_versions_are_at_their_default_within_their_lease(
    tmp_path: Path,
) -> None:
    scenario = evening()
    ports = free_ports(3)
    clock = LoopClock(scenario.start_wall_s, SCALE)
    world = World(scenario, clock, meter_port=ports[1], relay_port=ports[2])
    async with played(world, ports[0], scenario.end_wall_s):
        chargers = list(world.depot.chargers.values())
        with daemon_of(scenario, tmp_path, ports, clock.origin_s) as daemon:
            discharging = await until(
                lambda: all(c.power_w < -FLOW_W for c in chargers) or daemon.poll() is not None, PATIENCE_S
            )
            assert discharging, (tmp_path / "daemon.log").read_text()[-3_000:]
            assert daemon.poll() is None, (tmp_path / "daemon.log").read_text()[-3_000:]
            daemon.kill()
            daemon.wait()
            killed_wall_s = clock.wall_s()
            assert all(charger.power_w < -FLOW_W for charger in chargers)
            lease_s = scenario.site.safety.lease_s
            safe = await until(
                lambda: all(0.0 <= c.power_w <= c.evse.fallback_w for c in chargers), 3 * lease_s / SCALE
            )
            took_s = clock.wall_s() - killed_wall_s
            assert safe
            assert took_s <= lease_s + 0.5 * SCALE, (
                f"{took_s:.1f} s, and a lease is {lease_s:g} s (half a real second of slack)"
            )
            assert await until(lambda: all(c.power_w == c.evse.fallback_w for c in chargers), 2.0), (
                "and charges at its default"
            )
            assert not [violation for violation in world.panel.violations if violation.rule == "lease"]
