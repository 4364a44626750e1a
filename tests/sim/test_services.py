"""Services end to end in the simulator: what a depot gives is judged at its meter, by the buyers' rules."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from sim.judges.delivery import FCR_CURVE, LAGS, Deliveries, Delivery, three_part_score
from sim.runners.pure import PureRun, slowed
from sim.scenarios.aggregator import Dispatcher, Silence, course_of
from sim.scenarios.scenario import Scenario, read_scenario, write_scenario
from sim.scenarios.services import (
    EVENT_W,
    PEAK_W,
    PROVEN_S,
    SOLD_W,
    event,
    fcr,
    peaks,
    regulation,
    sold_out,
)
from sim.world.frequency import FrequencyProcess, Wandering
from sim.world.physics import droop_at
from v2g_edge.rules.services.regulation import score


def judged(scenario: Scenario) -> Delivery:
    run = PureRun(scenario, plans=False)
    panel = run.play()
    assert panel.violations == []
    (found,) = panel.deliveries.all()
    return found


def test_frequency_response_is_within_tolerance_at_the_meter() -> None:
    found = judged(fcr(3, lasts_s=300.0))
    assert found.held, found


@pytest.mark.parametrize(("share", "held"), [(1.0, True), (0.5, False), (-1.0, False), (0.0, False)])
def test_the_judge_sees_a_depot_that_gives_something_else_than_it_sold(share: float, held: bool) -> None:
    scenario = fcr(3)
    depot, deliveries = scenario.depot(), Deliveries(scenario)
    for second in range(300):
        depot.wall_s = scenario.start_wall_s + PROVEN_S + second
        asked = droop_at(FCR_CURVE, depot.grid.frequency_hz(depot.wall_s) - 50.0)
        depot.feeder_w = {"main": -share * asked * SOLD_W}
        deliveries.look(depot, 1.0)
    (found,) = deliveries.all()
    assert found.held == held, found


def test_a_regulation_signal_is_followed_with_a_score_above_nine_tenths() -> None:
    found = judged(regulation(3, lasts_s=700.0))
    assert found.held, found


def test_in_an_event_the_depot_draws_no_more_than_it_was_asked_to() -> None:
    found = judged(event(3, lasts_s=200.0))
    assert found.held, found
    assert found.figure > 0.8 * EVENT_W, "what the event leaves is used"


def test_a_quarter_hour_beside_a_restless_building_is_held_at_its_target() -> None:
    found = judged(peaks(3, lasts_s=1_400.0))
    assert found.held, found
    assert found.figure > 0.9 * PEAK_W, "what the building leaves is used"


def test_a_signal_that_stops_is_left_within_one_tick_and_taken_up_again() -> None:
    """The last value holds until half a second after the next was due: the tick after that is the plan's."""
    scenario = regulation(3, lasts_s=120.0)
    begins_s = scenario.start_wall_s + PROVEN_S + 40.0
    silence = Silence(begins_s, begins_s + 20.0)
    run = PureRun(regulation(3, lasts_s=120.0, silences=(silence,)), plans=False)
    last_s = begins_s - 2.0
    moved: dict[float, bool] = {}
    while run.depot.wall_s < run.scenario.end_wall_s:
        wall_s = run.depot.wall_s
        outcome = run.tick()
        assert outcome is not None
        moved[wall_s - last_s] = any(wish.reason == "service_regulation" for wish in outcome.wishes)
        if wall_s - last_s == 3.0:
            assert [e.kind for e in outcome.events if e.kind.startswith("service")] == ["service_signal_lost"]
    assert moved[2.0], "the next is due now"
    assert not any(moved[at_s] for at_s in range(3, 22))
    assert moved[23.0]


def test_an_outage_finds_the_reserve_in_the_vehicles_after_hours_with_three_services_sold() -> None:
    scenario = slowed(sold_out(3, chargers=4, outage_h=6.0), 30.0)
    run = PureRun(replace(scenario, duration_s=6.4 * 3_600.0))
    panel = run.play()
    (found,) = panel.deliveries.all()
    assert found.held, found
    assert found.figure < 1.1 * found.wanted, "all but the reserve was sold"
    assert panel.violations == []


def test_the_judges_score_is_the_products() -> None:
    asked = course_of(regulation(5).aggregator.signals[0])[::5]  # type: ignore[union-attr]
    for late, gain, noise in ((0, 1.0, 0.0), (3, 0.8, 0.1), (12, 1.1, 0.3)):
        given = [
            gain * asked[max(n - late, 0)] + noise * ((n * 7) % 5 - 2) / 2 for n in range(360 + LAGS - 1)
        ]
        mine, theirs = three_part_score(list(asked[:360]), given), score(asked, given)
        assert theirs is not None
        assert mine == pytest.approx(theirs.total, abs=1e-3)


def test_a_frequency_is_the_same_from_the_same_seed_and_wanders_as_it_is_told() -> None:
    process = FrequencyProcess(4, sigma_hz=0.02)
    one, other = Wandering(process, 0.0), Wandering(process, 0.0)
    seen = [one.deviation_hz(float(second)) for second in range(20_000)]
    assert other.deviation_hz(12_345.0) == seen[12_345]
    assert 0.015 < (sum(value * value for value in seen) / len(seen)) ** 0.5 < 0.025
    assert max(abs(b - a) for a, b in pairwise(seen)) < 0.01


def test_an_aggregator_tells_the_newest_value_that_arrived_and_announces_its_events(tmp_path) -> None:  # type: ignore[no-untyped-def]
    scenario = regulation(3, silences=(Silence(1e9, 2e9),))
    assert Dispatcher(scenario.aggregator).asked(scenario.start_wall_s).signals == ()  # type: ignore[arg-type]
    with_event = event(3)
    (asked,) = with_event.aggregator.events  # type: ignore[union-attr]
    dispatcher = Dispatcher(with_event.aggregator)  # type: ignore[arg-type]
    seen = [len(dispatcher.asked(asked.from_wall_s + at_s).limits) for at_s in (-301.0, -300.0, 0.0, 900.0)]
    assert seen == [0, 1, 1, 0]
    path = tmp_path / "scenario.json"
    write_scenario(with_event, path)
    assert read_scenario(path) == with_event
