"""The time grid of a local plan: quarter hours with their prices, and what each feeder has left in each of
them.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from v2g_edge.model.orders import Ahead, narrowed, narrower
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Order

SLOT_S: Final = 900.0
"""The European day-ahead market trades quarter hours since October 2025 (SDAC 15-minute MTU); hourly
prices fit in.
"""

MAX_SLOTS: Final = 192
"""Two days: prices are known for no longer, and the plan is made anew every quarter hour."""

MIN_SLOTS: Final = 8
"""Two hours at least, so that a plan outlives a few missed renewals."""

LAST_PRICE_S: Final = 3_600.0
"""How long a price holds where the next one is missing: one hour, the longest market interval. A hole
stays a hole.
"""


LEAST_W: Final = 1_000.0
"""Less than this left on a feeder is no room: IEC 61851-1 begins at 6 A, 1.4 kW on a single phase."""


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Slot ``k`` lasts from ``edges[k]`` to ``edges[k + 1]`` (UTC). ``buy`` and ``sell`` are per kWh at the
    grid connection.

    ``sell`` is None where no price is known: nothing is exported then. ``later`` values energy that is bought
    after the plan. ``cheap`` and ``dear`` are slot numbers by price, the earlier first among equals.
    """

    edges: tuple[float, ...]
    buy: tuple[float, ...]
    sell: tuple[float | None, ...]
    later: float
    cheap: tuple[int, ...]
    dear: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.buy)

    def seconds(self, slot: int, until_s: float) -> float:
        """Seconds of a slot that lie before ``until_s``."""
        return max(min(self.edges[slot + 1], until_s) - self.edges[slot], 0.0)


