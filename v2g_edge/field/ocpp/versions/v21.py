"""OCPP 2.1 beyond 2.0.1: what it says of DER and of priority narrows what is allowed; streams are
telemetry.
"""

from collections.abc import Callable

import structlog

from v2g_edge.field.ocpp.station.energy_transfer import EVERY_MODE, can_give, vehicle_gives
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.trust.ocsp import hash_data
from v2g_edge.field.ocpp.versions.v201 import V201
from v2g_edge.field.ocpp.versions.version import Payload
from v2g_edge.field.ocpp.vocabulary.charging_profiles import LEASE_ID, NOMINAL_V
from v2g_edge.field.ocpp.vocabulary.compliance import TOLERANCE_W
from v2g_edge.field.ocpp.vocabulary.facts import Sample, readable, word
from v2g_edge.field.ocpp.wire.timestamps import format_wall, parse_wall

log = structlog.get_logger()

CHAIN_QUESTIONS_MAX = 4
"""Certificates of one GetCertificateChainStatus (2.1, its schema); a lenient link lets more pass."""


class V21(V201):
    """See ``v201``. Discharge is a ``CentralSetpoint`` below zero."""

    version = "2.1"
    silent = V201.silent

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        super().__init__(station, wall_s)
        self._handlers |= {
            "GetCertificateChainStatus": self._chain_status,
            "ClosePeriodicEventStream": self._close_stream,
            "NotifyDERAlarm": self._der_alarm,
            "NotifyDERStartStop": self._der_start_stop,
            "NotifyPriorityCharging": self._priority,
            "OpenPeriodicEventStream": self._open_stream,
            "PullDynamicScheduleUpdate": self._pull,
            "ReportDERControl": self._der_report,
        }

    def _chain_status(self, payload: Payload) -> Payload:
        """Nothing is known where no responder may be asked (``contracts`` asks where the site file allows
        it).
        """
        unknown = {"status": "Failed", "nextUpdate": format_wall(self._wall_s())}
        rows = payload["certificateStatusRequests"]
        if len(rows) > CHAIN_QUESTIONS_MAX:
            raise ValueError(f"{len(rows)} questions; allowed are {CHAIN_QUESTIONS_MAX}")
        return {
            "certificateStatus": [
                {
                    "certificateHashData": hash_data(row["certificateHashData"]),
                    "source": word(row["source"]),
                    **unknown,
                }
                for row in rows
            ]
        }

    def _der_alarm(self, payload: Payload) -> Payload:
        fault = readable(payload.get("gridEventFault") or payload["controlType"])
        self._station.v21.on_alarm(payload["controlType"], fault, ended=payload.get("alarmEnded") is True)
        return {}

    def _der_start_stop(self, payload: Payload) -> Payload:
        superseded = payload.get("supersededIds") or []
        self._station.v21.on_start_stop(
            payload["controlId"], superseded, started=payload["started"] is not False
        )
        return {}

    def _priority(self, payload: Payload) -> Payload:
        self._station.v21.on_priority(payload["transactionId"], activated=payload["activated"] is not False)
        return {}

    def _authorize(self, payload: Payload) -> Payload:
        """A vehicle that may feed back learns it before its session is agreed (Q01); left out, a vehicle
        may only charge.
        """
        answer, outlets = super()._authorize(payload), self._station.outlets.values()
        gives = vehicle_gives(self._station.v21.site, word(payload["idToken"]["idToken"])) and all(
            map(can_give, outlets)
        )
        return answer | ({"allowedEnergyTransfer": list(EVERY_MODE)} if gives else {})

    def _transaction(self, payload: Payload) -> Payload:
        answer = super()._transaction(payload)
        answer.pop("allowedEnergyTransfer", None)  # the answer to a transaction has no such word
        self._station.v21.send_priority()
        return answer

    def _charging_schedule(self, payload: Payload) -> Payload:
        """As in 2.0.1, and no more discharge than was permitted; what is refused is reported, for it says
        that a vehicle means it.
        """
        answer, outlet = super()._charging_schedule(payload), self._station.outlets.get(payload["evseId"])
        if outlet is not None:
            planned_w = least_w(payload["chargingSchedule"], outlet.phases)
            if planned_w < min(outlet.watch.least_w, 0.0) - TOLERANCE_W:
                answer = {"status": "Rejected"}
            if answer["status"] == "Rejected":
                log.warning(
                    "vehicle_plans_beyond_its_lease",
                    evse=outlet.evse.id,
                    least_w=planned_w,
                )
        return answer

    def _der_report(self, payload: Payload) -> Payload:
        self._station.v21.on_report(payload)
        self._station.reports.took(payload["requestId"], [payload], more=payload.get("tbc") is True)
        return {}

    def _pull(self, payload: Payload) -> Payload:
        return self._station.v21.pulled(int(payload["chargingProfileId"]) - LEASE_ID)

    def _open_stream(self, payload: Payload) -> Payload:
        stream = payload["constantStreamData"]
        known = self._station.v21.open_stream(int(stream["id"]), int(stream["variableMonitoringId"]))
        return {"status": "Accepted" if known else "Rejected"}

    def _close_stream(self, payload: Payload) -> Payload:
        self._station.v21.streams.pop(int(payload["id"]), None)
        return {}

    def take_stream(self, payload: Payload) -> None:
        """NotifyPeriodicEventStream: values of one monitored power, ``t`` seconds after ``basetime``."""
        evse = self._station.v21.evse_of_stream(int(payload["id"]))
        base_s = parse_wall(payload["basetime"])
        if evse and base_s is not None:
            samples = [
                Sample(base_s + float(point["t"]), power_w=float(point["v"])) for point in payload["data"]
            ]
            self._station.on_samples(evse, samples)


def least_w(schedule: Payload, phases: int) -> float:
    """The deepest discharge in a vehicle's own schedule, W ≤ 0."""
    factor = NOMINAL_V * phases if schedule["chargingRateUnit"] == "A" else 1.0
    names = ("limit", "dischargeLimit", "setpoint")
    numbers = [
        float(period.get(name) or 0.0) for period in schedule["chargingSchedulePeriod"] for name in names
    ]
    return min([*numbers, 0.0]) * factor
