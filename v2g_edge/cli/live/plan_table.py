"""A day plan on a terminal of 80 columns: money, vehicles, what binds, and the depot's power hour by hour."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from v2g_edge.cli.screen import number, table, wrapped
from v2g_edge.planner.report import Report

WIDTH: Final = 80
MOST_PRICES: Final = 8
"""So many limits that bind are listed, dearest first; all of them are in the JSON."""
BAR: Final = 24


def plan_lines(plan: dict[str, Any] | None, report: Report | None, zone: ZoneInfo | None) -> list[str]:
    """The whole page. ``zone`` None: the terminal's own."""
    if plan is None:
        return ["no plan: vehicles are charged for their departures, nothing is sold"]

    def clock(wall_s: float | None, form: str = "%a %H:%M") -> str:
        return "-" if wall_s is None else datetime.fromtimestamp(wall_s, UTC).astimezone(zone).strftime(form)

    source = f"by {report.solver}" if report is not None else f"from the {plan['source']}"
    lines = [f"plan {source}, made {clock(plan['issued_wall_s'])}, until {clock(plan['valid_until_wall_s'])}"]
    if report is None or not report.edges:
        lines += wrapped(f"why: {report.why}", "", "  ") if report is not None and report.why else []
        return lines + _slots(plan, clock)
    if report.why:
        lines += wrapped(f"why not the optimiser: {report.why}", "", "  ")
    money = report.money
    parts = (
        ("energy", money.energy),
        ("export", money.export),
        ("wear", money.wear),
        ("demand charge", money.peaks),
    )
    said = ", ".join(f"{name} {value:.2f}" for name, value in parts)
    lines += wrapped(f"expected cost {money.total:.2f}: {said}", "", "  ")
    lines += [f"reserved for {name}: {kw:.1f} kW" for name, kw in report.reserved]
    lines += [
        f"held below {each['target_w'] / 1e3:.1f} kW in each {each['window_s'] / 60.0:g} min: {each['name']}"
        for each in plan.get("peaks", ())
    ]
    if report.base_error_kw is not None:
        lines.append(f"the building's forecast was off by {report.base_error_kw:.1f} kW in the last week")
    lines += ["", *_vehicles(report, clock)]
    if report.prices:
        lines += ["", "what binds, and what one more kW (one kWh less, of a departure) is worth"]
        for price in report.prices[:MOST_PRICES]:
            span = f"{clock(price.from_wall_s)}-{clock(price.until_wall_s, '%H:%M')}"
            lines.append(f"  {price.kind + ' ' + price.name:<30.30}  {span:<16}  {price.worth:8.3f}")
    lines += ["", *_hours(report, clock)]
    for text in report.warnings:
        lines += wrapped(text, "! ", "  ")
    return lines


def _vehicles(report: Report, clock: Callable[..., str]) -> list[str]:
    head = ("outlet", "now %", "ready", "with %", "due by", "in kWh", "out kWh", "last kWh")
    rows: list[tuple[str, ...]] = []
    for each in report.vehicles:
        met = "never" if each.lacks_kwh > 0.05 else clock(each.ready_wall_s)
        rows.append(
            (
                each.evse[:16],
                number(each.soc_now_pct) if each.soc_pct else "-",
                met,
                number(each.leaves_with_pct) if each.soc_pct else "-",
                clock(each.leaves_wall_s),
                number(each.charged_kwh, 1),
                number(each.exported_kwh, 1),
                number(each.promise_per_kwh, 3),
            )
        )
    return table(head, rows, frozenset({0}))


def _hours(report: Report, clock: Callable[..., str]) -> list[str]:
    """One line an hour: the connection's mean power, the price, a bar to the right for import and to the
    left for export.
    """
    buckets: dict[int, list[tuple[float, float, float]]] = {}
    for slot, (start, end) in enumerate(zip(report.edges, report.edges[1:], strict=False)):
        buckets.setdefault(int(start // 3_600), []).append(
            (end - start, report.site_kw[slot], report.buy[slot])
        )
    rows = []
    for hour, parts in sorted(buckets.items()):
        seconds = sum(part[0] for part in parts)
        mean = [sum(part[0] * part[k] for part in parts) / seconds for k in (1, 2)]
        rows.append((hour * 3_600.0, mean[0], mean[1]))
    most = max((abs(kw) for _, kw, _ in rows), default=1.0) or 1.0
    lines = [f"{'hour':<10}{'kW':>8}{'price':>9}   {'export':>{BAR // 2}}|import"]
    for start, kw, price in rows:
        length = round(abs(kw) / most * (BAR if kw > 0.0 else BAR // 2))
        left, right = ("" if kw > 0.0 else "<" * length), (">" * length if kw > 0.0 else "")
        lines.append(f"{clock(start):<10}{kw:>8.1f}{price:>9.4f}   {left:>{BAR // 2}}|{right}".rstrip())
    return lines


def _slots(plan: dict[str, Any], clock: Callable[..., str]) -> list[str]:
    """A plan without a report, slot by slot: the cloud's, or the plain rule's."""
    lines = []
    for slot in plan["slots"]:
        parts = [f"{evse} {watts / 1e3:+.1f}" for evse, watts in slot["evse_w"]]
        if slot["site_w"] is not None:
            parts.append(f"{'others' if parts else 'site'} {slot['site_w'] / 1e3:+.1f}")
        span = f"  {clock(slot['start_wall_s'], '%H:%M')}-{clock(slot['end_wall_s'], '%H:%M')}  kW:"
        lines += _wrapped(span, parts or ["none"])
    return lines


def _wrapped(head: str, parts: list[str]) -> list[str]:
    lines, line = [], head
    for place, part in enumerate(parts):
        text = f" {part}{',' if place + 1 < len(parts) else ''}"
        if len(line) + len(text) > WIDTH and line != head:
            lines.append(line)
            line = " " * len(head)
        line += text
    return [*lines, line]
