"""The depot as the proof of the departures sees it: what every feeder leaves for its outlets, in all and
by its phases.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from v2g_edge.departure.certificate import Floats, Ints
from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Evse, SafetySettings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.model.tree import PHASES, phase_weights

PLAN_V_PU: Final = 0.9
"""Currents are reckoned at this voltage, the lower end of EN 50160 (10-minute means)."""


class Depot(NamedTuple):
    """What never changes: each feeder's parent (−1: root), its import limit for outlets with the base load
    at its greatest, what one of its phases leaves for them (ANY_W: no limit), which outlets hang below it,
    the feeder of each outlet, the share of its rating that an imbalance limit leaves it, and and
    what its plate and its cooling loop let it charge with for hours.
    """

    frame: Frame
    parent: Ints
    limit_w: Floats
    phase_w: Floats
    below: NDArray[np.bool_]
    feeder: Ints
    share: tuple[float, ...]
    lasting_w: tuple[float, ...]


def depot_of(frame: Frame) -> Depot:
    """Limits of the tree. An imbalance limit is shared alike by the single-phase outlets of a phase."""
    site, tree = frame.site, frame.tree
    free, volts = 1.0 - site.safety.feeder_margin_pct / 100.0, PLAN_V_PU * site.grid.nominal_v
    place = {feeder.id: row for row, feeder in enumerate(tree.feeders)}
    phase_w, share = np.full(len(place), ANY_W), np.ones(len(site.evses))
    below = np.zeros((len(place), len(site.evses)), dtype=np.bool_)
    for row, feeder in enumerate(tree.feeders):
        below[row, list(tree.below[row])] = True
        if feeder.current is None:
            continue
        base_w = (
            max(tree.base_max_w[row], 0.0)
            if feeder.current.base_load_a is None
            else feeder.current.base_load_a * volts
        )
        phase_w[row] = max(feeder.current.import_a * volts * free - base_w, 0.0)
        for phase in range(3):
            single = [i for i in tree.below[row] if PHASES[site.evses[i].phases] == (phase,)]
            single_w = sum(site.evses[i].max_charge_w for i in single)
            if single_w > 0.0:
                share[single] = np.minimum(
                    share[single],
                    feeder.current.imbalance_a * volts * free * tree.imbalance[row] / single_w,
                )
    return Depot(
        frame,
        np.array([place.get(feeder.parent, -1) for feeder in tree.feeders], dtype=np.int64),
        np.array(
            [
                f.import_limit_w * free - base_w
                for f, base_w in zip(tree.feeders, tree.base_max_w, strict=True)
            ]
        ),
        phase_w,
        below,
        np.array([above[0] for above in tree.above], dtype=np.int64),
        tuple(share.tolist()),
        tuple([_lasting_w(evse, site.safety) for evse in site.evses]),
    )


def _lasting_w(evse: Evse, safety: SafetySettings) -> float:
    share = safety.sustained_pct / 100.0 if evse.cooling_loop else 1.0
    return max(evse.max_charge_w * share, evse.fallback_w)


def phase_limits(depot: Depot, snapshot: Snapshot) -> tuple[float, ...]:
    """What the phases of each feeder leave for all outlets below it together, whichever of them draw it;
    ANY_W where no phase can be exceeded.

    The worst case: what flows in all flows first at those outlets that load a phase most, as the envelope
    counts them there (``tree.phase_weights``), each up to the rating of one phase.
    """
    if not (depot.phase_w < ANY_W).any():
        return (ANY_W,) * len(depot.phase_w)
    tree = depot.frame.tree
    weights = phase_weights(tree, depot.frame.site.evses, snapshot.evses)
    rated_w, most_w = np.array(tree.phase_rated_w), np.full(len(depot.phase_w), ANY_W)
    for share in map(np.array, weights):
        left_w = depot.phase_w.copy()
        fits = (depot.below @ (rated_w * (share > 0.0))) <= left_w
        total_w = np.zeros(len(left_w))
        for level in sorted(set(share[share > 0.0].tolist()), reverse=True):
            used_w = np.minimum(depot.below @ (rated_w * (share == level)), left_w)
            left_w, total_w = left_w - used_w, total_w + used_w / level
        most_w = np.minimum(most_w, np.where(fits, ANY_W, total_w))
    return tuple(most_w.tolist())
