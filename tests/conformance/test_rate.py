"""T3: a sustained rate of change trips where the code has loss of mains by rate, and nothing else does."""

from math import sin
from typing import Any

import pytest

from tests.conformance.cases_file import load
from tests.conformance.grid import CODES, RATE_HZ, Rig, code_of
from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import GridSample

CASES = load("rate")
CYCLES = 5
NOISE_HZ = 0.002
"""Ripple on the measured frequency, at incommensurate periods so that no window averages it away."""


def ids(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES[kind]])


def run(rig: Rig, course: list[float], rate_hz: float) -> None:
    noisy = [hz + NOISE_HZ * sin(1.7 * index) for index, hz in enumerate(course)]
    rig.play([((1.0, 1.0, 1.0), hz) for hz in noisy], len(course) / rate_hz, rate_hz)


def ramp(profile: GridCode, case: dict[str, Any], rate_hz: float) -> list[float]:
    """To the start, the ramp, and back: the ways there and back are at 0.5 Hz/s."""
    nominal, start, end = profile.nominal_hz, case["start"], case["end"]
    course: list[float] = []
    for begin, target, hz_per_s in ((0.0, start, 0.5), (start, end, case["hz_per_s"]), (end, 0.0, 0.5)):
        count = round(abs(target - begin) / hz_per_s * rate_hz)
        course += [nominal + begin + (target - begin) * index / count for index in range(count)]
        course += [nominal + target] * round(rate_hz)
    return course


@pytest.mark.parametrize("rate_hz", [50.0, 10.0])
@ids("ramps")
@pytest.mark.parametrize("code", CODES)
def test_ramps(code: str, case: dict[str, Any], rate_hz: float) -> None:
    profile = code_of(code)
    rig = Rig(profile, running=True)
    rig.hold(2.0, rate_hz=rate_hz)
    run(rig, ramp(profile, case, rate_hz), rate_hz)
    assert set(rig.trips) == ({"ROCOF"} if code in case.get("trips", ()) else set())


def test_a_sustained_rate_trips_within_a_second() -> None:
    """Half a second of the element, a fifth of the window, and the median's delay of one sample at each
    end.
    """
    rig = Rig(code_of("g99"))
    rig.hold(2.0)
    begun_s = rig.now_s
    rig.play([((1.0, 1.0, 1.0), 50.0 - 1.2 * index / RATE_HZ) for index in range(2 * RATE_HZ)], 2.0, RATE_HZ)
    assert 0.5 < rig.trips["ROCOF"].at_s - begun_s < 0.8
    assert rig.trips["ROCOF"].value == pytest.approx(-1.2, abs=0.01)


@ids("phase_jumps")
@pytest.mark.parametrize("code", CODES)
def test_phase_jumps_are_no_rate_of_change(code: str, case: dict[str, Any]) -> None:
    profile = code_of(code)
    window_s = CYCLES / profile.nominal_hz
    pulse = [profile.nominal_hz + case["degrees"] / 360.0 / window_s] * round(window_s * RATE_HZ)
    back = [profile.nominal_hz - case["degrees"] / 360.0 / window_s] * round(window_s * RATE_HZ)
    rest = [profile.nominal_hz] * round(case["back_after_s"] * RATE_HZ - len(pulse))
    rig = Rig(profile, running=True)
    rig.hold(2.0)
    for _ in range(5):
        run(rig, pulse + rest + back + [profile.nominal_hz] * RATE_HZ, RATE_HZ)
    assert not rig.trips
    assert rig.share == 1.0


@pytest.mark.parametrize("rate_hz", [50.0, 10.0, 1.0])
@pytest.mark.parametrize("off_hz", CASES["single_samples"])
@pytest.mark.parametrize("code", CODES)
def test_a_single_wrong_sample_is_no_trip(code: str, off_hz: float, rate_hz: float) -> None:
    """Neither of frequency nor of rate, however far off, at every tenth sample."""

    def jump(sample: GridSample, index: int) -> GridSample:
        if index % 10 != 5 or not isinstance(sample.hz, Reading):
            return sample
        return GridSample(sample.at_s, sample.v, Reading(sample.hz.value + off_hz, sample.at_s))

    rig = Rig(code_of(code), running=True)
    rig.hold(20.0, rate_hz=rate_hz, corrupt=jump)
    assert not rig.trips
    assert rig.share == 1.0
