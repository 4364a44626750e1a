"""The day plan of a large depot by a primal-dual interior point that uses its structure: one chain a vehicle,
a tree of feeders.

Mehrotra's predictor-corrector with every variable boxed. The normal equations have one tridiagonal block a
vehicle (all factored as one), a T × T block a feeder that can bind, and one for the connection with its
peaks. It solves a relaxation: a feeder's limits hold for the net of its packs, and tapers, depths and
reserves are left out. An answer that keeps them anyway is the optimum of the whole problem; any other, and
one that does not converge, raises ``StalledError``: the caller takes HiGHS.
"""

from typing import Final

import numpy as np
from scipy.linalg import lapack

from v2g_edge.planner.blocks import Blocks, prices_of
from v2g_edge.planner.caution import holds
from v2g_edge.planner.problem import Floats, Problem, Solution, broken_limit

ROUNDS: Final = 60
"""It needs 10-20 for fifty vehicles and 45 for a thousand; one that takes more has stalled."""
GAP: Final = 1e-5
"""Relative gap: a tenth of the hundredth of a per cent that a plan may lose."""
NEAR: Final = 1e-6
"""Primal and dual infeasibility, relative to the largest of the figures: millionths of a battery."""
CRUMB_KW: Final = 1e-3


class StalledError(Exception):
    """No answer, or one that breaks what was left out."""


class _Factor:
    """The factored normal equations A Θ Aᵀ of one iteration."""

    def __init__(self, m: Blocks, theta: Floats) -> None:
        self.m = m
        c, d, e = (theta[part].reshape(m.n, m.t) for part in m.at[:3])
        self.flow = theta[m.at[3]].reshape(m.k, m.t)
        draw, feed, peak, slack = (theta[part] for part in m.at[4:])
        diagonal = e + m.charge**2 * c + m.into**2 * d
        diagonal[:, 1:] += e[:, :-1]
        off = -e
        off[:, -1] = 0.0
        self.d, self.e, info = lapack.dpttrf(diagonal.ravel(), off.ravel()[:-1])
        self._check(info)
        self.cross = m.charge * c + m.into * d
        blocks = self._blocks(c + d)
        self.upper = []
        for k, parent in enumerate(m.s.parent):
            self._diagonal(blocks[k], self.flow[k])
            self._diagonal(blocks[parent], self.flow[k])
            factor, info = lapack.dpotrf(blocks[k], lower=0)
            self._check(info)
            inverse, _ = lapack.dpotri(factor, lower=0)
            blocks[parent] -= inverse * np.outer(self.flow[k], self.flow[k])
            self.upper.append(factor)
        self._diagonal(blocks[m.k], draw + feed)
        by_window = m.s.share * draw
        same = m.s.peak_of[:, None] == m.s.peak_of
        corner = (
            by_window @ m.s.share.T + np.diag(slack) + same * peak[m.s.peak_of]
            if len(slack)
            else np.zeros((0, 0))
        )
        whole = np.block([[blocks[m.k], by_window.T], [np.zeros((len(slack), m.t)), corner]])
        self.last, info = lapack.dpotrf(whole, lower=0)
        self._check(info)

    @staticmethod
    def _check(info: int) -> None:
        if info:
            raise StalledError("a factor is not positive definite")

    @staticmethod
    def _diagonal(block: Floats, values: Floats) -> None:
        block[np.diag_indices(len(block))] += values

    def _blocks(self, own: Floats) -> Floats:
        """Each node's T × T block (upper half): Σ θ on its diagonal less Σ G Tri⁻¹ G of its packs, row by
        row from below.
        """
        m = self.m
        blocks = np.zeros((m.k + 1, m.t, m.t))
        lower = np.append(self.e, 0.0).reshape(m.n, m.t).T.copy()
        first = (1.0 / self.d).reshape(m.n, m.t).T.copy()
        cross = self.cross.T.copy()
        rows, inverse = np.empty((m.t, m.n)), np.zeros(m.n)
        for t in range(m.t - 1, -1, -1):
            rows[t + 1 :] *= -lower[t]
            inverse = first[t] + lower[t] ** 2 * inverse
            rows[t] = inverse * cross[t]
            for k, group in enumerate(m.s.groups):
                blocks[k, t, t:] -= rows[t:, group] @ cross[t, group]
        for k, group in enumerate(m.s.groups):
            self._diagonal(blocks[k], own[group].sum(axis=0))
        return blocks

    def solve(self, chain: Floats, nodes: Floats, windows: Floats) -> tuple[Floats, Floats, Floats]:
        """y with A Θ Aᵀ y = right-hand side."""
        m, nodes = self.m, nodes.copy()
        pushed = self.cross * self._chains(chain)
        for k, group in enumerate(m.s.groups):
            nodes[k] += pushed[group].sum(axis=0)
        for k, parent in enumerate(m.s.parent):
            nodes[parent] += self.flow[k] * self._cholesky(self.upper[k], nodes[k])
        both = self._cholesky(self.last, np.concatenate((nodes[m.k], windows)))
        nodes[m.k], windows = both[: m.t], both[m.t :]
        for k in range(m.k - 1, -1, -1):
            nodes[k] = self._cholesky(self.upper[k], nodes[k] + self.flow[k] * nodes[m.s.parent[k]])
        return self._chains(chain + self.cross * nodes[m.s.node]), nodes, windows

    def _chains(self, right: Floats) -> Floats:
        found, _ = lapack.dpttrs(self.d, self.e, right.reshape(-1, 1))
        return np.asarray(found).reshape(self.m.n, self.m.t)

    @staticmethod
    def _cholesky(upper: Floats, right: Floats) -> Floats:
        found, _ = lapack.dpotrs(upper, right, lower=0)
        return np.asarray(found).ravel()


