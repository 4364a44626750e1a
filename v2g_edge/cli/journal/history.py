"""``v2g-edge history``: the quarter hours of past years, as CSV."""

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.journal.past import opened
from v2g_edge.cli.live.why import wall_of
from v2g_edge.cli.outcome import DONE
from v2g_edge.host.kept.quarters import OutletRow, PowerRow, Quarter
from v2g_edge.model.settings import HostSettings

DEFAULT: Final = Path(HostSettings().state_dir) / "journal.db"
HEAD: Final = (
    "from_utc",
    "seconds",
    "clock_synced",
    "what",
    "id",
    "known_s",
    "in_wh",
    "out_wh",
    "least_w",
    "greatest_w",
    "vehicle",
    "soc_pct",
)


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "history", help="energy, power and SoC of every quarter hour of past years, as CSV"
    )
    parser.add_argument(
        "--journal", type=Path, default=DEFAULT, metavar="FILE", help=f"default {DEFAULT}; root may read it"
    )
    parser.add_argument("--since", metavar="TIME", help="only from this time on (ISO 8601)")
    parser.add_argument("--until", metavar="TIME", help="only before this time (ISO 8601)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """One line an outlet or meter and quarter hour, to standard output."""
    since_s = wall_of(arguments.since) if arguments.since else 0.0
    until_s = wall_of(arguments.until) if arguments.until else float("inf")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(HEAD)
    with opened(arguments.journal) as reader:
        for quarter in reader.quarters(since_s):
            if quarter.start_wall_s < until_s:
                writer.writerows(lines_of(quarter))
    return DONE


def lines_of(quarter: Quarter) -> Iterator[tuple[str | float, ...]]:
    """Outlets first, then meters."""
    at = datetime.fromtimestamp(quarter.start_wall_s, tz=UTC).isoformat(timespec="seconds")
    head = (at, quarter.seconds, "yes" if quarter.clock_synced else "no")
    for outlet in quarter.outlets:
        yield (*head, "outlet", *_numbers(outlet), outlet.vehicle, _soc(outlet))
    for meter in quarter.meters:
        yield (*head, "meter", *_numbers(meter), "", "")


def _numbers(row: PowerRow) -> tuple[str | float, ...]:
    known = row.known_s > 0.0
    least, greatest = (row.least_w, row.greatest_w) if known else ("", "")
    return row.id, row.known_s, row.in_wh, row.out_wh, least, greatest


def _soc(row: OutletRow) -> str | float:
    return row.soc_pct if row.soc_pct >= 0.0 else ""
