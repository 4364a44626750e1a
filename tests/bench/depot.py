"""The whole daemon with 50 chargers over real sockets: relay opens → last zero-discharge command taken;
resident memory.

Once with OCPP alone, once half of them by register (SunSpec, each on a TCP port of its own, polled once a
real second). Taken: the station has worked the message off, the register is written. The depot is played
here, the daemon is a process of its own. Its clock runs ``SCALE`` times as fast, so that enter service takes
seconds; latencies are in real time. The baseline broadcasts one message of the same size to 50 bare WebSocket
clients.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import replace
from websockets.asyncio.client import connect

from sim.runners.demo import free_ports, hurried
from sim.runners.world import World
from sim.scenarios.night import ZONE, night
from sim.scenarios.scenario import Scenario, Wired, write_prices
from sim.virtual.clock import LoopClock
from tests.processes import start as start_process
from v2g_edge.config import dump
from v2g_edge.model.limits import ANY_W

Row = tuple[str, float, str, str, float, float, str]

CHARGERS = 50
WIRED = 25
"""Of the mixed depot's chargers."""
SCALE = 20.0
EVENTS = 20
EVENING_S = 3.0 * 3_600.0
"""Played seconds after the night's start at which the bench begins: 19:30, everybody is in and energy is
dear.
"""

RELAY_POLL_S = 0.01
"""Real seconds between two polls of the relay: what is measured is the daemon, not the wait for a slow
poll.
"""

