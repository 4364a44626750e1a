"""What a station of OCPP 2.1 has beyond 2.0.1: DER controls, streams of its power, changes of a dynamic
profile.

Played after the specification's rules (blocks K28, N11, R04) as far as the daemon uses them; the rest is
NotSupported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sim.scenarios.fault import FaultKind
from sim.stations.outlet import Outlet
from sim.stations.version import Message, StationContext
from sim.virtual.clock import stamp
from v2g_edge.field.ocpp.vocabulary.der_settings import FIELDS

CURVES: Final = frozenset(
    {
        "FreqWatt", "HFMustTrip", "HFMayTrip", "HVMustTrip", "HVMomCess", "HVMayTrip", "LFMustTrip",
        "LVMustTrip", "LVMomCess",
        "LVMayTrip", "PowerMonitoringMustTrip", "VoltVar", "VoltWatt", "WattPF", "WattVar",
    }
)  # fmt: skip

BARE: Final = frozenset({"enterService", "gradient"})
"""Reported without ``isDefault`` and ``isSuperseded``."""
INNER: Final = {"fixedPFAbsorb": "fixedPF", "fixedPFInject": "fixedPF"}
"""Names inside a report where they differ from the report's own."""


@dataclass
class Stream:
    """A monitored power that is sent every ``interval_s``: of outlet ``evse``, under ``id`` once it is
    open.
    """

    id: int
    monitor: int
    evse: int
    interval_s: float
    open: bool = False
    due_wall_s: float = 0.0


@dataclass
class Station21:
    """State of one station. ``controls`` by (control type, id): the SetDERControl that set it. ``allowed`` by
    transaction.

    ``alone_s``: when the link was lost, by the station's own clock.
    """

    controls: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    streams: dict[int, Stream] = field(default_factory=dict)
    allowed: dict[str, list[str]] = field(default_factory=dict)
    last_id: int = 0
    alone_s: float = 0.0

    def changed(
        self,
        began: frozenset[FaultKind],
        ended: frozenset[FaultKind],
        outlets: Mapping[int, Outlet],
        wall_s: float,
    ) -> list[Message]:
        """What the faults of 2.1 that begin and end make it say; priority charging is done by the outlets."""
        messages: list[Message] = []
        for fault, starts in [
            *((kind, True) for kind in sorted(began)),
            *((kind, False) for kind in sorted(ended)),
        ]:
            if fault == "der_alarm":
                alarm = {
                    "controlType": "HVMustTrip",
                    "gridEventFault": "OverVoltage",
                    "timestamp": stamp(wall_s),
                }
                messages.append(("NotifyDERAlarm", alarm if starts else {**alarm, "alarmEnded": True}))
            for outlet in outlets.values() if fault == "priority" else ():
                outlet.priority = starts
                if outlet.transaction:
                    told = {"transactionId": outlet.transaction, "activated": starts}
                    messages.append(("NotifyPriorityCharging", told))
        return messages

    def open_again(self) -> list[Message]:
        """After a lost link: every stream has to be opened anew."""
        return [self._opening(stream) for stream in self.streams.values()]

    def opened(self, accepted: bool) -> None:
        """The answer to the oldest opening that waits for one."""
        waiting = next((stream for stream in self.streams.values() if not stream.open), None)
        if waiting is not None and accepted:
            waiting.open = True
        elif waiting is not None:
            del self.streams[waiting.id]

    def due(self, wall_s: float, power_w: Callable[[int], float]) -> list[Message]:
        """What the open streams have to say now."""
        messages: list[Message] = []
        for stream in self.streams.values():
            if stream.open and wall_s >= stream.due_wall_s:
                stream.due_wall_s = max(stream.due_wall_s + stream.interval_s, wall_s)
                data = [{"t": 0.0, "v": f"{power_w(stream.evse):.1f}"}]
                told = {"id": stream.id, "pending": 0, "basetime": stamp(wall_s), "data": data}
                messages.append(("NotifyPeriodicEventStream", told))
        return messages

    def stream(self, monitor: int, evse: int, interval_s: float) -> Message:
        """A new stream of a monitor, to be opened."""
        self.last_id += 1
        self.streams[self.last_id] = stream = Stream(self.last_id, monitor, evse, interval_s)
        return self._opening(stream)

    def _opening(self, stream: Stream) -> Message:
        stream.open = False
        return "OpenPeriodicEventStream", {"constantStreamData": shown(stream)}


