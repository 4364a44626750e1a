"""Too little for all: who must leave soonest is served first, the rest share evenly, nobody gets less than a charger can do."""

from v2g_edge.model.site import Feeder, Site
from v2g_edge.model.wish import Wish


def charge_limit(site: Site, feeder: Feeder) -> float:
    """What a feeder leaves for all chargers below it, in W: its limit less margin and base load (as the envelope does)."""
    margin = 1.0 - site.safety.feeder_margin_pct / 100.0
    return max(feeder.import_limit_w * margin - feeder.base_load_max_w, 0.0)


def export_limit(site: Site, feeder: Feeder) -> float:
    """What all chargers below a feeder may export together, in W (magnitude)."""
    margin = 1.0 - site.safety.feeder_margin_pct / 100.0
    return max(feeder.export_limit_w * margin + feeder.base_load_min_w, 0.0)


def share_power(site: Site, asked: dict[str, Wish]) -> dict[str, Wish]:
    """The same wishes, cut so that no feeder is asked for more than it has.

    The urgent (urgency ≥ 1) take what they need in the order of their urgency. The others share what is left evenly: each round
    everybody may take the same further amount until they have what they asked for or a feeder above them is full.
    """
    left_w = {feeder.id: charge_limit(site, feeder) for feeder in site.feeders}
    out_w = {feeder.id: export_limit(site, feeder) for feeder in site.feeders}
    above = _above(site)
    given = dict.fromkeys(asked, 0.0)
    floor_w = {evse.id: evse.min_charge_w for evse in site.evses}
    charging = [wish for wish in asked.values() if wish.power_w > 0.0]
    for wish in sorted((w for w in charging if w.urgency >= 1.0), key=lambda w: (-w.urgency, w.evse)):
        given[wish.evse] = _take(wish.power_w, floor_w[wish.evse], above[wish.evse], left_w)
    _share_evenly({w.evse: w.power_w for w in charging if w.urgency < 1.0}, above, left_w, given)
    _drop_below_floor([w for w in charging if w.urgency < 1.0], floor_w, above, left_w, given)
    exports = {w.evse: -w.power_w for w in asked.values() if w.power_w < 0.0}
    outs = dict.fromkeys(exports, 0.0)
    _share_evenly(exports, above, out_w, outs)
    given.update({evse: -power_w for evse, power_w in outs.items()})
    return {evse: Wish(evse, given[evse], wish.urgency, wish.reason) for evse, wish in asked.items()}


def _above(site: Site) -> dict[str, tuple[str, ...]]:
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    result = {}
    for evse in site.evses:
        node, path = evse.feeder, []
        while node:
            path.append(node)
            node = parent[node]
        result[evse.id] = tuple(path)
    return result


def _take(wanted_w: float, floor_w: float, path: tuple[str, ...], left_w: dict[str, float]) -> float:
    power_w = min(wanted_w, *(left_w[node] for node in path))
    if power_w < floor_w:
        return 0.0
    for node in path:
        left_w[node] -= power_w
    return power_w


def _share_evenly(
    wanted_w: dict[str, float], above: dict[str, tuple[str, ...]], left_w: dict[str, float], given: dict[str, float]
) -> None:
    """Max-min fair filling. Each round ends a wish or fills a feeder, so there are at most that many rounds."""
    hungry = dict(wanted_w)
    while hungry:
        counts: dict[str, int] = {}
        for evse in hungry:
            for node in above[evse]:
                counts[node] = counts.get(node, 0) + 1
        step_w = min(*hungry.values(), *(left_w[node] / count for node, count in counts.items()))
        for evse in hungry:
            given[evse] += step_w
            hungry[evse] -= step_w
            for node in above[evse]:
                left_w[node] -= step_w
        full = {node for node in counts if left_w[node] <= 1e-6}
        hungry = {e: w for e, w in hungry.items() if w > 1e-6 and not full.intersection(above[e])}


def _drop_below_floor(
    wishes: list[Wish],
    floor_w: dict[str, float],
    above: dict[str, tuple[str, ...]],
    left_w: dict[str, float],
    given: dict[str, float],
) -> None:
    """A share below the charger's minimum helps nobody: give it back, least urgent first, and let the others have it."""
    for wish in sorted(wishes, key=lambda w: (w.urgency, w.evse)):
        if 0.0 < given[wish.evse] < floor_w[wish.evse]:
            for node in above[wish.evse]:
                left_w[node] += given[wish.evse]
            given[wish.evse] = 0.0
            rest = {w.evse: w.power_w - given[w.evse] for w in wishes if 0.0 < given[w.evse] < w.power_w}
            _share_evenly(rest, above, left_w, given)
