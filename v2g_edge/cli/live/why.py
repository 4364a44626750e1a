"""``v2g-edge why NAME``: why a vehicle, an outlet, a station or a feeder is as it is; live, or at any tick
of a journal.
"""

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import kilowatts, local_time, number, table, with_times, wrapped


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "why", help="why a vehicle waits, an outlet gets no more, or nothing is exported"
    )
    parser.add_argument("subject", metavar="NAME", help='a vehicle, outlet, station or feeder, or "export"')
    parser.add_argument("--limits", action="store_true", help="every limit too, and the one that binds")
    parser.add_argument("--json", action="store_true", help="as JSON, with times in ISO 8601 too")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="ask a journal instead of the daemon")
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="with --journal: the tick at or before this time (ISO 8601; default: the last)",
    )
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the answer."""
    if arguments.at and not arguments.journal:
        raise CommandError("--at needs --journal: the running daemon knows its last tick only", BAD_INPUT)
    answer = (
        _from_journal(arguments)
        if arguments.journal
        else ask(arguments.socket, "why", {"subject": arguments.subject})
    )
    if arguments.json:
        print(json.dumps(with_times(answer, answer["timezone"]), indent=2))
    else:
        print("\n".join(answer_lines(answer, limits=arguments.limits)))
    return DONE


def wall_of(text: str, zone: str = "") -> float:
    """UTC epoch seconds of an ISO 8601 time; without an offset it is the time of ``zone``, or of the
    terminal.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and zone:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        return moment.astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"{text!r} is no time; write it like 2026-01-31T18:30:00+01:00", BAD_INPUT
        ) from error


def _from_journal(arguments: argparse.Namespace) -> dict[str, Any]:
    from v2g_edge.cli.journal.past import last_before  # noqa: PLC0415 - the live question needs neither cycle nor journal
    from v2g_edge.study.explain import describe_answer  # noqa: PLC0415

    at_wall_s = wall_of(arguments.at) if arguments.at else None
    site, snapshot, plan, outcome = last_before(arguments.journal, at_wall_s)
    try:
        return describe_answer(site, snapshot, plan, outcome, arguments.subject)
    except KeyError as error:
        raise CommandError(str(error.args[0]), BAD_INPUT) from error


def answer_lines(answer: dict[str, Any], *, limits: bool = False) -> list[str]:
    """Sentences of 80 columns; then every limit, where asked for."""
    zone = answer["timezone"]
    lines = [f"{answer['name']} at {local_time(answer['wall_s'], '%a %d %b %H:%M:%S', zone)} {zone}"]
    for sentence in answer["answer"]:
        lines += wrapped(sentence, "  ", "  ")
    for why in answer["outlets"] if limits else ():
        lines += ["", *lines_of(why, zone)]
    if answer["outlets"] and not limits:
        lines.append(f"  Every limit: v2g-edge why {answer['asked']} --limits")
    return lines


def lines_of(why: dict[str, Any], zone: str = "") -> list[str]:
    """What was wished, what was permitted, and the limits of one outlet, the binding one marked."""
    span = " to ".join(map(kilowatts, why["room_w"]))
    rows: list[tuple[str, ...]] = [
        (
            "►" if limit["binds"] else "",
            limit["rule"],
            kilowatts(limit["min_w"]),
            kilowatts(limit["max_w"]),
            limit["source"],
        )
        for limit in why["limits"]
    ]
    return [
        f"{why['evse']} at {local_time(why['wall_s'], '%Y-%m-%d %H:%M:%S %Z', zone)} (tick {why['seq']})",
        f"  wanted     {kilowatts(why['wish_w'])} kW, because: {why['reason']}",
        f"  permitted  {kilowatts(why['permit_w'])} kW for {number(why['valid_for_s'])} s; range {span} kW",
        *(
            [f"  response   {kilowatts(why['droop_w'])} kW or as much less, by the grid's frequency"]
            if why["droop_w"]
            else []
        ),
        f"  measured   {kilowatts(why['measured_w'])} kW; last command {why['ack']}",
        *(
            [f"  takes      {kilowatts(why['takes_w'])} kW at most, as it says or as was seen"]
            if why["takes_w"] is not None
            else []
        ),
        *([f"  departure  {', '.join(why['risks']).replace('_', ' ')}"] if why["risks"] else []),
        "",
        *table(("", "limit", "from kW", "to kW", "source"), rows, frozenset({0, 1, 4})),
    ]
