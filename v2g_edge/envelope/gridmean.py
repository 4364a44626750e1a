"""The moving mean of phase voltages that some codes judge overvoltage by, in three-second steps and bounded memory."""

from typing import Final

from msgspec import Struct

BUCKET_S: Final = 3.0
"""EN 50549-1 wants a new ten-minute mean at least every 3 s (unverified); 200 buckets hold ten minutes at any sampling."""

Phases = tuple[float, float, float]
NONE: Final[Phases] = (0.0, 0.0, 0.0)


class MeanMemory(Struct, frozen=True):
    """``closed`` are (start in s, mean V by phase), the open one began at ``start_s``; ``means`` is () before any sample."""

    closed: tuple[tuple[float, Phases], ...] = ()
    closed_sum: Phases = NONE
    start_s: float = 0.0
    open_sum: Phases = NONE
    count: int = 0
    last: Phases | None = None
    means: tuple[float, ...] = ()


def mean_add(memory: MeanMemory, at_s: float, volts: tuple[float | None, ...], window_s: float) -> MeanMemory:
    """Take a sample of three phases in V. An unknown phase counts with its last known value: silence moves no mean."""
    if memory.last is None and None in volts:
        return memory
    known = [old if new is None else new for new, old in zip(volts, memory.last or NONE, strict=True)]
    last: Phases = (known[0], known[1], known[2])
    closed, closed_sum, start_s, open_sum, count = memory.closed, memory.closed_sum, memory.start_s, memory.open_sum, memory.count
    if count and at_s - start_s >= BUCKET_S:
        bucket = (start_s, _scaled(open_sum, 1.0 / count))
        closed = (*(old for old in closed if old[0] > at_s - window_s), bucket)
        # Summed afresh, not added and taken away: rounding must not drift over months.
        closed_sum = _summed([means for _, means in closed])
        count, open_sum = 0, NONE
    start_s = start_s if count else at_s
    open_sum, count = _summed([open_sum, last]), count + 1
    means = _scaled(_summed([closed_sum, _scaled(open_sum, 1.0 / count)]), 1.0 / (len(closed) + 1))
    return MeanMemory(closed, closed_sum, start_s, open_sum, count, last, means)


def _summed(rows: list[Phases]) -> Phases:
    return (sum(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows))


def _scaled(row: Phases, factor: float) -> Phases:
    return (row[0] * factor, row[1] * factor, row[2] * factor)
