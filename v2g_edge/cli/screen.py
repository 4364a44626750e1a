"""How values look on a terminal. A value that is not known is a dash, never 0."""

import os
import sys
import textwrap
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WIDTH: Final = 80
RED: Final = "31;1"
YELLOW: Final = "33"
DIM: Final = "2"
"""SGR codes (ECMA-48). The words say the same without them."""


def kilowatts(watts: Any) -> str:
    """W as kW with a sign, since + is into the vehicle."""
    return "-" if watts is None else f"{watts / 1000.0:+.1f}"


def number(value: Any, decimals: int = 0) -> str:
    """Any other number."""
    return "-" if value is None else f"{value:.{decimals}f}"


def local_time(wall_s: Any, form: str = "%H:%M", zone: str = "") -> str:
    """UTC epoch seconds in the site's time zone, or where none is given in the terminal's own."""
    if wall_s is None:
        return "-"
    try:
        return (
            datetime.fromtimestamp(wall_s, tz=UTC).astimezone(ZoneInfo(zone) if zone else None).strftime(form)
        )
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError):
        return "-"


def with_times(value: Any, zone: str) -> Any:
    """A JSON value with an ISO 8601 time beside every ``…_wall_s``, under the same name without the
    ending.
    """
    if isinstance(value, list | tuple):
        return [with_times(each, zone) for each in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, each in value.items():
        result[key] = with_times(each, zone)
        if key.endswith("wall_s") and (each is None or isinstance(each, int | float)):
            name = key.removesuffix("wall_s").rstrip("_") or "time"
            stamp = local_time(each, "%Y-%m-%dT%H:%M:%S%z", zone)
            result[name] = None if stamp == "-" else f"{stamp[:-2]}:{stamp[-2:]}"
    return result


def coloured(text: str, code: str) -> str:
    """In colour, where the output is a terminal and NO_COLOR is not set."""
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """A paragraph of 80 columns."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(head: tuple[str, ...], rows: list[tuple[str, ...]], left: frozenset[int]) -> list[str]:
    """Columns as wide as their widest cell; ``left`` are the ones of text."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return [line(head), *map(line, rows)]
