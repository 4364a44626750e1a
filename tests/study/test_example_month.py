"""The example month: the ledger is what the simulator's physics did, and the docs print what the program
prints.
"""

import json
import re
from pathlib import Path

import pytest

from tests.study.examples import PAGE, examples, printed
from v2g_edge.study.ledger.store import Store

PHYSICS: float = 0.005
"""Ledger against physics: half a percent."""


def words(text: str) -> set[str]:
    """What a text says beside its numbers."""
    return set(re.findall(r"[^\W\d_]+", text))


@pytest.mark.slow
def test_the_page_prints_what_the_program_prints(example_month: Path) -> None:
    """``python -m tests.study.examples FOLDER`` writes it anew. How the month went depends on every decision
    of the core, so its numbers may move; an example that reads no month is the same to the letter.
    """
    page = PAGE.read_text(encoding="utf-8")
    found = list(examples(page))
    assert found
    for command, options, said in found:
        shown = printed(command, options, example_month)
        assert words(shown) == words(said), f"v2g-edge {command}{options}"
        if command in {"roi", "portfolio"}:
            assert shown == said


@pytest.mark.slow
def test_the_ledger_is_what_the_physics_did(example_month: Path) -> None:
    """Each outlet and the grid meter to half a percent; the rest is the building."""
    told = json.loads((example_month / "physics.json").read_text())
    printed("ledger", " --journal journal.db", example_month)
    store = Store(example_month / "ledger.db", write=False)
    sums: dict[str, list[float]] = {}
    for line in store.lines(0.0, 1e12):
        row = sums.setdefault(line.meter, [0.0, 0.0])
        row[0] += line.in_wh
        row[1] += line.out_wh
    for meter, (in_wh, out_wh) in told.items():
        assert sums[meter][0] == pytest.approx(in_wh, rel=PHYSICS), meter
        assert sums[meter][1] == pytest.approx(out_wh, rel=PHYSICS), meter
