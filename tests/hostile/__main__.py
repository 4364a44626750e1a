"""``python -m tests.hostile [SECONDS] [SEED]``: an hour by default. Prints each figure with its bound; exit 1
when one is passed.

Two processes beside this one: the daemon, and the attackers. The honest stations and the measures are here. A
calm time comes first, as the measure of memory.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import itertools
import math
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from msgspec.structs import replace

from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.server import ModbusServer, Unit
from sim.runners.demo import free_ports
from tests.depot import small_site
from tests.field.ocpp.peer import Peer
from tests.processes import running
from v2g_edge.config.dump import dump
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.settings import (
    CloudSettings,
    HostSettings,
    Listener,
    ModbusDevice,
    ModbusLine,
    PriceSettings,
    Settings,
    StationEvse,
    StationSettings,
)

STATIONS: Final = 20
HOSTILE: Final = 5
CALM_S: Final = 30.0

LATE_MAX_S: Final = 1.5
GROWTH_MAX_MIB: Final = 40.0
ANSWER_MAX_S: Final = 0.2
LOG_MAX_KB_S: Final = 50.0
STOP_MAX_S: Final = 1.0


def settings(folder: Path, ports: list[int]) -> Settings:
    """Twenty outlets on a feeder for all of them: what is permitted stands still, and a stop is seen by
    what it ends.
    """
    site = small_site(STATIONS)
    grid = replace(site.grid, export_allowed=False)
    feeders = tuple(replace(feeder, import_limit_w=2e6) for feeder in site.feeders)
    evses = tuple(replace(evse, max_discharge_w=0.0, discharge_by="none") for evse in site.evses)
    stations = tuple(StationSettings(f"CP{n:02}", (StationEvse(f"b{n}"),)) for n in range(1, STATIONS + 1))
    (folder / "broker.password").write_text("secret\n", encoding="ascii")
    cloud = CloudSettings(
        "127.0.0.1",
        ports[1],
        False,
        username="depot",
        password_file=str(folder / "broker.password"),
        site_id="depot-1",
    )
    host = HostSettings(str(folder / "state"), str(folder / "control.sock"))
    site = replace(site, grid=grid, feeders=feeders, evses=evses)
    line = ModbusLine("field", host="127.0.0.1", port=ports[2])
    devices = (
        ModbusDevice("meter", "field", "meter", "grid", "sunspec"),
        ModbusDevice("relay", "field", "contact", "relay", "discrete-input", 2),
    )  # fmt: skip
    listeners = (Listener("127.0.0.1", ports[0], 0),)
    return Settings(site, listeners, stations, (line,), devices, cloud, host, PriceSettings())


def field_of(port: int, honest: list["Honest"]) -> ModbusServer:
    """The grid meter, which sees what the honest stations draw, and the relay, which is closed."""

    begun_s, energy_wh, last_s = time.monotonic(), 0.0, time.monotonic()

    def truth() -> MeterTruth:
        nonlocal energy_wh, last_s
        now_s = time.monotonic()
        total_w = 5_000.0 + 100.0 * math.sin(now_s - begun_s) + sum(each.power_w for each in honest)
        energy_wh += total_w * (now_s - last_s) / 3_600.0
        last_s = now_s
        return MeterTruth((total_w / 3.0,) * 3, (230.0 + math.sin(now_s),) * 3, 50.0, energy_wh)

    return ModbusServer([Unit(1, SunSpecMeter(truth)), Unit(2, Inputs(lambda: [True] * 16))], port=port)


ECHO: Final = """
import asyncio, sys
async def serve(reader, writer):
    while octets := await reader.read(1_000):
        writer.write(octets)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""


