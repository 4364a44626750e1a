"""The supply tree: what fits every feeder, in both directions, with the worst case for those who do not answer.

Charging is summed without crediting anybody's discharge, and export without crediting anybody's charging: so no charger that
stops, in either direction, can push a feeder over its limit (design 4.2). Shares are cut from what was *wished*, not from what
readings would leave of it: when a reading goes missing, the others get no more in that tick (design 4.10).
"""

from typing import NamedTuple

from v2g_edge.envelope.checks import Context, Outlet
from v2g_edge.model.limits import Bound
from v2g_edge.model.reading import Reading, fresh_or
from v2g_edge.model.site import Feeder, Site


class Tree(NamedTuple):
    """Static shape: feeders leaves first, and for each the indices of the outlets below it."""

    order: tuple[Feeder, ...]
    below: tuple[tuple[int, ...], ...]


def tree_of(site: Site) -> Tree:
    """Shape of the site's tree; ``config`` has proven that it is one."""
    parent = {feeder.id: feeder.parent for feeder in site.feeders}

    def path(feeder_id: str) -> list[str]:
        steps = [feeder_id]
        while parent.get(steps[-1]):
            steps.append(parent[steps[-1]])
        return steps

    paths = [path(evse.feeder) for evse in site.evses]
    order = tuple(sorted(site.feeders, key=lambda feeder: (-len(path(feeder.id)), feeder.id)))
    below = tuple(tuple(i for i, steps in enumerate(paths) if feeder.id in steps) for feeder in order)
    return Tree(order, below)


class Exposure(NamedTuple):
    """What a charger may be doing whatever we tell it now: fixed where it does not listen, else until the effect is seen."""

    listens: bool
    charge_w: float
    discharge_w: float


def exposure_of(context: Context, o: Outlet, *, quarantined: bool) -> Exposure:
    """Worst case of one outlet (design 4.3, 4.4): last permit and last measurement, whichever is more; unknown is the rating."""
    state, memory, evse = o.state, o.memory, o.evse
    now_s = context.snapshot.now_s
    if not state.link.ever_seen and memory.lease_until_s == 0.0:
        return Exposure(False, evse.fallback_w, 0.0)
    if quarantined:
        return Exposure(False, evse.max_charge_w, evse.max_discharge_w if memory.least_w < 0.0 else 0.0)
    listens = state.link.connected and 0.0 <= now_s - state.link.last_seen_s <= context.site.safety.charger_max_age_s
    if not listens and now_s > memory.lease_until_s and evse.dead_man != "none":
        return Exposure(False, evse.fallback_w, 0.0)
    if o.vehicle is None and listens:
        return Exposure(True, 0.0, 0.0)
    if isinstance(state.power_w, Reading):
        power_w = state.power_w.value
        charge_w, discharge_w = max(power_w, memory.most_w), max(-power_w, -memory.least_w)
    else:
        charge_w, discharge_w = evse.max_charge_w, (evse.max_discharge_w if memory.least_w < 0.0 else 0.0)
    return Exposure(listens, charge_w if listens else max(charge_w, evse.fallback_w), discharge_w)


class Fitted(NamedTuple):
    """Powers that fit the tree, and for each outlet the feeder bound that cut it, if one did."""

    power_w: list[float]
    cut_by: list[Bound | None]


class _Cap(NamedTuple):
    limit_w: float
    source: str


class _Side(NamedTuple):
    """One direction seen as positive numbers: what is wished, what was permitted last, what may be flowing now."""

    rule: str
    sign: float
    wished_w: list[float]
    last_w: list[float]
    now_w: list[float]


def fit(context: Context, tree: Tree, wished_w: list[float], exposures: list[Exposure]) -> Fitted:
    """Cut ``wished_w`` (already within the ratings) until every feeder holds in both directions.

    Each feeder cuts from the wishes themselves and the tightest feeder above an outlet decides: the order does not matter.
    """
    last_w = [outlet.memory.power_w for outlet in context.outlets]
    charge = _Side(
        "feeder_import", 1.0, [max(w, 0.0) for w in wished_w], [max(w, 0.0) for w in last_w], [e.charge_w for e in exposures]
    )
    discharge = _Side(
        "feeder_export",
        -1.0,
        [max(-w, 0.0) for w in wished_w],
        [max(-w, 0.0) for w in last_w],
        [e.discharge_w for e in exposures],
    )
    fitted = Fitted(list(wished_w), [None] * len(wished_w))
    for feeder, members in zip(tree.order, tree.below, strict=True):
        if members:
            _cut(charge, _import_cap(context, feeder, members), members, exposures, fitted)
            _cut(discharge, _export_cap(context, feeder, members), members, exposures, fitted)
    return fitted


