"""The supply tree: what fits every feeder, in both directions and on every phase, with the worst case for the
silent.

Charging is summed without crediting anybody's discharge, and export without crediting anybody's charging: so
no charger that stops, in either direction, can push a feeder over its limit. Shares are cut from what was
*wished*, not from what readings would leave of it: when a reading goes missing, the others get no more in
that tick.

On a phase an outlet counts with what its vehicle may draw there: as long as the vehicle has not shown its
phases, that is all of its power, up to the rating of one phase.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.envelope.exposure import Exposure
from v2g_edge.envelope.facts import Context, Outlet
from v2g_edge.envelope.limits import Limit, Limits
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.tree import FULL_ROOM

TRIAL_S: Final = 300.0
"""The outlet that tries first changes this often: a first discharge has proven itself, or given up, within
a minute (``field.ocpp``).
"""
ROUNDING_W: Final = 1e-6
"""A cut of less than this is rounding."""

Cut = dict[str, Bound]


class _Ask(Struct, frozen=True, gc=False):
    """One outlet in one direction, all in W ≥ 0. ``wished_w`` is asked of the feeder.

    ``proven_w`` is the proven fallback in the wish, ``floor_w`` what no metered excess takes away, ``last_w``
    the last permit, ``raise_w`` what is wished on top of that. ``busy_w`` is what may flow where it listens,
    ``fixed_w`` where it does not; out of the latter it may have ``own_w``, and ``silent_w`` flows beside that
    where no message reaches it. ``start_w`` is counted on top of that once it is permitted more than its
    default: it rests, and would be seen by no meter. Below 0: what it gives back once it rests.
    ``metered`` false: it listens, and nothing tells its power.
    """

    listens: bool
    wished_w: float
    proven_w: float = 0.0
    floor_w: float = 0.0
    last_w: float = 0.0
    raise_w: float = 0.0
    busy_w: float = 0.0
    fixed_w: float = 0.0
    own_w: float = 0.0
    silent_w: float = 0.0
    start_w: float = 0.0
    metered: bool = True


_Asks = list[_Ask]
"""Of all outlets, in one direction: in all, or on one phase."""


class _Phase(NamedTuple):
    """What flows on one grid phase: of each outlet's power the share ``weights``, and no more than
    ``most_w``.
    """

    weights: tuple[float, ...]
    most_w: tuple[float, ...]

    def part_w(self, i: int, power_w: float) -> float:
        """What flows there of an outlet's power."""
        return min(power_w * self.weights[i], self.most_w[i])


class _Direction:
    """All that is asked in one direction; in all, and on each phase where a limit makes it necessary."""

    def __init__(
        self, c: Context, sign: float, wished_w: Sequence[float], exposures: Sequence[Exposure]
    ) -> None:
        self.sign, self.charging = sign, sign > 0.0
        self._c, self._asked = c, tuple(zip(c.outlets, wished_w, exposures, strict=True))
        self._most_w = [_most_w(o, sign * wish_w, e, sign) for o, wish_w, e in self._asked]
        self._sides: dict[tuple[int | None, bool], _Asks] = {}

    def on(self, limit: Limit) -> _Asks:
        """What is asked of what ``limit`` limits."""
        key = (limit.phase, limit.single)
        if key not in self._sides:
            phase = None if limit.phase is None else _phase_of(self._c, limit, limit.phase)
            self._sides[key] = self._side(phase)
        return self._sides[key]

    def most_w(self, limit: Limit, members: Sequence[int]) -> float:
        """No less than all that can add up there; found without asking each outlet for its part."""
        most_w = self._most_w
        if limit.phase is None:
            return sum([most_w[i] for i in members])
        weights = _phase_of(self._c, limit, limit.phase).weights
        return sum([most_w[i] * weights[i] for i in members])

    def _side(self, phase: _Phase | None) -> _Asks:
        return [
            _ask(o, i, self.sign * wish_w, e, self.sign, phase)
            for i, (o, wish_w, e) in enumerate(self._asked)
        ]


