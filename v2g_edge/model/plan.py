"""What a plan would like the depot to do, slot by slot, and the prices that it is made from. A plan never
widens a limit.
"""

from typing import Literal

from msgspec import Struct


class Slot(Struct, frozen=True):
    """From ``start_wall_s`` up to ``end_wall_s`` (UTC): wanted mean power in W, + into the vehicles.

    ``evse_w`` holds single chargers as (id, W) pairs sorted by id; ``site_w`` is a target for the sum of all
    others, None where the slot speaks only of single chargers.
    """

    start_wall_s: float
    end_wall_s: float
    evse_w: tuple[tuple[str, float], ...] = ()
    site_w: float | None = None


class PeakTarget(Struct, frozen=True):
    """A demand charge that a plan reckons with: the highest mean import of a metering window, in W, that adds
    nothing to what it is billed.
    """

    name: str
    window_s: float
    target_w: float


class Plan(Struct, frozen=True):
    """``revision`` grows with every plan of one ``source``. Slots are sorted, do not overlap, and lie
    within the validity. ``peaks``: what the connection should not draw more than, one a demand charge.
    """

    revision: int
    source: Literal["cloud", "local"]
    issued_wall_s: float
    valid_from_wall_s: float
    valid_until_wall_s: float
    slots: tuple[Slot, ...]
    peaks: tuple[PeakTarget, ...] = ()


class Price(Struct, frozen=True, array_like=True, gc=False):
    """Energy price from ``start_wall_s`` until ``end_wall_s`` (UTC), in the site's currency per kWh; may be
    negative.

    Without an end (0) it holds until the next price. ``earned_per_kwh``: what a kWh fed back earns, where
    that is told by itself; None: as the price, with what the site file adds.
    """

    start_wall_s: float
    per_kwh: float
    end_wall_s: float = 0.0
    earned_per_kwh: float | None = None


class PriceRow(Struct, frozen=True, array_like=True, gc=False):
    """The price of energy from ``start_wall_s`` until ``end_wall_s``. A time without a row has no known
    price.

    Attributes:
        start_wall_s: Beginning of the interval, UTC epoch seconds.
        end_wall_s: End of the interval, UTC epoch seconds.
        per_kwh: Price in ``currency`` per kWh; may be negative.
        currency: ISO 4217 code; "" where the source does not say it.
        source: Where the row comes from: a feed's name, or the file's.
        published_wall_s: When the source published it, UTC epoch seconds; 0 where it does not say.
        revision: Number of this edition of the row; a higher one replaces a lower one.
    """

    start_wall_s: float
    end_wall_s: float
    per_kwh: float
    currency: str = ""
    source: str = ""
    published_wall_s: float = 0.0
    revision: int = 0
