"""Two days of a depot of `make plan-weeks`, and what keeps a plan from leaving too much for the end."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from tests.planner.test_highs import pack, problem
from tests.planner.weeks.__main__ import costs_of
from tests.planner.weeks.held import sold_of, sold_twice
from tests.planner.weeks.peaks import TARIFFS, month_of
from tests.planner.weeks.play import Yard
from tests.planner.weeks.policies import ByPlan, optimised
from tests.planner.weeks.presets import PRESETS, week_of
from v2g_edge.planner import interior
from v2g_edge.planner.build import Outlook
from v2g_edge.planner.caution import holds
from v2g_edge.planner.highs import solve
from v2g_edge.planner.problem import Caution, Peak, Problem, Reserve, settled
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


@pytest.mark.parametrize("tariff", TARIFFS)
def test_two_evenings_are_shaved_nearly_as_well_as_they_could_be_with_what_was_known(tariff: str) -> None:
    """Single evenings differ by some per cent; months are judged by `make plan-weeks`."""
    month = month_of(7, tariff, evenings=2)
    assert month.short == ()
    assert month.billed < 1.04 * month.best
    assert month.billed < 0.8 * month.building, "the vehicles carry the building's peak"


def higher(share: float, by_kw: float = 8.0) -> Problem:
    """A battery that could sell what it holds at once, and a building that may draw more later."""
    peak = Peak("month", 10.0, 30.0, tuple(((t, 1.0),) for t in range(4)), (0.0,) * 4)
    car = pack(start_kwh=40.0, floor_kwh=np.array([0.0, 0.0, 0.0, 10.0]), ceiling_kwh=np.full(4, 60.0))
    base = np.full(4, 30.0)
    caution = Caution("month", share, base + by_kw * (np.arange(4) > 0))
    cautions = (caution,) if share > 0.0 else ()
    buy = (0.5, 0.1, 0.1, 0.1)
    return settled(problem(car, buy=buy, base_kw=base, peaks=(peak,), cautions=cautions))[0]


def test_a_plan_does_not_sell_what_would_keep_the_peak_if_the_building_drew_more() -> None:
    calm, bare = higher(0.5), solve(higher(0.0))
    found = solve(calm)
    assert bare.discharge_kw[0, 0] > found.discharge_kw[0, 0] + 3.0
    assert holds(calm, found.charge_kw, found.discharge_kw)
    assert not holds(calm, bare.charge_kw, bare.discharge_kw)
    with pytest.raises(interior.StalledError, match="higher loads"):
        interior.solve(calm)


def test_the_interior_point_serves_where_its_answer_is_cautious_anyhow() -> None:
    calm = higher(0.5, by_kw=0.01)
    assert interior.solve(calm).cost == pytest.approx(solve(calm).cost, rel=1e-4, abs=1e-2)


def test_a_departure_that_the_feeder_has_no_room_for_leaves_a_plan_with_what_is_sold() -> None:
    """Two of 30 kWh each in four hours, and 10 kW for both: 20 kWh lack, and a reserve is sold beside."""
    cars = [pack(name, start_kwh=0.0, floor_kwh=np.array([0.0, 0.0, 0.0, 28.0])) for name in "ab"]
    tight = problem(
        *cars,
        charge_cap_kw=np.full((1, 4), 10.0),
        export_cap_kw=np.full((1, 4), 10.0),
        reserves=(Reserve("fcr", 0, 4, 5.0, 0.0, 0.25),),
    )
    found = solve(settled(tight)[0])
    lacks = {name: sum(kwh for who, kwh in found.short_kwh if who == name) for name in ("a", "b", "fcr")}
    assert lacks["fcr"] > 0.0, "departures go first"
    assert lacks["a"] + lacks["b"] == pytest.approx(2 * 28.0 - 40.0 * cars[0].efficiency, abs=0.1)


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
