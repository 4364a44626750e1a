"""``v2g-edge anomalies``: what is unlike the season, with evidence, severity and what to do."""

import argparse
import json
from typing import Any, Final
from zoneinfo import ZoneInfo

from v2g_edge.cli.outcome import DONE, FAILED
from v2g_edge.cli.screen import wrapped
from v2g_edge.cli.study.sources import add_sources, hand_out, ledger, midnight, plain, span, study
from v2g_edge.study.insight.anomalies import LEAST_DAYS, Anomaly, anomalies_of
from v2g_edge.study.insight.features import cut_days, local_day, outlet_values, stay_values
from v2g_edge.study.insight.kpi import stays_of
from v2g_edge.study.insight.playbook import PLAYBOOK
from v2g_edge.study.ledger.statement import missing_of

PAGE: Final = "docs/energy-manager.md#anomalies"
DAY_S: Final = 86_400.0


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = study(subparsers, "anomalies", "what is unlike the season, with evidence and what to do")
    add_sources(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: nothing of severity alarm; 1: something is."""
    with ledger(arguments) as store:
        from_s, until_s = span(arguments, store)
        zone, outlets = ZoneInfo(store.site.timezone), set(store.site.outlets)
        lines = [line for line in store.lines(from_s, until_s) if line.meter in outlets]
        stays, remarks = stays_of(store, from_s, until_s), store.remarks(from_s, until_s)
        first_s, last_s = (midnight(local_day(at_s, zone), zone) for at_s in (from_s, until_s + DAY_S))
        cut = cut_days(missing_of(store, remarks, first_s, last_s), zone)
        values = outlet_values(lines, outlets, zone, cut) + stay_values(stays, zone)
        ratings_kw = {outlet: in_w / 1e3 for outlet, in_w, *_ in store.site.ratings}
        found = anomalies_of(values, stays, remarks, store.accounts().values(), zone, ratings_kw)
    short = (until_s - from_s) / DAY_S < LEAST_DAYS + 1
    hand_out(_json(found) if arguments.format == "json" else _text(found, short=short), arguments)
    return FAILED if any(each.severity == "alarm" for each in found) else DONE


def _text(found: list[Anomaly], *, short: bool) -> str:
    lines: list[str] = []
    for each in found:
        days = f" ({each.days} days)" if each.days > 1 else ""
        lines += wrapped(
            f"{each.day}{days} {each.severity} {each.subject} {each.kind}: {each.evidence}", "", "  "
        )
        means, act = PLAYBOOK[each.kind]
        lines += wrapped(f"mostly {means}; {act}", "    ", "    ")
    lines = lines or ["nothing is unlike the season"]
    if short:
        lines += wrapped(
            f"fewer than {LEAST_DAYS + 1} days: there is no baseline to compare with", "! ", "  "
        )
    return "\n".join(lines)


def _json(found: list[Anomaly]) -> str:
    rows = [{**plain(each), "day": str(each.day), "playbook": f"{PAGE} {each.kind}"} for each in found]
    return json.dumps(rows, indent=2)
