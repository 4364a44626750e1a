"""The flow's answer is the linear program's answer: never yes when it says no, never no when it says yes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from v2g_edge.departure.certificate import FINEST_WH, MOST_UNITS, Floats, Problem, solve

HOUR = 1.0


def problem(
    need_wh: list[float],
    rate_w: list[float],
    limit_w: list[list[float]],
    *,
    window: list[tuple[int, int]] | None = None,
    feeder: list[int] | None = None,
    parent: list[int] | None = None,
    slot_h: list[float] | None = None,
) -> Problem:
    """Jobs on one feeder, over all slots of one hour, unless told otherwise."""
    jobs, slots = len(need_wh), len(limit_w[0])
    windows = window or [(0, slots)] * jobs
    return Problem(
        need_wh=np.array(need_wh, dtype=float),
        rate_w=np.array(rate_w, dtype=float),
        feeder=np.array(feeder or [0] * jobs, dtype=np.int64),
        first=np.array([first for first, _ in windows], dtype=np.int64),
        end=np.array([end for _, end in windows], dtype=np.int64),
        parent=np.array(parent or [-1] * len(limit_w), dtype=np.int64),
        limit_w=np.array(limit_w, dtype=float),
        slot_h=np.array(slot_h or [HOUR] * slots),
    )


def most_by_lp(p: Problem) -> tuple[float, float]:
    """(Wh that a linear program can serve, Wh that are asked for), slot by slot, nothing merged, nothing
    rounded.
    """
    slots = range(len(p.slot_h))
    pairs = [(job, t) for job in range(len(p.need_wh)) for t in slots if p.first[job] <= t < p.end[job]]
    possible = [sum(p.rate_w[j] * p.slot_h[t] for j, t in pairs if j == job) for job in range(len(p.need_wh))]
    asked = np.minimum(p.need_wh, possible)
    if not pairs:
        return 0.0, float(asked.sum())
    nodes = len(p.parent)
    rows = np.zeros((len(asked) + nodes * len(p.slot_h), len(pairs)))
    for column, (job, t) in enumerate(pairs):
        rows[job, column] = 1.0
        node = int(p.feeder[job])
        while node >= 0:
            rows[len(asked) + node * len(p.slot_h) + t, column] = 1.0
            node = int(p.parent[node])
    room = np.clip(p.limit_w * p.slot_h, 0.0, None).ravel()
    bounds = [(0.0, float(p.rate_w[j] * p.slot_h[t])) for j, t in pairs]
    result = linprog(
        -np.ones(len(pairs)), A_ub=rows, b_ub=np.concatenate((asked, room)), bounds=bounds, method="highs"
    )
    assert result.status == 0
    return float(-result.fun), float(asked.sum())


def drawn(rng: np.random.Generator, *, whole: bool) -> Problem:
    """A small instance: up to seven jobs with any windows, a tree of up to five feeders, limits that vary
    or stay.
    """
    jobs, slots, nodes = int(rng.integers(1, 8)), int(rng.integers(1, 8)), int(rng.integers(1, 6))
    first = rng.integers(0, slots, jobs)
    limit_w = rng.uniform(-3.0, 30.0, (nodes, slots))
    if rng.random() < 0.4:
        limit_w[:, :] = limit_w[:, :1]
    slot_h = np.full(slots, 1.0)
    slot_h[0] = rng.choice([1.0, 0.5, 0.25])
    result = Problem(
        need_wh=rng.uniform(0.0, 25.0, jobs),
        rate_w=rng.uniform(0.0, 12.0, jobs),
        feeder=rng.integers(0, nodes, jobs),
        first=first,
        end=np.minimum(first + rng.integers(0, slots + 1, jobs), slots),
        parent=np.array([*(int(rng.integers(n + 1, nodes)) for n in range(nodes - 1)), -1]),
        limit_w=limit_w,
        slot_h=slot_h,
    )
    if not whole:
        return result
    # Whole W over quarters of an hour are whole units: nothing is rounded, ties included.
    return result._replace(
        need_wh=result.need_wh.round(), rate_w=result.rate_w.round(), limit_w=limit_w.round()
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_flow_serves_exactly_what_the_linear_program_serves(seed: int) -> None:
    """2,000 instances in whole units: yes and no agree in every one, and so does the energy left undone."""
    rng = np.random.default_rng(seed)
    said = {True: 0, False: 0}
    for _ in range(250):
        p = drawn(rng, whole=True)
        most_wh, asked_wh = most_by_lp(p)
        answer = solve(p)
        feasible = not answer.short_wh.any()
        assert feasible == (most_wh > asked_wh - 1e-6), p
        assert float(answer.short_wh.sum()) == pytest.approx(asked_wh - most_wh, abs=1e-6)
        assert (answer.feeder >= 0) == (not feasible)
        said[feasible] += 1
    assert min(said.values()) > 60, "both answers must occur often"


@pytest.mark.parametrize("seed", range(100, 104))
def test_rounding_never_says_yes_when_the_linear_program_says_no(seed: int) -> None:
    """1,000 instances with any numbers: a yes holds unrounded; a no differs from the program by less than
    the rounding.
    """
    rng = np.random.default_rng(seed)
    for _ in range(250):
        p = drawn(rng, whole=False)
        most_wh, asked_wh = most_by_lp(p)
        answer = solve(p)
        cells = len(p.need_wh) * (len(p.slot_h) + 1) + p.limit_w.size
        if not answer.short_wh.any():
            # A need at full power throughout is cut to whole units of it, one for each slot at most.
            assert most_wh >= asked_wh - FINEST_WH * cells
        assert float(answer.short_wh.sum()) <= asked_wh - most_wh + FINEST_WH * cells


@pytest.mark.parametrize("seed", range(200, 204))
def test_a_yes_holds_for_the_unrounded_needs(seed: int) -> None:
    """Where no need is cut to full power, yes means that the program serves every Wh."""
    rng = np.random.default_rng(seed)
    yes = 0
    for _ in range(250):
        p = drawn(rng, whole=False)
        hours = np.array([p.slot_h[a:b].sum() for a, b in zip(p.first, p.end, strict=True)])
        p = p._replace(need_wh=np.clip(np.minimum(p.need_wh, p.rate_w * hours - FINEST_WH * 10), 0.0, None))
        if not solve(p).short_wh.any():
            most_wh, asked_wh = most_by_lp(p)
            assert most_wh >= asked_wh - 1e-6
            yes += 1
    assert yes > 50


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_order_of_jobs_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = drawn(rng, whole=True)
    turn = rng.permutation(len(p.need_wh))
    turned = p._replace(
        need_wh=p.need_wh[turn],
        rate_w=p.rate_w[turn],
        feeder=p.feeder[turn],
        first=p.first[turn],
        end=p.end[turn],
    )
    assert float(solve(turned).short_wh.sum()) == float(solve(p).short_wh.sum())


@given(seed=st.integers(0, 2**32 - 1), bite=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_more_need_or_less_room_never_helps(seed: int, bite: int) -> None:
    rng = np.random.default_rng(seed)
    p = drawn(rng, whole=True)
    before = float(solve(p).short_wh.sum())
    tighter = p._replace(limit_w=p.limit_w - bite)
    assert float(solve(tighter).short_wh.sum()) >= before
    hungrier = p._replace(need_wh=p.need_wh + bite)
    if before > 0.0:
        assert solve(hungrier).short_wh.any()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_same_problem_has_the_same_answer_to_the_bit(seed: int) -> None:
    p = drawn(np.random.default_rng(seed), whole=False)
    first, second = solve(p), solve(p)
    assert first.short_wh.tobytes() == second.short_wh.tobytes()
    assert first[1:] == second[1:]


def test_nothing_to_do_is_feasible() -> None:
    assert solve(problem([], [], [[5.0]])).short_wh.tolist() == []
    assert solve(problem([0.0], [5.0], [[0.0]])).short_wh.tolist() == [0.0]


def test_the_feeder_and_the_slot_that_bind_are_named() -> None:
    """Feeder 0 hangs under 1; it has room at first and none from slot 2 on, where the job's window lies."""
    p = problem([30.0], [10.0], [[10.0, 10.0, 3.0, 3.0], [90.0] * 4], parent=[1, -1], window=[(1, 4)])
    answer = solve(p)
    assert answer.short_wh.tolist() == [14.0]
    assert (answer.feeder, answer.slot) == (0, 2)


