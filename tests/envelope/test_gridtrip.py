"""The trip elements by themselves: when a delay starts, runs, resets and trips, and what missing data may
do to it.
"""

from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.envelope.grids import MAX_AGE_S, NOMINAL_V, element, sample, toy
from v2g_edge.config.gridcode import code_names, shipped_code
from v2g_edge.envelope.gridmean import BUCKET_S, MeanMemory, mean_add
from v2g_edge.envelope.gridtrip import (
    FLOAT_NOISE_S,
    ROCOF_POINTS_MAX,
    GridVerdict,
    Timer,
    Trip,
    TripMemory,
    describe,
    known,
    pickup_s,
    trip_step,
)
from v2g_edge.model.gridcode import GridCode, RideThrough, Rocof
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.snapshot import GridSample

TOY = toy()


def run(
    code: GridCode, samples: list[GridSample], now_s: float | None = None
) -> tuple[TripMemory, GridVerdict]:
    """All samples in one tick."""
    end_s = now_s if now_s is not None else samples[-1].at_s
    return trip_step(code, NOMINAL_V, TripMemory(), tuple(samples), end_s, MAX_AGE_S)


def trips(code: GridCode, samples: list[GridSample], now_s: float | None = None) -> dict[str, float]:
    """Time of each trip by element."""
    return {trip.element: trip.at_s for trip in run(code, samples, now_s)[1].trips}


def every(
    step_s: float, count: int, v: float | None = 100.0, hz: float | None = 50.0, start_s: float = 0.0
) -> list[GridSample]:
    return [sample(start_s + index * step_s, v, hz) for index in range(count)]


# -- the delay of an element
# ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", code_names())
def test_no_shipped_element_acts_inside_ride_through_nor_waits_longer_than_it_must(name: str) -> None:
    code = shipped_code(name)
    for item in code.elements:
        rides_s, delay_s = code.ride_through_s(item), pickup_s(code, item)
        assert delay_s >= rides_s
        assert delay_s == rides_s or delay_s <= item.time_s - min(1.0, 0.1 * item.time_s) + 1e-12


def test_ride_through_counts_what_lies_beyond_the_threshold_only() -> None:
    rides = (
        RideThrough("voltage_low", 0.7, 0.9, 4.0, "mandatory", "a test", slope=10.0),
        RideThrough("voltage_low", 0.5, 0.7, 2.0, "mandatory", "a test"),
        RideThrough("voltage_high", 1.1, 1.2, 7.0, "mandatory", "a test"),
        RideThrough("voltage_high", 1.2, 1.3, 3.0, "mandatory", "a test"),
        RideThrough("frequency_low", 47.0, 48.0, 9.0, "mandatory", "a test"),
    )
    code = toy(rides=rides)
    assert code.ride_through_s(element("a", "voltage_low", 0.8, 1.0)) == pytest.approx(5.0)
    assert code.ride_through_s(element("a", "voltage_low", 0.95, 1.0)) == pytest.approx(6.0)
    assert code.ride_through_s(element("a", "voltage_low", 0.7, 1.0)) == 2.0
    assert code.ride_through_s(element("a", "voltage_low", 0.5, 1.0)) == 0.0
    assert code.ride_through_s(element("a", "voltage_high", 1.15, 1.0)) == 7.0
    assert code.ride_through_s(element("a", "voltage_high", 1.2, 1.0)) == 3.0
    assert code.ride_through_s(element("a", "voltage_high", 1.3, 1.0)) == 0.0
    assert code.ride_through_s(element("a", "frequency_low", 47.5, 1.0)) == 9.0
    assert code.ride_through_s(element("a", "frequency_high", 51.0, 1.0)) == 0.0
    assert pickup_s(code, element("a", "voltage_low", 0.8, 30.0)) == 29.0
    assert pickup_s(code, element("a", "voltage_low", 0.8, 5.5)) == pytest.approx(5.0)


@pytest.mark.parametrize(("v", "hz"), [(80.0, 50.0), (120.0, 50.0), (100.0, 48.0), (100.0, 52.0)])
def test_exactly_at_the_threshold_is_inside(v: float, hz: float) -> None:
    assert not trips(TOY, every(0.1, 200, v, hz))


