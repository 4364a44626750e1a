"""Every place that the developer's page names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"`((?:v2g_edge|sim|tests)/[A-Za-z0-9_./*-]+)`")


def test_every_place_that_is_named_is_there() -> None:
    for page in ("developer.md", "architecture.md"):
        named = set(PLACE.findall((ROOT / "docs" / page).read_text(encoding="utf-8")))
        assert len(named) > 10
        gone = sorted(place for place in named if not any(ROOT.glob(place.rstrip("/"))))
        assert gone == [], page
