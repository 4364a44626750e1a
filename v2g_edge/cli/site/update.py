"""``v2g-edge update``: a newer version from the signed repository or a signed bundle, and back by itself
where it is not healthy.
"""

import argparse
import fcntl
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.upkeep.apt import AptError
from v2g_edge.host.upkeep.trial import FOLDER
from v2g_edge.host.upkeep.update import Before, UpdateError, Updater, read_settings

SETTINGS: Final = Path("/etc/v2g-edge/update.toml")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "update",
        help="install a newer version, and go back by itself where it is not healthy in five minutes",
    )
    parser.add_argument("--check", action="store_true", help="only say what would be installed")
    parser.add_argument("--last", action="store_true", help="only say how the last update ended")
    parser.add_argument(
        "--from",
        dest="bundle",
        type=Path,
        metavar="BUNDLE",
        help="a signed repository on a stick: folder or tar",
    )
    parser.add_argument("--to", default="", metavar="VERSION", help="this version, whatever the ring says")
    parser.add_argument(
        "--unattended", action="store_true", help="as the timer does it: what has to wait is no failure"
    )
    parser.add_argument(
        "--settings", type=Path, default=SETTINGS, metavar="FILE", help=f"ring and wait (default {SETTINGS})"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: the new version runs, or there is none; 1: it is put off, or the version before is back."""
    if not arguments.last and os.geteuid() != 0:
        raise CommandError("update installs packages: run it as root (sudo v2g-edge update)", BAD_INPUT)
    try:
        updater = Updater(arguments.folder, read_settings(arguments.settings), arguments.bundle)
        if arguments.last:
            print(_ended(updater.last()))
            return DONE
        arguments.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (arguments.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _update(updater, arguments)
    except BlockingIOError as error:
        raise CommandError(
            "another update is at work; v2g-edge update --last tells how it ended", FAILED
        ) from error
    except (UpdateError, AptError, OSError) as error:
        raise CommandError(str(error), FAILED) from error


def _update(updater: Updater, arguments: argparse.Namespace) -> int:
    if updater.is_pending():
        updater.judge()
        return _told(updater.last())
    health = _health(arguments.socket)
    before = Before(int(health.get("links_up", 0)), bool(health.get("clock_synchronised", False)))
    choice = updater.look(before, SystemClock().wall_s(), arguments.to)
    print(choice.text)
    if not choice.version or arguments.check:
        return DONE
    if health.get("exporting"):
        print("put off: power is exported now, and a restart would end it; v2g-edge hold ends it at once")
        return DONE if arguments.unattended else FAILED
    # A terminal that goes away must not leave a package half installed.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return _told(updater.install(choice.version, before, arguments.socket))


def _health(socket: str) -> dict[str, Any]:
    """The daemon's word; empty where it does not answer, which an update may well mend."""
    try:
        return ask(socket, "health")
    except CommandError as error:
        print(f"the daemon's health before the update is not known: {error}")
        return {}


def _told(last: dict[str, Any]) -> int:
    print(_ended(last))
    return FAILED if last.get("fault") or not last else DONE


def _ended(last: dict[str, Any]) -> str:
    """How an update ended, in words."""
    if not last:
        return "no update has ended on this machine"
    at = datetime.fromtimestamp(float(last["wall_s"]), tz=UTC).isoformat(timespec="seconds")
    if last["fault"]:
        tried = f"{last['tried']} is not taken again by itself"
        return f"{at}: {last['fault']}; {last['version']} is back, and {tried}"
    return f"{at}: {last['version']} is healthy"
