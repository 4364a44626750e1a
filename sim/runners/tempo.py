"""How fast a demonstration may play on this machine, beside what else runs on it.

Two processes answer each other, as daemon and simulator do, with a little work each time. How long a round
takes beside the present load says by how much the clock must be slower, so that what is late is not the
machine.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from typing import Final

MEASURE_S: Final = 2.0
"""Real seconds: enough rounds for the slowest tenth of them, and short beside the minutes of the night."""

PAUSE_S: Final = 0.005
"""Between two rounds, so that each begins with a wake-up, as every message does."""

WORK: Final = 20_000
"""Additions in a turn: about a millisecond on a common machine, as a tick of one charger takes."""

GOOD_ROUND_S: Final = 0.010
"""A round that full speed allows: a reaction (poll, tick, write, answer) is several of them and has half a
real second.
"""

SLOWEST: Final = 4.0
"""Times real time. A night takes four hours then, and real devices are not faster."""


def measure_round_s(duration_s: float = MEASURE_S) -> float:
    """The time in which nine of ten rounds end, in real seconds."""
    command = [sys.executable, "-m", "sim.runners.tempo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as other:  # noqa: S603 - our own
        try:
            _round_s(other)  # until the other one has started
            ends_s, rounds = time.monotonic() + duration_s, [_round_s(other)]
            while time.monotonic() < ends_s:
                rounds.append(_round_s(other))
        finally:
            other.kill()
    return statistics.quantiles([*rounds, rounds[-1]], n=10)[-1]


def fitting_scale(wanted: float, round_s: float) -> float:
    """``wanted``, or as much less as rounds are longer than ``GOOD_ROUND_S``; whole numbers, at least
    ``SLOWEST``.
    """
    if round_s <= GOOD_ROUND_S:
        return wanted
    return min(wanted, max(SLOWEST, float(int(wanted * GOOD_ROUND_S / round_s))))


def slowed_words(wanted: float, scale: float) -> str:
    """What the report says of a clock that was slowed; "" of one that was not."""
    return "" if scale >= wanted else f"The machine was busy: played at {scale:g}× instead of {wanted:g}×."


def late_words(log: str) -> str:
    """What the report says when the daemon's log tells of lost time; "" otherwise."""
    times = sum("time_lost" in line for line in log.splitlines())
    if not times:
        return ""
    return (
        f"The daemon lost time {times} times (`time_lost` in its log): the machine was too busy for this"
        " speed. What is late or missed above may come of that; play it again with less beside it, or with a"
        " smaller --scale."
    )


def _round_s(other: "subprocess.Popen[bytes]") -> float:
    assert other.stdin is not None  # noqa: S101 - both are pipes
    assert other.stdout is not None  # noqa: S101
    began_s = time.monotonic()
    time.sleep(PAUSE_S)  # a round waits as a tick does: how late it comes back is what is measured
    _work()
    other.stdin.write(b"?")
    if other.stdout.read(1) != b"!":
        raise RuntimeError("the process that the speed is measured with has ended")
    return max(time.monotonic() - began_s - PAUSE_S, 0.0)


def _work() -> int:
    return sum(range(WORK))


def _answer() -> None:
    """The other process: works, answers, and ends when the questions end."""
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        while os.read(0, 1):
            _work()
            os.write(1, b"!")


if __name__ == "__main__":
    _answer()