@pytest.mark.parametrize(
    ("v", "hz", "name", "delay_s"),
    [(79.9, 50.0, "UV", 1.8), (120.1, 50.0, "OV", 0.9), (100.0, 47.9, "UF", 2.7), (100.0, 52.1, "OF", 0.45)],
)
def test_a_trip_names_element_value_threshold_and_time(
    v: float, hz: float, name: str, delay_s: float
) -> None:
    _, verdict = run(TOY, every(0.1, 100, v, hz))
    (trip,) = verdict.trips
    assert (trip.element, trip.value) == (name, v if name.endswith("V") else hz)
    assert trip.delay_s == pytest.approx(delay_s)
    assert delay_s < trip.elapsed_s <= delay_s + 0.1 + 1e-9
    assert trip.at_s == pytest.approx(trip.elapsed_s)
    text = describe(trip)
    assert name in text
    assert f"{trip.value:.3f}" in text
    assert f"{trip.threshold:.3f} {'V' if name.endswith('V') else 'Hz'}" in text
    assert f"{trip.elapsed_s:.2f} s" in text


def test_the_delay_is_exceeded_not_reached() -> None:
    """At the very end of mandatory ride-through nothing has tripped, whatever rounding the clock brings
    along.
    """
    code = toy(
        element("UV", "voltage_low", 0.8, 1.0),
        rides=(RideThrough("voltage_low", 0.0, 0.8, 1.0, "mandatory", "a test"),),
    )
    for start_s in (0.0, 0.1, 1e5 + 0.3, 1e7 + 0.7):
        assert not trips(code, every(0.1, 11, 10.0, start_s=start_s))
        assert trips(code, every(0.1, 12, 10.0, start_s=start_s))


def test_a_microsecond_of_rounding_is_no_excess() -> None:
    """Nine seconds are allowed (or half a second of a rate): a clock that is a microsecond off has not
    exceeded them.
    """
    code = replace(toy(element("UV", "voltage_low", 0.8, 10.0)), rocof=ROCOF)
    assert not trips(code, [sample(0.0, 50.0), sample(9.0 + FLOAT_NOISE_S, 50.0)])
    assert trips(code, [sample(0.0, 50.0), sample(9.0 + 3 * FLOAT_NOISE_S, 50.0)])
    begun = [sample(index / 8.0, 100.0, 50.0 + 1.5 * index / 8.0) for index in range(-5, 4)]
    assert not trips(code, [*begun, sample(0.5 + FLOAT_NOISE_S, 100.0, None)])
    assert trips(code, [*begun, sample(0.5 + 3 * FLOAT_NOISE_S, 100.0, None)])


def test_any_phase_trips_and_the_delay_runs_on_when_another_phase_takes_over() -> None:
    for phase in range(3):
        volts = [100.0, 100.0, 100.0]
        volts[phase] = 50.0
        assert "UV" in trips(TOY, [sample(t * 0.1, (volts[0], volts[1], volts[2])) for t in range(20)])
    swapped = [sample(t * 0.1, (50.0, 100.0, 100.0) if t < 10 else (100.0, 100.0, 60.0)) for t in range(20)]
    assert trips(TOY, swapped)["UV"] == pytest.approx(1.9)


def test_one_known_sample_inside_resets() -> None:
    samples = [*every(0.1, 17, 50.0), sample(1.7), *every(0.1, 17, 50.0, start_s=1.8)]
    assert not trips(TOY, samples)


def test_each_element_trips_once_a_tick_and_again_in_the_next() -> None:
    memory, first = run(TOY, every(0.1, 40, 50.0))
    assert [trip.element for trip in first.trips] == ["UV"]
    _, second = trip_step(TOY, NOMINAL_V, memory, tuple(every(0.1, 10, 50.0, start_s=4.0)), 5.0, MAX_AGE_S)
    assert [trip.at_s for trip in second.trips] == [4.0]


def test_a_trip_that_came_and_went_within_one_tick_is_reported() -> None:
    assert "OV" in trips(TOY, every(0.1, 12, 130.0) + every(0.1, 20, start_s=1.2))


