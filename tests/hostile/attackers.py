"""The hostile side, a process of its own: ``python -m tests.hostile.attackers PORT BROKER_PORT SOCKET SEED
STATION...``.

Everything stays on the loopback and ends with the process that started it.
"""

import asyncio
import contextlib
import json
import resource
import sys
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

IDLE_SOCKETS: Final = 2_000
IDLE_CONTROL: Final = 64
TURN_S: Final = 6.0
"""How long one way of being hostile is played before the next is drawn."""

BAD: Final = (OSError, WebSocketException, TimeoutError, EOFError, AttributeError)
"""How an attack ends; the client library sends into a connection that is gone with the last of them."""

Play = Callable[[str, int, Random], Awaitable[None]]


@contextlib.asynccontextmanager
async def dialled(name: str, port: int, dice: Random) -> Any:
    """A link of a station, in one of the versions."""
    versions = [Subprotocol(dice.choice(("ocpp1.6", "ocpp2.0.1", "ocpp2.1")))]
    async with connect(
        f"ws://127.0.0.1:{port}/{name}", subprotocols=versions, proxy=None, max_size=None
    ) as ws:
        reading = asyncio.create_task(_read(ws))
        try:
            yield ws
        finally:
            reading.cancel()


async def _read(ws: ClientConnection) -> None:
    with contextlib.suppress(*BAD):
        async for _ in ws:
            pass


def call(dice: Random, action: str, payload: Any) -> str:
    return json.dumps([2, f"h{dice.randrange(1 << 30)}", action, payload], separators=(",", ":"))


async def frames(name: str, port: int, dice: Random) -> None:
    """Hollow reports, odd payloads, nonsense, each compressed by the library."""
    async with dialled(name, port, dice) as ws:
        while True:
            rows = dice.choice((10, 5_000, 20_000, 170_000))
            payload = {
                "requestId": 1,
                "generatedAt": "2026-03-01T12:00:00Z",
                "seqNo": 0,
                "reportData": [{}] * rows,
            }
            odd = {"evseId": 1, "timeBase": "x", "chargingSchedule": {"x": "y" * dice.choice((10, 860_000))}}
            text = dice.choice((
                call(dice, "NotifyReport", payload), call(dice, "NotifyEVChargingSchedule", odd), "[" * 900,
                '[2,"x"]',
                call(dice, "StatusNotification", {"connectorId": "x"}), call(dice, "NoSuchAction", {}),
            ))  # fmt: skip
            await ws.send(text)


async def flood(name: str, port: int, dice: Random) -> None:
    """Right messages as fast as they go, with a status that flaps."""
    async with dialled(name, port, dice) as ws:
        while True:
            status = dice.choice(("Available", "Faulted", "Preparing"))
            v16 = {"connectorId": 1, "errorCode": "NoError", "status": status}
            await ws.send(call(dice, "StatusNotification", v16))
            await ws.send(call(dice, "Heartbeat", {}))


async def bomb(name: str, port: int, dice: Random) -> None:
    """Megabytes that are a kilobyte on the wire."""
    async with dialled(name, port, dice) as ws:
        while True:
            await ws.send(
                call(
                    dice,
                    "DataTransfer",
                    {"vendorId": "v", "data": "\0" * dice.choice((60_000, 250_000, 1_000_000))},
                )
            )


async def take_over(name: str, port: int, dice: Random) -> None:
    """The same name again and again."""
    while True:
        async with dialled(name, port, dice) as ws:
            await ws.send(call(dice, "Heartbeat", {}))


async def boots(name: str, port: int, dice: Random) -> None:
    """A boot after another, under ever new names of makes."""
    async with dialled(name, port, dice) as ws:
        while True:
            await ws.send(
                call(
                    dice,
                    "BootNotification",
                    {"chargePointVendor": "v", "chargePointModel": f"m{dice.random()}"},
                )
            )
            station = {"vendorName": "v", "model": f"m{dice.random()}"}
            await ws.send(call(dice, "BootNotification", {"reason": "PowerUp", "chargingStation": station}))
            await asyncio.sleep(0.01)


