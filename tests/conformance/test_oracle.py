"""EPRI's OpenDER as the oracle for IEEE 1547-2018: the same defaults, the same trips on random grids, the
same return to service.

OpenDER models the inverter, so it is given our supervisory delays where the question is *how* we count, and
its own clearing times where the question is whether we are in time.
"""

import logging
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from opender import DER, DER_PV, DERCommonFileFormat

from tests.conformance.grid import Rig, Volts, code_of
from v2g_edge.config.gridcode import shipped_code
from v2g_edge.envelope.gridtrip import pickup_s
from v2g_edge.model.gridcode import GridCode

CATEGORIES = {"ieee1547_2018_cat1": "CAT_I", "ieee1547_2018_cat2": "CAT_II", "ieee1547_2018_cat3": "CAT_III"}
STEP_S = 0.02
VOLTS = (
    0.0,
    0.2,
    0.29,
    0.4,
    0.44,
    0.48,
    0.6,
    0.66,
    0.72,
    0.86,
    0.9,
    1.0,
    1.04,
    1.08,
    1.12,
    1.16,
    1.19,
    1.22,
    1.4,
)
HERTZ = (56.0, 56.4, 57.2, 58.4, 59.0, 60.0, 60.0, 60.0, 60.9, 61.3, 61.9, 62.1, 64.0)
MILD_VOLTS = tuple(v for v in VOLTS if 0.6 <= v < 1.2)
MILD_HERTZ = tuple(hz for hz in HERTZ if 57.0 <= hz < 62.0)
SPANS_S = (0.04, 0.1, 0.14, 0.16, 0.18, 0.3, 0.7, 1.0, 1.7, 1.8, 1.9, 3.0, 8.0, 12.1, 20.3)
TRACES = 12
LONGEST_S = 45.0


@pytest.fixture(autouse=True)
def _opender() -> Iterator[None]:
    """Its time step is a global, and it logs a warning for each of our delays that no inverter may be set
    to.
    """
    logging.disable(logging.WARNING)
    before = DER.t_s
    DER.t_s = STEP_S
    yield
    DER.t_s = before
    logging.disable(logging.NOTSET)


def settings(code: str) -> Any:
    return DERCommonFileFormat(NP_ABNORMAL_OP_CAT=CATEGORIES[code], NP_PHASE="THREE")


def inverter(file: Any, v: float = 1.0, hz: float = 60.0) -> Any:
    """An OpenDER inverter with half its power behind it."""
    der = DER_PV(file)
    feed(der, (v, v, v), hz)
    return der


def feed(der: Any, volts: Volts, hz: float) -> str:
    der.update_der_input(v_pu=list(volts), f=hz, p_dc_pu=0.5)
    der.run()
    return str(der.der_status)


def unit(element_id: str) -> str:
    return "F" if element_id[1] == "F" else "V"


@pytest.mark.parametrize("code", CATEGORIES)
def test_the_defaults_are_those_of_opender(code: str) -> None:
    file, profile = settings(code), shipped_code(code)
    for element in profile.elements:
        assert float(getattr(file, f"{element.id}_TRIP_{unit(element.id)}")) == element.threshold
        assert float(getattr(file, f"{element.id}_TRIP_T")) == element.time_s
    enter = profile.enter_service
    assert (enter.v_lo_pu, enter.v_hi_pu) == (file.ES_V_LOW, file.ES_V_HIGH)
    assert (enter.f_lo_hz, enter.f_hi_hz) == (file.ES_F_LOW, file.ES_F_HIGH)
    assert (enter.delay_s, enter.ramp_s) == (file.ES_DELAY, file.ES_RAMP_RATE)


def counting_as_we_do(file: Any, profile: GridCode) -> None:
    """OpenDER trips at the n-th sample beyond when n·step ≥ T, we when (n-1)·step > T: the T that makes
    both the same n.
    """
    for element in profile.elements:
        samples = int(pickup_s(profile, element) / STEP_S + 1e-6) + 2
        setattr(file, f"{element.id}_TRIP_T", (samples - 0.5) * STEP_S)


def trace(seed: int) -> list[tuple[Volts, float]]:
    """Steps of voltage (one phase, two, all) and frequency after a second of health, and a collapse at the
    end.

    Two traces of three stay away from the fast elements, so that the slow ones have their time.
    """
    random = Random(seed)
    levels, hertz = (MILD_VOLTS, MILD_HERTZ) if seed % 3 else (VOLTS, HERTZ)
    course: list[tuple[Volts, float]] = [((1.0, 1.0, 1.0), 60.0)] * 50
    while len(course) * STEP_S < LONGEST_S:
        level = random.choice(levels)
        other = random.choice((level, level, 1.0, random.choice(levels)))
        volts = [level, other, random.choice((level, 1.0))]
        random.shuffle(volts)
        hz = random.choice(hertz) if random.random() < 0.3 else 60.0
        course += [((volts[0], volts[1], volts[2]), hz)] * round(random.choice(SPANS_S) / STEP_S)
    return course + [((0.3, 0.3, 0.3), 60.0)] * round(12.0 / STEP_S)


