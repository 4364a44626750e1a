"""One outlet of a station, as we see it between its messages."""

import math

from v2g_edge.field.ocpp.vocabulary.charging_profiles import LADDER, Shape
from v2g_edge.field.ocpp.vocabulary.compliance import Watch
from v2g_edge.field.ocpp.vocabulary.dynamic_profiles import DynamicProfiles
from v2g_edge.field.ocpp.vocabulary.facts import Needs, Session, StatusReport
from v2g_edge.model.settings import StationEvse
from v2g_edge.model.site import Evse


class Outlet:
    """One outlet of a station and the session at it."""

    def __init__(self, evse: Evse, wire: StationEvse) -> None:
        self.evse = evse
        self.wire = wire
        self.session: Session | None = None
        self.early_needs = Needs()
        self.ladder: tuple[Shape, ...] = LADDER
        self.shape = LADDER[0]
        self.dynamic = DynamicProfiles()
        self.watch = Watch(evse.fallback_w)
        self.saved_s = -math.inf
        self.waits_for_start = False
        self.reported = StatusReport(wire.ocpp_evse, wire.ocpp_connector, "unknown")

    def may_take(self, ladder: tuple[Shape, ...]) -> None:
        """The shapes of profiles that the station may be given; one that worked stays if it is among them."""
        self.ladder = ladder
        self.shape = self.shape if self.shape in ladder else ladder[0]

    @property
    def phases(self) -> int:
        """Phases of the outlet, from its phase map."""
        return 3 if len(self.evse.phases) > 2 else 1
