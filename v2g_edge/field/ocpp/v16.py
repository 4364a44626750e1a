"""OCPP 1.6 with the Security Whitepaper's messages: to our vocabulary and back.

An EVSE of ours is a connector of 1.6. Transaction ids are ours to give; they come from the store and never repeat. 1.6 knows no
departure and no vehicle but its idTag: departure and target come from the site file, or stay unknown.
"""

from collections.abc import Callable
from typing import Any, Final

from v2g_edge.field.ocpp.facts import Identity, SessionEvent, StatusReport
from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.metering import read_samples
from v2g_edge.field.ocpp.station import Station
from v2g_edge.field.ocpp.tokens import V16_STATUS
from v2g_edge.field.ocpp.v2 import HEARTBEAT_S
from v2g_edge.field.ocpp.when import format_wall, parse_wall
from v2g_edge.model.snapshot import EvseStatus

_STATUS: Final[dict[str, EvseStatus]] = {
    "Available": "available",
    "Preparing": "occupied",
    "Charging": "occupied",
    "SuspendedEVSE": "occupied",
    "SuspendedEV": "occupied",
    "Finishing": "occupied",
    "Reserved": "available",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}
_HARMLESS: Final = frozenset({"NoError", "WeakSignal", "ReaderFailure", "LocalListConflict"})
"""Error codes that leave the power path alone (OCPP 1.6 7.6)."""

_EMPTY: Final = frozenset(
    {
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
    }
)


class V16:
    """Incoming messages of one station. KeyError, TypeError or ValueError where a lenient link let an unreadable payload pass."""

    version: Version = "1.6"

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        self._station = station
        self._wall_s = wall_s
        self._handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Authorize": self._authorize,
            "BootNotification": self._boot,
            "DataTransfer": self._data_transfer,
            "Heartbeat": self._heartbeat,
            "MeterValues": self._meter_values,
            "StartTransaction": self._start,
            "SignCertificate": self._sign,
            "StatusNotification": self._status,
            "StopTransaction": self._stop,
        }

    @property
    def handles(self) -> frozenset[str]:
        """The actions that are answered; every other known one is NotSupported."""
        return frozenset(self._handlers) | _EMPTY

    def answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call, after its facts were handed on."""
        handler = self._handlers.get(action)
        return handler(payload) if handler else {}

    def _boot(self, payload: dict[str, Any]) -> dict[str, Any]:
        self._station.took_boot(
            Identity(
                str(payload.get("chargePointVendor", "")),
                str(payload.get("chargePointModel", "")),
                str(payload.get("firmwareVersion", "")),
                str(payload.get("chargePointSerialNumber", "")),
            )
        )
        wait_s = self._station.pending_s()
        status = "Pending" if wait_s else "Accepted"
        return {"currentTime": format_wall(self._wall_s()), "interval": wait_s or HEARTBEAT_S, "status": status}

    def _heartbeat(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"currentTime": format_wall(self._wall_s())}

    def _authorize(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"idTagInfo": {"status": V16_STATUS[self._station.authorise(str(payload["idTag"]))]}}

    def _data_transfer(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "UnknownVendorId"}

    def _sign(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Accepted" if self._station.took_request(str(payload["csr"])) else "Rejected"}

    def _status(self, payload: dict[str, Any]) -> dict[str, Any]:
        status, error = _STATUS.get(payload["status"], "unknown"), str(payload.get("errorCode", "NoError"))
        fault = error if error not in _HARMLESS else "Faulted" if status == "faulted" else ""
        self._station.took_status(StatusReport(payload["connectorId"], payload["connectorId"], status, fault))
        return {}

    def _meter_values(self, payload: dict[str, Any]) -> dict[str, Any]:
        connector, transaction = payload["connectorId"], payload.get("transactionId")
        if transaction is not None and not self._station.evse_of(str(transaction)):
            # No link carried its start, or we forgot: a running transaction may show itself by nothing but its meter values.
            self._station.took_session(SessionEvent("updated", str(transaction), connector, None))
        self._station.took_samples(connector, read_samples(payload["meterValue"]))
        return {}

    def _start(self, payload: dict[str, Any]) -> dict[str, Any]:
        at_wall_s = parse_wall(payload["timestamp"])
        number = self._station.transaction_id(payload["connectorId"], str(payload["idTag"]), at_wall_s, payload["meterStart"])
        self._station.took_session(
            SessionEvent("started", str(number), payload["connectorId"], at_wall_s, vehicle=str(payload["idTag"]), plugged=True)
        )
        return {"transactionId": number, **self._authorize(payload)}

    def _stop(self, payload: dict[str, Any]) -> dict[str, Any]:
        transaction = str(payload["transactionId"])
        connector = self._station.evse_of(transaction)
        self._station.took_samples(connector, read_samples(payload.get("transactionData")))
        self._station.took_session(SessionEvent("ended", transaction, connector, parse_wall(payload["timestamp"])))
        return self._authorize(payload) if "idTag" in payload else {}
