"""Rows of prices: made from what a source says, checked, put in order, and described in a line."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Final

from v2g_edge.model.plan import PriceRow

ROWS_MAX: Final = 200_000
"""Five years of quarter hours are 175,000 rows; a longer file is the wrong file."""

TIME_MAX_S: Final = 7_258_118_400.0
"""The year 2200: a later time is in another unit, and from the year 10000 on it cannot be written."""

MAX_PER_KWH: Final = 100.0
"""The European market's own limits are −0.5 and 4 EUR/kWh (SDAC 2023); other currencies count up to 25
times more.
"""

PER_KWH: Final = {"MWh": 0.001, "kWh": 1.0}
"""Factor from a price per unit of energy to a price per kWh."""


class BadPrices(ValueError):  # noqa: N818 - names the fault of a file or a feed
    """The source cannot serve; the message names the place, what was found, and what is allowed."""


def row(
    start_wall_s: float, end_wall_s: float, price: float, unit: str, currency: str, source: str, **more: float
) -> PriceRow:
    """One row from a price per ``unit`` of energy ("MWh" or "kWh"). Raises ``BadPrices`` for an impossible
    one.
    """
    if unit not in PER_KWH:
        raise BadPrices(f"unit {unit!r} is not known; allowed: MWh, kWh")
    per_kwh = price * PER_KWH[unit]
    if not math.isfinite(per_kwh) or abs(per_kwh) > MAX_PER_KWH:
        raise BadPrices(f"price {price:g} per {unit} is not within ±{MAX_PER_KWH:g} per kWh")
    for wall_s in (start_wall_s, end_wall_s):
        if not 0.0 <= wall_s <= TIME_MAX_S:
            raise BadPrices(f"a time of {wall_s:g} s since 1970; is it in milliseconds?")
    if not start_wall_s < end_wall_s:
        raise BadPrices(f"an interval ends at {_text(end_wall_s)}, before it begins at {_text(start_wall_s)}")
    published_wall_s, revision = more.get("published_wall_s", 0.0), int(more.get("revision", 0))
    return PriceRow(start_wall_s, end_wall_s, per_kwh, currency, source, published_wall_s, revision)


def in_order(rows: Iterable[PriceRow]) -> tuple[PriceRow, ...]:
    """The rows by time. Of two for the same interval the later revision counts, then the later publication.

    Raises ``BadPrices`` where rows overlap without being the same interval, or are of two currencies.
    """
    newest: dict[float, PriceRow] = {}
    for each in rows:
        old = newest.get(each.start_wall_s)
        if old is None or (each.revision, each.published_wall_s) >= (old.revision, old.published_wall_s):
            newest[each.start_wall_s] = each
    ordered = tuple(newest[start] for start in sorted(newest))
    for before, after in pairwise(ordered):
        if after.start_wall_s < before.end_wall_s:
            text = f"{_text(before.start_wall_s)} to {_text(before.end_wall_s)}"
            raise BadPrices(f"the interval {text} overlaps the one from {_text(after.start_wall_s)}")
    currencies = {each.currency for each in ordered if each.currency}
    if len(currencies) > 1:
        raise BadPrices(f"two currencies in one source: {', '.join(sorted(currencies))}; give one")
    return ordered


def holes(rows: tuple[PriceRow, ...]) -> tuple[tuple[float, float], ...]:
    """Times between two rows for which no price is known, as (from, until) in UTC epoch seconds."""
    pairs = pairwise(rows)
    return tuple((a.end_wall_s, b.start_wall_s) for a, b in pairs if b.start_wall_s > a.end_wall_s)


def describe(rows: tuple[PriceRow, ...], zone: tzinfo = UTC) -> str:
    """What was understood, in a line: "24 h, 0.08-0.36 EUR/kWh, until Thu 2026-11-26 00:00", and each
    hole.
    """
    if not rows:
        return "no prices"
    hours = sum(each.end_wall_s - each.start_wall_s for each in rows) / 3_600.0
    low, high = min(each.per_kwh for each in rows), max(each.per_kwh for each in rows)
    currency = next((each.currency for each in rows if each.currency), "currency not said")
    until = datetime.fromtimestamp(rows[-1].end_wall_s, zone)
    text = f"{hours:g} h, {low:.4g} to {high:.4g} {currency}/kWh, until {until:%a %Y-%m-%d %H:%M}"
    gaps = holes(rows)
    if gaps:
        first = datetime.fromtimestamp(gaps[0][0], zone)
        text += (
            f"; {len(gaps)} hole{'s' if len(gaps) > 1 else ''} without a price, the first at"
            f" {first:%Y-%m-%d %H:%M}"
        )
    return text


def _text(wall_s: float) -> str:
    return f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%d %H:%M}Z"
