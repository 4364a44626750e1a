"""``v2g-edge bill``: what a tariff makes of the grid meter's energy, line by line."""

import argparse
import csv
import io
import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import local_time, table, wrapped
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, midnight, prices_of, span, study
from v2g_edge.model.plan import PriceRow
from v2g_edge.study.bill.charge import MILLI, Bill, Hours, Interval, bill_of, cents, month_name, peak_by
from v2g_edge.study.bill.prices import CurrencyError, spot_of
from v2g_edge.study.bill.tariff import SHIPPED, Tariff, TariffError, read_tariff
from v2g_edge.study.ledger.lines import INTERVAL_S, Remark
from v2g_edge.study.ledger.statement import statement_of
from v2g_edge.study.ledger.store import Store

FORM: Final = "%Y-%m-%d %H:%M"
COLUMNS: Final = ("month", "kind", "name", "quantity", "unit", "price", "amount", "currency")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "bill", "what a tariff makes of the grid meter's energy, to the cent")
    add_sources(parser, prices=True)
    shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.toml")))
    parser.add_argument(
        "--tariff", required=True, metavar="NAME|FILE", help=f"a TOML file, or one of: {shipped}"
    )
    parser.add_argument(
        "--exchange",
        action="append",
        default=[],
        metavar="CUR=RATE",
        help="one unit of CUR in the bill's currency",
    )
    parser.add_argument("--format", choices=("text", "csv", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """A bill a local month."""
    try:
        tariff = read_tariff(arguments.tariff)
    except TariffError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    rows, _ = prices_of(arguments)
    with ledger(arguments) as store:
        bills = bills_of(store, tariff, rows, exchange_of(arguments.exchange), *span(arguments, store))
    if not rows and any(each.per_kwh == "spot" for each in (*tariff.energy, *tariff.export)):
        raise CommandError(f"{tariff.name} bills spot prices: name a file with --prices", BAD_INPUT)
    shape = {"text": as_text, "csv": as_csv, "json": as_json}[arguments.format]
    hand_out(shape(bills), arguments)
    return DONE


def exchange_of(texts: list[str]) -> dict[str, float]:
    """Rates by currency. CommandError for one that is none."""
    rates = {}
    for text in texts:
        name, _, rate = text.partition("=")
        try:
            rates[name] = float(rate)
        except ValueError as error:
            raise CommandError(f"--exchange {text!r}; expected like USD=0.92", BAD_INPUT) from error
    return rates


def bills_of(
    store: Store,
    tariff: Tariff,
    rows: tuple[PriceRow, ...],
    exchange: dict[str, float],
    from_s: float,
    until_s: float,
) -> list[tuple[str, Bill]]:
    """Bills by local month, each with the ledger's months before it for a ratchet."""
    zone = ZoneInfo(store.site.timezone)
    hours = Hours(store.site.timezone, tariff.holidays)
    try:
        spot = spot_of(rows, from_s, until_s, tariff.currency, exchange)
    except CurrencyError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    bills, before = [], _earlier(store, tariff, hours, from_s)
    for begin_s, end_s, whole_s in months_of(from_s, until_s, zone):
        intervals, unsure, missing = metered(store, begin_s, end_s)
        days = Decimal(round((end_s - begin_s) / 86_400.0))
        share = Decimal(1) if end_s - begin_s >= whole_s else days / Decimal(round(whole_s / 86_400.0))
        bill = bill_of(
            tariff, intervals, store.site.timezone, spot=spot, before_kw=before, months=share, days=int(days),
            unsure=unsure,
        )  # fmt: skip
        if share < 1:
            missing = [*missing, f"{days} days of the month: fixed parts by days, demand charges in full"]
        bills.append((month_name(hours.local(begin_s)), _noted(bill, missing)))
        for name, kw, _ in bill.peaks:
            before.setdefault(name, []).append(kw)
    return bills


def _noted(bill: Bill, notes: list[str]) -> Bill:
    return Bill(bill.tariff, bill.currency, bill.lines, bill.peaks, (*bill.notes, *notes))


def metered(store: Store, from_s: float, until_s: float) -> tuple[list[Interval], set[float], list[str]]:
    """The grid meter's intervals, the chargers' where there is none; starts of those that hold more or less
    than their time; and what was not plainly metered, in words.
    """
    statement = statement_of(store, from_s, until_s)
    zone, grid = statement.timezone, statement.balance.metered
    notes = [] if grid else ["no grid meter in the ledger: the chargers' own energy is billed"]
    notes += [
        f"nothing is recorded from {local_time(a, FORM, zone)} to {local_time(b, FORM, zone)}: no energy is"
        " billed for it but what the register counted on"
        for a, b in statement.missing
    ]
    meters = {store.site.grid_meter} if grid else set(store.site.outlets)
    unsure = set[float]()
    for each in statement.remarks:
        if each.kind == "clock_step":
            unsure |= _touched(each)
        if each.kind == "clock_step" or (each.subject in meters and not each.kind.endswith("_permit")):
            notes.append(f"{local_time(each.wall_s, FORM, zone)} {each.subject} {each.kind}: {each.text}")
    if unsure:
        notes.append(f"{len(unsure)} quarter hours in which the clock was set count as no peak of demand")
    at = 3 if grid else 1
    found = [Interval(row[0], row[at] / 1e3, row[at + 1] / 1e3) for row in statement.intervals]
    return found, unsure, notes


def _touched(step: Remark) -> set[float]:
    """Starts of the intervals that a step of the clock left too long or too short."""
    first_s, last_s = sorted((step.wall_s, step.until_wall_s))
    # What flowed in the tick of the step may have fallen into the interval before.
    start_s, found = first_s - first_s % INTERVAL_S - INTERVAL_S, set[float]()
    while start_s <= last_s:
        found.add(start_s)
        start_s += INTERVAL_S
    return found


def _earlier(store: Store, tariff: Tariff, hours: Hours, before_s: float) -> dict[str, list[float]]:
    """Peaks of the ledger's whole months before a time, by demand charge."""
    found: dict[str, list[float]] = {}
    first = store.span()[0]
    if not any(rate.ratchet_pct for rate in tariff.demand) or first >= before_s:
        return found
    for begin_s, end_s, _ in months_of(first, before_s, ZoneInfo(store.site.timezone)):
        intervals, unsure, _notes = metered(store, begin_s, end_s)
        sure = [each for each in intervals if each.start_wall_s not in unsure]
        for rate in tariff.demand:
            found.setdefault(rate.name, []).append(peak_by(rate, sure, hours).kw)
    return found


def months_of(from_s: float, until_s: float, zone: ZoneInfo) -> list[tuple[float, float, float]]:
    """(begin, end, length of the whole month) of each local month that a time touches."""
    found = []
    day = Hours(str(zone), ()).local(from_s).date().replace(day=1)
    while (begin_s := midnight(day, zone)) < until_s:
        day = next_month(day)
        end_s = midnight(day, zone)
        # Within an hour of its ends it is the whole month: a record ends with its last tick.
        start, end = max(begin_s, from_s), min(end_s, until_s)
        start, end = (begin_s if start - begin_s < 3_600 else start), (end_s if end_s - end < 3_600 else end)
        found.append((start, end, end_s - begin_s))
    return found


def next_month(day: date) -> date:
    """The first of the month after."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def as_text(bills: list[tuple[str, Bill]]) -> str:
    """A table a month, the total to the cent, and what was assumed."""
    lines: list[str] = []
    for month, bill in bills:
        rows = [
            (
                line.name,
                f"{line.quantity.quantize(MILLI).normalize():f}",
                line.unit,
                f"{line.price.normalize():f}",
                f"{cents(line.amount)}",
            )
            for line in bill.lines
        ]
        head = (f"{bill.tariff}, {month}", "quantity", "", "price", bill.currency)
        lines += [*table(head, [*rows, ("total", "", "", "", f"{bill.total}")], frozenset({0, 2})), ""]
        for note in bill.notes:
            lines += wrapped(note, "! ", "  ")
    return "\n".join(lines).rstrip()


def as_csv(bills: list[tuple[str, Bill]]) -> str:
    """A line a line, in millionths."""
    sink = io.StringIO()
    sheet = csv.writer(sink, lineterminator="\n")
    sheet.writerow(COLUMNS)
    for month, bill in bills:
        for line in bill.lines:
            sheet.writerow(
                [
                    month,
                    line.kind,
                    line.name,
                    line.quantity,
                    line.unit,
                    line.price,
                    line.amount,
                    bill.currency,
                ]
            )
        sheet.writerow([month, "total", "", "", "", "", bill.total, bill.currency])
    return sink.getvalue().rstrip("\n")


def as_json(bills: list[tuple[str, Bill]]) -> str:
    """Everything; money as text, so that a cent is a cent."""
    found = []
    for month, bill in bills:
        lines = [
            {
                name: str(getattr(line, name))
                for name in ("kind", "name", "quantity", "unit", "price", "amount")
            }
            for line in bill.lines
        ]
        peaks = [{"name": name, "kw": kw, "start_wall_s": start} for name, kw, start in bill.peaks]
        found.append(
            {
                "month": month, "tariff": bill.tariff, "currency": bill.currency, "total": str(bill.total),
                "lines": lines, "peaks": peaks, "notes": list(bill.notes),
            }
        )  # fmt: skip
    return json.dumps(found, indent=2)
