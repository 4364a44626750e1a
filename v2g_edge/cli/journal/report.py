"""``v2g-edge report``: the past night from the journal, as text, CSV, JSON or a page; a timer may write or
mail it.
"""

import argparse
import csv
import html
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.journal.past import opened
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.screen import local_time, with_times, wrapped
from v2g_edge.config import ConfigError, load
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.records import JournalReader
from v2g_edge.market.price_file import PriceFile
from v2g_edge.model.plan import Price
from v2g_edge.study.night import Alarm, Night, Row, Stay, night_of
from v2g_edge.study.vocabulary import word_of

NOON: Final = time(12)
"""A night goes from noon to noon of the site's time: nobody's shift ends there."""
CONFIG: Final = Path("/etc/v2g-edge/site.toml")
HEIGHT: Final = 24
"""Lines of a terminal (the VT100's): the text fits one where a night had twelve vehicles and few orders."""
STAYS_SHOWN: Final = 12
ALARMS_LEAST: Final = 3
FORMS: Final = ("text", "csv", "json", "html")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "report", help="the past night: who was ready, energy, money, what was not earned, alarms"
    )
    parser.add_argument(
        "--night", metavar="DATE", help="the evening's date, like 2026-01-31 (default: the last whole night)"
    )
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="the journal (default: the one of the site file)"
    )
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help=f"the site file (default {CONFIG})"
    )
    parser.add_argument("--format", choices=FORMS, default="text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: everybody who left was ready. 1: somebody was not, or nothing was recorded."""
    journal, prices = _sources(arguments)
    with opened(journal) as reader:
        zone = ZoneInfo(_zone(reader))
        start_s, end_s = _span(arguments.night, zone)
        night = night_of(_rows(reader, start_s), start_s, end_s, prices)
    if not night.ticks:
        raise CommandError(
            f"{journal}: nothing is recorded of {_dates(night, str(zone))}; it keeps host.journal_keep_days"
            " days"
        )
    text = {"text": as_text, "csv": as_csv, "json": as_json, "html": as_html}[arguments.format](night)
    if arguments.output:
        try:
            arguments.output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(
                f"{arguments.output}: cannot be written ({error.strerror}); name another file with --output"
            ) from error
    else:
        print(text)
    return FAILED if any(stay.lacked_pct for stay in night.stays if stay.left_wall_s is not None) else DONE


def _sources(arguments: argparse.Namespace) -> tuple[Path, tuple[Price, ...]]:
    """The journal and the prices. A journal alone is enough: then the report has no money."""
    if arguments.journal and not arguments.config.exists():
        return arguments.journal, ()
    try:
        settings = load(arguments.config)
    except ConfigError as error:
        if arguments.journal:
            _warn(f"no money in this report: {arguments.config} cannot be used; `v2g-edge check` says why")
            return arguments.journal, ()
        raise CommandError(
            f"{arguments.config}: cannot be used; `v2g-edge check` says why ({len(error.problems)})",
            BAD_INPUT,
        ) from error
    prices = PriceFile(settings.prices)
    fault = prices.read()
    if fault:
        _warn(f"no money in this report: {fault.splitlines()[0]}")
    return arguments.journal or Path(settings.host.state_dir) / "journal.db", prices.prices


def _warn(text: str) -> None:
    """Beside the report: its CSV and JSON are for programs."""
    print("\n".join(wrapped(text, "! ", "  ")), file=sys.stderr)


def _zone(reader: JournalReader) -> str:
    tick = next(reader.ticks(float("inf")), None)
    return reader.site(tick.run).timezone if tick else "UTC"


def _span(asked: str | None, zone: ZoneInfo) -> tuple[float, float]:
    """From noon to noon; days of 23 and 25 hours are as long as they are."""
    try:
        now = datetime.fromtimestamp(SystemClock().wall_s(), UTC).astimezone(zone)
        evening = date.fromisoformat(asked) if asked else (now - timedelta(hours=36)).date()
    except ValueError as error:
        raise CommandError(f"{asked!r} is no date; write it like 2026-01-31", BAD_INPUT) from error
    days = (evening, evening + timedelta(days=1))
    start, end = (datetime.combine(day, NOON, zone).timestamp() for day in days)
    return start, end


def _rows(reader: JournalReader, from_wall_s: float) -> Iterator[Row]:
    for tick in reader.ticks(from_wall_s):
        yield reader.site(tick.run), tick.snapshot, tick.plan, tick.permits, (*tick.events, *tick.told)


def _dates(night: Night, zone: str) -> str:
    return (
        f"{local_time(night.from_wall_s, '%a %d %b %Y %H:%M', zone)} to"
        f" {local_time(night.until_wall_s, '%a %d %b %H:%M', zone)}"
    )


def as_text(night: Night) -> str:
    """80 columns: the sum first, then a line a vehicle, then what was not earned, then alarms."""
    zone = night.timezone
    lines = [f"{night.site}  {_dates(night, zone)} {zone}", *wrapped(summary(night))]
    head = f"{'vehicle':13} {'outlet':7} {'SoC':>9} {'goal':>5} {'left':>6} {'in kWh':>7} {'out kWh':>7}"
    lines += ["", head + (f" {'cost':>8}" if night.priced else "")]
    shown = _shown(night.stays)
    lines += [_stay_line(stay, night, zone) for stay in shown]
    if len(shown) < len(night.stays):
        lines.append(f"and {len(night.stays) - len(shown)} more, none of them short: --format csv")
    for name, flow in sorted(night.feeders.items()):
        lines.append(f"feeder {name}: {flow.in_wh / 1_000.0:.1f} kWh in, {flow.out_wh / 1_000.0:.1f} kWh out")
    held = sorted(night.held.items(), key=lambda item: -item[1].export_wh)
    lost = [
        f"{word_of(rule).brief or rule} {each.export_wh / 1_000.0:.1f} kWh"
        for rule, each in held
        if each.export_wh >= 50.0
    ]
    if lost:
        lines += wrapped(f"not given, by what held it: {', '.join(lost)}", "", "  ")
    for order in night.orders:
        lines += wrapped(f"{local_time(order.wall_s, zone=zone)} order: {order.text}", "", "  ")
    room = max(HEIGHT - len(lines), ALARMS_LEAST)
    alarms = _longest(night.alarms, room if len(night.alarms) <= room else room - 1)
    lines += [_alarm_line(alarm, zone) for alarm in alarms]
    if len(alarms) < len(night.alarms):
        lines.append(f"and {len(night.alarms) - len(alarms)} shorter alarms: --format json")
    return "\n".join(lines)


def _shown(stays: tuple[Stay, ...]) -> list[Stay]:
    """All that fit, in their order; where there are more, whoever was short comes before the others."""
    short = [stay for stay in stays if stay.lacked_pct]
    ready = [stay for stay in stays if not stay.lacked_pct]
    kept = {id(stay) for stay in (*short, *ready[: max(STAYS_SHOWN - len(short), 0)])}
    return [stay for stay in stays if id(stay) in kept]


def summary(night: Night) -> str:
    """How the night went, in two sentences."""
    left = [stay for stay in night.stays if stay.left_wall_s is not None]
    late = [stay for stay in left if stay.lacked_pct]
    in_wh, out_wh = sum(stay.in_wh for stay in night.stays), sum(stay.out_wh for stay in night.stays)
    ready = f"{len(left) - len(late)} of {len(left)} left ready" if left else "nobody left"
    names = ", ".join(f"{stay.vehicle or stay.outlet} lacked {stay.lacked_pct:.0f} %" for stay in late)
    cost, earned = sum(stay.cost for stay in night.stays), sum(stay.earned for stay in night.stays)
    money = f", cost {cost:.2f} (paid {cost + earned:.2f}, earned {earned:.2f})" if night.priced else ""
    return (
        f"{ready}{f': {names}' if names else ''}. {in_wh / 1_000.0:.1f} kWh charged, {out_wh / 1_000.0:.1f}"
        f" kWh given{money}."
    )


def _stay_line(stay: Stay, night: Night, zone: str) -> str:
    name = stay.vehicle or "not known"
    name = name if len(name) <= 13 else f"…{name[-12:]}"
    soc = f"{_whole(stay.first_pct)} → {_whole(stay.last_pct)}"
    left = local_time(stay.left_wall_s, zone=zone) if stay.left_wall_s is not None else "there"
    text = f"{name:13} {stay.outlet[:7]:7} {soc:>9} {_whole(stay.target_pct):>5} {left:>6}"
    text += f" {stay.in_wh / 1_000.0:7.1f} {stay.out_wh / 1_000.0:7.1f}" + (
        f" {stay.cost:8.2f}" if night.priced else ""
    )
    return text + (f" −{stay.lacked_pct:.0f} %" if stay.lacked_pct and stay.left_wall_s is not None else "")


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _longest(alarms: tuple[Alarm, ...], most: int) -> list[Alarm]:
    ordered = sorted(alarms, key=lambda alarm: (alarm.until_wall_s or 1e18) - alarm.from_wall_s, reverse=True)
    return sorted(ordered[:most], key=lambda alarm: alarm.from_wall_s)


def _alarm_line(alarm: Alarm, zone: str) -> str:
    end = local_time(alarm.until_wall_s, zone=zone) if alarm.until_wall_s is not None else "…"
    text = f"{local_time(alarm.from_wall_s, zone=zone)}-{end:5} {alarm.kind} {alarm.subject}: {alarm.text}"
    return text if len(text) <= 80 else f"{text[:79]}…"


def as_json(night: Night) -> str:
    """Everything, with times in ISO 8601 too, and each limit's words."""
    plain = msgspec.to_builtins(night)
    for rule, held in plain["held"].items():
        held |= {"says": word_of(rule).says, "remedy": word_of(rule).remedy}
    for stay, shown in zip(night.stays, plain["stays"], strict=True):
        shown["lacked_pct"] = stay.lacked_pct
    return json.dumps(with_times(plain, night.timezone), indent=2)


COLUMNS: Final = (
    "vehicle", "outlet", "plugged", "left", "first_pct", "last_pct", "target_pct", "lacked_pct", "in_kwh",
    "out_kwh", "cost",
)  # fmt: skip


def as_csv(night: Night) -> str:
    """A line a vehicle."""
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_cells(stay, night) for stay in night.stays)
    return sink.getvalue().rstrip("\n")


