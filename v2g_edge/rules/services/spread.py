"""Spreads a service's power over outlets: as shallow for each as chargers can do, the healthiest packs first.

A charger gives nothing between its least power out and its least power in. Twelve idle ones that were each
asked for a twelfth of little would all stay idle; so few enough serve that each can.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

ALIKE_PCT: Final = 5.0
"""Packs whose state of health differs by less count as equally healthy: readings are in whole percent, and a
vehicle tells them seldom.
"""
ALIKE_WH: Final = 5_000.0
"""And batteries with as much energy to give to within this: the order changes seldom, so few chargers are
switched.
"""


class Room(NamedTuple):
    """One outlet that services may move, in W: its power now, the least and the most that it may be moved to,
    what its charger needs to give anything in either direction, energies either way (Wh), its pack's health.
    """

    evse: str
    power_w: float
    low_w: float
    high_w: float
    least_in_w: float = 0.0
    least_out_w: float = 0.0
    up_wh: float = 0.0
    down_wh: float = 0.0
    soh_pct: float = 0.0

    @property
    def up_w(self) -> float:
        """How far it may give more, or take less."""
        return self.power_w - self.low_w

    @property
    def down_w(self) -> float:
        """How far it may take more, or give less."""
        return self.high_w - self.power_w

    def gives(self, power_w: float) -> bool:
        """Whether its charger can hold that power."""
        return power_w == 0.0 or power_w >= self.least_in_w or power_w <= -self.least_out_w

    def nearest_w(self, power_w: float) -> float:
        """The nearest power that it can hold."""
        if self.gives(power_w):
            return power_w
        least_w = self.least_in_w if power_w > 0.0 else -self.least_out_w
        reachable = self.low_w <= least_w <= self.high_w
        return least_w if reachable and abs(power_w) > abs(least_w) / 2.0 else 0.0


def _order(room: Room, delta_w: float) -> tuple[float, float, str]:
    """Healthiest first, and of those alike the one that has most to give."""
    energy_wh = room.up_wh if delta_w > 0.0 else room.down_wh
    return -(room.soh_pct // ALIKE_PCT), -(energy_wh // ALIKE_WH), room.evse


def spread(rooms: Sequence[Room], delta_w: float) -> dict[str, float]:
    """By outlet its new power (W), for a service that gives ``delta_w`` (+ up: less import, more export)."""
    movable = sorted(
        (each for each in rooms if _most_w(each, delta_w) > 0.0), key=lambda each: _order(each, delta_w)
    )
    if not movable or delta_w == 0.0:
        return {}
    count = _how_many(movable, delta_w)
    if count:
        return _moved(movable[:count], movable, delta_w)[0]
    one, every = _moved(movable[:1], movable, delta_w), _moved(movable, movable, delta_w)
    return one[0] if one[1] < every[1] else every[0]


def _moved(
    serving: Sequence[Room], movable: Sequence[Room], delta_w: float
) -> tuple[dict[str, float], float]:
    """New powers of those that serve, each one that its charger can hold, and how far off they are in all."""
    powers = [
        each.nearest_w(power_w) for each, power_w in zip(serving, _shares(serving, delta_w), strict=True)
    ]
    most_w = sum(_most_w(each, delta_w) for each in movable)
    moved_w = sum(each.power_w - power_w for each, power_w in zip(serving, powers, strict=True))
    lacks_w = min(max(delta_w, -most_w), most_w) - moved_w
    for place, each in enumerate(serving):
        # What rounding to possible powers lost or gave too much, from those that can still be moved a little.
        new_w = _within(each, powers[place], powers[place] - lacks_w)
        lacks_w -= powers[place] - new_w
        powers[place] = new_w
    return {each.evse: power_w for each, power_w in zip(serving, powers, strict=True)}, abs(lacks_w)


def _most_w(room: Room, delta_w: float) -> float:
    return room.up_w if delta_w > 0.0 else room.down_w


def _shares(serving: Sequence[Room], delta_w: float) -> list[float]:
    """The same share of what each has."""
    total_w = sum(_most_w(each, delta_w) for each in serving)
    share = min(abs(delta_w) / total_w, 1.0)
    sign = 1.0 if delta_w > 0.0 else -1.0
    return [each.power_w - sign * share * _most_w(each, delta_w) for each in serving]


def _how_many(movable: Sequence[Room], delta_w: float) -> int:
    """The most of them, healthiest first, of which each can hold its share; 0 where no number is right."""

    def fit(count: int) -> bool:
        serving = movable[:count]
        enough = sum(_most_w(each, delta_w) for each in serving) >= min(abs(delta_w), total_w) - 1e-6
        shares = _shares(serving, delta_w)
        return enough and all(each.gives(power_w) for each, power_w in zip(serving, shares, strict=True))

    total_w = sum(_most_w(each, delta_w) for each in movable)
    if fit(len(movable)):
        return len(movable)
    low, high = 0, len(movable)
    while high - low > 1:
        middle = (low + high) // 2
        if fit(middle):
            low = middle
        else:
            high = middle
    return low


def _within(room: Room, power_w: float, wanted_w: float) -> float:
    """``wanted_w``, as near as the outlet comes to it without leaving its direction."""
    if power_w > 0.0:
        return max(min(wanted_w, room.high_w), min(room.least_in_w, power_w))
    if power_w < 0.0:
        return min(max(wanted_w, room.low_w), max(-room.least_out_w, power_w))
    return power_w
