"""How far a station's clock is from ours, learnt from what it sends. Stations with a wrong clock are common;
stale readings too.

The two look alike at first: a reading two minutes old is either history (after an outage, seven or eight of
them arrive within 150 ms, reference ocpp.md) or present with a wrong clock. So an offset is believed only
when several readings over some time agree on it; until then our clock counts, and what seems old is old.

Until something has agreed with our clock or with a learnt offset, the clock is not ``known``: a lease would
begin at an unknown time, perhaps in an hour, when no controller is there to end it.
"""

from collections import deque
from typing import Final

AGREE_S: Final = 2.0
"""Readings agree when their offsets lie this close; below it an offset is latency, not a wrong clock."""

STEADY_S: Final = 1.0
"""What is known is kept as long as it is right to this: each new offset is a lease that is written anew, and
latency differs from reading to reading.
"""

READINGS: Final = 3
SPAN_S: Final = 10.0
"""So many readings over so long make an offset: a burst of queued readings comes within a second."""

LONG_SPAN_S: Final = 20.0
"""Two that agree over so long do too: a station that reports seldom queues seldom, and need not wait for a
third.
"""

KEPT_S: Final = 150.0
SPACING_S: Final = 1.0
"""Readings are kept by time, so that it does not matter how often a station reports: two of the slowest
(60 s) are among them, and of a fast one, or of several that come together, one a second.
"""

JUMP_S: Final = 30.0
"""So far from what was known it is another time, or history: a lease that begins half a minute late does
no harm.
"""


class ClockSkew:
    """Offset of one station's clock: ``offset_s`` is its clock minus ours."""

    __slots__ = ("_seen", "known", "offset_s")

    def __init__(self) -> None:
        self.offset_s = 0.0
        self.known = False
        self._seen: dict[int, deque[tuple[float, float]]] = {}

    def learn(self, at_wall_s: float, wall_s: float, now_s: float, outlet: int = 0) -> None:
        """A reading of an outlet, stamped ``at_wall_s`` by the station, arrived now; of several in a
        message, the newest.
        """
        self.saw(at_wall_s, wall_s)
        seen = self._seen.setdefault(outlet, deque())
        offset_s = at_wall_s - wall_s
        if seen and now_s - seen[-1][0] < SPACING_S:
            seen[-1] = (seen[-1][0], max(seen[-1][1], offset_s))  # the less delayed one of this second
        else:
            seen.append((now_s, offset_s))
        while now_s - seen[0][0] > KEPT_S:
            seen.popleft()
        offsets: list[float] = []
        for then_s, offset_s in reversed(seen):
            offsets.append(offset_s)
            if max(offsets) - min(offsets) > AGREE_S:
                return
            span_s = now_s - then_s
            if span_s >= LONG_SPAN_S or (span_s >= SPAN_S and len(offsets) >= READINGS):
                newest_s = max(offsets)  # the least delayed one
                if abs(newest_s - self.offset_s) > STEADY_S:
                    self.offset_s = newest_s if abs(newest_s) > AGREE_S else 0.0
                self.known = True
                return

    def saw(self, at_wall_s: float, wall_s: float) -> None:
        """Anything stamped by the station arrived: whether it agrees with what is known of the clock."""
        off_s = abs(at_wall_s - wall_s - self.offset_s)
        if off_s <= AGREE_S:
            self.known = True
        elif off_s > JUMP_S:
            self.known = False

    def ours(self, at_wall_s: float) -> float:
        """A time by the station's clock as one by ours. A station reckons what a vehicle says in seconds from
        now, by its own.
        """
        return at_wall_s - self.offset_s

    def sampled_s(self, at_wall_s: float, wall_s: float, now_s: float) -> float | None:
        """Monotonic time of a reading; None when it lies in the future, which no reading does."""
        age_s = wall_s + self.offset_s - at_wall_s
        if age_s < -AGREE_S:
            return None
        return now_s - max(age_s, 0.0)