# -- missing data
# ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None])
def test_what_is_not_a_number_starts_no_delay_and_stops_none(value: float | None) -> None:
    assert not trips(TOY, every(0.1, 100, value, value))
    begun = [sample(0.0, 50.0), *every(0.1, 30, value, 50.0, start_s=0.1)]
    assert trips(TOY, begun)["UV"] == pytest.approx(1.9)


def test_a_phase_that_fell_silent_does_not_reset_what_it_began() -> None:
    begun = [sample(0.0, (50.0, 100.0, 100.0))] + [
        sample(0.1 * t, (None, 100.0, 100.0)) for t in range(1, 30)
    ]
    assert trips(TOY, begun)["UV"] == pytest.approx(1.9)


def test_a_reading_older_than_the_stale_age_is_unknown() -> None:
    old = [
        GridSample(t * 0.1, (Reading(50.0, t * 0.1 - 2.1),) * 3, Reading(50.0, t * 0.1)) for t in range(50)
    ]
    assert not trips(TOY, old)
    young = [
        GridSample(t * 0.1, (Reading(50.0, t * 0.1 - 1.9),) * 3, Reading(50.0, t * 0.1)) for t in range(50)
    ]
    assert "UV" in trips(TOY, young)
    ahead = [
        GridSample(t * 0.1, (Reading(50.0, t * 0.1 + 0.1),) * 3, Reading(50.0, t * 0.1)) for t in range(50)
    ]
    assert not trips(TOY, ahead)


def test_a_reading_exactly_as_old_as_allowed_is_known() -> None:
    assert known(Reading(5.0, 8.0), 10.0, 2.0) == 5.0
    assert known(Reading(5.0, 10.0), 10.0, 2.0) == 5.0
    assert known(Reading(5.0, 7.9), 10.0, 2.0) is None
    assert known(Reading(5.0, 10.1), 10.0, 2.0) is None
    assert known(Unknown("x"), 10.0, 2.0) is None


def test_samples_out_of_order_or_from_the_future_are_none() -> None:
    begun = every(0.1, 15, 50.0)
    assert "UV" in trips(TOY, [*begun, sample(0.5), sample(1.4), *every(0.1, 10, 50.0, start_s=1.5)])
    assert "UV" in trips(TOY, [*begun, sample(99.0), *every(0.1, 10, 50.0, start_s=1.5)], now_s=3.0)
    assert not trips(TOY, every(0.1, 50, 50.0, start_s=10.0), now_s=9.0)


def test_a_second_sample_of_the_same_time_is_none() -> None:
    """A reply that came twice, the second time with other values, must not reset what the first began."""
    begun = every(0.1, 15, 50.0)
    assert "UV" in trips(TOY, [*begun, sample(begun[-1].at_s), *every(0.1, 10, 50.0, start_s=1.5)])


def test_a_code_without_elements_trips_on_nothing_and_keeps_no_voltage() -> None:
    memory, verdict = run(replace(TOY, elements=()), every(0.1, 100, 0.0, 0.0))
    assert verdict == GridVerdict((), "")
    assert memory == TripMemory(last_s=memory.last_s)


def test_a_meter_that_falls_silent_does_not_stop_the_delay() -> None:
    memory, verdict = run(TOY, every(0.1, 4, 100.0, 47.0))
    assert not verdict.trips
    for now_s, tripped in ((1.0, False), (2.7, False), (2.8, True), (3.5, True)):
        kept, verdict = trip_step(TOY, NOMINAL_V, memory, (), now_s, MAX_AGE_S)
        assert bool(verdict.trips) is tripped
        assert kept == memory


def test_a_meter_counts_as_silent_only_after_the_stale_age() -> None:
    """Until then the next sample may still say that all is well; a tick may even come at the very time of
    a sample.
    """
    memory, _ = run(TOY, [sample(100.0, 100.0, 53.0)])
    for now_s, tripped in ((100.0, False), (101.5, False), (102.0, False), (102.001, True)):
        kept, verdict = trip_step(TOY, NOMINAL_V, memory, (), now_s, MAX_AGE_S)
        assert kept == memory
        assert bool(verdict.trips) is tripped


def test_silence_alone_is_no_trip() -> None:
    memory, _ = run(TOY, every(0.1, 10))
    assert not trip_step(TOY, NOMINAL_V, memory, (), 1e6, MAX_AGE_S)[1].trips
    assert not trip_step(TOY, NOMINAL_V, TripMemory(), (), 1e6, MAX_AGE_S)[1].trips


