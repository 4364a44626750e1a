"""The faults that `make mutation` seeds: each kind is made, and made once at a time."""

from pathlib import Path

import pytest

from tests.mutants import mutants


def changes(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "toy.py"
    path.write_text(f"def f(a, b, c):\n    return {body}\n", encoding="utf-8")
    return [mutant.change for mutant in mutants(path, "toy")]


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ("a < b", "a < b -> a <= b"),
        ("a and b and c", "a and b and c -> a and True and c"),
        ("a or b", "a or b -> False or b"),
        ("a and b", "a and b -> a or b"),
        ("min(a, b)", "min(a, b) -> max(a, b)"),
        ("c(a, b)", "c(a, b) -> c(b, a)"),
        ("c(a, latches=b)", "c(a, latches=b) -> without latches"),
        ("a.max_charge_w", "a.max_charge_w -> a.max_discharge_w"),
        ("a.least_w", "a.least_w -> a.most_w"),
        ("b if a else c", "b if a else c -> b if not a else c"),
        ("not a", "not a -> not not a"),
        ("-a", "-a -> +a"),
        ("a + 1.0", "1.0 -> 2.0"),
    ],
)
def test_a_fault_of_each_kind_is_seeded(tmp_path: Path, body: str, change: str) -> None:
    assert change in changes(tmp_path, body)


def test_what_changes_nothing_is_no_fault(tmp_path: Path) -> None:
    assert changes(tmp_path, "a.id") == []
    assert "c(a, a) -> c(a, a)" not in changes(tmp_path, "c(a, a)")
    assert not [change for change in changes(tmp_path, "min(a, b)") if change.endswith("min(b, a)")]
