"""``v2g-edge migrate FILE``: brings an older site file and its drop-ins to this version's form."""

import argparse
from pathlib import Path
from typing import Any

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.site.apply import replace_file
from v2g_edge.config import inspect
from v2g_edge.config.dropins import folder_of
from v2g_edge.config.migrate import migrated


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "migrate", help="bring an older site file to this version's form; the file before is kept beside it"
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Each changed line; 1 where the file has problems afterwards too, 2 where it cannot be read."""
    paths = [arguments.file, *sorted(folder_of(arguments.file).glob("*.toml"))]
    changed = sum(_migrate(path, dry_run=arguments.dry_run) for path in paths)
    if not changed:
        print("nothing to change: it is in this version's form")
    errors = len(inspect(arguments.file).errors)
    if errors and not arguments.dry_run:
        print(f"{errors} problems are left: v2g-edge check {arguments.file}")
    return FAILED if errors and not arguments.dry_run else DONE


def _migrate(path: Path, *, dry_run: bool) -> int:
    """How many lines of one file changed."""
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read ({error})", BAD_INPUT) from error
    after, changes = migrated(before)
    for change in changes:
        print(f"{path}:{change.line}: {change.before}  ->  {change.after}  (since {change.since})")
    if changes and not dry_run:
        print(f"{path}: the file before is {replace_file(path, after.encode())}")
    return len(changes)
