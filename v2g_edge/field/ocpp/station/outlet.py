"""One outlet of a station, as we see it between its messages."""

import math
from typing import Final, NamedTuple

from msgspec.structs import replace

from v2g_edge.field.ocpp.vocabulary.charging_profiles import LADDER, Shape
from v2g_edge.field.ocpp.vocabulary.compliance import Watch
from v2g_edge.field.ocpp.vocabulary.dynamic_profiles import DynamicProfiles
from v2g_edge.field.ocpp.vocabulary.facts import Needs, Session, StatusReport
from v2g_edge.field.ocpp.vocabulary.refusals import Refusals
from v2g_edge.field.ocpp.vocabulary.register_power import RegisterPower
from v2g_edge.field.ocpp.vocabulary.vehicle_phases import SeenPhases
from v2g_edge.model.settings import StationEvse
from v2g_edge.model.site import Evse

START_PAUSES_S: Final = (10.0, 30.0, 60.0, 120.0, 300.0)
"""A vehicle that waits is asked for again after these, the last for ever: a station needs some seconds to
start, and one that refuses must not be bothered all night.
"""


class Held(NamedTuple):
    """The lease that the station took last: its power, for which transaction, until when (monotonic)."""

    power_w: float
    transaction: str
    until_s: float


class RemoteStart:
    """How often a vehicle that waits was asked to be started, and when the next time is due (monotonic)."""

    def __init__(self) -> None:
        self.asked = 0
        self.due_s = -math.inf

    def was_asked(self, now_s: float) -> int:
        """Once more; returns the number of times."""
        self.due_s = now_s + START_PAUSES_S[min(self.asked, len(START_PAUSES_S) - 1)]
        self.asked += 1
        return self.asked


class Outlet:
    """One outlet of a station and the session at it. ``shape_taken``: a lease in ``shape`` was accepted.

    ``unconfirmed``: since the station booted or connected nothing has named the transaction. ``doubts``: so
    often in a row the station has said that it is not running. ``powered_s``: when it last reported a power;
    ``idle_since_s``: since when that is none. ``power_contradicts_register``: its register runs while it
    reports no power that flows.
    """

    def __init__(self, evse: Evse, wire: StationEvse) -> None:
        self.evse = evse
        self.wire = wire
        self.session: Session | None = None
        self.early_needs = Needs()
        self.ladder: tuple[Shape, ...] = LADDER
        self.shape = LADDER[0]
        self.shape_taken = False
        self.dynamic = DynamicProfiles()
        self.held: Held | None = None
        self.discharge_refusals, self.charge_refusals = Refusals(), Refusals()
        self.register_power = RegisterPower()
        self.seen_phases = SeenPhases()
        self.powered_s = -math.inf
        self.idle_since_s = math.inf
        self.power_contradicts_register = False
        self.watch = Watch(evse.fallback_w)
        self.unconfirmed = False
        self.doubts = 0
        self.saved_s = -math.inf
        self.start = RemoteStart()
        self.reported = StatusReport(wire.ocpp_evse, wire.ocpp_connector, "unknown")

    def started_anew(self) -> None:
        """The station has booted: what was set in it may be gone, and it may take now what it refused
        before.
        """
        self.shape, self.shape_taken, self.dynamic, self.held = self.ladder[0], False, DynamicProfiles(), None
        self.discharge_refusals.retry_now()
        self.charge_refusals.retry_now()

    def had_transaction(self) -> None:
        """The vehicle here has had its transaction: it waits for none, until the station says so anew."""
        if self.reported.status == "occupied":
            self.reported = replace(self.reported, stage="finishing")

    def held_w(self, now_s: float) -> float | None:
        """The power of the lease that stands for the present transaction, None without one."""
        held, session = self.held, self.session
        stands = (
            held is not None
            and session is not None
            and held.transaction == session.transaction
            and now_s < held.until_s
        )
        return held.power_w if held is not None and stands else None

    def may_take(self, ladder: tuple[Shape, ...]) -> None:
        """The shapes of profiles that the station may be given; one that worked stays if it is among them."""
        self.ladder = ladder
        self.shape = self.shape if self.shape in ladder else ladder[0]

    @property
    def phases(self) -> int:
        """Phases of the outlet, from its phase map."""
        return 3 if len(self.evse.phases) > 2 else 1
