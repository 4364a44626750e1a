"""Prices of any source with what programmes say beside a price: what export earns, and what the energy's
carbon is worth. Pure.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from v2g_edge.model.plan import Price, PriceRow

G_PER_KG: Final = 1_000.0


def refined(
    prices: Sequence[Price], export: Sequence[PriceRow], carbon: Sequence[PriceRow], co2_per_kg: float
) -> tuple[Price, ...]:
    """The prices, cut where export prices or carbon change. ``carbon`` rows hold g/kWh.

    Carbon counts both ways: what is fed back spares as much elsewhere as it would have cost here.
    """
    rows = [*export, *(carbon if co2_per_kg else ())]
    if not rows:
        return tuple(prices)
    edges = sorted({edge for row in rows for edge in (row.start_wall_s, row.end_wall_s)})
    earned, grams = _Rows(export), _Rows(carbon if co2_per_kg else ())
    found: list[Price] = []
    for price, later in zip(prices, [*prices[1:], None], strict=True):
        end_wall_s = price.end_wall_s or (later.start_wall_s if later is not None else float("inf"))
        inside = edges[bisect_right(edges, price.start_wall_s) : bisect_left(edges, end_wall_s)]
        for start, end in pairwise([price.start_wall_s, *inside, price.end_wall_s]):
            extra = (grams.at(start) or 0.0) / G_PER_KG * co2_per_kg
            export_per_kwh = earned.at(start)
            sold = None if export_per_kwh is None else export_per_kwh + extra
            found.append(Price(start, price.per_kwh + extra, end, sold))
    return tuple(found)


class _Rows:
    """Rows that do not overlap, by time."""

    def __init__(self, rows: Sequence[PriceRow]) -> None:
        self._rows = rows
        self._starts = [row.start_wall_s for row in rows]

    def at(self, wall_s: float) -> float | None:
        place = bisect_right(self._starts, wall_s) - 1
        return self._rows[place].per_kwh if place >= 0 and wall_s < self._rows[place].end_wall_s else None
