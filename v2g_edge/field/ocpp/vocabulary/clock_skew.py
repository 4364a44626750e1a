"""How far a station's clock is from ours, learnt from what it sends. Stations with a wrong clock are common; stale readings too.

The two look alike at first: a reading two minutes old is either history (after an outage, seven or eight of them arrive within
150 ms, reference ocpp.md) or present with a wrong clock. So an offset is believed only when several readings over some time
agree on it; until then our clock counts, and what seems old is old.

Until something has agreed with our clock or with a learnt offset, the clock is not ``known``: a lease would begin at nobody knows
what time, perhaps in an hour, when nobody is there to end it.
"""

from collections import deque
from typing import Final

AGREE_S: Final = 2.0
"""Readings agree when their offsets lie this close; below it an offset is latency, not a wrong clock."""

READINGS: Final = 4
SPAN_S: Final = 10.0
"""So many readings over so long make an offset: a burst of queued readings comes within a second."""

JUMP_S: Final = 30.0
"""So far from what was known it is another time, or history: a lease that begins half a minute late does no harm."""


class ClockSkew:
    """Offset of one station's clock: ``offset_s`` is its clock minus ours."""

    __slots__ = ("_seen", "known", "offset_s")

    def __init__(self) -> None:
        self.offset_s = 0.0
        self.known = False
        self._seen: deque[tuple[float, float]] = deque(maxlen=READINGS)

    def learn(self, at_wall_s: float, wall_s: float, now_s: float) -> None:
        """A reading stamped ``at_wall_s`` by the station arrived now."""
        self.saw(at_wall_s, wall_s)
        self._seen.append((now_s, at_wall_s - wall_s))
        if len(self._seen) < READINGS or now_s - self._seen[0][0] < SPAN_S:
            return
        offsets = [offset for _, offset in self._seen]
        if max(offsets) - min(offsets) <= AGREE_S:
            offset_s = max(offsets)  # the least delayed one
            self.offset_s = offset_s if abs(offset_s) > AGREE_S else 0.0
            self.known = True

    def saw(self, at_wall_s: float, wall_s: float) -> None:
        """Anything stamped by the station arrived: whether it agrees with what is known of the clock."""
        off_s = abs(at_wall_s - wall_s - self.offset_s)
        if off_s <= AGREE_S:
            self.known = True
        elif off_s > JUMP_S:
            self.known = False

    def sampled_s(self, at_wall_s: float, wall_s: float, now_s: float) -> float | None:
        """Monotonic time of a reading; None when it lies in the future, which no reading does."""
        age_s = wall_s + self.offset_s - at_wall_s
        if age_s < -AGREE_S:
            return None
        return now_s - max(age_s, 0.0)