def test_a_clock_set_back_or_another_code_starts_the_memory_anew() -> None:
    memory, _ = run(TOY, every(0.1, 15, 50.0, start_s=100.0))
    after, _ = trip_step(TOY, NOMINAL_V, memory, (sample(1.0, 50.0),), 1.0, MAX_AGE_S)
    assert after.timers[0] is not None
    assert after.timers[0].since_s == 1.0
    other, _ = trip_step(toy(TOY.elements[0]), NOMINAL_V, memory, (), 102.0, MAX_AGE_S)
    assert other == TripMemory(timers=(None,))


# -- momentary cessation
# ------------------------------------------------------------------------------

CEASING = toy(
    rides=(
        RideThrough("voltage_low", 0.0, 0.5, 1.0, "momentary_cessation", "Table M"),
        RideThrough("voltage_high", 1.1, 1.2, 12.0, "momentary_cessation", "Table M"),
        RideThrough("voltage_low", 0.5, 0.8, 1.0, "mandatory", "a test"),
    )
)


@pytest.mark.parametrize(
    ("v", "ceases"),
    [
        (0.0, True),
        (49.9, True),
        (50.0, False),
        (79.0, False),
        (1.1 * NOMINAL_V, False),
        (110.1, True),
        (120.0, True),
        (130.0, True),
    ],
)
def test_export_ceases_while_a_phase_is_in_the_band_and_returns_with_it(v: float, ceases: bool) -> None:
    memory, verdict = run(CEASING, [sample(0.0, (100.0, v, 100.0))])
    assert bool(verdict.cease) is ceases
    if ceases:
        assert "L2" in verdict.cease
        assert f"{v:.1f} V" in verdict.cease
        assert "Table M" in verdict.cease
    assert not verdict.trips
    _, back = trip_step(CEASING, NOMINAL_V, memory, (sample(0.1),), 0.1, MAX_AGE_S)
    assert not back.cease


def test_cessation_does_not_end_because_the_voltage_is_unknown() -> None:
    memory, _ = run(CEASING, [sample(0.0, (100.0, 10.0, 100.0))])
    memory, verdict = trip_step(
        CEASING, NOMINAL_V, memory, (sample(0.1, (100.0, None, 100.0)),), 0.1, MAX_AGE_S
    )
    assert verdict.cease
    assert trip_step(CEASING, NOMINAL_V, memory, (), 0.2, MAX_AGE_S)[1].cease
    assert not run(CEASING, [sample(0.0, None)])[1].cease


# -- the ten-minute mean
# ------------------------------------------------------------------------------

MEAN = toy(
    element("OVM", "voltage_high", 1.1, 0.5, mean_window_s=60.0), element("OV", "voltage_high", 1.6, 0.5)
)


def test_the_mean_trips_on_the_mean_and_not_on_the_peak() -> None:
    assert not trips(
        MEAN, every(0.5, 100) + every(0.5, 8, 150.0, start_s=50.0) + every(0.5, 200, start_s=54.0)
    )
    at_s = trips(MEAN, every(0.5, 120) + every(0.5, 400, 115.0, start_s=60.0))["OVM"]
    # 60 s at 100 V, then 115 V: the mean of the last 60 s passes 110 V after 40 s, to within a bucket of
    # three seconds.
    assert at_s == pytest.approx(100.0, abs=2 * BUCKET_S)
    assert trips(MEAN, every(0.5, 10, 111.0))["OVM"] == pytest.approx(0.5)


def test_each_phase_has_its_own_mean() -> None:
    alternating = [
        sample(t * 0.5, (118.0, 100.0, 100.0) if t % 2 else (100.0, 118.0, 100.0)) for t in range(400)
    ]
    assert not trips(MEAN, alternating[:-1])
    assert trips(MEAN, [sample(t * 0.5, (100.0, 100.0, 111.0)) for t in range(10)])


