"""One outlet as the writer sees it: permits become charging profiles, and discharge is given step by step until it is proven."""

import asyncio
import math
from typing import Final

import structlog
from msgspec.structs import replace

from v2g_edge.field.ocpp.control.read_back import planned_w
from v2g_edge.field.ocpp.control.set_profile import set_profile
from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.vocabulary.charging_profiles import Lease, Shape, lease_profile
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Expired, accepted
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import SAFETY, SETPOINT
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort, WriteResult
from v2g_edge.tasks import begin

log = structlog.get_logger()

ANSWER_S: Final = 10.0
"""A setpoint that is not answered by then is silent. Shorter than the 30 s of other calls: a renewal is due by then."""

SILENT_MAX: Final = 2
"""After so many setpoints in a row without an answer nothing is discharged until one comes: the stop would not come through."""

COMPARE_S: Final = 300.0
"""A station is asked this often whether it means to do what it accepted; at once where the last answer contradicted. One small
call in five minutes for each outlet."""

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
        self._compared_s = -math.inf
        self._writes = 0
        self._silent = 0
        self._drooping = False

    async def write_permit(self, permit: Permit) -> WriteResult:
        """Set or renew the lease. Without a transaction there is nothing to set: the default profile rules, and 0 W flow.

        ``rejected`` also when discharge is permitted but cannot be commanded at this outlet: then 0 W is set instead; and while
        the station's clock is not known, because by its own it may hold the lease for over, or for not yet begun.
        """
        connection, outlet, version = self.connection, self._outlet, self._station.version
        if connection is None or version is None:
            return "silent"
        if outlet.session is None:
            return "accepted" if permit.power_w == 0.0 else "rejected"
        power_w, known = self._speakable(permit, version), self._station.clock_skew.known
        droop_w = self._droop(permit, power_w, version)
        before_w = outlet.watch.sent_w
        duration_s = max(int(permit.valid_for_s), 1)
        self._writes += 1
        try:
            outcome, droop_w = await self._say(connection, version, power_w, droop_w, duration_s)
        except ValueError as fault:  # read leniently, a station may give an id that no profile can carry (36 characters)
            log.error("lease_not_writable", evse=permit.evse, why=str(fault))
            return "rejected"
        result = _result(outcome)
        self._note(outcome, result, power_w, duration_s if known else 0, droop_w)
        begins = before_w >= 0.0 > power_w or (droop_w > 0.0 and not self._drooping)
        self._drooping = droop_w > 0.0
        if result == "accepted" and self._wants_compared(begins=begins):
            # Beside the write, not in it: a slow answer may not hold up the next permit.
            self._comparing = begin(f"compare {permit.evse}", self._compare(connection, version))
        refused = power_w == 0.0 > permit.power_w or (result == "accepted" and not known)
        return "rejected" if refused else result

    async def _say(
        self, connection: Connection, version: Version, power_w: float, droop_w: float, duration_s: int
    ) -> tuple[Outcome, float]:
        """The lease in the finest words that the station takes; with what became of it, the droop that it carries."""
        outlet, wire = self._outlet, self._outlet.wire
        priority = SAFETY if outlet.watch.least_w < 0.0 <= power_w - droop_w else SETPOINT
        key, outcome = f"lease {wire.ocpp_evse}", None
        lease = self._lease(power_w, duration_s, outlet.shape)
        dynamic = version == "2.1" and self._station.clock_skew.known
        if not dynamic:
            outlet.dynamic.forget()
        else:
            if droop_w > 0.0:
                lease = replace(lease, period=self._station.v21.droop_period(power_w, droop_w))
            now_s = self._clock.now_s()
            outcome = await outlet.dynamic.send(connection, lease, now_s, priority=priority, key=key, timeout_s=self._patience_s)
        if outcome is not None:
            return outcome, droop_w
        outcome = await set_profile(
            connection,
            version,
            outlet,
            "TxProfile",
            lambda shape: lease_profile(version, self._lease(power_w, duration_s, shape)),
            priority=priority,
            key=key,
            timeout_s=self._patience_s,
        )
        if dynamic:
            outlet.dynamic.tried(connection, lease, outcome)
        return outcome, 0.0

    def _droop(self, permit: Permit, power_w: float, version: Version) -> float:
        """What may be commanded of a permitted droop: all where discharge is proven and the station follows, else nothing."""
        outlet, watch = self._outlet, self._outlet.watch
        takes = (
            version == "2.1"
            and outlet.evse.discharge_by == "setpoint"
            and outlet.shape.unit == "W"
            and outlet.dynamic.takes_droop
        )
        trusted = watch.proof == "proven" and watch.follows and self._silent < SILENT_MAX and self._station.clock_skew.known
        return permit.droop_w if takes and trusted and power_w == permit.power_w else 0.0

    def _note(self, outcome: Outcome, result: WriteResult, power_w: float, duration_s: int, droop_w: float) -> None:
        """What may be in force now, for the watch: what was accepted, and what was sent and is not answered."""
        now_s = self._clock.now_s()
        if result == "accepted" or (isinstance(outcome, Expired) and outcome.sent):
            self._outlet.watch.commanded(power_w, now_s, now_s + duration_s, sure=result == "accepted", droop_w=droop_w)
        if not isinstance(outcome, Expired):
            self._silent = 0
        elif outcome.why == "deadline":
            self._silent += 1

    def _wants_compared(self, *, begins: bool) -> bool:
        if self._comparing is not None and not self._comparing.done():
            return False
        watch = self._outlet.watch
        probes = begins and (watch.proof == "unknown" or watch.most_w > watch.sent_w)
        return probes or watch.contradicted or self._clock.now_s() - self._compared_s >= COMPARE_S

    def _speakable(self, permit: Permit, version: Version) -> float:
        """What may be commanded of a permit: discharge only where it is agreed, and only as far as it is proven.

        Where the station's clock is not known, no more than its default profile allows: a lease may come into force at any time.
        """
        outlet = self._outlet
        if not self._station.clock_skew.known:
            log.warning("station_clock_unknown", evse=permit.evse, power_w=permit.power_w)
            return min(max(permit.power_w, 0.0), outlet.evse.fallback_w)
        if permit.power_w >= 0.0:
            return permit.power_w
        if not self._can_discharge(version):
            log.warning("discharge_not_commandable", evse=permit.evse, version=version, discharge_by=outlet.evse.discharge_by)
            return 0.0
        if self._silent >= SILENT_MAX:
            log.warning("discharge_to_silent_station", evse=permit.evse, unanswered=self._silent)
            return 0.0
        self._station.model.consult(outlet)
        return outlet.watch.allowed_w(permit.power_w, outlet.evse.min_discharge_w)

    async def _compare(self, connection: Connection, version: Version) -> None:
        """Ask what the station means to do with what it has just accepted."""
        outlet, writes = self._outlet, self._writes
        self._compared_s = self._clock.now_s()
        planned = await planned_w(connection, version, outlet)
        if writes != self._writes:
            return  # told something else meanwhile: the answer may speak of either
        watch, before = outlet.watch, outlet.watch.proof
        watch.read_back(planned, self._clock.now_s())
        if watch.contradicted:
            log.warning("station_plans_otherwise", evse=outlet.evse.id, accepted_w=watch.sent_w, planned_w=planned)
            if self._drooping:
                why = f"its schedule says {planned:.0f} W, the droop {watch.least_w:.0f} to {watch.most_w:.0f} W"
                outlet.dynamic.refuse_droop(connection.identity, outlet.wire.ocpp_evse, why)
        self._station.model.judged(outlet, before)

    @property
    def _patience_s(self) -> float:
        return max(ANSWER_S, self._station.model.quirk.answers_within_s)

    def _can_discharge(self, version: Version) -> bool:
        by = self._outlet.evse.discharge_by
        if not self._station.model.quirk.discharges:
            return False
        return by == DISCHARGE_WORD[version] or (version == "2.1" and by == "negative_limit")

    def _lease(self, power_w: float, duration_s: int, shape: Shape) -> Lease:
        outlet = self._outlet
        return Lease(
            ocpp_evse=outlet.wire.ocpp_evse,
            transaction=outlet.session.transaction if outlet.session else "0",
            power_w=power_w,
            start_wall_s=self._clock.wall_s() + self._station.clock_skew.offset_s,
            duration_s=duration_s,
            phases=outlet.phases,
            setpoint=outlet.evse.discharge_by == "setpoint",
            shape=shape,
        )


def _result(outcome: Outcome) -> WriteResult:
    if isinstance(outcome, Expired):
        return "silent"
    return "accepted" if accepted(outcome) else "rejected"
