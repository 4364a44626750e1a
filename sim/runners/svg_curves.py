"""Courses over the night as a picture: SVG, with nothing but text."""

import math
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 960
HEIGHT: Final = 260
LEFT: Final = 60
TOP: Final = 30
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


def lines(title: str, hours: list[float], courses: dict[str, list[float]], limits: dict[str, float]) -> str:
    """One panel: ``courses`` by name over hours after the beginning, ``limits`` as dashed lines."""
    values = [value for course in courses.values() for value in course if not math.isnan(value)] + list(
        limits.values()
    )
    low, high = min([0.0, *values]), max([1.0, *values])

    def x(hour: float) -> float:
        return LEFT + hour / max(hours[-1], 1.0) * (WIDTH - LEFT - 10)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - 30)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"'
        ' font-size="12">'
    ]
    parts.append(f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>')
    for value in (low, 0.0, high):
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.0f}" text-anchor="end">{value:.0f}</text>')
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
        )
    parts += [
        f'<text x="{x(hour):.0f}" y="{HEIGHT - 8}" text-anchor="middle">+{hour} h</text>'
        for hour in range(0, int(hours[-1]) + 1, 2)
    ]
    for name, value in limits.items():
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#c00"'
            f' stroke-dasharray="6 4"><title>{escape(name)}</title></line>'
        )
    for n, (name, course) in enumerate(courses.items()):
        points = " ".join(
            f"{x(hour):.1f},{y(value):.1f}"
            for hour, value in zip(hours, course, strict=True)
            if not math.isnan(value)
        )
        colour = COLOURS[n % len(COLOURS)]
        parts.append(
            f'<polyline points="{points}" fill="none"'
            f' stroke="{colour}"><title>{escape(name)}</title></polyline>'
        )
    return "".join([*parts, "</svg>"])
