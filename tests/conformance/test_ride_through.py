"""T2: what must be ridden through is ridden through, in one phase and in all, and export is back with the
voltage.
"""

from typing import Any

import pytest

from tests.conformance.cases_file import load
from tests.conformance.grid import CODES, RATE_HZ, Rig, Volts, code_of

CASES = load("ride_through")
FINE_S = 1.5
"""The first and last seconds of a step are sampled at 50 Hz; the middle of a long one at 4 Hz proves the
same.
"""


def rows() -> list[Any]:
    return [
        pytest.param(code, case, phase, id=f"{code}-{case['name']}-{phase}")
        for code in CODES
        for case in CASES[code]["sequences"]
        for phase in (("all", "L1", "L2", "L3") if any(level < 2.0 for level, _ in case["steps"]) else ("f",))
    ]


def volts(value: float, phase: str) -> Volts:
    return (
        value if phase in ("L1", "all") else 1.0,
        value if phase in ("L2", "all") else 1.0,
        value if phase in ("L3", "all") else 1.0,
    )


def hold(rig: Rig, level: float, seconds: float, phase: str) -> None:
    fine_s = min(FINE_S, seconds / 2.0)
    for part_s, rate_hz in ((fine_s, RATE_HZ), (seconds - 2.0 * fine_s, 4), (fine_s, RATE_HZ)):
        if part_s > 0.0 and level < 2.0:
            rig.hold(part_s, volts(level, phase), rate_hz=rate_hz)
        elif part_s > 0.0:
            rig.hold(part_s, hz=level, rate_hz=rate_hz)


def slew(rig: Rig, start: float, end: float, hz_per_s: float) -> None:
    """A ramp between two frequencies: a jump would be a rate of change of its own."""
    seconds = abs(end - start) / hz_per_s
    count = round(seconds * RATE_HZ)
    course = [((1.0, 1.0, 1.0), start + (end - start) * index / count) for index in range(count)]
    if course:
        rig.play(course, count / RATE_HZ, RATE_HZ)


@pytest.mark.parametrize(("code", "case", "phase"), rows())
def test_rides_through(code: str, case: dict[str, Any], phase: str) -> None:
    profile = code_of(
        code, **{key.replace(".", "__"): value for key, value in case.get("overrides", {}).items()}
    )
    rig = Rig(profile, tick_s=0.1, running=True)
    rig.hold(5.0)
    hz = profile.nominal_hz
    for _ in range(case.get("times", 1)):
        for index, (level, seconds) in enumerate(case["steps"]):
            rig.ceased.clear()
            if case.get("slew_hz_per_s") and level > 2.0:
                slew(rig, hz, level, case["slew_hz_per_s"])
                hz = level
            hold(rig, level, seconds, phase)
            assert not rig.trips
            assert rig.share == 1.0
            assert bool(rig.ceased) == (index in case.get("ceases", ()))
            assert bool(rig.trip_memory.ceasing) == (index in case.get("ceases", ()))
    assert all(verdict.share == 1.0 for _, verdict in rig.verdicts)