@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.1, 1.0, 2.9]))
def test_the_mean_is_the_mean_of_the_last_window_within_a_bucket(seed: int, step_s: float) -> None:
    random = Random(seed)
    memory, seen = MeanMemory(), []
    value = 100.0
    for index in range(round(90.0 / step_s)):
        if random.random() < 0.02:
            value = random.uniform(80.0, 130.0)
        seen.append((index * step_s, value))
        memory = mean_add(memory, index * step_s, (value, value, value), 60.0)
    assert len(memory.buckets) <= 60.0 / 3.0 + 2
    recent = [v for at_s, v in seen if at_s > seen[-1][0] - 60.0 - BUCKET_S]
    # Two buckets of twenty may be cut differently, by no more than the whole spread of 50 V.
    assert memory.means[0] == pytest.approx(sum(recent) / len(recent), abs=50.0 * 2.5 / 20.0)


def test_the_mean_counts_an_unknown_phase_with_its_last_value() -> None:
    memory = MeanMemory()
    assert BUCKET_S == 3.0
    assert mean_add(memory, 0.0, (None, 100.0, 100.0), 60.0) == memory
    memory = mean_add(memory, 0.0, (120.0, 100.0, 100.0), 60.0)
    for index in range(1, 100):
        memory = mean_add(memory, float(index), (None, 100.0, None), 60.0)
    assert memory.means == pytest.approx((120.0, 100.0, 100.0))


# -- rate of change
# ------------------------------------------------------------------------------

ROCOF = Rocof(1.0, 0.2, 0.5, "a test", (1.0, 1.0), (0.5, 0.5))
RATE = toy(rocof=ROCOF)


def ramp(hz_per_s: float, step_s: float, seconds: float) -> list[GridSample]:
    return [
        sample(index * step_s, 100.0, 50.0 + hz_per_s * index * step_s)
        for index in range(round(seconds / step_s))
    ]


@pytest.mark.parametrize("step_s", [0.01, 0.02, 0.05, 0.1])
def test_a_sustained_rate_trips_and_a_lesser_one_does_not(step_s: float) -> None:
    for sign in (1.0, -1.0):
        _, verdict = run(RATE, ramp(sign * 1.05, step_s, 1.8))
        (trip,) = verdict.trips
        assert (trip.element, trip.unit, trip.threshold) == ("ROCOF", "Hz/s", 1.0)
        assert trip.value == pytest.approx(sign * 1.05)
        assert 0.5 < trip.elapsed_s <= 0.5 + step_s + 1e-6
        assert not trips(RATE, ramp(sign * 0.99, step_s, 1.8))
        assert not trips(RATE, ramp(sign * 5.0, step_s, 0.35))


def test_the_rate_is_taken_as_soon_as_both_ends_have_three_samples() -> None:
    """Ten samples a second: the sixth gives the first rate, and half a second must be exceeded from there."""
    samples = [sample(index / 8.0, 100.0, 50.0 + 1.5 * index / 8.0) for index in range(12)]
    assert trips(RATE, samples) == {"ROCOF": 10.0 / 8.0}


def quick(hz_per_s: float, count: int, start_s: float = 0.0) -> list[GridSample]:
    """Sixty-four samples a second, whose times and ramps have no rounding."""
    return [sample(start_s + index / 64.0, 100.0, 50.0 + hz_per_s * index / 64.0) for index in range(count)]


@pytest.mark.parametrize(("window_s", "spacings"), [(0.2, 13), (0.25, 16)])
def test_the_window_is_kept_to_its_length(window_s: float, spacings: int) -> None:
    """Between the middles of its two ends a rate spans its window, and not a sample more."""
    code = toy(rocof=replace(ROCOF, window_s=window_s))
    memory = TripMemory()
    for index, item in enumerate(quick(1.5, 60)):
        memory, _ = trip_step(code, NOMINAL_V, memory, (item,), item.at_s, MAX_AGE_S)
        assert len(memory.points) == min(index + 1, spacings + 3)
        assert (memory.rate is not None) == (index >= spacings + 2)
    assert memory.points[-2][0] - memory.points[1][0] == spacings / 64.0


@pytest.mark.parametrize("start_s", [0.0, 1_024.0])
def test_the_delay_of_a_rate_begins_with_the_first_whole_window(start_s: float) -> None:
    """Thirteen spacings of 1/64 s are the first that span 0.2 s; the rate stands with the sixteenth
    sample.
    """
    assert trips(RATE, quick(1.5, 64, start_s)) == {"ROCOF": start_s + (15 + 33) / 64.0}


