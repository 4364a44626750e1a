"""``v2g-edge modbus``: look at a device before it goes into the site file. Reads only."""

import argparse
import asyncio
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.field.modbus import sunspec
from v2g_edge.field.modbus.codec import Decoder
from v2g_edge.field.modbus.map_parser import available_maps, load_map
from v2g_edge.field.modbus.meter import find_sunspec_meter
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.plausibility import sum_verdict
from v2g_edge.field.modbus.register_map import MapError, RegisterMap
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.reading import NO_SAMPLE, Measured, Reading
from v2g_edge.model.settings import ModbusLine

LAST_UNIT: Final = 247
"""Highest address on a serial line (Modbus over Serial Line V1.02, 2.2)."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("modbus", help="scan, read, watch a device; test a register map")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    scan = verbs.add_parser("scan", help="which units answer, and what SunSpec models they have")
    _place(scan)
    scan.add_argument("--first", type=int, default=1, help="first unit (default 1)")
    scan.add_argument("--last", type=int, default=10, help="last unit (default 10)")
    for name, text in (("read", "every value of a map, once"), ("watch", "the same again and again")):
        verb = verbs.add_parser(name, help=text)
        _place(verb)
        verb.add_argument("--unit", type=int, default=1)
        verb.add_argument("--map", default="sunspec", help='register map, or "sunspec" (default)')
        verb.add_argument("--maps", type=Path, help="folder of the site's own maps")
        if name == "watch":
            verb.add_argument("--every", type=float, default=1.0, metavar="S", help="period (default 1)")
            verb.add_argument("--count", type=int, default=0, help="rounds (default: until Ctrl-C)")
    test = verbs.add_parser("map-test", help="check register maps; without a name: all of them")
    test.add_argument("map", nargs="*")
    test.add_argument("--maps", type=Path, help="folder of the site's own maps")
    parser.set_defaults(run=run)


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", help="HOST, HOST:PORT, or a serial port such as /dev/ttyUSB0")
    parser.add_argument("--baud", type=int, default=38_400)
    parser.add_argument("--parity", choices=("N", "E", "O"), default="N")
    parser.add_argument("--tls-ca", default="", help="CA file: use TLS")
    parser.add_argument("--timeout", type=float, default=0.5, metavar="S")


def run(arguments: argparse.Namespace) -> int:
    """0 when everything asked for was read; 1 when something was not; 2 for a map that cannot be used."""
    if arguments.verb == "map-test":
        return _map_test(arguments.map, arguments.maps)
    line = line_of(arguments)
    actions = {"scan": _scan, "read": _read, "watch": _watch}
    with asyncio.Runner() as runner:
        return runner.run(actions[arguments.verb](Wire(line, SystemClock()), arguments))


def line_of(arguments: argparse.Namespace) -> ModbusLine:
    """The line that ``place`` means. CommandError for a port that is none."""
    if arguments.place.startswith("/"):
        return ModbusLine(
            arguments.place, "rtu", serial_port=arguments.place, baud=arguments.baud, parity=arguments.parity,
            timeout_s=arguments.timeout,
        )  # fmt: skip
    host, _, port = (
        arguments.place.rpartition(":") if arguments.place.count(":") == 1 else (arguments.place, "", "502")
    )
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise CommandError(
            f"{arguments.place}: {port!r} is no port; HOST:PORT with a port of 1 to 65535", BAD_INPUT
        )
    line = ModbusLine(
        arguments.place, host=host, port=int(port), ca_file=arguments.tls_ca, timeout_s=arguments.timeout
    )
    return replace(line, transport="tls") if arguments.tls_ca else line


async def _scan(wire: Wire, arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.first <= arguments.last <= LAST_UNIT:
        raise CommandError(
            f"units {arguments.first}..{arguments.last}: 0 to {LAST_UNIT} are possible", BAD_INPUT
        )
    found = 0
    for unit in range(arguments.first, arguments.last + 1):
        peer = Peer(wire, unit, shared=True)
        models = await sunspec.discover(peer.read)
        if not isinstance(models, Fault):
            names = ", ".join(str(model.id) for model in models)
            place = f" at {models[0].address - 2}, models {names}" if models else ", empty"
            print(f"unit {unit}: SunSpec{place}")
        elif peer.link.ever_seen:
            print(f"unit {unit}: answers, no SunSpec ({models.why})")
        else:
            continue
        found += 1
    wire.hang_up()
    print(f"{found} of {arguments.last - arguments.first + 1} units answer at {arguments.place}")
    return DONE if found else FAILED


async def _decoders(peer: Peer, arguments: argparse.Namespace) -> list[Decoder]:
    if arguments.map == "sunspec":
        found = await find_sunspec_meter(peer)
        if isinstance(found, Fault):
            raise CommandError(f"{arguments.place} unit {arguments.unit}: {found.why}")
        return [Decoder(block) for block in found.blocks]
    try:
        layout = load_map(arguments.map, arguments.maps)
    except MapError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    if not layout.blocks:
        raise CommandError(f"map {arguments.map} has nothing to read", BAD_INPUT)
    return [Decoder(block) for block in layout.blocks]


async def _round(peer: Peer, decoders: list[Decoder]) -> dict[str, Measured]:
    values: dict[str, Measured] = {}
    for decoder in decoders:
        block = decoder.block
        answer = await peer.read(block.function, block.address, block.count)
        values |= decoder.unknown(answer.why) if isinstance(answer, Fault) else decoder.decode(answer, 0.0)
    return values


def _lines(values: dict[str, Measured]) -> list[str]:
    lines = [
        (
            f"  {name:<20} {value.value:14.3f}"
            if isinstance(value, Reading)
            else f"  {name:<20} unknown: {value.why}"
        )
        for name, value in values.items()
    ]
    phases = [values.get(f"power_l{phase}_w", NO_SAMPLE) for phase in (1, 2, 3)]
    doubt = sum_verdict(values.get("power_w", NO_SAMPLE), phases)
    return [*lines, f"  doubtful: {doubt}"] if doubt else lines


async def _read(wire: Wire, arguments: argparse.Namespace) -> int:
    peer = Peer(wire, arguments.unit, shared=True)
    values = await _round(peer, await _decoders(peer, arguments))
    print("\n".join(_lines(values)))
    wire.hang_up()
    return DONE if any(isinstance(value, Reading) for value in values.values()) else FAILED


async def _watch(wire: Wire, arguments: argparse.Namespace) -> int:
    peer = Peer(wire, arguments.unit, shared=True)
    decoders = await _decoders(peer, arguments)
    rounds, before = 0, None
    while arguments.count <= 0 or rounds < arguments.count:
        values = await _round(peer, decoders)
        rounds += 1
        same = " (identical to the last)" if values == before else ""
        latency_ms, loss_pct = 1000.0 * peer.latency_s, peer.link.loss_pct
        print(f"round {rounds}, answered in {latency_ms:.1f} ms, {loss_pct:.1f} % lost{same}")
        print("\n".join(_lines(values)), flush=True)
        before = values
        await asyncio.sleep(arguments.every)
    wire.hang_up()
    return DONE


def _map_test(names: list[str], folder: Path | None) -> int:
    wrong = 0
    for name in names or sorted(available_maps(folder)):
        try:
            print(_told(load_map(name, folder)))
        except MapError as error:
            wrong += 1
            print(error)
    return BAD_INPUT if wrong else DONE


def _told(layout: RegisterMap) -> str:
    registers = sum(block.count for block in layout.blocks)
    head = (
        f"{layout.id}: {layout.name}\n  {layout.kind}, {layout.status}; {len(layout.blocks)} blocks,"
        f" {registers} registers"
    )
    return f"{head}\n  source: {layout.source}"