def fit(
    c: Context,
    tops_w: list[float],
    lows_w: list[float],
    exposures: list[Exposure],
    limits: tuple[Limits, ...],
    calm: frozenset[int] = frozenset(),
    beside_w: Sequence[Sequence[float]] = (),
) -> list[Cut]:
    """For each outlet, by rule, what cuts its wish most, from ``lows_w`` to ``tops_w`` (already within the
    ratings).

    Each limit cuts from the wishes themselves and the tightest over an outlet decides: the order does not
    matter. ``limits`` are those of each feeder, ``calm`` the feeders where nothing is raised, ``beside_w``
    what each of their limits was seen to carry beside the chargers, those of charging first (``baseload``).
    """
    cuts: list[Cut] = [{} for _ in tops_w]
    ways, trials = [_Direction(c, 1.0, tops_w, exposures)], _trials(c, lows_w)
    if min(lows_w) < 0.0:
        ways.append(_Direction(c, -1.0, lows_w, exposures))
    for place, members in enumerate(c.frame.tree.below):
        charging, export = limits[place]
        seen_w = beside_w[place] if beside_w and beside_w[place] else (0.0,) * (len(charging) + len(export))
        for way in ways if members else ():
            first = [i for i in trials if place in c.frame.tree.above[i] and way.charging]
            mine_w = seen_w[: len(charging)] if way.charging else seen_w[len(charging) :]
            for limit, base_w in zip(charging if way.charging else export, mine_w, strict=True):
                _cut(c, way, limit, members, first, cuts, calm=place in calm, beside_w=base_w)
    return cuts


def flowing_w(c: Context, limit: Limit, members: Sequence[int], sign: float) -> float:
    """What the outlets below a feeder are metered to make, one way, of what ``limit`` limits."""
    powers = [max(sign * c.outlets[i].power_w, 0.0) for i in members]
    if limit.phase is None:
        return sum(powers)
    part_w = _phase_of(c, limit, limit.phase).part_w
    return sum([part_w(i, power_w) for i, power_w in zip(members, powers, strict=True)])


def _phase_of(c: Context, limit: Limit, phase: int) -> _Phase:
    tree = c.frame.tree
    return _Phase(tree.single[phase] if limit.single else c.weights[phase], tree.phase_rated_w)


