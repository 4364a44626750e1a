"""``v2g-edge ledger``: what flowed, by vehicle, outlet, service and settlement interval, from the journal."""

import argparse
import csv
import io
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import local_time, table, with_times, wrapped
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, plain, span, study
from v2g_edge.study.insight.privacy import GRAINS, Pseudonyms, WeakKeyError, coarser, hidden
from v2g_edge.study.ledger.lines import INTERVAL_S, Line, Remark
from v2g_edge.study.ledger.statement import Statement, Sum, VehicleRow, how_known, statement_of
from v2g_edge.study.ledger.store import LedgerError, Store

REMARKS_SHOWN: Final = 12
COLUMNS: Final = ("start", "in_kwh", "out_kwh", "grid_import_kwh", "grid_export_kwh")
CORRECTION: Final = ("reference", "start", "meter", "vehicle", "service", "in_kwh", "out_kwh", "reason")
STAMP: Final = "%Y-%m-%dT%H:%M:%S%z"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(
        subparsers,
        "ledger",
        "what flowed: by vehicle, outlet, service and interval; held against the grid meter",
    )
    add_sources(parser)
    parser.add_argument("--format", choices=("text", "csv", "json"), default="text")
    parser.add_argument(
        "--extend", action="store_true", help="take what the journal has since, and show nothing"
    )
    parser.add_argument(
        "--correct",
        type=Path,
        metavar="FILE",
        help=f"add corrections: CSV with {', '.join(CORRECTION)}; a reference that is known changes nothing",
    )
    parser.add_argument("--forget", metavar="VEHICLE", help="remember a vehicle no more; totals stay")
    parser.add_argument(
        "--pseudonyms", type=Path, metavar="KEYFILE", help="pseudonyms by this key instead of vehicles' names"
    )
    parser.add_argument(
        "--granularity", choices=GRAINS, default="interval", help="of times, for what leaves the depot"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Extend, correct, show."""
    with ledger(arguments) as store:
        if arguments.correct:
            meters = (*store.site.outlets, *filter(None, (store.site.grid_meter,)))
            lines, remarks = read_corrections(arguments.correct, store.site.timezone, meters)
            store.correct(lines, remarks)
        if arguments.forget:
            _forget(store, arguments.forget)
        if arguments.extend:
            return DONE
        statement = statement_of(store, *span(arguments, store))
    statement.intervals = coarser(statement.intervals, arguments.granularity, statement.timezone)
    if arguments.pseudonyms:
        statement = hidden(statement, _pseudonyms(arguments.pseudonyms))
    if arguments.format == "csv" and arguments.granularity != "interval":
        hand_out(_coarse_csv(statement), arguments)
        return DONE
    hand_out({"text": as_text, "csv": as_csv, "json": as_json}[arguments.format](statement), arguments)
    return DONE


def _forget(store: Store, vehicle: str) -> None:
    try:
        if not store.forget(vehicle):
            raise CommandError(f"the ledger knows no vehicle {vehicle!r}", BAD_INPUT)
    except LedgerError as error:
        raise CommandError(str(error)) from error


def _pseudonyms(path: Path) -> Pseudonyms:
    try:
        return Pseudonyms(path.read_bytes())
    except (OSError, WeakKeyError) as error:
        raise CommandError(f"{path}: {error}; make one with: openssl rand -hex 32", BAD_INPUT) from error


def _coarse_csv(statement: Statement) -> str:
    """A line an hour, day or month that has any record."""
    lines = [",".join(COLUMNS)]
    for start, *values in statement.intervals:
        cells = [f"{value / 1e3:.6f}" for value in values]
        lines.append(",".join([local_time(start, STAMP, statement.timezone), *cells]))
    return "\n".join(lines)


def as_text(statement: Statement) -> str:
    """80 columns: vehicles, outlets, services, the balance, and what is missing."""
    zone = statement.timezone
    form = "%Y-%m-%d %H:%M"
    begin, end = (local_time(at, form, zone) for at in (statement.from_wall_s, statement.until_wall_s))
    lines = [f"{statement.site}  {begin} to {end} {zone}", ""]
    head = (
        "vehicle",
        "in kWh",
        "out kWh",
        "out h",
        "EFC flow",
        "EFC rain",
        "deepest",
        ">90% h",
        "<10% h",
        "SoH %",
    )
    lines += table(head, [_vehicle(row) for row in statement.vehicles], frozenset({0}))
    for title, sums in (("outlet", statement.outlets), ("service", statement.services)):
        lines += [
            "",
            *table(
                (title, "in kWh", "out kWh", "out h", "known by"), [_sum(s) for s in sums], frozenset({0, 4})
            ),
        ]
    lines += ["", *_balance(statement)]
    for start, until in statement.missing:
        lines += wrapped(
            f"missing: {local_time(start, form, zone)} to {local_time(until, form, zone)}", "! ", "  "
        )
    others = [each for each in statement.remarks if each.kind != "missing" or each.subject != "site"]
    for each in others[:REMARKS_SHOWN]:
        lines += wrapped(
            f"{local_time(each.wall_s, form, zone)} {each.subject} {each.kind}: {each.text}", "! ", "  "
        )
    if len(others) > REMARKS_SHOWN:
        lines.append(f"! and {len(others) - REMARKS_SHOWN} more remarks; --format json shows all")
    return "\n".join(lines)


def _vehicle(row: VehicleRow) -> tuple[str, ...]:
    life, energy = row.life, row.energy
    return (
        energy.name,
        f"{energy.in_wh / 1e3:.1f}",
        f"{energy.out_wh / 1e3:.1f}",
        f"{energy.discharge_h:.1f}",
        f"{life.efc_throughput:.2f}" if life else "-",
        f"{row.efc_rainflow:.2f}",
        f"{row.deepest_pct:.0f} %",
        f"{life.high_s / 3_600.0:.1f}" if life else "-",
        f"{life.low_s / 3_600.0:.1f}" if life else "-",
        f"{life.soh_pct:.1f}" if life and life.soh_pct is not None else "-",
    )


def _sum(each: Sum) -> tuple[str, ...]:
    energies = (f"{each.in_wh / 1e3:.1f}", f"{each.out_wh / 1e3:.1f}", f"{each.discharge_h:.1f}")
    return (each.name, *energies, how_known(each))


def _balance(statement: Statement) -> list[str]:
    balance = statement.balance
    if not balance.metered:
        return ["no grid meter: nothing to hold the chargers against"]
    kwh = [
        value / 1e3
        for value in (balance.grid_in_wh, balance.grid_out_wh, balance.outlets_wh, balance.rest_wh)
    ]
    text = (
        f"grid meter {kwh[0]:.1f} kWh in, {kwh[1]:.1f} kWh out; chargers {kwh[2]:.1f} kWh net;"
        f" building and losses {kwh[3]:.1f} kWh"
    )
    off = f"{len(balance.off)} of {len(statement.intervals)} intervals are outside the commissioned base load"
    return wrapped(
        f"{text}; {off}" if balance.off else f"{text}; every interval within the commissioned base load"
    )


def as_csv(statement: Statement) -> str:
    """A line an interval, those without any record too."""
    sink = io.StringIO()
    sheet = csv.writer(sink, lineterminator="\n")
    sheet.writerow(COLUMNS)
    known = {row[0]: row[1:] for row in statement.intervals}
    start = math.floor(statement.from_wall_s / INTERVAL_S) * INTERVAL_S
    while start < statement.until_wall_s:
        cells = [f"{value / 1e3:.6f}" for value in known[start]] if start in known else [""] * 4
        sheet.writerow([local_time(start, STAMP, statement.timezone), *cells])
        start += INTERVAL_S
    return sink.getvalue().rstrip("\n")


def as_json(statement: Statement) -> str:
    """Everything, with times in ISO 8601 too."""
    return json.dumps(with_times(plain(statement), statement.timezone), indent=2)


def read_corrections(path: Path, timezone: str, meters: tuple[str, ...]) -> tuple[list[Line], list[Remark]]:
    """Corrections of a file. CommandError names each line that cannot be used."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path}: cannot be read ({error})", BAD_INPUT) from error
    lines, remarks, faults = [], [], []
    for number, row in enumerate(rows, start=2):
        try:
            line, remark = _correction(row, ZoneInfo(timezone), meters)
        except (KeyError, ValueError, TypeError) as error:
            faults.append(f"{path}:{number}: {error}; expected {', '.join(CORRECTION)}")
            continue
        lines.append(line)
        remarks.append(remark)
    if faults:
        raise CommandError("\n".join(faults[:REMARKS_SHOWN]), BAD_INPUT)
    return lines, remarks


def _correction(row: dict[str, str], zone: ZoneInfo, meters: tuple[str, ...]) -> tuple[Line, Remark]:
    if not row["reference"] or not row["reason"]:
        raise ValueError("a correction needs a reference and a reason")
    if row["meter"] not in meters:
        raise ValueError(f"meter {row['meter']!r} is no meter of this ledger ({', '.join(meters[-8:])})")
    moment = datetime.fromisoformat(row["start"])
    wall_s = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    in_wh, out_wh = (float(row[name] or 0.0) * 1e3 for name in ("in_kwh", "out_kwh"))
    if not (math.isfinite(in_wh) and math.isfinite(out_wh)):
        raise ValueError("energies must be numbers")
    start = wall_s - wall_s % INTERVAL_S
    line = Line(
        start, row["meter"], "", row["vehicle"], row["service"] or "correction", "correction",
        in_wh, out_wh, 0.0, row["reference"],
    )  # fmt: skip
    text = f"{row['reference']}: {row['in_kwh'] or 0} kWh in, {row['out_kwh'] or 0} kWh out ({row['reason']})"
    return line, Remark(start, start, row["meter"], "correction", text)
