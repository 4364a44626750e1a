"""What the envelope remembers from tick to tick. All of it is journalled, so that a replay starts from the same mind."""

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.departure.keep import DepartureMemory
from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.gridtrip import TripMemory
from v2g_edge.envelope.table import Latch


class EvseMemory(Struct, frozen=True, gc=False):
    """One outlet. ``power_w`` is the last permit, its lease ends at ``lease_until_s``; 0 and 0 before the first.

    ``most_w`` ≥ 0 and ``least_w`` ≤ 0 span all permits that may still be in force there: an older one counts until the charger
    has accepted a newer. ``event_soc_pct`` is the highest SoC since the vehicle plugged in or last charged (the top of the
    present event), ``last_soc_pct`` the last seen; ``heat_pct`` the mean load over about ``safety.thermal_time_s``.
    """

    power_w: float = 0.0
    lease_until_s: float = 0.0
    most_w: float = 0.0
    least_w: float = 0.0
    session: str = ""
    event_soc_pct: float = 0.0
    last_soc_pct: float = 0.0
    heat_pct: float = 0.0


class MeterMemory(Struct, frozen=True, gc=False):
    """A meter and the sum of its chargers at ``at_s``, to see which way both move; ``against``: so often they parted in a row."""

    at_s: float
    power_w: float
    chargers_w: float
    against: int = 0


class BaseMemory(Struct, frozen=True, gc=False):
    """Peaks of a feeder's live base load: ``peak_w`` since ``since_s``, ``before_w`` in the whole window before; None: not seen.

    ``moved_s`` is when a permit below it last changed: samples count only some time after it.
    """

    moved_s: float
    since_s: float
    peak_w: float | None = None
    before_w: float | None = None


class EnvelopeMemory(Struct, frozen=True):
    """The whole. ``evses`` stand in the order of ``Site.evses``, ``meters`` of ``Site.meters``, ``bases`` of the tree's feeders,
    ``live_w`` the base loads that were reckoned with there.

    ``taken_pct`` is the SoC that discharge has taken out of each vehicle since the ``day`` (UTC, days since the epoch) began.
    """

    now_s: float = 0.0
    started: bool = False
    evses: tuple[EvseMemory, ...] = ()
    meters: tuple[MeterMemory | None, ...] = ()
    bases: tuple[BaseMemory, ...] = ()
    live_w: tuple[float, ...] = ()
    latches: tuple[Latch, ...] = ()
    trip: TripMemory = TripMemory()
    service: ServiceMemory = ServiceMemory()
    departures: DepartureMemory = DepartureMemory()
    day: int = 0
    taken_pct: dict[str, float] = {}


def restarted(memory: EnvelopeMemory, now_s: float, lease_s: float) -> EnvelopeMemory:
    """The memory of a process that died, for its successor whose monotonic clock may have begun anew.

    Latches and ledgers stand. Every last permit counts as in force for one more lease; the grid has to prove itself anew.
    """
    evses = tuple(replace(evse, lease_until_s=now_s + lease_s) for evse in memory.evses)
    return replace(
        memory,
        now_s=now_s,
        started=False,
        evses=evses,
        meters=(),
        bases=(),
        live_w=(),
        trip=TripMemory(),
        service=ServiceMemory(),
        departures=DepartureMemory(),
    )