async def pings(name: str, port: int, dice: Random) -> None:
    """Pings as fast as they go, from one that reads nothing."""
    async with dialled(name, port, dice) as ws:
        ws.transport.pause_reading()
        frame = b"\x89\xfd\0\0\0\0" + b"p" * 125
        while True:
            ws.transport.write(frame * 64)
            await asyncio.sleep(0.01)


async def fragments(name: str, port: int, dice: Random) -> None:
    """A message of which each octet is a frame of its own, and some are empty."""
    async with dialled(name, port, dice) as ws:
        while True:
            text = call(dice, "Heartbeat", {}).encode() * dice.choice((1, 200))
            ws.transport.write(b"\x01\x80\0\0\0\0")
            for octet in text:
                ws.transport.write(b"\x00\x81\0\0\0\0" + bytes((octet,)) + b"\x00\x80\0\0\0\0")
            ws.transport.write(b"\x80\x80\0\0\0\0")
            await asyncio.sleep(0.01)


async def numbers(name: str, port: int, dice: Random) -> None:
    """Numbers that take long to read, lists where a word belongs, names without end."""
    async with dialled(name, port, dice) as ws:
        while True:
            many = dice.choice((1_000, 10_000))
            odd = dice.choice(([1e308] * many, ["x"] * many, {f"k{n}": 0 for n in range(many)}, 10**4_000))
            await ws.send(
                call(
                    dice, dice.choice(("Authorize", "StartTransaction", "StatusNotification")), {"idTag": odd}
                )
            )
            await ws.send(call(dice, "Authorize", {"idToken": {"idToken": odd, "type": "Central"}}))


async def half_handshake(name: str, port: int, dice: Random) -> None:
    """Requests that never end, and strangers."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /{dice.choice((name, 'stranger'))} HTTP/1.1\r\nHost: a\r\n".encode()
        writer.write(head + b"X: " + b"a" * dice.choice((10, 7_000)) + dice.choice((b"\r\n\r\n", b"")))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1_000), 0.2)
        writer.close()


WAYS: Final[tuple[Play, ...]] = (
    frames, flood, bomb, take_over, boots, half_handshake, pings, fragments, numbers,
)  # fmt: skip


async def station(name: str, port: int, dice: Random) -> None:
    """One hostile station: ways of being so, in a drawn order."""
    while True:
        way = dice.choice(WAYS)
        with contextlib.suppress(*BAD):
            async with asyncio.timeout(TURN_S):
                await way(name, port, dice)
        await asyncio.sleep(0.05)


async def idle_sockets(port: int) -> None:
    """Opened, never used; opened again when they are closed."""
    held: list[asyncio.StreamWriter] = []
    while True:
        held = [writer for writer in held if not writer.is_closing()]
        for _ in range(min(IDLE_SOCKETS - len(held), 100)):
            with contextlib.suppress(*BAD):
                held.append((await asyncio.open_connection("127.0.0.1", port))[1])
        await asyncio.sleep(0.2)


async def idle_control(path: str) -> None:
    """Local users that connect and never ask."""
    held: list[asyncio.StreamWriter] = []
    while True:
        held = [writer for writer in held if not writer.is_closing()]
        while len(held) < IDLE_CONTROL:
            with contextlib.suppress(*BAD):
                held.append((await asyncio.open_unix_connection(path))[1])
        await asyncio.sleep(0.5)


async def rude_broker(port: int, dice: Random) -> None:
    """Whoever connects gets nonsense, silence, an end, or a promise of 256 MB."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = b"\x20\x02\x00\x00"
        say = dice.choice(
            (b"", b"\xff" * 4_096, accepted + b"\x30\xff\xff\xff\x7f" + b"x" * 65_536, accepted * 1_000)
        )
        with contextlib.suppress(*BAD):
            await asyncio.wait_for(reader.read(10), 5.0)
            writer.write(say)
            await asyncio.sleep(dice.choice((0.0, 1.0, 30.0)))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


async def main() -> None:
    """Until killed."""
    port, broker, path, seed = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    stations = [station(name, port, Random(f"{seed}/{name}")) for name in sys.argv[5:]]
    await asyncio.gather(*stations, idle_sockets(port), idle_control(path), rude_broker(broker, Random(seed)))


if __name__ == "__main__":
    asyncio.run(main())
