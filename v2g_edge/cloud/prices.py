"""Day-ahead prices from a CSV of UTC hour and price per MWh, as ENTSO-E's and the market operators' exports give them."""

import csv
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from v2g_edge.model.plan import Price
from v2g_edge.model.settings import PriceSettings

MAX_LINES: Final = 200_000
"""Five years of quarter hours are 175,000 lines; a longer file is the wrong file."""

MAX_REPORTED: Final = 20
"""So many bad lines show what is wrong with a file."""

MAX_PER_MWH: Final = 100_000.0
"""The European market's own limits are −500 and 4,000 EUR/MWh (SDAC 2023), other currencies count up to 25 times more."""


class BadPrices(ValueError):  # noqa: N818 - names the file's fault
    """The file cannot serve; the message lists every bad line (the first ``MAX_REPORTED``) with what is allowed."""


class PriceFile:
    """The price file of the settings, and what it said when it last could be read. Without a file there are no prices."""

    def __init__(self, settings: PriceSettings) -> None:
        self._path = Path(settings.file) if settings.file else None
        self._year = settings.shift_to_year
        self._seen: tuple[int, int] | None = (0, 0)
        self.prices: tuple[Price, ...] = ()

    def is_changed(self) -> bool:
        """Whether the file is another one than at the last reading, come or gone."""
        return self._path is not None and self._signature() != self._seen

    def read(self) -> str:
        """Read it anew; what is wrong with it, "" when nothing is. Prices known before stay: they hold for their own hours."""
        if self._path is None:
            return ""
        self._seen = self._signature()
        try:
            self.prices = read_prices(self._path, shift_to_year=self._year)
        except BadPrices as fault:
            return str(fault)
        return ""

    def _signature(self) -> tuple[int, int] | None:
        assert self._path is not None  # noqa: S101 - both callers have seen that there is one
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size


def read_prices(path: Path, *, shift_to_year: int = 0) -> tuple[Price, ...]:
    """Prices per kWh, sorted by start. ``shift_to_year`` reads the file as if it were of that year (0: as it is).

    A 29 February that the other year does not have is left out. Raises ``BadPrices``.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            prices, faults = _parse(csv.reader(file), shift_to_year)
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise BadPrices(f"{path}: cannot be read: {fault}") from fault
    if faults:
        more = f"\n{path}: and {len(faults) - MAX_REPORTED} more" if len(faults) > MAX_REPORTED else ""
        raise BadPrices("\n".join(f"{path}:{number}: {text}" for number, text in faults[:MAX_REPORTED]) + more)
    if not prices:
        raise BadPrices(f"{path}: no prices; expected a header line, then lines of 'YYYY-MM-DD HH:MM:SS,price per MWh' in UTC")
    return tuple(prices)


def _parse(rows: Iterable[list[str]], year: int) -> tuple[list[Price], list[tuple[int, str]]]:
    prices: list[Price] = []
    faults: list[tuple[int, str]] = []
    for number, row in enumerate(rows, start=1):
        if number == 1 or not row:
            continue
        if number > MAX_LINES:
            faults.append((number, f"more than {MAX_LINES} lines"))
            break
        found = _price(row, year)
        if isinstance(found, str):
            faults.append((number, found))
        elif found is not None and prices and found.start_wall_s <= prices[-1].start_wall_s:
            faults.append((number, f"{row[0]} is not later than the line before"))
        elif found is not None:
            prices.append(found)
    return prices, faults


def _price(row: list[str], year: int) -> Price | str | None:
    """The price of one line, what is wrong with it, or None for a 29 February that does not exist."""
    expected = f"expected 'YYYY-MM-DD HH:MM:SS,price per MWh' in UTC, found {','.join(row)[:80]!r}"
    if len(row) < 2:
        return expected
    try:
        start, per_mwh = datetime.fromisoformat(row[0].strip()), float(row[1])
    except ValueError:
        return expected
    if not math.isfinite(per_mwh) or abs(per_mwh) > MAX_PER_MWH:
        return f"price {row[1]} is not within ±{MAX_PER_MWH:.0f} per MWh"
    start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
    if year:
        try:
            start = start.replace(year=year)
        except ValueError:
            return None
    return Price(start.timestamp(), per_mwh / 1_000.0)