@pytest.mark.parametrize("seed", range(TRACES))
@pytest.mark.parametrize("code", CATEGORIES)
def test_random_grids_trip_at_the_same_sample(code: str, seed: int) -> None:
    profile = code_of(code)
    file = settings(code)
    counting_as_we_do(file, profile)
    der, course = inverter(file), trace(seed)
    theirs = next((index for index, (volts, hz) in enumerate(course) if feed(der, volts, hz) == "Trip"), None)
    rig = Rig(profile)
    begun_s = rig.now_s
    rig.play(course, len(course) * STEP_S, 1.0 / STEP_S)
    ours = min((round((trip.at_s - begun_s) / STEP_S) for trip in rig.trips.values()), default=None)
    assert ours == theirs
    assert ours is not None


@pytest.mark.parametrize("seed", range(TRACES, TRACES + 4))
@pytest.mark.parametrize("code", CATEGORIES)
def test_on_random_grids_we_are_never_later_than_the_inverter(code: str, seed: int) -> None:
    """With its own clearing times: where ride-through lasts as long as the clearing time, two samples are
    allowed.
    """
    der, course = inverter(settings(code)), trace(seed)
    theirs = next(
        (index for index, (volts, hz) in enumerate(course) if feed(der, volts, hz) == "Trip"), len(course)
    )
    rig = Rig(code_of(code))
    begun_s = rig.now_s
    rig.play(course, len(course) * STEP_S, 1.0 / STEP_S)
    ours = min((round((trip.at_s - begun_s) / STEP_S) for trip in rig.trips.values()), default=len(course))
    assert ours <= theirs + 2


@pytest.mark.parametrize("hz", [58.4, 57.1, 61.3, 61.9])
@pytest.mark.parametrize("code", CATEGORIES)
def test_the_slow_frequency_elements_are_in_time(code: str, hz: float) -> None:
    """Between the end of ride-through (299 s) and the inverter's own trip (300 s), sampled twice a second."""
    DER.t_s = 0.5
    der = inverter(settings(code))
    theirs = next(index for index in range(700) if feed(der, (1.0, 1.0, 1.0), hz) == "Trip") * DER.t_s
    rig = Rig(code_of(code))
    begun_s = rig.now_s
    rig.hold(301.0, hz=hz, rate_hz=2.0)
    ours = min(trip.at_s for trip in rig.trips.values()) - begun_s
    assert 299.0 < ours <= theirs + DER.t_s


@pytest.mark.parametrize("level", [0.0, 0.3, 0.49, 0.51, 0.7, 0.9, 1.0, 1.09, 1.11, 1.15, 1.19])
@pytest.mark.parametrize("code", CATEGORIES)
def test_momentary_cessation_is_where_opender_ceases(code: str, level: float) -> None:
    """In category III; the other two cease only by tripping."""
    der = inverter(settings(code))
    status = [feed(der, (1.0, level, 1.0), 60.0) for _ in range(10)][-1]
    rig = Rig(code_of(code))
    rig.hold(0.2, (1.0, level, 1.0))
    assert bool(rig.trip_memory.ceasing) == (status == "Momentary Cessation")


RETURNS = [
    pytest.param(300.0, 300.0, 0.90, 60.0, id="default, after undervoltage"),
    pytest.param(300.0, 300.0, 1.06, 60.0, id="default, after overvoltage"),
    pytest.param(60.0, 30.0, 1.0, 59.4, id="1 min, after underfrequency"),
    pytest.param(600.0, 1000.0, 1.0, 60.2, id="10 min, after overfrequency"),
]


@pytest.mark.parametrize(("delay_s", "ramp_s", "v", "hz"), RETURNS)
@pytest.mark.parametrize("code", CATEGORIES)
def test_return_to_service_is_not_before_opender_and_not_much_later(
    code: str, delay_s: float, ramp_s: float, v: float, hz: float
) -> None:
    """From outside the window, in for 20 s, out for 1 s, in for good: the same delay from the same second."""
    DER.t_s = 0.5
    file = settings(code)
    file.ES_DELAY, file.ES_RAMP_RATE, file.STATUS_INIT = delay_s, ramp_s, False
    der = inverter(file, v, hz)
    outside, inside = ((v, v, v), hz), ((1.0, 1.0, 1.0), 60.0)
    course = [outside] * 20 + [inside] * 40 + [outside] * 2 + [inside] * round(2.0 * (delay_s + 10.0))
    theirs = next(index for index, (volts, f) in enumerate(course) if feed(der, volts, f) != "Trip") * DER.t_s
    rig = Rig(code_of(code, enter_service__delay_s=delay_s, enter_service__ramp_s=ramp_s), tick_s=0.5)
    begun_s = rig.now_s
    rig.play(course, len(course) * DER.t_s, 1.0 / DER.t_s)
    ours = next(at_s for at_s, verdict in rig.verdicts if verdict.state != "waiting") - begun_s
    assert theirs <= ours <= theirs + 2.5
