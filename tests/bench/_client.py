"""The bare end of a WebSocket for load clients: a handshake, masked frames out, frames in, nothing else."""

import asyncio
from base64 import b64encode
from typing import Final, cast

PING: Final = 9
"""Opcode of a ping frame (RFC 6455, 5.2)."""


def masked(payload: bytes) -> bytes:
    """A text frame with a mask of zeros: the bytes stand as they are, and the server does the same work."""
    size = (
        bytes([128 | len(payload)]) if len(payload) < 126 else bytes([254]) + len(payload).to_bytes(2, "big")
    )
    return b"\x81" + size + bytes(4) + payload


class BareClient(asyncio.Protocol):
    """One station at ``path``. ``opened`` is called after the handshake, ``took`` for each text frame."""

    def __init__(self, path: str, subprotocol: str) -> None:
        self._request = (
            f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection:"
            " Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key:"
            f" {b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        ).encode()
        self._buffer = b""
        self._open = False
        self.answers = 0
        self.transport: asyncio.Transport | None = None

    def opened(self) -> None:
        """The handshake is over."""

    def took(self, frame: bytes) -> None:
        """A whole frame of the server, without its header."""

    def send(self, frame: bytes) -> None:
        """A frame that ``masked`` has made."""
        if self.transport is not None:
            self.transport.write(frame)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, gap, rest = self._buffer.partition(b"\r\n\r\n")
            if not gap:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open, self._buffer = True, rest
            self.opened()
        while (taken := self._frame()) is not None:
            opcode, frame = taken
            if opcode == PING:
                self.send(b"\x8a" + bytes([128 | len(frame)]) + bytes(4) + frame)
            else:
                self.took(frame)

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < 2:
            return None
        opcode, size, start = self._buffer[0] & 15, self._buffer[1] & 127, 2
        if size == 126:
            if len(self._buffer) < 4:
                return None
            size, start = int.from_bytes(self._buffer[2:4], "big"), 4
        if len(self._buffer) < start + size:
            return None
        frame, self._buffer = self._buffer[start : start + size], self._buffer[start + size :]
        return opcode, frame
