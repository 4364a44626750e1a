"""What all versions of OCPP share: one station's calls to our vocabulary, and the answers back."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import inf, isfinite
from typing import Any, ClassVar, Final, TypeAlias

import structlog

from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.vocabulary.facts import Identity, readable, word
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall

log = structlog.get_logger()

Payload: TypeAlias = dict[str, Any]

OURS: Final = "ChargingStationCertificate"
"""The use of certificates that the site's authority signs for. One towards vehicles is for a V2G authority
to sign.
"""

HEARTBEAT_S: Final = 300
"""A Heartbeat costs a message and shows nothing that our own ping does not; the specification wants at
least one a day.
"""

_WHILE_PENDING: Final = frozenset({"BootNotification", "NotifyReport"})
"""A report comes only on request; what else was triggered stands in
``VersionAdapter.asked``.
"""


class VersionAdapter(ABC):
    """Incoming messages of one station. KeyError, TypeError or ValueError where a lenient link let an
    unreadable payload pass.
    """

    version: ClassVar[Version]
    silent: ClassVar[frozenset[str]]
    """Notifications that are kept for people to read, and whose answer says nothing."""

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        self._station = station
        self._wall_s = wall_s
        self.asked: set[str] = set()
        self._pending_until_wall_s = -inf
        self._handlers: dict[str, Callable[[Payload], Payload]] = {
            "Authorize": self._authorize,
            "BootNotification": self._boot,
            "DataTransfer": self._data_transfer,
            "Heartbeat": self._heartbeat,
            "MeterValues": self._meter_values,
            "SignCertificate": self._sign,
            "StatusNotification": self._status,
        }

    @property
    def handles(self) -> frozenset[str]:
        """The actions that are answered; every other known one is NotSupported."""
        return frozenset(self._handlers) | self.silent

    def answer(self, action: str, payload: Payload) -> Payload:
        """The answer to a call, after its facts were handed on."""
        handler = self._handlers.get(action)
        return handler(payload) if handler else {}

    def unwelcome(self, action: str) -> bool:
        """Whether a station that waits sends what it was not asked for: 2.x answers SecurityError (B02.FR.09,
        B03.FR.07).

        One that never boots again is admitted when its wait is over.
        """
        pending = self.version != "1.6" and self._wall_s() < self._pending_until_wall_s
        return pending and action not in self.asked | _WHILE_PENDING

    @abstractmethod
    def _who(self, payload: Payload) -> Identity: ...

    @abstractmethod
    def _authorize(self, payload: Payload) -> Payload: ...

    @abstractmethod
    def _meter_values(self, payload: Payload) -> Payload: ...

    @abstractmethod
    def _status(self, payload: Payload) -> Payload: ...

    def _boot(self, payload: Payload) -> Payload:
        self._station.on_boot(self._who(payload))
        wait_s = self._station.pending_s()
        self._pending_until_wall_s = self._wall_s() + wait_s
        status = "Pending" if wait_s else "Accepted"
        return {
            "currentTime": format_wall(self._wall_s()),
            "interval": wait_s or HEARTBEAT_S,
            "status": status,
        }

    def _heartbeat(self, _payload: Payload) -> Payload:
        return {"currentTime": format_wall(self._wall_s())}

    def _data_transfer(self, _payload: Payload) -> Payload:
        return {"status": "UnknownVendorId"}

    def _sign(self, payload: Payload) -> Payload:
        kind = readable(payload.get("certificateType", OURS))
        if kind != OURS:
            log.warning(
                "certificate_request_refused",
                station=self._station.settings.identity,
                why=f"no {kind} is issued here",
            )
            return {"status": "Rejected"}
        return {"status": "Accepted" if self._station.requests.take(word(payload["csr"])) else "Rejected"}


def named(payload: Payload, *keys: str) -> Identity:
    """Vendor, model, firmware and serial number from under ``keys``; "" where one was left out."""
    return Identity(*(readable(payload.get(key, "")) for key in keys))


def finite(value: Any) -> float | None:
    """A number, also one that is written as a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
