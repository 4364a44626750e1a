"""What the envelope remembers from tick to tick. All of it is journalled, so that a replay starts from the
same mind.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.departure import admit_exports
from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.gridtrip import TripMemory
from v2g_edge.envelope.table import Latch
from v2g_edge.model.evidence import BaseMemory, EvseMemory, MeterMemory
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Evse, Site

NEW: Final = "this outlet is new here: it has to show that it follows"


class EnvelopeMemory(Struct, frozen=True):
    """The whole. ``evses`` stand in the order of ``ids`` (``Site.evses``), ``meters`` of ``Site.meters``,
    ``bases`` of the tree's feeders, ``live_w`` the base loads that were reckoned with there.

    ``caps_w``: what each outlet might be charged with at the last tick by all that concerns it alone (no
    feeder, no meter, no grid), for the rules; ``rates_w``: the same without what passes by itself, for the
    proof of the departures; ``outs_w``: what each might export, for the sharing of exports. ``taken_pct`` is
    the SoC that discharge has taken out of each vehicle since the ``day`` (UTC, days since the epoch) began.
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
    outs_w: tuple[float, ...] = ()
    ids: tuple[str, ...] = ()


def restarted(memory: EnvelopeMemory, site: Site, now_s: float) -> EnvelopeMemory:
    """The memory of a process that died, for its successor, whose monotonic clock may have begun anew and
    whose site file may have changed.

    Latches and ledgers stand, by outlet id. Every last permit counts as in force for one more lease; the grid
    has to prove itself anew. An outlet of which nothing is known is assumed to act: it counts at its rating
    for a lease, and proves itself first.
    """
    then = memory.ids or tuple(evse.id for evse in site.evses)
    known = dict(zip(then, memory.evses, strict=False))
    new = [evse.id for evse in site.evses if evse.id not in known]
    gone = set(then) - {evse.id for evse in site.evses}
    latches = [latch for latch in memory.latches if latch.subject not in gone]
    latches += [Latch("disobedient", evse, True, 0.0, NEW, present=False, times=1) for evse in new]
    draws = dict(zip(then, memory.departures.draws, strict=False))
    departures = replace(
        memory.departures, draws=tuple(draws.get(evse.id) for evse in site.evses) if draws else ()
    )
    return EnvelopeMemory(
        now_s,
        evses=tuple(_carried(known.get(evse.id), evse, now_s, site.safety.lease_s) for evse in site.evses),
        latches=tuple(latches),
        departures=admit_exports.restarted(departures),
        day=memory.day,
        taken_pct=memory.taken_pct,
        ids=tuple(evse.id for evse in site.evses),
    )


def _carried(old: EvseMemory | None, evse: Evse, now_s: float, lease_s: float) -> EvseMemory:
    until_s = now_s + lease_s
    if old is not None:
        # Until its lease ran out a charger went on with its last permit, and nothing counted what that took.
        gone_wh = max(-old.least_w, 0.0) / evse.efficiency * lease_s / 3600.0
        warm_at_s = now_s if old.warm_at_s > -ANY_W else -ANY_W
        told = replace(old, soc_at_s=-ANY_W, warm_at_s=warm_at_s, told=(), out_wh=old.out_wh + gone_wh)
        return replace(told, lease_until_s=until_s, dark_since_s=ANY_W)
    least_w = 0.0 if evse.discharge_by == "none" else -evse.max_discharge_w
    return EvseMemory(lease_until_s=until_s, most_w=evse.max_charge_w, least_w=least_w)
