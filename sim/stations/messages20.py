"""What a simulated station says of its own accord in OCPP 2.0.1 and 2.1. Payloads only: no socket and no
timers.

2.1 adds what the vehicle can give (``v2xChargingParameters``).
"""

from typing import Any, Final

from sim.stations.outlet import Outlet, Sample
from sim.stations.version import Message
from sim.virtual.clock import stamp
from v2g_edge.field.ocpp.wire.messages import Version

CURRENT: Final = "Current.Import"
"""Shown on each phase, where it is among the measurands that were asked for."""

VOLTS: Final = 230.0


def boot(identity: str, reason: str, firmware: str) -> Message:
    """BootNotification."""
    station = {
        "model": "SimBidi 100",
        "vendorName": "v2g-edge sim",
        "serialNumber": identity[:25],
        "firmwareVersion": firmware,
    }
    return "BootNotification", {"reason": reason, "chargingStation": station}


def heartbeat() -> Message:
    """Heartbeat."""
    return "Heartbeat", {}


def status(outlet: Outlet, wall_s: float) -> Message:
    """StatusNotification: occupied while a vehicle is plugged in."""
    state = "Occupied" if outlet.session else "Available"
    return "StatusNotification", {
        "timestamp": stamp(wall_s),
        "connectorStatus": state,
        "evseId": outlet.number,
        "connectorId": 1,
    }


def transaction_event(
    outlet: Outlet, wall_s: float, kind: str, reason: str, sample: Sample, *, with_soc: bool = True
) -> Message:
    """TransactionEvent ``kind`` Started, Updated or Ended; every one carries meter values."""
    session = outlet.session
    if session is None:
        raise ValueError(f"{outlet.evse}: no transaction to tell of")
    info: dict[str, Any] = {"transactionId": session.transaction, "chargingState": session.charging}
    payload: dict[str, Any] = {
        "eventType": kind,
        "timestamp": stamp(wall_s),
        "triggerReason": reason,
        "seqNo": session.seq,
        "transactionInfo": info,
        "evse": {"id": outlet.number, "connectorId": 1},
        "meterValue": [
            {"timestamp": stamp(wall_s), "sampledValue": _values(sample, kind, with_soc=with_soc)}
        ],
    }
    session.seq += 1
    if kind == "Started":
        payload["idToken"] = {"idToken": session.visit.identity, "type": "MacAddress"}
    if kind == "Ended":
        info["stoppedReason"] = "PowerLoss" if reason == "AbnormalCondition" else "EVDisconnected"
    return "TransactionEvent", payload


def _values(sample: Sample, kind: str, *, with_soc: bool) -> list[dict[str, Any]]:
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")

    def value(number: float, measurand: str, unit: str, location: str = "Outlet") -> dict[str, Any]:
        return {
            "value": round(number, 1),
            "context": context,
            "measurand": measurand,
            "location": location,
            "unitOfMeasure": {"unit": unit},
        }

    values = [
        value(max(sample.power_w, 0.0), "Power.Active.Import", "W"),
        value(max(-sample.power_w, 0.0), "Power.Active.Export", "W"),
        value(sample.import_wh, "Energy.Active.Import.Register", "Wh"),
        value(sample.export_wh, "Energy.Active.Export.Register", "Wh"),
    ]
    return [*values, value(sample.soc_pct, "SoC", "Percent", "EV")] if with_soc else values


def currents(sample: Sample) -> list[dict[str, Any]]:
    """Amperes on each of the outlet's own phases."""
    return [
        {
            "value": round(max(power_w, 0.0) / VOLTS, 2),
            "measurand": CURRENT,
            "location": "Outlet",
            "phase": phase,
            "unitOfMeasure": {"unit": "A"},
        }
        for phase, power_w in zip(("L1-N", "L2-N", "L3-N"), sample.phase_w, strict=True)
    ]


def charging_needs(outlet: Outlet, version: Version) -> Message:
    """NotifyEVChargingNeeds: departure, capacity, SoC; the SoC wanted at departure is ``fullSoC``, in 2.1
    ``targetSoC``.
    """
    session, battery = outlet.session, outlet.charger.battery
    if session is None or battery is None:
        raise ValueError(f"{outlet.evse}: no vehicle that could need anything")
    power_w = min(
        battery.charge_limit_w() or outlet.charger.evse.max_charge_w, outlet.charger.evse.max_charge_w
    )
    direct = {
        "evMaxCurrent": round(power_w / 400),
        "evMaxVoltage": 800,
        "evMaxPower": round(power_w),
        "stateOfCharge": int(outlet.told_soc_pct(battery)),
        "evEnergyCapacity": round(battery.capacity_wh),
        "fullSoC": round(session.visit.target_soc_pct),
    }
    needs: dict[str, Any] = {
        "requestedEnergyTransfer": "DC" if version == "2.0.1" else "DC_BPT",
        "departureTime": stamp(session.visit.departs_wall_s),
        "dcChargingParameters": direct,
    }
    if version == "2.1":
        gives_w = min(battery.max_discharge_w, outlet.charger.evse.max_discharge_w)
        target_pct = round(session.visit.target_soc_pct)
        needs["availableEnergyTransfer"] = ["DC", "DC_BPT"]
        needs["v2xChargingParameters"] = {
            "maxChargePower": power_w,
            "maxDischargePower": gives_w,
            "targetSoC": target_pct,
        }
    return "NotifyEVChargingNeeds", {"evseId": outlet.number, "chargingNeeds": needs}


def temperature(outlet: Outlet, wall_s: float, pack_c: float, seq: int) -> Message:
    """NotifyEvent: 2.x has no temperature measurand, the pack's temperature is a variable of the connected
    vehicle.
    """
    data = {
        "eventId": seq,
        "timestamp": stamp(wall_s),
        "trigger": "Periodic",
        "actualValue": f"{pack_c:.1f}",
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "ConnectedEV", "evse": {"id": outlet.number, "connectorId": 1}},
        "variable": {"name": "Temperature"},
    }
    return "NotifyEvent", {"generatedAt": stamp(wall_s), "seqNo": 0, "eventData": [data]}
