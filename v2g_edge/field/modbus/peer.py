"""One device on a wire: whether it is alive, when it is asked again, and what its answers took."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from v2g_edge.field.modbus.wire import VOID, Fault, Wire, always
from v2g_edge.model.snapshot import Link

log = structlog.get_logger()

DEAD_AFTER: Final = 3
"""Unanswered requests in a row after which a device counts as gone and its connection is made anew."""

BACK_OFF_S: Final = (0.5, 1.0, 2.0, 3.0, 4.0)
"""Pauses between tries of a device that is gone; 4 s at most, so that it is back in the picture within 5 s
of its repair.
"""

LOSS_WINDOW: Final = 200
"""Requests over which loss is counted: 20 s at 10 Hz."""


class Peer:
    """One unit on a wire, with its liveness, back-off and counters. A peer in back-off is not asked:
    others need the wire.
    """

    def __init__(self, wire: Wire, unit: int, *, shared: bool) -> None:
        self._wire = wire
        self._clock = wire.clock
        self.unit = unit
        self._shared = shared
        self._failures = 0
        self._next_s = 0.0
        self._outcomes: deque[bool] = deque(maxlen=LOSS_WINDOW)
        self._lost = 0
        self.requests = 0
        self.latency_s = 0.0
        self.latency_max_s = 0.0
        self.epoch = 0
        self.link = Link()

    async def read(self, function: int, address: int, count: int) -> Sequence[int] | Fault:
        """As ``Wire.read``, counted."""
        if self._clock.now_s() < self._next_s:
            return Fault("silent", "backing off")
        start_s = self._clock.now_s()
        answer = await self._wire.read(self.unit, function, address, count)
        self._count(start_s, answer)
        return answer

    async def write(
        self, function: int, address: int, values: list[int], still: Callable[[], bool] = always
    ) -> Fault | None:
        """As ``Wire.write``, counted. Never backed off: what is written ends a discharge or opens a
        contactor.
        """
        start_s = self._clock.now_s()
        answer = await self._wire.write(self.unit, function, address, values, still)
        if answer is not VOID:
            self._count(start_s, answer)
        return answer

    def _count(self, start_s: float, answer: object) -> None:
        now_s = self._clock.now_s()
        lost = isinstance(answer, Fault) and answer.kind == "silent"
        if len(self._outcomes) == LOSS_WINDOW:
            self._lost -= self._outcomes[0]
        self._outcomes.append(lost)
        self._lost += lost
        self.requests += 1
        loss_pct = 100.0 * self._lost / len(self._outcomes)
        if not lost:
            if not self.link.connected:
                self.epoch += 1
                log.info("modbus_device_answers", line=self._wire.line.id, unit=self.unit)
            self._failures = 0
            self.latency_s = now_s - start_s
            self.latency_max_s = max(self.latency_max_s, self.latency_s)
            self.link = Link(True, True, now_s, loss_pct)
            return
        self._failures += 1
        dead = self._failures >= DEAD_AFTER
        if dead:
            self._next_s = now_s + BACK_OFF_S[min(self._failures - DEAD_AFTER, len(BACK_OFF_S) - 1)]
            if not self._shared:
                self._wire.hang_up()
        if dead and self.link.connected:
            log.warning(
                "modbus_device_silent",
                line=self._wire.line.id,
                unit=self.unit,
                why=getattr(answer, "why", ""),
            )
        self.link = Link(
            self.link.connected and not dead, self.link.ever_seen, self.link.last_seen_s, loss_pct
        )
