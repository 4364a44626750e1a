"""Setting a profile at a station that may not like it: a ladder of fall-backs, and what worked is kept."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.vocabulary.charging_profiles import Shape
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Expired, Refused, accepted, refused
from v2g_edge.field.ocpp.wire.messages import Version

log = structlog.get_logger()

HOPELESS: Final = frozenset({"NotSupported", "NotImplemented"})
"""Errors that no other shape mends: the station has no smart charging."""

NO_TRANSACTION: Final = re.compile(
    r"(no|none|unknown|invalid|wrong|nosuch)(active|running|ongoing|current|matching|open)?(tx|transaction)"
    r"(?!profile|default)|(tx|transaction)(id)?(is|was|does|did)?(not?|un)"
    r"(found|active|running|known|exists?|started|ongoing|onevse|match|open)|(tx|transaction)(id)?mismatch"
)
"""Reasons (2.x statusInfo, CALLERROR), without signs and case, that say that the transaction is over:
TxNotFound and UnknownTxId (2.x Part 2, appendix 5), TxProfileEvseHasNoActiveTransaction and
TxProfileTransactionNotOnEvse (libocpp), and what others write. No other shape mends that either.
"""

VOID: Final = Expired("", "SetChargingProfile", "superseded", sent=False)
"""What becomes of a write that a newer one has made void before it was on the wire."""


def always() -> bool:
    """Never void."""
    return True


def reason_of(outcome: Outcome) -> str:
    """Why a station refused, in its own words; "" where it did not say, or did not refuse."""
    if isinstance(outcome, Refused):
        return f"{outcome.code} {outcome.description}".strip()
    if not isinstance(outcome, Answered):
        return ""
    info = outcome.payload.get("statusInfo")
    words = [info.get("reasonCode"), info.get("additionalInfo")] if isinstance(info, dict) else []
    return " ".join(str(word) for word in (outcome.payload.get("status"), *words) if word)


def says_no_transaction(outcome: Outcome) -> bool:
    """Whether a refusal says that the transaction is not running."""
    if not refused(outcome):
        return False
    said = "".join(sign for sign in reason_of(outcome).casefold() if sign.isalnum())
    return NO_TRANSACTION.search(said) is not None


def is_hopeless(outcome: Outcome) -> bool:
    """Whether a refusal says that the station has no smart charging: by an error, or by its status (1.6)."""
    if isinstance(outcome, Refused):
        return outcome.code in HOPELESS
    return isinstance(outcome, Answered) and outcome.payload.get("status") in HOPELESS


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
    may_clear: bool = True,
    still: Callable[[], bool] = always,
) -> Outcome:
    """Set a profile; when it is refused, clear what stands in its way and try the other shapes, each once.

    ``may_clear`` false: a profile of ours stands there, which nothing better replaces. ``still`` is asked
    before every message: once it says no, a newer command has been given, and nothing more of this one is
    sent.
    """
    call = partial(connection.call, priority=priority, timeout_s=timeout_s, still=still)
    cleared = not may_clear
    for shape in (outlet.shape, *(shape for shape in outlet.ladder if shape != outlet.shape)):
        outcome = await call("SetChargingProfile", build(shape), key=key)
        if refused(outcome) and not cleared and not says_no_transaction(outcome):
            cleared = True
            if not still():
                return VOID
            clearing = _clearing(version, outlet, purpose)
            await call("ClearChargingProfile", clearing)
            if not still():
                return VOID
            outcome = await call("SetChargingProfile", build(shape), key=key)
        if not refused(outcome):
            if shape != outlet.shape and accepted(outcome):
                log.info(
                    "profile_shape_found",
                    evse=outlet.evse.id,
                    purpose=purpose,
                    unit=shape.unit,
                    level=shape.stack_level,
                )
                outlet.shape = shape
            return outcome
        if says_no_transaction(outcome) or is_hopeless(outcome):
            return outcome
        if not still():
            return VOID
    return outcome


def _clearing(version: Version, outlet: Outlet, purpose: str) -> dict[str, Any]:
    if version == "1.6":
        return {"connectorId": outlet.wire.ocpp_evse, "chargingProfilePurpose": purpose}
    return {"chargingProfileCriteria": {"evseId": outlet.wire.ocpp_evse, "chargingProfilePurpose": purpose}}
