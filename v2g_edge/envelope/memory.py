"""What the envelope remembers from tick to tick. All of it is journalled, so that a replay starts from the same mind."""

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.departure import admit_exports
from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.gridtrip import TripMemory
from v2g_edge.envelope.table import Latch
from v2g_edge.model.evidence import BaseMemory, EvseMemory, MeterMemory


class EnvelopeMemory(Struct, frozen=True):
    """The whole. ``evses`` stand in the order of ``Site.evses``, ``meters`` of ``Site.meters``, ``bases`` of the tree's feeders,
    ``live_w`` the base loads that were reckoned with there.

    ``caps_w``: what each outlet might be charged with at the last tick by all that concerns it alone (no feeder, no meter, no
    grid), for the rules; ``rates_w``: the same without what passes by itself, for the proof of the departures.
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
    departures: admit_exports.DepartureMemory = admit_exports.DepartureMemory()
    day: int = 0
    taken_pct: dict[str, float] = {}
    caps_w: tuple[float, ...] = ()
    rates_w: tuple[float, ...] = ()


def restarted(memory: EnvelopeMemory, now_s: float, lease_s: float) -> EnvelopeMemory:
    """The memory of a process that died, for its successor whose monotonic clock may have begun anew.

    Latches and ledgers stand. Every last permit counts as in force for one more lease; the grid has to prove itself anew.
    """
    evses = tuple(replace(evse, lease_until_s=now_s + lease_s) for evse in memory.evses)
    departures, day, taken_pct = admit_exports.restarted(memory.departures), memory.day, memory.taken_pct
    return EnvelopeMemory(now_s, evses=evses, latches=memory.latches, departures=departures, day=day, taken_pct=taken_pct)