def _cells(stay: Stay, night: Night) -> list[str]:
    form, zone = "%Y-%m-%dT%H:%M:%S%z", night.timezone
    numbers = (stay.first_pct, stay.last_pct, stay.target_pct, stay.lacked_pct)
    return [
        stay.vehicle,
        stay.outlet,
        local_time(stay.plugged_wall_s, form, zone),
        local_time(stay.left_wall_s, form, zone) if stay.left_wall_s is not None else "",
        *("" if number is None else f"{number:.1f}" for number in numbers),
        f"{stay.in_wh / 1_000.0:.3f}",
        f"{stay.out_wh / 1_000.0:.3f}",
        f"{stay.cost:.2f}" if night.priced else "",
    ]


def as_html(night: Night) -> str:
    """One page without scripts or other files: to be mailed or put on a screen."""
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(stay, night)) + "</tr>"
        for stay in night.stays
    )
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    alarms = "\n".join(
        f"<li>{html.escape(_alarm_line(alarm, night.timezone))}</li>" for alarm in night.alarms
    )
    title = html.escape(f"{night.site}, {_dates(night, night.timezone)}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta'
        f' charset="utf-8"><title>{title}</title></head><body>\n<h1>{title}</h1>\n'
        f"<p>{html.escape(summary(night))}</p>\n<table"
        f" border='1'>\n<tr>{head}</tr>\n{rows}\n</table>\n<ul>\n{alarms}\n</ul>\n"
        "</body></html>"
    )
