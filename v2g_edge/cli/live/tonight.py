"""``v2g-edge boost | depart | skip | no-v2g | priority | limit | mute``: orders for tonight; ``orders``
lists, ``undo`` ends one.

An order that breaks a promise says which before it is given, and asks.
"""

import argparse
import re
import sys
from typing import Any, Final

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.live.operate import add_reason
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.screen import wrapped

HELP: Final = {
    "boost": ("VEHICLE", "charge it now with all it takes, up to its target, whatever the plan says"),
    "depart": ("VEHICLE", "it leaves at this time, with this much"),
    "skip": ("VEHICLE", "it does not leave"),
    "no-v2g": ("VEHICLE", "it gives nothing"),
    "priority": ("VEHICLE", "it is served before the others when power is short"),
    "limit": ("FEEDER", "a lower import limit of a feeder"),
    "mute": ("ROW:SUBJECT", "do not show this need of a person for a while"),
}
POWER: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(kW|W|MW)\s*$", re.IGNORECASE)
FACTORS: Final = {"w": 1.0, "kw": 1e3, "mw": 1e6}


def register(subparsers: Any) -> None:
    """Add the commands."""
    for kind, (subject, text) in HELP.items():
        parser = subparsers.add_parser(kind, help=text)
        parser.add_argument("subject", metavar=subject)
        if kind == "depart":
            parser.add_argument(
                "at", metavar="HH:MM", help="the next one, in the site's time zone; or ISO 8601"
            )
            parser.add_argument("--soc", type=float, metavar="PCT", help="state of charge that it needs")
            parser.add_argument("--kwh", type=float, metavar="KWH", help="the same in kWh in its battery")
        if kind == "limit":
            parser.add_argument("power", metavar="POWER", help="like 60kW")
        parser.add_argument("--until", default="", metavar="TIME", help="its end (default: in 12 hours)")
        add_reason(parser)
        parser.add_argument(
            "--try", dest="trial", action="store_true", help="only say which promises it would break"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask, also where it breaks a promise")
        add_socket(parser)
        parser.set_defaults(run=give, kind=kind)
    parser = subparsers.add_parser("orders", help="the orders that stand")
    add_socket(parser)
    parser.set_defaults(run=show)
    parser = subparsers.add_parser("undo", help="take an order back")
    parser.add_argument("number", type=int, metavar="NUMBER", help="as `v2g-edge orders` shows it")
    add_reason(parser)
    add_socket(parser)
    parser.set_defaults(run=undo)


def give(arguments: argparse.Namespace) -> int:
    """Try it, ask where it breaks a promise, then give it."""
    params = _params(arguments)
    tried = ask(arguments.socket, "order", {**params, "trial": True})
    for line in tried["breaks"]:
        print("\n".join(wrapped(line, "! ", "  ")))
    if arguments.trial:
        said = "breaks what stands above" if tried["breaks"] else "every departure is still proven"
        print("\n".join(wrapped(f"{tried['text']}: {said}", "", "  ")))
        return FAILED if tried["breaks"] else DONE
    if tried["breaks"] and not arguments.yes and not _confirmed():
        print("not given")
        return FAILED
    given = ask(arguments.socket, "order", params)
    print(f"order {given['number']}: {given['text']}; undo: v2g-edge undo {given['number']}")
    if given["kept"]:
        print("\n".join(wrapped(given["kept"], "! ", "  ")), file=sys.stderr)
    return FAILED if given["kept"] else DONE


def show(arguments: argparse.Namespace) -> int:
    """One line an order."""
    orders = ask(arguments.socket, "orders")["orders"]
    print("\n".join(f"{order['number']:>4}  {order['text']}" for order in orders) or "no orders stand")
    return DONE


def undo(arguments: argparse.Namespace) -> int:
    """It counts at the next tick."""
    taken = ask(
        arguments.socket, "undo", {"number": arguments.number, "who": arguments.by, "why": arguments.why}
    )
    print(f"taken back: {taken['text']}")
    return DONE


def _params(arguments: argparse.Namespace) -> dict[str, Any]:
    params = {
        "kind": arguments.kind,
        "subject": arguments.subject,
        "until": arguments.until,
        "who": arguments.by,
        "why": arguments.why,
    }
    if arguments.kind == "depart":
        params |= {"at": arguments.at}
        params |= {"soc_pct": arguments.soc} if arguments.soc is not None else {}
        params |= {"need_wh": arguments.kwh * 1e3} if arguments.kwh is not None else {}
    if arguments.kind == "limit":
        match = POWER.match(arguments.power)
        if match is None:
            raise CommandError(
                f"{arguments.power!r} is no power; write it with its unit, like 60kW", BAD_INPUT
            )
        params["limit_w"] = float(match[1]) * FACTORS[match[2].lower()]
    return params


def _confirmed() -> bool:
    """Without a terminal ``--yes`` says yes."""
    if not sys.stdin.isatty():
        print("it breaks a promise: say --yes to give it all the same", file=sys.stderr)
        return False
    return input("give it all the same? [y/N] ").strip().lower() in {"y", "yes"}
