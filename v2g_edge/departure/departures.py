"""The proof of departures: before a watt is exported, every vehicle still departs charged, though no vehicle
charges while the next leases run.

``demand`` says what each vehicle may ask for, ``certificate`` whether all of it fits. Charging is not
credited with the export of others. A vehicle that cannot make its departure even alone is named, gets the
most it can, claims no more, and never exports. One that does not export is not made short by the few seconds
of the lease: it claims what full power from then on can give.
"""

from operator import lt
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.departure.certificate import Problem, solve
from v2g_edge.departure.demand import SLOT_S, Demand, Job, demand_of
from v2g_edge.departure.depot import Depot, phase_limits
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.snapshot import Snapshot

LOOKAHEAD_S: Final = 60.0
"""A yes is first sought for this much later, with every outlet discharging until then: it serves all ticks
in between.
"""
TRIES: Final = 5
"""Halvings when exports are dropped: at most one exporter in 32 stops without need, and a tick pays for
five flows at most.
"""


class Load(Struct, frozen=True):
    """Known building load: at most ``power_w`` on ``feeder`` itself, where below its ``base_load_max_w``
    (UTC, whole slots).
    """

    feeder: str
    start_wall_s: float
    end_wall_s: float
    power_w: float


class CertificateMemory(Struct, frozen=True):
    """The last problem with a yes, as of ``start_wall_s``. While nothing is harder than it was there, the
    yes stands. ``phase_w``: what the phases left each feeder in all.
    """

    start_wall_s: float = 0.0
    jobs: tuple[Job, ...] = ()
    reserved_w: tuple[float, ...] = ()
    loads: tuple[Load, ...] = ()
    phase_w: tuple[float, ...] = ()


class Impossible(Struct, frozen=True, gc=False):
    """A departure that cannot be met even alone at full power, ``in_h`` hours ahead; ``lacks_wh`` at the
    grid side.
    """

    evse: str
    lacks_wh: float
    in_h: float


class Certificate(Struct, frozen=True):
    """``feasible``: all the exports may be permitted. ``shortfalls``: (outlet, Wh at the grid side), largest
    first.

    ``barred``: outlets that must not export whatever others do; ``others`` whether the rest may (with the
    barred counted as if they did: losing a reading must not make room for anybody). ``binding`` says which
    feeder binds and when, "" if none. ``touched``: the outlets that share full feeders with a short one; only
    their exports can make it shorter.
    """

    feasible: bool
    shortfalls: tuple[tuple[str, float], ...] = ()
    impossible: tuple[Impossible, ...] = ()
    barred: tuple[str, ...] = ()
    binding: str = ""
    others: bool = False
    touched: tuple[str, ...] = ()

    def bars(self, evse: str) -> bool:
        """Whether an export of this outlet may not be permitted."""
        return evse in self.barred or (not self.others and evse in self.touched)


class Proposal(NamedTuple):
    """Exports in W ≥ 0 for the next ``duration_s``; what each outlet may draw beside its schedule because
    it does not listen; the most each vehicle takes by its own word and by what was seen (ANY_W: not
    known). All three aligned to ``Site.evses``. ``idle``: places of outlets whose vehicle draws nothing
    though it may.
    """

    exports_w: tuple[float, ...]
    duration_s: float
    reserved_w: tuple[float, ...]
    learned_w: tuple[float, ...]
    loads: tuple[Load, ...] = ()
    idle: frozenset[int] = frozenset()


def certify(
    depot: Depot,
    snapshot: Snapshot,
    proposal: Proposal,
    memory: CertificateMemory,
    also: CertificateMemory | None = None,
) -> tuple[Certificate, CertificateMemory]:
    """Whether all departures can be met after ``proposal``. A no always comes from the exact answer for this
    very tick.

    ``also``: a second proof that may serve, of a problem that is likely to be harder.
    """
    demands = demands_of(depot, snapshot, proposal.learned_w, proposal.idle)
    now = _needs(depot, snapshot, proposal, demands, 0.0)
    may = Certificate(
        not now.barred,
        (),
        now.impossible,
        now.barred,
        f"{now.barred[0]} may not export" if now.barred else "",
        True,
    )
    phase_w = phase_limits(depot, snapshot)
    if any(old is not None and _stands(now, proposal, phase_w, old) for old in (memory, also)):
        return may, memory
    ahead_s = min(LOOKAHEAD_S, (now.slot + 1) * SLOT_S - now.start_wall_s - 1.0)
    for needs in (_needs(depot, snapshot, proposal, demands, ahead_s), now) if ahead_s > 0.0 else (now,):
        answer = solve(_problem(depot, needs, proposal, phase_w))
        if not answer.short_wh.any():
            kept = CertificateMemory(
                needs.start_wall_s, needs.jobs, proposal.reserved_w, proposal.loads, phase_w
            )
            return may, kept
    short_wh: dict[str, float] = {}
    for job, wh in zip(now.jobs, answer.short_wh.tolist(), strict=True):
        if wh > 0.0:
            short_wh[depot.frame.ids[job.evse]] = short_wh.get(depot.frame.ids[job.evse], 0.0) + wh
    ordered = tuple(sorted(short_wh.items(), key=lambda item: (-item[1], item[0])))
    in_h = max((now.slot + answer.slot) * SLOT_S - snapshot.wall_s, 0.0) / 3600.0
    binding = f"feeder {depot.frame.tree.feeders[answer.feeder].id} is full from {in_h:.2f} h ahead"
    touched = dict.fromkeys(
        depot.frame.ids[job.evse] for job, hit in zip(now.jobs, answer.touched, strict=True) if hit
    )
    return Certificate(False, ordered, now.impossible, now.barred, binding, touched=tuple(touched)), memory


