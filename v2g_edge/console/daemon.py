"""Asks the daemon over its control socket, a line of JSON each way (see ``v2g_edge.host.control``)."""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

ANSWER_MAX: Final = 8 << 20
"""The status of 1,000 outlets is half a megabyte."""
PATIENCE_S: Final = 10.0
QUESTIONS_MAX: Final = 8
"""At once. The daemon answers 24 clients, and people at terminals are among them. Orders never wait here."""


class DaemonDown(Exception):  # noqa: N818 - a state, told to people in these words
    """Nothing answers on the socket; the message says why and what to do."""


class DaemonRefuses(Exception):  # noqa: N818 - an answer, told to people in the daemon's words
    """The daemon answers that it cannot be done as asked. ``kind`` is "bad_request" or "busy"."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Daemon:
    """One control socket. Each question has a connection of its own: an order never waits behind a
    question.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._places = asyncio.Semaphore(QUESTIONS_MAX)

    async def ask(
        self, method: str, params: dict[str, Any] | None = None, within_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """The answer to one request. Raises ``DaemonDown`` or ``DaemonRefuses``."""
        request = msgspec.json.encode({"id": 1, "method": method, "params": params or {}}) + b"\n"
        try:
            async with (
                asyncio.timeout(within_s),
                contextlib.nullcontext() if method == "operate" else self._places,
            ):
                line = await self._exchange(request)
            answer = msgspec.json.decode(line)
        except TimeoutError as fault:
            raise DaemonDown(
                f"the daemon does not answer within {within_s:g} s; see journalctl -u v2g-edge"
            ) from fault
        except (OSError, ValueError, asyncio.IncompleteReadError) as fault:
            text = f"no daemon answers on {self._path} ({fault}); is it running? systemctl status v2g-edge"
            raise DaemonDown(text) from fault
        if not isinstance(answer, dict) or not isinstance(answer.get("result", answer.get("error")), dict):
            raise DaemonDown("the daemon's answer is of another version; update both together")
        if "error" in answer:
            error = answer["error"]
            raise DaemonRefuses(str(error.get("kind", "bad_request")), str(error.get("text", "")))
        result: dict[str, Any] = answer["result"]
        return result

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=ANSWER_MAX)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.readline()
        finally:
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Wait until the connection is closed. A question that is given up drops what it has not sent."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
