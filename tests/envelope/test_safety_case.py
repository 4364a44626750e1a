"""The safety case cannot drift: every line points at code and a test that exist, and every row of the
table has a line.
"""

import ast
import re
from pathlib import Path

import pytest

from v2g_edge.envelope.checks import ROWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety-case.md").read_text(encoding="utf-8")
LINES = [
    [cell.strip() for cell in line.strip("| \n").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| hazard")
]


def names(path: Path) -> set[str]:
    """What a module defines at its top: functions, classes, constants."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


def test_the_page_has_lines_of_four_cells() -> None:
    assert len(LINES) > 40
    assert all(len(cells) == 4 and all(cells) for cells in LINES)


@pytest.mark.parametrize("cells", LINES, ids=[cells[0][:40] for cells in LINES])
def test_a_line_points_at_code_and_a_test_that_exist(cells: list[str]) -> None:
    for cell, folder in ((cells[2], "v2g_edge/"), (cells[3], "tests/")):
        path, name = cell.strip("`").split("::")
        assert path.startswith(folder)
        assert name in names(ROOT / path), cell
    assert cells[3].split("::")[1].startswith("test_")


def test_every_row_of_the_safety_table_has_its_line() -> None:
    told = set(re.findall(r"`([a-z_]+)`", " ".join(cells[1] for cells in LINES)))
    assert {row.id for row in ROWS} <= told


def test_hazards_are_named_once() -> None:
    hazards = [cells[0] for cells in LINES]
    assert len(hazards) == len(set(hazards))