def solve(problem: Problem) -> Solution:
    """The cheapest schedule of a settled problem. Raises ``StalledError``."""
    if (
        problem.reserves
        or problem.owed
        or not problem.connected
        or any(depth.pieces for pack in problem.packs for depth in pack.depths)
    ):
        raise StalledError("reserves and wear by depth are left out")
    with np.errstate(all="ignore"):  # what is no number is seen at the end of the round
        m = Blocks(problem)
        x, below, above, rounds = _iterate(m)
    charge, discharge = np.zeros((2, m.n, m.t))
    charge[m.s.order], discharge[m.s.order] = x[m.at[0]].reshape(m.n, m.t), x[m.at[1]].reshape(m.n, m.t)
    charge, discharge = (np.where(kw < CRUMB_KW, 0.0, kw) for kw in (charge, discharge))
    broken = broken_limit(problem, charge, discharge)
    if not broken and not holds(problem, charge, discharge):
        broken = "higher loads would make a higher peak"
    if broken:
        raise StalledError(broken)
    return Solution("interior", float(m.cost @ x), charge, discharge, prices_of(m, below, above), (), rounds)


def _iterate(m: Blocks) -> tuple[Floats, Floats, Floats, int]:
    size, open_ = 2.0 * np.count_nonzero(m.open), m.open
    x = np.where(open_, (m.low + m.high) / 2.0, m.low)
    scale = max(float(np.mean(np.abs(m.cost))), 1e-2)
    below, above = np.where(open_, scale, 0.0), np.where(open_, scale, 0.0)
    chain, nodes, windows = (np.zeros_like(part) for part in m.right)
    norm = 1.0 + max(float(np.max(np.abs(part), initial=0.0)) for part in m.right)
    for rounds in range(ROUNDS):
        under, over = np.where(open_, x - m.low, 1.0), np.where(open_, m.high - x, 1.0)
        primal = [b - a for b, a in zip(m.right, m.times(x), strict=True)]
        dual = np.where(open_, m.cost - m.transposed(chain, nodes, windows) - below + above, 0.0)
        mu = float(under @ below + over @ above) / size
        worst = max(float(np.max(np.abs(part), initial=0.0)) for part in primal) / norm
        if not np.isfinite(mu + worst):
            raise StalledError("a number is none")
        value = abs(float(m.cost @ x))
        if (
            worst < NEAR
            and mu * size < GAP * (1.0 + value)
            and float(np.max(np.abs(dual))) < 1e-4 * (1.0 + scale)
        ):
            return x, below, above, rounds
        theta = np.where(open_, 1.0 / (below / under + above / over), 0.0)
        factor = _Factor(m, theta)
        low, high = -below * under, -above * over
        for corrector in (False, True):
            g = dual - low / under + high / over
            moved = m.times(theta * g)
            dy = factor.solve(primal[0] + moved[0], primal[1] + moved[1], primal[2] + moved[2])
            dx = theta * (m.transposed(*dy) - g)
            dl, dh = (
                np.where(open_, (low - below * dx) / under, 0.0),
                np.where(open_, (high + above * dx) / over, 0.0),
            )
            to_x, to_z = min(_ratio(dx, under), _ratio(-dx, over)), min(_ratio(dl, below), _ratio(dh, above))
            if not corrector:
                gone = (under + to_x * dx) @ (below + to_z * dl) + (over - to_x * dx) @ (above + to_z * dh)
                target = mu * (max(float(gone), 0.0) / size / mu) ** 3
                low, high = target - below * under - dx * dl, target - above * over + dx * dh
        to_x, to_z = min(0.9995 * to_x, 1.0), min(0.9995 * to_z, 1.0)
        x, below, above = x + to_x * dx, below + to_z * dl, above + to_z * dh
        chain, nodes, windows = chain + to_z * dy[0], nodes + to_z * dy[1], windows + to_z * dy[2]
    raise StalledError(f"no optimum after {ROUNDS} rounds")


def _ratio(change: Floats, room: Floats) -> float:
    falling = change < 0.0
    return float(np.min(-room[falling] / change[falling], initial=2.0))
