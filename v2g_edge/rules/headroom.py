"""What is left of the feeders, in all and on their phases, while it is shared out among the chargers below.

On a phase an outlet counts as the envelope counts it there (``tree.phase_weights``): while nothing is known
of its vehicle, with all of its power, up to the rating of one phase. So what the rules ask for fits each
phase, and a vehicle that must leave is not cut there alike with those that can wait.

An outlet that tells no power counts with its rating as soon as it is given more than its fallback, wherever
others ask beside it: no meter would show that it takes more.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Final, NamedTuple

from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.model.tree import FULL_ROOM, Tree, phase_base_w, phase_voltage, phase_weights

ENOUGH_W: Final = 1e-6
"""Less than this is rounding."""


Kept = tuple[int, float]
"""A feeder or a phase by its place, and W."""


class OnPhase(NamedTuple):
    """What an outlet takes of one phase (by its place in ``Phases.left_w``): the share ``weight`` of its
    power, and no more than ``most_w``.
    """

    phase: int
    weight: float
    most_w: float

    def part_w(self, power_w: float) -> float:
        """What flows there of the outlet's power."""
        return min(power_w * self.weight, self.most_w)

    def grows(self, power_w: float) -> bool:
        """Whether more power of the outlet is more there."""
        return power_w * self.weight < self.most_w - ENOUGH_W


class Phases(NamedTuple):
    """All phases with a limit: what each leaves for its chargers, and of which each outlet (in the order of
    ``Site.evses``) takes its part.
    """

    left_w: tuple[float, ...]
    above: tuple[tuple[OnPhase, ...], ...]


NO_PHASES: Final = Phases((), ())
"""Of a site without a limit on any phase."""


def phases_of(frame: Frame, snapshot: Snapshot, bases_w: Sequence[float]) -> Phases:
    """The phases of all feeders that have a limit there, and those of what single-phase chargers and
    vehicles may unbalance.
    """
    site, tree = frame.site, frame.tree
    limited = [(place, feeder) for place, feeder in enumerate(tree.feeders) if feeder.current is not None]
    if not limited:
        return NO_PHASES
    weights = phase_weights(tree, site.evses, snapshot.evses)
    cars = [i for i in tree.uneven if (vehicle := snapshot.evses[i].vehicle) and vehicle.phases]
    uneven = _uneven(tree, weights, cars)
    free = 1.0 - site.safety.feeder_margin_pct / 100.0
    left_w: list[float] = []
    above: list[list[OnPhase]] = [[] for _ in site.evses]
    for place, feeder in limited:
        meter = feeder.meter or site.grid.meter
        state = snapshot.meters[site.meters.index(meter)] if meter else None
        base_w = min(bases_w[place], tree.base_max_w[place])
        for phase in range(3):
            volts = phase_voltage(site, state, snapshot.now_s, phase)
            current = feeder.current
            if current is None:
                continue
            limits = [
                (current.import_a * volts * free - phase_base_w(current, base_w, volts), weights[phase])
            ]
            if current.imbalance_a < ANY_W:
                apart_w = current.imbalance_a * volts * free * tree.imbalance[place]
                # One vehicle at a time may always have its charger's minimum: it would wait for ever.
                least_w = [
                    site.evses[i].min_charge_w * uneven[phase][i] for i in tree.below[place] if i in cars
                ]
                limits.append((max([apart_w, *least_w]), uneven[phase]))
            for limit_w, shares in limits:
                for i in tree.below[place]:
                    if shares[i] > 0.0:
                        most_w = tree.phase_rated_w[i] * FULL_ROOM
                        above[i].append(OnPhase(len(left_w), shares[i], most_w))
                left_w.append(max(limit_w, 0.0))
    return Phases(tuple(left_w), tuple(tuple(parts) for parts in above))


def _uneven(
    tree: Tree, weights: tuple[tuple[float, ...], ...], cars: Sequence[int]
) -> tuple[tuple[float, ...], ...]:
    """For each phase the share of each outlet's power that its least loaded phase does not carry too: all of
    a single-phase outlet's, and what the ``cars`` load on one or two of three phases.

    Only those that have shown their phases: the others would have to count with all of their power, and
    could then never show them. For that reason the envelope, which allows no outlet more for telling less,
    keeps this limit for single-phase outlets alone, and the rules for cars too.
    """
    if not cars:
        return tree.single
    uneven = [list(shares) for shares in tree.single]
    for place in cars:
        least = min([shares[place] for shares in weights])
        for phase in range(3):
            uneven[phase][place] = weights[phase][place] - least
    return tuple(tuple(shares) for shares in uneven)


