"""The supply tree: what fits every feeder, in both directions and on every phase, with the worst case for the
silent.

Charging is summed without crediting anybody's discharge, and export without crediting anybody's charging: so
no charger that stops, in either direction, can push a feeder over its limit. Shares are cut from
what was *wished*, not from what readings would leave of it: when a reading goes missing, the others get no
more in that tick.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from v2g_edge.envelope.facts import TURNS, Context, Outlet
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.orders import set_by
from v2g_edge.model.reading import Measured, fresh_or
from v2g_edge.model.site import Evse

LOWEST_V_PU: Final = 0.8
"""Current is power over the lowest voltage; below this the grid code ends the discharge, and unknown
counts as this.
"""

TRIAL_S: Final = 300.0
"""The outlet that tries first changes this often: a first discharge has proven itself, or given up, within
a minute (``field.ocpp``).
"""

Cut = dict[str, Bound]


class Exposure(Struct, frozen=True, gc=False):
    """What a charger may be doing whatever its setpoint is now: fixed where it does not follow, else until
    the effect is seen. One that ``tries`` had the order to discharge and was never seen to: it may charge
    at its rating instead, and that room is no other's. ``own_w``: what a fixed one may be permitted to
    charge with, because it is counted anyway. ``follows`` false: quarantined.
    """

    listens: bool
    charge_w: float
    discharge_w: float
    tries: bool = False
    own_w: float = 0.0
    follows: bool = True


Quarantine = Literal["", "disobedient", "priority"]


def exposure_of(context: Context, o: Outlet, *, quarantine: Quarantine = "") -> Exposure:
    """Worst case of one outlet: last permit and last measurement, whichever is more;
    unknown is the rating.

    Nothing plugged in draws nothing, whatever its charger was caught at: only what is metered there all the
    same counts.
    """
    memory, evse = o.memory, o.evse
    if not o.state.link.ever_seen and memory.lease_until_s == 0.0:
        return Exposure(False, evse.fallback_w, 0.0, own_w=evse.fallback_w)
    if o.vehicle is None and o.listens:
        return Exposure(
            True,
            min(max(memory.loose_w, 0.0), evse.max_charge_w),
            min(max(-memory.loose_w, 0.0), _most_out_w(evse)),
        )
    if quarantine:
        return _quarantined(context, o, quarantine)
    if (
        not o.listens
        and context.snapshot.now_s > memory.lease_until_s
        and evse.dead_man not in {"none", "contactor"}
    ):
        alone_w = (
            evse.fallback_w if o.state.default_held else evse.max_charge_w
        )  # a default that nothing shows is none
        return Exposure(False, alone_w, 0.0, own_w=evse.fallback_w)
    own_w = 0.0 if o.listens else evse.fallback_w
    tries = not o.state.proven_discharge and min(memory.least_w, o.state.command.power_w) < 0.0
    if not o.metered:
        return Exposure(o.listens, evse.max_charge_w, _most_out_w(evse), tries, own_w)
    charge_w = max(min(o.power_w, evse.max_charge_w), memory.most_w, own_w)
    discharge_w = max(min(-o.power_w, _most_out_w(evse)), -memory.least_w)
    return Exposure(o.listens, evse.max_charge_w if tries else charge_w, discharge_w, tries, own_w)


def _most_out_w(evse: Evse) -> float:
    return 0.0 if evse.discharge_by == "none" else evse.max_discharge_w


def _quarantined(context: Context, o: Outlet, quarantine: Quarantine) -> Exposure:
    """A charger that does as it likes counts at its rating; where two meters bound what it does, at the most
    that it has shown.

    Whatever is counted, it goes on charging out of it: with what it was last permitted, at least at the
    fallback, at least at its minimum. That is the supervised retry by which it proves itself. No reading of
    this tick moves it, so none that is lost can.
    """
    evse, memory = o.evse, o.memory
    if quarantine == "priority":
        return Exposure(False, evse.max_charge_w, _most_out_w(evse), own_w=evse.max_charge_w, follows=False)
    own_w = min(max(memory.most_w, evse.fallback_w, evse.min_charge_w), evse.max_charge_w)
    if not (o.listens and o.metered and _is_witnessed(context, o)):
        return Exposure(False, evse.max_charge_w, _most_out_w(evse), own_w=own_w, follows=False)
    charge_w = min(max(memory.shown_w, o.power_w, own_w), evse.max_charge_w)
    discharge_w = min(max(-o.power_w, -memory.least_w, 0.0), _most_out_w(evse))
    return Exposure(False, charge_w, discharge_w, own_w=own_w, follows=False)


def _is_witnessed(context: Context, o: Outlet) -> bool:
    """Whether a meter above the outlet is read, is whole, and agrees with what the chargers below it say."""
    place, frozen_reads = context.frame.ids.index(o.id), context.site.safety.frozen_reads
    return any(
        meter.sure
        and not meter.odd
        and not meter.beyond
        and meter.against < TURNS
        and meter.state.repeats < frozen_reads
        for meter, span in zip(context.meters, context.frame.spans, strict=True)
        if place in span.members
    )


class _Ask(NamedTuple):
    """One outlet in one direction, all in W ≥ 0. ``wished_w`` is asked of the feeder, ``most_w`` all that can
    add up there.

    ``proven_w`` is the proven fallback in the wish, ``floor_w`` what no metered excess takes away, ``last_w``
    the last permit, ``raise_w`` what is wished on top of that. ``busy_w`` is what may flow where it listens,
    ``fixed_w`` where it does not; out of the latter it may have ``own_w``, and ``silent_w`` flows beside that
    where no message reaches it.
    """

    listens: bool
    wished_w: float
    most_w: float
    proven_w: float = 0.0
    floor_w: float = 0.0
    last_w: float = 0.0
    raise_w: float = 0.0
    busy_w: float = 0.0
    fixed_w: float = 0.0
    own_w: float = 0.0
    silent_w: float = 0.0


class _Side(NamedTuple):
    """One direction: the fields of ``_Ask``, each by outlet."""

    sign: float
    charging: bool
    listens: tuple[bool, ...]
    wished_w: tuple[float, ...]
    most_w: tuple[float, ...]
    proven_w: tuple[float, ...]
    floor_w: tuple[float, ...]
    last_w: tuple[float, ...]
    raise_w: tuple[float, ...]
    busy_w: tuple[float, ...]
    fixed_w: tuple[float, ...]
    own_w: tuple[float, ...]
    silent_w: tuple[float, ...]


class _Limit(NamedTuple):
    """All outlets under it may use ``limit_w`` less base load and metered excess. ``weights`` None: each
    counts whole.
    """

    limit_w: float
    base_w: float
    metered: Measured | None
    weights: tuple[float, ...] | None
    source: str


def fit(
    c: Context,
    tops_w: list[float],
    lows_w: list[float],
    exposures: list[Exposure],
    bases_w: tuple[float, ...],
    calm: frozenset[int] = frozenset(),
) -> list[Cut]:
    """For each outlet, by rule, what cuts its wish most, from ``lows_w`` to ``tops_w`` (already within the
    ratings).

    Each limit cuts from the wishes themselves and the tightest over an outlet decides: the order does not
    matter. ``bases_w`` are the base loads to reckon with, ``calm`` the feeders where nothing is raised
    (``baseload``).
    """
    cuts: list[Cut] = [{} for _ in tops_w]
    sides, trials = [_side(c, tops_w, exposures, 1.0)], _trials(c, lows_w)
    if min(lows_w) < 0.0:
        sides.append(_side(c, lows_w, exposures, -1.0))
    for place, members in enumerate(c.frame.tree.below):
        for side in sides if members else ():
            first = [i for i in trials if place in c.frame.tree.above[i] and side.charging]
            for limit in _limits(c, place, bases_w[place], charging=side.charging):
                _cut(c, side, limit, members, first, cuts, calm=place in calm)
    return cuts


def over_limit(c: Context) -> frozenset[int]:
    """The feeders whose meter shows more than a limit, in all or on a phase, either way."""
    places, max_age_s = range(len(c.frame.tree.feeders)), c.site.safety.meter_max_age_s
    return frozenset(
        place
        for place in places
        for sign in (1.0, -1.0)
        for limit in _limits(c, place, 0.0, charging=sign > 0.0)
        if limit.metered is not None
        and sign * fresh_or(limit.metered, c.snapshot.now_s, max_age_s, 0.0) > limit.limit_w
    )


def _trials(c: Context, lows_w: list[float]) -> list[int]:
    """The outlets that wish to discharge and were never seen to, in turns: one that fails keeps no other
    waiting for ever.
    """
    new = {o.id: i for i, o in enumerate(c.outlets) if lows_w[i] < 0.0 and not o.state.proven_discharge}
    names, turn = sorted(new), int(c.snapshot.wall_s // TRIAL_S) % max(len(new), 1)
    return [new[name] for name in names[turn:] + names[:turn]]


def _side(c: Context, wished_w: list[float], exposures: list[Exposure], sign: float) -> _Side:
    asks = [
        _ask(o, sign * wish_w, e, sign) for o, wish_w, e in zip(c.outlets, wished_w, exposures, strict=True)
    ]
    return _Side(sign, sign > 0.0, *zip(*asks, strict=True))


def _ask(o: Outlet, wish_w: float, e: Exposure, sign: float) -> _Ask:
    mine_w, last_w = max(wish_w, 0.0), max(sign * o.memory.power_w + o.memory.droop_w, 0.0)
    raise_w = max(mine_w - last_w, 0.0)
    if sign < 0.0:
        now_w, own_w, proven_w = e.discharge_w, 0.0, 0.0
    else:
        now_w, own_w, proven_w = e.charge_w, e.own_w, min(mine_w, o.evse.fallback_w)
    if not e.listens:
        # It asks for what goes beyond the power that is counted for it anyway: each watt once.
        beyond_w = max(mine_w - now_w, 0.0)
        floor_w = min(now_w, o.evse.fallback_w) if sign > 0.0 else 0.0
        most_w = now_w + max(beyond_w, raise_w)
        own_w = min(mine_w, own_w)
        silent_w = now_w - own_w if e.follows else 0.0
        return _Ask(False, beyond_w, most_w, 0.0, floor_w, last_w, raise_w, 0.0, now_w, own_w, silent_w)
    if e.tries and sign > 0.0:
        return _Ask(True, mine_w, now_w + mine_w, proven_w, proven_w, last_w, raise_w, fixed_w=now_w)
    busy_w = max(now_w, last_w)
    return _Ask(True, mine_w, busy_w + raise_w, proven_w, proven_w, last_w, raise_w, busy_w)


def _limits(c: Context, place: int, base_w: float, *, charging: bool) -> list[_Limit]:
    """All limits of a feeder in one direction: its total, its phases, and what its single-phase chargers
    may unbalance.
    """
    feeder, current = c.frame.tree.feeders[place], c.frame.tree.feeders[place].current
    free = 1.0 - c.site.safety.feeder_margin_pct / 100.0
    state = c.snapshot.meters[c.site.meters.index(feeder.meter)] if feeder.meter else None
    side, limit_w = ("import", feeder.import_limit_w) if charging else ("export", feeder.export_limit_w)
    base_w = base_w if charging else -c.frame.tree.base_min_w[place]
    by = "" if feeder.parent else set_by(c.snapshot.operator.limits, side, limit_w, c.snapshot.wall_s)
    source = f"feeder {feeder.id}: {side} limit {limit_w:.0f} W{by}, base load {base_w:.0f} W"
    limits = [_Limit(limit_w * free, base_w, state.power_w if state else None, None, source)]
    if current is None:
        return limits
    volts = state.phase_voltage_v if state else c.grid_meter.phase_voltage_v if c.grid_meter else None
    for phase in range(3):
        v = _voltage(c, volts[phase]) if volts else c.site.grid.nominal_v
        limit_a = current.import_a if charging else current.export_a
        on_phase_w = max(base_w, 0.0) if current.base_load_a is None else current.base_load_a * v
        power = state.phase_power_w[phase] if state else None
        source = (
            f"feeder {feeder.id}: {limit_a:g} A {side} on L{phase + 1} at {v:.0f} V, base load"
            f" {on_phase_w:.0f} W"
        )
        limits.append(_Limit(limit_a * v * free, on_phase_w, power, c.frame.tree.weights[phase], source))
        if current.imbalance_a < ANY_W:
            # Charging on one phase and discharging on another add up: each direction may use half.
            source = (
                f"feeder {feeder.id}: imbalance of {current.imbalance_a:g} A, half for each direction, on"
                f" L{phase + 1}"
            )
            limits.append(
                _Limit(current.imbalance_a * v * free / 2.0, 0.0, None, c.frame.tree.single[phase], source)
            )
    return limits


def _voltage(c: Context, measured: Measured) -> float:
    """The voltage that turns A into W: nominal, or the measured one where that is lower; unknown counts as
    the lowest.
    """
    lowest_v, nominal_v = LOWEST_V_PU * c.site.grid.nominal_v, c.site.grid.nominal_v
    return max(
        min(fresh_or(measured, c.snapshot.now_s, c.site.safety.meter_max_age_s, lowest_v), nominal_v),
        lowest_v,
    )


def _cut(
    c: Context,
    side: _Side,
    limit: _Limit,
    members: tuple[int, ...],
    trials: list[int],
    cuts: list[Cut],
    *,
    calm: bool,
) -> None:
    """Share a limit by wishes, proven fallbacks first; raise no permit into what others may still be
    using.
    """
    w = limit.weights
    if w is not None:
        members = tuple(i for i in members if w[i])

    def total(powers: Sequence[float]) -> float:
        return sum([powers[i] for i in members]) if w is None else sum([powers[i] * w[i] for i in members])

    # Metered over the limit: take the excess off what the chargers use. A silent meter counts as far over it.
    cap_w, far_w, max_age_s = (
        max(limit.limit_w - limit.base_w, 0.0),
        side.sign * ANY_W,
        c.site.safety.meter_max_age_s,
    )
    seen_w = (
        0.0
        if limit.metered is None
        else side.sign * fresh_or(limit.metered, c.snapshot.now_s, max_age_s, far_w)
    )
    if seen_w > limit.limit_w:
        used_w = total([max(side.sign * o.power_w, 0.0) for o in c.outlets])
        cap_w = min(cap_w, max(used_w - (seen_w - limit.limit_w), total(side.floor_w)))
    if not trials and not calm and total(side.most_w) <= cap_w:
        return
    free_w, wished_w, proven_w = cap_w - total(side.fixed_w), total(side.wished_w), total(side.proven_w)
    raised_w, spare_w = total(side.raise_w), free_w - total(side.busy_w)
    if calm:
        spare_w = min(spare_w, 0.0)
    _try(c, side, limit, trials, free_w - wished_w, spare_w - raised_w, cuts)
    if free_w < 0.0 < total(side.own_w):
        _cut_own(side, limit, members, _share(cap_w - total(side.silent_w), total(side.own_w)), cuts)
    if wished_w <= free_w and raised_w <= spare_w:
        return
    proven = _share(free_w, proven_w)
    rest, raised = _share(free_w - proven_w, wished_w - proven_w), _share(spare_w, raised_w)
    for i in [i for i in members if side.listens[i] and side.wished_w[i]]:
        wish_w, base_w, last_w = side.wished_w[i], side.proven_w[i], side.last_w[i]
        fits_w = min(base_w * proven + (wish_w - base_w) * rest, last_w + side.raise_w[i] * raised)
        _note(side, limit, i, wish_w, fits_w, cuts)


def _cut_own(side: _Side, limit: _Limit, members: tuple[int, ...], share: float, cuts: list[Cut]) -> None:
    """More is counted for those that do not follow than the limit has: what they are permitted must fit
    all the same.
    """
    for i in [i for i in members if side.own_w[i]]:
        _note(side, limit, i, side.own_w[i], side.own_w[i] * share, cuts)


def _note(side: _Side, limit: _Limit, i: int, wish_w: float, fits_w: float, cuts: list[Cut]) -> None:
    """Keep the tightest cut of an outlet."""
    rule = "feeder_import" if side.charging else "feeder_export"
    before = cuts[i].get(rule)
    if fits_w < (min(-before.min_w, before.max_w) if before else wish_w):
        room_w = (-ANY_W, fits_w) if side.charging else (-fits_w, ANY_W)
        cuts[i][rule] = Bound(*room_w, rule, limit.source)


def _try(
    c: Context, side: _Side, limit: _Limit, trials: list[int], left_w: float, spare_w: float, cuts: list[Cut]
) -> None:
    """A station may take a negative limit, ignore it and charge at its rating: a first discharge needs
    room for that beside all that is wished and used. Whose turn comes later waits: no lost reading makes
    room for it.
    """
    for i in trials:
        share = 1.0 if limit.weights is None else limit.weights[i]
        rest_w = max(c.outlets[i].evse.max_charge_w - side.fixed_w[i], 0.0)
        left_w, spare_w = left_w - rest_w * share, spare_w - max(rest_w - side.busy_w[i], 0.0) * share
        if share and min(left_w, spare_w) < 0.0:
            why = f"never seen to discharge, and no room for its rating beside the others: {limit.source}"
            cuts[i]["unproven_discharge"] = Bound(0.0, ANY_W, "unproven_discharge", why)


def _share(available_w: float, wanted_w: float) -> float:
    return 1.0 if wanted_w <= max(available_w, 0.0) else max(available_w, 0.0) / wanted_w
