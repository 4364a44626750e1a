"""``v2g-edge capacity``: what could be sold now, what is sold, and a booking of it that no restart
forgets.
"""

import argparse
import json
from typing import Any

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import DONE, FAILED
from v2g_edge.cli.screen import kilowatts, local_time, table


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "capacity", help="export that could be sold, and what is sold; book and cancel"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="N", help="to be held for so long (default 60)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_socket(parser)
    parser.set_defaults(run=run, verb=None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    verbs.add_parser("show", help="the same as without a verb; options stand before it")
    book = verbs.add_parser(
        "book", help="book it under an id; asking again with the same id books nothing more"
    )
    book.add_argument("id", metavar="ID", help="yours, never used twice")
    book.add_argument(
        "--service",
        required=True,
        metavar="NAME",
        help="whom it is sold to; sold to one it is not sold to another",
    )
    book.add_argument(
        "--kw",
        type=float,
        required=True,
        metavar="N",
        help="export wanted; as much of it as there is gets booked",
    )
    cancel = verbs.add_parser("cancel", help="end a booking before its time")
    cancel.add_argument("id", metavar="ID")


def run(arguments: argparse.Namespace) -> int:
    """Ask, print; 1 where nothing could be booked."""
    params: dict[str, Any] = {"duration_s": arguments.minutes * 60.0}
    if arguments.verb == "book":
        params |= {"book": arguments.id, "service": arguments.service, "wanted_w": arguments.kw * 1_000.0}
    elif arguments.verb == "cancel":
        params = {"cancel": arguments.id}
    answer = ask(arguments.socket, "capacity", params)
    print(json.dumps(answer, indent=2) if arguments.json else "\n".join(lines_of(answer, arguments.verb)))
    return FAILED if arguments.verb == "book" and not answer["booked"] else DONE


def lines_of(answer: dict[str, Any], verb: str | None) -> list[str]:
    """What was asked for, then all open bookings."""
    offer = answer["offer"]
    text = f"{kilowatts(offer['power_w'])} kW of export until {local_time(offer['until_wall_s'])}"
    if verb == "book":
        lines = [
            f"booked as {offer['id']}: {text}"
            if answer["booked"]
            else f"nothing booked as {offer['id']}: nothing is left"
        ]
    else:
        lines = [f"could be sold: {text}"]
    rows: list[tuple[str, ...]] = [
        (each["id"], each["service"], kilowatts(each["power_w"]), local_time(each["until_wall_s"]))
        for each in answer["open"]
    ]
    return (
        [*lines, "", *table(("id", "service", "kW", "until"), rows, frozenset({0, 1}))]
        if rows
        else [*lines, "nothing is sold"]
    )