BROADCASTER = """
import asyncio, sys
from websockets.asyncio.server import broadcast, serve
async def main():
    clients = set()
    async def take(ws):
        clients.add(ws)
        async for _ in ws:
            broadcast(clients, "x" * 400)
    server = await serve(take, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""

EMPTY_LOOP = (
    "import asyncio, sys\nasyncio.run(asyncio.sleep(0))\nprint('up', flush=True)\nsys.stdin.readline()"
)


def _rss_mib(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 2**20


async def _until(condition: Any, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


class _Ear:
    """Hears when a charger was last told not to discharge: by outlet, in real seconds."""

    def __init__(self, world: World) -> None:
        self.heard_s: dict[str, float] = {}
        for station in world.stations.values():
            names = [outlet.evse for outlet in station.outlets.values()]
            station._on_frame = self._listen(names, station._on_frame)  # type: ignore[method-assign]
        for wired in world.wired:
            registers: Any = wired._registers
            registers._apply = self._watch(wired.evse, registers._apply)

    def _listen(self, names: list[str], original: Any) -> Any:
        def on_frame(frame: str | bytes) -> None:
            text = frame if isinstance(frame, str) else frame.decode()
            original(frame)
            if "SetChargingProfile" in text and '"limit":-' not in text:
                self.heard_s.update(dict.fromkeys(names, time.perf_counter()))

        return on_frame

    def _watch(self, name: str, original: Any) -> Any:
        def apply(power_w: float) -> None:
            original(power_w)
            if power_w >= 0.0:
                self.heard_s[name] = time.perf_counter()

        return apply


def _scenario(wired: int) -> Scenario:
    """An evening in which everybody is in, full, and leaves in the morning; the last ``wired`` chargers
    speak SunSpec.
    """
    scenario = hurried(night(7, chargers=CHARGERS, quiet=True), SCALE)
    scenario = replace(scenario, relay_poll_s=RELAY_POLL_S * SCALE, tick_s=10.0, site=_willing(scenario.site))
    start_wall_s = scenario.start_wall_s + EVENING_S
    visits = tuple(
        replace(v, arrives_wall_s=start_wall_s, soc_pct=95.0, target_soc_pct=30.0) for v in scenario.visits
    )
    scenario = replace(scenario, visits=visits)
    return _by_register(scenario, CHARGERS - wired) if wired else scenario


def _by_register(scenario: Scenario, first: int) -> Scenario:
    """Chargers from ``first`` on without OCPP. Who stands there and when it leaves, the site file says."""
    site, visits = scenario.site, scenario.visits
    quiet = tuple(
        replace(k, pack_min_c=-ANY_W, derate_from_c=ANY_W / 2, pack_max_c=ANY_W) for k in site.vehicle_types
    )
    evses = tuple(
        replace(e, dead_man="sunspec_revert", discharge_by="register", fallback_w=0.0) if n >= first else e
        for n, e in enumerate(site.evses)
    )
    vehicles = tuple(
        (
            replace(
                v,
                departs=datetime.fromtimestamp(visit.departs_wall_s, ZONE).strftime("%H:%M"),
                target_soc_pct=30.0,
            )
            if n >= first
            else v
        )
        for n, (v, visit) in enumerate(zip(site.vehicles, visits, strict=True))
    )
    return replace(
        scenario,
        site=replace(site, evses=evses, vehicle_types=quiet, vehicles=vehicles),
        stations=scenario.stations[:first],
        wired=tuple(
            Wired(visit.evse, "sunspec", visit.vehicle, watchdog_s=10.0 * SCALE) for visit in visits[first:]
        ),
    )


async def _measure(folder: Path, wired: int) -> tuple[float, float]:
    """(worst of the events in ms, resident memory in MiB)."""
    scenario = _scenario(wired)
    ocpp, meter, relay = free_ports(3)
    write_prices(scenario.prices, folder / "prices.csv")
    start_wall_s = scenario.start_wall_s + EVENING_S
    clock = LoopClock(start_wall_s, SCALE)
    world = World(scenario, clock, meter_port=meter, relay_port=relay, wired_port=0)
    closed = [True]
    world.depot.grid.relay_closed = lambda wall_s: closed[0]  # type: ignore[method-assign]
    await world.start()
    ports = tuple(each.server.port for each in world.wired)
    settings = scenario.settings(
        folder, ocpp_port=ocpp, meter_port=meter, relay_port=relay, wired_ports=ports,
        price_file=str(folder / "prices.csv"), socket="",
    )  # fmt: skip
    slow = tuple(replace(d, poll_s=SCALE) if d.role == "charger" else d for d in settings.devices)
    (folder / "site.toml").write_text(dump(replace(settings, devices=slow)))
    start = datetime.fromtimestamp(start_wall_s, UTC).isoformat()
    log = (folder / "daemon.log").open("wb")
    daemon = start_process(
        [sys.executable, "-m", "v2g_edge.cli", "run", "--config", str(folder / "site.toml"), "--clock-start",
            start,
         "--clock-scale", str(SCALE), "--clock-origin", str(clock.origin_s)],
        stdout=log, stderr=log,
    )  # fmt: skip
    world.join(f"ws://127.0.0.1:{ocpp}")
    ear = _Ear(world)
    playing = asyncio.create_task(world.play(scenario.end_wall_s))
    try:
        took_ms = [await _one_event(world, closed, ear) for _ in range(EVENTS)]
        return max(took_ms), _rss_mib(daemon.pid)
    finally:
        playing.cancel()
        await world.stop()
        daemon.terminate()
        daemon.wait(20)
        log.close()


def _willing(site: Any) -> Any:
    """Batteries without caps and feeders without limits that would end an export during the bench."""
    kinds = tuple(
        replace(kind, depth_per_event_pct=90.0, depth_per_day_pct=100.0) for kind in site.vehicle_types
    )
    feeders = tuple(replace(feeder, import_limit_w=1e8, export_limit_w=1e8) for feeder in site.feeders)
    return replace(site, vehicle_types=kinds, feeders=feeders)


def _exporting(world: World) -> list[str]:
    return [name for name, charger in world.depot.chargers.items() if charger.power_w < -500.0]


async def _one_event(world: World, closed: list[bool], ear: _Ear) -> float:
    await _until(lambda: len(_exporting(world)) >= CHARGERS * 0.8, 120.0)
    await asyncio.sleep(1.0)
    exporting = _exporting(world)
    ear.heard_s.clear()
    began_s = time.perf_counter()
    closed[0] = False
    await _until(lambda: all(name in ear.heard_s for name in exporting), 20.0)
    took_ms = 1_000.0 * (max(ear.heard_s[name] for name in exporting) - began_s)
    await _until(lambda: not _exporting(world), 20.0)
    closed[0] = True
    return took_ms


async def _broadcast_ms() -> float:
    server = start_process(
        [sys.executable, "-c", BROADCASTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdin is not None
    url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
    clients = [await connect(url) for _ in range(CHARGERS)]
    took = []
    for _ in range(EVENTS):
        began_s = time.perf_counter()
        await clients[0].send("go")
        await asyncio.gather(*(client.recv() for client in clients))
        took.append(1_000.0 * (time.perf_counter() - began_s))
    await asyncio.gather(*(client.close() for client in clients))
    server.stdin.close()
    server.stdout.close()
    server.wait(20)
    return max(took)


def _empty_mib() -> float:
    process = start_process(
        [sys.executable, "-c", EMPTY_LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    rss_mib = _rss_mib(process.pid)
    process.stdin.close()
    process.stdout.close()
    process.wait(20)
    return rss_mib


def rows() -> list[Row]:
    """The table."""
    with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-") as folder:
        worst_ms, rss_mib = asyncio.run(_measure(Path(folder), 0))
    with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-") as folder:
        mixed_ms, _ = asyncio.run(_measure(Path(folder), WIRED))
    bare_ms, empty_mib = asyncio.run(_broadcast_ms()), _empty_mib()
    what = (
        f"relay opens → last of {CHARGERS} zero-discharge commands taken, worst of {EVENTS}, relay polled at"
        " 100 Hz"
    )
    return [
        (
            what,
            worst_ms,
            "ms",
            f"bare broadcast to {CHARGERS}, worst of {EVENTS}",
            bare_ms,
            worst_ms / bare_ms,
            "p99 ≤ 50 ms",
        ),
        (
            f"the same, {CHARGERS - WIRED} by OCPP and {WIRED} by register (Modbus TCP)",
            mixed_ms,
            "ms",
            "bare broadcast",
            bare_ms,
            mixed_ms / bare_ms,
            "p99 ≤ 150 ms with the poll",
        ),
        (
            f"resident memory with {CHARGERS} chargers",
            rss_mib,
            "MiB",
            "empty loop",
            empty_mib,
            rss_mib / empty_mib,
            "≤ 110 MiB",
        ),
    ]
