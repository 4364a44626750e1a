"""``v2g-edge kpi``: key figures with their definitions, and money by vehicle and service."""

import argparse
import json
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import table, wrapped
from v2g_edge.cli.study.bill import exchange_of
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, prices_of, span, study
from v2g_edge.study.bill.prices import CurrencyError, spot_of
from v2g_edge.study.insight.incidents import IncidentError, read_incidents
from v2g_edge.study.insight.kpi import (
    Figure,
    Income,
    ended_in,
    figures_of,
    incomes_of,
    security_figures,
    stays_of,
    wear_by_vehicle,
)
from v2g_edge.study.wear.model import WearError, read_model

MONTH_S: Final = 30.44 * 86_400.0


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "kpi", "key figures with their definitions; money by vehicle and service")
    add_sources(parser, prices=True)
    parser.add_argument(
        "--model", default="lfp-250ah", metavar="NAME|FILE", help="wear model (`v2g-edge wear`)"
    )
    parser.add_argument(
        "--pack-price", type=float, default=120.0, metavar="MONEY", help="a new pack's price per kWh"
    )
    parser.add_argument(
        "--sell-add", type=float, default=0.0, metavar="X", help="added to each price of what is sold"
    )
    parser.add_argument("--currency", default="EUR", help="of the result (default EUR)")
    parser.add_argument("--exchange", action="append", default=[], metavar="CUR=RATE")
    parser.add_argument(
        "--security-log", type=Path, metavar="FILE", help="lines of `journalctl -u v2g-edge -o json`"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read, reckon, show."""
    rows, _ = prices_of(arguments)
    if not rows:
        raise CommandError("key figures of money need prices: name a file with --prices", BAD_INPUT)
    try:
        model = read_model(arguments.model)
        with ledger(arguments) as store:
            from_s, until_s = span(arguments, store)
            prices = spot_of(rows, from_s, until_s, arguments.currency, exchange_of(arguments.exchange))
            outlets = set(store.site.outlets)
            lines = [line for line in store.lines(from_s, until_s) if line.meter in outlets]
            wear = wear_by_vehicle(store, model, arguments.pack_price, from_s, until_s)
            incomes = incomes_of(lines, prices, arguments.sell_add, wear)
            stays = ended_in(stays_of(store, from_s, until_s), from_s, until_s)
            months, zone = (until_s - from_s) / MONTH_S, ZoneInfo(store.site.timezone)
            figures = figures_of(stays, store.turns(from_s, until_s), incomes, months, zone)
            log = arguments.security_log
            figures += security_figures(read_incidents(log, from_s, until_s) if log else None)
    except (CurrencyError, WearError, IncidentError) as error:
        raise CommandError(str(error), BAD_INPUT) from error
    shape = _text if arguments.format == "text" else _json
    hand_out(shape(figures, incomes, arguments.currency), arguments)
    return DONE


def _text(figures: list[Figure], incomes: list[Income], currency: str) -> str:
    lines: list[str] = []
    for figure in figures:
        unit = currency if figure.unit == "money" else figure.unit
        value = "-" if figure.value is None else f"{figure.value:.2f} {unit}"
        lines += [f"{figure.name}: {value}", *wrapped(figure.definition, "    ", "    ")]
    rows: list[tuple[str, ...]] = [
        (
            each.vehicle,
            each.service,
            *(f"{v:.2f}" for v in (each.earned, each.paid, each.wear, each.earned - each.wear)),
        )
        for each in incomes
    ]
    head = ("vehicle", "service", "earned", "paid", "wear", "less wear")
    lines += ["", *table(head, rows, frozenset({0, 1}))]
    unpriced = sum(each.unpriced_kwh for each in incomes)
    if unpriced:
        lines += wrapped(
            f"{unpriced:.1f} kWh flowed in quarter hours without a price and count as no money", "! ", "  "
        )
    return "\n".join(lines)


def _json(figures: list[Figure], incomes: list[Income], currency: str) -> str:
    found = {"currency": currency, "figures": figures, "incomes": incomes}
    return json.dumps(msgspec.to_builtins(found), indent=2)
