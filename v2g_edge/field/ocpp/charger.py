"""One outlet as the writer sees it: permits become charging profiles, and discharge is given step by step until it is proven."""

import asyncio
from typing import Final

import structlog

from v2g_edge.field.ocpp.connection import Connection, Outcome
from v2g_edge.field.ocpp.events import Expired
from v2g_edge.field.ocpp.leases import Lease, Shape, lease_profile
from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.outgoing import SAFETY, SETPOINT
from v2g_edge.field.ocpp.outlet import Outlet
from v2g_edge.field.ocpp.readback import planned_w
from v2g_edge.field.ocpp.setting import accepted, set_profile
from v2g_edge.field.ocpp.station import Station
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
        self._comparing: asyncio.Task[None] | None = None

    async def write_permit(self, permit: Permit) -> WriteResult:
        """Set or renew the lease. Without a transaction there is nothing to set: the default profile rules, and 0 W flow.

        ``rejected`` also when discharge is permitted but cannot be commanded at this outlet: then 0 W is set instead.
        """
        connection, outlet, version = self.connection, self._outlet, self._station.version
        if connection is None or version is None:
            return "silent"
        if outlet.session is None:
            return "accepted" if permit.power_w == 0.0 else "rejected"
        power_w = self._speakable(permit, version)
        watch = outlet.watch
        before_w, begins = watch.sent_w, watch.sent_w >= 0.0 > power_w
        duration_s = max(int(permit.valid_for_s), 1)
        outcome = await set_profile(
            connection,
            version,
            outlet,
            "TxProfile",
            lambda shape: lease_profile(version, self._lease(power_w, duration_s, shape)),
            priority=SAFETY if before_w < 0.0 <= power_w else SETPOINT,
            key=f"lease {outlet.wire.ocpp_evse}",
            timeout_s=ANSWER_S,
        )
        result = _result(outcome)
        if result == "accepted" or (result == "silent" and power_w < 0.0):  # unanswered, it may have arrived
            watch.commanded(power_w, self._clock.now_s())
        if result == "accepted" and begins and watch.proof == "unknown":
            # Beside the write, not in it: a slow answer may not hold up the next permit.
            self._comparing = asyncio.get_running_loop().create_task(
                self._compare(connection, version), name=f"compare {permit.evse}"
            )
        return "rejected" if power_w == 0.0 > permit.power_w else result

    def _speakable(self, permit: Permit, version: Version) -> float:
        """What may be commanded of a permit: discharge only where it is agreed, and only as far as it is proven."""
        outlet = self._outlet
        if permit.power_w >= 0.0:
            return permit.power_w
        if not self._can_discharge(version):
            log.warning("discharge_not_commandable", evse=permit.evse, version=version, discharge_by=outlet.evse.discharge_by)
            return 0.0
        outlet.watch.proof = self._station.make.proof() if outlet.watch.proof == "unknown" else outlet.watch.proof
        return outlet.watch.allowed_w(permit.power_w, outlet.evse.min_discharge_w)

    async def _compare(self, connection: Connection, version: Version) -> None:
        """Ask at once what the station means to do with its first discharge command."""
        outlet = self._outlet
        before = outlet.watch.proof
        if outlet.watch.read_back(await planned_w(connection, version, outlet)) != before:
            self._station.make.proof_changed(outlet)

    def _can_discharge(self, version: Version) -> bool:
        by = self._outlet.evse.discharge_by
        return by == DISCHARGE_WORD[version] or (version == "2.1" and by == "negative_limit")

    def _lease(self, power_w: float, duration_s: int, shape: Shape) -> Lease:
        outlet = self._outlet
        return Lease(
            ocpp_evse=outlet.wire.ocpp_evse,
            transaction=outlet.session.transaction if outlet.session else "0",
            power_w=power_w,
            start_wall_s=self._clock.wall_s() + self._station.skew.offset_s,
            duration_s=duration_s,
            phases=outlet.phases,
            setpoint=outlet.evse.discharge_by == "setpoint",
            shape=shape,
        )


def _result(outcome: Outcome) -> WriteResult:
    if isinstance(outcome, Expired):
        return "silent"
    return "accepted" if accepted(outcome) else "rejected"
