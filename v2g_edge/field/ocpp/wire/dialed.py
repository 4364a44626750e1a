"""The WebSocket of a link that we dial ourselves, towards an upstream central system, with the same fast path
as a station's (``FastPath``).
"""

from os import urandom
from typing import ClassVar, Final

from websockets.asyncio.client import ClientConnection
from websockets.protocol import OPEN

from v2g_edge.field.ocpp.wire.fast_path import MASKED, WHOLE_TEXT, FastPath, masked

LONG: Final = 126
"""Stands for a length that follows in two octets (RFC 6455 5.2)."""
LONG_MAX: Final = (1 << 16) - 1


class Dialed(FastPath, ClientConnection):
    """Messages come by ``listen`` and go by ``post``; ``recv`` and ``send`` of the library are not used."""

    KEY: ClassVar[int] = 0

    def post(self, frame: bytes) -> None:
        """Send a UTF-8 text without waiting; nothing happens on a closed connection."""
        if self.protocol.state is not OPEN:
            return
        size = len(frame)
        if size > LONG_MAX or (size >= LONG and self.protocol.extensions):
            self.protocol.send_text(frame)
            self.send_data()
            return
        head = bytes((WHOLE_TEXT, MASKED | size)) if size < LONG else _LONG_HEAD + size.to_bytes(2, "big")
        key = urandom(4)
        self.transport.write(head + key + masked(frame, key))


_LONG_HEAD: Final = bytes((WHOLE_TEXT, MASKED | LONG))
