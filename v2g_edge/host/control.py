"""The control socket: a Unix socket on which `v2g-edge status`, `why`, `events` and the console ask the running daemon.

One JSON object a line. Asked: ``{"id": 1, "method": "why", "params": {"evse": "B01"}}``. Answer: ``{"id": 1, "result": {…}}`` or
``{"id": 1, "error": {"kind": "bad_request", "text": "…"}}``. Who may ask: the file's owner and group (mode 0660).
"""

import asyncio
import contextlib
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger()

LINE_MAX: Final = 1 << 20
"""A request is a line of at most 1 MiB: a firmware manifest or a plan of a day fits, a flood does not."""

CLIENTS_MAX: Final = 32
"""People and the console; more at once is a mistake, and each costs memory."""

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class BadRequestError(Exception):
    """The request cannot be answered as asked; the message says what is allowed."""


class _Request(Struct, forbid_unknown_fields=True):
    method: str
    id: int | str = 0
    params: dict[str, Any] = {}


class ControlSocket:
    """Answers requests with ``handlers`` by method name. An empty ``path`` means no socket at all (simulations)."""

    def __init__(self, path: str, handlers: Mapping[str, Handler]) -> None:
        self._path = Path(path) if path else None
        self._handlers = dict(handlers)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.json.Decoder(_Request)

    async def start(self) -> None:
        """Listen. A socket file left behind by a process that died is replaced."""
        if self._path is None or self._server is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(self._path.stat().st_mode):
                self._path.unlink()
        self._server = await asyncio.start_unix_server(self._accept, str(self._path), limit=LINE_MAX)
        self._path.chmod(0o660)

    async def stop(self) -> None:
        """Hang up and remove the socket file."""
        server, self._server = self._server, None
        if server is None or self._path is None:
            return
        server.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        if len(self._clients) >= CLIENTS_MAX:
            writer.close()
            return
        self._clients.add(task)
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError, asyncio.CancelledError) as error:
            log.info("control_client_gone", reason=str(error) or type(error).__name__)
        finally:
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = self._decoder.decode(line)
        except msgspec.MsgspecError as error:
            return {"id": 0, "error": {"kind": "bad_request", "text": f"not a request: {error}"}}
        handler = self._handlers.get(request.method)
        if handler is None:
            text = f"no method {request.method!r}; there are {', '.join(sorted(self._handlers))}"
            return {"id": request.id, "error": {"kind": "bad_request", "text": text}}
        try:
            return {"id": request.id, "result": await handler(request.params)}
        except BadRequestError as error:
            return {"id": request.id, "error": {"kind": "bad_request", "text": str(error)}}
