"""``v2g-edge settle``: statements by service, month by month, less the aggregator's fee."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import local_time, table, wrapped
from v2g_edge.cli.study.bill import FORM, months_of
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, span, study
from v2g_edge.study.bill.charge import cents
from v2g_edge.study.bill.reduction import LOOK_BACK_DAYS, loads_of, reduction_of
from v2g_edge.study.bill.settlement import (
    ContractError,
    Contracts,
    Statement,
    events_of,
    read_contracts,
    statements_of,
)
from v2g_edge.study.ledger.statement import missing_of
from v2g_edge.study.ledger.store import Store

Month = tuple[str, list[Statement], list[str]]
LEAST_S = 3_600.0
"""A record ends with its last tick: less than an hour at the end of a month is no pause."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "settle", "statements by service, less the aggregator's fee, with their day")
    add_sources(parser)
    parser.add_argument(
        "--contracts", type=Path, required=True, metavar="FILE", help="a TOML file, one table a service"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """A statement a service and local month."""
    try:
        contracts = read_contracts(arguments.contracts)
    except ContractError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    with ledger(arguments) as store:
        months = _months(store, contracts, *span(arguments, store))
    shape = _text if arguments.format == "text" else _json
    hand_out(shape(months, contracts.currency), arguments)
    return DONE


def _months(store: Store, contracts: Contracts, from_s: float, until_s: float) -> list[Month]:
    zone, outlets = ZoneInfo(store.site.timezone), set(store.site.outlets)
    found: list[Month] = []
    for begin_s, end_s, _whole_s in months_of(from_s, until_s, zone):
        gaps = missing_of(store, store.remarks(begin_s, end_s), begin_s, end_s)
        gaps = [(a, b) for a, b in gaps if b - a >= LEAST_S]
        hours = (end_s - begin_s - sum(b - a for a, b in gaps)) / 3_600.0
        lines = [line for line in store.lines(begin_s, end_s) if line.meter in outlets]
        reduced, uncounted = _reduced(store, contracts, begin_s, end_s)
        last = datetime.fromtimestamp(end_s, UTC).astimezone(zone).date() - timedelta(days=1)
        rows = statements_of(contracts, lines, hours, last, whole=not gaps, reduced_kwh=reduced)
        notes = [
            f"nothing is recorded from {local_time(a, FORM, str(zone))} to {local_time(b, FORM, str(zone))}:"
            " no capacity counts as held then, and the statement is preliminary"
            for a, b in gaps
        ]
        by_hand = sorted({line.reference for line in lines if line.method == "correction"})
        if by_hand:
            notes.append(f"adjusted by corrections by hand: {', '.join(by_hand)}")
        found.append((f"{last:%Y-%m}", rows, [*notes, *uncounted]))
    return found


def _reduced(
    store: Store, contracts: Contracts, begin_s: float, end_s: float
) -> tuple[dict[str, float], list[str]]:
    """By service what the events of a month reduced, and what could not be counted."""
    reduced, notes = {}, []
    called = [each for each in contracts.contracts if each.events]
    loads: dict[float, float] = {}
    if called:
        back_s = begin_s - (LOOK_BACK_DAYS + 1) * 86_400.0
        loads = loads_of(store.lines(back_s, end_s), store.site.grid_meter)
    for each in called:
        now = [(first_s, last_s) for first_s, last_s in events_of(each) if begin_s <= first_s < end_s]
        zone = ZoneInfo(store.site.timezone)
        found = reduction_of(tuple(now), loads, zone, events_of(each), export_paid=each.export_paid)
        reduced[each.service] = found.kwh
        notes += [f"{each.service}: {note}" for note in found.notes]
    return reduced, notes


def _text(months: list[Month], currency: str) -> str:
    lines: list[str] = []
    for month, rows, notes in months:
        cells: list[tuple[str, ...]] = [_row(each) for each in rows]
        total = sum((each.net for each in rows), start=cents(Decimal(0)))
        into, out = (f"{sum(getattr(each, key) for each in rows):.1f}" for key in ("in_kwh", "out_kwh"))
        cells.append(("all", "", into, out, "", "", "", f"{total}", "", ""))
        head = ("service", "buyer", "in kWh", "out kWh", "energy", "capacity", "fee", currency, "due", "")
        lines += [month, *table(head, cells, frozenset({0, 1, 8, 9})), ""]
        for note in notes:
            lines += wrapped(note, "! ", "  ")
        for each in rows:
            if each.reduced_kwh:
                text = f"{each.service}: {each.reduced_kwh:.1f} kWh below the baseline in its events"
                lines += wrapped(f"{text}; their money is in its energy", "! ", "  ")
        bare = [each.service for each in rows if not each.buyer]
        if bare:
            lines += wrapped(
                f"no contract: {', '.join(bare)}; its energy is shown and earns nothing here", "! ", "  "
            )
    return "\n".join(lines).rstrip()


def _row(each: Statement) -> tuple[str, ...]:
    money = (f"{value}" for value in (each.energy, each.capacity, each.fee))
    due = "" if each.due is None else str(each.due)
    energies = f"{each.in_kwh:.1f}", f"{each.out_kwh:.1f}"
    return (each.service, each.buyer or "-", *energies, *money, f"{each.net}", due, each.status)


def _json(months: list[Month], currency: str) -> str:
    """Everything; money as text, so that a cent is a cent."""

    def shown(each: Statement) -> dict[str, Any]:
        row = {name: getattr(each, name) for name in each.__struct_fields__} | {"net": each.net}
        return {key: value if value is None else str(value) for key, value in row.items()}

    found = [
        {"month": month, "currency": currency, "statements": [shown(each) for each in rows], "notes": notes}
        for month, rows, notes in months
    ]
    return json.dumps(found, indent=2)
