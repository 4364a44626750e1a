"""How values look on a terminal. A value that is not known is a dash, never 0."""

from datetime import UTC, datetime
from typing import Any


def kilowatts(watts: Any) -> str:
    """W as kW with a sign, since + is into the vehicle."""
    return "-" if watts is None else f"{watts / 1000.0:+.1f}"


def number(value: Any, decimals: int = 0) -> str:
    """Any other number."""
    return "-" if value is None else f"{value:.{decimals}f}"


def local_time(wall_s: Any, form: str = "%H:%M") -> str:
    """UTC epoch seconds in the terminal's own time zone."""
    return "-" if wall_s is None else datetime.fromtimestamp(wall_s, tz=UTC).astimezone().strftime(form)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]], left: frozenset[int]) -> list[str]:
    """Columns as wide as their widest cell; ``left`` are the ones of text."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return [line(head), *map(line, rows)]
