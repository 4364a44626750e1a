"""Carbon of what was charged and given, by interval: with average factors, as a location-based inventory
takes them, and with marginal ones, as an avoided-emissions statement does. The two are never added.
"""

import csv
import io
import json
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
Row = tuple[float, float | None, float | None]
"""Start, average, marginal."""


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
    """Factors of a file. Raises ``CarbonError``."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CarbonError(f"{path}: cannot be read ({error})") from error
    return factors_of(text, str(path))


def factors_of(text: str, name: str) -> list[Factor]:
    """Factors as a CSV, or average ones as the JSON of Energy-Charts (``co2eq``) or of the British Carbon
    Intensity API. ``name`` is the file or address, for the errors. Raises ``CarbonError``.
    """
    if text.lstrip().startswith("{"):
        parsed = _from_json(text, name)
    else:
        try:
            rows = list(csv.DictReader(io.StringIO(text)))
        except csv.Error as error:  # no ValueError: a field without end
            raise CarbonError(f"{name}: no CSV that can be read ({error})") from error
        if not rows or "start" not in rows[0] or not rows[0].keys() & set(COLUMNS[1:]):
            raise CarbonError(
                f"{name}: no factors; expected a CSV with {', '.join(COLUMNS)} (one of the last two)"
            )
        parsed = [_parsed(name, number, row) for number, row in enumerate(rows, start=2)]
    parsed.sort(key=lambda each: each[0])
    found = []
    for n, (start, average, marginal) in enumerate(parsed):
        following = parsed[n + 1][0] if n + 1 < len(parsed) else start + LONGEST_S
        if following == start:
            raise CarbonError(f"{name}: two rows for {datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%MZ}")
        found.append(Factor(start, min(following, start + LONGEST_S), average, marginal))
    return found


def _from_json(text: str, name: str) -> list[Row]:
    """Rows of a service's answer; what it has no number for is left out."""
    try:
        told = json.loads(text)
        if "unix_seconds" in told:
            pairs = zip(told["unix_seconds"], told["co2eq"], strict=True)
            rows = [(float(at_s), value) for at_s, value in pairs]
        else:
            parts = [(each["from"], each["intensity"]) for each in told["data"]]
            rows = [
                (
                    datetime.fromisoformat(start).timestamp(),
                    each["forecast"] if each.get("actual") is None else each["actual"],
                )
                for start, each in parts
            ]
        found: list[Row] = [(at_s, float(value), None) for at_s, value in rows if value is not None]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        forms = "the JSON of Energy-Charts (co2eq) or of the Carbon Intensity API"
        raise CarbonError(f"{name}: {type(error).__name__} {error}; expected {forms}") from error
    for _, value, _ in found:
        _in_range(value, name)
    return found


def _in_range(value: float | None, place: str) -> None:
    if value is not None and not (math.isfinite(value) and 0.0 <= value <= MOST_G):
        raise CarbonError(f"{place}: {value:g} g/kWh; allowed are 0 to {MOST_G:g}")


def _parsed(path: str, number: int, row: dict[str, str]) -> Row:
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
        _in_range(value, f"{path}:{number}")
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