def grid_of(
    prices: tuple[Price, ...],
    settings: PriceSettings,
    wall_s: float,
    until_s: float,
    least_slots: int = MIN_SLOTS,
) -> TimeGrid:
    """The grid from now (the first slot is cut) to ``until_s``, on full quarter hours. ``prices`` are sorted
    by start.

    A slot without a known price counts as dear as the dearest known one when buying. Nothing is exported in
    it, nor in one where export costs money, unless the site file says so.
    """
    first = wall_s - wall_s % SLOT_S
    count = min(max(int(-((first - until_s) // SLOT_S)), MIN_SLOTS, least_slots), MAX_SLOTS)
    edges = (wall_s, *(first + SLOT_S * (n + 1) for n in range(count)))
    starts = [price.start_wall_s for price in prices]
    known = [_price_at(prices, starts, start_s) for start_s in edges[:-1]]
    told = [price.per_kwh for price in known if price is not None]
    worst, usual = (max(told), median(told)) if told else (0.0, 0.0)
    buy = tuple((worst if price is None else price.per_kwh) + settings.fixed_per_kwh for price in known)
    earned = [None if price is None else _earned(price, settings) for price in known]
    sell = tuple(None if each is None or _burns(each, settings) else each for each in earned)
    cheap = tuple(sorted(range(count), key=lambda k: (buy[k], k)))
    priced = [(-value, k) for k, value in enumerate(sell) if value is not None]
    return TimeGrid(
        edges, buy, sell, usual + settings.fixed_per_kwh, cheap, tuple(k for _, k in sorted(priced))
    )


def _earned(price: Price, settings: PriceSettings) -> float:
    """A price for export counts whole; the site file adds to no other but the common one."""
    return price.per_kwh + settings.export_per_kwh if price.earned_per_kwh is None else price.earned_per_kwh


def _burns(earned: float, settings: PriceSettings) -> bool:
    """Whether export would pay for being rid of energy: buying, feeding back and buying again at negative
    prices.
    """
    return earned < 0.0 and not settings.export_below_zero


def _price_at(prices: tuple[Price, ...], starts: list[float], at_s: float) -> Price | None:
    place = bisect_right(starts, at_s) - 1
    if place < 0 or at_s >= (prices[place].end_wall_s or starts[place] + LAST_PRICE_S):
        return None
    return prices[place]


class Caps(NamedTuple):
    """What chargers may draw and feed back in one slot, in W by feeder, and the limits of the connection."""

    charge_w: dict[str, float]
    export_w: dict[str, float]
    import_limit_w: float
    export_limit_w: float


def caps_by_slot(site: Site, edges: tuple[float, ...], ahead: tuple[Ahead, ...] = ()) -> tuple[Caps, ...]:
    """By slot, with every limit that holds in any part of it."""
    known: dict[tuple[Ahead, ...], Caps] = {}
    found = []
    for start_s, end_s in pairwise(edges):
        acting = tuple(each for each in ahead if each.from_wall_s < end_s and each.until_wall_s > start_s)
        if acting not in known:
            known[acting] = _caps(site, acting)
        found.append(known[acting])
    return tuple(found)


def _caps(site: Site, acting: tuple[Ahead, ...]) -> Caps:
    orders = (Order(0, each.kind, each.feeder, 0.0, 0.0, limit_w=each.limit_w) for each in acting)
    narrow = narrower(site, narrowed(tuple(orders)))
    root = next(feeder for feeder in narrow.feeders if not feeder.parent)
    return Caps(charge_limits(narrow), export_limits(narrow), root.import_limit_w, root.export_limit_w)


class Room:
    """What the feeders have left, in W by feeder and slot: for charging and for export. Nothing is netted
    between the two.
    """

    def __init__(self, caps: tuple[Caps, ...], share: float) -> None:
        feeders = tuple(caps[0].charge_w) if caps else ()
        self._charge_w = {feeder: [slot.charge_w[feeder] for slot in caps] for feeder in feeders}
        self.charge = {feeder: [share * w for w in row] for feeder, row in self._charge_w.items()}
        self.export = {feeder: [slot.export_w[feeder] for slot in caps] for feeder in feeders}

    def open_after(self, slot: int, order: tuple[int, ...], path: tuple[str, ...]) -> list[int]:
        """The slots of ``order`` later than ``slot`` in which every feeder of ``path`` has something left
        to charge with.
        """
        rows = [self.charge[node] for node in path]
        return [k for k in order if k > slot and all(row[k] >= LEAST_W for row in rows)]

    def widen(self, share: float) -> None:
        """Give charging a further ``share`` of each feeder's limit."""
        for feeder, row in self._charge_w.items():
            left = zip(self.charge[feeder], row, strict=True)
            self.charge[feeder] = [left_w + share * limit_w for left_w, limit_w in left]


def charge_limits(site: Site) -> dict[str, float]:
    """By feeder what it leaves for the chargers below it, in W: its limit less the margin and the largest
    base loads below it.
    """
    base_w = _sums(site, {feeder.id: feeder.base_load_max_w for feeder in site.feeders})
    return {f.id: max(f.import_limit_w * _share(site) - base_w[f.id], 0.0) for f in site.feeders}


def export_limits(site: Site) -> dict[str, float]:
    """By feeder what the chargers below it may export together, in W (magnitude), with the least base
    loads below it.
    """
    base_w = _sums(site, {feeder.id: feeder.base_load_min_w for feeder in site.feeders})
    return {f.id: max(f.export_limit_w * _share(site) + base_w[f.id], 0.0) for f in site.feeders}


def _share(site: Site) -> float:
    return 1.0 - site.safety.feeder_margin_pct / 100.0


def _sums(site: Site, own_w: dict[str, float]) -> dict[str, float]:
    """A feeder carries its own base load and those of all feeders below it."""
    parent, sums_w = {feeder.id: feeder.parent for feeder in site.feeders}, dict.fromkeys(own_w, 0.0)
    for feeder, load_w in own_w.items():
        node = feeder
        while node:
            sums_w[node] += load_w
            node = parent[node]
    return sums_w
