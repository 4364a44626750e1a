"""The structured interior point: HiGHS's optimum on every seed, physical after rounding, and a clear no
where it is not.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.planner.depots import deep, depot, varied
from tests.planner.test_highs import pack, physical, problem
from v2g_edge.planner import highs
from v2g_edge.planner.interior import StalledError, solve
from v2g_edge.planner.problem import Taper, settled

GAP = 1e-4
"""A hundredth of a per cent of the optimum."""


@pytest.mark.parametrize("seed", [*range(13), 32])
def test_it_agrees_with_highs_and_its_rounded_plan_is_physical(seed: int) -> None:
    calm, _ = settled(varied(seed))
    best, found = highs.solve(calm), solve(calm)
    assert found.cost == pytest.approx(best.cost, rel=GAP, abs=1e-2)
    physical(calm, found.charge_kw, found.discharge_kw)


@pytest.mark.slow
def test_two_hundred_vehicles_with_five_feeders() -> None:
    calm, _ = settled(depot(1, 200, 96))
    best, found = highs.solve(calm), solve(calm)
    assert found.cost == pytest.approx(best.cost, rel=GAP)
    physical(calm, found.charge_kw, found.discharge_kw)


def test_an_empty_feeder_and_one_vehicle_are_depots_too() -> None:
    three = depot(5, 3, 48, feeders=5, tight=0.3)
    for count in (1, 2, 3):
        calm, _ = settled(replace(three, packs=three.packs[:count]))
        assert solve(calm).cost == pytest.approx(highs.solve(calm).cost, rel=GAP, abs=1e-2)


def test_what_it_leaves_out_is_a_no_and_no_wrong_answer() -> None:
    calm, _ = settled(deep(varied(3)))
    with pytest.raises(StalledError):
        solve(calm)
    with pytest.raises(StalledError):
        solve(problem())
    full = pack(discharge_kw=np.zeros(4), floor_kwh=np.array([0, 0, 0, 36.0]), tapers=(Taper(20.0, 0.5),))
    with pytest.raises(StalledError, match="tapers"):
        solve(problem(full, buy=(0.3, 0.1, 0.1, 0.1)))


def test_a_taper_that_does_not_bind_is_no_obstacle() -> None:
    calm, _ = settled(problem(pack(tapers=(Taper(60.0, 1.0),))))
    assert solve(calm).cost == pytest.approx(highs.solve(calm).cost, rel=GAP, abs=1e-3)


def test_numbers_that_are_none_end_in_a_no() -> None:
    with pytest.raises(StalledError):
        solve(problem(pack(), buy=(0.1, float("nan"), 0.1, 0.1)))
