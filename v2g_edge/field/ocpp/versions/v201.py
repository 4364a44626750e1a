"""OCPP 2.0.1, and what 2.1 keeps of it: to our vocabulary and back.

Vehicle identity is the transaction's ``idToken`` (eMAID, MacAddress, Central, …); an ``additionalInfo`` of
type EVCCID, VIN or MacAddress wins over it. Needs come from NotifyEVChargingNeeds: ``departureTime``;
``dcChargingParameters`` ``stateOfCharge``, ``evEnergyCapacity`` (Wh), ``evMaxPower`` (W); target SoC
``v2xChargingParameters.targetSoC``, else ``dcChargingParameters.fullSoC``. ``v2xChargingParameters`` (2.1) is
also read on 2.0.1, there or inside ``chargingNeeds.customData``: stations in the field speak 2.0.1 with 2.1's
V2X messages (reference ocpp.md, ChargePilot).
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.versions.version import Payload, VersionAdapter, finite, named
from v2g_edge.field.ocpp.vocabulary.charging_profiles import NOMINAL_V
from v2g_edge.field.ocpp.vocabulary.compliance import TOLERANCE_W
from v2g_edge.field.ocpp.vocabulary.facts import (
    Identity,
    Needs,
    Sample,
    SessionEvent,
    SessionPhase,
    StatusReport,
    readable,
    word,
)
from v2g_edge.field.ocpp.vocabulary.metering import read_samples
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall, parse_wall
from v2g_edge.model.snapshot import EvseStatus

_PHASES: Final[dict[str, SessionPhase]] = {"Started": "started", "Updated": "updated", "Ended": "ended"}
_STATUS: Final[dict[str, EvseStatus]] = {
    "Available": "available",
    "Occupied": "occupied",
    "Reserved": "available",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}
WHOLE: Final = "ChargingStation"
"""The component of the device model that is the whole station (2.x part 2, appendix 3)."""
MODES_MAX: Final = 32
"""Ways of energy transfer kept of a vehicle; 2.1 has 16 (EnergyTransferModeEnumType)."""
_IDENTITIES: Final = ("EVCCID", "VIN", "MacAddress")


class V201(VersionAdapter):
    """See the module. Discharge is a negative ``limit``, and only for outlets whose ``discharge_by`` says
    so.
    """

    version: ClassVar[Version] = "2.0.1"
    silent = frozenset(
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

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        super().__init__(station, wall_s)
        self._handlers |= {
            "Get15118EVCertificate": self._contract,
            "GetCertificateStatus": self._failed,
            "NotifyEVChargingNeeds": self._charging_needs,
            "NotifyEVChargingSchedule": self._charging_schedule,
            "NotifyEvent": self._event,
            "ReportChargingProfiles": self._report_profiles,
            "TransactionEvent": self._transaction,
        }

    def _who(self, payload: Payload) -> Identity:
        return named(payload["chargingStation"], "vendorName", "model", "firmwareVersion", "serialNumber")

    def _authorize(self, payload: Payload) -> Payload:
        token = self._station.authorise(word(payload["idToken"]["idToken"]))
        info: Payload = {"status": token.status}
        if token.group:
            info["groupIdToken"] = {"idToken": token.group, "type": "Central"}
        if (until_wall_s := token.until_wall_s()) is not None:
            info["cacheExpiryDateTime"] = format_wall(until_wall_s)
        return {"idTokenInfo": info}

    def _status(self, payload: Payload) -> Payload:
        status = _STATUS.get(payload["connectorStatus"], "unknown")
        fault = "Faulted" if status == "faulted" else ""
        at_wall_s = parse_wall(payload["timestamp"])
        connector = int(payload["connectorId"])
        self._station.on_status(
            StatusReport(int(payload["evseId"]), connector, status, fault, at_wall_s=at_wall_s)
        )
        return {}

    def _meter_values(self, payload: Payload) -> Payload:
        self._station.on_samples(int(payload["evseId"]), read_samples(payload["meterValue"]))
        return {}

    def _event(self, payload: Payload) -> Payload:
        """Of the device model's events two are ours: the pack's temperature, and availability.

        2.x has no temperature measurand: it comes as variable Temperature of component ConnectedEV. 2.1
        stations report AvailabilityState so instead of by StatusNotification.
        """
        for datum in payload["eventData"]:
            component, name = datum["component"], datum["variable"]["name"]
            where = component.get("evse", {})
            if component["name"] == "ConnectedEV" and name == "Temperature":
                pack_c = finite(datum["actualValue"])
                sample = Sample(at_wall_s=parse_wall(datum["timestamp"]), pack_c=pack_c)
                self._station.on_samples(where.get("id", 0), [sample])
            elif (
                name == "AvailabilityState"
                and datum["actualValue"] in _STATUS
                and (where or component["name"] == WHOLE)
            ):
                status = _STATUS[datum["actualValue"]]
                fault = "Faulted" if status == "faulted" else ""
                at_wall_s, connector = parse_wall(datum["timestamp"]), where.get("connectorId", 0)
                self._station.on_status(
                    StatusReport(where.get("id", 0), connector, status, fault, at_wall_s=at_wall_s)
                )
        return {}

    def _failed(self, _payload: Payload) -> Payload:
        return {"status": "Failed"}  # unless an OCSP responder may be asked: see ``contracts``

    def _contract(self, _payload: Payload) -> Payload:
        return {
            "status": "Failed",
            "exiResponse": "",
        }  # contracts are bought elsewhere; a depot knows its vehicles

    def _transaction(self, payload: Payload) -> Payload:
        info = payload["transactionInfo"]
        offline = payload.get("offline") is True
        state = info.get("chargingState")
        event = SessionEvent(
            phase=_PHASES[payload["eventType"]],
            transaction=word(info["transactionId"]),
            ocpp_evse=int(payload.get("evse", {}).get("id", 0)),
            at_wall_s=parse_wall(payload["timestamp"]),
            seq=int(finite(payload["seqNo"]) or 0),
            vehicle=_identity(payload.get("idToken")),
            offline=offline,
            plugged=None if state is None else state != "Idle",
        )
        number = event.ocpp_evse or self._station.sessions.evse_of(event.transaction)
        samples, ends = read_samples(payload.get("meterValue")), event.phase == "ended"
        if ends:  # the registers at its end are its own: they come before it is closed
            self._station.on_samples(number, samples, offline=offline, last=True)
        self._station.on_session(event)
        if not offline:
            self._station.confirm(event.transaction)
        if not ends:
            self._station.on_samples(number, samples, offline=offline)
        return self._authorize(payload) if "idToken" in payload else {}

    def _charging_needs(self, payload: Payload) -> Payload:
        needs = read_needs(payload["chargingNeeds"])
        return {"status": "Accepted" if self._station.on_needs(int(payload["evseId"]), needs) else "Rejected"}

    def _report_profiles(self, payload: Payload) -> Payload:
        parts, more = payload["chargingProfile"], payload.get("tbc") is True
        self._station.reports.took(payload["requestId"], parts, more=more)
        return {}

    def _charging_schedule(self, payload: Payload) -> Payload:
        """A vehicle may plan with what it was given, and beyond the lease with the default; else it plans
        again (K15-K17).
        """
        outlet = self._station.outlets.get(int(payload["evseId"]))
        if outlet is None:
            return {"status": "Rejected"}
        given_w = max(outlet.watch.most_w, outlet.watch.fallback_w) + TOLERANCE_W
        within = _most_w(payload["chargingSchedule"], outlet.phases) <= given_w
        return {"status": "Accepted" if within else "Rejected"}


def _most_w(schedule: Payload, phases: int) -> float:
    """The largest power of a vehicle's own schedule."""
    amperes = schedule["chargingRateUnit"] == "A"
    limits = [
        float(period.get("limit") or 0.0)
        * (NOMINAL_V * int(period.get("numberPhases", phases)) if amperes else 1.0)
        for period in schedule["chargingSchedulePeriod"]
    ]
    return max(limits, default=0.0)


