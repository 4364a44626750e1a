"""Can every job still be served? Exact, by one integer maximum flow over (job, slot) and (feeder, slot).

A job wants energy within a window of slots, never faster than its rate; every feeder passes at most its limit
in every slot. Within a slot, and over neighbouring slots with the same limits, a mean power can be held, so
energies per slot decide. Energies are counted in units of 1/16 Wh or more (int32 is what the flow takes):
needs are rounded up and limits down, so a yes holds for the unrounded numbers too, and the answer is exact
for the rounded ones.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

FINEST_WH: Final = 1.0 / 16.0
MOST_UNITS: Final = 2**30
"""Half of what int32 holds: the whole flow stays below it, whatever the depot's size."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Problem(NamedTuple):
    """J jobs, N feeders, T slots. A need above what rate and window can give is cut to that: full power all
    the time.

    ``need_wh``, ``rate_w``, ``feeder``, ``first``, ``end`` (slots ``first`` ≤ t < ``end``): shape (J,).
    ``parent``: (N,), −1 at the root, children before their parents. ``limit_w``: (N, T), below 0 counts as 0.
    ``slot_h``: (T,) hours.
    """

    need_wh: Floats
    rate_w: Floats
    feeder: Ints
    first: Ints
    end: Ints
    parent: Ints
    limit_w: Floats
    slot_h: Floats


class Answer(NamedTuple):
    """``short_wh`` (J,): what a largest possible schedule leaves undone, all 0 when feasible. ``feeder``,
    ``slot``: where the narrowest cut passes the most energy, −1 when feasible. ``touched`` (J,): the jobs
    that share a full feeder, or one above it, with a short one; what the others do changes nothing for
    those that are short. Empty when feasible.
    """

    short_wh: Floats
    feeder: int = -1
    slot: int = -1
    touched: tuple[bool, ...] = ()


class _Counted(NamedTuple):
    """The problem in whole units, with slots merged where nothing changes (K ≤ T; merged slot k begins at
    slot ``cuts[k]``).
    """

    need: Ints
    rate: Ints
    limit: Ints
    cuts: Ints
    unit_wh: float


def solve(problem: Problem) -> Answer:
    """Serve as much as possible. Deterministic: the same numbers in the same order give the same
    shortfalls.
    """
    if not len(problem.need_wh):
        return Answer(np.zeros(0))
    counted = _count(problem)
    top, above, tight = _narrow(problem, counted)
    held = np.flatnonzero((top >= 0) & (counted.need > 0))
    short_wh = np.zeros(len(problem.need_wh))
    if not len(held):
        return Answer(short_wh)
    limit = counted.limit[tight][
        :, ::-1
    ]  # the last slot first: that is where departures leave least choice; 3 × faster
    graph = _graph(counted, held, top[held], above, limit)
    flow = maximum_flow(graph, 0, graph.shape[0] - 1).flow
    short_wh[held] = (
        counted.need[held] - flow.data[: len(held)]
    ) * counted.unit_wh  # row 0, the source's, comes first
    if not short_wh.any():
        return Answer(short_wh)
    row, slot = _cut(graph, flow, len(held), limit)
    return Answer(short_wh, int(tight[row]), int(counted.cuts[::-1][slot]), _touched(top, above, short_wh))


def _touched(top: Ints, above: Ints, short_wh: Floats) -> tuple[bool, ...]:
    """Which jobs hang under the same uppermost full feeder as a short one."""
    root = np.arange(len(above))
    for row in range(len(above) - 1, -1, -1):  # parents come last
        if above[row] >= 0:
            root[row] = root[above[row]]
    mine = np.where(top >= 0, root[top], -1)
    return tuple(np.isin(mine, mine[(short_wh > 0.0) & (top >= 0)]).tolist())


