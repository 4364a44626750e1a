"""When vehicles come and leave, where a station says so by a clock of its own."""

from typing import Final

from v2g_edge.field.ocpp.vocabulary.clock_skew import ClockSkew
from v2g_edge.model.ports import ClockPort

LONGEST_STAY_S: Final = 400 * 86_400.0
"""A start before this is one by a clock that stood at its beginning (1970, 2000)."""

LEAVES_NOW_S: Final = 60.0
"""A vehicle that says that it leaves within this names no departure: 0 s is how ISO 15118 says "as soon as
possible".
"""


def came_at(started_wall_s: float, skew: ClockSkew, clock: ClockPort) -> float:
    """When a vehicle came, by our clock: the station's may be ahead, or years behind."""
    came_wall_s, wall_s = skew.ours(started_wall_s), clock.wall_s()
    if not clock.synced() or wall_s - LONGEST_STAY_S < came_wall_s < wall_s:
        return came_wall_s
    return wall_s


def leaves_at_once(departure_wall_s: float | None, skew: ClockSkew, clock: ClockPort) -> bool:
    """Whether a departure is none that anything could be done for. By a clock that is not known nothing is
    judged.
    """
    if departure_wall_s is None or not skew.known:
        return False
    return abs(skew.ours(departure_wall_s) - clock.wall_s()) <= LEAVES_NOW_S
