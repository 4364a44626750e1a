"""Boots after a power cut: all stations at once. The first are accepted, the rest wait a while, each a different one."""

from collections import deque
from typing import Final
from zlib import crc32

BOOTS_MAX: Final = 100
WINDOW_S: Final = 10.0
"""So many boots are accepted in so long: each costs a dozen messages and a write to disk, and the others must not wait for it."""

WAIT_S: Final = 5
SPREAD_S: Final = 20
"""A station told Pending boots again after 5 to 24 s, by its name: no second storm (lbbrhzn/ocpp #1096)."""


class BootThrottle:
    """Shared by all stations."""

    def __init__(self) -> None:
        self._accepted: deque[float] = deque(maxlen=BOOTS_MAX)

    def pending_s(self, identity: str, now_s: float) -> int:
        """0: accepted; else the seconds after which the station shall boot again."""
        if len(self._accepted) == BOOTS_MAX and now_s - self._accepted[0] < WINDOW_S:
            return WAIT_S + crc32(identity.encode()) % SPREAD_S
        self._accepted.append(now_s)
        return 0
