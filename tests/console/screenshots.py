"""``make screenshots``: every page of the console, light and dark, phone and desktop, into a folder."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, async_playwright

from tests.console.conftest import PASSWORD, serving
from tests.console.demo_night import PAGES
from tests.console.test_browser import CHROMIUM

SIZES: Final = {"phone": (360, 740), "desktop": (1440, 900)}


async def main(folder: Path) -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory() as state:
        async with serving(Path(state)) as place, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for size in SIZES:
                for scheme in ("light", "dark"):
                    await _take(browser, place.url, folder, size, scheme)
            await browser.close()


async def _take(browser: Browser, url: str, folder: Path, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    context = await browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
    )
    page = await context.new_page()
    await page.goto("/")
    await page.screenshot(path=folder / f"login-{size}-{scheme}.png")
    await page.fill("#name", "erna")
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await page.locator(".vehicle").first.wait_for()
    for name in PAGES:
        await page.evaluate(f"location.hash = '#{name}'")
        await page.wait_for_timeout(500)  # a picture each second; the page itself is there at once
        title = name.partition("/")[0]
        await page.screenshot(path=folder / f"{title}-{size}-{scheme}.png", full_page=True)
    await context.close()


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