class Honest:
    """One honest 1.6 station: a vehicle that charges, a heartbeat a second, and what it was told."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.answers_s: list[float] = []
        self.limits: list[tuple[float, float, float]] = []
        self.drops = 0
        self.power_w = 0.0

    async def run(self) -> None:
        """Until cancelled; it dials again when its link is lost."""
        while True:
            try:
                await self._link()
            except (OSError, TimeoutError, AssertionError) as fault:
                print(f"{self.name}: {type(fault).__name__} {fault}", file=sys.stderr)
            self.drops += 1
            await asyncio.sleep(1.0)

    async def _link(self) -> None:
        peer = await Peer.dial(self.port, self.name, "1.6")
        peer.scripts["SetChargingProfile"] = self._told
        await peer.call("BootNotification", {"chargePointVendor": "honest", "chargePointModel": "m"})
        await peer.call(
            "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        )
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        start = {"connectorId": 1, "idTag": f"bus-{int(self.name[2:])}", "meterStart": 0, "timestamp": at}
        transaction = (await peer.call("StartTransaction", start))["transactionId"]
        for second in itertools.count(1):
            before = time.monotonic()
            answer = await peer.call("Heartbeat", {})
            if not isinstance(answer, dict):
                return
            self.answers_s.append(time.monotonic() - before)
            if second % 5 == 0:
                await peer.call("MeterValues", self._values(transaction))
            await asyncio.sleep(1.0)

    def _values(self, transaction: int) -> dict[str, Any]:
        rows = [
            {"value": f"{self.power_w:.0f}", "measurand": "Power.Active.Import", "unit": "W"},
            {"value": "40", "measurand": "SoC", "unit": "Percent"},
            {"value": "20", "measurand": "Temperature", "unit": "Celsius", "location": "EV"},
        ]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {
            "connectorId": 1,
            "transactionId": transaction,
            "meterValue": [{"timestamp": at, "sampledValue": rows}],
        }

    def _told(self, payload: dict[str, Any]) -> dict[str, Any]:
        profile = payload["csChargingProfiles"]
        schedule = profile["chargingSchedule"]
        limit = float(schedule["chargingSchedulePeriod"][0]["limit"])
        if profile["chargingProfilePurpose"] == "TxProfile":
            self.limits.append((time.monotonic(), limit, float(schedule.get("duration", 0.0))))
            self.power_w = limit
        return {"status": "Accepted"}

    def worst_gap(self) -> float:
        """Seconds by which a lease ran out before the next one came, at worst; negative when none did."""
        pairs = itertools.pairwise(self.limits)
        return max(
            (later[0] - earlier[0] - earlier[2] for earlier, later in pairs if earlier[2]), default=-1.0
        )


async def ask(path: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """One question on the control socket."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(msgspec.json.encode({"method": method, "params": params}) + b"\n")
    line = await reader.readline()
    writer.close()
    answer: dict[str, Any] = msgspec.json.decode(line)
    return answer


async def stop_acts(path: str, honest: list[Honest]) -> float:
    """Seconds from the order to the last honest station that had more being told 0."""
    before = {each.name: len(each.limits) for each in honest}
    waiting = [each for each in honest if each.limits and each.limits[-1][1] > 0.0]
    begun_s = time.monotonic()
    answer = await ask(path, "operate", {"stop": True})
    assert "result" in answer, answer
    async with asyncio.timeout(30.0):
        for each in waiting:
            while not any(row[1] == 0.0 for row in each.limits[before[each.name] :]):  # noqa: ASYNC110 - told by no event
                await asyncio.sleep(0.005)
    return time.monotonic() - begun_s if waiting else float("inf")


def worst_tick_gap(journal: Path) -> float:
    """Seconds by which the latest tick was late."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
        times = [row[0] for row in db.execute("SELECT wall_s FROM ticks ORDER BY id")]
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=float("inf")) - 1.0


async def time_echoes(port: int, took_s: list[float]) -> None:
    """What an answer of a process that does nothing else takes here: the machine's own share of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        before = time.monotonic()
        writer.write(b"x" * 32)
        await reader.readexactly(32)
        took_s.append(time.monotonic() - before)
        await asyncio.sleep(0.1)


