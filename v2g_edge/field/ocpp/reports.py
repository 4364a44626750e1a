"""Reports that a request of ours announced, put together from their parts."""

import asyncio
from typing import Any


class Reports:
    """Waiting reports by request id."""

    def __init__(self) -> None:
        self._last = 0
        self._waiting: dict[int, tuple[asyncio.Future[list[dict[str, Any]]], list[dict[str, Any]]]] = {}

    def expect(self) -> tuple[int, "asyncio.Future[list[dict[str, Any]]]"]:
        """A request id, and what will hold everything reported under it."""
        self._last += 1
        future: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = (future, [])
        return self._last, future

    def forget(self, request_id: int) -> None:
        """Nobody waits any more."""
        self._waiting.pop(request_id, None)

    def took(self, request_id: int, parts: list[dict[str, Any]], *, more: bool) -> None:
        """One part; without ``more`` it was the last."""
        if request_id in self._waiting:
            future, kept = self._waiting[request_id]
            kept.extend(parts)
            if not more and not future.done():
                future.set_result(kept)
