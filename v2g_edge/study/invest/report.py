"""The report of a study: what it says in words, its tables and its charts, for every form of output."""

import html
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from v2g_edge.study.invest.chart import V1G, V2G, Chart, fan, histogram, svg, tornado
from v2g_edge.study.invest.study import Result, Study

STYLE: Final = (
    "body{font:15px/1.45 sans-serif;max-width:48em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    "svg{width:100%;height:auto}"
    "@media print{body{margin:0;font-size:12px}h2{break-after:avoid}svg{break-inside:avoid}}"
)
HEAD: Final = (
    "scenario", "against doing nothing", "NPV P10", "NPV P50", "NPV P90", "above 0", "IRR P50", "payback P50",
)  # fmt: skip


class Part(NamedTuple):
    """A heading with paragraphs, then a table, then charts."""

    title: str
    texts: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    charts: tuple[Chart, ...] = ()


def money(value: float, currency: str) -> str:
    """Whole units, thousands apart."""
    return f"{value:,.0f} {currency}".replace(",", " ")


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
        f"{fleet.vehicles} vehicles, {found.years} years, {found.discount_pct:g} % interest, {found.paths}"
        " futures.",
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
        Part("Assumptions", (), (("assumption", "", "value"), *assumption_rows(study))),
    ]  # fmt: skip


def assumption_rows(study: Study) -> tuple[tuple[str, ...], ...]:
    """Every assumption with its value."""
    rows: list[tuple[str, ...]] = []
    for table, values in msgspec.to_builtins(study.assumptions).items():
        if isinstance(values, dict):
            rows += [(table, key, _value(value)) for key, value in values.items()]
        else:
            rows.append(("", table, _value(values)))
    return tuple(rows)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each:g}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"{each:g}" for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def page(study: Study) -> str:
    """One HTML page without scripts or other files."""
    title = html.escape(f"{study.assumptions.name}: does it pay?")
    body = [f"<h1>{title}</h1>"]
    for part in parts_of(study):
        body.append(f"<h2>{html.escape(part.title)}</h2>")
        body += [f"<p>{html.escape(text)}</p>" for text in part.texts]
        body += [svg(chart) for chart in part.charts]
        body.append(_table(part.rows))
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>"
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0]) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]]
    return "<table>\n" + "\n".join(lines) + "\n</table>"
