"""What the envelope remembers from tick to tick. All of it is journalled, so that a replay starts from the same mind."""

from msgspec import Struct

from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.gridtrip import TripMemory
from v2g_edge.envelope.table import Latch


class EvseMemory(Struct, frozen=True, gc=False):
    """One outlet. ``power_w`` is the last permit, its lease ends at ``lease_until_s``; 0 and 0 before the first.

    ``most_w`` ≥ 0 and ``least_w`` ≤ 0 span all permits that may still be in force there: an older one counts until the charger
    has accepted a newer.

    ``event_soc_pct`` is the highest SoC since the vehicle plugged in or last finished a discharge (the top of the present
    event); ``day_out_pct`` is the SoC taken out since ``day`` (days since the epoch, UTC) began; ``last_soc_pct`` the last seen.
    """

    power_w: float = 0.0
    lease_until_s: float = 0.0
    most_w: float = 0.0
    least_w: float = 0.0
    session: str = ""
    event_soc_pct: float = 0.0
    last_soc_pct: float = 0.0
    day: int = 0
    day_out_pct: float = 0.0


class EnvelopeMemory(Struct, frozen=True):
    """The whole. ``evses`` stands in the order of ``Site.evses``, or is empty before the first tick."""

    now_s: float = 0.0
    started: bool = False
    evses: tuple[EvseMemory, ...] = ()
    latches: tuple[Latch, ...] = ()
    trip: TripMemory = TripMemory()
    service: ServiceMemory = ServiceMemory()
