"""The WebSocket of a link that we dial ourselves, towards an upstream central system.

Messages are handed on in the call that brought them, past the library's queue and task, as with ``Wire``.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event

from v2g_edge.field.ocpp.wire.websocket import Message
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

    async def listen(self, take: Callable[[Message], None]) -> None:
        """Hand every message to ``take`` as it comes. Returns when the connection is gone."""
        self._take = take
        for message in self._early:
            take(message)
        self._early.clear()
        await self.wait_closed()

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
