"""``python -m tests.fuzz._cost [SECONDS] [SEED]``: hunts for the input that costs most for its octets; part
of ``make fuzz``.

A population of inputs for each way in (OCPP of all versions, strict and lenient, plain and deflated; a
cloud's plan; a line on the control socket; a register map; a site file) is inflated, nested and repeated;
those that cost most are varied further. Exit 1 when one costs more than the bound: processor time and memory
for each 64 KiB on the wire, or part of them. The administrator's own files are read once, at the start, and
may cost more.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import contextlib
import logging
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
import structlog
import tomli
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode

from tests.cloud.plans import WALL_S, plan_dict
from tests.config.small import TEXT
from tests.depot import small_site
from tests.field.ocpp.samples import sample
from tests.fuzz.ocpp import UNREADABLE, Target, _spots
from v2g_edge.cloud.inbox import receive_plan
from v2g_edge.config.load import loads
from v2g_edge.config.problems import ConfigError
from v2g_edge.field.modbus.mapcheck import available_maps, parse_map
from v2g_edge.field.modbus.mapfile import MapError
from v2g_edge.field.ocpp.wire.budget import BoundedDeflate
from v2g_edge.field.ocpp.wire.events import CallIn, SendIn
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import FROM_STATION, VERSIONS
from v2g_edge.host.control import ControlSocket

UNIT: Final = 64 << 10
CPU_MAX_S: Final = 0.005
MEMORY_MAX: Final = 4 << 20
OWN_MAX: Final = (0.25, 64 << 20)
"""The same for the administrator's own files."""

KEPT: Final = 12
LARGEST: Final = 256 << 10
FOUND: Final = Path("build/fuzz")

TEXTS: Final = ("a", "\0", '"', "\\", "\N{SNOWMAN}", "\N{GRINNING FACE}", "9", " ", ",", "[")


class Way(NamedTuple):
    """One way in: ``seeds`` are JSON-like values, ``octets`` turns one into what is on the wire, ``run``
    takes that in.
    """

    name: str
    seeds: list[Any]
    octets: Callable[[Any], bytes]
    run: Callable[[bytes], None]
    cpu_max_s: float = CPU_MAX_S
    memory_max: int = MEMORY_MAX


def ocpp_ways() -> Iterator[Way]:
    """Each version, plain and deflated; strict and lenient sides see the same frames."""
    for version in VERSIONS:
        target = Target()
        seeds = [
            [2, "1", action, sample(version, action, "request")] for action in sorted(FROM_STATION[version])
        ]
        for strict in (True, False):
            sides = [
                side for side in target._sides if side[0].version == version and side[0].strict is strict
            ]
            name = f"ocpp {version} {'strict' if strict else 'lenient'}"
            yield Way(name, seeds, _json, partial(_handled, sides))
            yield Way(f"{name} deflated", seeds, _deflated, partial(_inflated_handled, sides))


def _handled(sides: list[tuple[Machine, Any]], frame: bytes) -> None:
    """As a link does: read, judged, handled, answered."""
    for machine, adapter in sides:
        machine.receive(frame.decode("utf-8", "replace"), 0.0)
        for event in machine.events():
            if isinstance(event, CallIn):
                try:
                    machine.answer(event.id, adapter.answer(event.action, event.payload))
                except UNREADABLE:
                    machine.refuse(event.id, "FormatViolation")
            elif isinstance(event, SendIn) and hasattr(adapter, "take_stream"):
                with contextlib.suppress(*UNREADABLE):
                    adapter.take_stream(event.payload)
        machine.frames()


def _inflated_handled(sides: list[tuple[Machine, Any]], data: bytes) -> None:
    _handled(sides, _inflated(data))


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _deflated(value: Any) -> bytes:
    packer = zlib.compressobj(wbits=-11, memLevel=8)
    return (packer.compress(_json(value)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _inflated(data: bytes) -> bytes:
    try:
        return bytes(BoundedDeflate(True, True, 11, 11).decode(Frame(Opcode.TEXT, data, True, True)).data)
    except WebSocketException:
        return b""  # the link is closed


def other_ways() -> Iterator[Way]:
    """MQTT, the control socket, register maps, the site file."""
    site = small_site()
    yield Way("mqtt plan", [plan_dict()], _json, lambda data: _quiet(receive_plan, data, site, 0, WALL_S))
    control, loop = ControlSocket("", {"status": _nothing, "operate": _nothing}), asyncio.new_event_loop()
    client: Any = type("Client", (), {"reserved": True})
    ask = [{"id": 1, "method": "operate", "params": {"stop": True}}, {"id": "x", "method": "status"}]
    yield Way(
        "control socket", ask, _json, lambda data: loop.run_until_complete(_asked(control, data, client))
    )
    maps = [tomli.loads(path.read_text(encoding="utf-8")) for path in available_maps().values()]
    yield Way(
        "register map",
        maps,
        _json,
        lambda data: _quiet(parse_map, "fuzz", "fuzz.toml", msgspec.json.decode(data)),
        0.25,
        64 << 20,
    )
    yield Way(
        "site file",
        [TEXT],
        str.encode,
        lambda data: _quiet(loads, data.decode("utf-8", "replace")),
        0.25,
        64 << 20,
    )


async def _nothing(_params: dict[str, Any]) -> dict[str, Any]:
    return {}


async def _asked(control: ControlSocket, data: bytes, client: Any) -> None:
    msgspec.json.encode(await control._answer(data, client))


def _quiet(call: Callable[..., Any], *arguments: Any) -> None:
    with contextlib.suppress(ConfigError, MapError, *UNREADABLE, RecursionError):
        call(*arguments)


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
            return [*part, *([part[-1]] * min(times, LARGEST // (4 + len(_json(part[-1])))))]
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
    ways = [*ocpp_ways(), *other_ways()]
    judged = [hunt(way, seconds / len(ways), seed) for way in ways]
    return 0 if all(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
