"""The day plan in blocks, as the interior point takes it: one chain of energies a vehicle, a tree of feeders,
the connection with its peaks.

All variables stand in one flat vector, in eight parts: charging, discharging and energy of each vehicle by
slot, flows of the feeders that can bind, import, export, peaks, and what each metering window leaves of its
peak.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from v2g_edge.planner.problem import Floats, Problem, open_bounds, path_of

WIDEN_KWH: Final = 20.0
"""Energies of slots in which a pack cannot move follow from the slot before: their bounds must not bind."""
LEAST_BOX: Final = 1e-3
"""The interior of a variable that is all but fixed, in kWh or kW."""
LEAST_PRICE: Final = 1e-3
"""Shadow prices below a tenth of a cent are rounding."""


@dataclass(slots=True)
class Shape:
    """``node`` of each pack (K: the connection), packs sorted by it; ``groups``: their slices; ``parent``
    of each node.
    """

    order: list[int]
    groups: list[slice]
    node: Any
    parent: list[int]
    feeders: list[int]
    eta: Floats
    hours: Floats
    share: Floats
    peak_of: Any


class Blocks:
    """Costs, bounds and right-hand sides, and the products with the constraint matrix, on flat vectors of
    all variables.
    """

    def __init__(self, p: Problem) -> None:
        self.p, self.s = p, _shape(p)
        n, t, k = len(p.packs), len(p), len(self.s.feeders)
        w, m = len(self.s.share), len(p.peaks)
        self.n, self.t, self.k = n, t, k
        sizes = (n * t, n * t, n * t, k * t, t, t, m, w)
        self.at = [
            slice(a, b)
            for a, b in zip(np.cumsum((0, *sizes)).tolist(), np.cumsum(sizes).tolist(), strict=False)
        ]
        self.charge, self.into = self.s.eta * self.s.hours, self.s.hours / self.s.eta
        self.cost, self.low, self.high = self._bounds(int(sum(sizes)))
        self.open = self.high > self.low
        self.right = self._right()

    def _bounds(self, size: int) -> tuple[Floats, Floats, Floats]:
        p, t = self.p, self.t
        cost, low, high = np.zeros(size), np.zeros(size), np.zeros(size)
        packs = [p.packs[i] for i in self.s.order]
        c, d, e, f, draw, feed, peak, slack = self.at
        high[c] = np.concatenate([pack.charge_kw for pack in packs])
        high[d] = np.concatenate([pack.discharge_kw for pack in packs])
        cost[c] = np.concatenate(
            [np.zeros(t) if pack.bonus is None else -pack.bonus * p.hours for pack in packs]
        )
        cost[d] = np.concatenate([pack.wear * p.hours for pack in packs])
        ends, floors, ceilings = np.zeros((3, self.n, t))
        for row, pack in enumerate(packs):
            slots = np.flatnonzero((pack.charge_kw > 0.0) | (pack.discharge_kw > 0.0))
            left = pack.start_kwh - np.cumsum(pack.drain_kwh)
            floors[row], ceilings[row] = (
                np.min(left) - WIDEN_KWH,
                max(pack.full_kwh, pack.start_kwh) + WIDEN_KWH,
            )
            if len(slots):
                floors[row, slots], ceilings[row, slots] = open_bounds(pack, slots)
                ends[row, slots[-1]] = -pack.end_value
        low[e], high[e], cost[e] = (
            floors.ravel(),
            np.maximum(ceilings, floors + LEAST_BOX).ravel(),
            ends.ravel(),
        )
        low[f], high[f] = -p.export_cap_kw[self.s.feeders].ravel(), p.charge_cap_kw[self.s.feeders].ravel()
        cost[draw], high[draw] = p.buy * p.hours, np.maximum(p.import_kw, LEAST_BOX)
        cost[feed], high[feed] = -p.sell * p.hours, np.maximum(p.export_kw, LEAST_BOX)
        most = float(np.max(high[draw], initial=1.0))
        cost[peak] = [each.rate for each in p.peaks]
        low[peak] = [max(each.billed_kw, 0.0) for each in p.peaks]
        high[peak], high[slack] = low[peak] + 2.0 * most, 4.0 * most + float(np.max(low[peak], initial=0.0))
        return cost, low, high

    def _right(self) -> tuple[Floats, Floats, Floats]:
        packs = [self.p.packs[i] for i in self.s.order]
        chain = -np.array([pack.drain_kwh for pack in packs]).reshape(self.n, self.t)
        chain[:, 0] += [pack.start_kwh for pack in packs]
        nodes = np.zeros((self.k + 1, self.t))
        nodes[self.k] = -self.p.base_kw
        return chain, nodes, np.array([fixed for peak in self.p.peaks for fixed in peak.fixed_kw])

    def times(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """A x, by chains, nodes and peak windows."""
        c, d, e = (x[part].reshape(self.n, self.t) for part in self.at[:3])
        f = x[self.at[3]].reshape(self.k, self.t)
        draw, feed, peak, slack = (x[part] for part in self.at[4:])
        chain = e - self.charge * c + self.into * d
        chain[:, 1:] -= e[:, :-1]
        nodes = np.zeros((self.k + 1, self.t))
        for k, group in enumerate(self.s.groups):
            nodes[k] = (c[group] - d[group]).sum(axis=0)
        for k in range(self.k):
            nodes[self.s.parent[k]] += f[k]
            nodes[k] -= f[k]
        nodes[self.k] += feed - draw
        return chain, nodes, peak[self.s.peak_of] - self.s.share @ draw - slack

    def transposed(self, chain: Floats, nodes: Floats, windows: Floats) -> Floats:
        """Aᵀ y."""
        out = np.empty(len(self.cost))
        mine = nodes[self.s.node]
        out[self.at[0]] = (mine - self.charge * chain).ravel()
        out[self.at[1]] = (self.into * chain - mine).ravel()
        e = chain.copy()
        e[:, :-1] -= chain[:, 1:]
        out[self.at[2]] = e.ravel()
        if self.k:
            out[self.at[3]] = (nodes[self.s.parent] - nodes[: self.k]).ravel()
        out[self.at[4]] = -nodes[self.k] - self.s.share.T @ windows
        out[self.at[5]] = nodes[self.k]
        out[self.at[6]] = np.bincount(self.s.peak_of, windows, minlength=len(self.p.peaks))
        out[self.at[7]] = -windows
        return out


def _shape(p: Problem) -> Shape:
    """Feeders whose limits nothing below could reach are left out: each costs a T × T factor an iteration."""
    binding = []
    for place in range(len(p.feeders)):
        below = [pack for pack in p.packs if place in path_of(p.parent, pack.feeder)]
        asked_in = np.sum([pack.charge_kw for pack in below], axis=0) if below else 0.0
        asked_out = np.sum([pack.discharge_kw for pack in below], axis=0) if below else 0.0
        if np.any(asked_in > p.charge_cap_kw[place]) or np.any(asked_out > p.export_cap_kw[place]):
            binding.append(place)
    binding.sort(key=lambda place: -len(path_of(p.parent, place)))
    rank = {place: k for k, place in enumerate(binding)}

    def above(path: tuple[int, ...]) -> int:
        return next((rank[place] for place in path if place in rank), len(binding))

    node = [above(path_of(p.parent, pack.feeder)) for pack in p.packs]
    order = sorted(range(len(p.packs)), key=lambda i: node[i])
    ranks = np.array([node[i] for i in order], dtype=np.int64)
    edges = np.searchsorted(ranks, np.arange(len(binding) + 2)).tolist()
    windows = [(m, window) for m, peak in enumerate(p.peaks) for window in peak.windows]
    share = np.zeros((len(windows), len(p)))
    for row, (_, window) in enumerate(windows):
        for slot, part in window:
            share[row, slot] += part
    return Shape(
        order=order,
        groups=[slice(a, b) for a, b in pairwise(edges)],
        node=ranks,
        parent=[above(path_of(p.parent, place)[1:]) for place in binding],
        feeders=binding,
        eta=np.array([p.packs[i].efficiency for i in order]).reshape(-1, 1),
        hours=p.hours,
        share=share,
        peak_of=np.array([m for m, _ in windows], dtype=np.int64),
    )


def prices_of(m: Blocks, below: Floats, above: Floats) -> tuple[tuple[str, str, int, float], ...]:
    """Shadow prices of what binds, out of what the bounds below and above press (``problem.Solution``)."""
    p = m.p
    found: list[tuple[str, str, int, float]] = []
    flows = above[m.at[3]].reshape(m.k, m.t), below[m.at[3]].reshape(m.k, m.t)
    for kind, table in zip(("feeder import", "feeder export"), flows, strict=True):
        found += [
            (kind, p.feeders[f], t, float(table[k, t])) for k, f in enumerate(m.s.feeders) for t in range(m.t)
        ]
    for kind, part in (("site import", m.at[4]), ("site export", m.at[5])):
        found += [(kind, "site", t, float(worth)) for t, worth in enumerate(above[part])]
    energy = below[m.at[2]].reshape(m.n, m.t)
    for row, place in enumerate(m.s.order):
        pack = p.packs[place]
        if pack.deadline >= 0:
            found.append(("departure", pack.name, pack.deadline, float(energy[row, pack.deadline])))
    return tuple(each for each in found if each[3] >= LEAST_PRICE)
