"""The report of a study: what it says in words, its tables and its charts, for every form of output."""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from v2g_edge.study.invest.assumptions import Assumptions
from v2g_edge.study.invest.chart import V1G, V2G, Chart, fan, histogram, svg, tornado
from v2g_edge.study.invest.study import Result, Study

STYLE: Final = (
    "body{font:15px/1.45 sans-serif;max-width:56em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    ".told{table-layout:fixed;width:100%}"
    ".told td,.told th{text-align:left;white-space:normal;vertical-align:top;overflow-wrap:anywhere}"
    "svg{width:100%;height:auto}"
    "@media print{body{margin:0;font-size:12px}h2{break-after:avoid}svg{break-inside:avoid}}"
)
HEAD: Final = (
    "scenario", "against doing nothing", "NPV P10", "NPV P50", "NPV P90", "above 0", "IRR P50", "payback P50",
)  # fmt: skip


WORDS: Final = (
    ("V1G, managed charging", "Vehicles charge in the cheapest hours before they leave, and give nothing."),
    ("V2G", "Managed charging, and vehicles give energy back in the dearest hours."),
    ("doing nothing", "Every vehicle charges at full power from the moment it is plugged in."),
    ("future", "One drawn course of prices, availability, costs and wear over all years."),
    (
        "net present value (NPV)",
        "All that comes in less all that is spent, later money counted for less. Above 0: better than doing"
        " nothing.",
    ),
    ("P10, P50, P90", "One future in ten is worse than P10, half of them than P50, nine in ten than P90."),
    ("internal rate of return (IRR)", "The interest at which the investment would just pay."),
    ("payback", "Years until what was spent has come back for good."),
    ("wear", "What giving energy costs the battery; it is taken off in every figure of V2G."),
)
"""Every term of the report that a depot manager may not know."""


class Part(NamedTuple):
    """A heading with paragraphs, then charts, then a table. ``shares`` of the width by column make it one of
    words, whose cells break; without them it is one of numbers.
    """

    title: str
    texts: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    charts: tuple[Chart, ...] = ()
    shares: tuple[float, ...] = ()


def money(value: float, currency: str) -> str:
    """Whole units, thousands apart."""
    return f"{_apart(value)} {currency}"


