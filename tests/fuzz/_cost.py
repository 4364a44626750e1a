"""``python -m tests.fuzz._cost [SECONDS] [SEED] [WAY...]``: hunts for the input that costs most for its
octets; part of ``make fuzz``.

A population of inputs for each way in (``_ways``) is inflated, nested and repeated; those that cost most
processor time, memory or output are varied further. Exit 1 when one costs more than the bound, for each 64
KiB on the wire or part of them. The administrator's own files are read once, at the start, and may cost
more.

What is measured is processor time, and the least of many runs: other work on the machine makes a run dearer
(caches, shared cores), never cheaper.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import gc
import logging
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from tests.fuzz._ways import UNIT, Way, every_way, to_json
from tests.fuzz.ocpp import _spots

KEPT: Final = 12
"""Inputs that are kept of each measure, to be varied further."""
SHARE_KEPT: Final = 0.6
"""Of the tries, how many vary what is already costly; the others begin at a seed."""
LARGEST: Final = 256 << 10
WEIGHED_EVERY: Final = 5
"""Memory is measured of one try in so many: tracing it takes five times as long as the run itself."""
ROUNDS: Final = 8
"""Times that the worst are measured at the end, in turns, so that one busy second does not judge any."""
AGAIN: Final = 100
PAUSE_S: Final = 0.3
"""What is above the bound then is measured so often again, half a minute long: a core that is shared with
other work takes twice the time for the same input, for seconds on end.
"""
FOUND: Final = Path("build/fuzz")

PLAIN_MAX: Final = 1 << 20
"""Octets before they are deflated: a link inflates no more, and what is longer takes seconds to make."""

TEXTS: Final = ("a", "\0", '"', "\\", "\N{SNOWMAN}", "\N{GRINNING FACE}", "9", " ", ",", "[", "e308")


def grown(value: Any, dice: Random) -> Any:
    """``value`` with one or two of its parts repeated, lengthened, nested or given many names."""
    if isinstance(value, str):
        return _grown_text(value, dice)
    made = value
    for _ in range(dice.choice((1, 1, 2))):
        # A copy, in a fortieth of the time that copying takes. A part that was repeated is one object in many
        # places: grown once more without a copy it would grow in all of them, to gigabytes.
        made = msgspec.json.decode(to_json(made))
        spots = list(islice(_spots(made), 5_000))
        if not spots:
            return made
        holder, key = dice.choice(spots)
        holder[key] = _part(holder[key], dice)
    return made


def _part(part: Any, dice: Random) -> Any:
    times = dice.choice((2, 50, 1_000, 10_000, 60_000))
    if len(to_json(part)) > LARGEST:
        return None  # it has grown enough; copies of copies would take longer to make than to judge
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


def _units(octets: bytes) -> int:
    return -(-len(octets) // UNIT)


def played(way: Way, octets: bytes, times: int = 1) -> tuple[float, float]:
    """For each unit on the wire: processor time, the least of a few runs, and octets of the answers."""
    found, said = [], 0
    gc.disable()  # a collection of what other inputs left would count for this one
    for _ in range(times):
        begun_s = time.process_time()
        said = way.run(octets)
        found.append(time.process_time() - begun_s)
    gc.enable()
    return min(found) / _units(octets), said / _units(octets)


def memory(way: Way, octets: bytes) -> float:
    """Peak of what is allocated, for each unit."""
    tracemalloc.start()
    way.run(octets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / _units(octets)


class Costs(NamedTuple):
    """What an input costs, or may cost, for each unit."""

    cpu_s: float
    memory: float
    output: float


class Population:
    """The inputs that are worst by one measure."""

    def __init__(self) -> None:
        self.worst: list[tuple[float, bytes, Any]] = []

    def offer(
        self, figure: float, octets: bytes, value: Any, again: Callable[[], float] | None = None
    ) -> None:
        """Keep it if it is among the worst; ``again`` measures once more before that is believed."""
        if len(self.worst) >= KEPT and figure <= self.worst[-1][0]:
            return
        if again is not None:
            figure = min(figure, again())
        if all(octets != kept for _, kept, _ in self.worst):
            self.worst = sorted([*self.worst, (figure, octets, value)], key=lambda each: -each[0])[:KEPT]


def hunt(way: Way, seconds: float, seed: int) -> bool:
    """Whether the worst that was found is within the bounds; it is kept in ``build/fuzz``."""
    dice = Random(f"{seed}/{way.name}")
    cpu, weight, said = Population(), Population(), Population()
    for value in way.seeds:
        way.run(way.octets(value))  # what is made on first use (validators, tables) is no input's cost
    end_s, tries = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        kept = [value for _, _, value in dice.choice((cpu, cpu, weight, said)).worst]
        try:
            value = grown(dice.choice(kept if kept and dice.random() < SHARE_KEPT else way.seeds), dice)
            plain, octets = to_json(value), way.octets(value)
        except RecursionError:
            continue
        if not 0 < len(octets) <= LARGEST or len(plain) > PLAIN_MAX:
            continue
        tries += 1
        cpu_s, answered = played(way, octets)
        cpu.offer(cpu_s, octets, value, partial(_again, way, octets))
        said.offer(answered, octets, value)
        if tries % WEIGHED_EVERY == 0:
            weight.offer(memory(way, octets), octets, value)
    return _judge(way, [octets for kind in (cpu, weight, said) for _, octets, _ in kind.worst[:4]], tries)


def _again(way: Way, octets: bytes) -> float:
    return played(way, octets, 4)[0]


def _judge(way: Way, worst: list[bytes], tries: int) -> bool:
    """Measure the worst once more, in turns, print the most and keep its input."""
    rounds = [[played(way, octets) for octets in worst] for _ in range(ROUNDS)]
    cpu_s = [min(each[place][0] for each in rounds) for place in range(len(worst))]
    for _ in range(AGAIN):
        dear = [place for place, took_s in enumerate(cpu_s) if took_s > way.bounds[0]]
        if not dear:
            break
        time.sleep(PAUSE_S)  # other work on the core ends meanwhile: what is measured is processor time
        for place in dear:
            cpu_s[place] = min(cpu_s[place], played(way, worst[place])[0])
    found = [
        Costs(each, memory(way, octets), said)
        for each, octets, (_, said) in zip(cpu_s, worst, rounds[0], strict=True)
    ]
    most = Costs(*(max(column) for column in zip(*found, strict=True)))
    ok = all(figure <= bound for figure, bound in zip(most, way.bounds, strict=True))
    print(
        f"{'ok    ' if ok else 'PASSED'} {way.name:<28} {1e3 * most.cpu_s:7.2f} ms"
        f" {most.memory / 2**20:6.2f} MiB {most.output / 1e3:7.1f} kB out for 64 KiB; {tries} tries",
        flush=True,
    )
    FOUND.mkdir(parents=True, exist_ok=True)
    for name, column in zip(Costs._fields, zip(*found, strict=True), strict=True):
        dearest = worst[max(range(len(worst)), key=column.__getitem__)]
        (FOUND / f"cost-{way.name.replace(' ', '-')}-{name}").write_bytes(dearest)
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
