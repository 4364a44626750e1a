"""OCPP 2.1 beyond 2.0.1: DER alarms stop the charger that raised them, DER reports are audited, streams are telemetry."""

from collections.abc import Callable

from v2g_edge.field.ocpp.dialect import Payload
from v2g_edge.field.ocpp.facts import Sample
from v2g_edge.field.ocpp.leases import LEASE_ID
from v2g_edge.field.ocpp.station import Station
from v2g_edge.field.ocpp.v201 import V201
from v2g_edge.field.ocpp.when import format_wall, parse_wall


class V21(V201):
    """See ``v201``. Discharge is a ``CentralSetpoint`` below zero."""

    version = "2.1"
    silent = V201.silent | {"ClosePeriodicEventStream", "NotifyDERStartStop", "NotifyPriorityCharging"}

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        super().__init__(station, wall_s)
        self._handlers |= {
            "GetCertificateChainStatus": self._chain_status,
            "NotifyDERAlarm": self._der_alarm,
            "OpenPeriodicEventStream": self._open_stream,
            "PullDynamicScheduleUpdate": self._pull,
            "ReportDERControl": self._der_report,
        }

    def _chain_status(self, payload: Payload) -> Payload:
        """Nothing is known where nobody may be asked (``contracts`` asks where the site file allows it)."""
        unknown = {"status": "Failed", "nextUpdate": format_wall(self._wall_s())}
        rows = payload["certificateStatusRequests"]
        return {
            "certificateStatus": [
                {"certificateHashData": row["certificateHashData"], "source": row["source"], **unknown} for row in rows
            ]
        }

    def _der_alarm(self, payload: Payload) -> Payload:
        fault = str(payload.get("gridEventFault") or payload["controlType"])
        self._station.took_der_alarm(fault, ended=payload.get("alarmEnded") is True)
        return {}

    def _der_report(self, payload: Payload) -> Payload:
        self._station.took_der_report(payload)
        return {}

    def _pull(self, payload: Payload) -> Payload:
        return self._station.pulled(int(payload["chargingProfileId"]) - LEASE_ID)

    def _open_stream(self, payload: Payload) -> Payload:
        stream = payload["constantStreamData"]
        known = self._station.open_stream(int(stream["id"]), int(stream["variableMonitoringId"]))
        return {"status": "Accepted" if known else "Rejected"}

    def take_stream(self, payload: Payload) -> None:
        """NotifyPeriodicEventStream: values of one monitored power, ``t`` seconds after ``basetime``."""
        evse = self._station.streams.get(int(payload["id"]), 0)
        base_s = parse_wall(payload["basetime"])
        if evse and base_s is not None:
            samples = [Sample(base_s + float(point["t"]), power_w=float(point["v"])) for point in payload["data"]]
            self._station.took_samples(evse, samples)
