"""A real process at an address of the virtual network: octets go through a socket and back.

Virtual time does not wait for sockets, so the bridge does: after octets have gone out it looks for an answer
at each of its turns and waits a moment of real time for it.
"""

import asyncio
import select
import socket
from typing import Any, Final

TURN_S: Final = 0.02
"""Virtual seconds between two looks while an answer is expected: how long the network takes."""
IDLE_S: Final = 1.0
"""The same while none is."""
PATIENCE_S: Final = 0.5
"""Real seconds of one look, for a process on a machine with other work."""
LOOKS: Final = 20
"""Looks without octets until none are expected: not all that is sent is answered."""
CONNECT_S: Final = 10.0


class Bridge(asyncio.Protocol):
    """One connection. ``here`` holds those that are open."""

    def __init__(self, port: int, here: set["Bridge"]) -> None:
        self._port = port
        self._here = here
        self._looks = 0
        self._socket: socket.socket | None = None
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = transport
        self._socket = socket.create_connection(("127.0.0.1", self._port), CONNECT_S)
        self._here.add(self)
        self.expect()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self._socket is not None:
            try:
                self._socket.sendall(data)
            except OSError:
                self._end()
                return
            self.expect()

    def connection_lost(self, _fault: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._end()

    def expect(self) -> None:
        """Something is about to come from the process."""
        self._looks = LOOKS
        self._at(TURN_S)

    def _at(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look(self) -> None:
        if self._socket is None:
            return
        ready, _, _ = select.select([self._socket], [], [], PATIENCE_S / LOOKS if self._looks else 0.0)
        if not ready:
            self._looks = max(self._looks - 1, 0)
            self._at(TURN_S if self._looks else IDLE_S)
            return
        try:
            data = self._socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self._transport.write(data)
        self._looks = 1
        self._at(TURN_S)

    def _end(self) -> None:
        self._here.discard(self)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()


class Bridges:
    """A port of the virtual network that leads to one of this machine."""

    def __init__(self, virtual_port: int, real_port: int) -> None:
        self._virtual_port = virtual_port
        self._real_port = real_port
        self._here: set[Bridge] = set()
        self._server: Any = None

    async def open(self) -> None:
        """The process listens."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Bridge(self._real_port, self._here), "127.0.0.1", self._virtual_port
        )

    def close(self) -> None:
        """It does not any more."""
        if self._server is not None:
            self._server.close()
        for each in list(self._here):
            each._end()

    def expect(self) -> None:
        """The process is about to say something by itself."""
        for each in self._here:
            each.expect()
