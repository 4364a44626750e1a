"""The moving mean of phase voltages that some codes judge overvoltage by, in three-second buckets."""

from typing import Final

from msgspec import Struct

BUCKET_S: Final = 3.0
"""EN 50549-1 wants a new ten-minute mean at least every 3 s (unverified); 200 buckets hold ten minutes at
any sampling.
"""

Phases = tuple[float, ...]


class MeanMemory(Struct, frozen=True):
    """``buckets`` are (start in s, samples, mean V by phase), the last one still open; ``last`` the last
    known V by phase.
    """

    buckets: tuple[tuple[float, int, Phases], ...] = ()
    last: Phases = ()
    means: Phases = ()


def mean_add(memory: MeanMemory, at_s: float, volts: tuple[float | None, ...], window_s: float) -> MeanMemory:
    """Take a sample of all phases in V. An unknown phase counts with its last known value: silence moves
    no mean.
    """
    if not memory.last and None in volts:
        return memory
    last = tuple(memory.last[phase] if volt is None else volt for phase, volt in enumerate(volts))
    buckets = memory.buckets
    if not buckets or at_s - buckets[-1][0] >= BUCKET_S:
        buckets = (*[bucket for bucket in buckets if bucket[0] > at_s - window_s], (at_s, 0, last))
    start_s, count, means = buckets[-1]
    means = tuple(mean + (volt - mean) / (count + 1) for mean, volt in zip(means, last, strict=True))
    buckets = (*buckets[:-1], (start_s, count + 1, means))
    return MeanMemory(
        buckets,
        last,
        tuple(sum(row) / len(buckets) for row in zip(*[bucket[2] for bucket in buckets], strict=True)),
    )
