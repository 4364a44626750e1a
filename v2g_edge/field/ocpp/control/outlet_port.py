"""One outlet as the writer sees it: permits become charging profiles, and discharge is given step by step
until it is proven.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NamedTuple

import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.control.expressible import Expressible
from v2g_edge.field.ocpp.control.read_back import planned_w
from v2g_edge.field.ocpp.control.set_profile import (
    VOID,
    is_hopeless,
    reason_of,
    says_no_transaction,
    set_profile,
)
from v2g_edge.field.ocpp.station.outlet import Held, Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.vocabulary.charging_profiles import Lease, Shape, lease_profile
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Expired, accepted, refused
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import SAFETY, SETPOINT
from v2g_edge.model.event import Event
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort, Saying, WriteResult
from v2g_edge.tasks import begin

log = structlog.get_logger()

ANSWER_S: Final = 10.0
"""A setpoint that is not answered by then is silent. Shorter than the 30 s of other calls: a renewal is
due by then.
"""

COMPARE_S: Final = 300.0
"""A station is asked this often whether it means to do what it accepted; at once where the last answer
contradicted. One small call in five minutes for each outlet.
"""

HARMLESS_S: Final = 3_600.0
"""The lease of a setpoint that allows no more than the default profile does: nothing unsafe can come of
it, and stations keep profiles over power cuts in a flash of 100,000 cycles (libocpp #543). Renewed at a
third, that is 72 writes a day, not 7,920. Longer, and a depot whose controller has died for good would
hold back its chargers longer than needed.
"""

FITS_ABOVE: Final = 0.9
"""A station of which three readings in a row do not fit what it accepted has perhaps not got it: it gets
it again soon.
"""


class How(NamedTuple):
    """How a lease is sent: before what else, instead of which one that waits, for how long, and while what
    holds.
    """

    priority: int
    key: str
    timeout_s: float
    still: Callable[[], bool]


class OutletPort:
    """A ``ChargerPort`` for one outlet of one station. It survives reconnects."""

    def __init__(self, station: Station, outlet: Outlet, board: Board, clock: ClockPort) -> None:
        self._station = station
        self._outlet = outlet
        self._board = board
        self._clock = clock
        self.connection: Connection | None = None
        self._comparing: asyncio.Task[None] | None = None
        self._compared_s = -math.inf
        self._turn = 0
        self._sayable = Expressible(station, outlet, clock)
        self._drooping = False

    def says(self, permit: Permit) -> Saying:
        """See ``ChargerPort``. Without a transaction nothing is said: the default profile rules, and 0 W
        flow.

        Puts on the board, too, why nothing can be discharged here.
        """
        outlet, version, skew = self._outlet, self._station.version, self._station.clock_skew
        if version is None:
            return Saying(permit.power_w, permit.droop_w, permit.valid_for_s)
        why = self._sayable.no_discharge(version)
        if why != self._board.evse(permit.evse).no_discharge:
            self._board.update_evse(permit.evse, no_discharge=why)
        if outlet.session is None:
            return Saying(permit.power_w, permit.droop_w, permit.valid_for_s)
        power_w = self._sayable.power_w(
            permit.power_w, why if self._sayable.can_discharge(version) else "not agreed"
        )
        droop_w = self._sayable.droop_w(permit, power_w, version)
        does = outlet.watch.score > FITS_ABOVE
        harmless = skew.known and does and droop_w == 0.0 and 0.0 <= power_w <= outlet.evse.fallback_w
        valid_for_s = max(permit.valid_for_s, HARMLESS_S) if harmless else permit.valid_for_s
        terms = (outlet.session.transaction, skew.known, skew.offset_s, outlet.shape)
        return Saying(power_w, droop_w, valid_for_s, harmless, terms)

    def write_permit(self, permit: Permit) -> Coroutine[Any, Any, WriteResult]:
        """Set or renew the lease, for the vehicle that is here now.

        ``withheld``: something narrower than the permit is in force, because discharge cannot be commanded at
        this outlet, or because the station refused. ``rejected`` also while the station's clock is not known:
        by its own it may hold the lease for over, or for not yet begun.
        """
        self._turn += 1
        session = self._outlet.session
        still = partial(self._still, self._turn, self.connection, session.transaction if session else "")
        return self._write(permit, still)

    async def _write(self, permit: Permit, still: Callable[[], bool]) -> WriteResult:
        connection, version = self.connection, self._station.version
        if connection is None or version is None or not still():
            return "silent"
        if self._outlet.session is None:
            return "accepted" if permit.power_w == 0.0 else "rejected"
        saying = self.says(permit)
        try:
            result = await self._put(connection, version, saying, still)
        except (
            ValueError
        ) as fault:  # read leniently, a station may give an id that no profile can carry (36 characters)
            log.error("lease_not_writable", evse=permit.evse, why=str(fault))
            return "rejected"
        if result == "accepted" and not self._station.clock_skew.known:
            return "rejected"
        return "withheld" if result == "accepted" and saying.power_w != permit.power_w else result

    def _still(self, turn: int, connection: Connection | None, transaction: str) -> bool:
        """Whether a write is the latest one, and its link and vehicle are still there."""
        session = self._outlet.session
        here = session.transaction if session is not None else ""
        return turn == self._turn and connection is self.connection and here == transaction

    async def _put(
        self, connection: Connection, version: Version, saying: Saying, still: Callable[[], bool]
    ) -> WriteResult:
        """Say it; where the station refuses, have it keep to the last harmless thing that it took."""
        outlet, now_s, held_w = self._outlet, self._clock.now_s(), self._outlet.held_w(self._clock.now_s())
        if saying.power_w >= 0.0 and outlet.charge_refusals.holds(now_s) and held_w is None:
            return "rejected"
        before_w = outlet.watch.sent_w
        # The shape is not what is wrong with a refused discharge: that is found with a charge.
        ladder = saying.power_w >= 0.0 and not outlet.charge_refusals.holds(now_s)
        outcome, droop_w = await self._say(connection, version, saying, still, ladder=ladder)
        if outcome is VOID:
            return "silent"
        if refused(outcome):
            return await self._refused(connection, version, saying, outcome, still)
        result = self._note(outcome, saying, droop_w)
        if result == "accepted" and still():
            begins = before_w >= 0.0 > saying.power_w or (droop_w > 0.0 and not self._drooping)
            self._drooping = droop_w > 0.0
            self._compare_soon(connection, version, begins=begins)
        return result

    async def _refused(
        self,
        connection: Connection,
        version: Version,
        saying: Saying,
        outcome: Outcome,
        still: Callable[[], bool],
    ) -> WriteResult:
        """The default profile would take over when the lease ends: what was taken last, or 0 W, is renewed
        before it does.
        """
        if not still():
            return "silent"
        if says_no_transaction(outcome):
            self._station.doubt_transaction(self._outlet)
            return "rejected"
        outlet, tries_w = self._outlet, self._narrower_w(saying.power_w)
        hopeless = is_hopeless(outcome)
        self._learn(saying, reason_of(outcome))
        for power_w in () if hopeless else tries_w:
            narrower = saying._replace(
                power_w=power_w, droop_w=0.0, valid_for_s=self._lease_s(power_w, saying)
            )
            again, _ = await self._say(
                connection, version, narrower, still, ladder=saying.power_w < 0.0 and not outlet.shape_taken
            )
            if again is VOID or not still():
                return "silent"
            if self._note(again, narrower, 0.0) == "accepted":
                return "withheld"
        return "rejected"

    def _narrower_w(self, power_w: float) -> list[float]:
        """What to say instead of a refused power, best first. A default profile within the permit may take
        over.
        """
        outlet = self._outlet
        held_w = outlet.held_w(self._clock.now_s())
        tries_w = []
        if held_w is not None and held_w * power_w > 0.0 and abs(held_w) < abs(power_w):
            tries_w.append(held_w)
        if power_w < 0.0 or 0.0 < power_w < outlet.evse.fallback_w:
            tries_w.append(0.0)
        return tries_w

    def _lease_s(self, power_w: float, saying: Saying) -> float:
        return min(saying.valid_for_s, HARMLESS_S) if power_w >= 0.0 else saying.valid_for_s

    def _learn(self, saying: Saying, why: str) -> None:
        """A refusal counts; one that has become a rule is told once, with what to do."""
        outlet, now_s = self._outlet, self._clock.now_s()
        evse, station = outlet.evse.id, self._station.settings.identity
        said = f"station {station} refuses ({why or 'no reason given'})"
        if saying.power_w < 0.0:
            if outlet.discharge_refusals.refused(saying.power_w, why, now_s):
                remedy = 'Enable V2X in its settings, or write discharge_by = "none" for it.'
                text = f"{said} every discharge: it is held at 0 W and tried again rarely. {remedy}"
                self._board.announce(Event("discharge_refused", "warning", evse, text, 0.0))
        elif outlet.charge_refusals.refused(saying.power_w, why, now_s):
            remedy = "Enable smart charging in its settings, or set limit_unit for it; see its log lines."
            text = f"{said} limits of its charging: it keeps to its default profile, if it has one. {remedy}"
            self._board.announce(Event("limits_refused", "alarm", evse, text, 0.0))

    def _taken(self, saying: Saying, droop_w: float) -> None:
        """The station took it: it does not refuse such any more."""
        outlet, now_s = self._outlet, self._clock.now_s()
        if outlet.session is not None:
            outlet.held = Held(saying.power_w, outlet.session.transaction, now_s + saying.valid_for_s)
        outlet.shape_taken = True
        discharges = saying.power_w - droop_w < 0.0
        refusals = outlet.discharge_refusals if discharges else outlet.charge_refusals
        if refusals.taken(saying.power_w):
            what = "discharge" if discharges else "limits of its charging"
            text = f"station {self._station.settings.identity} takes {what} again"
            self._board.announce(Event("refusal_ended", "info", outlet.evse.id, text, 0.0))

    async def _say(
        self,
        connection: Connection,
        version: Version,
        saying: Saying,
        still: Callable[[], bool],
        *,
        ladder: bool,
    ) -> tuple[Outcome, float]:
        """The lease in the finest words that the station takes; with what became of it, the droop that it
        carries.
        """
        outlet, droop_w = self._outlet, saying.droop_w
        stops = outlet.watch.least_w < 0.0 <= saying.power_w - droop_w
        how = How(SAFETY if stops else SETPOINT, f"lease {outlet.wire.ocpp_evse}", self._patience_s, still)
        lease = self._lease(saying, outlet.shape)
        dynamic = version == "2.1" and self._station.clock_skew.known
        outcome = None
        if not dynamic:
            outlet.dynamic.forget()
        else:
            if droop_w > 0.0:
                lease = replace(lease, period=self._station.v21.droop_period(saying.power_w, droop_w))
            outcome = await outlet.dynamic.send(connection, lease, self._clock.now_s(), **how._asdict())
        if outcome is not None:
            return outcome, droop_w
        if not still():
            return VOID, 0.0
        outcome = await self._set(connection, version, saying, how, ladder=ladder)
        if dynamic and still():
            outlet.dynamic.tried(connection, lease, outcome)
        return outcome, 0.0

    async def _set(
        self, connection: Connection, version: Version, saying: Saying, how: How, *, ladder: bool
    ) -> Outcome:
        """The lease as a profile; ``ladder``: in other shapes too, where this one is refused."""
        outlet = self._outlet
        if not ladder:
            payload = lease_profile(version, self._lease(saying, outlet.shape))
            return await connection.call("SetChargingProfile", payload, **how._asdict())
        return await set_profile(
            connection,
            version,
            outlet,
            "TxProfile",
            lambda shape: lease_profile(version, self._lease(saying, shape)),
            may_clear=outlet.held_w(self._clock.now_s()) is None,
            **how._asdict(),
        )

    def _note(self, outcome: Outcome, saying: Saying, droop_w: float) -> WriteResult:
        """What may be in force now, for the watch: what was accepted, and what was sent and is not
        answered.
        """
        now_s, result = self._clock.now_s(), _result(outcome)
        lease_s = max(int(saying.valid_for_s), 1) if self._station.clock_skew.known else 0.0
        if result == "accepted" or (isinstance(outcome, Expired) and outcome.sent):
            sure = result == "accepted"
            self._outlet.watch.commanded(saying.power_w, now_s, now_s + lease_s, sure=sure, droop_w=droop_w)
        if result == "accepted":
            self._taken(saying, droop_w)
        if not isinstance(outcome, Expired):
            self._sayable.silent = 0
        elif outcome.why == "deadline":
            self._sayable.silent += 1
        return result

    def _compare_soon(self, connection: Connection, version: Version, *, begins: bool) -> None:
        """Beside the write, not in it: a slow answer may not hold up the next permit."""
        if self._comparing is not None and not self._comparing.done():
            return
        watch = self._outlet.watch
        probes = begins and (watch.proof == "unknown" or watch.most_w > watch.sent_w)
        if probes or watch.contradicted or self._clock.now_s() - self._compared_s >= COMPARE_S:
            self._comparing = begin(f"compare {self._outlet.evse.id}", self._compare(connection, version))

    async def _compare(self, connection: Connection, version: Version) -> None:
        """Ask what the station means to do with what it has just accepted."""
        outlet, turn = self._outlet, self._turn
        self._compared_s = self._clock.now_s()
        planned = await planned_w(connection, version, outlet)
        if turn != self._turn:
            return  # another setpoint went out meanwhile: the answer may belong to either
        watch, before = outlet.watch, outlet.watch.proof
        watch.read_back(planned, self._clock.now_s())
        if watch.contradicted:
            log.warning(
                "station_plans_otherwise", evse=outlet.evse.id, accepted_w=watch.sent_w, planned_w=planned
            )
            if self._drooping:
                why = (
                    f"its schedule says {planned:.0f} W, the droop {watch.least_w:.0f} to"
                    f" {watch.most_w:.0f} W"
                )
                outlet.dynamic.refuse_droop(connection.identity, outlet.wire.ocpp_evse, why)
        self._station.model.judged(outlet, before)

    @property
    def _patience_s(self) -> float:
        return max(ANSWER_S, self._station.model.quirk.answers_within_s)

    def _lease(self, saying: Saying, shape: Shape) -> Lease:
        outlet = self._outlet
        return Lease(
            ocpp_evse=outlet.wire.ocpp_evse,
            transaction=outlet.session.transaction if outlet.session else "0",
            power_w=saying.power_w,
            start_wall_s=self._clock.wall_s() + self._station.clock_skew.offset_s,
            duration_s=max(int(saying.valid_for_s), 1),
            phases=outlet.phases,
            setpoint=outlet.evse.discharge_by == "setpoint",
            shape=shape,
        )


def _result(outcome: Outcome) -> WriteResult:
    if isinstance(outcome, Expired):
        return "silent"
    return "accepted" if accepted(outcome) else "rejected"
