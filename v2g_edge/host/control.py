"""The control socket: a Unix socket on which `v2g-edge status`, `why`, `events` and the console ask the
running daemon.

One JSON object a line. Asked: ``{"id": 1, "method": "why", "params": {"evse": "B01"}}``. Answer: ``{"id": 1,
"result": {…}}`` or ``{"id": 1, "error": {"kind": "bad_request", "text": "…"}}``. The file's owner and group
may ask (mode 0660); what each user may order, and which group gives which role, is in ``host.roles``.
"""

import asyncio
import contextlib
import stat
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from v2g_edge import bounded_json
from v2g_edge.host.roles import Peer, Role, name_of, peer_of, refusal
from v2g_edge.tasks import begin, close_door

log = structlog.get_logger()

LINE_MAX: Final = 1 << 20
"""A request is a line of at most 1 MiB: a firmware manifest or a plan of a day fits, a flood does not."""

SHORT_MAX: Final = 32 << 10
LONG_AT_ONCE: Final = 4
"""Octets that each client may have unread (twice as many, as the library buffers); beyond, so many clients
send their long line at a time. 32 clients with a megabyte each would be more than the daemon itself.
"""

CLIENTS_MAX: Final = 24
"""People and the console; more at once is a mistake, and each costs memory. A newcomer takes the place of
the client that is idle longest.
"""

RESERVED: Final = 8
"""Places beyond, where all others are at work: an order gets through, anything else has to come again."""

ORDERS: Final = frozenset({"operate"})
"""Methods that never wait for another client."""

IDLE_S: Final = 60.0
WRITE_S: Final = 10.0
"""Patience with a client that asks nothing, and with one that does not read its answer (loop time)."""

NAME_S: Final = 2.0
"""For the name of a user; past that the number stands for it."""

ASKED_PER_S: Final = 50.0
ASKED_BURST: Final = 100.0
"""Answers to all clients of a user together, orders excepted, as a rate for ever and in a row: a status of
200 outlets takes milliseconds. Beyond it answers come later.
"""
USERS_MAX: Final = 64
"""Users whose rate is remembered; the one that asked longest ago is forgotten first."""

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
Needs = Callable[[str, dict[str, Any]], Role]
"""The role that a request needs, by its method and parameters."""


class Ordered(Struct, frozen=True):
    """An order that came in on the control socket. ``uid``, ``name`` and ``role`` are those of the process
    that gave it, as the kernel knows them. ``outcome`` is "done", or why it was refused.
    """

    uid: int
    name: str
    role: str
    method: str
    params: dict[str, Any]
    outcome: str


def _viewer(_method: str, _params: dict[str, Any]) -> Role:
    return Role.VIEWER


def _forget(_ordered: Ordered) -> None:
    pass


class BadRequestError(Exception):
    """The request cannot be answered as asked; the message says what is allowed."""


class _Request(Struct, forbid_unknown_fields=True):
    method: str
    id: int | str = 0
    params: dict[str, Any] = {}


class _Client:
    """One connection. ``since_s``: when it was served last; ``busy``: a request of it is at work;
    ``reserved``: orders only.
    """

    def __init__(
        self, writer: asyncio.StreamWriter, task: asyncio.Task[Any], now_s: float, *, reserved: bool
    ) -> None:
        self.writer = writer
        self.task = task
        self.peer: Peer = peer_of(writer.get_extra_info("socket"))
        self.since_s = now_s
        self.busy = False
        self.reserved = reserved


