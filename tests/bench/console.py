"""The console of a depot of 200 chargers: its answers, first load and memory, and how soon browsers see a
tick.

The console is a process of its own, as it is installed; the daemon behind it answers with samples and ticks
once a second. Chromium loads the page as a phone of the middle class on a slow line would.
"""

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from playwright.async_api import async_playwright

from sim.runners.demo import free_ports
from tests.console.conftest import NIGHT, PASSWORD, FakeDaemon
from tests.processes import start as start_process
from v2g_edge.console.accounts import Accounts

Row = tuple[str, float, str, str, float, float, str]

CHARGERS: Final = 200
ASKED: Final = 200
PACE_S: Final = 0.06
"""Between two questions: below what the console lets one address ask."""
BROWSERS: Final = 20
TICKS: Final = 20
API: Final = (
    "/api/status",
    "/api/why/E01",
    "/api/plan",
    "/api/events",
    "/api/night",
    "/api/money",
    "/api/tonight",
)
PHONE: Final = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
"""1.6 Mbit/s down and 0.75 up at 150 ms: the slow 4G of Lighthouse's phone profile, which also has a
processor four times as slow.
"""
FREE: Final = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


class Ticking(FakeDaemon):
    """A depot of 200 outlets whose picture changes once a second; it keeps when."""

    def __init__(self, socket: Path) -> None:
        super().__init__(socket)
        sample = self.status["evses"]
        self.status["evses"] = [
            sample[n % len(sample)] | {"id": f"E{n + 1:03}", "vehicle": f"BUS{n + 1:03}"}
            for n in range(CHARGERS)
        ]
        self.at: dict[int, float] = {}

    async def tick(self) -> None:
        """For as long as it runs."""
        while True:
            self.status["seq"] += 1
            self.at[self.status["seq"]] = time.monotonic()
            await asyncio.sleep(1.0)

    async def _status(self, _params: dict[str, Any]) -> dict[str, Any]:
        return self.status

    async def _health(self, params: dict[str, Any]) -> dict[str, Any]:
        age_s = time.monotonic() - self.at[self.status["seq"]] if self.at else None
        return await super()._health(params) | {"tick_age_s": age_s}


def _p99_ms(times_s: list[float]) -> float:
    return 1e3 * sorted(times_s)[int(len(times_s) * 0.99)]


@contextlib.asynccontextmanager
async def _console(folder: Path) -> AsyncIterator[tuple[str, psutil.Process, Ticking]]:
    daemon, (port,) = Ticking(folder / "control.sock"), free_ports(1)
    await Accounts(folder / "state").add("vera", "operator", PASSWORD)
    words = [sys.executable, "-m", "v2g_edge.cli", "console", "--listen", f"127.0.0.1:{port}"]
    words += ["--socket", str(folder / "control.sock"), "--state", str(folder / "state")]
    with (folder / "log").open("wb") as log:
        process = psutil.Process(start_process(words, stdout=log, stderr=log).pid)
    url = f"http://127.0.0.1:{port}"
    await daemon.start()
    ticking = asyncio.ensure_future(daemon.tick())
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client, asyncio.timeout(60.0):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/healthz")).is_success:
                        break
                await asyncio.sleep(0.05)
        yield url, process, daemon
    finally:
        ticking.cancel()
        process.kill()
        await daemon.stop()


async def _logged_in(url: str) -> httpx.AsyncClient:
    client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=60.0)
    (await client.post("/api/login", json={"name": "vera", "password": PASSWORD})).raise_for_status()
    return client


async def _asked(client: httpx.AsyncClient, paths: tuple[str, ...]) -> float:
    times = []
    for n in range(ASKED):
        begun_s = time.perf_counter()
        (await client.get(paths[n % len(paths)])).raise_for_status()
        times.append(time.perf_counter() - begun_s)
        await asyncio.sleep(PACE_S)
    return _p99_ms(times)


async def _watched(url: str, cookie: httpx.Cookies, daemon: Ticking) -> list[float]:
    """Seconds from each tick to the end of its picture at one browser."""
    seen: list[float] = []
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, cookies=cookie, timeout=60.0) as client,
        client.stream("GET", "/api/live") as stream,
    ):
        last = 0
        async for line in stream.aiter_lines():
            if line.startswith("data: ") and (seq := json.loads(line[6:]).get("seq", 0)) > last:
                last = seq
                seen.append(time.monotonic() - daemon.at[seq])
                if len(seen) > TICKS:
                    return seen[1:]  # the first picture is of a tick that was
    return seen


async def _loaded(url: str, network: dict[str, Any], slower: int) -> tuple[float, float]:
    """Octets of a first load, and seconds until its form can be used."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await (await browser.new_context(viewport={"width": 360, "height": 740})).new_page()
        line = await page.context.new_cdp_session(page)
        octets = [0.0]
        line.on("Network.loadingFinished", lambda event: octets.append(event["encodedDataLength"]))
        await line.send("Network.enable")
        await line.send("Network.emulateNetworkConditions", network)
        await line.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        begun_s = time.perf_counter()
        await page.goto(url, wait_until="commit")
        await page.locator("main form").wait_for()
        spent_s = time.perf_counter() - begun_s
        await browser.close()
    return sum(octets), spent_s


async def _measured() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-") as made:
        async with _console(Path(made)) as (url, process, daemon):
            client = await _logged_in(url)
            bare_ms = await _asked(client, ("/healthz",))
            index_ms = await _asked(client, ("/",))
            api_ms = await _asked(client, API)
            _, wired_s = await _loaded(url, FREE, 1)
            octets, phone_s = await _loaded(url, PHONE, 4)
            watched = await asyncio.gather(*(_watched(url, client.cookies, daemon) for _ in range(BROWSERS)))
            rss_mib = process.memory_info().rss / 2**20
            await client.aclose()
    late_s = sorted(each for browser in watched for each in browser)
    middle_s = late_s[len(late_s) // 2]
    size = len(json.dumps(NIGHT["evses"][0])) * CHARGERS / 1e3
    bare = "an empty answer, p99"
    picture = f"tick → its picture ({size:.0f} kB) at {BROWSERS} browsers, worst of {TICKS}"
    return [
        ("GET /, p99", index_ms, "ms", bare, bare_ms, index_ms / bare_ms, "≤ 50 ms"),
        ("API answers, 200 chargers, p99", api_ms, "ms", bare, bare_ms, api_ms / bare_ms, "≤ 100 ms"),
        ("first load", octets / 1e3, "kB", "goal", 300.0, octets / 300e3, "≤ 300 kB"),
        (
            "first load can be used: slow 4G, processor four times as slow", phone_s,
            "s", "neither slow", wired_s, phone_s / wired_s, "≤ 1 s",
        ),
        (picture, late_s[-1], "s", "median", middle_s, late_s[-1] / middle_s, "≤ 1 s"),
        (f"memory with {BROWSERS} browsers", rss_mib, "MiB", "goal", 90.0, rss_mib / 90.0, "≤ 90 MiB"),
    ]  # fmt: skip


def rows() -> list[Row]:
    """For `make bench`."""
    return asyncio.run(_measured())
