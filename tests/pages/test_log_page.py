"""docs/log.md names every key of the log, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def _words(node: ast.expr) -> Iterator[str]:
    """The keys that an argument can be: a constant, or either side of a condition."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _words(node.body)
        yield from _words(node.orelse)


def keys_of_the_log() -> set[str]:
    found = set()
    for path in (ROOT / "v2g_edge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            if node.func.attr in LEVELS and isinstance(owner, ast.Name) and owner.id in {"log", "_log"}:
                found |= {word for argument in node.args[:2] for word in _words(argument)}
    return found


def test_every_key_of_the_log_is_on_its_page() -> None:
    keys = keys_of_the_log()
    assert len(keys) > 100
    rows = {key: (says, act) for key, says, act in ROW.findall((ROOT / "docs" / "log.md").read_text())}
    elsewhere = {"rollout_stopped", "event"}  # made from a state, and written by ``host.logs``
    assert keys - rows.keys() == set(), "these have no row on the page"
    assert rows.keys() - keys - elsewhere == set(), "these are no keys of the log"
    assert all(says.strip() and act.strip() for says, act in rows.values())
