"""What a simulated station understands in OCPP 1.6: calls in, answers out, their effect on profiles and
configuration.
"""

from collections.abc import Callable
from typing import Any, Final

from sim.stations.handlers20 import parse_profile
from sim.stations.messages16 import CURRENT, MEASURANDS, meter_values, start, status, stop
from sim.stations.profiles import Purpose
from sim.stations.version import Shown, StationContext
from sim.virtual.clock import stamp, unstamp

SAMPLED: Final = "MeterValuesSampledData"

NUMBERS: Final = frozenset(
    {"MeterValueSampleInterval", "HeartbeatInterval", "ClockAlignedDataInterval", "WebSocketPingInterval"}
)
PASSWORD: Final = "AuthorizationKey"  # noqa: S105 - the key's name
LISTS: Final = frozenset({SAMPLED, "StopTxnSampledData"})
"""Keys that can be changed: whole numbers of seconds, and lists of measurands."""

PURPOSES: Final[dict[str, Purpose]] = {
    "ChargePointMaxProfile": "max",
    "TxDefaultProfile": "default",
    "TxProfile": "tx",
}


def answer(owner: StationContext, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a call, its effect done; None for an action that this station does not support."""
    handler = _HANDLERS.get(action)
    return handler(owner, payload) if handler else None


def _status(accepted: bool) -> dict[str, Any]:
    return {"status": "Accepted" if accepted else "Rejected"}


def _set_charging_profile(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    number, raw = payload["connectorId"], payload["csChargingProfiles"]
    if owner.rejects_profiles() or (number and number not in owner.outlets):
        return _status(False)
    as_in_2 = {
        **raw,
        "id": raw["chargingProfileId"],
        "chargingProfilePurpose": raw["chargingProfilePurpose"].replace("ChargePoint", "ChargingStation"),
        "transactionId": str(raw.get("transactionId", "")),
        "chargingSchedule": [raw["chargingSchedule"]],
    }
    profile = parse_profile(number, as_in_2, owner.wall_s())
    if profile is None or owner.rejects_profiles(profile.least_w):
        return _status(False)
    running = owner.outlets[number].transaction if number else ""
    if profile.purpose == "tx" and (not running or profile.transaction not in {"", running}):
        return _status(False)
    return _status(owner.ignores_profiles() or owner.profiles.put(profile))


def _clear_charging_profile(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    purpose = payload.get("chargingProfilePurpose")
    gone = owner.profiles.clear(
        purpose=PURPOSES[purpose] if purpose else None,
        profile_id=payload.get("id"),
        outlet=payload.get("connectorId"),
    )
    return {"status": "Accepted" if gone else "Unknown"}


def _composite(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    outlet = owner.outlets.get(payload["connectorId"])
    if outlet is None:
        return _status(False)
    wall_s, duration_s = owner.wall_s(), payload["duration"]
    full_w = outlet.charger.evse.max_charge_w
    periods = owner.profiles.composite(outlet.number, outlet.transaction, wall_s, duration_s, full_w)
    schedule = {
        "duration": duration_s,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [
            {"startPeriod": int(offset_s), "limit": round(limit_w, 1)} for offset_s, limit_w in periods
        ],
    }
    told = {"connectorId": outlet.number, "scheduleStart": stamp(wall_s), "chargingSchedule": schedule}
    return {"status": "Accepted", **told}


def _change(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    key, value = payload["key"], payload["value"]
    if key == PASSWORD:
        owner.keyring.password = value
        owner.redial()
        return _status(True)
    if key not in NUMBERS | LISTS:
        return {"status": "NotSupported"}
    good = (
        value.isdigit()
        if key in NUMBERS
        else all(name in {*MEASURANDS, CURRENT} for name in value.split(","))
    )
    if good:
        owner.variables["", key] = value
    return _status(good)


def _get(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    asked = payload.get("key") or sorted(NUMBERS | LISTS)
    known = [key for key in asked if key in NUMBERS | LISTS]
    shown = [{"key": key, "readonly": False, "value": owner.variables.get(("", key), "")} for key in known]
    return {"configurationKey": shown, "unknownKey": [key for key in asked if key not in known]}


def _trigger(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    number, wanted, wall_s = payload.get("connectorId"), payload["requestedMessage"], owner.wall_s()
    outlets = [outlet for outlet in owner.outlets.values() if number in {None, outlet.number}]
    if wanted == "Heartbeat":
        owner.later(("Heartbeat", {}))
    elif wanted == "SignChargePointCertificate":
        owner.later(("SignCertificate", {"csr": owner.keyring.request(owner.identity)}))
    elif wanted == "FirmwareStatusNotification":
        owner.later(owner.firmware.told("1.6"))
    elif wanted == "StatusNotification":
        for outlet in outlets:
            owner.later(status(outlet, wall_s))
    elif wanted == "MeterValues":
        for outlet in outlets:
            shown = Shown(wall_s, outlet.sample(), outlet.session is not None)
            owner.later(meter_values(outlet, shown, owner.variables.get(("", SAMPLED), "")))
    else:
        return {"status": "NotImplemented"}
    return _status(True)


def _remote_start(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    """For a vehicle whose transaction was stopped from afar; a new one starts by itself when it is plugged
    in.
    """
    for outlet in owner.outlets.values():
        session = outlet.session
        if session is not None and session.stopped and payload.get("connectorId") in {None, outlet.number}:
            session.stopped, session.plugged_wall_s, session.start_wh = (
                False,
                owner.wall_s(),
                outlet.charger.import_wh,
            )
            owner.later(start(outlet))
            return _status(True)
    return _status(False)


def _remote_stop(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    for outlet in owner.outlets.values():
        if outlet.session is not None and outlet.transaction == str(payload["transactionId"]):
            owner.later(stop(outlet.transaction, owner.wall_s(), outlet.charger.import_wh, "Remote"))
            outlet.session.transaction, outlet.session.stopped = "", True
            owner.profiles.clear(purpose="tx", outlet=outlet.number)
            return _status(True)
    return _status(False)


def _update(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    owner.firmware.ask({"location": payload["location"]}, unstamp(payload["retrieveDate"]), None)
    return {}


def _signed_update(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    owner.firmware.ask(
        payload["firmware"], unstamp(payload["firmware"]["retrieveDateTime"]), payload["requestId"]
    )
    return _status(True)


def _install(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    taken = owner.keyring.install(payload["certificateChain"])
    if taken:
        owner.redial()
    return _status(taken)


def _trust(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": owner.keyring.trust(payload["certificateType"], payload["certificate"])}


def _trusted(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    found = [hashes for _, hashes in owner.keyring.trusted([payload["certificateType"]])]
    return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}


def _distrust(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": owner.keyring.distrust(payload["certificateHashData"])}


def _reset(owner: StationContext, _payload: dict[str, Any]) -> dict[str, Any]:
    owner.reboot()
    return _status(True)


def _accept(_owner: StationContext, _payload: dict[str, Any]) -> dict[str, Any]:
    return _status(True)


_HANDLERS: Final[dict[str, Callable[[StationContext, dict[str, Any]], dict[str, Any]]]] = {
    "SetChargingProfile": _set_charging_profile,
    "ClearChargingProfile": _clear_charging_profile,
    "GetCompositeSchedule": _composite,
    "ChangeConfiguration": _change,
    "GetConfiguration": _get,
    "TriggerMessage": _trigger,
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "Reset": _reset,
    "CertificateSigned": _install,
    "InstallCertificate": _trust,
    "GetInstalledCertificateIds": _trusted,
    "DeleteCertificate": _distrust,
    "UpdateFirmware": _update,
    "SignedUpdateFirmware": _signed_update,
    "ExtendedTriggerMessage": _trigger,
    "ChangeAvailability": _accept,
}
