"""A bound on one charger's power, with the limit that set it."""

from typing import Final

from msgspec import Struct

ANY_W: Final = 1e12
"""Wider than any depot: a bound of ±ANY_W constrains one side only. It is never a stand-in for missing
data.
"""


class Bound(Struct, frozen=True, array_like=True, gc=False):
    """``min_w`` ≤ power ≤ ``max_w`` in W, + into the vehicle.

    ``rule`` is a stable identifier ("soc_window", "feeder_import"); ``source`` says where the number comes
    from, in words an operator can check ("site.toml feeders.main.import_limit_w = 400000", "meter grid stale
    6.2 s").
    """

    min_w: float
    max_w: float
    rule: str
    source: str