def read_needs(needs: Payload) -> Needs:
    """See the module for what is read from where."""
    dc, ac = needs.get("dcChargingParameters") or {}, needs.get("acChargingParameters") or {}
    v2x = (
        needs.get("v2xChargingParameters")
        or (needs.get("customData") or {}).get("v2xChargingParameters")
        or {}
    )
    target_pct = _share(v2x.get("targetSoC")) or _share(dc.get("fullSoC"))  # 0 says none
    takes_w = _phases_sum(v2x, "maxChargePower")
    if takes_w is None:
        takes_w = finite(dc.get("evMaxPower"))
    amperes, volts = finite(ac.get("evMaxCurrent")), finite(ac.get("evMaxVoltage"))
    if takes_w is None and amperes is not None and volts is not None:
        phases = {"AC_single_phase": 1, "AC_two_phase": 2}.get(needs.get("requestedEnergyTransfer", ""), 3)
        takes_w = amperes * volts * phases
    gives_w = _phases_sum(v2x, "maxDischargePower")
    return Needs(
        departure_wall_s=parse_wall(needs.get("departureTime")),
        target_soc_pct=target_pct,
        soc_pct=_share(dc.get("stateOfCharge")),
        capacity_wh=finite(dc.get("evEnergyCapacity")) or None,
        max_charge_w=takes_w,
        max_discharge_w=None if gives_w is None else abs(gives_w),
        requested=readable(needs.get("requestedEnergyTransfer", "")),
        available=tuple(dict.fromkeys(map(readable, needs.get("availableEnergyTransfer") or ())))[:MODES_MAX],
    )


def _identity(token: Any) -> str:
    if not isinstance(token, dict):
        return ""
    for info in token.get("additionalInfo") or ():
        if info.get("type") in _IDENTITIES:
            return word(info["additionalIdToken"])
    return "" if token.get("type") == "NoAuthorization" else word(token.get("idToken", ""))


def _share(value: Any) -> float | None:
    number = finite(value)
    return number if number is not None and 0.0 <= number <= 100.0 else None


def _phases_sum(parameters: Payload, name: str) -> float | None:
    """A power of ``v2xChargingParameters``: the total, or L1 where L2 and L3 are given too."""
    parts = [finite(parameters.get(name + suffix)) for suffix in ("", "_L2", "_L3")]
    return None if parts[0] is None else sum(part or 0.0 for part in parts)
