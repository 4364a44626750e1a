"""``v2g-edge ordered``: who ordered what, when and why, from the journal."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.journal.past import opened
from v2g_edge.cli.live.why import wall_of
from v2g_edge.cli.outcome import DONE
from v2g_edge.host.records import OrderRow
from v2g_edge.model.settings import HostSettings

DEFAULT: Final = Path(HostSettings().state_dir) / "journal.db"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("ordered", help="who ordered what, when and why")
    parser.add_argument(
        "--journal", type=Path, default=DEFAULT, metavar="FILE", help=f"default {DEFAULT}; root may read it"
    )
    parser.add_argument("--since", metavar="TIME", help="only orders from this time on (ISO 8601)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """One order a line, oldest first."""
    since_wall_s = wall_of(arguments.since) if arguments.since else 0.0
    with opened(arguments.journal) as reader:
        for line in lines_of(reader.orders(since_wall_s)):
            print(line)
    return DONE


def lines_of(orders: Iterator[OrderRow]) -> Iterator[str]:
    """Time (UTC), user, role, what, and for whom and why where the order says so."""
    for order in orders:
        at = datetime.fromtimestamp(order.wall_s, tz=UTC).isoformat(timespec="seconds")
        line = f"{at}  {order.who} ({order.role})  {order.what}"
        if order.by != order.who:
            line += f"  for {order.by}"
        if order.why:
            line += f"  because: {order.why}"
        yield line if order.outcome == "done" else f"{line}  {order.outcome}"
