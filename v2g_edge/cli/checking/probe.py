"""Asks the devices of a site file once, and says in words what is wrong: refused, no route, name not
found, timeout.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from v2g_edge.config import Problem
from v2g_edge.field.modbus.codec import Block
from v2g_edge.field.modbus.contact import FUNCTIONS
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.field.modbus.meter import find_sunspec_meter
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.settings import ModbusDevice, ModbusLine, Settings

CONNECT_S: Final = 3.0
"""A device in the same building answers within milliseconds; across a site's tunnel within a second."""
WORDS: Final = {
    errno.ECONNREFUSED: (
        "connection refused",
        "Nothing listens there: is Modbus TCP switched on, is the port right?",
    ),
    errno.EHOSTUNREACH: ("no route", "Is the device on, is its address in a network of this machine?"),
    errno.ENETUNREACH: ("no route", "This machine has no way into that network."),
    errno.ETIMEDOUT: ("timeout", "No answer: check address, cable, firewall."),
    errno.ECONNRESET: ("hung up at once", "Too many clients at the device, or a device of another kind."),
}


async def probe(settings: Settings, file: str, maps: Path) -> list[Problem]:
    """One problem for each line that cannot be reached and each device that does not answer on one that
    can.
    """
    reached: dict[str, bool] = {}
    found: list[Problem] = []
    for line in settings.lines:
        problem = await _line(line, file)
        reached[line.id] = problem is None
        found += [problem] if problem is not None else []
    lines = {line.id: line for line in settings.lines}
    for device in settings.devices:
        if reached.get(device.line):
            found += [problem async for problem in _device(device, lines[device.line], file, maps)]
    return found


async def _line(line: ModbusLine, file: str) -> Problem | None:
    """A serial port is opened with the first question; only networks can be asked before."""
    if line.transport == "rtu":
        return None
    key = f"lines.{line.id}.host"
    place = f"{line.host}:{line.port}"
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(line.host, line.port)
            writer.close()
    except TimeoutError:
        return Problem(file, key, f"{place}: timeout", "a device that answers", WORDS[errno.ETIMEDOUT][1])
    except socket.gaierror:
        allowed = "a name that this machine can resolve"
        return Problem(
            file, key, f"{place}: name not found", allowed, "Write the address, or see to the name."
        )
    except OSError as error:
        words, mend = WORDS.get(
            error.errno or 0, ((error.strerror or str(error)).lower(), "See to the network.")
        )
        return Problem(file, key, f"{place}: {words}", "a device that answers", mend)
    return None


async def _device(device: ModbusDevice, line: ModbusLine, file: str, maps: Path) -> AsyncIterator[Problem]:
    """The first block of its map, once; or of SunSpec, whether it says so."""
    wire = Wire(line, SystemClock())
    peer = Peer(wire, device.unit, shared=True)
    where = f"unit {device.unit} on {line.id}"
    try:
        fault = await _asked(device, peer, maps)
    finally:
        wire.hang_up()
    if fault is not None:
        yield Problem(
            file,
            f"devices.{device.id}",
            f"{where}: {fault.why}",
            f"an answer as map {device.map} asks",
            _mend(fault),
        )


async def _asked(device: ModbusDevice, peer: Peer, maps: Path) -> Fault | None:
    if device.role == "contact":
        function = FUNCTIONS[device.map]
        answer = await peer.read(function, device.channel // 16 if function >= 3 else device.channel, 1)
        return answer if isinstance(answer, Fault) else None
    if device.map == "sunspec":
        models = await find_sunspec_meter(peer) if device.role == "meter" else await peer.read(3, 40_000, 2)
        return models if isinstance(models, Fault) else None
    for block in load_map(device.map, maps).blocks[:1]:
        answer = await _block(peer, block)
        if isinstance(answer, Fault):
            return answer
    return None


async def _block(peer: Peer, block: Block) -> Sequence[int] | Fault:
    return await peer.read(block.function, block.address, block.count)


def _mend(fault: Fault) -> str:
    if fault.kind == "refused":
        return "It answers and has no such register: another map, or another unit behind the same address."
    if fault.kind == "garbled":
        return "Bytes came and no frame: baud, parity, stop bits, or two devices with one unit."
    return "Nothing came: its unit, and on a serial line A and B, baud and parity."
