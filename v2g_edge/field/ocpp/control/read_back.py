"""Asking a station what it holds and what it means to do."""

import asyncio
from typing import Any, Final

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.vocabulary.charging_profiles import DEFAULT_ID, NOMINAL_V
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import BULK, SETPOINT

REPORT_S: Final = 10.0
"""A station that announces a report sends it at once."""

ROUNDING: Final = 1.0
"""W or A by which a station may round what it holds."""


async def holds_default(connection: Connection, station: Station, outlet: Outlet) -> bool | None:
    """Whether the station holds our default profile as it was set (2.x: GetChargingProfiles). None: it
    cannot say.
    """
    number = outlet.wire.ocpp_evse
    request_id, report = station.reports.expect()
    payload = {
        "requestId": request_id,
        "evseId": number,
        "chargingProfile": {"chargingProfileId": [DEFAULT_ID + number]},
    }
    try:
        outcome = await connection.call("GetChargingProfiles", payload, priority=SETPOINT, timeout_s=REPORT_S)
        if not isinstance(outcome, Answered):
            return None
        if outcome.payload.get("status") != "Accepted":
            return False if outcome.payload.get("status") == "NoProfiles" else None
        async with asyncio.timeout(REPORT_S):
            profiles = await report
    except TimeoutError:
        return None
    finally:
        station.reports.forget(request_id)
    return any(_is_default(profile, outlet) for profile in tables(profiles))


def tables(value: Any) -> list[dict[str, Any]]:
    """The tables in a list, whatever else is in it; one that stands alone where a list belongs counts as a
    list of it. A lenient link lets any shape pass.
    """
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, dict)]


def _is_default(profile: dict[str, Any], outlet: Outlet) -> bool:
    """Ours, and it allows no more than the fallback."""
    if (
        profile.get("id") != DEFAULT_ID + outlet.wire.ocpp_evse
        or profile.get("chargingProfilePurpose") != "TxDefaultProfile"
    ):
        return False
    schedules = tables(profile.get("chargingSchedule"))
    periods = [period for schedule in schedules for period in tables(schedule.get("chargingSchedulePeriod"))]
    in_amperes = any(schedule.get("chargingRateUnit") == "A" for schedule in schedules)
    most = outlet.evse.fallback_w / (NOMINAL_V * outlet.phases) if in_amperes else outlet.evse.fallback_w
    limits = [period.get("limit") for period in periods]
    return bool(limits) and all(
        isinstance(limit, int | float) and limit <= most + ROUNDING for limit in limits
    )


async def planned_w(connection: Connection, version: Version, outlet: Outlet) -> float | None:
    """The power that the station's composite schedule begins with, + charging; None where it does not say.

    Some answer Accepted without a schedule (reference ocpp.md, seen on the wire 5): that says nothing.
    """
    number = outlet.wire.ocpp_evse
    payload: dict[str, Any] = {
        "connectorId" if version == "1.6" else "evseId": number,
        "duration": 10,
        "chargingRateUnit": "W",
    }
    outcome = await connection.call("GetCompositeSchedule", payload, priority=BULK, timeout_s=REPORT_S)
    if not isinstance(outcome, Answered) or outcome.payload.get("status") != "Accepted":
        return None
    schedules = tables(outcome.payload.get("chargingSchedule" if version == "1.6" else "schedule"))
    schedule = schedules[0] if schedules else {}
    periods = tables(schedule.get("chargingSchedulePeriod"))
    if not periods:
        return None
    value = next(
        (periods[0][name] for name in ("setpoint", "v2xBaseline", "limit") if name in periods[0]), None
    )
    if not isinstance(value, int | float):
        return None
    return value * NOMINAL_V * outlet.phases if schedule.get("chargingRateUnit") == "A" else float(value)
