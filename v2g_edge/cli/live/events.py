"""``v2g-edge events``: what happened, from the running daemon or from a journal."""

import argparse
import asyncio
import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.live.why import wall_of
from v2g_edge.cli.outcome import DONE
from v2g_edge.cli.screen import local_time

POLL_S: Final = 0.5
"""How often --follow asks."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("events", help="what happened")
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--last", type=int, metavar="N", help="only the last N of what is there")
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="only later ones (ISO 8601; without an offset the site's local time)",
    )
    parser.add_argument("--until", metavar="TIME", help="only earlier ones")
    parser.add_argument(
        "--vehicle", metavar="NAME", help="only those that name this vehicle, outlet or feeder"
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="all events of a journal")
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is there, then follow where asked to."""
    if arguments.journal:
        _print(*_recorded(arguments.journal), arguments)
        return DONE
    answer = ask(arguments.socket, "events")
    events, zone = answer["events"], answer["timezone"]
    _print(events, zone, arguments)
    if arguments.follow:
        try:
            asyncio.run(_follow(arguments, zone, events[-1]["wall_s"] if events else 0.0))
        except KeyboardInterrupt:
            print()
    return DONE


async def _follow(arguments: argparse.Namespace, zone: str, since_wall_s: float) -> None:
    arguments.last = None
    while True:
        await asyncio.sleep(POLL_S)
        events = (await asyncio.to_thread(ask, arguments.socket, "events", {"since_wall_s": since_wall_s}))[
            "events"
        ]
        _print(events, zone, arguments)
        since_wall_s = events[-1]["wall_s"] if events else since_wall_s


def _recorded(path: Path) -> tuple[list[dict[str, Any]], str]:
    """All events in the order of their times, and the last time zone of the site."""
    from v2g_edge.cli.journal.past import opened  # noqa: PLC0415 - the live question needs no journal

    with opened(path) as reader:
        events, zone = [], "UTC"
        for tick in reader.ticks():
            zone = reader.site(tick.run).timezone
            both = sorted((*tick.told, *tick.events), key=lambda event: event.wall_s)
            events += [msgspec.to_builtins(event) for event in both]
        return events, zone


def chosen(events: list[dict[str, Any]], zone: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Those of a time and of a name. A name is found as subject and in the words, whatever the case of its
    letters.
    """
    since_s = wall_of(arguments.since, zone) if arguments.since else float("-inf")
    until_s = wall_of(arguments.until, zone) if arguments.until else float("inf")
    name = (arguments.vehicle or "").lower()
    return [
        event
        for event in events
        if since_s <= event["wall_s"] <= until_s and (not name or _names(event, name))
    ]


def _names(event: dict[str, Any], name: str) -> bool:
    return event["subject"].lower() == name or name in re.findall(r"[\w.:-]+", event["text"].lower())


def _print(events: list[dict[str, Any]], zone: str, arguments: argparse.Namespace) -> None:
    events = chosen(events, zone, arguments)
    for event in events[-arguments.last :] if arguments.last else events:
        if arguments.json:
            print(json.dumps(event), flush=True)
        else:
            when = local_time(event["wall_s"], "%Y-%m-%d %H:%M:%S", zone)
            print(
                f"{when}  {event['severity']:7}  {event['kind']}  {event['subject']}  {event['text']}",
                flush=True,
            )
