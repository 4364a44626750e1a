"""What the daemon knows beside a tick, for the words of an answer: prices, since when a row acts, stations
and their outlets.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from v2g_edge.model.plan import Price

NO_TIMES: Final[Mapping[str, float]] = MappingProxyType({})
NO_STATIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class Beside(NamedTuple):
    """``since`` is UTC by "row:subject"; ``stations`` are the outlets of each. All of it may be missing:
    words say less then.
    """

    prices: tuple[Price, ...] = ()
    since: Mapping[str, float] = NO_TIMES
    stations: Mapping[str, tuple[str, ...]] = NO_STATIONS

    def price_at(self, wall_s: float) -> float | None:
        """Per kWh, where a price of that time is known."""
        known = [price for price in self.prices if price.start_wall_s <= wall_s]
        return known[-1].per_kwh if known else None


NOTHING = Beside()
