"""The virtual loop: time leaps, libraries run unchanged over it, and two runs take the same steps."""

import asyncio
import contextvars
import time

import pytest
import websockets
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from sim.virtual.loop import OWNER, START_S, Stuck, VirtualLoop, run_virtual


def test_a_week_of_sleep_takes_no_time_and_is_exact() -> None:
    async def main() -> float:
        await asyncio.sleep(7 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(main()) == START_S + 7 * 86_400
    assert time.monotonic() - began < 5


def test_timers_fire_in_order_and_timeouts_expire_in_virtual_time() -> None:
    seen: list[str] = []

    async def note(after_s: float, name: str) -> None:
        await asyncio.sleep(after_s)
        seen.append(name)

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.gather(note(3, "late"), note(2, "second"), note(1, "first"))
        return asyncio.get_running_loop().time() - START_S

    assert run_virtual(main()) == 2.5
    assert seen == ["first", "second"]


def test_waiting_for_ever_is_an_error_and_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    task = loop.create_task(main())
    with pytest.raises(Stuck):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


def test_an_executor_runs_inline_and_hands_its_exception_on() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def main() -> int:
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(fail)
        return await asyncio.to_thread(lambda: 7)

    assert run_virtual(main()) == 7


def test_websockets_client_and_server_run_over_it_and_close_cleanly() -> None:
    closed: list[int | None] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)
        closed.append(connection.close_code)

    async def main() -> list[str | bytes]:
        async with serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://localhost:{port}/CS1", proxy=None) as client:
                answers = []
                for text in ("one", "x" * 500_000, "three"):
                    await client.send(text)
                    answers.append(await client.recv())
                await asyncio.sleep(100)
                return answers

    assert run_virtual(main()) == ["one", "x" * 500_000, "three"]
    assert closed == [1000]


def test_keepalive_pings_find_a_peer_that_reads_no_more() -> None:
    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(300)

    async def main() -> float:
        async with serve(deaf, "", 0) as server:
            client = await connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy=None)
            with pytest.raises(websockets.ConnectionClosedError):
                await client.recv()
            return asyncio.get_running_loop().time() - START_S

    assert 35 <= run_virtual(main()) <= 60


def test_a_dropped_connection_is_seen_by_the_other_side() -> None:
    async def drop(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async def main() -> None:
        async with serve(drop, "127.0.0.1", 0) as server:
            client = await connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy=None)
            await client.send("x")
            with pytest.raises(websockets.ConnectionClosedError):
                await client.recv()

    run_virtual(main())


def test_nobody_listening_is_refused_and_a_taken_port_too() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, "127.0.0.1", 502)
        await loop.create_server(asyncio.Protocol, "127.0.0.1", 502)
        with pytest.raises(OSError, match="taken"):
            await loop.create_server(asyncio.Protocol, "127.0.0.1", 502)

    run_virtual(main())


def test_modbus_client_and_server_run_over_it() -> None:
    async def main() -> list[int]:
        device = SimDevice(1, simdata=[SimData(0, values=[7, 8, 9], datatype=DataType.REGISTERS)])
        server = ModbusTcpServer(device, address=("127.0.0.1", 1502))
        await server.listen()
        client = AsyncModbusTcpClient("127.0.0.1", port=1502, timeout=0.3, retries=0)
        assert await client.connect()
        answer = await client.read_holding_registers(0, count=3)
        client.close()
        await server.shutdown()  # type: ignore[no-untyped-call]
        return list(answer.registers)

    assert run_virtual(main()) == [7, 8, 9]


def test_unix_streams_work_and_back_pressure_reaches_the_writer() -> None:
    async def main() -> tuple[int, float]:
        total = 0
        done = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal total
            while part := await reader.read(65_536):
                total += len(part)
                await asyncio.sleep(1)
            writer.close()
            done.set()

        await asyncio.start_unix_server(slow, "/nowhere/control.sock")
        _, writer = await asyncio.open_unix_connection("/nowhere/control.sock")
        for _ in range(40):
            writer.write(b"x" * 50_000)
            await writer.drain()
        sent_s = asyncio.get_running_loop().time() - START_S
        writer.close()
        await done.wait()
        return total, sent_s

    total, sent_s = run_virtual(main())
    assert total == 2_000_000
    assert sent_s > 5, "a writer that outruns its reader has to wait"


def test_two_runs_take_the_same_steps_at_the_same_times() -> None:
    def run() -> list[tuple[float, str]]:
        trace: list[tuple[float, str]] = []

        async def serve_one(connection: ServerConnection) -> None:
            async for message in connection:
                trace.append((asyncio.get_running_loop().time(), str(message)))
                await connection.send(str(message))

        async def station(port: int, name: int) -> None:
            async with connect(f"ws://127.0.0.1:{port}/{name}", proxy=None) as client:
                for step in range(20):
                    await client.send(f"{name}:{step}")
                    trace.append((asyncio.get_running_loop().time(), f"back {await client.recv()!r}"))
                    await asyncio.sleep(0.1 * name)

        async def main() -> None:
            async with serve(serve_one, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                await asyncio.gather(*(station(port, name) for name in range(1, 8)))

        run_virtual(main())
        return trace

    assert run() == run()


def test_a_killed_process_loses_its_connections_in_the_order_in_which_it_made_them() -> None:
    """A set of them had the order of addresses in memory: the same night ended otherwise each time."""
    lost: list[int] = []

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.port = transport.get_extra_info("peername")[1]

        def connection_lost(self, exc: Exception | None) -> None:
            lost.append(self.port)

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await loop.create_server(Peer, "127.0.0.1", 9_000)
        own = contextvars.copy_context()
        own.run(OWNER.set, "daemon")
        made = [
            await loop.create_task(loop.create_connection(asyncio.Protocol, "127.0.0.1", 9_000), context=own)
            for _ in range(40)
        ]
        loop.kill("daemon")
        await asyncio.sleep(0)
        return [transport.get_extra_info("sockname")[1] for transport, _ in made]

    assert run_virtual(main()) == lost
