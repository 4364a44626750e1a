"""One pure tick: (snapshot, plan, memory) → (permits, events, memory). The same inputs give the same
outputs, bit for bit.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.departure.admit_exports import lasting_rates
from v2g_edge.departure.charging_power import powers_of, sure_powers
from v2g_edge.envelope.exposure import UNMETERED_S, can_rest
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.envelope.memory import restarted as restart_envelope
from v2g_edge.envelope.permits import Decision, Depot, depot_of, permit_all
from v2g_edge.model.event import Event
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import Bound
from v2g_edge.model.orders import Narrowed, as_orders, narrowed, narrower
from v2g_edge.model.permit import Permit, Wish
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.missing_vehicle_data import SETTLED_S, announce_doubts
from v2g_edge.rules.services.dispatch import limited_bases, serve
from v2g_edge.rules.sharing import RulesMemory
from v2g_edge.rules.wishes import propose_all


class Memory(Struct, frozen=True):
    """What the cycle carries from tick to tick; journalled, restored after a restart."""

    envelope: EnvelopeMemory = EnvelopeMemory()
    rules: RulesMemory = RulesMemory()


def restarted(memory: Memory, site: Site, now_s: float) -> Memory:
    """The memory for a new process (see ``envelope.memory.restarted``), also where the site file has other
    outlets now.
    """
    return Memory(restart_envelope(memory.envelope, site, now_s))


def careful(site: Site, now_s: float) -> Memory:
    """The memory of a process whose predecessor's was lost: what is not known is assumed to act.

    Every outlet counts at its rating for one lease, and what may be taken of each vehicle today counts as
    taken: charging goes on, and export returns with the next day by itself. The day is the first that a
    synchronised clock tells: one that is guessed here would end too early, or never.
    """
    until_s = now_s + site.safety.lease_s
    evses = tuple(
        EvseMemory(lease_until_s=until_s, most_w=e.max_charge_w, least_w=-e.max_discharge_w)
        for e in site.evses
    )
    taken_pct = {vehicle.id: 100.0 for vehicle in site.vehicles}
    return Memory(EnvelopeMemory(now_s, evses=evses, taken_pct=taken_pct))


class Outcome(Struct, frozen=True):
    """``permits`` and ``bounds`` in the order of ``Site.evses``. ``contactor`` false: open every
    discharge-enable contactor.

    ``dropped``: those to open in any case, because a charger that has no other dead-man is silent or does not
    follow.
    """

    permits: tuple[Permit, ...]
    events: tuple[Event, ...]
    memory: Memory
    wishes: tuple[Wish, ...]
    bounds: tuple[tuple[Bound, ...], ...]
    contactor: bool
    dropped: tuple[str, ...] = ()


class Cycle:
    """A site's tick, with the parts that never change worked out once. Holds no state of its own between
    ticks.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._depot: Depot = depot_of(frame_of(site))
        self._ordered: tuple[Narrowed, Depot] = (Narrowed(), self._depot)

    def tick(self, snapshot: Snapshot, plan: Plan | None, memory: Memory) -> Outcome:
        """Rules propose, the envelope permits. ``snapshot`` carries the time. Raises
        ``envelope.InvariantBroken`` only.
        """
        told = memory.envelope.departures
        depot = self._depot_by(snapshot)
        frame = depot.frame
        powers = powers_of(frame.site, snapshot, told.draws)
        drawn_w = dict(zip(frame.ids, lasting_rates(depot, memory.envelope.rates_w), strict=True))
        for seen_w in (powers.drawn_w, sure_powers(frame.site, snapshot, told.draws)):
            for evse, power_w in seen_w.items():
                drawn_w[evse] = min(drawn_w[evse], power_w)
        bases_w = limited_bases(frame, snapshot, memory.envelope.live_w or frame.tree.base_max_w)
        outs_w = dict(zip(frame.ids, memory.envelope.outs_w, strict=False))
        wishes, turns = propose_all(
            frame,
            snapshot,
            plan,
            dict(told.short),
            told.held,
            memory=memory.rules,
            bases_w=bases_w,
            drawn_w=drawn_w,
            enough_w=powers.enough_w,
            said_w=powers.said_w,
            caps_w=dict(zip(frame.ids, memory.envelope.caps_w, strict=False)),
            outs_w=outs_w,
            unmetered=_unmetered(frame.site, snapshot, memory.envelope.evses),
        )
        served = serve(
            frame,
            snapshot,
            wishes,
            bases_w,
            memory.rules.silent,
            outs_w,
            plan=plan,
            windows=memory.rules.windows,
        )
        wishes = served.wishes
        evses = zip(frame.ids, memory.envelope.evses, strict=False)
        dark = [evse for evse, old in evses if snapshot.now_s - old.dark_since_s > SETTLED_S]
        doubts, told_doubts = announce_doubts(frame, snapshot, memory.rules.doubts, dark)
        decision: Decision = permit_all(depot, snapshot, wishes, memory.envelope)
        return Outcome(
            permits=decision.permits,
            events=decision.events + doubts + served.events,
            memory=Memory(
                decision.memory,
                replace(turns, doubts=told_doubts, silent=served.silent, windows=served.windows),
            ),
            wishes=tuple(wishes.values()),
            bounds=decision.bounds,
            contactor=decision.contactor,
            dropped=decision.dropped,
        )

    def _depot_by(self, snapshot: Snapshot) -> Depot:
        """The depot as orders for tonight and limits from outside make it narrower, worked out once for each
        set of them.
        """
        operator, root = snapshot.operator, self._depot.frame.tree.feeders[-1].id
        by = narrowed((*operator.orders, *as_orders(operator.limits, root, snapshot.wall_s)))
        if by != self._ordered[0]:
            self._ordered = (
                by,
                depot_of(frame_of(narrower(self._site, by))) if by != Narrowed() else self._depot,
            )
        return self._ordered[1]


def _unmetered(site: Site, snapshot: Snapshot, memories: Sequence[EvseMemory]) -> frozenset[str]:
    """The outlets whose power nothing has metered for long, and which count less while they rest."""
    return frozenset(
        evse.id
        for evse, state, old in zip(site.evses, snapshot.evses, memories, strict=False)
        if snapshot.now_s - old.dark_since_s > UNMETERED_S and can_rest(evse, state)
    )