def _count(p: Problem) -> _Counted:
    changed = np.flatnonzero((p.limit_w[:, 1:] != p.limit_w[:, :-1]).any(axis=0)) + 1
    cuts = np.unique(np.concatenate(([0], changed, p.first, p.end)))
    cuts = cuts[cuts < len(p.slot_h)]
    hours = np.add.reduceat(p.slot_h, cuts)
    active = (p.first[:, None] <= cuts) & (cuts < p.end[:, None])
    possible_wh = p.rate_w * (active @ hours)
    total_wh = float(np.minimum(p.need_wh, possible_wh).sum())
    unit_wh = FINEST_WH
    while total_wh > unit_wh * MOST_UNITS:
        unit_wh *= 2.0
    rate = np.multiply.outer(p.rate_w, hours / unit_wh).astype(np.int64) * active
    need = np.minimum(
        np.ceil(np.minimum(p.need_wh, possible_wh) / unit_wh).astype(np.int64), rate.sum(axis=1)
    )
    limit = np.clip(p.limit_w[:, cuts] * (hours / unit_wh), 0.0, MOST_UNITS).astype(np.int64)
    return _Counted(need, np.minimum(rate, need[:, None]), limit, cuts, unit_wh)


def _narrow(p: Problem, c: _Counted) -> tuple[Ints, Ints, Ints]:
    """Leave out feeders that can never bind. For each job the row of its lowest feeder left (−1: none),
    for each row the next.
    """
    nodes = len(p.parent)
    asked = np.zeros((nodes, c.rate.shape[1]), dtype=np.int64)
    order = np.argsort(p.feeder, kind="stable")
    leaves, starts = np.unique(p.feeder[order], return_index=True)
    asked[leaves] = np.add.reduceat(c.rate[order], starts, axis=0)
    for node in range(nodes):  # children come first
        if p.parent[node] >= 0:
            asked[p.parent[node]] += np.minimum(asked[node], c.limit[node])
    binds: NDArray[np.bool_] = np.any(asked > c.limit, axis=1)
    tight = np.flatnonzero(binds)
    lowest = np.full(nodes, -1, dtype=np.int64)
    above = np.full(len(tight), -1, dtype=np.int64)
    for node in range(nodes - 1, -1, -1):
        up = lowest[p.parent[node]] if p.parent[node] >= 0 else -1
        if binds[node]:
            lowest[node] = np.searchsorted(tight, node)
            above[lowest[node]] = up
        else:
            lowest[node] = up
    return lowest[p.feeder], above, tight


def _graph(c: _Counted, held: Ints, top: Ints, above: Ints, limit: Ints) -> Any:
    """Source → jobs → (feeder, slot) → … → sink, as CSR written row by row; ``limit`` has the last slot
    first.
    """
    rows, slots = limit.shape
    base = 1 + len(held)
    sink = base + rows * slots
    rate = c.rate[held, ::-1]
    job, slot = np.nonzero(rate)
    up = np.where(above[:, None] >= 0, base + above[:, None] * slots + np.arange(slots), sink)
    degree = np.concatenate(
        ([0, len(held)], np.count_nonzero(rate, axis=1), np.ones(rows * slots, dtype=np.int64), [0])
    )
    columns = np.concatenate((np.arange(1, base), base + top[job] * slots + slot, up.ravel()))
    units = np.concatenate((c.need[held], rate[job, slot], limit.ravel()))
    narrow = (units.astype(np.int32), columns.astype(np.int32), np.cumsum(degree).astype(np.int32))
    return csr_matrix(narrow, shape=(sink + 1, sink + 1))


def _cut(graph: Any, flow: Any, jobs: int, limit: Ints) -> tuple[int, int]:
    """(row, slot) of the minimum cut nearest to the jobs: the feeder that passes most across it, at the
    first slot it does.
    """
    residual = graph - flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    seen = np.zeros(graph.shape[0], dtype=bool)
    seen[breadth_first_order(residual, 0, return_predecessors=False)] = True
    inside = seen[1 + jobs : -1].reshape(limit.shape)
    onward = graph.indices[graph.indptr[1 + jobs] :].reshape(limit.shape)
    crossed: NDArray[np.bool_] = inside & ~seen[onward]
    row = int(np.argmax((crossed * limit).sum(axis=1) + crossed.any(axis=1)))
    return row, int(np.flatnonzero(crossed[row])[-1])
