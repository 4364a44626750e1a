"""A backup is whole or it is none, and a restore puts back all of it or touches nothing."""

import hashlib
import io
import json
import random
import sqlite3
import tarfile
from pathlib import Path

import pytest

from v2g_edge.host.upkeep.backup import BackupError, restore, save


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "pki").mkdir(parents=True)
    (folder / "offers.json").write_text('{"offers": []}')
    (folder / "pki" / "ca.pem").write_text("key")
    (folder / "operator.new").write_text("half")
    for name in ("ocpp.sqlite", "journal.db"):
        db = sqlite3.connect(folder / name)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(1_000)])
        db.commit()
        db.close()
    return folder


def _rows(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])
    finally:
        db.close()


def test_what_was_saved_is_back_and_what_was_there_is_kept(state: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    names = {each.name for each in save(state, archive, "1", 7.0, with_journal=False)}
    assert names == {"offers.json", "pki/ca.pem", "ocpp.sqlite"}
    assert archive.stat().st_mode & 0o077 == 0
    (state / "offers.json").write_text("lost")
    (state / "ocpp.sqlite").write_bytes(b"damaged")
    assert set(restore(archive, state, 8.0)) == names
    assert (state / "offers.json").read_text() == '{"offers": []}'
    assert _rows(state / "ocpp.sqlite") == 1_000
    assert (state / "before-restore-8" / "offers.json").read_text() == "lost"
    assert _rows(state / "journal.db") == 1_000, "what is not in the backup stays"


def test_a_database_that_is_being_written_is_saved_whole(state: Path, tmp_path: Path) -> None:
    """An open transaction is not in it; what was committed is."""
    db = sqlite3.connect(state / "journal.db")
    db.execute("INSERT INTO t VALUES (1000)")
    db.commit()
    db.execute("INSERT INTO t VALUES (1001)")
    save(state, tmp_path / "a.tar.gz", "1", 7.0, with_journal=True)
    db.close()
    other = tmp_path / "other"
    other.mkdir()
    restore(tmp_path / "a.tar.gz", other, 8.0)
    assert _rows(other / "journal.db") == 1_001


def test_a_damaged_archive_is_refused_and_nothing_is_touched(state: Path, tmp_path: Path) -> None:
    """Cut at any place, or with a byte changed at any place."""
    archive = tmp_path / "a.tar.gz"
    save(state, archive, "1", 7.0, with_journal=False)
    whole, before = archive.read_bytes(), (state / "offers.json").read_text()
    drawn = random.Random(5)
    refused = 0
    for turn in range(60):
        place = drawn.randrange(len(whole))
        torn = (
            whole[:place]
            if drawn.random() < 0.5
            else whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        )
        archive.write_bytes(torn)
        target = tmp_path / f"elsewhere{turn}"
        try:
            restore(archive, target, 8.0)
        except BackupError:
            assert not target.exists()
            refused += 1
        else:  # what changed was in gzip's own header: the content is whole
            assert (target / "offers.json").read_text() == before
    assert refused > 50


def test_a_disk_that_refuses_leaves_no_half_archive(state: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match="cannot be written"):
        save(state, tmp_path / "file" / "a.tar.gz", "1", 7.0, with_journal=False)


def test_a_name_that_leads_out_of_the_folder_is_refused(state: Path, tmp_path: Path) -> None:
    """Whoever makes an archive by hand."""
    archive = tmp_path / "a.tar.gz"
    data = b"x"
    head = {"form": 1, "files": [["../x", 1, hashlib.sha256(data).hexdigest()]]}
    with tarfile.open(archive, "w:gz") as out:
        for name, content in (("../x", data), ("manifest.json", json.dumps(head).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    with pytest.raises(BackupError, match="outside"):
        restore(archive, state, 8.0)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("files", "octets"), [(1, 80 << 20), (2, 80 << 20), (20_000, 1)])
def test_an_archive_that_grows_beyond_all_measure_is_refused(tmp_path: Path, files: int, octets: int) -> None:
    """80 MiB of zeros pack into 80 kB: a restore would take all memory before it looks at the first sum."""
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz") as out:
        for number in range(files):
            entry = tarfile.TarInfo(f"f{number}")
            entry.size = octets
            out.addfile(entry, io.BytesIO(b"\0" * octets))
    with pytest.raises(BackupError, match="larger than its"):
        restore(bomb, tmp_path / "state", 0.0)
    assert not (tmp_path / "state").exists()