def _import_cap(c: Context, feeder: Feeder, members: tuple[int, ...]) -> _Cap:
    limit_w = feeder.import_limit_w * (1.0 - c.site.safety.feeder_margin_pct / 100.0)
    source = f"feeder {feeder.id}: import limit {feeder.import_limit_w:.0f} W, base load up to {feeder.base_load_max_w:.0f} W"
    cap = _Cap(max(limit_w - feeder.base_load_max_w, 0.0), source)
    over_w = _metered(c, feeder, limit_w) - limit_w
    if over_w > 0.0:
        measured_w = sum(max(_measured(c, i), 0.0) for i in members)
        proven_w = sum(c.outlets[i].evse.fallback_w for i in members)
        trimmed_w = max(measured_w - over_w, proven_w)
        if trimmed_w < cap.limit_w:
            return _Cap(trimmed_w, f"feeder {feeder.id} is metered {over_w:.0f} W over its import limit")
    return cap


def _export_cap(c: Context, feeder: Feeder, members: tuple[int, ...]) -> _Cap:
    limit_w = feeder.export_limit_w * (1.0 - c.site.safety.feeder_margin_pct / 100.0)
    source = f"feeder {feeder.id}: export limit {feeder.export_limit_w:.0f} W, base load at least {feeder.base_load_min_w:.0f} W"
    cap = _Cap(max(limit_w + feeder.base_load_min_w, 0.0), source)
    over_w = -_metered(c, feeder, -limit_w) - limit_w
    if over_w > 0.0:
        measured_w = sum(max(-_measured(c, i), 0.0) for i in members)
        trimmed_w = max(measured_w - over_w, 0.0)
        if trimmed_w < cap.limit_w:
            return _Cap(trimmed_w, f"feeder {feeder.id} is metered {over_w:.0f} W over its export limit")
    return cap


def _metered(c: Context, feeder: Feeder, silent_w: float) -> float:
    """Metered power at the feeder; without a meter or a fresh sample, as if exactly at the limit (its own row binds then)."""
    if not feeder.meter:
        return silent_w
    meter = c.snapshot.meters[c.site.meters.index(feeder.meter)]
    return fresh_or(meter.power_w, c.snapshot.now_s, c.site.safety.meter_max_age_s, silent_w)


def _measured(c: Context, index: int) -> float:
    power = c.outlets[index].state.power_w
    return power.value if isinstance(power, Reading) else 0.0


def _cut(side: _Side, cap: _Cap, members: tuple[int, ...], exposures: list[Exposure], fitted: Fitted) -> None:
    """Share the cap by wishes; raise no permit into what others may still be using (their effect is not seen yet)."""
    fixed_w = busy_w = wanted_w = raise_w = 0.0
    for i in members:
        wished_w, last_w = side.wished_w[i], side.last_w[i]
        if exposures[i].listens:
            busy_w += max(side.now_w[i], last_w)
        else:
            fixed_w += side.now_w[i]
        wanted_w += wished_w
        if wished_w > last_w:
            raise_w += wished_w - last_w
    free_w = cap.limit_w - fixed_w
    if wanted_w <= free_w and raise_w <= free_w - busy_w:
        return
    share, raise_share = _share(free_w, wanted_w), _share(free_w - busy_w, raise_w)
    for i in members:
        wished_w, last_w = side.wished_w[i], side.last_w[i]
        fits_w = min(wished_w * share, last_w + max(wished_w - last_w, 0.0) * raise_share)
        if fits_w < side.sign * fitted.power_w[i]:
            fitted.power_w[i] = side.sign * fits_w
            low_w, high_w = (0.0, fits_w) if side.sign > 0.0 else (-fits_w, 0.0)
            fitted.cut_by[i] = Bound(low_w, high_w, side.rule, cap.source)


def _share(available_w: float, wanted_w: float) -> float:
    return 1.0 if wanted_w <= max(available_w, 0.0) else max(available_w, 0.0) / wanted_w
