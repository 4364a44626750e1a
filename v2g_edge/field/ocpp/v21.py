"""OCPP 2.1 beyond 2.0.1: DER alarms stop the charger that raised them, DER reports are audited, streams are telemetry."""

from collections.abc import Callable
from typing import Any, Final

from v2g_edge.field.ocpp.facts import Sample
from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.station import Station
from v2g_edge.field.ocpp.v2 import V2
from v2g_edge.field.ocpp.when import parse_wall

_EMPTY: Final = frozenset({"NotifyDERStartStop", "NotifyPriorityCharging", "ClosePeriodicEventStream"})


class V21(V2):
    """See ``v2``. Discharge is a ``CentralSetpoint`` below zero."""

    version: Version = "2.1"

    def __init__(self, station: Station, wall_s: Callable[[], float]) -> None:
        super().__init__(station, wall_s)
        self._handlers |= {
            "NotifyDERAlarm": self._der_alarm,
            "OpenPeriodicEventStream": self._open_stream,
            "PullDynamicScheduleUpdate": self._pull,
            "ReportDERControl": self._der_report,
        }

    @property
    def handles(self) -> frozenset[str]:
        """The actions that are answered; every other known one is NotSupported."""
        return super().handles | _EMPTY

    def _der_alarm(self, payload: dict[str, Any]) -> dict[str, Any]:
        fault = str(payload.get("gridEventFault") or payload["controlType"])
        self._station.took_der_alarm(fault, ended=payload.get("alarmEnded") is True)
        return {}

    def _der_report(self, payload: dict[str, Any]) -> dict[str, Any]:
        self._station.took_der_report(payload)
        return {}

    def _pull(self, _payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Rejected"}  # our leases are Absolute and renewed by us; none is dynamic

    def _open_stream(self, payload: dict[str, Any]) -> dict[str, Any]:
        stream = payload["constantStreamData"]
        known = self._station.open_stream(int(stream["id"]), int(stream["variableMonitoringId"]))
        return {"status": "Accepted" if known else "Rejected"}

    def take_stream(self, payload: dict[str, Any]) -> None:
        """NotifyPeriodicEventStream: values of one monitored power, ``t`` seconds after ``basetime``."""
        evse = self._station.streams.get(int(payload["id"]), 0)
        base_s = parse_wall(payload["basetime"])
        if evse and base_s is not None:
            samples = [Sample(base_s + float(point["t"]), power_w=float(point["v"])) for point in payload["data"]]
            self._station.took_samples(evse, samples)