class ControlSocket:
    """Answers requests with ``handlers`` by method name. An empty ``path`` means no socket at all
    (simulations). ``needs`` says which role a request needs; ``record`` gets each that needs more than a
    viewer, done or refused.
    """

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        needs: Needs = _viewer,
        record: Callable[[Ordered], None] = _forget,
    ) -> None:
        self._path = Path(path) if path else None
        self._handlers = dict(handlers)
        self._needs = needs
        self._record = record
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._clients: dict[asyncio.Task[Any], _Client] = {}
        self._paces: dict[int, tuple[float, float]] = {}
        self._long = asyncio.Semaphore(LONG_AT_ONCE)

    async def start(self) -> None:
        """Listen. A socket file left behind by a process that died is replaced."""
        if self._path is None or self._server is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(self._path.stat().st_mode):
                self._path.unlink()
        self._server = await asyncio.start_unix_server(self._accept, str(self._path), limit=SHORT_MAX)
        self._path.chmod(0o660)

    async def stop(self) -> None:
        """Hang up and remove the socket file."""
        server, self._server = self._server, None
        if server is None or self._path is None:
            return
        await close_door(server)
        for task in self._clients:
            task.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        while len(self._clients) >= CLIENTS_MAX and self._put_out_idle():
            pass
        if len(self._clients) >= CLIENTS_MAX + RESERVED:
            writer.transport.abort()
            return
        full = len(self._clients) >= CLIENTS_MAX
        client = self._clients[task] = _Client(writer, task, asyncio.get_running_loop().time(), reserved=full)
        try:
            await self._serve(reader, client)
        except (ValueError, OSError, asyncio.CancelledError) as error:  # TimeoutError is an OSError
            log.info("control_client_gone", reason=str(error) or type(error).__name__)
        finally:
            self._clients.pop(task, None)
            await _close(writer)

    def _put_out_idle(self) -> bool:
        """End the client that is idle longest, of the user with the most. False when all are at work."""
        idle = [
            client for client in self._clients.values() if not client.busy and not client.task.cancelling()
        ]
        if not idle:
            return False
        held = Counter(client.peer.uid for client in self._clients.values())
        oldest = min(idle, key=lambda client: (-held[client.peer.uid], client.since_s))
        del self._clients[oldest.task]
        oldest.task.cancel()
        return True

    async def _serve(self, reader: asyncio.StreamReader, client: _Client) -> None:
        loop, writer = asyncio.get_running_loop(), client.writer
        while True:
            async with asyncio.timeout(IDLE_S):
                line = await self._line(reader)
            if not line:
                return
            client.busy = True
            writer.write(msgspec.json.encode(await self._answer(line, client)) + b"\n")
            client.busy, client.since_s = False, loop.time()  # one that does not read is not at work either
            async with asyncio.timeout(WRITE_S):
                await writer.drain()

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        """The next line; b"" at the end. ValueError where it is too long."""
        try:
            return await reader.readuntil()
        except asyncio.IncompleteReadError as end:
            return end.partial
        except asyncio.LimitOverrunError as long:
            async with self._long, asyncio.timeout(WRITE_S):
                return await _long_line(reader, long.consumed)

    async def _answer(self, line: bytes, client: _Client) -> dict[str, Any]:
        try:
            request = msgspec.convert(bounded_json.decode(line), _Request)
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            return {"id": 0, "error": {"kind": "bad_request", "text": f"not a request: {str(error)[:200]}"}}
        handler = self._handlers.get(request.method)
        if handler is None:
            text = f"no method {request.method[:100]!r}; there are {', '.join(sorted(self._handlers))}"
            return {"id": request.id, "error": {"kind": "bad_request", "text": text}}
        if request.method not in ORDERS:
            if client.reserved:
                text = f"{CLIENTS_MAX} clients are being answered; ask again in a moment (orders are taken)"
                return {"id": request.id, "error": {"kind": "busy", "text": text}}
            await self._pace(client)
        needed = self._needs(request.method, request.params)
        if needed > client.peer.role:
            if request.method in ORDERS:
                await self._pace(
                    client
                )  # what is refused is recorded too, and is no order that must get through
            self._keep(request, client.peer, f"refused: needs the role {needed.title}")
            client.busy = False  # not at work: a directory service may be slow, and others need its place
            name = await asyncio.to_thread(name_of, client.peer.uid)
            text = refusal(name, client.peer.role, needed, request.method)
            return {"id": request.id, "error": {"kind": "forbidden", "text": text}}
        outcome, answer = await _handled(request, handler)
        if needed > Role.VIEWER:
            self._keep(request, client.peer, outcome)
        return answer

    def _keep(self, request: _Request, peer: Peer, outcome: str) -> None:
        """Record an order, and let neither the order nor its answer wait for the user's name: a directory
        service may be slow.
        """
        task = begin("order record", self._record_named(request, peer, outcome))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record_named(self, request: _Request, peer: Peer, outcome: str) -> None:
        try:
            async with asyncio.timeout(NAME_S):
                name = await asyncio.to_thread(name_of, peer.uid)
        except TimeoutError:
            name = f"uid {peer.uid}"
        self._record(Ordered(peer.uid, name, peer.role.title, request.method, request.params, outcome))

    async def _pace(self, client: _Client) -> None:
        """Wait until an answer is due for the client's user. One that waits is not at work, so that it gives
        its place to others; and then it has taken nothing.
        """
        now_s, uid = asyncio.get_running_loop().time(), client.peer.uid
        left, at_s = self._paces.pop(uid, (ASKED_BURST, now_s))
        left = min(left + (now_s - at_s) * ASKED_PER_S, ASKED_BURST) - 1.0
        self._paces[uid] = left, now_s
        while len(self._paces) > USERS_MAX:
            del self._paces[next(iter(self._paces))]
        if left >= 0.0:
            return
        client.busy = False
        try:
            await asyncio.sleep(-left / ASKED_PER_S)
        except asyncio.CancelledError:
            left, at_s = self._paces.get(uid, (0.0, now_s))
            self._paces[uid] = left + 1.0, at_s
            raise
        client.busy = True


async def _long_line(reader: asyncio.StreamReader, there: int) -> bytes:
    """A line of which ``there`` octets are read and hold no end."""
    line = bytearray()
    while True:
        line += await reader.readexactly(there)
        if len(line) > LINE_MAX:
            raise ValueError(f"a request of more than {LINE_MAX} octets")
        try:
            return bytes(line + await reader.readuntil())
        except asyncio.IncompleteReadError as end:
            return bytes(line + end.partial)
        except asyncio.LimitOverrunError as more:
            there = more.consumed


async def _handled(request: _Request, handler: Handler) -> tuple[str, dict[str, Any]]:
    """What became of a request in words, and its answer."""
    try:
        return "done", {"id": request.id, "result": await handler(request.params)}
    except BadRequestError as error:
        text = str(error)
        return f"refused: {text}", {"id": request.id, "error": {"kind": "bad_request", "text": text}}


async def _close(writer: asyncio.StreamWriter) -> None:
    """Send what is left, and no longer than a client may take to read it."""
    writer.close()
    try:
        async with asyncio.timeout(WRITE_S):
            await writer.wait_closed()
    except (OSError, asyncio.CancelledError):
        writer.transport.abort()
        await asyncio.sleep(0)  # the transport ends in the loop's next turn
