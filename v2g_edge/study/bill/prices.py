"""Prices laid over settlement intervals; a time without a price stays without one."""

from collections.abc import Iterable

from v2g_edge.model.plan import PriceRow
from v2g_edge.study.ledger.lines import INTERVAL_S


class CurrencyError(Exception):
    """Prices and bill are in two currencies and no rate was given; the message says which."""


def spot_of(
    rows: Iterable[PriceRow],
    from_wall_s: float,
    until_wall_s: float,
    currency: str,
    exchange: dict[str, float],
) -> dict[float, float]:
    """Price per kWh in ``currency`` by the start of each interval: the mean of what covers all of it."""
    parts: dict[float, list[float]] = {}
    for row in rows:
        if row.end_wall_s <= from_wall_s or row.start_wall_s >= until_wall_s:
            continue
        rate = rate_of(row.currency, currency, exchange)
        start = row.start_wall_s - row.start_wall_s % INTERVAL_S
        while start < row.end_wall_s:
            share_s = min(start + INTERVAL_S, row.end_wall_s) - max(start, row.start_wall_s)
            part = parts.setdefault(start, [0.0, 0.0])
            part[0] += share_s
            part[1] += share_s * row.per_kwh * rate
            start += INTERVAL_S
    return {start: part[1] / part[0] for start, part in parts.items() if part[0] >= INTERVAL_S - 1e-6}


def rate_of(found: str, wanted: str, exchange: dict[str, float]) -> float:
    """What one unit of ``found`` is in ``wanted``. Raises ``CurrencyError``."""
    if not found or found == wanted:
        return 1.0
    if found in exchange:
        return exchange[found]
    raise CurrencyError(
        f"prices are in {found}, the bill in {wanted}; say --exchange {found}=RATE (1 {found} in {wanted})"
    )
