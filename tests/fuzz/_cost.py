"""``python -m tests.fuzz._cost [SECONDS] [SEED] [WAY...]``: hunts for the input that costs most for its
octets; part of ``make fuzz``.

A population of inputs for each way in (``_ways``) is inflated, nested and repeated; those that cost most are
varied further. Exit 1 when one costs more than the bound: processor time and memory
for each 64 KiB on the wire, or part of them. The administrator's own files are read once, at the start, and
may cost more.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import logging
import sys
import time
import tracemalloc
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog

from tests.fuzz._ways import UNIT, Way, every_way, to_json
from tests.fuzz.ocpp import _spots

KEPT: Final = 12
LARGEST: Final = 256 << 10
FOUND: Final = Path("build/fuzz")

TEXTS: Final = ("a", "\0", '"', "\\", "\N{SNOWMAN}", "\N{GRINNING FACE}", "9", " ", ",", "[")


def grown(value: Any, dice: Random) -> Any:
    """``value`` with one or two of its parts repeated, lengthened, nested or given many names."""
    if isinstance(value, str):
        return _grown_text(value, dice)
    made = deepcopy(value)
    for _ in range(dice.choice((1, 1, 2))):
        spots = list(_spots(made))[:5_000]
        if not spots:
            return made
        holder, key = dice.choice(spots)
        holder[key] = _part(holder[key], dice)
    return made


def _part(part: Any, dice: Random) -> Any:
    times = dice.choice((2, 50, 1_000, 10_000, 60_000))
    match dice.randrange(6):
        case 0 if isinstance(part, list) and part:
            return [*part, *([part[-1]] * min(times, LARGEST // (4 + len(to_json(part[-1])))))]
        case 1 if isinstance(part, dict):
            return part | {f"k{n}": 0 for n in range(times)}
        case 2:
            return dice.choice(TEXTS) * times
        case 3:
            return [dice.choice(({}, [], 0, "", None, {"a": 1}, [[]], "x", 1e308, -1))] * times
        case 4:
            for _ in range(min(times, 150)):
                part = [part]
            return part
    return dice.choice((10 ** min(times, 4_000), 2**63, "9" * times, "2026-03-01T12:00:00Z", "0.1", True))


def _grown_text(text: str, dice: Random) -> str:
    lines = text.splitlines(keepends=True)
    at, many = dice.randrange(len(lines)), dice.choice((2, 50, 1_000))
    block = lines[at : at + dice.choice((1, 1, 8, 20))]
    odd = dice.choice(
        [
            dice.choice(TEXTS) * many + "\n",
            lines[at].rstrip("\n") + dice.choice((",", ";", " ", "9", '"')) * many + "\n",
            "[" * many + "\n",
            f"k = {'[' * many}\n",
            f'k = "{"a" * many}"\n',
            f"{'a.' * many}b = 1\n",
            "[[evses]]\n" * many,
        ]
    )
    return "".join(lines[:at] + (block * many if dice.random() < 0.6 else [odd]) + lines[at:])[: 4 * UNIT]


def cost_s(way: Way, octets: bytes, times: int = 1) -> float:
    """Processor time for each unit on the wire: the least of a few runs, for this machine has other work
    too.
    """
    found = []
    for _ in range(times):
        begun_s = time.process_time()
        way.run(octets)
        found.append(time.process_time() - begun_s)
    return min(found) / -(-len(octets) // UNIT)


def memory(way: Way, octets: bytes) -> float:
    """Peak of what is allocated, for each unit."""
    tracemalloc.start()
    way.run(octets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / -(-len(octets) // UNIT)


def hunt(way: Way, seconds: float, seed: int) -> bool:
    """Whether the worst that was found is within the bounds; it is kept in ``build/fuzz`` where it is not."""
    dice = Random(f"{seed}/{way.name}")
    alive: list[tuple[float, Any]] = [(0.0, seed_value) for seed_value in way.seeds]
    end_s, tries = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        try:
            value = grown(dice.choice(alive)[1], dice)
            octets = way.octets(value)
        except RecursionError:
            continue
        if not 0 < len(octets) <= LARGEST:
            continue
        tries += 1
        alive.append((cost_s(way, octets), value))
        if len(alive) > len(way.seeds) + 2 * KEPT:
            best = sorted(alive, key=lambda each: -each[0])[:KEPT]
            alive = best + [(0.0, each) for each in way.seeds]
    worst = sorted(alive, key=lambda each: -each[0])[:4]
    judged = [
        (cost_s(way, octets, 5), memory(way, octets), octets)
        for _, value in worst
        if (octets := way.octets(value))
    ]
    cpu_s, most = max(each[0] for each in judged), max(each[1] for each in judged)
    ok = cpu_s <= way.cpu_max_s and most <= way.memory_max
    print(
        f"{'ok    ' if ok else 'PASSED'} {way.name:<26} {1e3 * cpu_s:7.2f} ms {most / 2**20:6.2f} MiB for 64"
        f" KiB; {tries} tries",
        flush=True,
    )
    if not ok:
        FOUND.mkdir(parents=True, exist_ok=True)
        for place, (_, _, octets) in enumerate(judged):
            (FOUND / f"cost-{way.name.replace(' ', '-')}-{place}").write_bytes(octets)
    return ok


def main() -> int:
    """Every way in turn."""
    seconds, seed = float((sys.argv[1:2] or ["60"])[0]), int((sys.argv[2:3] or ["1"])[0])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    named = sys.argv[3:]
    ways = [way for way in every_way() if not named or any(name in way.name for name in named)]
    judged = [hunt(way, seconds / len(ways), seed) for way in ways]
    return 0 if all(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
