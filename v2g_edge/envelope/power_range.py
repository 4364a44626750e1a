"""What all bounds of one outlet leave together: the room of its permit, and what of it lasts.

The one number that the rules wish at most and that the departures are proven with comes from here, so that
the proof never counts on power that is then not permitted.
"""

from typing import Final

from msgspec import Struct

from v2g_edge.envelope.checks import ROWS
from v2g_edge.model.limits import ANY_W, Bound

SHARED_RULES: Final = frozenset(
    {row.id for row in ROWS if row.scope != "evse"}
    | {"feeder_import", "feeder_export", "unmetered", "no_vehicle"}
)
"""What concerns more than one outlet, or none."""
PASSING_RULES: Final = SHARED_RULES.union(
    ("charger_silent", "charger_faulted", "quarantine", "sustained_load", "soc_not_reckoned")
)
"""And what bounds an outlet for a while only: the proof looks hours ahead, and knows the mean that a
cooling loop carries.
"""
ASKED_RULES: Final = SHARED_RULES.union(
    ("departure_certificate", "enter_service_ramp", "link_quality", "unproven_discharge")
)
"""What depends on the wish itself, or only delays it: it takes no share of an export away."""


class Room(Struct, frozen=True, gc=False):
    """``low_w`` ≤ power ≤ ``high_w`` is the intersection of all bounds. Every bound contains 0, so there is
    always room for 0.

    ``cap_w`` ≥ 0 is the most that the outlet may be charged with by what concerns it alone; ``rate_w`` ≥ 0
    the same without what passes by itself; ``out_w`` ≥ 0 the most that it may export by what neither depends
    on the wish nor concerns others: what it is given a share of.
    """

    low_w: float
    high_w: float
    cap_w: float
    rate_w: float
    out_w: float


def room(bounds: list[Bound]) -> Room:
    """The room that ``bounds`` leave."""
    low_w, high_w, cap_w, rate_w, least_w = -ANY_W, ANY_W, ANY_W, ANY_W, -ANY_W
    for bound in bounds:
        min_w, max_w, rule = bound.min_w, bound.max_w, bound.rule
        low_w = min_w if min_w > low_w else low_w
        high_w = max_w if max_w < high_w else high_w
        if rule in SHARED_RULES:
            continue
        cap_w = max_w if max_w < cap_w else cap_w
        if max_w < rate_w and rule not in PASSING_RULES:
            rate_w = max_w
        if min_w > least_w and rule not in ASKED_RULES:
            least_w = min_w
    return Room(low_w, high_w, max(cap_w, 0.0), max(rate_w, 0.0), max(-least_w, 0.0))
