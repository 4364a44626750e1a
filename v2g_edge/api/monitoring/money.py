"""What the daemon sold and bought since its start, for monitoring: power at the price of the moment, and what
is booked. Bills and settlements are reckoned from the journal, not from here.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from v2g_edge.api.monitoring.exposition import Exposition, labels
from v2g_edge.api.state import Tick
from v2g_edge.departure.capacity import Offer
from v2g_edge.model.plan import Price
from v2g_edge.model.reading import Reading

GAP_S: Final = 60.0
"""A power is counted for no longer than this without a newer tick."""
WS_PER_KWH: Final = 3.6e6


class Money:
    """``observe`` each tick. ``prices``: all that are known now; ``offers``: all that are booked."""

    def __init__(
        self,
        prices: Callable[[], Sequence[Price]],
        offers: Callable[[], Sequence[Offer]],
        currency: str,
    ) -> None:
        self._prices = prices
        self._offers = offers
        self._currency = currency or "unknown"
        self._last_s: float | None = None
        self._sold = self._bought = 0.0

    def observe(self, tick: Tick) -> None:
        """Add the seconds since the tick before, at the measured powers. Where no price is known, nothing is
        added.
        """
        now_s, last_s = tick.snapshot.now_s, self._last_s
        self._last_s = now_s
        price = price_at(self._prices(), tick.snapshot.wall_s)
        if last_s is None or price is None or not 0.0 < now_s - last_s <= GAP_S:
            return
        per_ws = price / WS_PER_KWH * (now_s - last_s)
        for state in tick.snapshot.evses:
            if isinstance(state.power_w, Reading):
                power_w = state.power_w.value
                self._bought += max(power_w, 0.0) * per_ws
                self._sold += max(-power_w, 0.0) * per_ws

    def add(self, page: Exposition, tick: Tick) -> None:
        """The ledgers as monitoring reads them."""
        sold = {labels(service="energy", currency=self._currency): self._sold}
        bought = {labels(currency=self._currency): self._bought}
        page.add(
            "v2g_edge_revenue_total",
            "counter",
            "Worth of what vehicles gave since the start, at the price of the moment.",
            sold,
        )
        page.add(
            "v2g_edge_energy_cost_total",
            "counter",
            "Worth of what vehicles took since the start, at the price of the moment.",
            bought,
        )
        watts, joules = self._booked(tick.snapshot.wall_s)
        page.add("v2g_edge_sold_watts", "gauge", "Export that is booked now, by service.", watts)
        page.add(
            "v2g_edge_ledger_promised_joules", "gauge", "Energy that bookings may still ask for.", joules
        )
        given = {
            labels(vehicle=name): pct / 100.0 for name, pct in tick.outcome.memory.envelope.taken_pct.items()
        }
        page.add(
            "v2g_edge_discharged_today_ratio",
            "gauge",
            "Share of its capacity that a vehicle gave since midnight UTC.",
            given,
        )

    def _booked(self, wall_s: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
        watts: dict[str, float] = {}
        joules: dict[str, float] = {}
        for offer in self._offers():
            left_s = offer.until_wall_s - wall_s
            if left_s > 0.0:
                name = labels(service=offer.service)
                watts[name] = watts.get(name, 0.0) + offer.total_w
                joules[name] = joules.get(name, 0.0) + offer.total_w * left_s
        return watts, joules


def price_at(prices: Sequence[Price], wall_s: float) -> float | None:
    """The price per kWh at a time; None where none is known. ``prices`` are sorted by their start."""
    place = bisect_right(prices, wall_s, key=lambda price: price.start_wall_s) - 1
    if place < 0:
        return None
    price = prices[place]
    return price.per_kwh if price.end_wall_s == 0.0 or wall_s < price.end_wall_s else None
