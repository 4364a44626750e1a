"""Charts as plain shapes, which a page draws as SVG and a PDF with its own lines."""

import html
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

WIDTH: Final = 640.0
HEIGHT: Final = 260.0
LEFT, RIGHT, TOP, BOTTOM = 70.0, 16.0, 26.0, 34.0
INK, SOFT, V1G, V2G, BAD = "#222222", "#bbbbbb", "#4477aa", "#228833", "#cc6677"
"""Colours that colour-blind readers tell apart (Tol's bright scheme)."""


class Shape(NamedTuple):
    """A line through ``points``, a filled area of them, or ``text`` at the first of them."""

    kind: Literal["line", "area", "text"]
    points: tuple[tuple[float, float], ...]
    colour: str = INK
    text: str = ""
    anchor: Literal["start", "middle", "end"] = "start"


class Chart(NamedTuple):
    """A title and its shapes, y downwards from the top left."""

    title: str
    shapes: tuple[Shape, ...]


def short(value: float) -> str:
    """A number of money, short."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


class _Scale:
    """From values to places."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._span = low, (high - low) or 1.0
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) / self._span * (self._end - self._start)


def _ticks(low: float, high: float) -> list[float]:
    span = (high - low) or 1.0
    power = 10.0 ** (len(f"{int(span / 4)}") - 1) if span >= 4 else 1.0
    step = next(size * power for size in (1, 2, 5, 10, 20) if span / (size * power) <= 6)
    first = int(low // step) + (1 if low % step else 0)
    return [n * step for n in range(first, int(high // step) + 1)]


def _axes(x: _Scale, y: _Scale, ticks: Sequence[tuple[float, str]], levels: Sequence[float]) -> list[Shape]:
    right = WIDTH - RIGHT
    shapes = [Shape("line", ((LEFT, y(level)), (right, y(level))), SOFT) for level in levels]
    shapes += [Shape("text", ((LEFT - 6, y(level) + 4),), INK, short(level), "end") for level in levels]
    return shapes + _below(x, ticks)


def _below(x: _Scale, ticks: Sequence[tuple[float, str]]) -> list[Shape]:
    return [Shape("text", ((x(value), HEIGHT - BOTTOM + 18),), INK, text, "middle") for value, text in ticks]


def fan(title: str, bands: Sequence[tuple[str, str, list[list[float]]]]) -> Chart:
    """Cash so far by year: the middle future as a line, P10 to P90 as an area. (name, colour, rows)."""
    values = [value for _, _, rows in bands for row in rows for value in row]
    low, high = min(values), max(*values, 0.0)
    years = len(bands[0][2][0]) - 1
    x, y = _Scale(0, years, LEFT, WIDTH - RIGHT), _Scale(low, high, HEIGHT - BOTTOM, TOP)
    shapes = _axes(x, y, [(n, str(n)) for n in range(years + 1)], _ticks(low, high))
    for place, (name, colour, (lower, middle, upper)) in enumerate(bands):
        outline = [(x(n), y(value)) for n, value in enumerate(upper)]
        outline += [(x(n), y(value)) for n, value in reversed(list(enumerate(lower)))]
        shapes.append(Shape("area", tuple(outline), colour))
        shapes.append(Shape("line", tuple((x(n), y(value)) for n, value in enumerate(middle)), colour))
        shapes.append(Shape("text", ((LEFT + 8 + 170 * place, TOP - 10),), colour, name))
    return Chart(title, tuple(shapes))


def histogram(title: str, series: Sequence[tuple[str, str, list[tuple[float, float]]]]) -> Chart:
    """Shares of futures by value. (name, colour, (edge, share) rows)."""
    edges = [edge for _, _, rows in series for edge, _ in rows]
    low, high = min(*edges, 0.0), max(*edges, 0.0)
    most = max(share for _, _, rows in series for _, share in rows)
    x, y = _Scale(low, high, LEFT, WIDTH - RIGHT), _Scale(0.0, most, HEIGHT - BOTTOM, TOP)
    shapes = _below(x, [(tick, short(tick)) for tick in _ticks(low, high)])
    for place, (name, colour, rows) in enumerate(series):
        width = rows[1][0] - rows[0][0] if len(rows) > 1 else 1.0
        outline = [(x(rows[0][0]), y(0.0))]
        for edge, share in rows:
            outline += [(x(edge), y(share)), (x(edge + width), y(share))]
        outline.append((x(rows[-1][0] + width), y(0.0)))
        shapes += [Shape("area", tuple(outline), colour), Shape("line", tuple(outline), colour)]
        shapes.append(Shape("text", ((LEFT + 8 + 170 * place, TOP - 10),), colour, name))
    shapes.append(Shape("line", ((x(0.0), y(0.0)), (x(0.0), TOP)), INK))
    return Chart(title, tuple(shapes))


def tornado(title: str, base: float, levers: Sequence[tuple[str, float, float]]) -> Chart:
    """Bars about the base. (name, with the assumption low, with it high)."""
    values = [value for _, low, high in levers for value in (low, high)] + [base]
    left = 190.0
    x = _Scale(min(values), max(values), left, WIDTH - RIGHT)
    row = (HEIGHT - TOP - BOTTOM) / max(len(levers), 1)
    shapes = []
    for place, (name, low, high) in enumerate(levers):
        top, bottom = TOP + place * row + 3, TOP + (place + 1) * row - 3
        for value, colour in ((low, BAD), (high, V2G)):
            corners = ((x(base), top), (x(value), top), (x(value), bottom), (x(base), bottom))
            shapes.append(Shape("area", corners, colour))
        shapes.append(Shape("text", ((left - 8, (top + bottom) / 2 + 4),), INK, name, "end"))
    shapes += _below(x, [(tick, short(tick)) for tick in _ticks(min(values), max(values))])
    shapes.append(Shape("line", ((x(base), TOP), (x(base), HEIGHT - BOTTOM)), INK))
    return Chart(title, tuple(shapes))


def svg(chart: Chart) -> str:
    """The chart as an SVG element with its title for readers that do not see."""
    title = html.escape(chart.title)
    parts = [
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{title}"'
        ' xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
    ]
    for shape in chart.shapes:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        if shape.kind == "line":
            style = f'fill="none" stroke="{shape.colour}" stroke-width="1.5"'
            parts.append(f'<polyline points="{points}" {style}/>')
        elif shape.kind == "area":
            parts.append(f'<polygon points="{points}" fill="{shape.colour}" fill-opacity="0.25"/>')
        else:
            (x, y), text = shape.points[0], html.escape(shape.text)
            place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{shape.anchor}"'
            parts.append(f'<text {place} fill="{shape.colour}">{text}</text>')
    return "\n".join([*parts, "</svg>"])
