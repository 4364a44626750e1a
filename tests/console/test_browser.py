"""The page in a real Chromium (Debian's; `make test` installs it): a night, an order, a daemon that goes
and returns.
"""

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.console.conftest import PASSWORD, Place

CHROMIUM = shutil.which("chromium")
STATIC = Path("v2g_edge/console/static")
PATIENCE_MS = 60_000
PAGES = [
    "depot",
    "vehicle/E01",
    "why/E12",
    "plan",
    "money",
    "events",
    "setup",
    "account",
    "tonight",
]
UNLISTED = {"vehicle", "account"}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A machine without Chromium fails here, in words: what the page promises was not seen."""
    assert CHROMIUM is not None, (
        "the console's page needs Debian's chromium to be tested: apt-get install chromium"
    )
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


async def opened(browser: Browser, place: Place, name: str, **options: Any) -> tuple[Page, list[str]]:
    """A page in which ``name`` is logged in, and what its console complains of."""
    context = await browser.new_context(base_url=place.url, viewport={"width": 360, "height": 740}, **options)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page, complaints = await context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto("/")
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await expect(page.locator(".vehicle").first).to_be_visible()
    return page, complaints


async def test_a_night_at_the_page(browser: Browser, place: Place) -> None:
    page, complaints = await opened(browser, place, "erna", locale="en-GB", color_scheme="dark")
    await expect(page.locator(".vehicle").first).to_contain_text(
        "BUS12"
    )  # it will not be ready, so it stands first
    await expect(page.locator(".vehicle").first).to_contain_text("NOT READY")
    await expect(page.locator(".needs li").first).to_contain_text("another vehicle")
    for name in PAGES:
        await page.evaluate(f"location.hash = '#{name}'")
        if name.partition("/")[0] not in UNLISTED:
            await expect(page.locator("nav a[aria-current]")).to_have_attribute(
                "href", "#" + name.partition("/")[0]
            )
        await expect(page.locator("main h1")).to_be_focused()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, name
        found = (await Axe().run(page)).response["violations"]
        assert found == [], (name, [(each["id"], each["nodes"][0]["html"]) for each in found])
    await page.click("button[data-do=stop]")
    await expect(page.locator("dialog")).to_contain_text("All 12 outlets go to 0 W")
    assert place.daemon.orders == []
    await page.fill("#reason", "smoke in row 3")
    await page.click("dialog button.danger")
    await expect(page.locator(".standing")).to_contain_text("STOP stands")
    assert place.daemon.orders == [{"stop": True, "by": "erna", "why": "smoke in row 3"}]
    await place.daemon.stop()
    await expect(page.locator("#banner")).to_contain_text("The daemon does not answer.")
    await expect(page.locator("body")).to_have_class("stale")
    await place.daemon.start()
    await expect(page.locator("#banner")).to_be_hidden()
    assert complaints == []


async def test_an_order_for_a_vehicle_is_tried_given_and_taken_back(browser: Browser, place: Place) -> None:
    page, complaints = await opened(browser, place, "otto", locale="en-GB", color_scheme="dark")
    await page.evaluate("location.hash = '#vehicle/BUS01'")
    await expect(page.locator("main h1")).to_have_text("BUS01")
    await expect(page.locator("svg.chart")).to_have_count(2)
    await page.click("button[data-kind=boost]")
    await expect(page.locator("dialog")).to_contain_text("BUS03 would lack 12.0 kWh")
    assert place.daemon.orders == []  # only tried
    await page.fill("#reason", "a tour was moved")
    await page.click("dialog button.danger")
    await expect(page.locator("main")).to_contain_text("boost BUS01 until 06:00")
    assert place.daemon.orders == [
        {"kind": "boost", "subject": "BUS01", "trial": False, "who": "otto", "why": "a tour was moved"}
    ]
    await page.click("button[data-do=undo]")
    await expect(page.locator("button[data-do=undo]")).to_have_count(0)
    await page.fill("#at", "04:45")
    await page.fill("#soc", "90")
    await page.click("form[data-form=depart] button")
    await expect(page.locator("dialog")).to_contain_text("Every promise is kept.")
    await page.click("dialog button:not([data-do])")
    await expect(page.locator("main")).to_contain_text("depart BUS01 until 06:00")
    assert place.daemon.orders[-1] | {"at": "04:45", "soc_pct": 90.0} == place.daemon.orders[-1]
    assert complaints == []


async def test_a_viewer_in_german_sees_and_may_not_order(browser: Browser, place: Place) -> None:
    page, complaints = await opened(browser, place, "vera", locale="de-DE", color_scheme="light")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.locator("main h1")).to_have_text("Heute Nacht")
    await expect(page.locator(".vehicle").first).to_contain_text("NICHT BEREIT")
    await expect(page.locator("button[data-do=stop]")).to_have_count(0)
    await expect(page.locator("nav a[href='#setup']")).to_have_count(0)
    assert (await Axe().run(page)).response["violations"] == []
    assert complaints == []


def test_every_text_is_in_every_catalogue() -> None:
    """A key that a page names, and the same keys in each language."""
    catalogues = [json.loads((STATIC / f"{code}.json").read_text(encoding="utf-8")) for code in ("en", "de")]
    assert catalogues[0].keys() == catalogues[1].keys()
    for key, text in catalogues[0].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", catalogues[1][key])), key
    scripts = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    named = set(re.findall(r'\b(?:t|heading|fact|key:)\(?\s*"([a-z._]+)"', scripts))
    assert named - catalogues[0].keys() == set()
    assert len(named) > 50


def test_the_page_has_nothing_inline_and_fits_a_slow_line() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", page) == []
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 300_000