def test_a_window_short_by_a_microsecond_of_rounding_is_whole() -> None:
    def rate(end_s: float) -> Timer | None:
        times_s = (-0.05, 0.0, 0.05, 0.1, end_s, 0.3)
        return run(RATE, [sample(at_s, 100.0, 50.0 + 1.5 * at_s) for at_s in times_s])[0].rate

    assert rate(0.2 - FLOAT_NOISE_S) is not None
    assert rate(0.2 - 3 * FLOAT_NOISE_S) is None


def test_a_rate_exactly_at_the_limit_is_inside() -> None:
    for sign in (1.0, -1.0):
        assert not trips(RATE, quick(sign, 110))
        assert trips(RATE, quick(sign * 65.0 / 64.0, 110))


def test_a_limit_below_one_hertz_a_second_is_kept_like_any_other() -> None:
    gentle = toy(rocof=replace(ROCOF, hz_per_s=0.5))
    assert trips(gentle, quick(0.625, 110))
    assert not trips(gentle, quick(0.5, 110))


def test_two_samples_a_second_are_just_enough_for_a_rate() -> None:
    assert (
        trips(RATE, [sample(index * 0.5, 100.0, 51.9 - 1.5 * index * 0.5) for index in range(8)])["ROCOF"]
        == 3.5
    )


@pytest.mark.parametrize("step_s", [0.6, 1.0])
def test_a_slow_meter_claims_no_rate(step_s: float) -> None:
    memory, verdict = run(RATE, ramp(0.25, step_s, 8.0))
    assert not verdict.trips
    assert memory.rate is None
    assert len(memory.points) == 1


def test_a_swing_that_turns_is_no_sustained_rate() -> None:
    swing = [sample(t * 0.02, 100.0, 50.0 + 0.3 * (abs(t % 40 - 20) - 10) / 10.0) for t in range(400)]
    assert not trips(RATE, swing)


def test_unknown_frequency_does_not_stop_a_rate_that_runs() -> None:
    begun = ramp(1.5, 0.02, 0.6)
    silent = [sample(0.6 + t * 0.02, 100.0, None) for t in range(30)]
    assert "ROCOF" not in trips(RATE, begun)
    assert "ROCOF" in trips(RATE, begun + silent)


def test_the_memory_of_the_rate_is_bounded() -> None:
    memory, _ = run(RATE, ramp(0.0, 0.0001, 1.0))
    assert len(memory.points) == ROCOF_POINTS_MAX == 64
    memory, _ = run(RATE, ramp(0.0, 0.02, 5.0))
    assert len(memory.points) <= 16


# -- all of it
# ------------------------------------------------------------------------------

LEVELS = {"good": 100.0, "low": 70.0, "high": 130.0, "unknown": None}


def declared(symbols: tuple[str, ...], name: str, beyond: str) -> bool:
    """What a delay is, said in one sentence: beyond once, never known inside since, for longer than the
    delay.
    """
    delay_s = pickup_s(TOY, next(item for item in TOY.elements if item.id == name))
    return any(
        symbols[first] == beyond
        and last - first > delay_s
        and all(symbol in (beyond, "unknown") for symbol in symbols[first : last + 1])
        for first in range(len(symbols))
        for last in range(first, len(symbols))
    )


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6])
def test_every_short_sequence_trips_exactly_when_the_definition_says_so(length: int) -> None:
    for symbols in product(LEVELS, repeat=length):
        found = trips(TOY, [sample(float(t), LEVELS[symbol]) for t, symbol in enumerate(symbols)])
        assert ("UV" in found) == declared(symbols, "UV", "low"), symbols
        assert ("OV" in found) == declared(symbols, "OV", "high"), symbols
        assert not found.keys() - {"UV", "OV"}


volts = st.sampled_from([0.0, 60.0, 79.0, 81.0, 100.0, 119.0, 121.0, 140.0])
hertz = st.sampled_from([45.0, 47.9, 48.1, 50.0, 51.9, 52.1, 60.0])
courses = st.lists(st.tuples(volts, volts, volts, hertz), min_size=5, max_size=40)


