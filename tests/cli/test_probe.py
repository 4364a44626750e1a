"""`v2g-edge check --probe`: what is wrong with a device, in words."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.config.mistakes import BASE
from v2g_edge.cli.checking.probe import probe
from v2g_edge.cli.main import main
from v2g_edge.config.load import loads
from v2g_edge.config.problems import Problem

HOST = 'host = "192.0.2.10"\nport = 502'


@pytest.fixture
def free() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def asked(host: str, port: int, devices: int = 1) -> list[Problem]:
    """The base with one line and so many of its devices."""
    text = BASE.replace(HOST, f'host = "{host}"\nport = {port}')
    settings = loads(text)
    lines = tuple(line for line in settings.lines if line.id == "field")
    some = replace(
        settings, lines=lines, devices=tuple(d for d in settings.devices if d.line == "field")[:devices]
    )
    return asyncio.run(probe(some, "site.toml", Path("none")))


def test_a_refused_connection_and_a_name_that_is_none_are_told_apart(free: int) -> None:
    """And the devices behind are not told again."""
    (problem,) = asked("127.0.0.1", free, 3)
    assert problem.key == "lines.field.host"
    assert "connection refused" in problem.found
    (problem,) = asked("no-such-host.invalid", 502)
    assert "name not found" in problem.found


async def _answering(answer: bytes, devices: int) -> list[Problem]:
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        served.extend([task] if task is not None else [])
        while request := await reader.read(260):
            writer.write(request[:2] + b"\0\0" + (len(answer) + 1).to_bytes(2, "big") + request[6:7] + answer)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = loads(BASE.replace(HOST, f'host = "127.0.0.1"\nport = {port}'))
    lines = tuple(line for line in settings.lines if line.id == "field")
    few = replace(
        settings, lines=lines, devices=tuple(d for d in settings.devices if d.id == "grid-meter")[:devices]
    )
    async with server:
        found = await probe(few, "site.toml", Path("none"))
        await asyncio.gather(*served)
        return found


def test_an_exception_of_the_device_is_named() -> None:
    """Exception 2 is another map, or another unit."""
    (problem,) = asyncio.run(_answering(b"\x83\x02", 1))
    assert problem.key == "devices.grid-meter"
    assert "illegal address" in problem.found
    assert "another map" in problem.mend


def test_the_command_reports_it_beside_the_rest(
    tmp_path: Path, free: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1: the file can be used, and a device does not answer."""
    path = tmp_path / "site.toml"
    path.write_text(BASE.replace(HOST, f'host = "127.0.0.1"\nport = {free}'))
    assert main(["check", "--elsewhere", "--probe", str(path)]) == 1
    assert "connection refused" in capsys.readouterr().out