def keep_exports(
    depot: Depot, snapshot: Snapshot, proposal: Proposal, memory: CertificateMemory
) -> tuple[tuple[float, ...], Certificate, CertificateMemory]:
    """The exports that may stay, and why others may not: the certificate of the whole proposal, or of what is
    left of it.

    Barred outlets go first, then those with the least slack before their departure. All may go that share a
    full feeder with a short one; the others stay.
    """
    first, memory = certify(depot, snapshot, proposal, memory)
    if first.feasible:
        return proposal.exports_w, first, memory
    ids, exports_w = depot.frame.ids, proposal.exports_w
    slack_s = [
        demand.alone(snapshot.wall_s)[1] if demand else 0.0
        for demand in demands_of(depot, snapshot, proposal.learned_w)
    ]
    free = {i for i, w in enumerate(exports_w) if w > 0.0 and not first.bars(ids[i])}
    order = sorted(
        (i for i, w in enumerate(exports_w) if w > 0.0 and i not in free and ids[i] not in first.barred),
        key=lambda i: (-slack_s[i], ids[i]),
    )
    kept_w = tuple(w if i in free else 0.0 for i, w in enumerate(exports_w))
    low, high = 0, len(order) + 1 if first.barred else len(order)
    for _ in range(TRIES):
        middle = high - 1 if high > len(order) else (low + high) // 2
        if middle <= low:
            break
        keep = free | set(order[:middle])
        trial_w = tuple(w if i in keep else 0.0 for i, w in enumerate(exports_w))
        verdict, memory = certify(depot, snapshot, proposal._replace(exports_w=trial_w), memory)
        if not any(verdict.bars(ids[i]) for i in keep):
            low, kept_w = middle, trial_w
        else:
            high = middle
    return kept_w, first, memory


class _Needs(NamedTuple):
    """All jobs from ``start_wall_s`` (in slot ``slot``) on."""

    start_wall_s: float
    slot: int
    jobs: tuple[Job, ...]
    impossible: tuple[Impossible, ...]
    barred: tuple[str, ...]


def demands_of(
    depot: Depot, snapshot: Snapshot, learned_w: tuple[float, ...], idle: frozenset[int] = frozenset()
) -> list[Demand | None]:
    """What is plugged in, in the order of ``Site.evses``; None at an empty outlet.

    What the car reports as its limit comes with ``learned_w``, from the ticks before: no reading of this one
    narrows a rate.
    """
    frame = depot.frame
    demands: list[Demand | None] = []
    for i, (evse, state) in enumerate(zip(frame.site.evses, snapshot.evses, strict=True)):
        vehicle = state.vehicle
        if vehicle is None:
            demands.append(None)
            continue
        known = frame.known.get(vehicle.vehicle)
        kind = frame.kinds.get(known.type) if known else None
        full_w = min(evse.max_charge_w, learned_w[i]) * depot.share[i]
        demand = demand_of(i, evse, kind, vehicle, known.reserve_soc_pct if known else 0.0, full_w, snapshot)
        demands.append(demand._replace(idle=True) if i in idle else demand)
    return demands


