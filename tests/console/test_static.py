"""The page's files: every text in every language, nothing inline, and small."""

import json
import re
from pathlib import Path

STATIC = Path("v2g_edge/console/static")


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


def test_the_page_asks_at_once_for_all_that_its_first_picture_needs() -> None:
    """On a slow line each step of a chain of imports is a way there and back; later pages come when they are
    opened.
    """
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'"modulepreload" href="/static/(\w+\.js)"', page))
    needed, new = set[str](), {"app.js"}
    while new:
        needed |= new
        texts = ((STATIC / name).read_text(encoding="utf-8") for name in new)
        new = {
            name for text in texts for name in re.findall(r'^import .* from "\./(\w+\.js)"', text, re.M)
        } - needed
    assert named | {"app.js"} == needed
    assert len(needed) < len(list(STATIC.glob("*.js")))
