"""Many depots at one broker: telemetry over TLS 1.3 to one mosquitto, as many as 500 at once."""

import asyncio
import ssl
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiomqtt
import msgspec
import psutil

from tests.bench.__main__ import Row
from tests.cloud.broker import Broker
from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.study.explain import describe_status

DEPOTS = 500
FEW = 50
OUTLETS = 30
TELEMETRY_S = 10.0
"""The default of ``cloud.telemetry_s``."""
TAKES_S = 30.0
AT_ONCE = 20


class Load(NamedTuple):
    """What a broker did: CPU seconds a second, memory, and the share of messages that came through."""

    cpu: float
    rss_mb: float
    delivered: float


def telemetry() -> bytes:
    """What a depot of ``OUTLETS`` outlets tells."""
    site = small_site(OUTLETS)
    picture = healthy(site)
    return msgspec.json.encode(
        describe_status(site, picture, None, Cycle(site).tick(picture, None, Memory()))
    )


async def load_of(depots: int, body: bytes) -> Load:
    """``depots`` sessions that each tell every ``TELEMETRY_S``, and one that reads them all."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker")
        await broker.start()
        assert broker.process is not None
        process, came = psutil.Process(broker.process.pid), [0]
        context = ssl.create_default_context(cafile=str(broker.ca))
        turn, ready = asyncio.Semaphore(AT_ONCE), asyncio.Event()

        def client(name: str) -> aiomqtt.Client:
            return aiomqtt.Client(
                "127.0.0.1", broker.port, username="cloud", password="cloud-secret", identifier=name,
                protocol=aiomqtt.ProtocolVersion.V5, tls_context=context, timeout=120.0,
            )  # fmt: skip

        async def read() -> None:
            async with client("reader") as reader:
                await reader.subscribe("fleet/#")
                ready.set()
                async for _ in reader.messages:
                    came[0] += 1

        sent, up = [0], asyncio.Semaphore(0)
        go = asyncio.Event()

        async def depot(number: int) -> None:
            async with turn:
                mine = client(f"depot-{number}")
                await mine.__aenter__()
            up.release()
            await go.wait()
            await asyncio.sleep(TELEMETRY_S * number / depots)
            for _ in range(int(TAKES_S / TELEMETRY_S)):
                await mine.publish(f"fleet/depot-{number}/telemetry", body, qos=0)
                sent[0] += 1
                await asyncio.sleep(TELEMETRY_S)
            await mine.__aexit__(None, None, None)

        reading = asyncio.create_task(read())
        await ready.wait()
        tasks = [asyncio.create_task(depot(number)) for number in range(depots)]
        for _ in range(depots):
            await up.acquire()
        before, at_s = process.cpu_times(), time.monotonic()
        go.set()
        await asyncio.gather(*tasks)
        after, took_s = process.cpu_times(), time.monotonic() - at_s
        rss_mb = process.memory_info().rss / 2**20
        cpu = (after.user + after.system - before.user - before.system) / took_s
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        broker.kill()
        return Load(cpu, rss_mb, came[0] / max(sent[0], 1))


def rows() -> list[Row]:
    """The broker under few and under many depots."""
    body = telemetry()
    few, many = (asyncio.run(load_of(depots, body)) for depots in (FEW, DEPOTS))
    ratio = many.cpu / max(few.cpu, 1e-6)
    size = f"{len(body) / 1024:.1f} KiB"
    return [
        (
            f"mosquitto, {DEPOTS} depots' telemetry ({size} every {TELEMETRY_S:.0f} s): share of a core",
            100.0 * many.cpu, "%", f"{FEW} depots", 100.0 * few.cpu, ratio, "-",
        ),
        ("its memory", many.rss_mb, "MiB", f"{FEW} depots", few.rss_mb, many.rss_mb / few.rss_mb, "-"),
        (
            "messages that reached the one reader", 100.0 * many.delivered, "%",
            f"{FEW} depots", 100.0 * few.delivered, many.delivered / max(few.delivered, 1e-6), "100 %",
        ),
    ]  # fmt: skip
