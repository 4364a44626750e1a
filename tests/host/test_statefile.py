"""A file is the old one or the new one, never a part of either."""

from pathlib import Path

import pytest

from v2g_edge.host.statefile import write_atomically


def test_the_new_replaces_the_old_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "offers.json"
    for data in (b"old", b"new"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == ["offers.json"]


def test_a_disk_that_refuses_is_an_oserror_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "offers.json"
    write_atomically(path, b"old")
    path.with_suffix(".new").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
