"""A night of the demo in a real Chromium: a real daemon, simulated stations, and three people at the page.

``follow`` is what each of them does; ``python -m tests.console.demo_night`` plays the whole night of
``make demo`` with its three processes, and opens every page in each part of it.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright, expect

from sim.runners.demo import SCALE, Demo
from sim.runners.report import as_text, kept
from sim.runners.tempo import fitting_scale, measure_round_s
from tests.console.conftest import PASSWORD

PATIENCE_MS: Final = 60_000
WIDTH_PX: Final = 360
PAGES: Final = (
    "depot",
    "vehicle/BUS01",
    "why/E01",
    "plan",
    "money",
    "roi",
    "events",
    "setup",
    "account",
    "tonight",
)
UNLISTED: Final = frozenset({"vehicle", "account"})
PAUSE_S: Final = 20.0
"""Between two rounds of the pages: the night of the demo goes on beside them, on the same processor."""
POWER: Final = re.compile(r"[1-9][\d.,]* kW")
"""Any power but 0."""


class Depot(NamedTuple):
    """Where the page is, and what a test does to the daemon behind it.

    Attributes:
        url: The console's address.
        code: The one-time code of the first visit.
        kill: Kills the daemon at once, as ``kill -9`` does.
        start: Starts it again.
    """

    url: str
    code: str
    kill: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]


async def visit(browser: Browser, url: str, **options: Any) -> tuple[Page, list[str]]:
    """A browser at the page, and what its console complains of."""
    context = await browser.new_context(base_url=url, viewport={"width": WIDTH_PX, "height": 740}, **options)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page, complaints = await context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto("/")
    return page, complaints


async def log_in(page: Page, name: str) -> None:
    """Enter name and password, and see the night."""
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await expect(page.locator(".vehicle").first).to_be_visible()


async def open_each(page: Page, pages: tuple[str, ...] = PAGES, *, axe: bool = True) -> None:
    """Every page: its heading has the focus, it fits the phone, and (``axe``) axe finds nothing."""
    for name in pages:
        await page.evaluate(f"location.hash = '#{name}'")
        title = name.partition("/")[0]
        if title not in UNLISTED:
            await expect(page.locator("nav a[aria-current]")).to_have_attribute("href", f"#{title}")
        await expect(page.locator(f"main[data-page='{name}']")).to_be_visible()
        await expect(page.locator("main h1")).to_be_focused()
        assert await page.evaluate("document.documentElement.scrollWidth") <= WIDTH_PX, name
        found = (await Axe().run(page)).response["violations"] if axe else []
        assert found == [], (name, [(each["id"], each["nodes"][0]["html"]) for each in found])


async def sent(context: BrowserContext, method: str, path: str, body: dict[str, Any]) -> int:
    """The status of a request with the session of a browser, as a person with its tools could send it."""
    csrf = (await (await context.request.get("/api/session")).json())["csrf"]
    answer = await context.request.fetch(path, method=method, data=body, headers={"x-csrf-token": csrf})
    return answer.status


async def claim(page: Page, code: str) -> None:
    """The first visit: the one-time code makes erna's account, and she makes those of otto and vera."""
    await expect(page.locator("#code")).to_be_visible()
    await page.fill("#code", code)
    await log_in(page, "erna")
    await page.click("nav a[href='#setup']")
    for name, role in (("otto", "operator"), ("vera", "viewer")):
        await page.fill("#name", name)
        await page.select_option("#role", role)
        await page.fill("#password", PASSWORD)
        await page.click("form[data-form=person] button")
        await expect(page.locator("main table").last).to_contain_text(name)


async def refused(looks: Page, orders: Page) -> None:
    """A viewer may not order, and an operator makes no accounts: not at the page, and not past it."""
    await expect(looks.locator("button[data-do=stop]")).to_have_count(0)
    await expect(looks.locator("nav a[href='#setup']")).to_have_count(0)
    await looks.evaluate("location.hash = '#setup'")
    await expect(looks.locator("main h1")).not_to_have_text("Set-up")
    await looks.evaluate("location.hash = '#tonight'")
    stop = {"stop": True, "why": "none"}
    assert await sent(looks.context, "POST", "/api/orders", stop) == 403
    for method, path in (("POST", "/api/tonight"), ("POST", "/api/people"), ("DELETE", "/api/people/erna")):
        assert await sent(looks.context, method, path, {"kind": "boost", "subject": "BUS01"}) in {403, 422}
    mallory = {"name": "mallory", "role": "engineer", "password": PASSWORD}
    assert await sent(orders.context, "POST", "/api/people", mallory) == 403
    assert await sent(orders.context, "DELETE", "/api/people/erna", {}) == 403


