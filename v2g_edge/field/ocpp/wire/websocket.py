"""The WebSocket under a link: ``websockets``' own server connection, with a short way for what stations send
all day.

The library does handshakes, TLS, fragments, compression, control frames and closing. A whole text frame
without compression needs none of that: it is unmasked and handed on in the call that brought it, past the
library's parser, queue and task, which are half of what a message costs. An echo on one core in one run:
``websockets`` 22 µs a message, this 10 µs, a bare transport 9 µs. (The compiled ``picows`` 2.3 does it in 9
µs too, ``aiohttp`` 3.14 in 14 µs: nothing is left to win there.)
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import CONNECTING, OPEN, Event

from v2g_edge.field.ocpp.wire.budget import Allowance
from v2g_edge.tasks import begin

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the library's compiled part
    from websockets.utils import apply_mask

log = structlog.get_logger()

Message: TypeAlias = str | bytes

WHOLE_TEXT: Final = 0x81
"""First octet of an unfragmented text frame without extensions (RFC 6455 5.2)."""
MASKED: Final = 0x80
HEADER_MAX: Final = 14
"""Octets of the longest header of a masked frame (RFC 6455 5.2)."""
SHORT_MAX: Final = 125
"""Octets of a payload whose length fits into the second octet. So short, a frame goes out as it is:
compressed it would grow.
"""

BURST: Final = 32
TURN_OCTETS: Final = 64 << 10
TURN_S: Final = 0.005
"""Frames of one station, their (inflated) octets, and the time they took, in a row; then it is the others'
turn.
"""

SLICE: Final = 1 << 10
"""Octets that the library's parser is given at a time: it takes all frames in them at once, 170 at most, each
with an answer if it is a ping.
"""

UNREAD_MAX: Final = 1 << 20
"""Octets that wait in a socket whose station does not read them: more than any answer, less than what
would hurt us.
"""

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Wire(ServerConnection):
    """Messages come by ``listen`` and go by ``post``; ``recv`` and ``send`` of the library are not used.

    ``admitted`` is what the owner knows of it since the handshake, ``allowance`` what its station may still
    send.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.admitted: object = None
        self._early: list[Message] = []
        self._take: Callable[[Message], None] = self._early.append
        self._rest = b""
        self._due = 0
        self._long = False
        self._parts = bytearray()
        self._is_text = True
        self._mid_message = False
        self._giving_up: asyncio.Task[None] | None = None
        self.allowance = Allowance()
        self._held = False
        self._turn_frames = self._turn_octets = 0
        self._turn_s = 0.0

    @property
    def was_too_large(self) -> bool:
        """Whether we closed it because of a message that is larger than it may be."""
        sent = self.protocol.close_sent
        return sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG

    async def listen(self, take: Callable[[Message], None]) -> None:
        """Hand every message to ``take`` as it comes, text as str and binary as bytes. Returns when the
        connection is gone.
        """
        self._take = take
        for message in self._early:
            take(message)
        self._early.clear()
        await self.wait_closed()

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

    def give_up(self, code: int, reason: str) -> None:
        """Start closing; whatever else comes is not read."""
        self._take = _nobody
        self._giving_up = begin("close a station's link", self.close(code, reason))

    # What the transport and the library call

    def data_received(self, data: bytes) -> None:
        """Octets arrived."""
        if self._held:
            self._rest += data
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        if self.protocol.state is CONNECTING:
            # A client that does not wait for our answer takes the long way: only the parser knows where its
            # frames begin.
            self._long = not data.endswith(b"\r\n\r\n")
            super().data_received(data)
            return
        self._turn_frames = self._turn_octets = 0
        self._turn_s = self.loop.time()
        if self._long or self.protocol.state is not OPEN:
            self._parse(data)
        else:
            self._split(data)
        if not self._held and self.allowance.wait_s(self._turn_s) > 0.0:
            self._pause(self._rest)

    def process_event(self, event: Event) -> None:
        """A request or a frame went the long way."""
        if isinstance(event, Frame):
            self._charge(len(event.data))
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
            return
        if event.opcode is not Opcode.CONT:
            self._is_text = event.opcode is Opcode.TEXT
        self._parts += event.data
        self._mid_message = not event.fin
        if event.fin:
            message, self._parts = bytes(self._parts), bytearray()
            if self._is_text:
                self._take_text(message)
            else:
                self._take(message)

    # Inside

    def _parse(self, data: bytes) -> None:
        """Hand octets to the library, a few frames at a time."""
        for at in range(0, len(data), SLICE):
            if at and self._turn_is_over():
                self._pause(data[at:])
                return
            super().data_received(data[at : at + SLICE])

    def _split(self, data: bytes) -> None:
        """Hand on whole text frames here, give everything else to the library frame by frame."""
        at, size = 0, len(data)
        while at < size:
            if self._due:
                part = data[at : at + self._due]
                self._due -= len(part)
                at += len(part)
                super().data_received(part)
                if self.protocol.state is not OPEN:
                    self._due = size  # a closing handshake: the parser discards the rest
                continue
            if self._turn_is_over():
                self._pause(data[at:])
                return
            start, end = payload_at(data, at)
            masked = at + 1 == size or data[at + 1] & MASKED
            if end <= size and masked and data[at] == WHOLE_TEXT and not self._mid_message:
                self._charge(end - start)
                self._take_text(apply_mask(data[start:end], data[start - 4 : start]))
                at = end
            elif end > size and masked and size - at < HEADER_MAX:
                self._rest = data[at:]  # the length of the frame may be still to come
                return
            else:
                self._due = end - at

    def _charge(self, octets: int) -> None:
        self._turn_frames += 1
        self._turn_octets += octets
        self.allowance.spend(octets)

    def _turn_is_over(self) -> bool:
        if not self._turn_frames:
            return False
        if self._turn_frames >= BURST or self._turn_octets >= TURN_OCTETS:
            return True
        return self.loop.time() - self._turn_s >= TURN_S

    def _pause(self, rest: bytes) -> None:
        self._rest = rest
        self._held = True
        if not self.transport.is_closing():
            self.transport.pause_reading()
        wait_s = self.allowance.wait_s(self.loop.time())
        if wait_s > 0.0:
            self.loop.call_later(wait_s, self._go_on)
        else:
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._held = False
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self.data_received(b"")

    def _take_text(self, octets: bytes) -> None:
        try:
            text = octets.decode()
        except UnicodeDecodeError as fault:
            self.give_up(CloseCode.INVALID_DATA, f"{fault.reason} at position {fault.start}")
            return
        self._take(text)


def payload_at(data: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the masked frame at ``at`` starts and ends; both lie beyond an incomplete
    header.
    """
    length = data[at + 1] & 127 if at + 1 < len(data) else 127
    start = at + 6
    if length == 126:
        start = at + 8
        length = int.from_bytes(data[at + 2 : at + 4], "big")
    elif length == 127:
        start = at + HEADER_MAX
        length = int.from_bytes(data[at + 2 : at + 10], "big")
    return start, start + length


def _nobody(_message: Message) -> None:
    """Takes what comes after the end."""