class Left:
    """What is left while it is handed out: ``feeders_w`` in the tree's order, ``phases_w`` in that of
    ``Phases``. ``unmetered``: the outlets that tell no power; ``metered``: all others that ask for some.
    """

    def __init__(
        self,
        frame: Frame,
        feeders_w: Sequence[float],
        phases: Phases,
        unmetered: Collection[int] = (),
        metered: Collection[int] = (),
    ) -> None:
        self._above, self._phases = frame.tree.above, phases
        self.feeders_w, self.phases_w = list(feeders_w), list(phases.left_w)
        self._evses = frame.site.evses
        self._shared = {node for place in metered for node in self._above[place]} if unmetered else set()
        self._shared_phases = {p.phase for i in metered for p in self.parts(i)} if unmetered else set()
        self._unmetered = {i for i in unmetered if not self._shared.isdisjoint(self._above[i])}
        for place in sorted(self._unmetered):
            self._keep_fallback(place)
        self._all_w, self._all_phases_w = tuple(self.feeders_w), tuple(self.phases_w)

    def copy(self) -> "Left":
        """As much again, to try something out."""
        other = copy(self)
        other.feeders_w, other.phases_w = list(self.feeders_w), list(self.phases_w)
        return other

    def set(self, other: "Left") -> None:
        """Take over what another has left."""
        self.feeders_w[:], self.phases_w[:] = other.feeders_w, other.phases_w

    def parts(self, place: int) -> tuple[OnPhase, ...]:
        """The limited phases that an outlet takes part of."""
        return self._phases.above[place] if self.phases_w else ()

    def counts_whole(self, place: int) -> bool:
        """Whether an outlet counts with its rating as soon as it is given more than its fallback."""
        return place in self._unmetered

    def more_w(self, place: int, has_w: float) -> float:
        """How much an outlet may have on top of what it ``has_w``."""
        nodes, parts = self._above[place], self.parts(place)
        if place not in self._unmetered:
            return self._room_w(has_w, nodes, parts)
        evse = self._evses[place]
        if has_w <= evse.fallback_w and not self._fits_whole(place, has_w):
            most_w = evse.fallback_w
        else:
            on_nodes, on_parts = self._counted(place)
            most_w = min([evse.max_charge_w, *[w for _, w in on_nodes]])
            most_w = min([most_w, *[w / part.weight for part, w in on_parts if w < part.most_w]])
        alone = [node for node in nodes if node not in self._shared]
        alone_parts = [part for part in parts if part.phase not in self._shared_phases]
        return min(most_w - has_w, self._room_w(has_w, alone, alone_parts))

    def take(self, place: int, has_w: float, more_w: float) -> None:
        """An outlet gets ``more_w`` on top of what it ``has_w``."""
        for node in self._above[place]:
            self.feeders_w[node] -= more_w
        for part in self.parts(place):
            self.phases_w[part.phase] -= part.part_w(has_w + more_w) - part.part_w(has_w)
        if place in self._unmetered:
            nodes, parts = self._kept(place, has_w, has_w + more_w)
            for node, power_w in nodes:
                self.feeders_w[node] -= power_w
            for phase, power_w in parts:
                self.phases_w[phase] -= power_w

    def _room_w(self, has_w: float, nodes: Sequence[int], parts: Sequence[OnPhase]) -> float:
        """What feeders and phases leave an outlet on top of what it has."""
        more_w = min([self.feeders_w[node] for node in nodes], default=ANY_W)
        for part in parts:
            room_w = self.phases_w[part.phase] + part.part_w(has_w)
            if room_w < part.most_w:  # else even all of its rating fits there
                more_w = min(more_w, room_w / part.weight - has_w)
        return more_w

    def _counted(self, place: int) -> tuple[list[tuple[int, float]], list[tuple[OnPhase, float]]]:
        """What an outlet that tells no power counts with where others ask beside it: its rating, or where
        that is more than there is in all, all of it.
        """
        rated_w, least_w = self._evses[place].max_charge_w, self._evses[place].fallback_w
        nodes = [(n, min(rated_w, self._all_w[n] + least_w)) for n in self._above[place] if n in self._shared]
        parts = [part for part in self.parts(place) if part.phase in self._shared_phases]
        return nodes, [
            (part, min(part.part_w(rated_w), self._all_phases_w[part.phase] + part.part_w(least_w)))
            for part in parts
        ]

    def _fits_whole(self, place: int, has_w: float) -> bool:
        """Whether all that counts for an outlet that tells no power is left."""
        nodes, parts = self._counted(place)
        least_w = self._evses[place].fallback_w
        lacks_w = [counted_w - least_w - self.feeders_w[node] for node, counted_w in nodes]
        lacks_w += [counted_w - part.part_w(least_w) - self.phases_w[part.phase] for part, counted_w in parts]
        return max(lacks_w) <= ENOUGH_W

    def _kept(self, place: int, has_w: float, gets_w: float) -> tuple[list[Kept], list[Kept]]:
        """What is kept of feeders, and of phases, for the rating of an outlet that tells no power, beyond the
        power itself: so much more when it gets ``gets_w`` instead of what it has.
        """
        fallback_w = self._evses[place].fallback_w
        nodes, parts = self._counted(place)

        def beyond_w(part: OnPhase | None, counted_w: float, power_w: float) -> float:
            flows_w = part.part_w(power_w) if part else power_w
            least_w = part.part_w(fallback_w) if part else fallback_w
            return max((counted_w if power_w > fallback_w else least_w) - flows_w, 0.0)

        return [(node, beyond_w(None, w, gets_w) - beyond_w(None, w, has_w)) for node, w in nodes], [
            (part.phase, beyond_w(part, w, gets_w) - beyond_w(part, w, has_w)) for part, w in parts
        ]

    def _keep_fallback(self, place: int) -> None:
        """Its fallback counts for an outlet that tells no power, whether it is given anything or not."""
        least_w = self._evses[place].fallback_w
        for node in self._shared.intersection(self._above[place]):
            self.feeders_w[node] -= least_w
        for part in self.parts(place):
            if part.phase in self._shared_phases:
                self.phases_w[part.phase] -= part.part_w(least_w)

    def fill_evenly(self, wanted_w: Mapping[int, float], given: dict[int, float]) -> None:
        """Max-min fair filling, on top of what is ``given``. Each round ends a wish, fills a feeder or a
        phase, or brings an outlet to the rating of a phase, so there are at most that many rounds.
        """
        if self.gave_all(wanted_w, given):
            return
        hungry = dict(wanted_w)
        while hungry:
            counts, rates, ends_w = self._growing(hungry, given)
            step_w = min([*hungry.values(), *ends_w])
            for place in hungry:
                given[place] += step_w
                hungry[place] -= step_w
            for node, count in enumerate(counts):
                self.feeders_w[node] -= step_w * count
            for phase, rate in enumerate(rates):
                self.phases_w[phase] -= step_w * rate
            full = {node for node, count in enumerate(counts) if count and self.feeders_w[node] <= ENOUGH_W}
            hungry = {
                place: w
                for place, w in hungry.items()
                if w > ENOUGH_W
                and full.isdisjoint(self._above[place])
                and not any(
                    self.phases_w[part.phase] <= ENOUGH_W and part.grows(given[place])
                    for part in self.parts(place)
                )
            }

    def gave_all(self, wanted_w: Mapping[int, float], given: dict[int, float]) -> bool:
        """Give all that is wanted, where all of it fits."""
        asked_w, on_phases_w = [0.0] * len(self.feeders_w), [0.0] * len(self.phases_w)
        for place, power_w in wanted_w.items():
            for node in self._above[place]:
                asked_w[node] += power_w
            for part in self.parts(place):
                on_phases_w[part.phase] += part.part_w(given[place] + power_w) - part.part_w(given[place])
        for place in self._unmetered.intersection(wanted_w):
            nodes, parts = self._kept(place, given[place], given[place] + wanted_w[place])
            for node, more_w in nodes:
                asked_w[node] += more_w
            for phase, more_w in parts:
                on_phases_w[phase] += more_w
        left_w, asked_w = [*self.feeders_w, *self.phases_w], [*asked_w, *on_phases_w]
        if any(asked > left for asked, left in zip(asked_w, left_w, strict=True)):
            return False
        for place, power_w in wanted_w.items():
            given[place] += power_w
        left_w = [left - asked for asked, left in zip(asked_w, left_w, strict=True)]
        self.feeders_w, self.phases_w = left_w[: len(self.feeders_w)], left_w[len(self.feeders_w) :]
        return True

    def _growing(
        self, hungry: Mapping[int, float], given: Mapping[int, float]
    ) -> tuple[list[int], list[float], list[float]]:
        """How many grow at each feeder, how fast each phase fills, and how far each may grow until a
        feeder or a phase is full, or an outlet at the rating of a phase.
        """
        counts, rates = [0] * len(self.feeders_w), [0.0] * len(self.phases_w)
        ends_w: list[float] = []
        for place in hungry:
            for node in self._above[place]:
                counts[node] += 1
            for part in self.parts(place):
                if part.grows(given[place]):
                    rates[part.phase] += part.weight
                    ends_w.append(part.most_w / part.weight - given[place])
        ends_w += [left / count for left, count in zip(self.feeders_w, counts, strict=True) if count]
        ends_w += [left / rate for left, rate in zip(self.phases_w, rates, strict=True) if rate > 0.0]
        return counts, rates, ends_w
