"""Carbon of what was charged and given, by interval: with average factors, as a location-based inventory
takes them, and with marginal ones, as an avoided-emissions statement does. The two are never added.
"""

import csv
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from v2g_edge.study.ledger.lines import INTERVAL_S, Line

COLUMNS: Final = ("start", "average_g_per_kwh", "marginal_g_per_kwh")
MOST_G: Final = 3_000.0
"""Lignite at the wall is about 1,200 g/kWh; more than this is another unit."""
LONGEST_S: Final = 3_600.0
"""A factor stands until the next one, for an hour at most."""


class CarbonError(Exception):
    """The file cannot be used; the message names it and the line."""


class Factor(Struct, frozen=True):
    """g/kWh from ``start_wall_s`` until ``end_wall_s``; None where a kind is not given."""

    start_wall_s: float
    end_wall_s: float
    average: float | None
    marginal: float | None


class Carbon(Struct):
    """kg of CO2 by one kind of factor.

    Attributes:
        charged_kg: Caused by what was charged.
        given_kg: Taken off the grid's by what was given.
        covered_kwh: Energy for which there was a factor.
        missing_kwh: Energy for which there was none; it counts in neither.
    """

    charged_kg: float = 0.0
    given_kg: float = 0.0
    covered_kwh: float = 0.0
    missing_kwh: float = 0.0

    @property
    def net_kg(self) -> float:
        """Caused less taken off."""
        return self.charged_kg - self.given_kg


def read_factors(path: Path) -> list[Factor]:
    """Factors of a CSV. Raises ``CarbonError``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CarbonError(f"{path}: cannot be read ({error})") from error
    if not rows or "start" not in rows[0] or not rows[0].keys() & set(COLUMNS[1:]):
        raise CarbonError(
            f"{path}: no factors; expected a CSV with {', '.join(COLUMNS)} (one of the last two)"
        )
    parsed = [_parsed(path, number, row) for number, row in enumerate(rows, start=2)]
    parsed.sort(key=lambda each: each[0])
    found = []
    for n, (start, average, marginal) in enumerate(parsed):
        following = parsed[n + 1][0] if n + 1 < len(parsed) else start + LONGEST_S
        if following == start:
            raise CarbonError(f"{path}: two rows for {datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%MZ}")
        found.append(Factor(start, min(following, start + LONGEST_S), average, marginal))
    return found


def _parsed(path: Path, number: int, row: dict[str, str]) -> tuple[float, float | None, float | None]:
    try:
        moment = datetime.fromisoformat(row["start"])
        values = [float(row[name]) if row.get(name) else None for name in COLUMNS[1:]]
    except (ValueError, TypeError) as error:
        raise CarbonError(f"{path}:{number}: {error}") from error
    if moment.tzinfo is None:
        raise CarbonError(
            f"{path}:{number}: start {row['start']!r} has no time zone; write 2026-01-31T00:00Z"
        )
    for value in values:
        if value is not None and not (math.isfinite(value) and 0.0 <= value <= MOST_G):
            raise CarbonError(f"{path}:{number}: {value:g} g/kWh; allowed are 0 to {MOST_G:g}")
    return moment.timestamp(), values[0], values[1]


def carbon_of(lines: Iterable[Line], factors: list[Factor]) -> dict[str, Carbon]:
    """ "average" and "marginal", for the lines of outlets."""
    table = {
        "average": _by_interval(factors, "average"),
        "marginal": _by_interval(factors, "marginal"),
    }
    found = {name: Carbon() for name, values in table.items() if values}
    for line in lines:
        for name, carbon in found.items():
            factor = table[name].get(line.start_wall_s)
            kwh = (line.in_wh + line.out_wh) / 1e3
            if factor is None:
                carbon.missing_kwh += kwh
                continue
            carbon.covered_kwh += kwh
            carbon.charged_kg += line.in_wh * factor / 1e6
            carbon.given_kg += line.out_wh * factor / 1e6
    return found


def _by_interval(factors: list[Factor], kind: str) -> dict[float, float]:
    """Mean factor of each interval that is wholly covered."""
    parts: dict[float, list[float]] = {}
    for factor in factors:
        value = getattr(factor, kind)
        if value is None:
            continue
        start = factor.start_wall_s - factor.start_wall_s % INTERVAL_S
        while start < factor.end_wall_s:
            share_s = min(start + INTERVAL_S, factor.end_wall_s) - max(start, factor.start_wall_s)
            part = parts.setdefault(start, [0.0, 0.0])
            part[0] += share_s
            part[1] += share_s * value
            start += INTERVAL_S
    return {start: part[1] / part[0] for start, part in parts.items() if part[0] >= INTERVAL_S - 1e-6}
