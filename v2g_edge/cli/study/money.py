"""``v2g-edge money``: what was earned, paid and worn, by local day, vehicle and service."""

import argparse
import csv
import io
import json
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import local_time, table, wrapped
from v2g_edge.cli.study.bill import exchange_of
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, prices_of, span, study
from v2g_edge.model.settings import PriceSettings
from v2g_edge.study.bill.prices import CurrencyError, spot_of
from v2g_edge.study.insight.kpi import wear_by_vehicle
from v2g_edge.study.insight.money import By, MoneyRow, money_of, summed
from v2g_edge.study.ledger.store import Store
from v2g_edge.study.wear.model import WearError, read_model

KEYS: Final[tuple[By, ...]] = ("day", "vehicle", "service")
FORM: Final = "%Y-%m-%d %H:%M"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "money", "what was earned, paid and worn, by day, vehicle and service")
    add_sources(parser, prices=True)
    parser.add_argument(
        "--model", default="lfp-250ah", metavar="NAME|FILE", help="wear model (`v2g-edge wear`)"
    )
    parser.add_argument("--currency", default="", help="of the result (default: the prices' own)")
    parser.add_argument("--exchange", action="append", default=[], metavar="CUR=RATE")
    parser.add_argument("--format", choices=("text", "csv", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read, reckon, show."""
    prices, settings = prices_of(arguments)
    currency = arguments.currency or settings.currency or next((row.currency for row in prices), "")
    try:
        with ledger(arguments) as store:
            from_s, until_s = span(arguments, store)
            spot = spot_of(prices, from_s, until_s, currency, exchange_of(arguments.exchange))
            outlets = set(store.site.outlets)
            lines = [line for line in store.lines(from_s, until_s) if line.meter in outlets]
            wear_of, how = _wear(store, settings, arguments.model, from_s, until_s)
            adds = settings.fixed_per_kwh, settings.export_per_kwh
            rows = money_of(lines, spot, adds, wear_of, ZoneInfo(store.site.timezone))
            head = {
                "site": store.site.name,
                "timezone": store.site.timezone,
                "from_wall_s": from_s,
                "until_wall_s": min(until_s, store.span()[1]),
                "currency": currency,
                "priced": bool(prices),
                "wear": how,
            }
    except (CurrencyError, WearError) as error:
        raise CommandError(str(error), BAD_INPUT) from error
    hand_out({"text": as_text, "csv": as_csv, "json": as_json}[arguments.format](head, rows), arguments)
    return DONE


def _wear(
    store: Store, settings: PriceSettings, model: str, from_s: float, until_s: float
) -> tuple[Callable[[str], float], str]:
    """What a kWh given costs by vehicle, and how that is known."""
    if not settings.pack_price_per_kwh:
        return lambda _vehicle: settings.wear_per_kwh, "wear_per_kwh of the site file"
    found = wear_by_vehicle(store, read_model(model), settings.pack_price_per_kwh, from_s, until_s)
    how = f"each vehicle's own cycles by the model {model}; wear_per_kwh of the site file where none is known"
    return lambda vehicle: found.get(vehicle, settings.wear_per_kwh), how


def as_text(head: dict[str, Any], rows: list[MoneyRow]) -> str:
    """A table each: by day, by vehicle, by service."""
    zone = head["timezone"]
    begin, end = (local_time(head[key], FORM, zone) for key in ("from_wall_s", "until_wall_s"))
    lines = [f"{head['site']}  {begin} to {end} {zone}, in {head['currency'] or 'money'}"]
    for by in KEYS:
        cells = [_cells(getattr(row, by), row) for row in summed(rows, by)]
        cells += [_cells("all", row) for row in summed(rows, None)]
        titles = (by, "in kWh", "out kWh", "earned", "paid", "wear", "net")
        lines += ["", *table(titles, cells, frozenset({0}))]
    lines += ["", *wrapped(f"Wear: {head['wear']}.")]
    unpriced = sum(row.unpriced_kwh for row in rows)
    if unpriced:
        text = f"{unpriced:.1f} kWh flowed in quarter hours without a price and count as no money"
        lines += wrapped(text, "! ", "  ")
    return "\n".join(lines)


def _cells(name: str, row: MoneyRow) -> tuple[str, ...]:
    sums = (f"{value:.2f}" for value in (row.earned, row.paid, row.wear, row.net))
    return name, f"{row.in_kwh:.1f}", f"{row.out_kwh:.1f}", *sums


def as_csv(_head: dict[str, Any], rows: list[MoneyRow]) -> str:
    """A line a day, vehicle and service."""
    sink = io.StringIO()
    sheet = csv.writer(sink, lineterminator="\n")
    sheet.writerow(MoneyRow.__struct_fields__)
    for row in rows:
        names, values = msgspec.structs.astuple(row)[:3], msgspec.structs.astuple(row)[3:]
        sheet.writerow([*names, *(f"{value:.6f}" for value in values)])
    return sink.getvalue().rstrip("\n")


def as_json(head: dict[str, Any], rows: list[MoneyRow]) -> str:
    """The rows, and their sums by each."""
    sums = {by: msgspec.to_builtins(summed(rows, by)) for by in KEYS}
    return json.dumps({**head, "rows": msgspec.to_builtins(rows), "by": sums}, indent=2)
