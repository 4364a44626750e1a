"""The fast path of a message through a WebSocket, for links that stations dial and for those that we dial.

``websockets`` does handshakes, TLS, fragments, compression, control frames and closing. A whole text frame
without compression needs none of that: it is unmasked and handed on in the call that brought it, past the
library's parser, queue and task, which are half of what a message costs.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias

from websockets.asyncio.connection import Connection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import CONNECTING, OPEN, Event

from v2g_edge.field.ocpp.wire.budget import Allowance
from v2g_edge.tasks import begin

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the library's compiled part
    from websockets.utils import apply_mask

Message: TypeAlias = str | bytes

WHOLE_TEXT: Final = 0x81
"""First octet of an unfragmented text frame without extensions (RFC 6455 5.2)."""
MASKED: Final = 0x80
HEADER_MAX: Final = 14
"""Octets of the longest header of a masked frame (RFC 6455 5.2)."""
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

masked: Final = apply_mask
"""Takes octets and a key of four; the same again takes the mask off."""

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class FastPath(Connection):
    """Messages come by ``listen``; ``recv`` of the library is not used. ``allowance`` is what the peer may
    still send.
    """

    KEY: ClassVar[int]
    """Octets of the key that masks a frame of the peer (RFC 6455 5.3): 4 from a client, 0 from a server."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
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

    async def listen(self, take: Callable[[Message], None]) -> None:
        """Hand every message to ``take`` as it comes, text as str and binary as bytes. Returns when the
        connection is gone.
        """
        self._take = take
        for message in self._early:
            take(message)
        self._early.clear()
        await self.wait_closed()

    def give_up(self, code: int, reason: str) -> None:
        """Start closing; whatever else comes is not read."""
        self._take = _nobody
        self._giving_up = begin("close a link", self.close(code, reason))

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
        at, size, key = 0, len(data), self.KEY
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
            start, end = payload_at(data, at, key)
            as_due = at + 1 == size or bool(data[at + 1] & MASKED) == bool(key)
            if end <= size and as_due and data[at] == WHOLE_TEXT and not self._mid_message:
                self._charge(end - start)
                octets = data[start:end]
                self._take_text(masked(octets, data[start - key : start]) if key else octets)
                at = end
            elif end > size and as_due and size - at < HEADER_MAX:
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


def payload_at(data: bytes, at: int, key: int) -> tuple[int, int]:
    """Where the payload of the frame at ``at`` starts and ends, its mask having ``key`` octets; both lie
    beyond an incomplete header.
    """
    length = data[at + 1] & 127 if at + 1 < len(data) else 127
    start = at + 2 + key
    if length == 126:
        start += 2
        length = int.from_bytes(data[at + 2 : at + 4], "big")
    elif length == 127:
        start += 8
        length = int.from_bytes(data[at + 2 : at + 10], "big")
    return start, start + length


def _nobody(_message: Message) -> None:
    """Takes what comes after the end."""
