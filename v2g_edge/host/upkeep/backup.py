"""The state folder saved and put back: SQLite files by SQLite's own backup, so that a running daemon does not
matter.

A backup is a tar archive (gzip) with one manifest; each file in it carries its SHA-256. A restore checks all
of them, and each database, before it touches anything, and keeps what was there under another name.
"""

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

MANIFEST: Final = "manifest.json"
FORM: Final = 1
"""Number of this form; a restore refuses others."""
LEFT_OUT: Final = (".new", ".broken", "-wal", "-shm", ".sock")
"""Endings of files that are no state: half-written ones, damaged ones, SQLite's own beside files."""
UNPACKED_FREE: Final = 64 << 20
UNPACKED_PER_OCTET: Final = 64
FILES_MAX: Final = 10_000
"""What an archive may hold: so many octets, and so many more for each of its own; databases pack 3 to 20
times. A restore holds all of it in memory, and gzip itself goes to 1,030 times.
"""
JOURNAL: Final = "journal.db"
"""By far the largest, and no ledger: left out unless asked for."""


class BackupError(Exception):
    """The archive cannot be made, read or put back; the message says why."""


class Saved(Struct, frozen=True):
    """One file of a backup, relative to the state folder."""

    name: str
    size: int
    sha256: str


def save(state_dir: Path, archive: Path, version: str, wall_s: float, *, with_journal: bool) -> list[Saved]:
    """Write ``archive``. What is in it afterwards has been read back once."""
    saved: list[Saved] = []
    fresh = archive.with_name(archive.name + ".new")
    try:
        with tarfile.open(fresh, "w:gz") as out:
            for path in _files(state_dir, with_journal=with_journal):
                name = path.relative_to(state_dir).as_posix()
                data = _bytes_of(path)
                saved.append(Saved(name, len(data), hashlib.sha256(data).hexdigest()))
                _add(out, name, data, wall_s)
            head = {
                "form": FORM,
                "version": version,
                "wall_s": wall_s,
                "files": [[s.name, s.size, s.sha256] for s in saved],
            }
            _add(out, MANIFEST, json.dumps(head, indent=1).encode(), wall_s)
        fresh.chmod(0o600)
        _read(fresh)
        fresh.replace(archive)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise BackupError(f"{archive}: cannot be written ({error})") from error
    return saved


def restore(archive: Path, state_dir: Path, wall_s: float) -> list[str]:
    """Put every file of ``archive`` into the state folder. The daemon must not run. Returns their names.

    What was there moves to ``before-restore-TIME`` in the same folder.
    """
    files = _read(archive)
    aside = state_dir / f"before-restore-{wall_s:.0f}"
    try:
        aside.mkdir(parents=True)
        owner = state_dir.stat()
        for name, data in files.items():
            path = state_dir / name
            for old in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                if old.exists():
                    (aside / old.relative_to(state_dir)).parent.mkdir(parents=True, exist_ok=True)
                    old.replace(aside / old.relative_to(state_dir))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o600)
            _give(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise BackupError(
            f"{state_dir}: cannot be written ({error}); what was there is in {aside}"
        ) from error
    return list(files)


def _files(state_dir: Path, *, with_journal: bool) -> Iterator[Path]:
    for path in sorted(state_dir.rglob("*")):
        name = path.relative_to(state_dir).as_posix()
        skipped = name.startswith(("before-restore-", "packages/")) or name.endswith(LEFT_OUT)
        if (
            path.is_file()
            and not path.is_symlink()
            and not skipped
            and (with_journal or path.name != JOURNAL)
        ):
            yield path


def _is_sqlite(data: bytes) -> bool:
    return data.startswith(b"SQLite format 3\0")


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        if not _is_sqlite(file.read(16)):
            file.seek(0)
            return file.read()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        source, target = sqlite3.connect(f"file:{path}?mode=ro", uri=True), sqlite3.connect(copy)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
        except sqlite3.Error as error:
            raise BackupError(f"{path}: cannot be read ({error}); set it aside, then try again") from error
        finally:
            source.close()
            target.close()
        return copy.read_bytes()


def _add(out: tarfile.TarFile, name: str, data: bytes, wall_s: float) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(wall_s)
    out.addfile(entry, io.BytesIO(data))


def _read(archive: Path) -> dict[str, bytes]:
    """Every file of an archive, proven by its sum; databases by SQLite's own check too."""
    try:
        found = _unpacked(archive)
        head = json.loads(found.pop(MANIFEST))
        promised = {name: sha256 for name, _size, sha256 in head["files"]}
    except (OSError, tarfile.TarError, zlib.error, EOFError, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{archive}: not a backup that can be read ({error!r})") from error
    if head.get("form") != FORM:
        raise BackupError(f"{archive}: a backup of form {head.get('form')}, this version reads form {FORM}")
    if set(promised) != set(found):
        raise BackupError(f"{archive}: its list and its files differ: {sorted(set(promised) ^ set(found))}")
    for name, data in found.items():
        if name.startswith("/") or ".." in Path(name).parts:
            raise BackupError(f"{archive}: {name} would lie outside the state folder")
        if hashlib.sha256(data).hexdigest() != promised[name]:
            raise BackupError(f"{archive}: {name} is damaged")
        if _is_sqlite(data):
            _check_database(archive, name, data)
    return found


def _unpacked(archive: Path) -> dict[str, bytes]:
    """The files of an archive by name. ValueError where they are too many or too large."""
    packed_octets = archive.stat().st_size
    left = UNPACKED_FREE + UNPACKED_PER_OCTET * packed_octets
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as packed:
        for entry in packed:
            left -= entry.size
            if left < 0 or len(found) >= FILES_MAX:
                raise ValueError(f"{entry.name} makes it larger than its {packed_octets} octets allow")
            file = packed.extractfile(entry) if entry.isreg() else None
            if file is not None:
                found[entry.name] = file.read()
    return found


def _check_database(archive: Path, name: str, data: bytes) -> None:
    db = sqlite3.connect(":memory:")
    try:
        db.deserialize(data)
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = str(error)
    finally:
        db.close()
    if verdict != "ok":
        raise BackupError(f"{archive}: {name} is a damaged database ({verdict})")


def _give(path: Path, uid: int, gid: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, uid, gid)
