"""An event loop whose clock jumps to the next timer instead of waiting, with a network that lives in memory.

The same daemon code and protocol bytes run in it as in real time, only as fast as the machine computes. No
sockets, no threads, no wall clock: two runs of the same program take the same steps in the same order.
``run_in_executor`` runs inline.

What runs in it belongs to an owner (``OWNER``, inherited by tasks, timers and connections). All of an owner
can be stopped while the others go on (``hold``), and ended without a last word (``kill``): a process that the
machine stops, and one that dies.
"""

import asyncio
import contextvars
import errno
import os
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from sim.virtual.pipe import Pipe, Socket, pair

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_S: Final = 1_000.0
"""Where virtual time begins: not 0, so that no "never" is taken for "now"."""

FIRST_PORT: Final = 49_152
"""First of the ports handed out for port 0 and for clients (RFC 6335 section 6: dynamic ports)."""

OWNER: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("owner", default="")
"""Whose code runs: "" is the world's."""

_ANYWHERE: Final = frozenset({None, "", "0.0.0.0", "::"})  # noqa: S104 - names of an address, nothing is bound


class Stuck(RuntimeError):  # noqa: N818 - a noun of its own, as KeyboardInterrupt is
    """Nothing is ready and no timer is set: virtual time cannot go on, something waits for ever."""


class _Leap:
    """Takes the selector's place: where that would wait, time leaps."""

    def __init__(self) -> None:
        self.now_s = START_S

    def select(self, timeout: float | None) -> list[Any]:
        """Move time on by ``timeout`` seconds; nothing ever becomes readable."""
        if timeout is None:
            raise Stuck("nothing is ready and no timer is set")
        if timeout > 0:
            self.now_s += timeout
        return []

    def close(self) -> None:
        """Nothing is held."""