def powers(page: Page) -> Any:
    """The power of each vehicle, as the page shows it."""
    return page.locator(".vehicle .power dd")


async def order_acts(page: Page) -> None:
    """Vehicles take or give; the operator stops the depot, and each is seen at 0."""
    await expect(powers(page).filter(has_text=POWER).first).to_be_visible()
    await page.click("button[data-do=stop]")
    await expect(page.locator("dialog")).to_contain_text("outlets go to 0 W")
    await page.fill("#reason", "smoke in row 3")
    await page.click("dialog button.danger")
    await expect(page.locator(".standing")).to_contain_text("STOP stands")
    await expect(powers(page).filter(has_text=POWER)).to_have_count(0)


async def killed_and_back(pages: list[Page], depot: Depot) -> None:
    """Every browser says that the daemon is away, and shows the night again when it is back."""
    await depot.kill()
    for page in pages:
        await expect(page.locator("#banner")).to_contain_text("The daemon does not answer.")
        await expect(page.locator("body")).to_have_class("stale")
    await depot.start()
    for page in pages:
        await expect(page.locator("#banner")).to_be_hidden()
        await expect(page.locator(".standing")).to_contain_text("STOP stands")  # an order outlives its daemon


async def follow(browser: Browser, depot: Depot, *, axe: bool = False) -> None:
    """The whole of it. Without ``axe``, which costs a second of processor time a page, for the test command:
    there the same pages are looked at by it with a daemon of samples.
    """
    engineer, first = await visit(browser, depot.url, locale="en-GB", color_scheme="dark")
    await claim(engineer, depot.code)
    operator, second = await visit(browser, depot.url, locale="en-GB", color_scheme="light")
    await log_in(operator, "otto")
    viewer, third = await visit(browser, depot.url, locale="en-GB")
    await log_in(viewer, "vera")
    await open_each(engineer, axe=axe)
    await refused(viewer, operator)
    await order_acts(operator)
    await killed_and_back([engineer, operator, viewer], depot)
    await operator.click("button[data-do=release]")
    await operator.fill("#reason", "all well")
    await operator.click("dialog button.danger")
    await expect(operator.locator(".standing")).to_have_count(0)
    await expect(powers(operator).filter(has_text=POWER).first).to_be_visible()
    complaints = [*first, *second, *third]
    assert complaints == [], complaints
    for page in (engineer, operator, viewer):
        await page.context.close()


async def main(folder: Path, seed: int, scale: float) -> bool:
    """The demo's three processes, and the night followed to its end: the order and the kill in the evening,
    every page in each hour that follows. Whether the night kept every promise.
    """
    demo = Demo(folder, seed, scale, fitting_scale(scale, measure_round_s()))
    await asyncio.to_thread(demo.start)
    code = await asyncio.to_thread(demo.console_code)
    depot = Depot(
        f"http://127.0.0.1:{demo.console_port}",
        code,
        lambda: asyncio.to_thread(demo.kill_daemon),
        lambda: asyncio.to_thread(demo.start_daemon),
    )
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            await follow(browser, depot, axe=True)
            await _look_on(browser, demo, depot.url)
            await browser.close()
    finally:
        await asyncio.to_thread(demo.stop)
    report = demo.result()
    sys.stdout.write(as_text(report) + "\n")
    return kept(report)


async def _look_on(browser: Browser, demo: Demo, url: str) -> None:
    page, complaints = await visit(browser, url, locale="de-DE")
    await log_in(page, "erna")
    rounds = 0
    while await asyncio.to_thread(demo.running):
        try:
            await open_each(page, axe=False)  # it would take a core from a night that is played in minutes
        except (AssertionError, Error):
            if demo.running():
                raise
            break  # the night ended while a page was opened
        rounds += 1
        sys.stdout.write(f"round {rounds}: {await page.locator('#facts').inner_text()}\n")
        sys.stdout.flush()
        await asyncio.sleep(PAUSE_S)
    assert rounds > 0, "the night ended before any page was opened"
    assert [each for each in complaints if "503" not in each] == [], complaints


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="v2g-edge-night-") as made:
        sys.exit(0 if asyncio.run(main(Path(made), seed=7, scale=SCALE)) else 1)
