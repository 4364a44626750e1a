"""``v2g-edge backup | restore``: the ledgers and all other state, saved and put back."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v2g_edge import __version__
from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import DONE, FAILED, CommandError
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.upkeep.backup import BackupError, restore, save
from v2g_edge.model.settings import HostSettings


def register(subparsers: Any) -> None:
    """Add the commands."""
    backup = subparsers.add_parser(
        "backup", help="save ledgers and state into one file, also while the daemon runs"
    )
    backup.add_argument("file", type=Path, help="the archive to write; a folder: a name with the date in it")
    backup.add_argument(
        "--with-journal", action="store_true", help="the record of every decision too; it may be large"
    )
    backup.add_argument(
        "--keep", type=int, default=0, metavar="N", help="in a folder: remove all but the newest N archives"
    )
    _add_state(backup)
    backup.set_defaults(run=run_backup)
    back = subparsers.add_parser("restore", help="put a backup back; the daemon must be stopped")
    back.add_argument("file", type=Path)
    _add_state(back)
    add_socket(back)
    back.set_defaults(run=run_restore)


def _add_state(parser: argparse.ArgumentParser) -> None:
    default = Path(HostSettings().state_dir)
    parser.add_argument(
        "--state", type=Path, default=default, metavar="FOLDER", help=f"the state folder (default {default})"
    )


def run_backup(arguments: argparse.Namespace) -> int:
    """One line with what was saved; 1 where it could not be."""
    wall_s = SystemClock().wall_s()
    folder = arguments.file if arguments.file.is_dir() else None
    name = f"v2g-edge-{datetime.fromtimestamp(wall_s, tz=UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    archive = folder / name if folder is not None else arguments.file
    try:
        saved = save(arguments.state, archive, __version__, wall_s, with_journal=arguments.with_journal)
    except BackupError as error:
        raise CommandError(str(error), FAILED) from error
    print(
        f"{archive}: {len(saved)} files, {sum(each.size for each in saved) / 1e6:.1f} MB, read back and found"
        " whole"
    )
    if folder is not None and arguments.keep > 0:
        for old in sorted(folder.glob("v2g-edge-*.tar.gz"))[: -arguments.keep]:
            old.unlink()
    return DONE


def run_restore(arguments: argparse.Namespace) -> int:
    """Everything or nothing; what was there is kept."""
    try:
        ask(arguments.socket, "status", timeout_s=2.0)
    except CommandError:
        pass  # no daemon answers: that is how it must be
    else:
        raise CommandError(
            "the daemon runs and would write over it: systemctl stop v2g-edge, then again", FAILED
        )
    try:
        names = restore(arguments.file, arguments.state, SystemClock().wall_s())
    except BackupError as error:
        raise CommandError(str(error), FAILED) from error
    print(
        f"{len(names)} files are back in {arguments.state}; what was there is in its folder before-restore-…"
    )
    return DONE