def _apart(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def result_row(result: Result, currency: str) -> tuple[str, ...]:
    """One line of the results' table."""
    payback = result.payback_years[1]
    return (
        result.scenario,
        result.way,
        *(money(value, currency) for value in result.npv),
        f"{100 * result.positive:.0f} %",
        "-" if result.irr_pct is None else f"{result.irr_pct[1]:.1f} %",
        "never" if payback is None else f"{payback:.1f} years",
    )


def summary(study: Study) -> tuple[str, ...]:
    """What a depot manager reads first."""
    found, currency = study.assumptions, study.assumptions.currency
    base = {result.way: result for result in study.results if result.scenario == "base"}
    v1g, v2g, more = base["V1G"], base["V2G"], base["V2G over V1G"]
    fleet = found.fleet
    texts = [
        f"{fleet.vehicles} vehicles, {found.years} years, {found.discount_pct:g} % interest,"
        f" {_apart(found.paths)} futures.",
        f"Managed charging alone is worth {money(v1g.npv[1], currency)} against doing nothing"
        f" ({money(v1g.npv[0], currency)} to {money(v1g.npv[2], currency)} in eight of ten futures).",
        f"With V2G it is {money(v2g.npv[1], currency)} ({money(v2g.npv[0], currency)} to"
        f" {money(v2g.npv[2], currency)}), {100 * v2g.positive:.0f} % of the futures above 0.",
        f"V2G over managed charging: {money(more.npv[1], currency)}; it pays in {100 * more.positive:.0f} %"
        f" of the futures, {_back(more)}.",
        f"Each vehicle gives {study.given_mwh * 1e3 / fleet.vehicles:.0f} kWh a year, {study.efc_year:.0f}"
        f" full cycles, at {study.wear_per_kwh:.4f} {currency} of wear a kWh.",
    ]
    return (*texts, *study.notes)


def _back(result: Result) -> str:
    years = result.payback_years[1]
    return "and is not paid back in the middle one" if years is None else f"paid back after {years:.1f} years"


def parts_of(study: Study) -> list[Part]:
    """The report in its order."""
    currency = study.assumptions.currency
    base = {result.way: result for result in study.results if result.scenario == "base"}
    rows = (HEAD, *(result_row(result, currency) for result in study.results))
    levers = tuple(
        (
            each.name,
            f"{each.low} / {each.high}",
            money(each.npv_low, currency),
            money(each.npv_high, currency),
        )
        for each in study.tornado
    )
    cash = [("managed charging", V1G, base["V1G"].fan), ("with V2G", V2G, base["V2G"].fan)]
    worth = [("managed charging", V1G, base["V1G"].histogram), ("with V2G", V2G, base["V2G"].histogram)]
    so_far = f"By year, {currency}: the middle future, and eight of ten around it."
    where = "How many futures come out where."
    meant = meanings()
    told = tuple(
        (name, value, meant.get(name) or meant[name.split(".")[0]]) for name, value in assumption_rows(study)
    )
    bars = [(each.name, each.npv_low, each.npv_high) for each in study.tornado]
    return [
        Part("In short", summary(study)),
        Part("Results", (), rows),
        Part("Cash so far", (so_far,), (), (fan("Cash so far by year", cash),)),
        Part("Net present value", (where,), (), (histogram("Net present value", worth),)),
        Part(
            "What moves it",
            ("Mean net present value of V2G with one assumption changed at a time.",),
            (("assumption", "changed by", "NPV low", "NPV high"), *levers),
            (tornado("What moves the net present value", base["V2G"].npv_mean, bars),),
        ),
        Part("The words", (), (("word", "what it means"), *WORDS), (), (0.3, 0.7)),
        Part("Assumptions", (), (("assumption", "value", "what it means"), *told), (), (0.25, 0.25, 0.5)),
    ]  # fmt: skip


def assumption_rows(study: Study) -> tuple[tuple[str, str], ...]:
    """Every assumption as the file names it, with its value."""
    rows: list[tuple[str, str]] = []
    for table, values in msgspec.to_builtins(study.assumptions).items():
        if isinstance(values, dict):
            # A file's name alone: the same study has the same bytes in whatever folder it lies.
            rows += [
                (f"{table}.{key}", _value(Path(value).name if key == "file" else value))
                for key, value in values.items()
            ]
        else:
            rows.append((table, _value(values)))
    return tuple(rows)


def meanings() -> dict[str, str]:
    """What each assumption means, as its struct documents it."""
    found = dict(_documented(Assumptions, ""))
    for field in msgspec.structs.fields(Assumptions):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found.update(_documented(field.type, f"{field.name}."))
    return found


def _documented(kind: type, prefix: str) -> Iterator[tuple[str, str]]:
    """The attributes of a docstring: (name, text)."""
    _, _, listed = (kind.__doc__ or "").partition("Attributes:")
    for line in " ".join(listed.split()).split(". "):
        name, _, text = line.partition(": ")
        if name.isidentifier():
            yield prefix + name, text.replace("``", "").rstrip(".")


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each:g}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"{each:g}" for each in value)
    if value is None or value == "":
        return "-"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def page(study: Study) -> str:
    """One HTML page without scripts or other files."""
    title = html.escape(f"{study.assumptions.name}: does it pay?")
    body = [f"<h1>{title}</h1>"]
    for part in parts_of(study):
        body.append(f"<h2>{html.escape(part.title)}</h2>")
        body += [f"<p>{html.escape(text)}</p>" for text in part.texts]
        body += [svg(chart) for chart in part.charts]
        body.append(_table(part))
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>"
    )


def _table(part: Part) -> str:
    if not part.rows:
        return ""
    head, *rows = part.rows
    columns = [f'<col style="width:{100.0 * share:.0f}%">' for share in part.shares]
    lines = [*columns, "<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    kind = ' class="told"' if part.shares else ""
    return f"<table{kind}>\n" + "\n".join(lines) + "\n</table>"
