"""What a simulated station understands in OCPP 2.0.1 and 2.1: calls in, answers out, their effect on profiles
and variables.

2.1 adds operation modes CentralSetpoint and LocalFrequency and dynamic profiles; its own messages:
``sim.stations.station21``.
"""

from collections.abc import Callable
from typing import Any, Final

from sim.stations.messages20 import heartbeat, status, transaction_event
from sim.stations.profiles import NEVER_S, Profile, Purpose
from sim.stations.version import StationContext
from sim.virtual.clock import stamp, unstamp
from v2g_edge.field.ocpp.wire.messages import Version

PURPOSES: Final[dict[str, Purpose]] = {
    "ChargingStationMaxProfile": "max",
    "ChargingStationExternalConstraints": "max",
    "TxDefaultProfile": "default",
    "TxProfile": "tx",
}
NAMES: Final[dict[Purpose, str]] = {
    "max": "ChargingStationMaxProfile",
    "default": "TxDefaultProfile",
    "tx": "TxProfile",
}

INTERVALS: Final = {
    ("SampledDataCtrlr", "TxUpdatedInterval"),
    ("AlignedDataCtrlr", "Interval"),
    ("OCPPCommCtrlr", "HeartbeatInterval"),
}
"""Writable variables that take a number of seconds."""

LISTS: Final = {
    ("SampledDataCtrlr", name) for name in ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands")
}
"""Writable variables that take a list; this station measures all that it can, whatever they say."""
DYNAMIC: Final = ("SmartChargingCtrlr", "SupportsDynamicProfiles")
"""Read-only: every station of 2.1 here supports them."""

PASSWORD: Final = ("SecurityCtrlr", "BasicAuthPassword")
"""Written and never read; it dials in again with the new one."""

UNLIMITED_W: Final = 1e9
"""More than any charger has."""

VOLTS_PHASES: Final = 3 * 230.0
"""A limit in A counts at three phases of 230 V."""


