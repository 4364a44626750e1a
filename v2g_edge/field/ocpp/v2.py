"""What OCPP 2.0.1 and 2.1 share: their messages to our vocabulary and back.

Vehicle identity is the transaction's ``idToken`` (eMAID, MacAddress, Central, …); an ``additionalInfo`` of type EVCCID, VIN or
MacAddress wins over it. Needs come from NotifyEVChargingNeeds: ``departureTime``; ``dcChargingParameters`` ``stateOfCharge``,
``evEnergyCapacity`` (Wh), ``evMaxPower`` (W); target SoC ``v2xChargingParameters.targetSoC``, else
``dcChargingParameters.fullSoC``. ``v2xChargingParameters`` (2.1) is also read on 2.0.1, there or inside
``chargingNeeds.customData``: stations in the field speak 2.0.1 with 2.1's V2X messages (reference ocpp.md, ChargePilot).
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from v2g_edge.field.ocpp.facts import Identity, Needs, Sample, SessionEvent, SessionPhase, StatusReport
from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.metering import read_samples
from v2g_edge.field.ocpp.station import Station
from v2g_edge.field.ocpp.when import format_wall, parse_wall
from v2g_edge.model.snapshot import EvseStatus

HEARTBEAT_S: Final = 300
"""A Heartbeat costs a message and tells nothing that our own ping does not; the specification wants at least one a day."""

_PHASES: Final[dict[str, SessionPhase]] = {"Started": "started", "Updated": "updated", "Ended": "ended"}
_STATUS: Final[dict[str, EvseStatus]] = {
    "Available": "available",
    "Occupied": "occupied",
    "Reserved": "available",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}
_IDENTITIES: Final = ("EVCCID", "VIN", "MacAddress")

_EMPTY: Final = frozenset(
    {
        "ClearedChargingLimit",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "NotifyChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDisplayMessages",
        "NotifyMonitoringReport",
        "NotifyReport",
        "PublishFirmwareStatusNotification",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
    }
)
"""Notifications whose answer says nothing."""


class V2:
    """Incoming messages of one station. KeyError, TypeError or ValueError where a lenient link let an unreadable payload pass."""

    version: Version = "2.0.1"

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        self._station = station
        self._wall_s = wall_s
        self._handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Authorize": self._authorize,
            "BootNotification": self._boot,
            "DataTransfer": self._data_transfer,
            "Get15118EVCertificate": self._contract,
            "GetCertificateStatus": self._failed,
            "Heartbeat": self._heartbeat,
            "MeterValues": self._meter_values,
            "NotifyEVChargingNeeds": self._charging_needs,
            "NotifyEVChargingSchedule": self._charging_schedule,
            "ReportChargingProfiles": self._report_profiles,
            "NotifyEvent": self._event,
            "SignCertificate": self._sign,
            "StatusNotification": self._status,
            "TransactionEvent": self._transaction,
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
        station = payload["chargingStation"]
        self._station.took_boot(
            Identity(
                str(station.get("vendorName", "")),
                str(station.get("model", "")),
                str(station.get("firmwareVersion", "")),
                str(station.get("serialNumber", "")),
            )
        )
        wait_s = self._station.pending_s()
        status = "Pending" if wait_s else "Accepted"
        return {"currentTime": format_wall(self._wall_s()), "interval": wait_s or HEARTBEAT_S, "status": status}

    def _heartbeat(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"currentTime": format_wall(self._wall_s())}

    def _authorize(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"idTokenInfo": {"status": self._station.authorise(str(payload["idToken"]["idToken"]))}}

    def _data_transfer(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "UnknownVendorId"}

    def _sign(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Accepted" if self._station.took_request(str(payload["csr"])) else "Rejected"}

    def _status(self, payload: dict[str, Any]) -> dict[str, Any]:
        status = _STATUS.get(payload["connectorStatus"], "unknown")
        fault = "Faulted" if status == "faulted" else ""
        self._station.took_status(StatusReport(payload["evseId"], payload["connectorId"], status, fault))
        return {}

    def _meter_values(self, payload: dict[str, Any]) -> dict[str, Any]:
        self._station.took_samples(payload["evseId"], read_samples(payload["meterValue"]))
        return {}

    def _event(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Of the device model's events two are ours: the pack's temperature, and availability.

        2.x has no temperature measurand: it comes as variable Temperature of component ConnectedEV. 2.1 stations report
        AvailabilityState so instead of by StatusNotification.
        """
        for datum in payload["eventData"]:
            component, name = datum["component"], datum["variable"]["name"]
            where = component.get("evse", {})
            if component["name"] == "ConnectedEV" and name == "Temperature":
                pack_c = _finite(datum["actualValue"])
                sample = Sample(at_wall_s=parse_wall(datum["timestamp"]), pack_c=pack_c)
                self._station.took_samples(where.get("id", 0), [sample])
            elif name == "AvailabilityState" and datum["actualValue"] in _STATUS and where:
                status = _STATUS[datum["actualValue"]]
                fault = "Faulted" if status == "faulted" else ""
                self._station.took_status(StatusReport(where["id"], where.get("connectorId", 1), status, fault))
        return {}

    def _failed(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Failed"}  # certificate status comes from a contract's issuer, and the depot needs no network

    def _contract(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Failed", "exiResponse": ""}  # contracts are bought elsewhere; a depot knows its vehicles

    def _transaction(self, payload: dict[str, Any]) -> dict[str, Any]:
        info = payload["transactionInfo"]
        offline = payload.get("offline") is True
        state = info.get("chargingState")
        event = SessionEvent(
            phase=_PHASES[payload["eventType"]],
            transaction=str(info["transactionId"]),
            ocpp_evse=payload.get("evse", {}).get("id", 0),
            at_wall_s=parse_wall(payload["timestamp"]),
            seq=payload["seqNo"] if isinstance(payload["seqNo"], int) else 0,
            vehicle=_identity(payload.get("idToken")),
            offline=offline,
            plugged=None if state is None else state != "Idle",
        )
        number = event.ocpp_evse or self._station.evse_of(event.transaction)
        self._station.took_session(event)
        self._station.took_samples(number, read_samples(payload.get("meterValue")), offline=offline)
        return self._authorize(payload) if "idToken" in payload else {}

    def _charging_needs(self, payload: dict[str, Any]) -> dict[str, Any]:
        needs = read_needs(payload["chargingNeeds"])
        return {"status": "Accepted" if self._station.took_needs(payload["evseId"], needs) else "Rejected"}

    def _report_profiles(self, payload: dict[str, Any]) -> dict[str, Any]:
        parts, more = payload["chargingProfile"], payload.get("tbc") is True
        self._station.reports.took(payload["requestId"], parts, more=more)
        return {}

    def _charging_schedule(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Accepted"}


def read_needs(needs: dict[str, Any]) -> Needs:
    """See the module for what is read from where."""
    dc, ac = needs.get("dcChargingParameters") or {}, needs.get("acChargingParameters") or {}
    v2x = needs.get("v2xChargingParameters") or (needs.get("customData") or {}).get("v2xChargingParameters") or {}
    target = v2x.get("targetSoC", dc.get("fullSoC"))
    takes_w = _phases_sum(v2x, "maxChargePower")
    if takes_w is None:
        takes_w = _number(dc.get("evMaxPower"))
    if takes_w is None and ac:
        phases = {"AC_single_phase": 1, "AC_two_phase": 2}.get(needs.get("requestedEnergyTransfer", ""), 3)
        takes_w = ac["evMaxCurrent"] * ac["evMaxVoltage"] * phases
    gives_w = _phases_sum(v2x, "maxDischargePower")
    return Needs(
        departure_wall_s=parse_wall(needs.get("departureTime")),
        target_soc_pct=_share(target),
        soc_pct=_share(dc.get("stateOfCharge")),
        capacity_wh=_number(dc.get("evEnergyCapacity")) or None,
        max_charge_w=takes_w,
        max_discharge_w=None if gives_w is None else abs(gives_w),
    )


def _identity(token: Any) -> str:
    if not isinstance(token, dict):
        return ""
    for info in token.get("additionalInfo") or ():
        if info.get("type") in _IDENTITIES:
            return str(info["additionalIdToken"])
    return "" if token.get("type") == "NoAuthorization" else str(token.get("idToken", ""))


def _finite(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _share(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0.0 <= number <= 100.0 else None


def _phases_sum(parameters: dict[str, Any], name: str) -> float | None:
    """A power of ``v2xChargingParameters``: the total, or L1 where L2 and L3 are given too."""
    parts = [_number(parameters.get(name + suffix)) for suffix in ("", "_L2", "_L3")]
    return None if parts[0] is None else sum(part or 0.0 for part in parts)
