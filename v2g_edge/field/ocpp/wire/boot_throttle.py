"""Boots after a power cut: all stations at once. The first are accepted, the rest wait a while, each a
different one.
"""

from collections import deque
from typing import Final
from zlib import crc32

BOOTS_MAX: Final = 100
WINDOW_S: Final = 10.0
"""So many boots are accepted in so long: each costs a dozen messages and a write to disk, and the others
must not wait for it.
"""

OWN_MAX: Final = 4
"""Of them, so many of one station: one that boots without end waits by itself, and takes no place of the
others.
"""

WAIT_S: Final = 5
SPREAD_S: Final = 20
"""A station told Pending boots again after 5 to 24 s, by its name: no second storm (lbbrhzn/ocpp #1096)."""


class BootThrottle:
    """Shared by all stations."""

    def __init__(self) -> None:
        self._accepted: deque[float] = deque(maxlen=BOOTS_MAX)
        self._own: dict[str, deque[float]] = {}

    def pending_s(self, identity: str, now_s: float) -> int:
        """0: accepted; else the seconds after which the station shall boot again."""
        own = self._own.setdefault(identity, deque(maxlen=OWN_MAX))
        if _full(own, now_s) or _full(self._accepted, now_s):
            return WAIT_S + crc32(identity.encode()) % SPREAD_S
        own.append(now_s)
        self._accepted.append(now_s)
        return 0


def _full(taken_s: deque[float], now_s: float) -> bool:
    return len(taken_s) == taken_s.maxlen and now_s - taken_s[0] < WINDOW_S
