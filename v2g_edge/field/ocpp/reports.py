"""Reports that a request of ours announced, put together from their parts."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

ANNOUNCED: Final = {
    "GetBaseReport": "NotifyReport",
    "GetReport": "NotifyReport",
    "GetMonitoringReport": "NotifyMonitoringReport",
    "GetChargingProfiles": "ReportChargingProfiles",
    "GetDisplayMessages": "NotifyDisplayMessages",
    "CustomerInformation": "NotifyCustomerInformation",
    "GetDERControl": "ReportDERControl",
}
"""Requests whose answer only announces what comes, and the message it comes in (2.x)."""

_PARTS: Final = {
    "NotifyReport": "reportData", "NotifyMonitoringReport": "monitor", "NotifyDisplayMessages": "messageInfo",
    "NotifyCustomerInformation": "data",
}  # fmt: skip
"""Where the content is; a ReportDERControl is content as a whole, and ReportChargingProfiles are read by the dialect."""


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

    def forget(self, request_id: int) -> list[Any]:
        """Nobody waits any more; what has come of it."""
        waiting = self._waiting.pop(request_id, None)
        return waiting[1] if waiting is not None else []

    def heard(self, action: str, payload: Mapping[str, Any]) -> None:
        """A message that may be a part."""
        request_id = payload.get("requestId")
        if not isinstance(request_id, int) or request_id not in self._waiting:
            return
        content = payload.get(_PARTS[action], []) if action in _PARTS else [payload] if action == "ReportDERControl" else None
        if content is not None:
            self.took(request_id, content if isinstance(content, list) else [content], more=payload.get("tbc") is True)

    def took(self, request_id: int, parts: list[dict[str, Any]], *, more: bool) -> bool:
        """One part; without ``more`` it was the last. False where nobody waits for it."""
        if request_id not in self._waiting:
            return False
        future, kept = self._waiting[request_id]
        kept.extend(part for part in parts if not any(part is known for known in kept))  # who hears may hear twice
        if not more and not future.done():
            future.set_result(kept)
        return True
