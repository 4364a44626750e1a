"""Calls that wait for the line: a bounded queue, most urgent first, oldest first among equals."""

from bisect import insort
from collections.abc import Callable
from typing import Any, Final

SAFETY: Final = 0
"""Stop discharging. Passes everything, and shortens the wait for the call before it."""
SETPOINT: Final = 1
"""A lease or its renewal."""
ROUTINE: Final = 2
"""Everything a person or a handler asks for."""
BULK: Final = 3
"""Reports, probing, firmware: whenever there is room."""

QUEUE_MAX: Final = 64
"""Calls waiting for one station. At 30 s a time-out that is half an hour of silence: more would only be
stale.
"""


class Outgoing:
    """One call of ours. ``deadline_s`` is set when it goes out, ``why`` is what is told should it pass.

    ``bare``: the answer without content, in the forms that most write: these need no reading. ``encoded``:
    the payload as JSON, where that is at hand. ``still`` is asked when it is its turn: once it says no, the
    call is void and never goes out.
    """

    __slots__ = (
        "action",
        "bare",
        "deadline_s",
        "encoded",
        "id",
        "key",
        "order",
        "payload",
        "priority",
        "still",
        "timeout_s",
        "why",
    )

    def __init__(
        self,
        message_id: str,
        action: str,
        payload: dict[str, Any],
        priority: int,
        key: str,
        timeout_s: float,
        still: Callable[[], bool] | None = None,
        encoded: bytes = b"",
    ) -> None:
        self.id = message_id
        self.action = action
        self.payload = payload
        self.encoded = encoded
        self.priority = priority
        self.key = key
        self.timeout_s = timeout_s
        self.still = still
        self.bare: tuple[str, ...] = ()
        self.deadline_s = 0.0
        self.why = "deadline"
        self.order = 0


class Queue:
    """See the module. Length ≤ ``QUEUE_MAX`` always."""

    __slots__ = ("_count", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Outgoing] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, out: Outgoing) -> list[tuple[Outgoing, str]]:
        """Add a call; returns those that will never go out, each with the reason ("replaced", "queue_full").

        A newer call of the same key takes the older one's place among its priority, unless it is more urgent.
        When the queue is full, the least urgent newest one falls out, which may be the newcomer.
        """
        gone = [(old, "replaced") for old in self._waiting if out.key and old.key == out.key]
        self._count += 1
        out.order = min([self._count, *(old.order for old, _ in gone if old.priority == out.priority)])
        if gone:
            self._waiting = [old for old in self._waiting if old.key != out.key]
        insort(self._waiting, out, key=_urgency)
        if len(self._waiting) > QUEUE_MAX:
            gone.append((self._waiting.pop(), "queue_full"))
        return gone

    def take(self) -> Outgoing | None:
        """The most urgent call, or None."""
        return self._waiting.pop(0) if self._waiting else None

    def holds_safety(self) -> bool:
        """Whether a safety call waits."""
        return bool(self._waiting) and self._waiting[0].priority == SAFETY

    def drain(self) -> list[Outgoing]:
        """Everything that waited, in order; the queue is empty afterwards."""
        waiting, self._waiting = self._waiting, []
        return waiting


def _urgency(out: Outgoing) -> tuple[int, int]:
    return (out.priority, out.order)