def test_a_feeder_above_binds_two_that_would_fit_alone() -> None:
    p = problem(
        [20.0, 20.0], [10.0, 10.0], [[10.0] * 2, [10.0] * 2, [15.0] * 2], feeder=[0, 1], parent=[2, 2, -1]
    )
    answer = solve(p)
    assert float(answer.short_wh.sum()) == 10.0
    assert answer.feeder == 2


def test_a_limit_below_zero_passes_nothing() -> None:
    assert solve(problem([4.0], [10.0], [[-50.0, 3.0]])).short_wh.tolist() == [1.0]


def test_a_need_beyond_full_power_is_cut_to_it_and_must_then_be_met() -> None:
    assert solve(problem([1e12], [10.0], [[10.0] * 3])).short_wh.tolist() == [0.0]
    assert solve(problem([1e12, 1.0], [10.0, 10.0], [[10.0] * 3])).short_wh.sum() == 1.0


def test_a_closed_window_asks_for_nothing() -> None:
    assert solve(problem([5.0], [10.0], [[10.0] * 3], window=[(2, 2)])).short_wh.tolist() == [0.0]


def test_a_short_first_slot_carries_less() -> None:
    assert solve(problem([10.0], [10.0], [[10.0, 0.0]], slot_h=[0.5, 1.0])).short_wh.tolist() == [5.0]


