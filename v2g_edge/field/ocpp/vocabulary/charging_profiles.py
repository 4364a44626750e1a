"""Smart charging as leases: which profiles we set, and how each version writes them.

Below lies a TxDefaultProfile at the outlet's fallback power, without an end; above it, for each transaction,
one TxProfile with a short ``duration``, always with the same id: the strictest station refuses a second id at
the same stack level (reference ocpp.md, seen on the wire 4). When the lease runs out, the default profile is
what is left.

Profile ids: ``DEFAULT_ID`` + and ``LEASE_ID`` + the OCPP evse number (1.6: connector). Both lie at stack
level 0 of their purpose: some stations allow no other (evcc #16768). The schedule is Absolute and starts now,
because a Relative one would count from the start of the transaction. ``validTo`` (2.x) ends a lease also
where ``duration`` is ignored.
"""

from typing import Any, Final, Literal

from msgspec import Struct

from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall

DEFAULT_ID: Final = 1_000
LEASE_ID: Final = 2_000
"""Apart from the small numbers that other systems use, and positive: negative ids mean external
constraints (2.1).
"""

NOMINAL_V: Final = 230.0
"""To turn W into A for stations that take only A: phase to neutral, IEC 60038."""

Unit = Literal["W", "A"]


class Shape(Struct, frozen=True):
    """How a station wants its profiles written. The first shape is tried first; a refusal moves on
    (``LADDER``).
    """

    unit: Unit = "W"
    valid_to: bool = True
    stack_level: int = 0


FIRST_SHAPE: Final = Shape()
LADDER: Final = (
    FIRST_SHAPE,
    Shape(valid_to=False),
    Shape(unit="A", valid_to=False),
    Shape(valid_to=False, stack_level=1),
)
"""In the order in which refusals were seen in the field: dates, unit (evcc #16768), a level taken by
another controller.
"""


class Lease(Struct, frozen=True):
    """One setpoint for one outlet: ``power_w`` + into the vehicle, from ``start_wall_s`` (station's clock)
    for ``duration_s``.

    ``phases`` is the outlet's number of phases, for stations that take A. ``period`` takes the place of the
    plain one, and ``dynamic`` makes a profile whose numbers can be changed (2.1, see ``dynamic_profiles``).
    """

    ocpp_evse: int
    transaction: str
    power_w: float
    start_wall_s: float
    duration_s: int
    phases: int = 3
    setpoint: bool = False
    shape: Shape = Shape()
    period: dict[str, Any] | None = None
    dynamic: bool = False


def default_profile(
    version: Version, ocpp_evse: int, fallback_w: float, *, phases: int = 3, shape: Shape = FIRST_SHAPE
) -> dict[str, Any]:
    """SetChargingProfile payload of the safe default: charge at no more than ``fallback_w``, for ever,
    with every transaction.
    """
    profile = {
        "stackLevel": shape.stack_level,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }
    period = {"startPeriod": 0, "limit": _rate(fallback_w, phases, shape.unit)}
    schedule = {"chargingRateUnit": shape.unit, "chargingSchedulePeriod": [period]}
    return _wrapped(version, ocpp_evse, DEFAULT_ID + ocpp_evse, profile, schedule)


def first_profile(
    version: Version, ocpp_evse: int, limit_w: float, *, phases: int = 3, shape: Shape = FIRST_SHAPE
) -> dict[str, Any]:
    """The profile in a request to start a transaction: charge at no more than ``limit_w``, until the first
    lease replaces it.

    TxProfile, no transaction id, Relative without a start: OCPP 1.6 5.16.2, 2.x F01.FR.08-11.
    """
    written = default_profile(version, ocpp_evse, limit_w, phases=phases, shape=shape)
    name, number = (
        ("csChargingProfiles", "chargingProfileId") if version == "1.6" else ("chargingProfile", "id")
    )
    return {**written[name], number: LEASE_ID + ocpp_evse, "chargingProfilePurpose": "TxProfile"}


def lease_profile(version: Version, lease: Lease) -> dict[str, Any]:
    """SetChargingProfile payload of a lease. In 2.1 it also ends after ``duration_s`` without a link
    (``maxOfflineDuration``).
    """
    shape = lease.shape
    profile: dict[str, Any] = {
        "transactionId": int(lease.transaction) if version == "1.6" else lease.transaction,
        "stackLevel": shape.stack_level,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
    }
    if shape.valid_to and version != "1.6":
        profile["validTo"] = format_wall(lease.start_wall_s + lease.duration_s)
    if version == "2.1":
        profile["maxOfflineDuration"] = lease.duration_s
        profile["invalidAfterOfflineDuration"] = True
    schedule: dict[str, Any] = {
        "duration": lease.duration_s,
        "chargingRateUnit": shape.unit,
        "chargingSchedulePeriod": [lease.period or plain_period(version, lease)],
    }
    if lease.dynamic:
        profile |= {"chargingProfileKind": "Dynamic", "dynUpdateInterval": max(lease.duration_s // 2, 1)}
    else:
        schedule["startSchedule"] = format_wall(lease.start_wall_s)
    return _wrapped(version, lease.ocpp_evse, LEASE_ID + lease.ocpp_evse, profile, schedule)


def plain_period(version: Version, lease: Lease) -> dict[str, Any]:
    """Discharge in 2.1 is a CentralSetpoint; limit 0 beside it keeps a station that does not follow
    setpoints from charging.
    """
    rate = _rate(lease.power_w, lease.phases, lease.shape.unit)
    if version != "2.1":
        return {"startPeriod": 0, "limit": rate}
    if rate < 0 and lease.setpoint:
        return {
            "startPeriod": 0,
            "operationMode": "CentralSetpoint",
            "setpoint": rate,
            "limit": 0,
            "dischargeLimit": rate,
        }
    return {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": rate}


def _wrapped(
    version: Version, evse: int, profile_id: int, profile: dict[str, Any], schedule: dict[str, Any]
) -> dict[str, Any]:
    if version == "1.6":
        return {
            "connectorId": evse,
            "csChargingProfiles": {"chargingProfileId": profile_id, **profile, "chargingSchedule": schedule},
        }
    return {
        "evseId": evse,
        "chargingProfile": {
            "id": profile_id,
            **profile,
            "chargingSchedule": [{"id": profile_id, **schedule}],
        },
    }


def _rate(power_w: float, phases: int, unit: Unit) -> float:
    """Towards zero: whole watts, or tenths of an ampere (1.6 allows one decimal digit), so that a lease is
    never exceeded.
    """
    if unit == "W":
        return int(power_w)
    tenths = int(power_w / (NOMINAL_V * phases) * 10.0)
    return tenths / 10.0
