"""Reading TOML past its faults."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.mistakes import BASE
from v2g_edge.config import toml
from v2g_edge.config.load import inspect_text

HERE = Path("site.toml")


def test_every_broken_table_is_named_and_the_others_are_read() -> None:
    """Two faults in two tables: two problems, and the third table is there."""
    document, faults = toml.parse("[a]\nx = \n[b]\ny = 1\n[c]\nz = 1 2\n", HERE)
    assert [fault.key for fault in faults] == ["line 2", "line 6"]
    assert document == {"b": {"y": 1}}


def test_bytes_that_are_no_text_and_files_without_end_are_refused(tmp_path: Path) -> None:
    """Both are one problem of the whole file."""
    path = tmp_path / "x.toml"
    path.write_bytes(b"a = '\xff'\n")
    assert "UTF-8" in toml.read(path)[2][0].allowed
    path.write_bytes(b"#" * (toml.FILE_MAX_BYTES + 1))
    assert "bytes" in toml.read(path)[2][0].found
    assert toml.read(tmp_path)[2][0].found == "Is a directory"


def test_deep_nesting_is_a_problem_not_a_crash() -> None:
    """A file made to exhaust the stack."""
    document, faults = toml.parse("a = " + "[" * 20_000, HERE)
    assert document == {}
    assert faults


@given(st.text(alphabet='[]="\n ab1#.,{}', max_size=60))
def test_any_text_ends_in_a_document_or_in_faults(text: str) -> None:
    """Never an exception, never more faults than the bound, and a text without a fault was read whole."""
    document, faults = toml.parse(text, HERE)
    assert len(faults) <= toml.FAULTS_MAX
    assert isinstance(document, dict)


def test_rows_of_a_list_are_not_taken_for_tables() -> None:
    """A charge curve over several lines, with a fault in it, is one problem."""
    document, faults = toml.parse(
        "[[a]]\ncurve = [\n  [0.0, 1.0],\n  [80.0 1.0],\n  [90.0, 1.0],\n]\n[b]\ny = 1\n", HERE
    )
    assert [fault.key for fault in faults] == ["line 4"]
    assert document == {"b": {"y": 1}}


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "9" * 5_000, "0x" + "f" * 5_000, "1e999"])
def test_a_number_without_measure_is_a_problem_and_no_fault_of_ours(number: str) -> None:
    """A key held down: more digits than a float has, or than Python turns into a number."""
    text = BASE.replace("max_charge_w = 22000.0", f"max_charge_w = {number}", 1)
    assert text != BASE
    report = inspect_text(text, "site.toml")
    assert report.settings is None
    assert report.errors


def test_a_date_without_quotes_is_the_date() -> None:
    """TOML has dates of its own, and people write holidays so."""
    text = BASE.replace('name = "vans"', 'name = "vans"\nholidays = [2026-12-25, 2026-12-26]', 1)
    report = inspect_text(text, "site.toml")
    assert not report.problems
    assert report.settings is not None
    assert report.settings.site.holidays == ("2026-12-25", "2026-12-26")
