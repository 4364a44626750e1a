"""``v2g-edge status``: tonight in one look, or every outlet in a table (``--all``)."""

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.live.glance import glance
from v2g_edge.cli.outcome import DONE
from v2g_edge.cli.screen import kilowatts, local_time, number, table, with_times

HEAD: Final = (
    "outlet",
    "vehicle",
    "SoC %",
    "target %",
    "leaves",
    "is kW",
    "may kW",
    "wants kW",
    "bound by",
    "state",
)
LEFT: Final = frozenset({0, 1, 8, 9})
HOME: Final = "\x1b[H\x1b[J"
"""Cursor home, clear to the end: a redraw without flicker (ECMA-48 CUP, ED)."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("status", help="who is ready when and what needs a person, live")
    parser.add_argument(
        "--once", action="store_true", help="print it once; also when the output is no terminal"
    )
    parser.add_argument(
        "--all", action="store_true", help="every outlet and every row of the safety table that acts"
    )
    parser.add_argument(
        "--page", type=int, default=1, metavar="N", help="the next vehicles, where one page is not enough"
    )
    parser.add_argument(
        "--json", action="store_true", help="print it once as JSON, with times in ISO 8601 too"
    )
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="S", help="seconds between two tables (default 1)"
    )
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Once, or until Ctrl-C."""
    if arguments.json:
        status = ask(arguments.socket, "status")
        print(json.dumps(with_times(status, status.get("timezone", "")), indent=2))
        return DONE
    if arguments.once or not sys.stdout.isatty():
        print("\n".join(_lines(arguments)))
        return DONE
    try:
        asyncio.run(_live(arguments))
    except KeyboardInterrupt:
        print()
    return DONE


def _lines(arguments: argparse.Namespace) -> list[str]:
    status = ask(arguments.socket, "status")
    return lines_of(status) if arguments.all else glance(status, max(arguments.page, 1))


async def _live(arguments: argparse.Namespace) -> None:
    while True:
        lines = await asyncio.to_thread(_lines, arguments)
        print(HOME + "\n".join(lines), end="", flush=True)
        await asyncio.sleep(max(arguments.every, 0.1))


def lines_of(status: dict[str, Any]) -> list[str]:
    """The table with what stands above it: grid, plan, orders, and the rows of the safety table that act."""
    grid, plan, zone = status["grid"], status["plan"], status.get("timezone", "")
    volts = " ".join(number(volt, 1) for volt in grid["voltage_v"]) if grid["voltage_v"] else "-"
    relay = {True: "closed", False: "OPEN", None: "unknown"}[grid["relay_closed"]]
    sync = "" if status["clock_synced"] else "  CLOCK NOT SYNCHRONISED"
    lines = [
        (
            f"{status['site']}  {local_time(status['wall_s'], '%Y-%m-%d %H:%M:%S %Z', zone)}  tick"
            f" {status['seq']}{sync}"
        ),
        (
            f"grid {kilowatts(grid['power_w'])} kW  {number(grid['frequency_hz'], 3)} Hz  {volts} V  relay"
            f" {relay}"
        ),
        (
            f"plan {plan['source']} {plan['revision']} until {local_time(plan['until_wall_s'], zone=zone)}"
            if plan
            else "no plan"
        ),
    ]
    orders = [
        text for key, text in (("stop", "STOP"), ("export_hold", "EXPORT HELD")) if status["operator"][key]
    ]
    lines += [f"orders: {', '.join(orders)}"] if orders else []
    for row in status["acting"]:
        lines.append(f"{'!' if row['present'] else '~'} {row['row']}:{row['subject']}  {row['text']}")
    return [*lines, "", *table(HEAD, [_row(evse, zone) for evse in status["evses"]], LEFT)]


def _row(evse: dict[str, Any], zone: str) -> tuple[str, ...]:
    state = evse["fault"] or (evse["status"] if evse["connected"] else "silent")
    state = ", ".join([state, *(risk.replace("_", " ").upper() for risk in evse["risks"])])
    return (
        evse["id"],
        evse["vehicle"] or "-",
        number(evse["soc_pct"], 1),
        number(evse["target_soc_pct"]),
        local_time(evse["departure_wall_s"], zone=zone),
        kilowatts(evse["power_w"]),
        kilowatts(evse["permit_w"]),
        kilowatts(evse["wish_w"]),
        evse["bound_by"],
        state,
    )
