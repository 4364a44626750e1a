"""``v2g-edge roi``: whether the next years pay, over many futures, against doing nothing."""

import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.cli.screen import table, wrapped
from v2g_edge.cli.study.sources import study
from v2g_edge.config import ConfigError, load
from v2g_edge.market.price_file import read_prices
from v2g_edge.market.rows import BadPrices
from v2g_edge.model.settings import PriceSettings
from v2g_edge.study.invest.assumptions import AssumptionError, Assumptions, read_assumptions
from v2g_edge.study.invest.days import Night, nights_of_curve, nights_of_rows
from v2g_edge.study.invest.report import money, page, summary
from v2g_edge.study.invest.study import Study, study_of
from v2g_edge.study.wear.model import WearError

FORMS: Final = ("text", "csv", "json", "html", "pdf")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "roi", "whether managed charging and V2G pay: thousands of futures")
    parser.add_argument(
        "--assumptions", type=Path, required=True, metavar="FILE", help="a file in TOML, or in JSON"
    )
    parser.add_argument(
        "--site", type=Path, metavar="FILE", help="a site file: its name, vehicles, time zone, powers"
    )
    parser.add_argument(
        "--export", action="store_true", help="write a file (roi.FORMAT where --output names none)"
    )
    parser.add_argument("--format", choices=FORMS, default="text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="write every form (csv, json, html, pdf) into a folder"
    )
    parser.add_argument(
        "--progress", action="store_true", help='say on standard error how far it is: "progress 3/12"'
    )
    parser.add_argument("--paths", type=int, metavar="N", help="futures, instead of the file's number")
    parser.add_argument(
        "--seed", type=int, metavar="N", help="dice, instead of the file's; the same give the same"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Study, then the report in its form."""
    try:
        found = read_assumptions(arguments.assumptions)
        found = replace(found, paths=arguments.paths or found.paths)
        found = replace(found, seed=found.seed if arguments.seed is None else arguments.seed)
        found, zone, notes = _with_site(found, arguments.site)
        nights, more = nights_for(found, zone)
        study = study_of(found, nights, [*notes, *more], _say if arguments.progress else _say_nothing)
    except (AssumptionError, WearError, BadPrices) as error:
        raise CommandError(str(error), BAD_INPUT) from error
    if arguments.folder is None:
        _hand_out(study, arguments)
    else:
        _fill(arguments.folder, study)
    return DONE


def _say(done: int, of: int) -> None:
    print(f"progress {done}/{of}", file=sys.stderr, flush=True)


def _say_nothing(_done: int, _of: int) -> None:
    """Without --progress."""


def _with_site(found: Assumptions, path: Path | None) -> tuple[Assumptions, ZoneInfo, list[str]]:
    """The site's own numbers go before the file's, and the report says which."""
    if path is None:
        return found, ZoneInfo("UTC"), []
    try:
        site = load(path).site
    except ConfigError as error:
        text = f"{path}: cannot be used; `v2g-edge check` says why ({len(error.problems)})"
        raise CommandError(text, BAD_INPUT) from error
    mean_out_kw = sum(evse.max_discharge_w for evse in site.evses) / len(site.evses) / 1e3
    mean_in_kw = sum(evse.max_charge_w for evse in site.evses) / len(site.evses) / 1e3
    root = next(feeder for feeder in site.feeders if not feeder.parent)
    fleet = replace(
        found.fleet,
        vehicles=len(site.vehicles) or found.fleet.vehicles,
        charge_kw=mean_in_kw,
        discharge_kw=min(mean_out_kw, found.fleet.discharge_kw),
        connection_kw=min(root.import_limit_w, root.export_limit_w or root.import_limit_w) / 1e3,
    )
    text = (
        f"From {site.name}: {fleet.vehicles} vehicles, {mean_in_kw:.0f} kW in and {fleet.discharge_kw:.0f} kW"
        f" out a charger, a connection of {fleet.connection_kw:.0f} kW."
    )
    return replace(found, fleet=fleet, name=f"{found.name} at {site.name}"), ZoneInfo(site.timezone), [text]


def nights_for(found: Assumptions, zone: ZoneInfo) -> tuple[list[Night], list[str]]:
    """The nights that futures draw from, and what to say of them. Raises ``BadPrices``."""
    if not found.prices.file:
        return nights_of_curve(found), ["Prices are a curve with levels drawn about it, no market's record."]
    rows = read_prices(Path(found.prices.file), PriceSettings())
    currencies = {row.currency for row in rows if row.currency}
    if currencies - {found.currency}:
        text = (
            f"{found.prices.file}: prices in {', '.join(sorted(currencies))}, assumptions in {found.currency}"
        )
        raise BadPrices(f"{text}; give both in one")
    nights, lost = nights_of_rows(rows, found.fleet, zone)
    if not nights:
        raise BadPrices(f"{found.prices.file}: no whole night of prices")
    text = f"Prices: {len(nights)} nights of {Path(found.prices.file).name}"
    return nights, [f"{text}; {lost} nights with a missing hour were left out." if lost else f"{text}."]


def _fill(folder: Path, study: Study) -> None:
    """Every form into the folder. Without reportlab there is no PDF, and it says so."""
    forms = {"csv": as_csv, "json": as_json, "html": page}
    made = {form: (shape(study) + "\n").encode() for form, shape in forms.items()}
    try:
        made["pdf"] = _pdf(study)
    except CommandError as missing:
        print(missing, file=sys.stderr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form, data in made.items():
            (folder / f"roi.{form}").write_bytes(data)
    except OSError as error:
        raise CommandError(f"{folder}: cannot be written ({error})") from error
    print(f"written: {folder}/roi.{{{','.join(made)}}}")


def _hand_out(study: Study, arguments: argparse.Namespace) -> None:
    output = arguments.output or (Path(f"roi.{arguments.format}") if arguments.export else None)
    if arguments.format == "pdf":
        if output is None:
            raise CommandError("a PDF goes into a file: name one with --output", BAD_INPUT)
        data = _pdf(study)
    else:
        shape = {"text": as_text, "csv": as_csv, "json": as_json, "html": page}[arguments.format]
        data = (shape(study) + "\n").encode()
    if output is None:
        print(data.decode(), end="")
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise CommandError(f"{output}: cannot be written ({error})") from error
    print(f"written: {output}")


def _pdf(study: Study) -> bytes:
    try:
        from v2g_edge.study.invest.pdf import pdf  # noqa: PLC0415 - reportlab is an extra
    except ImportError as error:
        raise CommandError(
            "a PDF needs reportlab: pip install 'v2g-edge[report]'; HTML needs nothing"
        ) from error
    return pdf(study)


def as_text(study: Study) -> str:
    """The summary, the results, what moves them."""
    currency = study.assumptions.currency
    lines = [study.assumptions.name, ""]
    for text in summary(study):
        lines += wrapped(text)
    rows: list[tuple[str, ...]] = []
    for result in study.results:
        payback = result.payback_years[1]
        rows.append(
            (
                result.scenario, result.way, *(f"{value / 1e3:.1f}" for value in result.npv),
                f"{100 * result.positive:.0f} %",
                "-" if result.irr_pct is None else f"{result.irr_pct[1]:.1f}",
                "never" if payback is None else f"{payback:.1f}",
            )
        )  # fmt: skip
    head = ("scenario", "way", "NPV P10", "P50", "P90", "above 0", "IRR %", "payback")
    lines += ["", f"1,000 {currency}, payback in years", *table(head, rows, frozenset({0, 1}))]
    levers: list[tuple[str, ...]] = [
        (e.name, e.low, e.high, money(e.npv_low, currency), money(e.npv_high, currency))
        for e in study.tornado
    ]
    title = ("what moves NPV of V2G", "low", "high", "NPV low", "NPV high")
    return "\n".join([*lines, "", *table(title, levers, frozenset({0}))])


def as_csv(study: Study) -> str:
    """A line a figure."""
    sink = io.StringIO()
    sheet = csv.writer(sink, lineterminator="\n")
    sheet.writerow(("scenario", "way", "figure", "p10", "p50", "p90", "unit"))
    currency = study.assumptions.currency
    for result in study.results:
        name = (result.scenario, result.way)
        sheet.writerow([*name, "npv", *(f"{value:.2f}" for value in result.npv), currency])
        sheet.writerow([*name, "npv_mean", "", f"{result.npv_mean:.2f}", "", currency])
        sheet.writerow([*name, "positive", "", f"{result.positive:.4f}", "", "share"])
        rates = [f"{value:.3f}" for value in result.irr_pct] if result.irr_pct else ["", "", ""]
        years = ["" if value is None else f"{value:.2f}" for value in result.payback_years]
        sheet.writerows([[*name, "irr", *rates, "%"], [*name, "payback", *years, "years"]])
        for year, row in enumerate(zip(*result.fan, strict=True)):
            sheet.writerow([*name, f"cash_until_year_{year}", *(f"{value:.2f}" for value in row), currency])
    for each in study.tornado:
        low, high = f"{each.npv_low:.2f}", f"{each.npv_high:.2f}"
        sheet.writerow(["base", "V2G", f"tornado {each.name}", low, "", high, currency])
    return sink.getvalue().rstrip("\n")


def as_json(study: Study) -> str:
    """Everything."""
    return json.dumps(msgspec.to_builtins(study), indent=2)
