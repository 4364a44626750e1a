"""The safety case cannot drift: every line points at code and a test that exist, and every row of the
table has a line.
"""

import ast
import re
from pathlib import Path

import pytest

from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.table import Clear, Row

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


ENDS: dict[Clear, str] = {
    "when_gone": "with its condition",
    "after_enter_service": "by enter service",
    "when_unplugged": "with the next session",
    "by_proof": "by proof",
    "by_operator": "by a person alone",
}
"""How the last column begins for a row with this clear rule."""
FOR_A_PERSON = {"meter_reversed"}
"""No more rows than these may wait for a person alone: each says on the page why no reading can end it."""


def test_the_page_has_lines_of_five_cells() -> None:
    assert len(LINES) > 40
    assert all(len(cells) == 5 and all(cells) for cells in LINES)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_page_says_how_a_row_ends_by_itself(row: Row) -> None:
    (ends,) = [cells[4] for cells in LINES if cells[1].startswith(f"`{row.id}`")]
    assert ends.startswith(ENDS[row.clear])
    assert len(ends) > len(ENDS[row.clear]) or row.clear == "when_unplugged", "and by what"
    assert (row.clear == "by_operator") == (row.id in FOR_A_PERSON)


def test_whatever_else_waits_for_a_person_says_so() -> None:
    alone = [cells[1] for cells in LINES if cells[4].startswith("by a person alone")]
    assert len(alone) == len(FOR_A_PERSON) + 2, "a check without an answer, and a site file that cannot hold"


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