def shown(stream: Stream) -> dict[str, Any]:
    """A stream as it is reported."""
    return {
        "id": stream.id,
        "variableMonitoringId": stream.monitor,
        "params": {"interval": int(stream.interval_s)},
    }


def answer(owner: StationContext, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a call of 2.1, its effect done; None for what is not 2.1's own."""
    handler = _HANDLERS.get(action)
    return handler(owner, payload) if handler else None


def _update(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    told = payload["scheduleUpdate"]
    if owner.ignores_profiles():
        return {"status": "Accepted"}
    power_w = told.get("setpoint", told.get("limit"))
    taken = power_w is not None and not owner.rejects_profiles(power_w)
    taken = taken and owner.profiles.update(payload["chargingProfileId"], float(power_w), owner.wall_s())
    return {"status": "Accepted" if taken else "Rejected"}


def _allow(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    running = {outlet.transaction for outlet in owner.outlets.values() if outlet.transaction}
    if payload["transactionId"] not in running:
        return {"status": "Rejected"}
    owner.bidi.allowed[payload["transactionId"]] = payload["allowedEnergyTransfer"]
    return {"status": "Accepted"}


def _set_control(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    name = FIELDS.get(payload["controlType"], "curve")
    if name not in payload:
        return {"status": "Rejected"}
    owner.bidi.controls[payload["controlType"], payload["controlId"]] = payload
    return {"status": "Accepted"}


def _clear_control(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    gone = _matching(owner, payload)
    for key in gone:
        del owner.bidi.controls[key]
    return {"status": "Accepted" if gone else "NotFound"}


def _get_control(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    """One ReportDERControl for each control, ``tbc`` on all but the last."""
    found = _matching(owner, payload)
    for key in found:
        control = owner.bidi.controls[key]
        name = FIELDS.get(key[0], "curve")
        row: dict[str, Any] = {"id": key[1], INNER.get(name, name): control[name]}
        if name not in BARE:
            row |= {"isDefault": control["isDefault"], "isSuperseded": False}
        if name == "curve":
            row["curveType"] = key[0]
        report: dict[str, Any] = {"requestId": payload["requestId"], name: [row]}
        owner.later(("ReportDERControl", report | ({"tbc": True} if key is not found[-1] else {})))
    return {"status": "Accepted" if found else "NotFound"}


def _matching(owner: StationContext, payload: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        key
        for key, control in owner.bidi.controls.items()
        if payload.get("controlType", key[0]) == key[0]
        and payload.get("controlId", key[1]) == key[1]
        and payload.get("isDefault", control["isDefault"]) == control["isDefault"]
    ]


def _monitor(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Monitors of an outlet's power, as streams; nothing else is watched."""
    results = []
    for item in payload["setMonitoringData"]:
        named = {"component": item["component"], "variable": item["variable"]}
        result = {"type": item["type"], "severity": item["severity"], **named}
        evse, params = item["component"].get("evse", {}).get("id"), item.get("periodicEventStream")
        if evse not in owner.outlets or params is None or item["variable"]["name"] != "Power":
            results.append({"status": "UnknownVariable", **result})
            continue
        monitor = item.get("id", 100 + evse)
        results.append({"status": "Accepted", "id": monitor, **result})
        known = next((stream for stream in owner.bidi.streams.values() if stream.monitor == monitor), None)
        if known is None:
            owner.later(owner.bidi.stream(monitor, evse, float(params["interval"])))
    return {"setMonitoringResult": results}


def _adjust(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    stream = owner.bidi.streams.get(payload["id"])
    if stream is None:
        return {"status": "Rejected"}
    stream.interval_s = float(payload["params"].get("interval", stream.interval_s))
    return {"status": "Accepted"}


def _streams(owner: StationContext, _payload: dict[str, Any]) -> dict[str, Any]:
    streams = [shown(stream) for stream in owner.bidi.streams.values()]
    return {"constantStreamData": streams} if streams else {}


_HANDLERS: Final[dict[str, Callable[[StationContext, dict[str, Any]], dict[str, Any]]]] = {
    "AdjustPeriodicEventStream": _adjust,
    "ClearDERControl": _clear_control,
    "GetDERControl": _get_control,
    "GetPeriodicEventStream": _streams,
    "NotifyAllowedEnergyTransfer": _allow,
    "SetDERControl": _set_control,
    "SetVariableMonitoring": _monitor,
    "UpdateDynamicSchedule": _update,
}
