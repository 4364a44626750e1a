"""The daemon as a guest of its machine: start, restart, memory, idle work, what it writes, what a scrape
costs.

Cold start, restart, memory and idle work are of a daemon in a process of its own at its real pace, with the
stations of a played depot on real sockets. What is written is the journal's own: an hour of ticks of which
each charger reports every five seconds, to the disk of this machine.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psutil
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from sim.runners.demo import free_ports
from sim.runners.world import World
from sim.scenarios.night import night
from sim.virtual.clock import LoopClock
from tests.depot import healthy, small_site
from tests.processes import start as start_process
from v2g_edge.api.monitoring.metrics import MetricsApi
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.cli.client import ask
from v2g_edge.cli.outcome import CommandError
from v2g_edge.config import dump
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.health import Health
from v2g_edge.host.journal import Journal
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot

Row = tuple[str, float, str, str, float, float, str]

HOUR_S = 3_600
DAY_HOURS = 24.0
REPORTS_EVERY_S = 5
VEHICLE_EVERY_S = 60
"""SoC, temperature and limits of a vehicle are reported less often than its power."""
IDLE_S = 20.0
LIMIT_S = 240.0
EVENING_S = 3.0 * 3_600.0
SCRAPES = 20
DISK = "/var/tmp"  # noqa: S108 - a folder of its own is made in it
"""On the disk, where /tmp may be memory."""


async def _until(socket: str, links: int) -> float:
    """Real seconds until a daemon answers with so many outlets connected."""
    begun_s = time.perf_counter()
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                if (await asyncio.to_thread(ask, socket, "health"))["links_up"] >= links:
                    return time.perf_counter() - begun_s
            except CommandError:
                pass  # not yet
            await asyncio.sleep(0.02)


class _Depot:
    """A daemon at its real pace, and the stations of ``chargers`` outlets."""

    def __init__(self, folder: Path, chargers: int) -> None:
        self.chargers = chargers
        scenario = night(7, chargers=chargers, quiet=True)
        ocpp, meter, relay = free_ports(3)
        clock = LoopClock(scenario.start_wall_s + EVENING_S, 1.0)
        self.world = World(scenario, clock, meter_port=meter, relay_port=relay, wired_port=0)
        self.socket = str(folder / "control.sock")
        settings = scenario.settings(
            folder, ocpp_port=ocpp, meter_port=meter, relay_port=relay, wired_ports=(), price_file="",
            socket=self.socket,
        )  # fmt: skip
        self.site = folder / "site.toml"
        self.site.write_text(dump(settings))
        self.url = f"ws://127.0.0.1:{ocpp}"
        self.log = (folder / "daemon.log").open("wb")
        self.end_s = scenario.end_wall_s

    def start(self) -> psutil.Process:
        """The daemon, from nothing."""
        command = [sys.executable, "-m", "v2g_edge.cli", "run", "--config", str(self.site)]
        return psutil.Process(start_process(command, stdout=self.log, stderr=self.log).pid)


async def _life(folder: Path, chargers: int) -> dict[str, float]:
    depot, found = _Depot(folder, chargers), dict[str, float]()
    await depot.world.start()
    daemon = depot.start()
    found["cold_s"] = await _until(depot.socket, 0)
    found["cold_cpu_s"] = sum(daemon.cpu_times()[:2])
    depot.world.join(depot.url)
    playing = asyncio.create_task(depot.world.play(depot.end_s))
    try:
        await _until(depot.socket, chargers)
        await asyncio.sleep(IDLE_S / 2.0)  # the stations' first messages are over
        before_s = sum(daemon.cpu_times()[:2])
        begun_s = time.perf_counter()
        await asyncio.sleep(IDLE_S)
        spent_s = sum(daemon.cpu_times()[:2]) - before_s
        found["idle_pct"] = 100.0 * spent_s / (time.perf_counter() - begun_s)
        found["rss_mib"] = daemon.memory_info().rss / 2**20
        daemon.terminate()
        await asyncio.to_thread(daemon.wait, 30)
        begun_s = time.perf_counter()
        daemon = depot.start()
        found["first_tick_s"] = await _until(depot.socket, 0)
        await _until(depot.socket, chargers)
        found["warm_s"] = time.perf_counter() - begun_s
    finally:
        playing.cancel()
        await depot.world.stop()
        daemon.kill()
        depot.log.close()
    return found


def _reported(site: Site, old: Snapshot, second: int) -> Snapshot:
    """The next second: a fifth of the chargers has reported, meter and contact have."""
    new = healthy(site, 100.0 + second, 1e6 + second)
    evses = tuple(
        replace(
            fresh,
            power_w=Reading(500.0 + (second + place) % 90, 100.0 + second),
            vehicle=fresh.vehicle if (second + place) % VEHICLE_EVERY_S == 0 else state.vehicle,
        )
        if (second + place) % REPORTS_EVERY_S == 0
        else state
        for place, (fresh, state) in enumerate(zip(new.evses, old.evses, strict=True))
    )
    sum_w = 5_000.0 + sum(state.power_w.value for state in evses if isinstance(state.power_w, Reading))
    meter = replace(new.meters[0], power_w=Reading(sum_w, 100.0 + second))
    return replace(new, seq=second + 2, evses=evses, meters=(meter,))


async def _journal(folder: Path, chargers: int) -> tuple[float, float]:
    """Megabytes a day: written to the disk, and kept in the file."""
    site = small_site(chargers)
    journal = Journal.open(folder / "journal.db", site, "bench", sync="full", keep_days=30.0)
    cycle, memory, snapshot = Cycle(site), Memory(), healthy(site)
    me = psutil.Process()
    before = me.io_counters().write_bytes
    for second in range(HOUR_S):
        snapshot = _reported(site, snapshot, second)
        outcome = cycle.tick(snapshot, None, memory)
        journal.record(
            snapshot, None, outcome.permits, outcome.events, memory_before=memory, memory_after=outcome.memory
        )
        memory = outcome.memory
        if journal._writing is not None:
            await journal._writing
    await journal.close()
    written = me.io_counters().write_bytes - before
    return written * DAY_HOURS / 1e6, (folder / "journal.db").stat().st_size * DAY_HOURS / 1e6


def _scrape_ms() -> tuple[float, float]:
    """CPU of a scrape with 200 outlets, by our own writer and by prometheus_client with as many series."""
    site = small_site(200)
    state = DepotState(site)
    snapshot = healthy(site)
    state.tick = Tick(snapshot, None, Cycle(site).tick(snapshot, None, Memory()))
    api = MetricsApi(state, Health("bench"), lambda: 100.0, lambda: 0)
    begun_s = time.process_time()
    for _ in range(SCRAPES):
        body = api.metrics("application/openmetrics-text").body
    ours_ms = 1_000.0 * (time.process_time() - begun_s) / SCRAPES
    registry, series = CollectorRegistry(), body.count(b"\n")
    gauge = Gauge("bench", "Bench", ["evse", "what"], registry=registry)
    for number in range(series):
        gauge.labels(f"b{number % 200}", str(number // 200)).set(float(number))
    begun_s = time.process_time()
    for _ in range(SCRAPES):
        generate_latest(registry)
    return ours_ms, 1_000.0 * (time.process_time() - begun_s) / SCRAPES


def rows() -> list[Row]:
    """The table."""
    made: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-") as name:
        fifty = asyncio.run(_life(Path(name), 50))
    with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-") as name:
        many = asyncio.run(_life(Path(name), 200))

    def row(what: str, value: float, unit: str, base: str, base_value: float, goal: str) -> None:
        made.append((what, value, unit, base, base_value, value / base_value, goal))

    first_s, steady = fifty["first_tick_s"], many["idle_pct"]
    row("cold start to the first tick", fifty["cold_s"], "s", "its CPU", fifty["cold_cpu_s"], "≤ 2 s")
    row("warm restart until 50 stations are back", fifty["warm_s"], "s", "first tick", first_s, "≤ 5 s")
    row("resident memory with 200 chargers", many["rss_mib"], "MiB", "with 50", fifty["rss_mib"], "≤ 150 MiB")
    row("CPU with 50 chargers that charge steadily", fifty["idle_pct"], "%", "with 200", steady, "≤ 3 %")
    for chargers in (12, 50, 200):
        with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-", dir=DISK) as name:
            written_mb, kept_mb = asyncio.run(_journal(Path(name), chargers))
        goal = "≤ 1,000 MB, kept ≤ 60 MB" if chargers == 50 else "reported"
        row(f"journal of {chargers} chargers, written a day", written_mb, "MB", "kept", kept_mb, goal)
    ours_ms, theirs_ms = _scrape_ms()
    row("CPU of a scrape with 200 chargers", ours_ms, "ms", "prometheus_client", theirs_ms, "≤ 20 ms")
    return made
