"""One outlet as the writer sees it: permits become charging profiles, and discharge is given step by step until it is proven."""

from typing import Final

import structlog

from v2g_edge.field.ocpp.connection import Connection, Outcome
from v2g_edge.field.ocpp.events import Answered, Expired
from v2g_edge.field.ocpp.leases import Lease, lease_profile
from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.outgoing import SAFETY, SETPOINT
from v2g_edge.field.ocpp.station import Outlet, Station
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort, WriteResult

log = structlog.get_logger()

ANSWER_S: Final = 10.0
"""A setpoint that is not answered by then is silent. Shorter than the 30 s of other calls: a renewal is due by then."""

DISCHARGE_WORD: Final[dict[Version, str]] = {"1.6": "negative_limit", "2.0.1": "negative_limit", "2.1": "setpoint"}
"""How each version commands discharge; 2.1 also takes negative limits, "for backwards compatibility" (its schema)."""


class OutletPort:
    """A ``ChargerPort`` for one outlet of one station. It survives reconnects."""

    def __init__(self, station: Station, outlet: Outlet, clock: ClockPort) -> None:
        self._station = station
        self._outlet = outlet
        self._clock = clock
        self.connection: Connection | None = None

    async def write_permit(self, permit: Permit) -> WriteResult:
        """Set or renew the lease. Without a transaction there is nothing to set: the default profile rules, and 0 W flow.

        ``rejected`` also when discharge is permitted but cannot be commanded at this outlet: then 0 W is set instead.
        """
        connection, outlet, version = self.connection, self._outlet, self._station.version
        if connection is None or version is None:
            return "silent"
        if outlet.session is None:
            return "accepted" if permit.power_w == 0.0 else "rejected"
        power_w = permit.power_w
        speakable = power_w >= 0.0 or self._can_discharge(version)
        if not speakable:
            log.warning("discharge_not_commandable", evse=permit.evse, version=version, discharge_by=outlet.evse.discharge_by)
            power_w = 0.0
        priority = SAFETY if outlet.sent_w < 0.0 <= power_w else SETPOINT
        lease = self._lease(version, power_w, permit.valid_for_s)
        outcome = await connection.call(
            "SetChargingProfile",
            lease_profile(version, lease),
            priority=priority,
            key=f"lease {lease.ocpp_evse}",
            timeout_s=ANSWER_S,
        )
        result = _result(outcome)
        if result == "accepted":
            outlet.sent_w = power_w
        elif result == "silent" and power_w < 0.0:
            outlet.sent_w = power_w  # it may have arrived
        return result if speakable else "rejected"

    def _can_discharge(self, version: Version) -> bool:
        by = self._outlet.evse.discharge_by
        return by == DISCHARGE_WORD[version] or (version == "2.1" and by == "negative_limit")

    def _lease(self, version: Version, power_w: float, valid_for_s: float) -> Lease:
        outlet = self._outlet
        assert outlet.session is not None  # noqa: S101 - the caller has looked
        return Lease(
            ocpp_evse=outlet.wire.ocpp_evse,
            transaction=outlet.session.transaction,
            power_w=power_w,
            start_wall_s=self._clock.wall_s() + self._station.skew.offset_s,
            duration_s=max(int(valid_for_s), 1),
            phases=outlet.phases,
            setpoint=outlet.evse.discharge_by == "setpoint",
            shape=outlet.shape,
        )


def _result(outcome: Outcome) -> WriteResult:
    if isinstance(outcome, Expired):
        return "silent"
    if isinstance(outcome, Answered) and outcome.payload.get("status") == "Accepted":
        return "accepted"
    return "rejected"
