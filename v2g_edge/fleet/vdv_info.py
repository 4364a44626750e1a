"""What depot management gets every 15 s: ``ProvideChargingInformation`` (VDV 463), made from one tick's
picture. Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from v2g_edge.model.mission import Mission
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Snapshot, VehicleState

STATUS: Final = {
    "available": "Available",
    "occupied": "Occupied",
    "reserved": "Reserved",
    "unavailable": "Unavailable",
    "faulted": "Faulted",
}
CHARGES_W: Final = 500.0
"""Less than this is standby: IEC 61851-1 begins at 6 A, 1.4 kW on one phase."""


class Forecast(NamedTuple):
    """What the plan expects of one vehicle: when its need is met (None: not before it leaves), and its SoC
    at departure.
    """

    ready_wall_s: float | None
    leaves_with_pct: float | None


def charging_information(
    site: Site,
    snapshot: Snapshot,
    missions: Mapping[str, Mission],
    forecasts: Mapping[str, Forecast],
    rejected: list[dict[str, str]],
) -> dict[str, Any]:
    """The payload. ``missions`` by vehicle, ``forecasts`` by outlet. Unknown values are left out, never 0."""
    points = [
        {
            "chargingStationId": evse.id,
            "totalPower": _kw(state.power_w),
            "chargingPointInfoList": [_point(evse.id, state, snapshot, missions, forecasts.get(evse.id))],
        }
        for evse, state in zip(site.evses, snapshot.evses, strict=True)
    ]
    depot = {
        "depotId": site.name,
        "name": site.name,
        "chargingStationInfoList": [_known(point) for point in points],
    }
    payload: dict[str, Any] = {"depotInfoList": [depot]}
    if rejected:
        payload["rejectedChargingRequestInfoList"] = rejected
    return payload


def _point(
    name: str,
    state: EvseState,
    snapshot: Snapshot,
    missions: Mapping[str, Mission],
    forecast: Forecast | None,
) -> dict[str, Any]:
    info: dict[str, Any] = {
        "chargingPointId": name,
        "chargingPointStatus": "Faulted" if state.fault else STATUS.get(state.status, "Unavailable"),
        "presentPowerLimit": round(max(state.command.power_w, 0.0) / 1_000.0, 3),
        "energyMeterReading": _value(state.energy_import_wh),
        "chargingPointFaultInfo": state.fault or None,
    }
    if state.vehicle is not None and state.vehicle.vehicle:
        info["vehicleInfo"] = _vehicle(state.vehicle, state)
        info["chargingProcessInfo"] = _process(
            state.vehicle, state, snapshot, missions.get(state.vehicle.vehicle), forecast
        )
    return _known(info)


def _vehicle(vehicle: VehicleState, state: EvseState) -> dict[str, Any]:
    battery = {
        "stateOfCharge": _value(vehicle.soc_pct),
        "stateOfHealth": _value(vehicle.soh_pct),
        "temperature": _value(vehicle.pack_c),
    }
    return {
        "vehicleId": vehicle.vehicle,
        "tractionBatteryInfo": _known(battery),
        "vehicleStatusInfo": {},
        "vehicleChargingStatus": "Charging" if _power_w(state) > CHARGES_W else "ReadyToCharge",
        "preconditioningInfo": {},
    }


def _process(
    vehicle: VehicleState,
    state: EvseState,
    snapshot: Snapshot,
    mission: Mission | None,
    forecast: Forecast | None,
) -> dict[str, Any]:
    power_w = _power_w(state)
    suspended = "SuspendedEV" if state.command.power_w > CHARGES_W else "SuspendedEVSE"
    return {
        "chargingProcessId": vehicle.session,
        "processStatus": "Charging" if power_w > CHARGES_W else suspended,
        "startTime": _stamp(vehicle.plugged_wall_s),
        "electricData": _known({"chargingPower": _kw(state.power_w)}),
        "chargingPredictionData": _prediction(mission, forecast, snapshot.wall_s),
    }


def _prediction(mission: Mission | None, forecast: Forecast | None, wall_s: float) -> dict[str, Any]:
    ready = forecast.ready_wall_s if forecast else None
    data: dict[str, Any] = {"status": "Finished" if ready is not None and ready <= wall_s else "Ongoing"}
    if mission is None:
        return data
    if mission.min_soc_pct is not None:
        data["MinTargetSoc"] = _known(
            {"requestedMinTargetSoc": mission.min_soc_pct, "predictedTime": _stamp(ready)}
        )
    if mission.departure_wall_s is not None:
        leaves = {
            "requestedTimeForDeparture": _stamp(mission.departure_wall_s),
            "predictedDepartureTimeSoc": forecast.leaves_with_pct if forecast else None,
        }
        data["DepartureTime"] = _known(leaves)
    return data


def _power_w(state: EvseState) -> float:
    return state.power_w.value if isinstance(state.power_w, Reading) else 0.0


def _value(measured: Measured) -> float | None:
    return round(measured.value, 3) if isinstance(measured, Reading) else None


def _kw(measured: Measured) -> float | None:
    """Charging power; what flows back is reported as 0, because VDV 463 has no field for it."""
    return round(max(measured.value, 0.0) / 1_000.0, 3) if isinstance(measured, Reading) else None


def _stamp(wall_s: float | None) -> str | None:
    return None if wall_s is None else f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
