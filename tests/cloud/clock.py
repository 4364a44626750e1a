"""The clock of a session under test: real time, at the date of the plans, short waits between attempts."""

import asyncio
from typing import Final

from tests.cloud.plans import WALL_S

WAIT_S: Final = 0.03
"""Longest wait between two attempts."""


class QuickClock:
    """Waits between two connections last until the ``gate`` is open, as it is from the beginning."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_s(self) -> float:
        return WALL_S

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(min(duration_s, WAIT_S))
        await self.gate.wait()