@given(courses, st.floats(0.05, 1.0), st.data())
def test_making_a_value_unknown_never_loses_a_trip_nor_delays_it(
    course: list[tuple[float, float, float, float]], step_s: float, data: st.DataObject
) -> None:
    """Any values, but for those with which a delay began: what nobody saw can begin nothing, and is the
    stale rule's.
    """
    samples = [sample(index * step_s, (a, b, c), hz) for index, (a, b, c, hz) in enumerate(course)]
    memory, starts = TripMemory(), set()
    for index, item in enumerate(samples):
        before = memory.timers
        memory, _ = trip_step(TOY, NOMINAL_V, memory, (item,), item.at_s, MAX_AGE_S)
        if any(new and not old for new, old in zip(memory.timers, before or (None,) * 4, strict=True)):
            starts.add(index)
    blank = data.draw(st.sets(st.sampled_from(range(len(samples))))) - starts
    dirty = [sample(item.at_s, None, None) if index in blank else item for index, item in enumerate(samples)]
    with_all, with_gaps = trips(TOY, samples), trips(TOY, dirty)
    for name, at_s in with_all.items():
        assert with_gaps[name] <= at_s


@given(courses, st.floats(0.05, 1.0), st.data())
def test_taking_good_samples_away_never_loses_a_trip(
    course: list[tuple[float, float, float, float]], step_s: float, data: st.DataObject
) -> None:
    samples = [sample(index * step_s, (a, b, c), hz) for index, (a, b, c, hz) in enumerate(course)]
    good = [
        i
        for i, (a, b, c, hz) in enumerate(course)
        if all(80 <= v <= 120 for v in (a, b, c)) and 48 <= hz <= 52
    ]
    gone = data.draw(st.sets(st.sampled_from(good))) if good else set()
    left = [item for index, item in enumerate(samples) if index not in gone]
    end_s = samples[-1].at_s
    with_all, with_gaps = trips(TOY, samples, end_s), trips(TOY, left or [samples[0]], end_s)
    for name, at_s in with_all.items():
        assert with_gaps[name] <= at_s


@given(courses, st.floats(0.05, 1.0), st.lists(st.integers(0, 40), max_size=6))
def test_it_does_not_matter_how_samples_fall_into_ticks(
    course: list[tuple[float, float, float, float]], step_s: float, cuts: list[int]
) -> None:
    samples = [sample(index * step_s, (a, b, c), hz) for index, (a, b, c, hz) in enumerate(course)]
    whole, verdict = run(RATE, samples)
    memory, seen = TripMemory(), dict[str, Trip]()
    for start, end in pairwise(sorted({0, len(samples), *(cut for cut in cuts if cut < len(samples))})):
        part = tuple(samples[start:end])
        memory, some = trip_step(RATE, NOMINAL_V, memory, part, part[-1].at_s, MAX_AGE_S)
        for trip in some.trips:
            seen.setdefault(trip.element, trip)
    assert memory == whole
    assert seen == {trip.element: trip for trip in verdict.trips}


anything: st.SearchStrategy[Measured] = st.one_of(
    st.builds(Reading, st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True)),
    st.builds(Unknown, st.text(max_size=3)),
)


@settings(max_examples=200)
@given(
    st.lists(
        st.builds(GridSample, st.floats(allow_nan=True), st.tuples(anything, anything, anything), anything),
        max_size=8,
    ),
    st.floats(-1e9, 1e9),
    st.sampled_from([*(shipped_code(name) for name in code_names()), TOY, RATE, CEASING]),
)
def test_no_input_raises(samples: list[GridSample], now_s: float, code: GridCode) -> None:
    memory, verdict = trip_step(code, NOMINAL_V, TripMemory(), tuple(samples), now_s, MAX_AGE_S)
    trip_step(code, NOMINAL_V, memory, tuple(samples), now_s + 1.0, MAX_AGE_S)
    for trip in verdict.trips:
        assert describe(trip)


def test_the_threshold_may_sit_anywhere_the_site_file_puts_it() -> None:
    moved = replace(TOY, elements=(replace(TOY.elements[0], threshold=0.9), *TOY.elements[1:]))
    assert "UV" in trips(moved, every(0.1, 30, 89.0))
    assert "UV" not in trips(TOY, every(0.1, 30, 89.0))
