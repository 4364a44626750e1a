"""``v2g-edge whatif``: each night as metered, uncontrolled, with managed charging only, and with V2G."""

import argparse
import json
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.screen import local_time, table, with_times, wrapped
from v2g_edge.cli.study.bill import exchange_of
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, prices_of, span
from v2g_edge.study.bill.prices import CurrencyError, spot_of
from v2g_edge.study.insight.whatif import Change, Night, nights_of

NAMES: Final = ("metered", "uncontrolled", "managed", "V2G")
HELP: Final = {
    "depth_cap": "share of a capacity that may be given in a night, like 0.3",
    "floor_pct": "SoC below which nothing is given (default 20)",
    "connection_kw": "instead of the site's own limits, either way",
    "wear_per_kwh": "cost of each kWh given (default 0.015)",
    "buy_add": "added to each price of what is bought",
    "sell_add": "added to each price of what is sold",
}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "whatif", help="each night uncontrolled, managed and with V2G, under other terms"
    )
    add_sources(parser, prices=True)
    for name, text in HELP.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=text)
    parser.add_argument("--currency", default="EUR", help="of the result (default EUR)")
    parser.add_argument("--exchange", action="append", default=[], metavar="CUR=RATE")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: every night has its ways; 1: some have none."""
    rows, _ = prices_of(arguments)
    if not rows:
        raise CommandError("counterfactuals need prices: name a file with --prices", BAD_INPUT)
    given = {name: getattr(arguments, name) for name in HELP if getattr(arguments, name) is not None}
    with ledger(arguments) as store:
        from_s, until_s = span(arguments, store)
        zone = ZoneInfo(store.site.timezone)
        starts = noons(from_s, until_s, zone)
        try:
            exchange = exchange_of(arguments.exchange)
            prices = spot_of(rows, from_s - 86_400.0, until_s + 86_400.0, arguments.currency, exchange)
        except CurrencyError as error:
            raise CommandError(str(error), BAD_INPUT) from error
        nights = list(nights_of(store, starts, prices, Change(**given)))
    text = (
        _text(nights, str(zone), arguments.currency)
        if arguments.format == "text"
        else _json(nights, str(zone))
    )
    hand_out(text, arguments)
    return DONE if all(len(night.ways) == len(NAMES) for night in nights) else FAILED


def noons(from_s: float, until_s: float, zone: ZoneInfo) -> list[float]:
    """The noons of local days from which a whole night lies within a time."""
    day = datetime.fromtimestamp(from_s, UTC).astimezone(zone).date()
    found: list[float] = []
    while True:
        noon = datetime.combine(day, time(12), zone).timestamp()
        day += timedelta(days=1)
        if datetime.combine(day, time(12), zone).timestamp() > until_s:
            return found
        if noon >= from_s:
            found.append(noon)


def _text(nights: list[Night], zone: str, currency: str) -> str:
    rows: list[tuple[str, ...]] = []
    lines = [
        f"cost of each night in {currency}, wear included, what the vehicles hold at its end taken off",
        "",
    ]
    whole = [night for night in nights if len(night.ways) == len(NAMES)]
    for night in whole:
        costs = (f"{way.cost:.2f}" for way in night.ways)
        rows.append((local_time(night.start_wall_s, "%a %d %b", zone), f"{night.vehicles}", *costs))
    sums = [sum(night.ways[n].cost for night in whole) for n in range(len(NAMES))]
    rows.append(("all", "", *(f"{value:.2f}" for value in sums)))
    lines += table(("night", "vehicles", *NAMES), rows, frozenset({0}))
    lines += ["", *_sums(whole, sums, currency)]
    for night in nights:
        for note in night.notes:
            lines += wrapped(f"{local_time(night.start_wall_s, '%a %d %b', zone)}: {note}", "! ", "  ")
    return "\n".join(lines)


def _sums(whole: list[Night], sums: list[float], currency: str) -> list[str]:
    if not whole:
        return ["no night with prices and vehicles"]
    metered, plain, managed, v2g = sums
    peaks = (max(night.ways[n].peak_kw for night in whole) for n in range(len(NAMES)))
    out = [sum(night.ways[n].out_kwh for night in whole) for n in (0, 3)]
    return [
        *wrapped(
            f"against uncontrolled: metered {plain - metered:+.2f}, managed {plain - managed:+.2f}, V2G"
            f" {plain - v2g:+.2f} {currency}; left on the table: {metered - v2g:.2f} {currency}"
        ),
        *wrapped(f"given: {out[0]:.0f} kWh metered, {out[1]:.0f} kWh at best"),
        *wrapped(
            "highest quarter hour, kW: "
            + ", ".join(f"{n} {p:.0f}" for n, p in zip(NAMES, peaks, strict=True))
        ),
    ]


def _json(nights: list[Night], zone: str) -> str:
    found: list[Any] = []
    for night in nights:
        row = msgspec.to_builtins(night)
        for way, shown in zip(night.ways, row["ways"], strict=True):
            shown["cost"] = way.cost
        found.append(row)
    return json.dumps(with_times(found, zone), indent=2)
