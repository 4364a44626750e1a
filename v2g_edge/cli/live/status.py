"""``v2g-edge status``: the depot in one live table."""

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import DONE
from v2g_edge.cli.screen import kilowatts, local_time, number, table

HEAD: Final = ("outlet", "vehicle", "SoC %", "target %", "leaves", "is kW", "may kW", "wants kW", "bound by", "state")
LEFT: Final = frozenset({0, 1, 8, 9})
HOME: Final = "\x1b[H\x1b[J"
"""Cursor home, clear to the end: a redraw without flicker (ECMA-48 CUP, ED)."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("status", help="the depot in a live table")
    parser.add_argument("--once", action="store_true", help="print it once; also when the output is no terminal")
    parser.add_argument("--json", action="store_true", help="print it once as JSON")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between two tables (default 1)")
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Once, or until Ctrl-C."""
    if arguments.json:
        print(json.dumps(ask(arguments.socket, "status"), indent=2))
        return DONE
    if arguments.once or not sys.stdout.isatty():
        print("\n".join(lines_of(ask(arguments.socket, "status"))))
        return DONE
    try:
        asyncio.run(_live(arguments.socket, max(arguments.every, 0.1)))
    except KeyboardInterrupt:
        print()
    return DONE


async def _live(path: str, every_s: float) -> None:
    while True:
        answer = await asyncio.to_thread(ask, path, "status")
        print(HOME + "\n".join(lines_of(answer)), flush=True)
        await asyncio.sleep(every_s)


def lines_of(status: dict[str, Any]) -> list[str]:
    """The table with what stands above it: grid, plan, orders, and the rows of the safety table that act."""
    grid, plan = status["grid"], status["plan"]
    volts = " ".join(number(volt, 1) for volt in grid["voltage_v"]) if grid["voltage_v"] else "-"
    relay = {True: "closed", False: "OPEN", None: "unknown"}[grid["relay_closed"]]
    sync = "" if status["clock_synced"] else "  CLOCK NOT SYNCHRONISED"
    lines = [
        f"{status['site']}  {local_time(status['wall_s'], '%Y-%m-%d %H:%M:%S %Z')}  tick {status['seq']}{sync}",
        f"grid {kilowatts(grid['power_w'])} kW  {number(grid['frequency_hz'], 3)} Hz  {volts} V  relay {relay}",
        f"plan {plan['source']} {plan['revision']} until {local_time(plan['until_wall_s'])}" if plan else "no plan",
    ]
    orders = [text for key, text in (("stop", "STOP"), ("export_hold", "EXPORT HELD")) if status["operator"][key]]
    lines += [f"orders: {', '.join(orders)}"] if orders else []
    for row in status["acting"]:
        lines.append(f"{'!' if row['present'] else '~'} {row['row']}:{row['subject']}  {row['text']}")
    return [*lines, "", *table(HEAD, [_row(evse) for evse in status["evses"]], LEFT)]


def _row(evse: dict[str, Any]) -> tuple[str, ...]:
    state = evse["fault"] or (evse["status"] if evse["connected"] else "silent")
    state = ", ".join([state, *(risk.replace("_", " ").upper() for risk in evse["risks"])])
    return (
        evse["id"],
        evse["vehicle"] or "-",
        number(evse["soc_pct"], 1),
        number(evse["target_soc_pct"]),
        local_time(evse["departure_wall_s"]),
        kilowatts(evse["power_w"]),
        kilowatts(evse["permit_w"]),
        kilowatts(evse["wish_w"]),
        evse["bound_by"],
        state,
    )
