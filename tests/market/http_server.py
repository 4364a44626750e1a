"""A small HTTP server over real sockets that answers as a test says."""

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from v2g_edge.tasks import close_door


class Request(NamedTuple):
    """What was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Answer(NamedTuple):
    """What is answered; ``close`` cuts the connection in the middle of the body."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


class HttpServer:
    """Serves ``answer`` to each GET and keeps the requests."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        await close_door(self._server)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        address = urlsplit(head[0].split()[1])
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        request = Request(address.path, dict(parse_qsl(address.query)), headers)
        self.requests.append(request)
        answer = self.answer(request)
        lines = [
            f"HTTP/1.1 {answer.status} Answer",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        body = answer.body[: len(answer.body) // 2] if answer.close else answer.body
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        writer.close()
