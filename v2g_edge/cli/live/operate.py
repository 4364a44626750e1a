"""``v2g-edge stop | hold | release | clear``: standing orders of people on site. They survive a restart."""

import argparse
from typing import Any

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import DONE

ORDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "stop": ("0 W both ways at every charger, until released", {"stop": True}),
    "hold": ("no export, charging goes on, until released", {"export_hold": True}),
    "release": ("end stop and hold", {"stop": False, "export_hold": False}),
}


def register(subparsers: Any) -> None:
    """Add the commands."""
    for name, (text, params) in ORDERS.items():
        parser = subparsers.add_parser(name, help=text)
        add_socket(parser)
        parser.set_defaults(run=run, params=params)
    parser = subparsers.add_parser("retry", help="try an outlet again that did not obey, once it does what it is told")
    parser.add_argument("outlet", metavar="OUTLET")
    add_socket(parser)
    parser.set_defaults(run=run, params=None)
    parser = subparsers.add_parser("clear", help="clear a latched row of the safety table by hand, where its rule asks for that")
    parser.add_argument("latch", metavar="ROW:SUBJECT", help="as `v2g-edge status` shows it, for example meter_reversed:grid")
    add_socket(parser)
    parser.set_defaults(run=run, params=None)


def run(arguments: argparse.Namespace) -> int:
    """Give the order and say what stands now."""
    params = arguments.params
    if params is None:
        retried = getattr(arguments, "outlet", "")
        params = {"acknowledge": f"disobedient:{retried}" if retried else arguments.latch}
    standing = ask(arguments.socket, "operate", params)
    orders = [name for name, key in (("stop", "stop"), ("hold", "export_hold")) if standing[key]]
    print(f"standing orders: {', '.join(orders) or 'none'}")
    return DONE