async def watch_memory(process: psutil.Process, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        await asyncio.sleep(0.5)


async def play(folder: Path, seconds: float, seed: int) -> dict[str, tuple[float, float]]:
    """What was measured → (figure, bound)."""
    ports = free_ports(4)
    made = settings(folder, ports)
    (folder / "site.toml").write_text(dump(made), encoding="utf-8")
    log = folder / "daemon.log"
    with (
        log.open("wb") as output,
        running(
            [sys.executable, "-m", "v2g_edge.cli", "run", "--config", str(folder / "site.toml")],
            stdout=output,
            stderr=output,
        ) as daemon,
    ):
        await _listening(ports[0], daemon, log)
        process = psutil.Process(daemon.pid)
        names = [station.identity for station in made.stations]
        honest = [Honest(name, ports[0]) for name in names[HOSTILE:]]
        field = field_of(ports[2], honest)
        await field.start()
        tasks = [asyncio.create_task(each.run()) for each in honest]
        echoes: list[float] = []
        peak = [0]
        tasks.append(asyncio.create_task(watch_memory(process, peak)))
        await asyncio.sleep(CALM_S)
        calm, logged, calm_answers = peak[0], log.stat().st_size, [len(each.answers_s) for each in honest]
        calm_p99_s = _p99([s for each in honest for s in each.answers_s])
        command = [
            sys.executable,
            "-m",
            "tests.hostile.attackers",
            str(ports[0]),
            str(ports[1]),
            made.host.socket,
            str(seed),
        ]
        with (
            running([*command, *names[:HOSTILE]], stderr=(folder / "attackers.log").open("wb")) as attackers,
            running([sys.executable, "-c", ECHO, str(ports[3])]) as echo,
        ):
            await _listening(ports[3], echo, log)
            tasks.append(asyncio.create_task(time_echoes(ports[3], echoes)))
            begun_s = time.monotonic()
            while (left_s := begun_s + seconds - time.monotonic()) > 0.0:
                await asyncio.sleep(min(left_s, 5.0))
                assert attackers.poll() is None, _end_of(folder / "attackers.log")
                assert daemon.poll() is None, _end_of(log)
            took_s, said = time.monotonic() - begun_s, log.stat().st_size - logged
            stop_s = await stop_acts(made.host.socket, honest)
            late_s = worst_tick_gap(folder / "state" / "journal.db")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await field.stop()
    p99_s = _p99([s for each, skip in zip(honest, calm_answers, strict=True) for s in each.answers_s[skip:]])
    return {
        "ticks late by at most, s": (late_s, LATE_MAX_S),
        "memory above the calm, MiB": ((peak[0] - calm) / 2**20, GROWTH_MAX_MIB),
        "answers to honest stations, p99, s": (p99_s, ANSWER_MAX_S),
        "the same in the calm before, s": (calm_p99_s, math.inf),
        "an echo of an idle process, p99, s": (_p99(echoes), math.inf),
        "load of the machine (15 min)": (os.getloadavg()[2], math.inf),
        "log, kB/s": (said / took_s / 1e3, LOG_MAX_KB_S),
        "a stop acts within, s": (stop_s, STOP_MAX_S),
        "leases run out by at most, s": (max(each.worst_gap() for each in honest), 0.0),
        "honest links lost": (float(sum(each.drops for each in honest)), 0.0),
    }


def _p99(answers_s: list[float]) -> float:
    return sorted(answers_s)[int(0.99 * len(answers_s))]


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


async def _listening(port: int, daemon: Any, log: Path) -> None:
    async with asyncio.timeout(60.0):
        while True:
            assert daemon.poll() is None, _end_of(log)
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            except OSError:
                await asyncio.sleep(0.2)


@contextmanager
def _folder() -> Iterator[Path]:
    """A temporary one, or the one that KEEP names."""
    if kept := os.environ.get("KEEP"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
        return
    with tempfile.TemporaryDirectory(prefix="v2g-edge-hostile-") as folder:
        yield Path(folder)


def main() -> int:
    """Play, and print."""
    seconds, seed = float((sys.argv[1:2] or ["3600"])[0]), int((sys.argv[2:3] or ["1"])[0])
    print(
        f"{CALM_S:g} s of calm, then {seconds:g} s of {HOSTILE} hostile stations among {STATIONS} (seed"
        f" {seed})",
        flush=True,
    )
    begun_wall_s = SystemClock().wall_s()
    with _folder() as folder:
        found = asyncio.run(play(folder, seconds, seed))
    for what, (figure, bound) in found.items():
        print(f"{'ok    ' if figure <= bound else 'PASSED'} {what:<36} {figure:9.3f}   bound {bound:g}")
    print(f"{SystemClock().wall_s() - begun_wall_s:.0f} s in all")
    return 0 if all(figure <= bound for figure, bound in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