class _Handle(asyncio.Handle):
    """One callback, made without asking whether the loop is debugged: there are fifty a played second."""

    __slots__ = ()

    def __init__(
        self, callback: Any, args: Any, loop: asyncio.AbstractEventLoop, context: contextvars.Context | None
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Sieve(deque[asyncio.Handle]):
    """The loop's ready queue while a process is held: what is theirs is set aside instead of run."""

    def __init__(self, ready: "deque[asyncio.Handle]", held: set[str]) -> None:
        super().__init__(ready)
        self.aside: list[asyncio.Handle] = []
        self._held = held
        self._nothing = asyncio.Handle(lambda: None, (), asyncio.get_running_loop())
        self._nothing.cancel()

    def popleft(self) -> asyncio.Handle:
        handle = super().popleft()
        if not self._held or handle._context.get(OWNER, "") not in self._held:  # type: ignore[attr-defined]
            return handle
        self.aside.append(handle)
        return self._nothing


class MemoryServer(asyncio.AbstractServer):
    """A listening address of the virtual network."""

    def __init__(self, loop: "VirtualLoop", key: Any, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._loop = loop
        self._network = loop.servers
        self._key = key
        self.factory = factory
        self.context = contextvars.copy_context()
        self.sockets: tuple[Socket, ...] = (Socket(key),)

    def close(self) -> None:
        """Take no more connections; those that stand go on."""
        if self._network.get(self._key) is self:
            del self._network[self._key]
        self.sockets = ()

    def is_serving(self) -> bool:
        """Whether a peer may connect."""
        return bool(self.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to."""
        return self._loop

    async def serve_forever(self) -> None:
        """Serve until cancelled."""
        await self._loop.create_future()

    async def start_serving(self) -> None:
        """It serves from the beginning."""

    async def wait_closed(self) -> None:
        """Closing takes no time."""


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. TLS, datagrams, signals and subprocesses are not there and say so."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Leap()
        self.servers: dict[Any, MemoryServer] = {}
        self._next_port = FIRST_PORT
        self._held: set[str] = set()
        self._owned: dict[str, set[asyncio.Task[Any]]] = {}
        self._pipes: dict[str, list[Pipe]] = {}

    def hold(self, owner: str) -> None:
        """Nothing of ``owner`` runs until ``release``; what falls due meanwhile waits in its order."""
        self._held.add(owner)
        if not isinstance(self._ready, _Sieve):
            self._ready: deque[asyncio.Handle] = _Sieve(self._ready, self._held)

    def release(self, owner: str) -> None:
        """``owner`` goes on with all that waits for it."""
        self._held.discard(owner)
        if isinstance(self._ready, _Sieve) and not self._held:
            self._ready = deque([*self._ready.aside, *self._ready])

    def kill(self, owner: str) -> list[asyncio.Task[Any]]:
        """End ``owner``: its peers see resets, its ports are free, its tasks are cancelled. Returns them,
        to be waited for.
        """
        self.release(owner)
        for pipe in self._pipes.pop(owner, []):
            pipe.cut()
        for key in [key for key, server in self.servers.items() if server.context.get(OWNER, "") == owner]:
            self.servers.pop(key).close()
        tasks = sorted(
            (task for task in self._owned.pop(owner, set()) if not task.done()),
            key=lambda task: task.get_name(),
        )
        for task in tasks:
            task.cancel()
        return tasks

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        """As in asyncio; the owner's tasks are known."""
        task = super().create_task(coro, name=name, context=context)
        owner = OWNER.get()
        if owner:
            mine = self._owned.setdefault(owner, set())
            mine.add(task)
            task.add_done_callback(mine.discard)
        return task

    def time(self) -> float:
        """Virtual seconds since some start."""
        return self._selector.now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As in asyncio."""
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing ever becomes readable."""

    def _write_to_self(self) -> None:
        """Nothing waits in a system call, so nothing has to be woken."""

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Listen at (host, port); port 0 or None takes a free one. OSError when the address is taken."""
        _refuse_tls(options)
        return self._listen((_host(host), port or self._port()), protocol_factory)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Pipe, Any]:
        """Connect to a server of this loop; ConnectionRefusedError without a listener."""
        _refuse_tls(options)
        server = self.servers.get((_host(host), port)) or self.servers.get(("", port))
        return await self._connect(protocol_factory, server, (_host(host) or "127.0.0.1", port))

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **options: Any) -> Any:
        """Listen at a path. No file appears."""
        _refuse_tls(options)
        return self._listen(os.fspath(path), protocol_factory)

    async def create_unix_connection(
        self, protocol_factory: Any, path: Any = None, **options: Any
    ) -> tuple[Pipe, Any]:
        """Connect to a path of this loop; ConnectionRefusedError without a listener."""
        _refuse_tls(options)
        return await self._connect(protocol_factory, self.servers.get(os.fspath(path)), os.fspath(path))

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Run ``func`` here and now: other threads would bring the order of chance."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as fault:  # noqa: BLE001 - an executor hands every exception to its caller
            future.set_exception(fault)
        return future

    def _listen(self, key: Any, factory: Callable[[], asyncio.BaseProtocol]) -> MemoryServer:
        if key in self.servers:
            raise OSError(errno.EADDRINUSE, f"address {key} is taken")
        self.servers[key] = MemoryServer(self, key, factory)
        return self.servers[key]

    async def _connect(self, factory: Any, server: MemoryServer | None, address: Any) -> tuple[Pipe, Any]:
        await asyncio.sleep(0)
        if server is None or not server.is_serving():
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {address}")
        protocol, mine, theirs = factory(), contextvars.copy_context(), server.context.copy()
        names = ("127.0.0.1", self._port()), address
        here, there = pair(self, protocol, theirs.run(server.factory), *names, (mine, theirs))
        for pipe, owner in ((here, OWNER.get()), (there, theirs.get(OWNER, ""))):
            if owner:
                known = self._pipes.get(owner, [])
                self._pipes[owner] = [*(each for each in known if not each.is_closing()), pipe]
        theirs.run(there.open)
        here.open()
        await asyncio.sleep(0)
        return here, protocol

    def _port(self) -> int:
        self._next_port += 1
        return self._next_port - 1


def _refuse_tls(options: dict[str, Any]) -> None:
    if options.get("ssl") or options.get("sock"):
        raise ValueError("the virtual network has no TLS and no ready-made sockets")


def _host(host: Any) -> str:
    if host in _ANYWHERE:
        return ""
    return "127.0.0.1" if host == "localhost" else str(host)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end in a fresh virtual loop; raises ``Stuck`` when it can never end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
