"""The way back to export: never without the whole wait, never on missing data, never faster than the ramp."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.envelope.grids import MAX_AGE_S, NOMINAL_V, enter_service, sample, toy
from v2g_edge.config.gridcode import code_names, shipped_code
from v2g_edge.envelope.enter_service import HOLD_S, ServiceMemory, ServiceVerdict, service_step
from v2g_edge.envelope.gridtrip import FLOAT_NOISE_S, TripMemory, describe, trip_step
from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import GridSample

TOY = toy()
"""Window 90-110 V, 49.5-50.5 Hz; delay 10 s; ramp 20 s."""
IN_SERVICE = ServiceMemory(state="in_service", cause="", chance=0.0, since_s=0.0, seen_s=0.0, last_s=0.0)


def step(
    memory: ServiceMemory,
    now_s: float,
    *samples: GridSample,
    code: GridCode = TOY,
    trip: str = "",
    permitted: bool = True,
    chance: float = 0.0,
) -> tuple[ServiceMemory, ServiceVerdict]:
    return service_step(
        code, NOMINAL_V, memory, samples, now_s, MAX_AGE_S, trip=trip, permitted=permitted, chance=chance
    )


def good_until(
    memory: ServiceMemory, start_s: float, end_s: float, code: GridCode = TOY
) -> tuple[ServiceMemory, ServiceVerdict]:
    """One good sample and one tick a second, from ``start_s`` through ``end_s``."""
    verdict = step(memory, start_s, code=code)[1]
    for index in range(round(end_s - start_s) + 1):
        memory, verdict = step(memory, start_s + index, sample(start_s + index), code=code)
    return memory, verdict


def test_it_starts_out_of_service_whatever_the_grid_says() -> None:
    memory, verdict = step(ServiceMemory(), 5.0, sample(5.0))
    assert (verdict.state, verdict.share) == ("waiting", 0.0)
    assert "started" in verdict.cause
    assert good_until(memory, 6.0, 15.0)[1].share == 0.0


def test_delay_then_ramp_then_service() -> None:
    memory, verdict = good_until(ServiceMemory(chance=0.0), 0.0, 10.0)
    assert (verdict.state, verdict.wait_s) == ("waiting", 0.0)
    memory, verdict = good_until(memory, 11.0, 11.0)
    assert (verdict.state, verdict.share) == ("ramping", 0.0)
    shares = []
    for at_s in range(12, 32):
        memory, verdict = step(memory, float(at_s), sample(float(at_s)))
        shares.append(verdict.share)
    assert shares == pytest.approx([index / 20.0 for index in range(1, 21)])
    assert verdict == ServiceVerdict("in_service", 1.0, 0.0, "")


def test_the_ramp_stands_still_while_the_grid_is_outside_the_window() -> None:
    memory, _ = good_until(ServiceMemory(chance=0.0), 0.0, 11.0)
    memory, verdict = good_until(memory, 12.0, 16.0)
    assert verdict.share == pytest.approx(0.25)
    for at_s in range(17, 27):
        memory, verdict = step(memory, float(at_s), sample(float(at_s), 85.0))
        assert verdict.state == "ramping"
        assert verdict.share == pytest.approx(0.25)
    memory, verdict = good_until(memory, 27.0, 41.0)
    assert verdict.share == 1.0


def test_without_ramp_service_is_whole_after_the_wait() -> None:
    code = toy(enter=enter_service(delay_s=10.0, ramp_s=0.0))
    assert good_until(ServiceMemory(chance=0.0), 0.0, 11.0, code)[1].share == 1.0


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_the_random_wait_comes_after_the_delay(chance: float) -> None:
    code = toy(enter=enter_service(delay_s=10.0, ramp_s=0.0, random_delay_s=40.0))
    memory, _ = step(ServiceMemory(), 0.0, trip="test", chance=chance)
    wait_s = 10.0 + 40.0 * chance
    memory, verdict = good_until(memory, 1.0, 1.0 + wait_s, code)
    assert verdict.share == 0.0
    assert good_until(memory, 2.0 + wait_s, 2.0 + wait_s, code)[1].share == 1.0


def test_even_a_code_without_delay_waits_a_little() -> None:
    code = toy(enter=enter_service(delay_s=0.0, ramp_s=0.0))
    memory, verdict = good_until(ServiceMemory(chance=0.0), 0.0, HOLD_S, code)
    assert verdict.share == 0.0
    assert good_until(memory, HOLD_S + 1.0, HOLD_S + 1.0, code)[1].share == 1.0


OUTSIDE = [
    (89.9, 50.0),
    (110.1, 50.0),
    (100.0, 49.4),
    (100.0, 50.6),
    ((100.0, 100.0, 80.0), 50.0),
    ((100.0, None, 100.0), 50.0),
    (100.0, None),
    (float("nan"), 50.0),
    (100.0, float("nan")),
]


@pytest.mark.parametrize(("v", "hz"), OUTSIDE)
def test_any_excursion_starts_the_delay_again(
    v: float | tuple[float | None, float | None, float | None], hz: float | None
) -> None:
    memory, _ = good_until(ServiceMemory(chance=0.0), 0.0, 9.0)
    memory, verdict = step(memory, 9.5, sample(9.5, v, hz))
    assert verdict.wait_s == 10.0
    assert "outside the window" in verdict.cause
    memory, verdict = good_until(memory, 10.0, 20.0)
    assert verdict.share == 0.0
    assert good_until(memory, 21.0, 22.0)[1].share > 0.0


@pytest.mark.parametrize(
    ("v", "hz"), [(0.9 * NOMINAL_V, 50.0), (1.1 * NOMINAL_V, 50.0), (100.0, 49.5), (100.0, 50.5)]
)
def test_the_edges_of_the_window_are_inside(v: float, hz: float) -> None:
    memory = ServiceMemory(chance=0.0)
    for at_s in range(12):
        memory, verdict = step(memory, float(at_s), sample(float(at_s), v, hz))
    assert verdict.state == "ramping"


def test_an_excursion_in_service_is_the_trip_elements_business() -> None:
    _, verdict = step(IN_SERVICE, 1.0, sample(1.0, 85.0))
    assert verdict.share == 1.0


@pytest.mark.parametrize("state", ["waiting", "ramping", "in_service"])
def test_trip_permit_and_silence_end_service_in_the_same_tick(state: str) -> None:
    memory = ServiceMemory(state=state, cause="", since_s=0.0, seen_s=0.0, last_s=0.0, chance=0.0)  # type: ignore[arg-type]
    for verdict in (
        step(memory, 1.0, sample(1.0), trip="UV: 50 V")[1],
        step(memory, 1.0, sample(1.0), permitted=False)[1],
        step(memory, 2.1)[1],
        step(memory, 2.1, sample(2.1, None))[1],
    ):
        assert (verdict.state, verdict.share) == ("waiting", 0.0)
    assert "UV: 50 V" in step(memory, 1.0, sample(1.0), trip="UV: 50 V")[1].cause
    assert "not permitted" in step(memory, 1.0, sample(1.0), permitted=False)[1].cause
    assert "2.1 s old" in step(memory, 2.1)[1].cause
    assert "no complete grid sample" in step(ServiceMemory(), 2.1)[1].cause
    seen = ServiceMemory(state=state, cause="", since_s=90.0, seen_s=100.0, last_s=100.0)  # type: ignore[arg-type]
    assert "last complete grid sample 2.5 s old" in step(seen, 102.5)[1].cause


def test_a_short_silence_in_service_is_nothing() -> None:
    memory, verdict = step(IN_SERVICE, 2.0)
    assert verdict.share == 1.0
    assert step(memory, 2.5, sample(1.9))[1].share == 1.0


def test_a_gap_between_samples_starts_the_delay_again_even_within_one_tick() -> None:
    memory, _ = good_until(ServiceMemory(chance=0.0), 0.0, 9.0)
    memory, verdict = step(memory, 12.0, sample(11.5), sample(12.0))
    assert verdict.wait_s == pytest.approx(9.5)


def test_samples_exactly_the_stale_age_apart_are_unbroken() -> None:
    memory, _ = step(ServiceMemory(chance=0.0), 0.0, sample(0.0))
    for at_s in (2.0, 4.0, 6.0, 8.0, 10.0, 12.0):
        memory, verdict = step(memory, at_s, sample(at_s))
    assert verdict.state == "ramping"
    assert step(IN_SERVICE, 2.0, sample(2.0))[1].share == 1.0


def test_a_second_tick_at_the_same_time_changes_nothing() -> None:
    memory, verdict = good_until(ServiceMemory(chance=0.0), 0.0, 9.0)
    assert step(memory, 9.0) == (memory, verdict)
    assert step(IN_SERVICE, 0.0)[1].share == 1.0


def test_without_a_number_drawn_the_random_wait_is_the_longest() -> None:
    assert ServiceMemory().chance == 1.0
    assert HOLD_S == 5.0


def test_the_wait_is_exceeded_by_more_than_the_clocks_rounding_and_the_ramp_ends_within_it() -> None:
    inside = ServiceMemory(chance=0.0, since_s=0.0, seen_s=10.0, last_s=10.0)
    for late_s, state in ((FLOAT_NOISE_S, "waiting"), (3 * FLOAT_NOISE_S, "ramping")):
        assert step(inside, 10.0 + late_s, sample(10.0 + late_s))[1].state == state
    for missing_s, state in ((FLOAT_NOISE_S, "in_service"), (3 * FLOAT_NOISE_S, "ramping")):
        memory = ServiceMemory("ramping", "", 0.0, 0.0, 50.0, 50.0, tick_s=50.0, ramped_s=20.0 - missing_s)
        assert step(memory, 50.0)[1].state == state


def test_the_wait_that_is_left_is_told() -> None:
    memory, verdict = good_until(ServiceMemory(chance=0.0), 0.0, 4.0)
    assert verdict.wait_s == 6.0
    assert "in the window, 6 s to go" in verdict.cause
    assert step(memory, 4.5)[1].wait_s == 5.5
    assert good_until(memory, 5.0, 11.0)[1].wait_s == 0.0


def test_the_wait_is_counted_to_the_last_sample_seen() -> None:
    memory, _ = good_until(ServiceMemory(chance=0.0), 0.0, 10.0)
    assert step(memory, 11.9)[1].share == 0.0
    assert step(memory, 11.9)[1].state == "waiting"


def test_old_and_future_samples_are_none() -> None:
    memory, _ = good_until(ServiceMemory(chance=0.0), 0.0, 9.0)
    for stray in (sample(5.0, 50.0), sample(9.0, 50.0), sample(99.0, 50.0)):
        assert step(memory, 9.5, stray) == step(memory, 9.5)


def test_a_clock_set_back_is_a_start() -> None:
    memory, verdict = step(IN_SERVICE, -5.0, sample(-5.0))
    assert verdict.share == 0.0
    assert "clock" in verdict.cause
    assert good_until(memory, -4.0, 5.0)[1].share == 0.0


def test_memory_from_before_a_restart_does_not_shorten_the_wait() -> None:
    """The daemon makes a new memory; and even the old one, after a pause, waits for the whole delay."""
    before = ServiceMemory(
        state="in_service", cause="", chance=0.0, since_s=100.0, seen_s=100.0, last_s=100.0
    )
    memory, verdict = good_until(before, 600.0, 610.0)
    assert verdict.share == 0.0
    assert "no complete grid sample for 500.0 s" in verdict.cause
    assert good_until(memory, 611.0, 612.0)[1].share > 0.0


# -- every short sequence, against the definition
# --------------------------------------------------------------------------

SYMBOLS = ("good", "out", "unknown", "silent", "trip", "off")
SYMBOL_S = 3.0
STEP_S = 1.0
SHORT = toy(enter=enter_service(delay_s=0.0, ramp_s=0.0))
"""Five seconds of hold: two good symbols of three seconds are enough, one is not."""


def play(symbols: tuple[str, ...]) -> list[float]:
    """The share at the end of each symbol."""
    memory, shares, now_s, share = ServiceMemory(chance=0.0), [], 0.0, 0.0
    for symbol in symbols:
        for _ in range(round(SYMBOL_S / STEP_S)):
            now_s += STEP_S
            samples = {"out": [sample(now_s, 50.0)], "unknown": [sample(now_s, None)], "silent": []}.get(
                symbol, [sample(now_s)]
            )
            trip, permitted = "trip" if symbol == "trip" else "", symbol != "off"
            memory, verdict = step(memory, now_s, *samples, code=SHORT, trip=trip, permitted=permitted)
            share = verdict.share
        shares.append(share)
    return shares


def declared(symbols: tuple[str, ...], index: int) -> bool:
    """In service at the end of a symbol: three good ones in a row at some time before (the first sample of
    a row starts the wait, so two span five seconds exactly), and since then nothing but good grid or an
    excursion that no element trips on.
    """
    last_end = max(
        (i for i in range(index + 1) if symbols[i] in ("unknown", "silent", "trip", "off")), default=-1
    )
    run = 0
    for symbol in symbols[last_end + 1 : index + 1]:
        run = run + 1 if symbol == "good" else 0
        if run == 3:
            return True
    return False


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_every_short_sequence_is_in_service_exactly_when_the_definition_says_so(length: int) -> None:
    for symbols in product(SYMBOLS, repeat=length):
        shares = play(symbols)
        assert [share == 1.0 for share in shares] == [declared(symbols, index) for index in range(length)], (
            symbols
        )


# -- properties
# ------------------------------------------------------------------------------------------------------------

courses = st.lists(
    st.sampled_from(["good", "good", "good", "good", "out", "unknown", "silent", "trip", "off"]),
    min_size=20,
    max_size=60,
)
FAST = toy(enter=enter_service(delay_s=6.0, ramp_s=4.0))


def shares(course: list[str], blank: set[int], gone: set[int]) -> list[float]:
    """One symbol a second; ``blank`` samples are unknown, ``gone`` ones never came."""
    memory, found = ServiceMemory(chance=0.0), []
    for index, symbol in enumerate(course):
        now_s = float(index)
        samples = (
            [] if symbol == "silent" or index in gone else [sample(now_s, 50.0 if symbol == "out" else 100.0)]
        )
        if symbol == "unknown" or index in blank:
            samples = [sample(now_s, None)] if samples else []
        trip = "trip" if symbol == "trip" else ""
        memory, verdict = step(memory, now_s, *samples, code=FAST, trip=trip, permitted=symbol != "off")
        found.append(verdict.share)
    return found


@settings(max_examples=300)
@given(courses, st.data())
def test_less_data_never_means_more_export(course: list[str], data: st.DataObject) -> None:
    """Any sample may turn unknown, any good one may get lost: at no time is the share larger for it.

    (A sample that says "unknown" is not taken away: it says more than a short silence, which is nothing.)
    """
    blank = data.draw(st.sets(st.integers(0, len(course) - 1)))
    good = [index for index, symbol in enumerate(course) if symbol not in ("out", "unknown")]
    gone = data.draw(st.sets(st.sampled_from(good))) if good else set()
    whole, part = shares(course, set(), set()), shares(course, blank, gone)
    assert all(less <= more for less, more in zip(part, whole, strict=True))


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True),
            st.floats(allow_nan=True),
            st.floats(allow_nan=True),
            st.floats(allow_nan=True),
        ),
        max_size=6,
    ),
    st.floats(-1e9, 1e9),
    st.sampled_from([shipped_code(name) for name in code_names()]),
)
def test_no_input_raises_and_the_share_is_a_share(
    values: list[tuple[float, float, float, float]], now_s: float, code: GridCode
) -> None:
    samples = [
        GridSample(at_s, (Reading(v, at_s),) * 3, Reading(hz, stamp_s)) for at_s, v, hz, stamp_s in values
    ]
    memory, verdict = step(IN_SERVICE, now_s, *samples, code=code)
    assert 0.0 <= verdict.share <= 1.0
    assert 0.0 <= step(memory, now_s + 1.0, *samples, code=code)[1].share <= 1.0


# -- trips and enter service together
# --------------------------------------------------------------------------------------


class GridMachine(RuleBasedStateMachine):
    """The two steps as the pipeline calls them, under anything a grid and a meter can do, against a
    bookkeeping of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trip_memory = TripMemory()
        self.service_memory = ServiceMemory(chance=0.0)
        self.now_s = 0.0
        self.bad_s = 0.0  # the last time anything was wrong, missing, forbidden or outside the window
        self.seen_s = 0.0
        self.share = 0.0
        self.rose = 0.0
        self.wrong_now = True

    def tick(self, samples: list[GridSample], *, permitted: bool = True, fine: bool) -> None:
        self.trip_memory, verdict = trip_step(
            FAST, NOMINAL_V, self.trip_memory, tuple(samples), self.now_s, MAX_AGE_S
        )
        trip = "; ".join(describe(item) for item in verdict.trips)
        before, was_waiting = self.share, self.service_memory.state == "waiting"
        self.service_memory, service = step(
            self.service_memory, self.now_s, *samples, code=FAST, trip=trip, permitted=permitted
        )
        self.share, self.rose = service.share, service.share - before
        self.wrong_now = bool(trip) or not permitted
        if not fine or trip:
            self.bad_s = self.now_s
        for at_s in (item.at_s for item in samples if isinstance(item.hz, Reading)):
            self.bad_s = at_s if at_s - self.seen_s > MAX_AGE_S else self.bad_s
            self.seen_s = at_s
        if was_waiting and service.state != "waiting":
            # The whole delay lies behind the last thing that was wrong.
            assert self.now_s - self.bad_s > 6.0
        if self.rose > 0.0:
            assert self.bad_s < self.now_s

    @rule(seconds=st.integers(1, 15))
    def healthy(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            self.tick([sample(self.now_s - 0.5), sample(self.now_s)], fine=True)
            self.check()

    @rule(
        v=st.sampled_from([0.0, 70.0, 85.0, 115.0, 125.0]),
        hz=st.sampled_from([47.0, 50.0, 53.0]),
        seconds=st.integers(1, 4),
    )
    def disturbed(self, v: float, hz: float, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            self.tick(
                [sample(self.now_s - 0.5, (100.0, v, 100.0), hz), sample(self.now_s, (100.0, v, 100.0), hz)],
                fine=False,
            )
            self.check()

    @rule(seconds=st.integers(1, 4), answers=st.booleans())
    def blind(self, seconds: int, answers: bool) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            self.tick([sample(self.now_s, None, None)] if answers else [], fine=not answers)
            self.check()

    @rule()
    def forbidden(self) -> None:
        self.now_s += 1.0
        self.tick([sample(self.now_s)], permitted=False, fine=False)
        self.check()

    @rule()
    def restarted(self) -> None:
        self.trip_memory, self.service_memory = TripMemory(), ServiceMemory(chance=0.0)
        self.share = self.rose = 0.0
        self.bad_s = self.now_s

    @rule(back_s=st.floats(1.0, 1e6))
    def clock_set_back(self, back_s: float) -> None:
        self.now_s -= back_s
        self.bad_s = self.seen_s = self.now_s
        self.tick([], fine=False)
        self.check()

    @invariant()
    def check(self) -> None:
        assert 0.0 <= self.share <= 1.0
        if self.wrong_now or self.now_s - self.seen_s > MAX_AGE_S:
            assert self.share == 0.0
        assert self.rose <= 1.0 / 4.0 + 1e-9


TestGridMachine = GridMachine.TestCase
TestGridMachine.settings = settings(max_examples=120, stateful_step_count=30)
