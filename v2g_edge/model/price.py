"""Prices of energy as the market publishes them: one row an interval, with its currency and its source."""

from msgspec import Struct


class PriceRow(Struct, frozen=True, array_like=True, gc=False):
    """The price of energy from ``start_wall_s`` until ``end_wall_s``. A time without a row has no known price.

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
