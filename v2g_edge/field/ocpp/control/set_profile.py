"""Setting a profile at a station that may not like it: a ladder of fall-backs, and what worked is kept."""

from collections.abc import Callable
from typing import Any

import structlog

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.vocabulary.charging_profiles import Shape
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Refused, accepted, refused
from v2g_edge.field.ocpp.wire.messages import Version

log = structlog.get_logger()

HOPELESS = frozenset({"NotSupported", "NotImplemented"})
"""Errors that no other shape mends: the station has no smart charging."""


async def set_profile(
    connection: Connection,
    version: Version,
    outlet: Outlet,
    purpose: str,
    build: Callable[[Shape], dict[str, Any]],
    *,
    priority: int,
    key: str,
    timeout_s: float,
) -> Outcome:
    """Set a profile; when it is refused, clear what stands in its way and try the other shapes, each once.

    A later command may have been given meanwhile; the machine replaces a queued older one by it (same ``key``).
    """
    cleared = False
    for shape in (outlet.shape, *(shape for shape in outlet.ladder if shape != outlet.shape)):
        outcome = await connection.call("SetChargingProfile", build(shape), priority=priority, key=key, timeout_s=timeout_s)
        if refused(outcome) and not cleared:
            cleared = True
            await connection.call(
                "ClearChargingProfile", _clearing(version, outlet, purpose), priority=priority, timeout_s=timeout_s
            )
            outcome = await connection.call("SetChargingProfile", build(shape), priority=priority, key=key, timeout_s=timeout_s)
        if not refused(outcome):
            if shape != outlet.shape and accepted(outcome):
                log.info("profile_shape_found", evse=outlet.evse.id, purpose=purpose, unit=shape.unit, level=shape.stack_level)
                outlet.shape = shape
            return outcome
        if isinstance(outcome, Refused) and outcome.code in HOPELESS:
            return outcome
    return outcome


def _clearing(version: Version, outlet: Outlet, purpose: str) -> dict[str, Any]:
    if version == "1.6":
        return {"connectorId": outlet.wire.ocpp_evse, "chargingProfilePurpose": purpose}
    return {"chargingProfileCriteria": {"evseId": outlet.wire.ocpp_evse, "chargingProfilePurpose": purpose}}
