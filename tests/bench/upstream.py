"""The central system with all of its stations forwarded, beside the same without: its own processor time for
the same messages.

``python -m tests.bench.upstream depot PORT`` is the central system, forwarded to PORT unless that is empty;
``upstream ""`` answers whatever comes.
"""

import asyncio
import contextlib
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from tests.bench.__main__ import Row
from tests.bench._client import BareClient, masked
from tests.bench.ocpp import CROWD, METER_16
from tests.processes import end, start

EVERY_S: Final = 4.0
"""Between two messages of a station."""
SETTLE_S: Final = 600.0
"""At most, until all stations are also connected upstream, and until all has gone up; on a machine with other
work.
"""
LASTS_S: Final = 20.0


class Station(BareClient):
    """Boots, and says MeterValues when it is told to; ``answers`` counts what came back."""

    def __init__(self, number: int) -> None:
        super().__init__(f"cp{number}", "ocpp1.6")

    def took(self, frame: bytes) -> None:
        if frame.startswith(b"[3"):
            self.answers += 1
        elif frame.startswith(b"[2"):
            # What the depot asks of a station that has booted.
            self.send(masked(json.dumps([4, json.loads(frame)[1], "NotSupported", "", {}]).encode()))

    def say(self, number: int, action: str, payload: dict[str, Any]) -> None:
        self.send(masked(json.dumps([2, f"m{number}", action, payload]).encode()))


async def talk(port: int, cpu_s: Callable[[], float], settled: Callable[[], bool]) -> tuple[float, int]:
    """(processor time of the server for each message, in µs, and how many there were)."""
    loop = asyncio.get_running_loop()
    stations = [Station(number) for number in range(CROWD)]
    for station in stations:
        await loop.create_connection(lambda s=station: s, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(2.0)
    for station in stations:
        station.say(0, "BootNotification", {"chargePointVendor": "v", "chargePointModel": "m"})
        await asyncio.sleep(0.002)
    await until(settled)
    before_s, said, began_s = cpu_s(), 0, loop.time()
    while loop.time() - began_s < LASTS_S:
        due = int((loop.time() - began_s) * CROWD / EVERY_S)
        while said < due:
            at = f"2026-03-01T11:{said // CROWD % 60:02d}:{said % 60:02d}.{said % 1000:03d}Z"
            value = {"timestamp": at, "sampledValue": METER_16}
            stations[said % CROWD].say(said + 1, "MeterValues", {"connectorId": 1, "meterValue": [value]})
            said += 1
        await asyncio.sleep(0.02)
    await asyncio.sleep(2.0)
    await until(settled)
    used_s = cpu_s() - before_s
    answers = sum(station.answers for station in stations)
    assert answers >= 0.99 * (said + CROWD), f"{answers} answers to {said + CROWD} messages"
    for station in stations:
        if station.transport is not None:
            station.transport.abort()
    return 1e6 * used_s / said, said


async def until(settled: Callable[[], bool]) -> None:
    """Wait for all that is on its way."""
    async with asyncio.timeout(SETTLE_S):
        while not settled():
            await asyncio.sleep(0.5)


async def serve_depot(upstream: str) -> None:
    """Our central system; with a port its stations are forwarded to that."""
    import structlog  # noqa: PLC0415 - each process loads only what it needs

    from tests.depot import small_site  # noqa: PLC0415
    from tests.field.ocpp.peer import Clock  # noqa: PLC0415
    from v2g_edge.field.board import Board  # noqa: PLC0415
    from v2g_edge.field.ocpp.server import CentralSystem  # noqa: PLC0415
    from v2g_edge.model.settings import (  # noqa: PLC0415
        Listener,
        StationEvse,
        StationSettings,
        UpstreamSettings,
    )

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    site = small_site(CROWD)
    stations = [StationSettings(f"cp{n}", (StationEvse(f"b{n + 1}"),), strict=True) for n in range(CROWD)]
    forwarded = (UpstreamSettings("csms", f"ws://127.0.0.1:{upstream}"),) if upstream else ()
    with tempfile.TemporaryDirectory() as folder:
        system = CentralSystem(
            [Listener("127.0.0.1", 0, 0)], stations, site, Board(site, lambda: None), Clock(),
            state_dir=Path(folder), upstreams=forwarded,
        )  # fmt: skip
        await system.start()
        print(system.bound_port(), flush=True)  # noqa: T201
        while True:
            await asyncio.sleep(1.0)
            each = system.upstreams.forwarders
            waits = sum(len(one.queue) + (one.connection is None) for one in each)
            booted = sum(link.connection is not None for link in system.links.values())
            print(waits + CROWD - booted, file=sys.stderr, flush=True)  # noqa: T201


async def serve_upstream(_port: str) -> None:
    """Accepts every boot and answers everything else with nothing."""
    from websockets import Subprotocol  # noqa: PLC0415
    from websockets.asyncio.server import serve  # noqa: PLC0415
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

    boot = {"status": "Accepted", "currentTime": "2026-03-01T12:00:00.000Z", "interval": 86_400}

    async def handle(ws: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in ws:
                frame = json.loads(message)
                if frame[0] == 2:
                    await ws.send(json.dumps([3, frame[1], boot if frame[2] == "BootNotification" else {}]))

    async with serve(
        handle, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")], ping_interval=None, compression=None
    ) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)  # noqa: T201
        await asyncio.Event().wait()


def process(*words: str, **options: Any) -> tuple[Any, int]:
    """One of this module's processes and its port."""
    made: Any = start([sys.executable, "-m", "tests.bench.upstream", *words], text=True, **options)
    return made, int(made.stdout.readline())


def measure(upstream: str, log: Path) -> tuple[float, int]:
    """See ``talk``, against a fresh server. ``log`` gets what is not settled, second by second."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8 * CROWD)), hard))
    with log.open("w") as waits:
        server, port = process("depot", upstream, stdout=-1, stderr=waits)
        times = psutil.Process(server.pid)

        def cpu_s() -> float:
            used = times.cpu_times()
            return float(used.user + used.system)

        try:
            return asyncio.run(talk(port, cpu_s, lambda: log.read_text().endswith("\n0\n")))
        finally:
            end(server)


def rows() -> list[Row]:
    """Ours forwarded beside ours alone, the best of two of each, by turns."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "waits"
        plain_us, forwarded_us = list[float](), list[float]()
        upstream, port = process("upstream", "", stdout=-1)
        try:
            for _ in range(2):
                plain_us.append(measure("", log)[0])
                forwarded_us.append(measure(str(port), log)[0])
        finally:
            end(upstream)
    ours, plain = min(forwarded_us), min(plain_us)
    return [
        (
            f"OCPP 1.6 MeterValues of {CROWD} stations, each in {EVERY_S:g} s, all forwarded upstream",
            ours, "µs CPU a message", "not forwarded", plain, ours / plain, "≤ 2×",
        )
    ]  # fmt: skip


if __name__ == "__main__":
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    os.environ.pop("PYTHONASYNCIODEBUG", None)
    with runner:
        runner.run({"depot": serve_depot, "upstream": serve_upstream}[sys.argv[1]](sys.argv[2]))
