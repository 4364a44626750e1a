"""The WebSocket of a link that we dial ourselves, towards an upstream central system."""

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import OPEN

from v2g_edge.field.ocpp.wire.websocket import Message
from v2g_edge.tasks import begin


class Dialed(ClientConnection):
    """Messages come by ``listen`` and go by ``post``, as with ``Wire``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._giving_up: asyncio.Task[None] | None = None

    async def listen(self, take: Callable[[Message], None]) -> None:
        """Hand every message to ``take`` as it comes. Returns when the connection is gone."""
        try:
            async for message in self:
                take(message)
        except ConnectionClosed:
            return

    def post(self, frame: bytes) -> None:
        """Send a UTF-8 text without waiting; nothing happens on a closed connection."""
        if self.protocol.state is OPEN:
            self.protocol.send_text(frame)
            self.send_data()

    def give_up(self, code: int, reason: str) -> None:
        """Start closing."""
        self._giving_up = begin("close an upstream link", self.close(code, reason))
