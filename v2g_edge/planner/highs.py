"""The day plan through HiGHS: its objective and every constraint, as one sparse linear programme."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray

from v2g_edge.planner.caution import add_rows
from v2g_edge.planner.problem import Floats, Pack, Problem, Solution, open_bounds, path_of

SIMPLEX_BELOW: Final = 3_000
"""Connected slots below which the simplex method is faster than the interior point (reference, 1.1)."""
SHORT_COST: Final = 1_000.0
"""What a kWh of an unmet departure costs in the elastic problem, and a kW of a reserve: beyond any price
of energy.
"""
YIELDS_COST: Final = 0.5
"""And a kW of a reserve for a slot where departures do not all fit: what a kWh backs for two days costs less
than a kWh of a departure, and still more than prices differ by.
"""
LEAST_PRICE: Final = 0.001
"""Shadow prices below a tenth of a cent are rounding (reference, 1.3)."""
INF: Final = float("inf")

Ints = NDArray[np.int64]


class NoSolutionError(Exception):
    """The solver ended without an optimum; the message names how."""


class InfeasibleError(NoSolutionError):
    """No schedule meets all bounds."""


@dataclass(slots=True)
class _Lp:
    """A linear programme while it grows: columns with cost and bounds, rows as (row, column, value)
    triples.
    """

    cost: list[Floats] = field(default_factory=list)
    low: list[Floats] = field(default_factory=list)
    high: list[Floats] = field(default_factory=list)
    columns: int = 0
    row_low: list[Floats] = field(default_factory=list)
    row_high: list[Floats] = field(default_factory=list)
    rows: int = 0
    entries: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)

    def add_columns(self, cost: Any, low: Any, high: Any, count: int) -> Ints:
        for store, value in ((self.cost, cost), (self.low, low), (self.high, high)):
            store.append(np.broadcast_to(np.asarray(value, dtype=np.float64), count))
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def add_rows(self, low: Any, high: Any, count: int) -> Ints:
        for store, value in ((self.row_low, low), (self.row_high, high)):
            store.append(np.broadcast_to(np.asarray(value, dtype=np.float64), count))
        self.rows += count
        return np.arange(self.rows - count, self.rows)

    def put(self, rows: Ints, columns: Ints, values: Any) -> None:
        self.entries.append((rows, columns, np.broadcast_to(np.asarray(values, dtype=np.float64), len(rows))))

    def model(self) -> Any:
        """As HiGHS takes it, column-wise."""
        rows, columns, values = (np.concatenate(parts) for parts in zip(*self.entries, strict=True))
        order = np.lexsort((rows, columns))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = map(np.concatenate, (self.cost, self.low, self.high))
        lp.row_lower_, lp.row_upper_ = np.concatenate(self.row_low), np.concatenate(self.row_high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.concatenate(([0], np.cumsum(np.bincount(columns, minlength=self.columns))))
        lp.a_matrix_.index_, lp.a_matrix_.value_ = rows[order], values[order]
        return lp


@dataclass(slots=True)
class _Cells:
    """Where one pack's variables stand: its open slots, and its columns of charging, discharging and
    energy in them.
    """

    slots: Ints
    charge: Ints
    discharge: Ints
    energy: Ints
    short: int = -1


@dataclass(slots=True)
class _Layout:
    cells: list[_Cells]
    feeder_in: dict[int, Ints] = field(default_factory=dict)
    feeder_out: dict[int, Ints] = field(default_factory=dict)
    draw: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    feed: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    peaks: list[int] = field(default_factory=list)
    missing: list[tuple[str, int]] = field(default_factory=list)


def solve(problem: Problem, *, limit_s: float = 30.0, method: str = "") -> Solution:
    """The cheapest schedule of a settled problem. A departure that the feeders do not leave room for is
    named, never dropped.

    ``method``: "simplex" or "ipm"; "" takes the faster one for the size. Raises ``NoSolutionError``.
    """
    try:
        return _solve(problem, limit_s, method, elastic=False)
    except InfeasibleError:
        return _solve(problem, limit_s, method, elastic=True)


def _solve(problem: Problem, limit_s: float, method: str, *, elastic: bool) -> Solution:
    if elastic:
        problem = replace(problem, cautions=())  # departures need all there is
    lp = _Lp()
    layout = _Layout([_pack(lp, problem, pack, elastic=elastic) for pack in problem.packs])
    _feeders(lp, problem, layout)
    _connection(lp, problem, layout)
    _peaks(lp, problem, layout)
    for caution in problem.cautions:
        add_rows(lp, problem, caution, layout.cells, layout.peaks)
    reserve_cost = YIELDS_COST if elastic else SHORT_COST
    _reserves(lp, problem, layout, reserve_cost)
    _owed(lp, problem, layout)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.silent()
    chosen = method or ("simplex" if problem.connected < SIMPLEX_BELOW else "ipm")
    for option, value in (
        ("solver", chosen),
        ("run_crossover", "off"),
        ("threads", 1),
        ("time_limit", limit_s),
    ):
        if solver.setOptionValue(option, value) != highspy.HighsStatus.kOk:
            raise NoSolutionError(f"HiGHS does not take {option} = {value}")
    model = lp.model()
    if not all(np.all(np.isfinite(values)) for values in (model.col_cost_, model.a_matrix_.value_)):
        raise NoSolutionError("a price, a power or an energy of the problem is no number")
    solver.passModel(model)
    solver.run()
    status = solver.getModelStatus()
    if status in {highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible}:
        raise InfeasibleError(solver.modelStatusToString(status))
    if status != highspy.HighsModelStatus.kOptimal:
        raise NoSolutionError(solver.modelStatusToString(status))
    found, info = solver.getSolution(), solver.getInfo()
    values, rows = np.asarray(found.col_value), np.asarray(found.row_dual)
    charge, discharge = np.zeros((2, len(problem.packs), len(problem)))
    for place, cells in enumerate(layout.cells):
        charge[place, cells.slots] = np.maximum(values[cells.charge], 0.0)
        discharge[place, cells.slots] = np.maximum(values[cells.discharge], 0.0)
    short = tuple((name, float(values[column])) for name, column in layout.missing if values[column] > 1e-4)
    unheld = reserve_cost * sum(kw for _, kw in short)
    late = tuple(
        (pack.name, float(values[cells.short]))
        for pack, cells in zip(problem.packs, layout.cells, strict=True)
        if cells.short >= 0 and values[cells.short] > 1e-4
    )
    cost = float(info.objective_function_value) - unheld - SHORT_COST * sum(kwh for _, kwh in late)
    prices = _prices(problem, layout, rows, np.asarray(found.col_dual))
    return Solution(
        f"highs-{chosen}", cost, charge, discharge, prices, (*short, *late), max(info.ipm_iteration_count, 0)
    )


def _pack(lp: _Lp, problem: Problem, pack: Pack, *, elastic: bool) -> _Cells:
    """Columns c, d and e of the slots in which a pack can move, its energy chain, tapers and depths."""
    slots = np.flatnonzero((pack.charge_kw > 0.0) | (pack.discharge_kw > 0.0))
    hours, count = problem.hours[slots], len(slots)
    bonus = np.zeros(count) if pack.bonus is None else pack.bonus[slots]
    charge = lp.add_columns(-bonus * hours, 0.0, pack.charge_kw[slots], count)
    discharge = lp.add_columns(pack.wear * hours, 0.0, pack.discharge_kw[slots], count)
    value = np.zeros(count)
    if count:
        value[-1] = -pack.end_value
    floor, ceiling = open_bounds(pack, slots)
    soft = elastic and pack.deadline >= 0 and count > 0
    energy = lp.add_columns(value, np.where(soft, np.minimum(floor, 0.0), floor), ceiling, count)
    cells = _Cells(slots, charge, discharge, energy)
    if not count:
        return cells
    drained = np.cumsum(pack.drain_kwh)[slots]
    step = np.diff(drained, prepend=0.0)
    rows = lp.add_rows(-step + np.where(np.arange(count) == 0, pack.start_kwh, 0.0), 0.0, count)
    lp.row_high[-1] = lp.row_low[-1]
    lp.put(rows, energy, 1.0)
    lp.put(rows[1:], energy[:-1], -1.0)
    lp.put(rows, charge, -pack.efficiency * hours)
    lp.put(rows, discharge, hours / pack.efficiency)
    if soft:
        cells.short = int(lp.add_columns(SHORT_COST, 0.0, INF, 1)[0])
        kept = lp.add_rows(floor, INF, count)
        lp.put(kept, energy, 1.0)
        lp.put(kept, np.full(count, cells.short), 1.0)
    _tapers(lp, pack, cells)
    _depths(lp, problem, pack, cells)
    return cells


def _tapers(lp: _Lp, pack: Pack, cells: _Cells) -> None:
    for taper in pack.tapers:
        hits = np.flatnonzero(
            taper.at_empty_kw - taper.per_kwh * pack.ceiling_kwh[cells.slots] < pack.charge_kw[cells.slots]
        )
        if not len(hits):
            continue
        rows = lp.add_rows(-INF, taper.at_empty_kw, len(hits))
        lp.put(rows, cells.charge[hits], 1.0)
        lp.put(rows, cells.energy[hits], taper.per_kwh)


def _depths(lp: _Lp, problem: Problem, pack: Pack, cells: _Cells) -> None:
    for depth in pack.depths:
        inside = np.flatnonzero((cells.slots >= depth.first) & (cells.slots < depth.end))
        inside = inside[pack.discharge_kw[cells.slots[inside]] > 0.0]
        if not len(inside):
            continue
        out = problem.hours[cells.slots[inside]] / pack.efficiency
        row = lp.add_rows(-INF, 0.0 if depth.pieces else depth.most_kwh, 1)
        lp.put(np.repeat(row, len(inside)), cells.discharge[inside], out)
        if depth.pieces:
            widths = np.minimum([width for width, _ in depth.pieces], max(depth.most_kwh, 0.0))
            pieces = lp.add_columns([cost for _, cost in depth.pieces], 0.0, widths, len(widths))
            lp.put(np.repeat(row, len(pieces)), pieces, -1.0)
            total = lp.add_rows(-INF, depth.most_kwh, 1)
            lp.put(np.repeat(total, len(pieces)), pieces, 1.0)


def _feeders(lp: _Lp, problem: Problem, layout: _Layout) -> None:
    """A row for each feeder, direction and slot in which the packs below it could pass its limit."""
    for place in range(len(problem.feeders)):
        below = [n for n, pack in enumerate(problem.packs) if place in path_of(problem.parent, pack.feeder)]
        for caps, most, columns, rows_of in (
            (problem.charge_cap_kw, "charge_kw", "charge", layout.feeder_in),
            (problem.export_cap_kw, "discharge_kw", "discharge", layout.feeder_out),
        ):
            if not below:
                continue
            asked = np.sum([getattr(problem.packs[n], most) for n in below], axis=0)
            tight = np.flatnonzero(asked > caps[place])
            row_at = np.full(len(problem), -1, dtype=np.int64)
            row_at[tight] = lp.add_rows(-INF, caps[place][tight], len(tight))
            rows_of[place] = row_at
            for n in below:
                cells = layout.cells[n]
                rows = row_at[cells.slots]
                lp.put(rows[rows >= 0], getattr(cells, columns)[rows >= 0], 1.0)


def _connection(lp: _Lp, problem: Problem, layout: _Layout) -> None:
    """p − q = all charging less all discharging + base, in each slot."""
    count, hours = len(problem), problem.hours
    layout.draw = lp.add_columns(problem.buy * hours, 0.0, np.maximum(problem.import_kw, 0.0), count)
    layout.feed = lp.add_columns(-problem.sell * hours, 0.0, np.maximum(problem.export_kw, 0.0), count)
    rows = lp.add_rows(problem.base_kw, problem.base_kw, count)
    lp.put(rows, layout.draw, 1.0)
    lp.put(rows, layout.feed, -1.0)
    for cells in layout.cells:
        lp.put(rows[cells.slots], cells.charge, -1.0)
        lp.put(rows[cells.slots], cells.discharge, 1.0)


def _peaks(lp: _Lp, problem: Problem, layout: _Layout) -> None:
    shares = {each.name: each.share for each in problem.cautions}
    for peak in problem.peaks:
        rate = peak.rate * (1.0 - shares.get(peak.name, 0.0))
        column = lp.add_columns(rate, max(peak.billed_kw, 0.0), INF, 1)
        layout.peaks.append(int(column[0]))
        for window, fixed_kw in zip(peak.windows, peak.fixed_kw, strict=True):
            row = lp.add_rows(fixed_kw, INF, 1)
            slots = np.array([slot for slot, _ in window], dtype=np.int64)
            lp.put(row, column, 1.0)
            lp.put(np.repeat(row, len(slots)), layout.draw[slots], [-share for _, share in window])


def _owed(lp: _Lp, problem: Problem, layout: _Layout) -> None:
    for owed in problem.owed:
        row = lp.add_rows(-INF, owed.most_kwh, 1)
        for n in owed.packs:
            cells, back = layout.cells[n], problem.packs[n].efficiency ** 2
            inside = np.flatnonzero((cells.slots >= owed.first) & (cells.slots < owed.end))
            hours = problem.hours[cells.slots[inside]]
            lp.put(np.repeat(row, len(inside)), cells.charge[inside], hours)
            lp.put(np.repeat(row, len(inside)), cells.discharge[inside], -hours / back)


def _reserves(lp: _Lp, problem: Problem, layout: _Layout, missing_cost: float) -> None:
    """Each kW of a pack's headroom and each kWh of its energy backs one service at a time; what lacks is
    named.
    """
    backs: dict[tuple[int, str], list[tuple[Ints, Ints, float]]] = {}
    for reserve in problem.reserves:
        for way, wanted_kw in (("up", reserve.up_kw), ("down", reserve.down_kw)):
            if wanted_kw <= 0.0:
                continue
            count = reserve.end - reserve.first
            held = lp.add_rows(wanted_kw, INF, count)
            missing = lp.add_columns(missing_cost, 0.0, INF, count)
            layout.missing += [(reserve.name, int(column)) for column in missing]
            lp.put(held, missing, 1.0)
            for n, cells in enumerate(layout.cells):
                if problem.packs[n].hurry:
                    continue  # its departure is unknown, or over: it may be gone at any time
                inside = np.flatnonzero((cells.slots >= reserve.first) & (cells.slots < reserve.end))
                columns = lp.add_columns(0.0, 0.0, INF, len(inside))
                lp.put(held[cells.slots[inside] - reserve.first], columns, 1.0)
                backs.setdefault((n, way), []).append((inside, columns, reserve.hours))
    for (n, way), parts in backs.items():
        _back(lp, problem.packs[n], layout.cells[n], way, parts)


def _back(lp: _Lp, pack: Pack, cells: _Cells, way: str, parts: list[tuple[Ints, Ints, float]]) -> None:
    """Up: at most dmax − d + c is held, and its energy lasts above the floor. Down: cmax − c + d, and fits
    below the ceiling.
    """
    count, sign = len(cells.slots), 1.0 if way == "up" else -1.0
    most = pack.discharge_kw[cells.slots] if way == "up" else pack.charge_kw[cells.slots]
    power = lp.add_rows(-INF, most, count)
    lp.put(power, cells.discharge, sign)
    lp.put(power, cells.charge, -sign)
    floor, ceiling = open_bounds(pack, cells.slots)
    energy = lp.add_rows(-INF, -floor if way == "up" else ceiling, count)
    lp.put(energy, cells.energy, -sign)
    if way == "up" and cells.short >= 0:  # what lacks for the departure backs nothing, and forbids nothing
        lp.put(energy, np.full(count, cells.short), -1.0)
    for inside, columns, hours in parts:
        lp.put(power[inside], columns, 1.0)
        lp.put(energy[inside], columns, hours / pack.efficiency if way == "up" else hours * pack.efficiency)


def _prices(
    problem: Problem, layout: _Layout, rows: Floats, columns: Floats
) -> tuple[tuple[str, str, int, float], ...]:
    """Worth of one more kW of each feeder and limit that binds, and of one kWh less for each departure."""
    found: list[tuple[str, str, int, float]] = []
    for kind, table in (("feeder import", layout.feeder_in), ("feeder export", layout.feeder_out)):
        for place, at in table.items():
            found += [
                (kind, problem.feeders[place], t, -float(rows[at[t]]))
                for t in np.flatnonzero(at >= 0).tolist()
            ]
    for kind, side in (("site import", layout.draw), ("site export", layout.feed)):
        found += [(kind, "site", t, -float(columns[side[t]])) for t in range(len(problem))]
    for pack, cells in zip(problem.packs, layout.cells, strict=True):
        if pack.deadline >= 0 and len(cells.slots) and pack.deadline >= cells.slots[0]:
            last = int(np.searchsorted(cells.slots, pack.deadline, side="right")) - 1
            found.append(("departure", pack.name, pack.deadline, float(columns[cells.energy[last]])))
    return tuple(each for each in found if each[3] >= LEAST_PRICE)
