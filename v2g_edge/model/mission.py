"""What other systems know of a vehicle: its next mission, and readings from its telematics."""

from typing import Protocol

from msgspec import Struct

from v2g_edge.model.reading import Reading


class Mission(Struct, frozen=True):
    """One vehicle's next departure, as one source says it. None: the source does not say.

    Attributes:
        vehicle: Id of the vehicle as in the site file.
        source: The system that says so: "vdv463:NAME", "timetable:FILE", "telematics:NAME".
        request: The source's own id of this request; "" without one.
        departure_wall_s: When it leaves, UTC epoch seconds.
        min_soc_pct: SoC that it needs then.
        max_soc_pct: SoC above which it is not to be charged.
        arrival_wall_s: When it is expected back, UTC epoch seconds.
        point: The outlet at which it is expected; "" where the source does not say.
        priority: The source's own rank; a higher number is more important.
        received_wall_s: When it was received, UTC epoch seconds.
    """

    vehicle: str
    source: str
    request: str = ""
    departure_wall_s: float | None = None
    min_soc_pct: float | None = None
    max_soc_pct: float | None = None
    arrival_wall_s: float | None = None
    point: str = ""
    priority: int = 0
    received_wall_s: float = 0.0


class FleetPort(Protocol):
    """What the field asks the fleet's systems about a vehicle that is plugged in."""

    @property
    def revision(self) -> int:
        """A number that grows whenever anything that ``facts_of`` could answer has changed."""

    def facts_of(
        self, vehicle: str, plugged_wall_s: float, now_s: float, wall_s: float
    ) -> dict[str, Reading]:
        """Readings by field name of ``VehicleState``. An empty answer: nothing is known of ``vehicle``."""
