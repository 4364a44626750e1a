"""The WebSocket of a link that we dial ourselves, towards an upstream central system.

Messages are handed on in the call that brought them, past the library's queue and task, as with ``Wire``.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event

from v2g_edge.field.ocpp.wire.websocket import SLICE, TURN_S, Message
from v2g_edge.tasks import begin

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Dialed(ClientConnection):
    """Messages come by ``listen`` and go by ``post``; ``recv`` and ``send`` of the library are not used."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._giving_up: asyncio.Task[None] | None = None
        self._early: list[Message] = []
        self._take: Callable[[Message], None] = self._early.append
        self._parts = bytearray()
        self._is_text = True
        self._rest = b""

    async def listen(self, take: Callable[[Message], None]) -> None:
        """Hand every message to ``take`` as it comes. Returns when the connection is gone."""
        self._take = take
        for message in self._early:
            take(message)
        self._early.clear()
        await self.wait_closed()

    def data_received(self, data: bytes) -> None:
        """Octets arrived. They are taken a few at a time: a peer that floods delays no other."""
        if self._rest:
            self._rest += data
            return
        began_s = self.loop.time()
        for at in range(0, len(data), SLICE):
            if at and self.loop.time() - began_s >= TURN_S:
                self._rest = data[at:]
                if not self.transport.is_closing():
                    self.transport.pause_reading()
                self.loop.call_soon(self._go_on)
                return
            super().data_received(data[at : at + SLICE])

    def _go_on(self) -> None:
        rest, self._rest = self._rest, b""
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self.data_received(rest)

    def process_event(self, event: Event) -> None:
        """The handshake's answer, or a frame. The library bounds the octets of a message (``max_size``)."""
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
            return
        if event.opcode is not Opcode.CONT:
            self._is_text = event.opcode is Opcode.TEXT
        self._parts += event.data
        if not event.fin:
            return
        message, self._parts = bytes(self._parts), bytearray()
        if not self._is_text:
            self._take(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError as fault:
            self.give_up(CloseCode.INVALID_DATA, f"{fault.reason} at position {fault.start}")
            return
        self._take(text)

    def post(self, frame: bytes) -> None:
        """Send a UTF-8 text without waiting; nothing happens on a closed connection."""
        if self.protocol.state is OPEN:
            self.protocol.send_text(frame)
            self.send_data()

    def give_up(self, code: int, reason: str) -> None:
        """Start closing."""
        self._giving_up = begin("close an upstream link", self.close(code, reason))
