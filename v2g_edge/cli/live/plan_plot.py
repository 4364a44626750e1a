"""A day plan as a picture: SVG, with nothing but text."""

import math
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from v2g_edge.planner.report import Report

WIDTH: Final = 960
LEFT: Final = 60
RIGHT: Final = 20
PANELS: Final = (
    (40, 150, "price per kWh"),
    (230, 210, "kW at the connection"),
    (480, 180, "state of charge, %"),
)
"""Top, height and title of each panel."""
HEIGHT: Final = 710
COLOURS: Final = (
    "#4269d0",
    "#efb118",
    "#ff725c",
    "#6cc5b0",
    "#3ca951",
    "#ff8ab7",
    "#a463f2",
    "#97bbf5",
    "#9c6b4e",
    "#9498a0",
)


def _round_values(low: float, high: float) -> list[float]:
    """Four to eight round numbers within a span."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4.0))
    step *= next(times for times in (1.0, 2.0, 2.5, 5.0, 10.0) if (high - low) / (step * times) <= 6.0)
    first = math.ceil(low / step - 1e-9)
    return [step * k + 0.0 for k in range(first, math.floor(high / step + 1e-9) + 1)]


class _Panel:
    """Values to pixels."""

    def __init__(self, place: int, edges: tuple[float, ...], values: list[float]) -> None:
        self.top, self.height, self.title = PANELS[place]
        self.edges = edges
        low, high = min([0.0, *values]), max([0.0, *values])
        self.low, self.high = low, high if high > low else low + 1.0

    def x(self, wall_s: float) -> float:
        return LEFT + (wall_s - self.edges[0]) / (self.edges[-1] - self.edges[0]) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return self.top + self.height * (1.0 - (value - self.low) / (self.high - self.low))

    def frame(self) -> list[str]:
        parts = [f'<text x="{LEFT}" y="{self.top - 8}" font-weight="bold">{escape(self.title)}</text>']
        for value in _round_values(self.low, self.high):
            y = self.y(value)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
        zero = self.y(0.0)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="#666"/>'
        )
        return parts

    def steps(self, values: tuple[float, ...], colour: str) -> str:
        points = " ".join(
            f"{self.x(edge):.1f},{self.y(value):.1f}"
            for start, end, value in zip(self.edges, self.edges[1:], values, strict=False)
            for edge in (start, end)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    def line(self, values: tuple[float, ...], colour: str) -> str:
        points = " ".join(
            f"{self.x(edge):.1f},{self.y(value):.1f}" for edge, value in zip(self.edges, values, strict=False)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>'

    def bars(self, values: list[float], colour: str, base: list[float]) -> list[str]:
        return [
            f'<rect x="{self.x(start):.1f}" width="{max(self.x(end) - self.x(start), 0.5):.1f}"'
            f' y="{min(self.y(low), self.y(low + value)):.1f}"'
            f' height="{abs(self.y(low) - self.y(low + value)):.1f}" fill="{colour}" fill-opacity="0.75"/>'
            for start, end, value, low in zip(self.edges, self.edges[1:], values, base, strict=False)
            if abs(value) > 1e-6
        ]


def plan_svg(plan: dict[str, Any], report: Report, zone: ZoneInfo | None, name: str) -> str:
    """Price, power and the state of charge of every vehicle, over local time."""
    edges = report.edges
    powers = [[watts / 1e3 for _, watts in slot["evse_w"]] for slot in plan["slots"]]
    charge, export = (
        [sum(w for w in row if w > 0.0) for row in powers],
        [sum(w for w in row if w < 0.0) for row in powers],
    )
    base = list(report.base_kw)
    tops = [low + value for low, value in zip(base, charge, strict=True)]
    price = _Panel(0, edges, [*report.buy, *report.sell])
    power = _Panel(1, edges, [*tops, *export, *report.site_kw])
    soc = _Panel(2, edges, [0.0, 100.0])
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
            ' font-size="11">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        (
            f'<text x="{LEFT}" y="18" font-size="14">{escape(name)}: plan by {escape(report.solver)}, '
            f"expected cost {report.money.total:.2f}</text>"
        ),
        *price.frame(),
        price.steps(report.buy, COLOURS[0]),
        price.steps(report.sell, COLOURS[1]),
        *_legend(price.top, (("buying", COLOURS[0]), ("selling", COLOURS[1]))),
        *power.frame(),
        *power.bars(base, COLOURS[9], [0.0] * len(base)),
        *power.bars(charge, COLOURS[0], base),
        *power.bars(export, COLOURS[1], [0.0] * len(base)),
        power.steps(report.site_kw, "#222"),
        *_legend(
            power.top,
            (
                ("building", COLOURS[9]),
                ("charging", COLOURS[0]),
                ("discharging", COLOURS[1]),
                ("connection", "#222"),
            ),
        ),
        *soc.frame(),
        *(
            soc.line((each.soc_now_pct, *each.soc_pct), COLOURS[n % 10])
            for n, each in enumerate(report.vehicles)
            if each.soc_pct
        ),
        *_hours(edges, soc, zone),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(top: int, entries: tuple[tuple[str, str], ...]) -> list[str]:
    parts = []
    for place, (text, colour) in enumerate(entries):
        x = WIDTH - RIGHT - 100 * (len(entries) - place)
        parts.append(f'<rect x="{x}" y="{top - 16}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="{top - 7}">{escape(text)}</text>')
    return parts


def _hours(edges: tuple[float, ...], panel: _Panel, zone: ZoneInfo | None) -> list[str]:
    step = 3_600.0 * max(round((edges[-1] - edges[0]) / 3_600.0 / 14), 1)
    parts, hour = [], edges[0] - edges[0] % step + step
    while hour <= edges[-1]:
        x, text = panel.x(hour), datetime.fromtimestamp(hour, UTC).astimezone(zone).strftime("%a %H:%M")
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{PANELS[0][0]}" y2="{panel.top + panel.height}"'
            ' stroke="#eee"/>'
        )
        parts.append(
            f'<text x="{x:.1f}" y="{panel.top + panel.height + 16}" text-anchor="middle">{text}</text>'
        )
        hour += step
    return parts
