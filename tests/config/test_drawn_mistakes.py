"""How many drawn mistakes ``check`` refuses or warns of, by kind."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.config.drawn import drawn, is_told, keys, read

DEPOT = read(Path(__file__).parents[2] / "examples" / "depot.toml")
BASE = read(Path(__file__).parent / "broken" / "base.toml")
SEED = 1
TOLD_LEAST = 0.95
OF_A_SHAPE = (
    "wrong type",
    "wrong unit",
    "swapped sign",
    "misspelt key",
    "unknown reference",
    "duplicate id",
    "out of range",
    "missing key",
)
"""What a file can show to be wrong."""
MISSING_LEAST = 0.9
"""A depot may be without what a key says: currents of a feeder, a reserve."""
OF_A_NUMBER = {"a digit more": 0.75, "a digit less": 0.6, "swapped keys": 0.8}
"""Numbers that may be right at another depot: the least share by kind."""


@cache
def figures() -> tuple[Counter[str], Counter[str], tuple[str, ...]]:
    """(drawn, told) by kind, and what was not told."""
    total: Counter[str] = Counter()
    told: Counter[str] = Counter()
    untold = []
    for document, but in ((DEPOT, frozenset[str]()), (BASE, keys(DEPOT))):
        assert not is_told(document)
        for mistake in drawn(document, SEED, but):
            total[mistake.kind] += 1
            if is_told(mistake.document):
                told[mistake.kind] += 1
            else:
                untold.append(f"{mistake.kind}: {mistake.place}")
    return total, told, tuple(untold)


@pytest.mark.parametrize("kind", OF_A_SHAPE)
def test_each_kind_of_mistake_is_told(kind: str) -> None:
    """At every key of every table."""
    total, told, untold = figures()
    assert total[kind] >= 5
    least = MISSING_LEAST if kind == "missing key" else TOLD_LEAST
    assert told[kind] >= least * total[kind], [text for text in untold if text.startswith(kind)]


@pytest.mark.parametrize("kind", OF_A_NUMBER)
def test_a_wrong_number_is_told_where_another_one_contradicts_it(kind: str) -> None:
    """The others have nothing beside them to be held against."""
    total, told, untold = figures()
    assert told[kind] >= OF_A_NUMBER[kind] * total[kind], [text for text in untold if text.startswith(kind)]


def test_of_a_hundred_drawn_mistakes_ninety_five_are_told() -> None:
    """All kinds a file can show together; and what a person drew by hand is in ``broken/``."""
    total, told, _ = figures()
    drawn_all = sum(total[kind] for kind in OF_A_SHAPE)
    assert drawn_all >= 300
    assert sum(told[kind] for kind in OF_A_SHAPE) >= TOLD_LEAST * drawn_all
