"""In-memory byte streams for the virtual loop: pairs of asyncio transports that behave as a quiet TCP
connection does.

Byte-faithful and deterministic: what is written arrives in order, in the same virtual instant, joined the way
a kernel joins small writes, so that no reader may rely on message borders. Half-close, close, reset and
back-pressure are there because ``websockets`` and ``pymodbus`` use them; TLS, urgent data and addresses of
real networks are not. A network that is late or takes everything and delivers nothing (``Pipe.disturb``) is
played, too.
"""

import asyncio
import contextvars
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

HIGH_WATER: Final = 64 * 1024
"""Bytes on the way at which the writer has to pause: asyncio's own default for sockets."""

APART_S: Final = 1e-6
"""Delayed pieces of one stream arrive at least this much apart."""


class Socket:
    """Stands where callers look for a socket; knows its name and nothing else."""

    def __init__(self, name: Any) -> None:
        self._name = name
        self.family = socket.AF_INET if isinstance(name, tuple) else socket.AF_UNIX

    def getsockname(self) -> Any:
        """The (host, port) it is bound to, or the path."""
        return self._name


class Pipe(asyncio.Transport):
    """One end of a stream. Made in pairs by ``pair``. ``context``: that of its owner, whose callbacks run
    in it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Any,
        name: Any,
        peer_name: Any,
        context: contextvars.Context,
    ) -> None:
        super().__init__({"sockname": name, "peername": peer_name, "socket": Socket(name)})
        self._loop = loop
        self._context = context
        self._delay_s = 0.0
        self._arrives_s = 0.0
        self._dead = False
        self._protocol = protocol  # by its methods, not its class: pymodbus derives from BaseProtocol only
        self._peer: Pipe | None = None
        self._inbox: list[bytes] = []
        self._inbox_size = 0
        self._eof_in = False
        self._eof_out = False
        self._eof_told = False
        self._reading = True
        self._scheduled = False
        self._closing = False
        self._writer_paused = False
        self._high = HIGH_WATER
        self._low = HIGH_WATER // 4

    def open(self) -> None:
        """Tell the protocol that it is connected."""
        self._protocol.connection_made(self)

    def disturb(self, *, delay_s: float = 0.0, dead: bool = False) -> None:
        """Make the network between both ends late, or half-open (``dead``: nothing arrives, and neither end
        notices); again to mend it.

        What was sent before a delay ends still arrives in order.
        """
        for end in (self, self._peer):
            if end is not None:
                end._delay_s, end._dead = delay_s, dead

    def cut(self) -> None:
        """End this side without a word, as the kernel does for a killed process: the peer sees a reset."""
        peer, self._peer = self._peer, None
        self._closing = True
        self._inbox.clear()
        if peer is not None and not peer._closing:
            peer._shut(ConnectionResetError("connection reset by peer"))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the stream to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is fed."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """Whether close, abort or the peer has ended it."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether data would be delivered now."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Leave what arrives in the inbox."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver again."""
        self._reading = True
        self._schedule()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Water marks in bytes for ``pause_writing`` and ``resume_writing``; as in asyncio."""
        self._high = (
            HIGH_WATER if high is None and low is None else high if high is not None else 4 * (low or 0)
        )
        self._low = low if low is not None else self._high // 4

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high) in bytes."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Bytes written that the peer has not read yet."""
        return self._peer._inbox_size if self._peer is not None else 0

    def can_write_eof(self) -> bool:
        """Half-close works."""
        return True

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send ``data``; lost without a word on a closed stream, as in asyncio."""
        if self._eof_out:
            raise RuntimeError("write after write_eof")
        if self._closing or not data or self._peer is None:
            return
        self._peer._take(bytes(data))
        if not self._writer_paused and self._peer._inbox_size > self._high:
            self._writer_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable["bytes | bytearray | memoryview[Any]"]) -> None:
        """Send all parts."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """No more data from this side; the other direction stays open."""
        if not self._eof_out and not self._closing and self._peer is not None:
            self._eof_out = True
            self._peer._take_eof()

    def close(self) -> None:
        """Send what was written, then end; what the peer still sends is lost."""
        if self._closing:
            return
        peer = self._peer
        self._shut(None)
        if peer is not None:
            peer._take_eof()

    def abort(self) -> None:
        """End at once: the peer loses what is on the way and sees a reset."""
        if self._closing:
            return
        peer = self._peer
        self._shut(None)
        if peer is not None and not peer._closing and not peer._dead:
            peer._shut(ConnectionResetError("connection reset by peer"))

    def _shut(self, reason: Exception | None) -> None:
        self._closing = True
        self._inbox.clear()
        self._inbox_size = 0
        self._loop.call_soon(self._lost, reason, context=self._context)

    def _lost(self, reason: Exception | None) -> None:
        self._peer = None
        self._protocol.connection_lost(reason)

    def _take(self, data: bytes) -> None:
        if self._closing or self._dead:
            return
        if self._delay_s or self._arrives_s > self._loop.time():
            self._later(self._arrive, data)
        else:
            self._arrive(data)

    def _arrive(self, data: bytes) -> None:
        if not self._closing:
            self._inbox.append(data)
            self._inbox_size += len(data)
            self._schedule()

    def _take_eof(self) -> None:
        if self._dead:
            return
        if self._delay_s or self._arrives_s > self._loop.time():
            self._later(self._end_input)
        else:
            self._end_input()

    def _later(self, what: Callable[..., None], *args: Any) -> None:
        """After all that is on the way already: timers of one instant have no order of their own."""
        self._arrives_s = max(self._loop.time() + self._delay_s, self._arrives_s + APART_S)
        self._loop.call_at(self._arrives_s, what, *args, context=self._context)

    def _end_input(self) -> None:
        self._eof_in = True
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and self._reading and not self._closing:
            self._scheduled = True
            self._loop.call_soon(self._deliver, context=self._context)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._closing or not self._reading:
            return
        if self._inbox:
            data = b"".join(self._inbox)
            self._inbox.clear()
            self._inbox_size = 0
            self._feed(data)
            if self._peer is not None:
                self._peer._drained()
        if self._eof_in and not self._eof_told and not self._inbox and not self._closing:
            self._eof_told = True
            if not self._protocol.eof_received():
                self.close()

    def _feed(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        except Exception as fault:  # noqa: BLE001 - as asyncio's own transports: the handler gets it, the connection ends
            self._loop.call_exception_handler(
                {"message": "data_received failed", "exception": fault, "transport": self}
            )
            self.abort()

    def _drained(self) -> None:
        if self._writer_paused and self.get_write_buffer_size() <= self._low:
            self._writer_paused = False
            self._protocol.resume_writing()


def pair(
    loop: asyncio.AbstractEventLoop,
    client: asyncio.BaseProtocol,
    server: asyncio.BaseProtocol,
    client_name: Any,
    server_name: Any,
    contexts: tuple[contextvars.Context, contextvars.Context] | None = None,
) -> tuple[Pipe, Pipe]:
    """Two connected ends, (client's, server's); neither protocol is connected yet. ``contexts`` default
    to the caller's.
    """
    here_context, there_context = contexts or (contextvars.copy_context(), contextvars.copy_context())
    here = Pipe(loop, client, client_name, server_name, here_context)
    there = Pipe(loop, server, server_name, client_name, there_context)
    here._peer, there._peer = there, here
    return here, there
