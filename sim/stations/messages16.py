"""What a simulated station says of its own accord in OCPP 1.6. Payloads only: no socket and no timers.

The central system gives the transaction ids; the vehicle is known by its idTag. 1.6 has no word for
departure, capacity or the charge wanted: the central system must read them in the site file. Only what
``MeterValuesSampledData`` lists is reported.
"""

from typing import Any, Final

from sim.stations.outlet import Outlet, Sample, Session
from sim.stations.version import Message, Shown
from sim.virtual.clock import stamp

MEASURANDS: Final = {
    "Power.Active.Import": "W",
    "Power.Active.Export": "W",
    "Energy.Active.Import.Register": "Wh",
    "Energy.Active.Export.Register": "Wh",
    "SoC": "Percent",
    "Temperature": "Celsius",
}
"""What it measures and shows as one number, with units (OCPP 1.6 7.31, 7.45)."""

CURRENT: Final = "Current.Import"
"""What it measures on each phase."""

VOLTS: Final = 230.0
"""Phase to neutral, as a station shows it that reports currents."""

IN_VEHICLE: Final = frozenset({"SoC", "Temperature"})


def status(outlet: Outlet, wall_s: float) -> Message:
    """StatusNotification: a plugged-in vehicle prepares until its transaction runs."""
    state = "Available" if outlet.session is None else "Charging" if outlet.transaction else "Preparing"
    told = {"connectorId": outlet.number, "errorCode": "NoError", "status": state, "timestamp": stamp(wall_s)}
    return "StatusNotification", told


def meter_values(outlet: Outlet, shown: Shown, listed: str) -> Message:
    """MeterValues of the measurands in ``listed`` (commas between them; "": all); values are texts."""
    payload: dict[str, Any] = {"connectorId": outlet.number}
    if outlet.transaction:
        payload["transactionId"] = int(outlet.transaction)
    wanted = listed.split(",") if listed else list(MEASURANDS)
    if shown.only == "registers":
        wanted = [name for name in wanted if name.endswith("Import.Register")]
    if shown.only == "vehicle":
        wanted = [name for name in wanted if name in IN_VEHICLE]
    values = _values(shown.sample)
    sampled = [
        {
            "value": f"{values[name]:.1f}",
            "context": "Sample.Periodic",
            "measurand": name,
            "location": "EV" if name in IN_VEHICLE else "Outlet",
            "unit": MEASURANDS[name],
        }
        for name in wanted
        if name != CURRENT and (name != "SoC" or shown.with_soc)
    ]
    if shown.only == "currents":
        sampled = [*_currents(shown.sample), *_by_phase("Voltage", (VOLTS, VOLTS, VOLTS), "V")]
    elif CURRENT in wanted:
        sampled += _currents(shown.sample)
    return "MeterValues", {
        **payload,
        "meterValue": [{"timestamp": stamp(shown.wall_s), "sampledValue": sampled}],
    }


def _currents(sample: Sample) -> list[dict[str, Any]]:
    on_l1, on_l2, on_l3 = (max(power_w, 0.0) / VOLTS for power_w in sample.phase_w)
    return _by_phase(CURRENT, (on_l1, on_l2, on_l3), "A")


def _by_phase(name: str, values: tuple[float, float, float], unit: str) -> list[dict[str, Any]]:
    return [
        {
            "value": f"{value:.2f}",
            "context": "Sample.Periodic",
            "measurand": name,
            "location": "Outlet",
            "unit": unit,
            "phase": phase,
        }
        for phase, value in zip(("L1-N", "L2-N", "L3-N"), values, strict=True)
    ]


def _values(sample: Sample) -> dict[str, float]:
    return {
        "Power.Active.Import": max(sample.power_w, 0.0),
        "Power.Active.Export": max(-sample.power_w, 0.0),
        "Energy.Active.Import.Register": sample.import_wh,
        "Energy.Active.Export.Register": sample.export_wh,
        "SoC": sample.soc_pct,
        "Temperature": sample.pack_c,
    }


def start(outlet: Outlet) -> Message:
    """StartTransaction; said again it is the same to the letter, so that the central system knows it for a
    repetition.
    """
    if outlet.session is None:
        raise ValueError(f"{outlet.evse}: no vehicle to start a transaction with")
    return start_of(outlet.number, outlet.session)


def start_of(number: int, session: Session) -> Message:
    """StartTransaction of a stay that may be over."""
    told = {"connectorId": number, "idTag": session.visit.identity, "meterStart": int(session.start_wh)}
    return "StartTransaction", {**told, "timestamp": stamp(session.plugged_wall_s)}


def stop(transaction: str, wall_s: float, meter_wh: float, reason: str) -> Message:
    """StopTransaction."""
    told = {
        "transactionId": int(transaction),
        "timestamp": stamp(wall_s),
        "meterStop": int(meter_wh),
        "reason": reason,
    }
    return "StopTransaction", told
