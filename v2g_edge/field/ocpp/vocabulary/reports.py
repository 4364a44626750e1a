"""Reports that a request of ours announced, put together from their parts."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

log = structlog.get_logger()

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
"""Where the content is; a ReportDERControl is content as a whole, and ReportChargingProfiles are read by
the adapter.
"""

OCTETS_MAX: Final = 2 << 20
PARTS_MAX: Final = 20_000
"""Kept of one report, as JSON and as rows: a whole device model is a hundred messages of some kilobytes,
one to two thousand variables. A report that is longer stays incomplete.
"""

_encode = msgspec.json.Encoder().encode


class _Waiting:
    """A report and what has come of it. ``known``: the identity of each part."""

    __slots__ = ("future", "known", "octets", "parts", "too_long")

    def __init__(self) -> None:
        self.future: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self.parts: list[dict[str, Any]] = []
        self.known: set[int] = set()
        self.octets = 0
        self.too_long = False

    def take(self, part: dict[str, Any]) -> None:
        """One part, counted once though it may arrive twice."""
        if self.too_long or id(part) in self.known:
            return
        self.octets += len(_encode(part))
        self.too_long = self.octets > OCTETS_MAX or len(self.parts) >= PARTS_MAX
        if not self.too_long:
            self.known.add(id(part))
            self.parts.append(part)


class Reports:
    """Waiting reports by request id."""

    def __init__(self, station: str = "") -> None:
        self._station = station
        self._last = 0
        self._waiting: dict[int, _Waiting] = {}

    def expect(self) -> tuple[int, "asyncio.Future[list[dict[str, Any]]]"]:
        """A request id, and what will hold everything reported under it."""
        self._last += 1
        self._waiting[self._last] = waiting = _Waiting()
        return self._last, waiting.future

    def forget(self, request_id: int) -> list[Any]:
        """The wait is over; what has come of it."""
        waiting = self._waiting.pop(request_id, None)
        return waiting.parts if waiting is not None else []

    def on_message(self, action: str, payload: Mapping[str, Any]) -> None:
        """A message that may be a part."""
        request_id = payload.get("requestId")
        if not isinstance(request_id, int) or request_id not in self._waiting:
            return
        content = (
            payload.get(_PARTS[action], [])
            if action in _PARTS
            else [payload]
            if action == "ReportDERControl"
            else None
        )
        if content is not None:
            self.took(
                request_id,
                content if isinstance(content, list) else [content],
                more=payload.get("tbc") is True,
            )

    def took(self, request_id: int, parts: list[dict[str, Any]], *, more: bool) -> bool:
        """One part; without ``more`` it was the last. False where no question is open for it."""
        waiting = self._waiting.get(request_id)
        if waiting is None:
            return False
        was_too_long = waiting.too_long
        for part in parts:
            waiting.take(part)
        if waiting.too_long:
            if not was_too_long:
                log.warning(
                    "report_too_long", station=self._station, request=request_id, parts=len(waiting.parts)
                )
        elif not more and not waiting.future.done():
            waiting.future.set_result(waiting.parts)
        return True