def _needs(
    depot: Depot, snapshot: Snapshot, proposal: Proposal, demands: list[Demand | None], ahead_s: float
) -> _Needs:
    """``ahead_s``: as if all this came that much later, with every outlet discharging as it can until
    then.
    """
    start_s = snapshot.wall_s + proposal.duration_s + ahead_s
    jobs: list[Job] = []
    impossible, barred = [], []
    outlets = zip(depot.frame.site.evses, demands, proposal.exports_w, proposal.reserved_w, strict=True)
    for evse, demand, export_w, reserved_w in outlets:
        met = False
        if demand is not None:
            # A watt-hour of export costs the battery 1/efficiency, and the grid as much again to put it back.
            out_wh = (
                (export_w * proposal.duration_s + evse.max_discharge_w * ahead_s)
                / 3600.0
                / evse.efficiency**2
            )
            mine, met = demand.jobs(start_s, out_wh)
            jobs += [job for each in mine if (job := _beyond(each, reserved_w, start_s)) is not None]
            lacks_wh = demand.alone(snapshot.wall_s)[0] if not met else 0.0
            if lacks_wh > 0.0:
                impossible.append(
                    Impossible(evse.id, lacks_wh, (demand.departs_s - snapshot.wall_s) / 3600.0)
                )
        if export_w > 0.0 and not met:
            barred.append(evse.id)
    return _Needs(start_s, int(start_s // SLOT_S), tuple(jobs), tuple(impossible), tuple(barred))


def _beyond(job: Job, reserved_w: float, start_s: float) -> Job | None:
    """What a job asks beyond the power that is kept free for its outlet anyway: each watt counts once.
    None: nothing.
    """
    if reserved_w <= 0.0:
        return job
    rate_w = job.rate_w - reserved_w
    hours = (job.end * SLOT_S - max(job.first * SLOT_S, start_s)) / 3600.0
    need_wh = job.need_wh if job.need_wh == ANY_W else job.need_wh - reserved_w * hours
    return replace(job, need_wh=need_wh, rate_w=rate_w) if rate_w > 0.0 and need_wh > 0.0 else None


def _problem(depot: Depot, needs: _Needs, proposal: Proposal, phase_w: tuple[float, ...]) -> Problem:
    """The jobs against every feeder: import limit less base load, at most what its phases leave, less what
    may flow to outlets that do not listen.
    """
    table = np.array([(j.evse, j.need_wh, j.rate_w, j.first, j.end) for j in needs.jobs]).reshape(-1, 5)
    slots = max(int(table[:, 4].max(initial=0.0)) - needs.slot, 1)
    tree = depot.frame.tree
    reserved_w = np.array([sum([proposal.reserved_w[i] for i in members]) for members in tree.below])
    limit_w = np.repeat(depot.limit_w[:, None], slots, axis=1)
    place = {feeder.id: row for row, feeder in enumerate(tree.feeders)}
    for load in proposal.loads:
        row = place[load.feeder]
        first, end = (
            max(int(edge) - needs.slot, 0)
            for edge in (-(-load.start_wall_s // SLOT_S), load.end_wall_s // SLOT_S)
        )
        freed_w = max(tree.feeders[row].base_load_max_w - load.power_w, 0.0)
        while row >= 0:
            limit_w[row, first:end] += freed_w
            row = int(depot.parent[row])
    slot_h = np.full(slots, SLOT_S / 3600.0)
    slot_h[0] = ((needs.slot + 1) * SLOT_S - needs.start_wall_s) / 3600.0
    evse, first_slot, end_slot = (
        table[:, 0].astype(np.int64),
        table[:, 3] - needs.slot,
        table[:, 4] - needs.slot,
    )
    return Problem(
        need_wh=table[:, 1],
        rate_w=table[:, 2],
        feeder=depot.feeder[evse],
        first=first_slot.astype(np.int64),
        end=end_slot.astype(np.int64),
        parent=depot.parent,
        limit_w=np.minimum(limit_w, np.array(phase_w)[:, None]) - reserved_w[:, None],
        slot_h=slot_h,
    )


def _stands(now: _Needs, proposal: Proposal, phase_w: tuple[float, ...], memory: CertificateMemory) -> bool:
    """Whether nothing is harder than in the problem that had a yes.

    Only within the first slot of that problem: before its start, the jobs at full power then fit as they fit
    after it.
    """
    if (
        not memory.reserved_w
        or memory.loads != proposal.loads
        or int(memory.start_wall_s // SLOT_S) != now.slot
    ):
        return False
    if now.start_wall_s > memory.start_wall_s or any(
        a > b for a, b in zip(proposal.reserved_w, memory.reserved_w, strict=True)
    ):
        return False
    if len(memory.phase_w) != len(phase_w) or any(map(lt, phase_w, memory.phase_w)):
        return False
    known = {(job.evse, job.band): job for job in memory.jobs}
    return all(_covered(job, known.get((job.evse, job.band))) for job in now.jobs)


def _covered(job: Job, old: Job | None) -> bool:
    if old is None:
        return False
    if old.need_wh == ANY_W:  # all that it can take was there
        return job.rate_w <= old.rate_w and job.first >= old.first and job.end <= old.end
    return (
        job.need_wh <= old.need_wh
        and job.rate_w >= old.rate_w
        and job.first <= old.first
        and job.end >= old.end
    )
