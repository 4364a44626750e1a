"""OCPP 1.6 with the Security Whitepaper's messages: to our vocabulary and back.

An EVSE of ours is a connector of 1.6. Transaction ids are ours to give; they come from the store and never
repeat. 1.6 knows no departure and no vehicle but its idTag: departure and target come from the site file, or
stay unknown.
"""

from collections.abc import Callable
from typing import Final

import structlog

from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.trust.tokens import V16_STATUS
from v2g_edge.field.ocpp.versions.version import Payload, VersionAdapter, finite, named
from v2g_edge.field.ocpp.vocabulary.facts import (
    Identity,
    Sample,
    SessionEvent,
    Stage,
    StatusReport,
    readable,
    word,
)
from v2g_edge.field.ocpp.vocabulary.metering import read_samples
from v2g_edge.field.ocpp.wire.timestamps import format_wall, parse_wall
from v2g_edge.model.fault import FAULTS, fault_code
from v2g_edge.model.snapshot import EvseStatus

_STATUS: Final[dict[str, EvseStatus]] = {
    "available": "available",
    "preparing": "occupied",
    "charging": "occupied",
    "suspendedevse": "occupied",
    "suspendedev": "occupied",
    "finishing": "occupied",
    "reserved": "available",
    "unavailable": "unavailable",
    "faulted": "faulted",
    "occupied": "occupied",
}
"""By the word in small letters; Occupied is that of OCPP 1.5, which some stations still say."""
_STAGE: Final[dict[str, Stage]] = {
    "preparing": "preparing",
    "charging": "running",
    "suspendedevse": "running",
    "suspendedev": "running",
    "finishing": "finishing",
}
_HARMLESS: Final = frozenset({"NoError", "WeakSignal", "ReaderFailure", "LocalListConflict"})
"""Error codes that leave the power path alone (OCPP 1.6 7.6)."""
_NO_ERROR: Final = frozenset({"", "0", "none", "noerror", "no_error", "no error", "ok"})
"""How stations write NoError where they do not keep to the word."""

log = structlog.get_logger()


class V16(VersionAdapter):
    """See the module. Discharge is a negative ``limit``, and only for outlets whose ``discharge_by`` says
    so.
    """

    version = "1.6"
    silent = frozenset(
        {
            "DiagnosticsStatusNotification",
            "FirmwareStatusNotification",
            "LogStatusNotification",
            "SecurityEventNotification",
            "SignedFirmwareStatusNotification",
        }
    )

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        super().__init__(station, wall_s)
        self._handlers |= {"StartTransaction": self._start, "StopTransaction": self._stop}

    def _who(self, payload: Payload) -> Identity:
        return named(
            payload, "chargePointVendor", "chargePointModel", "firmwareVersion", "chargePointSerialNumber"
        )

    def _authorize(self, payload: Payload) -> Payload:
        token = self._station.authorise(word(payload["idTag"]))
        info = {"status": V16_STATUS[token.status]}
        if token.group:
            info["parentIdTag"] = token.group
        if (until_wall_s := token.until_wall_s()) is not None:
            info["expiryDate"] = format_wall(until_wall_s)
        return {"idTagInfo": info}

    def _status(self, payload: Payload) -> Payload:
        word_of = readable(payload["status"]).strip().casefold()
        status: EvseStatus = _STATUS.get(word_of, "unknown")
        error = readable(payload.get("errorCode", "NoError")).strip()
        if (by_vendor := fault_code(readable(payload.get("vendorErrorCode", "")))) in FAULTS:
            error = by_vendor  # its own word for a fault that we know
        well = error in _HARMLESS or error.casefold() in _NO_ERROR
        if not well and error not in FAULTS and status in ("available", "occupied"):
            # It says that it works, and a word that is not known: a warning, as OtherError beside it is.
            log.info("station_error_word", station=self._station.settings.identity, error=error[:64])
            error = "OtherError"
        fault = error if not well else "Faulted" if status == "faulted" else ""
        stage, at_wall_s = _STAGE.get(word_of, ""), parse_wall(payload.get("timestamp"))
        self._station.on_status(StatusReport(int(payload["connectorId"]), 0, status, fault, stage, at_wall_s))
        return {}

    def _meter_values(self, payload: Payload) -> Payload:
        connector, transaction = int(payload["connectorId"]), payload.get("transactionId")
        samples = read_samples(payload["meterValue"])
        name = "" if transaction is None else word(transaction)
        if name and self._station.sessions.evse_of(name):
            self._station.confirm(name)
        elif name and self._may_run(connector, name):
            # No link carried its start, or we forgot: a running transaction may show itself by nothing but
            # its meter values.
            at_wall_s = max(
                (sample.at_wall_s for sample in samples if sample.at_wall_s is not None), default=None
            )
            self._station.on_session(SessionEvent("updated", name, connector, None, told_wall_s=at_wall_s))
        self._station.on_samples(connector, samples)
        return {}

    def _may_run(self, connector: int, name: str) -> bool:
        """Whether a transaction that is not open here may be the one that runs at a connector.

        The numbers are ours to give, from 1 on: 0 and -1 are how stations say "none". One that we opened and
        that the station has named since is not pushed out by a number of which no start was reported.
        """
        outlet = self._station.outlets.get(connector)
        named = outlet is not None and outlet.session is not None and not outlet.unconfirmed
        if name.lstrip("-").isdecimal() and int(name) > 0 and not named:
            return True
        log.info("transaction_not_ours", station=self._station.settings.identity, transaction=name[:64])
        return False

    def _start(self, payload: Payload) -> Payload:
        at_wall_s, connector, token = (
            parse_wall(payload["timestamp"]),
            int(payload["connectorId"]),
            word(payload["idTag"]),
        )
        number = self._station.sessions.transaction_id(connector, token, at_wall_s, payload["meterStart"])
        self._station.on_session(
            SessionEvent("started", str(number), connector, at_wall_s, vehicle=token, plugged=True)
        )
        return {"transactionId": number, **self._authorize(payload)}

    def _stop(self, payload: Payload) -> Payload:
        transaction, at_wall_s = word(payload["transactionId"]), parse_wall(payload["timestamp"])
        connector = self._station.sessions.evse_of(transaction)
        self._station.on_samples(connector, read_samples(payload.get("transactionData")))
        if (stop_wh := finite(payload["meterStop"])) is not None:
            self._station.on_samples(connector, [Sample(at_wall_s, import_wh=stop_wh)], last=True)
        if not connector:
            self._station.unknown_end(transaction)
        self._station.on_session(SessionEvent("ended", transaction, connector, at_wall_s))
        return self._authorize(payload) if "idTag" in payload else {}