def answer(owner: StationContext, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a call, its effect done; None for an action that this station does not support."""
    handler = _HANDLERS.get(action)
    return handler(owner, payload) if handler else None


def _set_charging_profile(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    if owner.rejects_profiles():
        return _no("Unspecified")
    profile = parse_profile(payload["evseId"], payload["chargingProfile"], owner.wall_s())
    if profile is None:
        return _no("InvalidSchedule")
    if owner.rejects_profiles(profile.least_w):
        return _no("UnsupportedParam")
    if profile.outlet and profile.outlet not in owner.outlets:
        return _no("UnknownEvse")
    if profile.purpose == "tx" and (
        not profile.outlet or owner.outlets[profile.outlet].transaction != profile.transaction
    ):
        return _no("TxNotFound")
    if owner.ignores_profiles():
        return {"status": "Accepted"}
    return {"status": "Accepted"} if owner.profiles.put(profile) else _no("DuplicateProfile")


def _no(reason: str) -> dict[str, Any]:
    return {"status": "Rejected", "statusInfo": {"reasonCode": reason}}


def parse_profile(outlet: int, raw: dict[str, Any], wall_s: float) -> Profile | None:
    """A profile off the wire; None for a kind or unit that it cannot do. Relative schedules start when
    they are received.
    """
    schedule = raw["chargingSchedule"][0]
    if raw["chargingProfileKind"] == "Recurring" or not _fits_mode(raw, schedule):
        return None
    factor = 1.0 if schedule["chargingRateUnit"] == "W" else VOLTS_PHASES
    start_wall_s = unstamp(schedule["startSchedule"]) if "startSchedule" in schedule else wall_s
    end_wall_s = start_wall_s + schedule["duration"] if "duration" in schedule else NEVER_S
    valid_to_wall_s = unstamp(raw["validTo"]) if "validTo" in raw else NEVER_S
    points = schedule["chargingSchedulePeriod"][0].get("v2xFreqWattCurve", ())
    return Profile(
        id=raw["id"],
        stack=raw["stackLevel"],
        purpose=PURPOSES[raw["chargingProfilePurpose"]],
        outlet=outlet,
        start_wall_s=start_wall_s,
        end_wall_s=min(end_wall_s, valid_to_wall_s),
        periods=tuple(
            (period["startPeriod"], factor * _power(period)) for period in schedule["chargingSchedulePeriod"]
        ),
        transaction=raw.get("transactionId", ""),
        lasts_s=schedule.get("duration", NEVER_S) if raw["chargingProfileKind"] == "Dynamic" else 0.0,
        valid_to_wall_s=valid_to_wall_s,
        offline_s=raw["maxOfflineDuration"] if raw.get("invalidAfterOfflineDuration") else NEVER_S,
        curve=tuple((point["frequency"], point["power"]) for point in points),
    )


def _fits_mode(raw: dict[str, Any], schedule: dict[str, Any]) -> bool:
    """The rules of 2.1: a dynamic profile has one period from 0 (K28.FR.01, .02); LocalFrequency a curve
    of two points or more in W around a baseline, and no limit or setpoint beside it (Q08.FR.02-05);
    ChargingOnly no setpoint (Q02.FR.02).
    """
    periods = schedule["chargingSchedulePeriod"]
    if raw["chargingProfileKind"] == "Dynamic" and (
        len(periods) != 1 or periods[0]["startPeriod"] or "startSchedule" in schedule
    ):
        return False
    if raw["chargingProfileKind"] != "Dynamic" and "dynUpdateInterval" in raw:
        return False
    for period in periods:
        beside = {"limit", "dischargeLimit", "setpoint"} & period.keys()
        if period.get("operationMode") == "LocalFrequency":
            curve = len(period.get("v2xFreqWattCurve", ())) >= 2 and "v2xBaseline" in period
            if beside or not curve or schedule["chargingRateUnit"] != "W":
                return False
        elif period.get("operationMode") == "ChargingOnly" and beside - {"limit"}:
            return False
    return True


def _power(period: dict[str, Any]) -> float:
    """A period's setpoint where it has one (2.1, CentralSetpoint), else its limit; without either (2.1) it
    limits nothing.
    """
    if period.get("operationMode") == "CentralSetpoint" and "setpoint" in period:
        return float(period["setpoint"])
    return float(period.get("v2xBaseline", period.get("limit", UNLIMITED_W)))


def _period(version: Version, offset_s: float, power_w: float) -> dict[str, Any]:
    if version == "2.1" and power_w < 0:
        return {
            "startPeriod": int(offset_s),
            "operationMode": "CentralSetpoint",
            "setpoint": power_w,
            "limit": 0,
        }
    return {"startPeriod": int(offset_s), "limit": power_w}


def _clear_charging_profile(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    criteria = payload.get("chargingProfileCriteria", {})
    purpose = criteria.get("chargingProfilePurpose")
    gone = owner.profiles.clear(
        purpose=PURPOSES[purpose] if purpose else None,
        profile_id=payload.get("chargingProfileId"),
        outlet=criteria.get("evseId"),
    )
    return {"status": "Accepted" if gone else "Unknown"}


def _composite(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    outlet = owner.outlets.get(payload["evseId"])
    if outlet is None:
        return {"status": "Rejected"}
    wall_s, duration_s = owner.wall_s(), payload["duration"]
    full_w = outlet.charger.evse.max_charge_w
    periods = owner.profiles.composite(outlet.number, outlet.transaction, wall_s, duration_s, full_w)
    schedule = {
        "evseId": outlet.number,
        "duration": duration_s,
        "scheduleStart": stamp(wall_s),
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [_period(owner.version, *period) for period in periods],
    }
    return {"status": "Accepted", "schedule": schedule}


def _get_profiles(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    wanted = payload.get("evseId")
    purpose = payload["chargingProfile"].get("chargingProfilePurpose")
    found = [
        p for p in owner.profiles.all() if wanted in {None, p.outlet} and purpose in {None, NAMES[p.purpose]}
    ]
    for profile in found:
        report = {
            "requestId": payload["requestId"],
            "chargingLimitSource": "CSO",
            "evseId": profile.outlet,
            "chargingProfile": [_shown(profile, owner.version)],
            "tbc": profile is not found[-1],
        }
        owner.later(("ReportChargingProfiles", report))
    return {"status": "Accepted" if found else "NoProfiles"}


def _shown(profile: Profile, version: Version) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "id": 1,
        "chargingRateUnit": "W",
        "startSchedule": stamp(profile.start_wall_s),
        "chargingSchedulePeriod": [_period(version, *period) for period in profile.periods],
    }
    if profile.end_wall_s < NEVER_S:
        schedule["duration"] = round(profile.end_wall_s - profile.start_wall_s)
    shown = {
        "id": profile.id,
        "stackLevel": profile.stack,
        "chargingProfilePurpose": NAMES[profile.purpose],
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    return {**shown, "transactionId": profile.transaction} if profile.transaction else shown


def _set_variables(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    results = []
    for item in payload["setVariableData"]:
        key = (item["component"]["name"], item["variable"]["name"])
        known = key == PASSWORD or key in INTERVALS or key in LISTS or key in owner.variables
        if key == PASSWORD:
            owner.keyring.password = item["attributeValue"]
            owner.redial()
        elif known:
            owner.variables[key] = item["attributeValue"]
        named = {"component": item["component"], "variable": item["variable"]}
        results.append({"attributeStatus": "Accepted" if known else "UnknownVariable", **named})
    return {"setVariableResult": results}


def _get_variables(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    results = []
    for item in payload["getVariableData"]:
        key = (item["component"]["name"], item["variable"]["name"])
        value = owner.variables.get(key, "true" if owner.version == "2.1" and key == DYNAMIC else None)
        named = {"component": item["component"], "variable": item["variable"]}
        known = {"attributeStatus": "Accepted", "attributeValue": value, **named}
        results.append({"attributeStatus": "UnknownVariable", **named} if value is None else known)
    return {"getVariableResult": results}


def _trigger(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    number = payload.get("evse", {}).get("id")
    outlets = [outlet for outlet in owner.outlets.values() if number in {None, outlet.number}]
    wanted = payload["requestedMessage"]
    if wanted == "StatusNotification":
        for outlet in outlets:
            owner.later(status(outlet, owner.wall_s()))
    elif wanted == "Heartbeat":
        owner.later(heartbeat())
    elif wanted == "FirmwareStatusNotification":
        owner.later(owner.firmware.told(owner.version))
    elif wanted in {"TransactionEvent", "MeterValues"}:
        for outlet in outlets:
            if outlet.session is not None:
                owner.later(transaction_event(outlet, owner.wall_s(), "Updated", "Trigger", outlet.sample()))
    elif wanted == "SignChargingStationCertificate":
        request = {
            "csr": owner.keyring.request(owner.identity),
            "certificateType": "ChargingStationCertificate",
        }
        owner.later(("SignCertificate", request | ({"requestId": 1} if owner.version == "2.1" else {})))
    else:
        return {"status": "NotImplemented"}
    return {"status": "Accepted"}


def _update(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    owner.firmware.ask(
        payload["firmware"], unstamp(payload["firmware"]["retrieveDateTime"]), payload["requestId"]
    )
    return {"status": "Accepted"}


def _trust(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": owner.keyring.trust(payload["certificateType"], payload["certificate"])}


def _trusted(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    found = [
        {"certificateType": kind, "certificateHashData": hashes}
        for kind, hashes in owner.keyring.trusted(payload.get("certificateType"))
    ]
    return {"status": "Accepted", "certificateHashDataChain": found} if found else {"status": "NotFound"}


def _distrust(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": owner.keyring.distrust(payload["certificateHashData"])}


def _reset(owner: StationContext, _payload: dict[str, Any]) -> dict[str, Any]:
    owner.reboot()
    return {"status": "Accepted"}


def _install(owner: StationContext, payload: dict[str, Any]) -> dict[str, Any]:
    taken = owner.keyring.install(payload["certificateChain"])
    if taken:
        owner.redial()
    return {"status": "Accepted" if taken else "Rejected"}


def _accept(_owner: StationContext, _payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": "Accepted"}


_HANDLERS: Final[dict[str, Callable[[StationContext, dict[str, Any]], dict[str, Any]]]] = {
    "SetChargingProfile": _set_charging_profile,
    "ClearChargingProfile": _clear_charging_profile,
    "GetCompositeSchedule": _composite,
    "GetChargingProfiles": _get_profiles,
    "SetVariables": _set_variables,
    "GetVariables": _get_variables,
    "TriggerMessage": _trigger,
    "Reset": _reset,
    "UpdateFirmware": _update,
    "CertificateSigned": _install,
    "InstallCertificate": _trust,
    "GetInstalledCertificateIds": _trusted,
    "DeleteCertificate": _distrust,
    "ChangeAvailability": _accept,
}
