"""``v2g-edge whatif``: each night as metered, uncontrolled, with managed charging only, and with V2G."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.journal.past import opened
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.screen import local_time, table, with_times, wrapped
from v2g_edge.cli.study.bill import exchange_of
from v2g_edge.cli.study.sources import add_sources, hand_out, journal_of, ledger, prices_of, span, study
from v2g_edge.study.bill.prices import CurrencyError, spot_of
from v2g_edge.study.insight.change import Change
from v2g_edge.study.insight.whatif import Night, Record, nights_of

NAMES: Final = ("metered", "uncontrolled", "managed", "V2G")
RULES: Final = "rules"
HELP: Final = {
    "depth_cap": "share of a capacity that may be given in a night, like 0.3",
    "floor_pct": "SoC below which nothing is given (default 20)",
    "connection_kw": "instead of the site's own limits, either way",
    "charger_kw": "power of every outlet, either way where it gives",
    "wear_per_kwh": "cost of each kWh given (default 0.015)",
    "buy_add": "added to each price of what is bought",
    "sell_add": "added to each price of what is sold",
}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "whatif", "each night uncontrolled, managed and with V2G, under other terms")
    add_sources(parser, prices=True)
    for name, text in HELP.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=text)
    parser.add_argument("--no-export", dest="gives", action="store_false", help="nothing is given at all")
    parser.add_argument(
        "--replay",
        action="store_true",
        help="play each night of --journal by the depot's own rules too, under these terms",
    )
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
        change = Change(**given, gives=arguments.gives)
        with _record(arguments) as record:
            nights = list(nights_of(store, starts, prices, change, record))
    names = (*NAMES, RULES) if arguments.replay else NAMES
    text = (
        _text(nights, names, str(zone), arguments.currency)
        if arguments.format == "text"
        else _json(nights, str(zone))
    )
    hand_out(text, arguments)
    return DONE if all(len(night.ways) == len(names) for night in nights) else FAILED


@contextmanager
def _record(arguments: argparse.Namespace) -> Iterator[Record | None]:
    """The journal to replay, where that is asked for."""
    if not arguments.replay:
        yield None
        return
    path = journal_of(arguments)
    if path is None:
        raise CommandError("--replay needs the journal: name it with --journal", BAD_INPUT)
    with opened(path) as reader:
        yield Record(reader.ticks, reader.site)


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


def _text(nights: list[Night], names: tuple[str, ...], zone: str, currency: str) -> str:
    rows: list[tuple[str, ...]] = []
    lines = [
        f"cost of each night in {currency}, wear included, what the vehicles hold at its end taken off",
        "",
    ]
    whole = [night for night in nights if len(night.ways) == len(names)]
    for night in whole:
        costs = (f"{way.cost:.2f}" for way in night.ways)
        rows.append((local_time(night.start_wall_s, "%a %d %b", zone), f"{night.vehicles}", *costs))
    sums = {name: sum(night.ways[n].cost for night in whole) for n, name in enumerate(names)}
    rows.append(("all", "", *(f"{value:.2f}" for value in sums.values())))
    lines += table(("night", "vehicles", *names), rows, frozenset({0}))
    lines += ["", *_sums(whole, sums, currency)]
    for night in nights:
        for note in night.notes:
            lines += wrapped(f"{local_time(night.start_wall_s, '%a %d %b', zone)}: {note}", "! ", "  ")
    return "\n".join(lines)


def _sums(whole: list[Night], sums: dict[str, float], currency: str) -> list[str]:
    if not whole:
        return ["no night with prices and vehicles"]
    names, plain = list(sums), sums["uncontrolled"]
    saved = (f"{name} {plain - cost:+.2f}" for name, cost in sums.items() if name != "uncontrolled")
    peaks = (f"{name} {max(night.ways[n].peak_kw for night in whole):.0f}" for n, name in enumerate(names))
    out = {name: sum(night.ways[n].out_kwh for night in whole) for n, name in enumerate(names)}
    text = f"against uncontrolled: {', '.join(saved)} {currency}"
    given = f"given: {out['metered']:.0f} kWh metered, {out['V2G']:.0f} kWh at best"
    lines = [
        *wrapped(f"{text}; left on the table: {sums['metered'] - sums['V2G']:.2f} {currency}"),
        *wrapped(f"{given}, {out[RULES]:.0f} kWh by the rules" if RULES in out else given),
        *wrapped(f"highest quarter hour, kW: {', '.join(peaks)}"),
    ]
    if RULES in out:
        left, short = sum(night.left for night in whole), sum(night.short for night in whole)
        lines += wrapped(f"by the rules {left} departures, {short} of them short of what they needed")
    return lines


def _json(nights: list[Night], zone: str) -> str:
    found: list[Any] = []
    for night in nights:
        row = msgspec.to_builtins(night)
        for way, shown in zip(night.ways, row["ways"], strict=True):
            shown["cost"] = way.cost
        found.append(row)
    return json.dumps(with_times(found, zone), indent=2)
