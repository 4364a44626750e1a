"""Monitoring over HTTP: a GET is answered, everything else is refused in words, and no client holds the
daemon up.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest

from v2g_edge.host import http
from v2g_edge.host.http import CLIENTS_MAX, Answer, HttpServer


def _page(accept: str) -> Answer:
    return Answer(HTTPStatus.OK, "text/plain", f"accept={accept.strip()}".encode())


def _broken(_accept: str) -> Answer:
    raise RuntimeError("no page")


@contextlib.asynccontextmanager
async def served(listen: str = "127.0.0.1:0") -> AsyncIterator[HttpServer]:
    server = HttpServer(listen, {"/page": _page, "/broken": _broken})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: HttpServer, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    text = b""
    with contextlib.suppress(ConnectionResetError):  # hung up on before the request was read
        text = await reader.read()
    writer.close()
    return text.decode()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /page HTTP/1.1\r\n\r\n", 200),
        (b"HEAD /page HTTP/1.1\r\n\r\n", 200),
        (b"GET /page?name=x HTTP/1.0\r\n\r\n", 200),
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /page HTTP/1.1\r\n\r\n", 405),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_each_request_gets_its_status(request_: bytes, status: int) -> None:
    async with served() as server:
        assert (await ask(server, request_)).startswith(f"HTTP/1.1 {status} ")


async def test_the_page_is_told_what_is_accepted_and_head_has_no_body() -> None:
    async with served() as server:
        assert (await ask(server, b"GET /page HTTP/1.1\r\naccept: a/b\r\n\r\n")).endswith(
            "\r\n\r\naccept=a/b"
        )
        assert (await ask(server, b"HEAD /page HTTP/1.1\r\n\r\n")).endswith("\r\n\r\n")


async def test_a_client_that_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATIENCE_S", 0.01)
    async with served() as server:
        assert await ask(server, b"") == ""


async def test_more_clients_than_there_is_room_for_are_refused() -> None:
    async with served() as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CLIENTS_MAX)]
        assert await ask(server, b"GET /page HTTP/1.1\r\n\r\n") == ""
        for _reader, writer in silent:
            writer.close()


async def test_a_head_without_end_is_hung_up_on() -> None:
    async with served() as server:
        assert await ask(server, b"GET /page HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n") == ""
        assert "200 OK" in await ask(server, b"GET /page HTTP/1.1\r\n\r\n")


async def test_a_unix_socket_replaces_one_that_was_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    for _ in range(2):
        async with served(f"unix:{path}"):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"GET /page HTTP/1.1\r\n\r\n")
            assert b"200 OK" in await reader.read()
            writer.close()
        path.touch()
        if path.exists() and not path.is_socket():
            path.unlink()


async def test_without_an_address_it_does_not_listen() -> None:
    async with served("") as server:
        assert server.port == 0


@pytest.mark.parametrize("asked", [20, 40])
async def test_a_flood_of_scrapes_makes_a_page_once(asked: int) -> None:
    """Whoever has an account on the machine may ask, and the page is made on the loop that decides."""
    made: list[str] = []

    def page(accept: str) -> Answer:
        made.append(accept)
        return Answer(HTTPStatus.OK, "text/plain", b"x")

    server = HttpServer("127.0.0.1:0", {"/page": page})
    await server.start()
    for _ in range(asked):
        assert "200 OK" in await ask(server, b"GET /page HTTP/1.1\r\n\r\n")
    forms = [await ask(server, f"GET /page HTTP/1.1\r\naccept: {n}\r\n\r\n".encode()) for n in range(asked)]
    await server.stop()
    assert len(made) <= asked // 2
    assert any("503" in form for form in forms)
