"""What goes up to an upstream central system, and which of its calls may come down to a station.

Both sides speak the same version, or the upstream one in which a payload means the same (``CARRIED_IN``), so
it passes as it is. Whatever would move power or change how a
station is set up never comes down: charging profiles become limits (``profiles``), the rest is rejected.
"""

from collections.abc import Mapping
from typing import Final

from v2g_edge.field.ocpp.wire.messages import Version

_V201: Final = frozenset(
    {
        "BootNotification",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "MeterValues",
        "NotifyEvent",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
        "StatusNotification",
        "TransactionEvent",
    }
)

FORWARDED: Final[Mapping[Version, frozenset[str]]] = {
    "1.6": frozenset(
        {
            "BootNotification",
            "DiagnosticsStatusNotification",
            "FirmwareStatusNotification",
            "LogStatusNotification",
            "MeterValues",
            "SecurityEventNotification",
            "StartTransaction",
            "StatusNotification",
            "StopTransaction",
        }
    ),
    "2.0.1": _V201,
    "2.1": _V201 | {"NotifySettlement"},
}
"""Calls of a station that are queued for the upstream, by version. Authorize is asked at once and never
queued; Heartbeat, certificates, what a vehicle needs, and 2.1's control of DER and event streams are ours.
"""

CARRIED_IN: Final[Mapping[Version, tuple[Version, ...]]] = {
    "1.6": ("1.6",),
    "2.0.1": ("2.0.1", "2.1"),
    "2.1": ("2.1",),
}
"""Versions of an upstream in which all that a station of this version says keeps its meaning, the best first.
What goes up in 2.0.1 conforms to 2.1 as it is (numbers below 0 aside, which mean nothing and are refused);
what 2.1 adds has no place in 2.0.1. Between 1.6 and 2.x there is no form without loss
(``docs/integrator.md``).
"""

ONCE: Final = frozenset({"MeterValues", "StartTransaction", "StopTransaction", "TransactionEvent"})
"""Calls that a station repeats until it is answered: the same content goes up once."""

GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "remote_start": frozenset({"RemoteStartTransaction", "RequestStartTransaction"}),
    "remote_stop": frozenset({"RemoteStopTransaction", "RequestStopTransaction"}),
    "unlock": frozenset({"UnlockConnector"}),
    "reset": frozenset({"Reset"}),
    "availability": frozenset({"ChangeAvailability"}),
    "reservation": frozenset({"ReserveNow", "CancelReservation"}),
    "tokens": frozenset({"SendLocalList", "GetLocalListVersion", "ClearCache"}),
    "diagnostics": frozenset(
        {"GetDiagnostics", "GetLog", "TriggerMessage", "GetConfiguration", "GetVariables"}
    ),
    "limits": frozenset({"SetChargingProfile", "ClearChargingProfile"}),
}
"""Calls of an upstream by the name under which the site file allows them (``upstreams.allow``)."""


def group_of(action: str) -> str:
    """The name under which a call may be allowed; "" for one that never is."""
    return next((name for name, actions in GROUPS.items() if action in actions), "")


def may_be_thinned(action: str, payload: Mapping[str, object]) -> bool:
    """Whether a message may be left out where the queue is full: a reading between start and end."""
    return action == "MeterValues" or (action == "TransactionEvent" and payload.get("eventType") == "Updated")