def test_a_giant_depot_is_counted_in_coarser_units_and_stays_on_the_safe_side() -> None:
    """5,000 needs of 2 MWh are more than int32 holds in 1/16 Wh; 1 W of missing room still shows."""
    jobs, need_wh, hours = 5_000, 2e6, 10.0
    assert jobs * need_wh / FINEST_WH > MOST_UNITS
    exact_w = jobs * need_wh / hours
    needs, rates = [need_wh] * jobs, [300_000.0] * jobs
    assert not solve(problem(needs, rates, [[exact_w]], slot_h=[hours])).short_wh.any()
    assert solve(problem(needs, rates, [[exact_w - 1.0]], slot_h=[hours])).short_wh.sum() >= hours


@given(
    need=st.integers(0, 40),
    rate=st.integers(0, 12),
    room=st.lists(st.integers(0, 12), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_one_job_alone_is_simple_arithmetic(need: int, rate: int, room: list[int]) -> None:
    """Slot by slot the least of rate and room; the need cut to full power in every slot."""
    served = sum((Fraction(min(rate, each)) for each in room), Fraction(0))
    asked = min(Fraction(need), Fraction(rate * len(room)))
    answer = solve(problem([float(need)], [float(rate)], [[float(each) for each in room]]))
    assert Fraction(float(answer.short_wh[0])) == max(asked - served, Fraction(0))


def _leaf_to_root(p: Problem, job: int) -> list[int]:
    nodes = [int(p.feeder[job])]
    while p.parent[nodes[-1]] >= 0:
        nodes.append(int(p.parent[nodes[-1]]))
    return nodes


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_the_binding_feeder_lies_above_a_job_that_is_short(seed: int) -> None:
    p = drawn(np.random.default_rng(seed), whole=True)
    answer = solve(p)
    short: Floats = answer.short_wh
    if short.any():
        above = {node for job in range(len(short)) for node in _leaf_to_root(p, job)}
        assert answer.feeder in above
        assert 0 <= answer.slot < len(p.slot_h)
