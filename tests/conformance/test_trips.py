"""T1: every must-trip element, in magnitude and time, each phase and all together."""

from typing import Any

import pytest

from tests.conformance.cases_file import load
from tests.conformance.grid import CODES, RATE_HZ, Rig, Volts, code_of
from v2g_edge.model.gridcode import GridCode

CASES = load("trips")
EARLIEST = 0.9
"""A trip before this share of the clearing time would be an element of our own, not a backup of the
code's.
"""
LONG_S = 21.0
REPEATS = 5


def is_volt(case: dict[str, Any]) -> bool:
    return bool(case["base"] < 2.0)


def phases(case: dict[str, Any]) -> tuple[str, ...]:
    return ("L1", "L2", "L3", "all") if is_volt(case) else ("f",)


def rows(overridden: bool = True) -> list[Any]:
    return [
        pytest.param(
            code,
            case,
            phase,
            id=f"{code}-{case['element']}-{case['beyond']:g}-{case['clearing_s']:g}s-{phase}",
        )
        for code in CODES
        for case in CASES[code]["cases"]
        if overridden or "overrides" not in case
        for phase in phases(case)
    ]


def volts(value: float, phase: str) -> Volts:
    """``value`` in one phase and nominal in the others, or in all."""
    return (
        value if phase in ("L1", "all") else 1.0,
        value if phase in ("L2", "all") else 1.0,
        value if phase in ("L3", "all") else 1.0,
    )


def put(
    rig: Rig, case: dict[str, Any], value: float, phase: str, seconds: float, rate_hz: float = RATE_HZ
) -> None:
    if is_volt(case):
        rig.hold(seconds, volts(value, phase), rate_hz=rate_hz)
    else:
        rig.hold(seconds, hz=value, rate_hz=rate_hz)


def armed(code: str, case: dict[str, Any]) -> GridCode:
    return code_of(
        code, **{key.replace(".", "__"): value for key, value in case.get("overrides", {}).items()}
    )


def latest_s(case: dict[str, Any]) -> float:
    """The clearing time, or one sample after a ride-through that lasts as long."""
    rides_s = case.get("rides_s", 0.0)
    return float(max(case["clearing_s"], rides_s + 1.0 / RATE_HZ if rides_s else 0.0)) + 1e-6


@pytest.mark.parametrize(("code", "case", "phase"), rows())
def test_trips_beyond_the_setting_within_the_clearing_time_and_not_before_it(
    code: str, case: dict[str, Any], phase: str
) -> None:
    rig = Rig(armed(code, case))
    latest = latest_s(case)
    element = case["element"]
    for _ in range(REPEATS if latest <= LONG_S else 1):
        rig.trips.clear()
        rig.hold(0.5)
        put(
            rig,
            case,
            case["base"],
            phase,
            case["clearing_s"] * 1.02 + 0.04,
            2 if case["clearing_s"] > 1.0 else RATE_HZ,
        )
        assert element not in rig.trips
        begun_s = rig.now_s
        coarse_s = max(0.0, 0.5 * (2 * EARLIEST * latest // 1.0) - 1.0)
        if coarse_s:
            put(rig, case, case["beyond"], phase, coarse_s, 2)
        put(rig, case, case["beyond"], phase, latest + 0.1 - coarse_s)
        trip = rig.trips[element]
        assert EARLIEST * case["clearing_s"] < trip.at_s - begun_s <= latest
        assert trip.at_s - begun_s >= case.get("rides_s", 0.0)
        assert trip.elapsed_s == pytest.approx(trip.at_s - begun_s, abs=1e-6)


@pytest.mark.parametrize(("code", "case", "phase"), rows(overridden=False))
def test_one_sample_back_inside_resets_the_delay(code: str, case: dict[str, Any], phase: str) -> None:
    """Twice nine tenths of the clearing time with one good sample between is no trip: delays do not
    accumulate.
    """
    rig = Rig(armed(code, case))
    almost_s = EARLIEST * max(case["clearing_s"], case.get("rides_s", 0.0))
    rate_hz = 4 if almost_s > 2.0 else RATE_HZ
    for _ in range(3):
        put(rig, case, case["beyond"], phase, almost_s, rate_hz)
        rig.hold(1.0 / RATE_HZ)
    assert case["element"] not in rig.trips


@pytest.mark.parametrize("rate_hz", [10.0, 1.0])
@pytest.mark.parametrize(
    ("code", "case", "phase"), [row for row in rows(overridden=False) if row.values[2] in ("all", "f")]
)
def test_at_the_sampling_of_the_field_a_trip_is_late_at_most_by_two_samples(
    code: str, case: dict[str, Any], phase: str, rate_hz: float
) -> None:
    """What a polled meter can do, and no more: never inside ride-through, and late by no more than its own
    period.
    """
    profile = armed(code, case)
    rig = Rig(profile)
    element = next(e for e in profile.elements if e.id == case["element"])
    rig.hold(3.0, rate_hz=rate_hz)
    begun_s = rig.now_s
    put(rig, case, case["beyond"], phase, latest_s(case) + 3.0, rate_hz)
    trip = rig.trips[case["element"]]
    assert profile.ride_through_s(element) < trip.at_s - begun_s <= latest_s(case) + 2.0 / rate_hz


@pytest.mark.parametrize("code", CODES)
def test_every_element_has_its_cases(code: str) -> None:
    elements = {element.id for element in code_of(code).elements if not element.mean_window_s}
    assert {case["element"] for case in CASES[code]["cases"]} == elements
