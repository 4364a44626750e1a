"""``v2g-edge stop | hold | release | clear``: standing orders of people on site. They survive a restart."""

import argparse
import getpass
import os
import threading
from typing import Any, Final

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import DONE, FAILED

pause: Final = threading.Event()
"""Never set: a wait that a signal ends."""

WAIT_S: Final = 20.0
"""For the proof that all power has stopped: two reports of a charger that reports every ten seconds."""
LOOK_S: Final = 0.5

ORDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "stop": ("0 W both ways at every charger, until released; waits for the proof", {"stop": True}),
    "hold": ("no export, charging goes on, until released", {"export_hold": True}),
}
RELEASES: dict[str, dict[str, Any]] = {"stop": {"stop": False}, "hold": {"export_hold": False}}


def register(subparsers: Any) -> None:
    """Add the commands."""
    for name, (text, params) in ORDERS.items():
        parser = subparsers.add_parser(name, help=text)
        add_socket(parser)
        add_reason(parser)
        if name == "stop":
            parser.add_argument(
                "--wait-s", type=float, default=WAIT_S, metavar="S", help=f"at most (default {WAIT_S:g} s)"
            )
        parser.set_defaults(run=run, params=params)
    parser = subparsers.add_parser("release", help="end one standing order")
    parser.add_argument("order", choices=sorted(RELEASES), help="which of them")
    add_socket(parser)
    add_reason(parser)
    parser.set_defaults(run=run, params=None)
    parser = subparsers.add_parser(
        "retry", help="try an outlet again that did not obey, once it follows its setpoint"
    )
    parser.add_argument("outlet", metavar="OUTLET")
    add_socket(parser)
    add_reason(parser)
    parser.set_defaults(run=run, params=None)
    parser = subparsers.add_parser(
        "clear", help="clear a latched row of the safety table by hand, where its rule asks for that"
    )
    parser.add_argument(
        "latch", metavar="ROW:SUBJECT", help="as `v2g-edge status` shows it, for example meter_reversed:grid"
    )
    add_socket(parser)
    add_reason(parser)
    parser.set_defaults(run=run, params=None)


def add_reason(parser: argparse.ArgumentParser) -> None:
    """The options of every order: who gives it, and why."""
    parser.add_argument(
        "--by", default=_user(), metavar="NAME", help="who orders it (default: the user of this terminal)"
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason; both are kept in the journal")


def _user() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return ""


def run(arguments: argparse.Namespace) -> int:
    """Give the order and say what stands now. After a stop 1, unless every outlet is proven to be at 0 W."""
    params = arguments.params
    if params is None:
        retried = getattr(arguments, "outlet", "")
        released = getattr(arguments, "order", "")
        latch = f"disobedient:{retried}" if retried else getattr(arguments, "latch", "")
        params = RELEASES[released] if released else {"acknowledge": latch}
    reason = {key: value for key in ("by", "why") if (value := getattr(arguments, key, ""))}
    standing = ask(arguments.socket, "operate", {**params, **reason})
    orders = [name for name, key in (("stop", "stop"), ("hold", "export_hold")) if standing[key]]
    print(f"standing orders: {', '.join(orders) or 'none'}")
    if standing.get("not_kept"):
        print(f"the order acts and is NOT on the disk, so a restart forgets it: {standing['not_kept']}")
    return _wait(arguments) if params.get("stop") else DONE


def _wait(arguments: argparse.Namespace) -> int:
    """Ask until all are proven at 0 W or the time is over; then say what is known of each."""
    for _ in range(max(int(arguments.wait_s / LOOK_S), 1)):
        found = ask(arguments.socket, "standstill")
        if found["proven"]:
            print(f"all {len(found['evses'])} outlets are proven to be at 0 W")
            return DONE
        pause.wait(LOOK_S)
    rows = [row for row in found["evses"] if row["state"] != "proven"]
    print(
        f"{len(found['evses']) - len(rows)} of {len(found['evses'])} outlets are proven to be at 0 W; not"
        " proven:"
    )
    for row in rows:
        print(f"  {row['id']}: {row['state']}: {row['found']}{'; ' + row['do'] if row['do'] else ''}")
    return FAILED
