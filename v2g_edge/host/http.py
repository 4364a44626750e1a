"""A small HTTP/1.1 answerer for monitoring: GET of a few paths, on the loopback or a Unix socket, one answer
a connection.

It knows no bodies, no ranges and no users, so it never listens where another machine could reach it.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from v2g_edge.tasks import close_door, end

log = structlog.get_logger()

HEAD_MAX: Final = 8_192
"""Bytes of a request's head; a scraper sends some hundred."""
PATIENCE_S: Final = 5.0
"""For a client to send its head and to take its answer."""
CLIENTS_MAX: Final = 8
ACCEPT_MAX: Final = 200
PAGES_MAX: Final = 4
"""Answers that are kept: a path in a form or two. No more are made in the time that they are fresh."""
FRESH_S: Final = 0.5
"""How long a page serves again as it was: any local user may ask, and the page of 200 outlets takes 10 ms
of the control loop.
"""
UNIX: Final = "unix:"


class Answer(NamedTuple):
    """What a path says."""

    status: HTTPStatus
    content_type: str
    body: bytes


Page = Callable[[str], Answer]
"""Makes an answer; it is given the request's Accept header."""


class HttpServer:
    """Answers ``pages`` by path. ``listen`` is ``127.0.0.1:PORT``, ``[::1]:PORT`` or ``unix:PATH``; empty:
    it does not listen.
    """

    def __init__(self, listen: str, pages: Mapping[str, Page]) -> None:
        self._listen = listen
        self._pages = dict(pages)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[Any]] = set()
        self._made: dict[tuple[str, str], tuple[float, Answer]] = {}

    async def start(self) -> None:
        """Listen. OSError where the port is in use or the folder is missing."""
        if not self._listen or self._server is not None:
            return
        if self._listen.startswith(UNIX):
            path = Path(self._listen.removeprefix(UNIX))
            remove_socket(path)
            self._server = await asyncio.start_unix_server(self._accept, str(path), limit=HEAD_MAX)
            os.chmod(path, 0o660)
        else:
            host, _, port = self._listen.rpartition(":")
            self._server = await asyncio.start_server(
                self._accept, host.strip("[]"), int(port), limit=HEAD_MAX
            )

    @property
    def port(self) -> int:
        """The port it listens on; 0 without one."""
        sockets = self._server.sockets if self._server else ()
        return int(sockets[0].getsockname()[1]) if sockets and not self._listen.startswith(UNIX) else 0

    async def stop(self) -> None:
        """Take no more clients."""
        server, self._server = self._server, None
        if server is not None:
            await close_door(server)
            await end(*self._clients)
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._clients.add(task)
        try:
            async with asyncio.timeout(PATIENCE_S):
                if len(self._clients) <= CLIENTS_MAX:
                    writer.write(_encoded(await self._answer(reader)))
                    await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that went away, says nothing or sends a book is hung up on
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _plain(HTTPStatus.BAD_REQUEST)
        page = self._pages.get(words[1].partition("?")[0])
        if page is None:
            return _plain(HTTPStatus.NOT_FOUND)
        if words[0] not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        accept = next((line.partition(":")[2] for line in lines if line.lower().startswith("accept:")), "")
        try:
            answer = self._page(words[1].partition("?")[0], page, accept[:ACCEPT_MAX])
        except Exception as error:  # noqa: BLE001 - a page that fails must never cost the daemon anything else
            log.error("page_failed", path=words[1], error=repr(error))
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        return answer if words[0] == "GET" else answer._replace(body=b"")

    def _page(self, path: str, page: Page, accept: str) -> Answer:
        now_s = asyncio.get_running_loop().time()
        self._made = {key: made for key, made in self._made.items() if now_s - made[0] < FRESH_S}
        made = self._made.get((path, accept))
        if made is None and len(self._made) >= PAGES_MAX:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)
        if made is None:
            made = self._made[path, accept] = (now_s, page(accept))
        return made[1]


def remove_socket(path: Path) -> None:
    """Removes a socket that a process before left behind; any other file stays, and listening there fails."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()


def _plain(status: HTTPStatus) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())


def _encoded(answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + answer.body
