"""What somebody would like the depot to do, slot by slot. A plan never widens a limit."""

from typing import Literal

from msgspec import Struct


class Slot(Struct, frozen=True):
    """From ``start_wall_s`` up to ``end_wall_s`` (UTC): wanted mean power in W, + into the vehicles.

    ``evse_w`` holds single chargers as (id, W) pairs sorted by id; ``site_w`` is a target for the sum of all others,
    None where the slot speaks only of single chargers.
    """

    start_wall_s: float
    end_wall_s: float
    evse_w: tuple[tuple[str, float], ...] = ()
    site_w: float | None = None


class Plan(Struct, frozen=True):
    """``revision`` grows with every plan of one ``source``. Slots are sorted, do not overlap, and lie within the validity."""

    revision: int
    source: Literal["cloud", "local"]
    issued_wall_s: float
    valid_from_wall_s: float
    valid_until_wall_s: float
    slots: tuple[Slot, ...]


class Price(Struct, frozen=True, array_like=True, gc=False):
    """Energy price from ``start_wall_s`` until ``end_wall_s`` (UTC), in the site's currency per kWh; may be negative.

    Without an end (0) it holds until the next price.
    """

    start_wall_s: float
    per_kwh: float
    end_wall_s: float = 0.0
