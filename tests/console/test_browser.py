"""The page in a real Chromium (Debian's; `make test` installs it): a night, an order, a daemon that goes
and returns.
"""

import asyncio
import contextlib
import csv
import io
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from msgspec.structs import replace
from playwright.async_api import Browser, Page, async_playwright, expect

from sim.runners.demo import free_ports
from sim.runners.world import World
from sim.virtual.clock import LoopClock
from tests.cli.test_orders_live import evening
from tests.console.conftest import Place, serving, until
from tests.console.demo_night import PAGES, Depot, follow, log_in, open_each, visit
from tests.sim.runners.test_kill import SCALE, daemon_of, played
from v2g_edge.console.accounts import Accounts
from v2g_edge.console.server import Console, Options
from v2g_edge.host.clock import SystemClock

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.asyncio(loop_scope="module")
"""One Chromium serves every test of this file."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A machine without Chromium fails here, in words: what the page promises was not seen."""
    assert CHROMIUM is not None, (
        "the console's page needs Debian's chromium to be tested: apt-get install chromium"
    )
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A console with one account of each role, before a daemon of samples."""
    async with serving(tmp_path) as found:
        yield found


@contextlib.asynccontextmanager
async def depot(folder: Path) -> AsyncIterator[Depot]:
    """Six buses in the dearest hour at a real daemon, ten times as fast as life, and the page before it."""
    scenario, ports = replace(evening(), faults=()), free_ports(3)
    clock = LoopClock(scenario.start_wall_s, SCALE)
    world = World(scenario, clock, meter_port=ports[1], relay_port=ports[2])
    accounts = Accounts(folder / "console")
    console = Console(
        Options("127.0.0.1", 0, str(folder / "control.sock"), folder / "console"), SystemClock()
    )
    async with contextlib.AsyncExitStack() as daemon, played(world, ports[0], scenario.end_wall_s):

        async def start() -> None:
            daemon.enter_context(daemon_of(scenario, folder, ports, clock.origin_s))

        serves = asyncio.ensure_future(console.run())
        await start()
        code = accounts.new_code(SystemClock().wall_s())
        try:
            await until(lambda: console.is_up)
            yield Depot(f"http://127.0.0.1:{console.port}", code, daemon.aclose, start)
        finally:
            console.stop()
            await serves


@pytest.mark.slow
async def test_a_night_of_the_demo_with_three_people_and_a_daemon_that_is_killed(
    browser: Browser, tmp_path: Path
) -> None:
    async with depot(tmp_path) as found:
        await follow(browser, found)


async def opened(browser: Browser, place: Place, name: str, **options: str) -> tuple[Page, list[str]]:
    """A page in which ``name`` is logged in, and what its console complains of."""
    page, complaints = await visit(browser, place.url, **options)
    await log_in(page, name)
    return page, complaints


async def test_a_night_at_the_page(browser: Browser, place: Place) -> None:
    page, complaints = await opened(browser, place, "erna", locale="en-GB", color_scheme="dark")
    await expect(page.locator(".vehicle").first).to_contain_text(
        "BUS12"
    )  # it will not be ready, so it stands first
    await expect(page.locator(".vehicle").first).to_contain_text("NOT READY")
    await expect(page.locator(".needs li").first).to_contain_text("another vehicle")
    await open_each(page, tuple(each.replace("BUS01", "E01") for each in PAGES))
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


async def test_a_study_of_an_investment_from_its_form_to_its_reports(browser: Browser, place: Place) -> None:
    """The figures on the page are those of the report."""
    page, complaints = await opened(browser, place, "otto", locale="de-DE", color_scheme="light")
    await page.click("nav a[href='#roi']")
    await page.fill("[id='roi.paths']", "60")
    await page.fill("[id='roi.fleet.vehicles']", "12")
    await page.click("form[data-form=roi] button")
    await expect(page.locator("progress")).to_be_visible()
    await expect(page.locator(".report svg.fan, .report svg.chart")).to_have_count(1)
    await expect(page.locator("progress")).to_have_count(0)
    assert await page.locator("[id='roi.fleet.vehicles']").input_value() == "12"
    rows = list(csv.DictReader(io.StringIO(await (await page.request.get("/api/roi/csv")).text())))
    npv = next(row for row in rows if (row["scenario"], row["way"], row["figure"]) == ("base", "V2G", "npv"))
    shown = await page.evaluate(
        "(value) => new Intl.NumberFormat('de').format(value)", round(float(npv["p50"]))
    )
    await expect(page.locator(".report .tile dd").nth(1)).to_contain_text(f"{shown} EUR")
    async with page.expect_download() as download:
        await page.click(".report a[download='roi.pdf']")
    assert (await (await download.value).path()).read_bytes().startswith(b"%PDF")
    assert (await Axe().run(page)).response["violations"] == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.fill("[id='roi.fleet.need_kwh']", "500")
    await page.click("form[data-form=roi] button")
    await expect(page.locator("main p.bad[role=alert]").first).to_contain_text(
        "fleet.need_kwh 500 is more than"
    )
    assert complaints == []


async def test_money_by_service_vehicle_and_day_and_what_was_not_earned(
    browser: Browser, place: Place
) -> None:
    page, complaints = await opened(browser, place, "vera", locale="en-GB", color_scheme="light")
    await page.click("nav a[href='#money']")
    await expect(page.locator("main .tile dd").nth(3)).to_have_text("-4.90 EUR")
    for caption in ("By service", "By vehicle"):
        await expect(
            page.locator(f"section[aria-labelledby=days] [aria-label='{caption}'] td").nth(5)
        ).to_have_text("14.00")
    await page.click("summary:has-text('By day')")
    await expect(page.locator("[aria-label='By day'] td").first).to_have_text("2026-01-13")
    held = page.locator("[aria-label^='Not given'] td")
    await expect(held.first).to_contain_text("Nothing is proven of a first discharge")
    await expect(held.nth(2)).to_have_text("3.75")
    sheet = await page.request.get(await page.locator("a[download='money.csv']").get_attribute("href") or "")
    assert (await sheet.text()).splitlines()[1].startswith("2026-01-13,BUS01,local plan,98.0")
    await page.fill("#since", "2020-01-01")
    await page.click("form[data-form=days] button")
    await expect(page.locator("section[aria-labelledby=days]")).to_contain_text("the ledger is empty")
    await page.fill("#evening", "2026-01-12")
    await page.click("form[data-form=night] button")
    await expect(page.locator("#since")).to_have_value("2020-01-01")
    assert complaints == []


async def test_the_plan_says_what_binds_and_what_a_moved_departure_costs(
    browser: Browser, place: Place
) -> None:
    page, complaints = await opened(browser, place, "otto", locale="en-GB", color_scheme="dark")
    await page.click("nav a[href='#plan']")
    await expect(page.locator("[aria-label^='What limits the plan'] td").first).to_have_text(
        "feeder import main"
    )
    await expect(page.locator("[aria-label^='Promises'] td").last).to_have_text("0.140")
    await page.select_option("#subject", "BUS01")
    await page.fill("#at", "19:00")
    await page.click("form[data-form=whatif] button")
    await expect(page.locator(".outcome")).to_contain_text("It would cost 2.35 more.")
    await expect(page.locator(".outcome")).to_contain_text("BUS03 would lack 12.0 kWh")
    await expect(page.locator(".outcome td").nth(4)).to_have_text("24.0 → 0.0")
    assert place.daemon.orders == []
    assert (await Axe().run(page)).response["violations"] == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    assert complaints == []


async def test_an_engineer_sets_up_the_site_file_certificates_and_a_roll_out(
    browser: Browser, place: Place
) -> None:
    page, complaints = await opened(browser, place, "erna", locale="en-GB", color_scheme="light")
    await page.click("nav a[href='#setup']")
    await expect(page.locator("[data-part=unknown] pre")).to_contain_text('identity = "CP77"')
    await expect(page.locator("[data-part=certificates] tbody tr")).to_have_count(2)
    await expect(page.locator("[data-part=certificates] span.bad")).to_have_count(1)
    await expect(page.locator("[data-part=commissioning] td").last).to_have_text("proven")
    await page.fill("#site-text", "nonsense")
    await page.click("form[data-form=sitefile] button")
    await expect(page.locator(".checked")).to_contain_text("Expected '=' after a key")
    await page.fill("#site-text", "[site]")
    await page.click("form[data-form=sitefile] button")
    await expect(page.locator(".checked")).to_contain_text("This file can be used.")
    assert place.daemon.orders == []
    await page.click("button[data-do=apply]")
    await page.fill("#reason", "less export")
    await page.click("dialog button.danger")
    await expect(page.locator("[data-part=site_file]")).to_contain_text("The file on the disk is in force.")
    await page.click("button[data-name=rollout-abort]")
    await expect(page.locator("dialog")).to_contain_text("No further station is updated.")
    await page.fill("#reason", "wrong file")
    await page.click("dialog button.danger")
    await expect(page.locator("[data-part=rollout]")).to_contain_text("aborted")
    assert [each.get("operation", "apply") for each in place.daemon.orders] == ["apply", "rollout-abort"]
    assert [each for each in complaints if "400" not in each] == []  # Chromium notes a refused check


async def test_a_viewer_in_german_sees_and_may_not_order(browser: Browser, place: Place) -> None:
    page, complaints = await opened(browser, place, "vera", locale="de-DE", color_scheme="light")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.locator("main h1")).to_have_text("Heute Nacht")
    await expect(page.locator(".vehicle").first).to_contain_text("NICHT BEREIT")
    await expect(page.locator("button[data-do=stop]")).to_have_count(0)
    await expect(page.locator("nav a[href='#setup']")).to_have_count(0)
    assert (await Axe().run(page)).response["violations"] == []
    assert complaints == []
