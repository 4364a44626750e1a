"""Every place that the developer's page and the architecture name is there, short names too."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("developer.md", "architecture.md")
PLACE = re.compile(r"`((?:v2g_edge|sim|tests)/[A-Za-z0-9_./*-]+)`")
NAME = re.compile(r"`([a-z0-9_*-]+(?:/[A-Za-z0-9_.*-]*)+|[a-z0-9_*]+\.py)(?:::\w+)?`")
ROOTS = (ROOT, ROOT / "v2g_edge", ROOT / "v2g_edge" / "field" / "ocpp")
"""A path counts from one of these; a name without a folder stands beside or below the path before it."""


def test_every_place_that_is_named_is_there() -> None:
    for page in PAGES:
        named = set(PLACE.findall((ROOT / "docs" / page).read_text(encoding="utf-8")))
        assert len(named) > 10
        gone = sorted(place for place in named if not any(ROOT.glob(place.rstrip("/"))))
        assert gone == [], page


def lost(row: str) -> list[str]:
    """The paths and names of one row of a table that lead to no file."""
    beside, gone = ROOT / "v2g_edge", list[str]()
    for name in NAME.findall(row):
        if any(beside.glob(name.rstrip("/"))):
            continue
        found = next((place for root in ROOTS if "/" in name for place in root.glob(name.rstrip("/"))), None)
        if found is None:
            gone.append(name)
        else:
            beside = found if found.is_dir() else found.parent
    return gone


@pytest.mark.parametrize("page", PAGES)
def test_every_name_in_a_table_leads_to_a_file(page: str) -> None:
    rows = [r for r in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines() if r.startswith("| ")]
    assert {row: gone for row in rows if (gone := lost(row))} == {}


def test_a_name_that_stands_elsewhere_is_noticed() -> None:
    assert lost("| x | `v2g_edge/envelope/checks.py`, `gate.py`; learnt: `charging_power.py` |") == [
        "charging_power.py"
    ]