def _trials(c: Context, lows_w: list[float]) -> list[int]:
    """The outlets that wish to discharge and were never seen to, in turns: one that fails keeps no other
    waiting for ever.
    """
    new = {o.id: i for i, o in enumerate(c.outlets) if lows_w[i] < 0.0 and not o.state.proven_discharge}
    names, turn = sorted(new), int(c.snapshot.wall_s // TRIAL_S) % max(len(new), 1)
    return [new[name] for name in names[turn:] + names[:turn]]


def _ask(o: Outlet, i: int, wish_w: float, e: Exposure, sign: float, phase: _Phase | None) -> _Ask:
    """What outlet ``i`` asks, in all or on one phase."""
    mine_w, last_w = max(wish_w, 0.0), max(sign * o.memory.power_w + o.memory.droop_w, 0.0)
    now_w, own_w, least_w = (
        (e.charge_w, e.own_w, o.evse.fallback_w) if sign > 0.0 else (e.discharge_w, 0.0, 0.0)
    )
    if phase is not None:
        below = e.listens and last_w * phase.weights[i] < phase.most_w[i]
        room = FULL_ROOM if below else 1.0
        mine_w = min(mine_w * phase.weights[i], phase.most_w[i] * room)
        last_w, now_w = phase.part_w(i, last_w), phase.part_w(i, now_w)
        own_w, least_w = phase.part_w(i, own_w), phase.part_w(i, least_w)
    raise_w, proven_w = max(mine_w - last_w, 0.0), min(mine_w, least_w)
    if e.rests and sign > 0.0:
        # At its default it asks for nothing, beyond that for all that may then flow there.
        may_w = own_w if wish_w > o.evse.fallback_w else now_w
        own_w, start_w = min(mine_w, may_w), max(may_w - now_w, 0.0)
        ask = _Ask(False, 0.0, floor_w=now_w, last_w=last_w, fixed_w=now_w, own_w=own_w)
        return replace(ask, start_w=start_w, metered=False)
    if not e.listens or (e.own_w and sign > 0.0):
        # It asks for what goes beyond the power that is counted for it anyway: each watt once.
        beyond_w = max(mine_w - now_w, 0.0)
        own_w = min(mine_w, own_w)
        silent_w = now_w - own_w if e.follows and not e.listens else 0.0
        floor_w = min(now_w, least_w)
        back_w = min(least_w - now_w, 0.0) if sign > 0.0 and wish_w <= e.rest_w < e.charge_w else 0.0
        ask = _Ask(False, beyond_w, 0.0, floor_w, last_w, raise_w, 0.0, now_w, own_w, silent_w)
        return replace(ask, start_w=back_w, metered=not e.listens)
    if e.tries and sign > 0.0:
        return _Ask(True, mine_w, proven_w, proven_w, last_w, raise_w, fixed_w=now_w)
    return _Ask(True, mine_w, proven_w, proven_w, last_w, raise_w, max(now_w, last_w))


def _most_w(o: Outlet, wish_w: float, e: Exposure, sign: float) -> float:
    """All that can add up at an outlet in one direction: what may flow now, and what is wished beyond it."""
    mine_w, last_w = max(wish_w, 0.0), max(sign * o.memory.power_w + o.memory.droop_w, 0.0)
    now_w = e.charge_w if sign > 0.0 else e.discharge_w
    if e.tries and e.listens and sign > 0.0:
        return now_w + mine_w
    if e.rests and sign > 0.0:
        return e.own_w if mine_w > o.evse.fallback_w else now_w
    rise_w = max(mine_w - last_w, 0.0)
    if e.listens:
        return max(now_w, last_w) + rise_w
    return now_w + max(mine_w - now_w, rise_w)


def _cut(
    c: Context,
    way: _Direction,
    limit: Limit,
    members: tuple[int, ...],
    trials: list[int],
    cuts: list[Cut],
    *,
    calm: bool,
    beside_w: float,
) -> None:
    """Share a limit by wishes, proven fallbacks first; raise no permit into what others may still be
    using. ``beside_w``: what it was seen to carry beside the chargers.
    """
    cap_w, seen_w = max(limit.limit_w - limit.base_w, 0.0), limit.metered_w(c, way.sign, ANY_W)
    left_w = min(cap_w, max(limit.limit_w - beside_w, 0.0)) if beside_w > 0.0 else cap_w
    over_w = seen_w - limit.limit_w
    if not (trials or calm or over_w > 0.0) and way.most_w(limit, members) <= left_w:
        return
    side = _settled(way.on(limit), members)
    asks = [side[i] for i in members]
    # Metered over the limit: take the excess off what the chargers use. A silent meter counts as far over it.
    if over_w > 0.0:
        left_w = min(left_w, flowing_w(c, limit, members, way.sign) - over_w)
    if left_w < cap_w:
        cap_w = min(cap_w, max(left_w, sum([ask.floor_w for ask in asks])))
    free_w, wished_w = cap_w - sum([ask.fixed_w for ask in asks]), sum([ask.wished_w for ask in asks])
    raised_w, spare_w = sum([ask.raise_w for ask in asks]), free_w - sum([ask.busy_w for ask in asks])
    if calm:
        spare_w = min(spare_w, 0.0)
    own_w, proven_w = sum([ask.own_w for ask in asks]), sum([ask.proven_w for ask in asks])
    # One that begins waits for those that come to rest; what they do not give back the others leave it,
    # beyond their proven fallbacks.
    kept_w = max(min(sum([ask.start_w for ask in asks]), free_w - proven_w), 0.0)
    tried_w = _try(c, side, limit, trials, free_w - wished_w - kept_w, spare_w - raised_w - kept_w, cuts)
    left_w = min(_left(free_w, wished_w, kept_w), _left(spare_w, raised_w, kept_w)) - tried_w
    _start(c, side, limit, members, left_w, cuts)
    if free_w < 0.0 < own_w:
        share = _share(cap_w - sum([ask.silent_w for ask in asks]), own_w)
        for i in [i for i in members if side[i].own_w]:
            # More is counted for those that do not follow than the limit has: what they are permitted must
            # fit.
            _note(c, way, limit, i, side[i].own_w, side[i].own_w * share, cuts)
    free_w, spare_w = free_w - kept_w, spare_w - kept_w
    if wished_w <= free_w and raised_w <= spare_w:
        return
    proven = _share(free_w, proven_w)
    rest, raised = _share(free_w - proven_w, wished_w - proven_w), _share(spare_w, raised_w)
    for i, ask in zip(members, asks, strict=True):
        if ask.listens and ask.wished_w:
            mine_w = ask.proven_w * proven + (ask.wished_w - ask.proven_w) * rest
            _note(c, way, limit, i, ask.wished_w, min(mine_w, ask.last_w + ask.raise_w * raised), cuts)


def _note(
    c: Context, way: _Direction, limit: Limit, i: int, wish_w: float, fits_w: float, cuts: list[Cut]
) -> None:
    """Keep the tightest cut of an outlet."""
    if fits_w >= wish_w - ROUNDING_W:
        return
    if limit.phase is not None:
        phase = _phase_of(c, limit, limit.phase)
        if wish_w > phase.most_w[i]:  # with FULL_ROOM: what lacks that much stays below a full phase
            fits_w = min(fits_w, phase.most_w[i] - 1.0)
        fits_w /= phase.weights[i]
    rule = "feeder_import" if way.charging else "feeder_export"
    before = cuts[i].get(rule)
    if before is None or fits_w < min(-before.min_w, before.max_w):
        room_w = (-ANY_W, fits_w) if way.charging else (-fits_w, ANY_W)
        cuts[i][rule] = Bound(*room_w, rule, limit.words)


def _settled(side: _Asks, members: tuple[int, ...]) -> _Asks:
    """Where all that ask tell no power, none of them waits for room beside another: what they are permitted
    must fit, as if none had rested.
    """
    asks = [side[i] for i in members]
    alone = not any(a.wished_w or a.busy_w or a.fixed_w or a.own_w for a in asks if a.metered)
    if not (alone and any(ask.start_w > 0.0 for ask in asks)):
        return side
    return [replace(ask, fixed_w=ask.fixed_w + max(ask.start_w, 0.0), start_w=0.0) for ask in side]


def _start(
    c: Context, side: _Asks, limit: Limit, members: tuple[int, ...], left_w: float, cuts: list[Cut]
) -> None:
    """One that tells no power begins where its rating fits beside all that the others use and get. Else it
    waits at its default; what it waits for is kept from those behind it, so that no lost reading makes room.
    """
    for i in members:
        left_w -= max(side[i].start_w, 0.0)
        if side[i].start_w > 0.0 and left_w < -ROUNDING_W:
            why = f"its power is not metered, and no room for its rating beside the others: {limit.words}"
            cuts[i]["unmetered"] = Bound(-ANY_W, c.outlets[i].evse.fallback_w, "unmetered", why)


def _try(
    c: Context, side: _Asks, limit: Limit, trials: list[int], left_w: float, spare_w: float, cuts: list[Cut]
) -> float:
    """A station may take a negative limit, ignore it and charge at its rating: a first discharge needs
    room for that beside all that is wished and used. Whose turn comes later waits: no lost reading makes
    room for it. Gives the room that they take.
    """
    tried_w = 0.0
    for i in trials:
        most_w = c.outlets[i].evse.max_charge_w
        if limit.phase is not None:
            most_w = _phase_of(c, limit, limit.phase).part_w(i, most_w)
        rest_w = max(most_w - side[i].fixed_w, 0.0)
        tried_w += rest_w
        left_w, spare_w = left_w - rest_w, spare_w - max(rest_w - side[i].busy_w, 0.0)
        if most_w and min(left_w, spare_w) < 0.0:
            why = f"never seen to discharge, and no room for its rating beside the others: {limit.words}"
            cuts[i]["unproven_discharge"] = Bound(0.0, ANY_W, "unproven_discharge", why)
    return tried_w


def _left(free_w: float, asked_w: float, kept_w: float) -> float:
    """What is left when others had what they ask for, as far as it is not kept."""
    return free_w - min(asked_w, max(free_w - kept_w, 0.0))


def _share(available_w: float, wanted_w: float) -> float:
    return 1.0 if wanted_w <= max(available_w, 0.0) else max(available_w, 0.0) / wanted_w
