"""``v2g-edge diff FILE | apply FILE | reload | schema``: a changed site file, before and while the daemon
runs.
"""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.host.clock import SystemClock
from v2g_edge.statefile import write_atomically

CHECK_S: Final = 60.0
"""A file of a thousand outlets is checked in some seconds, on a slow board in some more."""


def register(subparsers: Any) -> None:
    """Add the commands."""
    diff = subparsers.add_parser(
        "diff", help="what a site file would change, compared with the running daemon"
    )
    diff.add_argument("file", type=Path)
    add_socket(diff)
    diff.set_defaults(run=run_diff)
    apply = subparsers.add_parser(
        "apply", help="check a site file, put it in place and take it into use without a restart"
    )
    apply.add_argument("file", type=Path)
    apply.add_argument("--yes", action="store_true", help="do not ask")
    add_socket(apply)
    apply.set_defaults(run=run_apply)
    reload = subparsers.add_parser("reload", help="let the daemon read its site file and certificates again")
    add_socket(reload)
    reload.set_defaults(run=run_reload)
    schema = subparsers.add_parser("schema", help="the JSON Schema of the site file, for editors")
    schema.set_defaults(run=run_schema)


def run_diff(arguments: argparse.Namespace) -> int:
    """The changes, one a line; 2 when the file cannot be used."""
    _show(_compared(arguments))
    return DONE


def run_apply(arguments: argparse.Namespace) -> int:
    """Nothing is written where the daemon would refuse the file. The file before is kept beside it."""
    answer = _compared(arguments)
    _show(answer)
    changes = answer["changes"]
    if not changes:
        return DONE
    if not all(change["live"] for change in changes):
        raise CommandError(
            f"nothing is done; copy it to {answer['path']} and restart: systemctl restart v2g-edge", BAD_INPUT
        )
    if not arguments.yes and input("take it into use? [y/N] ").strip().lower() not in ("y", "yes"):
        print("nothing is done")
        return DONE
    path = Path(answer["path"])
    is_same = arguments.file.resolve() == path.resolve()
    kept = path if is_same else replace_file(path, arguments.file.read_bytes())
    ask(arguments.socket, "site_file", {"apply": True}, CHECK_S)
    print(f"in force; the file before is {kept}")
    return DONE


def run_reload(arguments: argparse.Namespace) -> int:
    """Certificates first: they count whatever the site file says. 2 when the file is refused."""
    ask(arguments.socket, "ocpp", {"station": "@site", "operation": "reload"}, CHECK_S)
    answer = ask(arguments.socket, "site_file", {"apply": True}, CHECK_S)
    for change in answer["changes"]:
        print(_line(change))
    return DONE


def run_schema(_arguments: argparse.Namespace) -> int:
    """The schema as JSON."""
    from v2g_edge.config.schema import json_schema  # noqa: PLC0415 - pydantic, for this command alone

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return DONE


def _compared(arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        text = arguments.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{arguments.file}: cannot be read ({error})", BAD_INPUT) from error
    return ask(arguments.socket, "site_file", {"text": text}, CHECK_S)


def _show(answer: dict[str, Any]) -> None:
    for change in answer["changes"]:
        print(_line(change))
    if not answer["changes"]:
        print("no change")


def _line(change: dict[str, Any]) -> str:
    when = "" if change["live"] else "   (needs a restart)"
    return f"{change['key']}: {change['old'] or '(nothing)'} -> {change['new'] or '(nothing)'}{when}"


def replace_file(path: Path, data: bytes) -> Path:
    """Put ``data`` in place of a file; owner and mode stay. The file before is kept under a name with the
    time, which is returned.
    """
    stamp = SystemClock().wall_s()
    kept = path.with_name(f"{path.name}.before-{stamp:.0f}")
    try:
        before = path.stat()
        shutil.copy2(path, kept)
        write_atomically(path, data)
        path.chmod(before.st_mode & 0o777)
        os.chown(path, before.st_uid, before.st_gid)
    except OSError as error:
        raise CommandError(f"{path}: cannot be replaced ({error}); run this as root", BAD_INPUT) from error
    return kept
