"""Small states in two copies: damage of one costs nothing, damage of both is told and never stops the
daemon.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from v2g_edge.statefile import StateFile, write_atomically


def made(path: Path) -> StateFile[dict[str, int]]:
    return StateFile(path, msgspec.json.encode, lambda data: msgspec.json.decode(data, type=dict[str, int]))


def test_what_was_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    made(tmp_path / "a.json").save({"x": 1})
    made(tmp_path / "a.json").save({"x": 2})
    assert made(tmp_path / "a.json").load() == ({"x": 2}, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.json.copy"]


def test_a_state_that_was_never_written_is_no_fault(tmp_path: Path) -> None:
    assert made(tmp_path / "a.json").load() == (None, "")


def _damage(path: Path, how: str) -> None:
    if how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "random":
        path.write_bytes(os.urandom(100))
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("how", ["cut", "random", "empty", "folder"])
def test_outside_case_b5_one_damaged_copy_is_set_aside_and_told_and_the_other_speaks(
    tmp_path: Path, how: str
) -> None:
    made(tmp_path / "a.json").save({"x": 1})
    _damage(tmp_path / "a.json", how)
    found = made(tmp_path / "a.json").load()
    assert found.value == {"x": 1}
    assert "a.json: cannot be read" in found.fault
    assert "a.json.broken" in found.fault
    made(tmp_path / "a.json").save({"x": 2})
    assert made(tmp_path / "a.json").load() == ({"x": 2}, "")


@pytest.mark.parametrize("how", ["cut", "random", "empty", "folder"])
def test_outside_case_b5_both_damaged_is_no_value_and_a_fault(tmp_path: Path, how: str) -> None:
    for _ in range(2):  # the second time something stands in the place for broken ones
        made(tmp_path / "a.json").save({"x": 1})
        _damage(tmp_path / "a.json", how)
        _damage(tmp_path / "a.json.copy", how)
        found = made(tmp_path / "a.json").load()
        assert found.value is None
        assert found.fault.count("cannot be read") == 2
    assert made(tmp_path / "a.json").load() == (None, ""), "what was told is not told again"


def test_a_change_of_any_octet_is_seen(tmp_path: Path) -> None:
    """Also one that leaves valid JSON: a name that is not known any more would be passed over."""
    made(tmp_path / "a.json").save({"x": 1})
    data = (tmp_path / "a.json").read_bytes()
    for place in range(len(data)):
        (tmp_path / "a.json").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        found = made(tmp_path / "a.json").load()
        assert found.value == {"x": 1}
        assert found.fault
        made(tmp_path / "a.json").save({"x": 1})


def test_a_file_of_a_version_without_checksums_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"x": 7}')
    assert made(tmp_path / "a.json").load() == ({"x": 7}, "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_bytes_stand_there_loading_ends_with_words(
    tmp_path: Path, first: bytes, second: bytes
) -> None:
    (tmp_path / "a.json").write_bytes(first)
    (tmp_path / "a.json.copy").write_bytes(second)
    found: Any = made(tmp_path / "a.json").load()
    assert found.value is None or isinstance(found.value, dict)
    assert found.value is not None or found.fault


def test_a_disk_that_refuses_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="state"):
        write_atomically(tmp_path / "state" / "a.json", b"x")
