"""Two days of a depot of `make plan-weeks`, and what keeps a plan from leaving too much for the end."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from tests.planner.test_highs import pack, problem
from tests.planner.weeks.__main__ import costs_of
from tests.planner.weeks.held import sold_of, sold_twice
from tests.planner.weeks.peaks import MOST_OVER, month_of
from tests.planner.weeks.play import Yard
from tests.planner.weeks.policies import ByPlan, optimised
from tests.planner.weeks.presets import PRESETS, week_of
from v2g_edge.planner.build import Outlook
from v2g_edge.planner.highs import solve
from v2g_edge.planner.problem import Peak, settled
from v2g_edge.planner.rounding import SHORT_KWH, rounded
from v2g_edge.planner.spare import EXTRA_S, SHARE, too_late


def test_two_days_of_buses_cost_as_little_as_foresight_would_and_less_than_others() -> None:
    costs = costs_of(week_of(replace(PRESETS[3], count=4), 0, days=1))
    assert costs.faults() == []


def test_the_meters_show_what_is_sold_twice() -> None:
    """Of what the plans held there is enough; of thrice as much there is not."""
    week = week_of(replace(PRESETS[3], count=3), 0, days=1)
    sold = sold_of(week)
    server = ByPlan(optimised(Outlook(reserves=sold)))
    course = Yard(week, week.site).play(server)
    assert sold_twice(week, course, server, sold) == []
    thrice = tuple(structs.replace(each, up_kw=3.0 * each.up_kw, down_kw=3.0 * each.down_kw) for each in sold)
    assert sold_twice(week, course, server, thrice)


def test_a_plan_that_waits_for_the_cheapest_hours_keeps_a_part_of_the_feeder_for_what_goes_wrong() -> None:
    cars = [
        pack(name, start_kwh=0.0, floor_kwh=np.array([0.0, 0.0, 0.0, 14.0]), discharge_kw=np.zeros(4))
        for name in "ab"
    ]
    calm, _ = settled(
        problem(
            *cars,
            buy=(0.3, 0.3, 0.1, 0.1),
            charge_cap_kw=np.full((1, 4), 14.0),
            export_cap_kw=np.full((1, 4), 14.0),
        )
    )
    waiting = solve(calm)
    assert waiting.charge_kw[:, 2:].sum() == pytest.approx(28.0)
    late = too_late(calm, rounded(calm, waiting.charge_kw, waiting.discharge_kw))
    assert ((0, 1), 2, 4) in {(each.packs, each.first, each.end) for each in late}
    careful = solve(replace(calm, owed=late))
    assert careful.charge_kw[:, 2:].sum() == pytest.approx(SHARE * 14.0 * (2.0 + EXTRA_S / 3_600.0), abs=1e-3)
    assert too_late(calm, rounded(calm, careful.charge_kw, careful.discharge_kw)) == ()


def test_what_can_still_be_charged_after_a_departure_of_others_is_not_owed_before_it() -> None:
    """The second car stays three hours longer than the first: a full feeder until then is no lateness."""
    first = pack(
        "a", start_kwh=0.0, floor_kwh=np.array([7.0, 0.0, 0.0, 0.0]), deadline=0, discharge_kw=np.zeros(4)
    )
    first = replace(first, charge_kw=np.array([10.0, 0.0, 0.0, 0.0]))
    second = pack("b", start_kwh=0.0, floor_kwh=np.array([0.0, 0.0, 0.0, 8.0]), discharge_kw=np.zeros(4))
    calm, _ = settled(
        problem(first, second, charge_cap_kw=np.full((1, 4), 10.0), export_cap_kw=np.full((1, 4), 10.0))
    )
    found = solve(calm)
    assert too_late(calm, rounded(calm, found.charge_kw, found.discharge_kw)) == ()


def test_an_evening_is_shaved_to_within_two_percent_of_the_best_with_what_was_known() -> None:
    month = month_of(7, evenings=1)
    assert month.billed <= MOST_OVER * month.best
    assert month.billed < 0.9 * month.building, "the vehicles carry the building's peak"


def test_rounding_adds_no_peak_to_a_plan_where_less_power_will_do() -> None:
    """Each of four is planned with a quarter of what its charger can hold: one after the other charges."""
    cars = [
        pack(
            name,
            start_kwh=0.0,
            floor_kwh=np.array([0.0, 0.0, 0.0, 4.0]),
            discharge_kw=np.zeros(4),
            min_charge_kw=4.0,
        )
        for name in "abcd"
    ]
    peak = Peak("month", 10.0, 0.0, tuple(((t, 1.0),) for t in range(4)), (0.0,) * 4)
    calm, _ = settled(problem(*cars, peaks=(peak,)))
    done = rounded(calm, np.ones((4, 4)), np.zeros((4, 4)))
    assert done.power_kw.sum(axis=0).max() <= 4.0 + 1e-6
    assert done.energy_kwh[:, 3].min() >= 4.0 - SHORT_KWH
