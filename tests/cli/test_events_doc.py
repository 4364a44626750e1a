"""docs/events.md names every event that the product can emit, as the code has it."""

import ast
from pathlib import Path

from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.table import Action

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "events.md").read_text(encoding="utf-8").splitlines()


def cells() -> dict[str, list[str]]:
    """The tables' rows by their first cell."""
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in LINES
        if line.startswith("| `")
    ]
    return {row[0]: row[1:] for row in rows}


SEVERITIES = frozenset({"info", "warning", "alarm", "trip"})
MAKERS = frozenset({"Event", "_event"})
TELLERS = frozenset({"_tell", "_say"})


def _text(node: ast.expr | None) -> str:
    """A constant text, else ""."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def kinds_in_code() -> set[str]:
    """Every text that stands as the kind of an event: first argument of what makes one, or before a
    severity.
    """
    found = set()
    for path in (ROOT / "v2g_edge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            says = name in TELLERS and len(node.args) > 1 and _text(node.args[1]) in SEVERITIES
            if says or (name in MAKERS and "console" not in path.relative_to(ROOT).parts):
                found.add(_text(node.args[0]))
    return found - {""}


def test_every_kind_is_explained_and_nothing_else() -> None:
    """A new event needs its meaning and what to do; one that is gone leaves the page."""
    assert set(cells()) - set(Action.__members__) == {row.id for row in ROWS} | kinds_in_code()


def test_the_page_says_what_each_row_does_and_when_it_clears() -> None:
    """Action and clear rule as in the safety table."""
    page = cells()
    assert {row.id: page[row.id][:2] for row in ROWS} == {
        row.id: [row.action.name, row.clear] for row in ROWS
    }


def test_every_action_is_explained() -> None:
    """With the severity that its events have."""
    assert set(Action.__members__) <= set(cells())
