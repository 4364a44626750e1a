"""Cycles by rainflow: the example of ASTM E1049-85, the PyPI package, and a count that is fed sample by
sample.
"""

import msgspec
import rainflow
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.study.wear.rainflow import Cycle, Rainflow, cycles_of


def _table(cycles: list[Cycle]) -> dict[float, float]:
    found: dict[float, float] = {}
    for cycle in cycles:
        found[cycle.depth] = found.get(cycle.depth, 0.0) + cycle.count
    return found


def test_the_example_of_astm_e1049() -> None:
    """Figure 6 of the standard: ranges 3, 4, 6, 8 and 9."""
    series = [-2.0, 1.0, -3.0, 5.0, -1.0, 3.0, -4.0, 4.0, -2.0]
    assert _table(cycles_of(series)) == {3.0: 0.5, 4.0: 1.5, 6.0: 0.5, 8.0: 1.0, 9.0: 0.5}


def test_the_repeating_example_of_astm_e1049() -> None:
    """Figure 7 of the standard: the same history from its highest peak on; no half is left."""
    series = [5.0, -1.0, 3.0, -4.0, 4.0, -2.0, 1.0, -3.0, 5.0]
    assert _table(cycles_of(series)) == {3.0: 1.0, 4.0: 1.0, 7.0: 1.0, 9.0: 1.0}


@given(st.lists(st.integers(0, 100).map(float), min_size=3, max_size=80))
def test_every_series_counts_as_the_package_counts_it(series: list[float]) -> None:
    """Depth, mean and count of each cycle (of two samples the package makes none)."""
    theirs = sorted((depth, mean, count) for depth, mean, count, _, _ in rainflow.extract_cycles(series))
    mine = sorted((cycle.depth, cycle.mean, cycle.count) for cycle in cycles_of(series) if cycle.depth)
    assert mine == [each for each in theirs if each[0]]


@given(st.lists(st.integers(0, 100).map(float), min_size=2, max_size=60), st.integers(0, 60))
def test_a_count_that_is_kept_and_read_back_goes_on_as_if_nothing_was(series: list[float], cut: int) -> None:
    """A day's end, a restart: no deep cycle is cut in two."""
    count = Rainflow(1.0)
    found = [cycle for value in series[:cut] for cycle in count.add(value)]
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(count), type=Rainflow)
    found += [cycle for value in series[cut:] for cycle in again.add(value)] + again.residue()
    assert found == cycles_of(series, 1.0)


def test_small_turns_are_noise() -> None:
    """A SoC that is told in halves of a percent does not cycle."""
    assert cycles_of([50.0, 50.5, 50.0, 50.5, 50.0], 1.0) == []
    assert _table(cycles_of([50.0, 80.0, 79.5, 80.0, 50.0], 1.0)) == {30.0: 1.0}
