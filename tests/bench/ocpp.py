"""The central system under load, beside the ``ocpp`` package's own server and a bare echo, in the same run.

Each server runs in a process of its own; the clients write ready-made frames and count answers, so that the
server is the bottleneck.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import psutil

from tests.bench._client import BareClient, masked
from tests.processes import start

CLIENTS: Final = 20
SECONDS: Final = 4.0
WINDOW_S: Final = 0.5
"""The best of many short windows counts, of ours and of the baselines: what else runs on the machine takes
caches and the core's other half away, and costs a large program more than a small one.
"""
ROUNDS: Final = 2
FRAMES: Final = 256

CROWD: Final = 1_000
EVERY_S: Final = 10.0
SETTLE_S: Final = 8.0
"""Stations connected at once, each sending a message this often, after the beginning has passed."""

AT: Final = "2026-03-01T12:00:00.000Z"
METER_16: Final = [
    {"value": "230.1", "measurand": "Voltage", "phase": "L1", "unit": "V", "context": "Sample.Periodic"},
    {"value": "230.3", "measurand": "Voltage", "phase": "L2", "unit": "V", "context": "Sample.Periodic"},
    {"value": "229.8", "measurand": "Voltage", "phase": "L3", "unit": "V", "context": "Sample.Periodic"},
    {
        "value": "15.9",
        "measurand": "Current.Import",
        "phase": "L1",
        "unit": "A",
        "context": "Sample.Periodic",
    },
    {
        "value": "16.0",
        "measurand": "Current.Import",
        "phase": "L2",
        "unit": "A",
        "context": "Sample.Periodic",
    },
    {"value": "11010.5", "measurand": "Power.Active.Import", "unit": "W", "context": "Sample.Periodic"},
    {
        "value": "123456",
        "measurand": "Energy.Active.Import.Register",
        "unit": "Wh",
        "context": "Sample.Periodic",
    },
    {"value": "55", "measurand": "SoC", "unit": "Percent", "location": "EV", "context": "Sample.Periodic"},
]


def frames(kind: str) -> list[bytes]:
    """The messages of one load, all different: repetitions would be a shorter way through a server."""
    made = []
    for n in range(FRAMES):
        at = f"2026-03-01T11:{n // 60:02d}:{n % 60:02d}.000Z"
        if kind == "meter16":
            payload: dict[str, Any] = {
                "connectorId": 1,
                "meterValue": [{"timestamp": at, "sampledValue": METER_16}],
            }
            made.append(json.dumps([2, f"m{n}", "MeterValues", payload]).encode())
            continue
        samples = [
            {key: value for key, value in sample.items() if key in ("measurand", "phase", "context")}
            | {"value": 1.5 * i + n}
            for i, sample in enumerate(METER_16)
        ]
        payload = {
            "eventType": "Updated", "timestamp": at, "triggerReason": "MeterValuePeriodic", "seqNo": n,
            "transactionInfo": {"transactionId": "t", "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": at, "sampledValue": samples}],
        }  # fmt: skip
        made.append(json.dumps([2, f"m{n}", "TransactionEvent", payload]).encode())
    return made


class Client(BareClient):
    """One station: the next message goes out when the answer to the last one is complete."""

    def __init__(self, path: str, subprotocol: str, messages: list[bytes]) -> None:
        super().__init__(path, subprotocol)
        self._messages = [masked(message) for message in messages]
        self.latencies: list[float] = []
        self._sent_s = 0.0

    def opened(self) -> None:
        self._next()

    def took(self, frame: bytes) -> None:
        if frame.startswith((b"[3", b"[4")) or self._echoed(frame):
            assert not frame.startswith(b"[4"), frame
            self.answers += 1
            self.latencies.append(time.perf_counter() - self._sent_s)
            self._next()

    def _echoed(self, frame: bytes) -> bool:
        return b'"MeterValues"' in frame[:40] or b'"TransactionEvent"' in frame[:40]

    def _next(self) -> None:
        self._sent_s = time.perf_counter()
        self.send(self._messages[self.answers % len(self._messages)])


async def load(
    port: int, subprotocol: str, messages: list[bytes], cpu_s: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """(answers a second of ``cpu_s`` in the best window, p99 of the answer time in ms)."""
    loop = asyncio.get_running_loop()
    clients = [Client(f"cp{n}", subprotocol, messages) for n in range(CLIENTS)]
    for client in clients:
        await loop.create_connection(lambda c=client: c, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(0.5)  # the warm-up: schemas compile on first use
    for client in clients:
        client.latencies.clear()
    rate = 0.0
    for _ in range(int(SECONDS / WINDOW_S)):
        before, started_s = sum(c.answers for c in clients), cpu_s()
        await asyncio.sleep(WINDOW_S)
        rate = max(rate, (sum(c.answers for c in clients) - before) / (cpu_s() - started_s))
    late = sorted(value for c in clients for value in c.latencies)
    for client in clients:
        if client.transport is not None:
            client.transport.abort()
    return rate, 1000.0 * late[int(len(late) * 0.99)] if late else float("inf")


async def serve_ours(_version: str) -> None:
    """Our central system, with its board and its store on disk."""
    import structlog  # noqa: PLC0415 - each server loads only what it needs

    from tests.depot import small_site  # noqa: PLC0415
    from tests.field.ocpp.peer import Clock  # noqa: PLC0415
    from v2g_edge.field.board import Board  # noqa: PLC0415
    from v2g_edge.field.ocpp.server import CentralSystem  # noqa: PLC0415
    from v2g_edge.field.ocpp.wire import budget  # noqa: PLC0415
    from v2g_edge.model.settings import Listener, StationEvse, StationSettings  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    vars(budget).update(
        OCTETS_PER_S=1 << 40
    )  # a station that talks as fast as it can is held back; here its speed is measured
    site = small_site(CROWD)
    stations = [StationSettings(f"cp{n}", (StationEvse(f"b{n + 1}"),), strict=True) for n in range(CROWD)]
    with tempfile.TemporaryDirectory() as folder:
        board = Board(site, lambda: None)
        system = CentralSystem(
            [Listener("127.0.0.1", 0, 0)], stations, site, board, Clock(), state_dir=Path(folder)
        )
        await system.start()
        print(system.bound_port(), flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def serve_package(version: str) -> None:
    """The ``ocpp`` package's ``ChargePoint`` as a server, as its documentation shows it."""
    import logging  # noqa: PLC0415

    from ocpp.routing import on  # noqa: PLC0415
    from websockets import Subprotocol  # noqa: PLC0415
    from websockets.asyncio.server import serve  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    if version == "1.6":
        from ocpp.v16 import ChargePoint, call_result  # noqa: PLC0415

        class Server(ChargePoint):  # type: ignore[misc]
            @on("MeterValues")  # type: ignore[untyped-decorator]
            def on_meter_values(self, **_: Any) -> Any:
                return call_result.MeterValues()

    else:
        from ocpp.v201 import ChargePoint as ChargePoint201  # noqa: PLC0415
        from ocpp.v201 import call_result as call_result201  # noqa: PLC0415

        class Server(ChargePoint201):  # type: ignore[misc, no-redef]
            @on("TransactionEvent")  # type: ignore[untyped-decorator]
            def on_transaction_event(self, **_: Any) -> Any:
                return call_result201.TransactionEvent()

    async def handle(ws: Any) -> None:
        try:
            await Server(ws.request.path, ws).start()
        except OSError:
            return

    offered = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]
    async with serve(handle, "127.0.0.1", 0, subprotocols=offered, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def serve_echo(_version: str) -> None:
    """Bare ``websockets``: what comes in goes out."""
    from websockets import Subprotocol  # noqa: PLC0415
    from websockets.asyncio.server import serve  # noqa: PLC0415

    async def handle(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    offered = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]
    async with serve(handle, "127.0.0.1", 0, subprotocols=offered, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)  # noqa: T201
        await asyncio.Event().wait()


SERVERS: Final[dict[str, Callable[[str], Any]]] = {
    "ours": serve_ours,
    "package": serve_package,
    "echo": serve_echo,
}


class Guest(asyncio.Protocol):
    """One of a crowd: compression agreed, a Heartbeat now and then; whatever comes back is the answer."""

    def __init__(self, number: int) -> None:
        self._head = (
            f"GET /cp{number} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection:"
            " Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate;"
            " client_max_window_bits\r\nSec-WebSocket-Key:"
            f" {b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        ).encode()
        self.transport: asyncio.Transport | None = None
        self.sent_s: float | None = None
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        if self.sent_s is not None:
            self.latencies.append(time.perf_counter() - self.sent_s)
            self.sent_s = None

    def speak(self, number: int) -> None:
        """One Heartbeat."""
        if self.transport is not None:
            self.sent_s = time.perf_counter()
            self.transport.write(masked(b'[2,"h%d","Heartbeat",{}]' % number))


async def crowd(port: int, memory: Callable[[], int]) -> tuple[float, float]:
    """(bytes of the server for each connected station, p99 of the answer time in ms)."""
    loop = asyncio.get_running_loop()
    before = memory()
    guests = [Guest(n) for n in range(CROWD)]
    for guest in guests:
        await loop.create_connection(lambda g=guest: g, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(SETTLE_S)
    began = loop.time()
    for number, guest in enumerate(guests):
        loop.call_at(began + EVERY_S * number / CROWD, guest.speak, number)
    await asyncio.sleep(EVERY_S + 1.0)
    each = (memory() - before) / CROWD
    late = sorted(value for guest in guests for value in guest.latencies)
    for guest in guests:
        if guest.transport is not None:
            guest.transport.abort()
    return each, 1000.0 * late[int(len(late) * 0.99)]


def measure_crowd() -> tuple[float, float]:
    """See ``crowd``, against a fresh server process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * CROWD)), hard))
    command = [sys.executable, "-m", "tests.bench.ocpp", "ours", "2.0.1"]
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        server = psutil.Process(process.pid)
        return asyncio.run(crowd(port, lambda: int(server.memory_info().rss)))
    finally:
        process.kill()
        process.wait()


def measure(server: str, version: str, kind: str) -> tuple[float, float]:
    """Best of a few rounds against a fresh server process: answers a second of its processor time,
    whatever else runs.
    """
    command = [sys.executable, "-m", "tests.bench.ocpp", server, version]
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        server_process = psutil.Process(process.pid)

        def cpu_s() -> float:
            times = server_process.cpu_times()
            return float(times.user + times.system)

        return max(asyncio.run(load(port, f"ocpp{version}", frames(kind), cpu_s)) for _ in range(ROUNDS))
    finally:
        process.kill()
        process.wait()


def rows() -> list[tuple[str, float, str, str, float, float, str]]:
    """(name, value, unit, baseline, its value, ratio, goal) of each measurement."""
    result = []
    for name, version, kind, goal in (
        ("MeterValues 1.6, 8 samples", "1.6", "meter16", 20),
        ("TransactionEvent 2.0.1", "2.0.1", "tx201", 30),
    ):
        ours, p99_ms = measure("ours", version, kind)
        package, _ = measure("package", version, kind)
        echo, _ = measure("echo", version, kind)
        result.append(
            (f"OCPP {name}", ours, "msg/cpu-s", "ocpp package", package, ours / package, f"≥ {goal}×")
        )
        result.append((f"OCPP {name}", ours, "msg/cpu-s", "websockets echo", echo, ours / echo, "≥ 0.7×"))
        result.append((f"OCPP {name}, p99 answer at full load", p99_ms, "ms", "none", 0.0, 0.0, "reported"))
    each, p99_ms = measure_crowd()
    result.append(
        (
            f"OCPP memory of a connected station, {CROWD} of them",
            each / 1024,
            "KiB",
            "none",
            0.0,
            0.0,
            "≤ 32 KiB",
        )
    )
    result.append(
        (
            f"OCPP p99 answer, {CROWD} stations at one message in {EVERY_S:g} s",
            p99_ms,
            "ms",
            "none",
            0.0,
            0.0,
            "≤ 50 ms",
        )
    )
    return result


if __name__ == "__main__":
    if len(sys.argv) == 1:
        for row in rows():
            print(*row, sep="\t")  # noqa: T201
    else:
        try:
            import uvloop

            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        except ImportError:
            runner = asyncio.Runner()
        os.environ.pop("PYTHONASYNCIODEBUG", None)
        with runner:
            runner.run(SERVERS[sys.argv[1]](sys.argv[2]))
