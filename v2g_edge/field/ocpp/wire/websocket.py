"""The WebSocket of a station: ``websockets``' own server connection, with a fast path for what stations send
all day (``FastPath``).

An echo on one core in one run: ``websockets`` 22 µs a message, this 10 µs, a bare transport 9 µs. (The
compiled ``picows`` 2.3 does it in 9 µs too, ``aiohttp`` 3.14 in 14 µs: nothing is left to win there.)
"""

from typing import Any, ClassVar, Final

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode
from websockets.protocol import OPEN

from v2g_edge.field.ocpp.wire.fast_path import WHOLE_TEXT, FastPath

log = structlog.get_logger()

SHORT_MAX: Final = 125
"""Octets of a payload whose length fits into the second octet. So short, a frame goes out as it is:
compressed it would grow.
"""

UNREAD_MAX: Final = 1 << 20
"""Octets that wait in a socket whose station does not read them: more than any answer, less than what
would hurt us.
"""


class Wire(FastPath, ServerConnection):
    """Messages come by ``listen`` and go by ``post``; ``recv`` and ``send`` of the library are not used.

    ``admitted`` is what the owner knows of it since the handshake.
    """

    KEY: ClassVar[int] = 4

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.admitted: object = None

    @property
    def was_too_large(self) -> bool:
        """Whether we closed it because of a message that is larger than it may be."""
        sent = self.protocol.close_sent
        return sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG

    def post(self, frame: bytes) -> None:
        """Send a UTF-8 text without waiting, whatever is still unread before it; nothing happens on a
        closed connection.
        """
        if self.protocol.state is not OPEN:
            return
        if len(frame) <= SHORT_MAX:
            self.transport.write(bytes((WHOLE_TEXT, len(frame))) + frame)
        else:
            self.protocol.send_text(frame)
            self.send_data()

    def send_data(self) -> None:
        """Send what the library has to send. Its answers to pings wait for nobody: a station that sends
        pings and reads nothing would fill the memory.
        """
        super().send_data()
        if self.transport.get_write_buffer_size() > UNREAD_MAX:
            log.warning("station_does_not_read", peer=str(self.remote_address), octets=UNREAD_MAX)
            self.transport.abort()
