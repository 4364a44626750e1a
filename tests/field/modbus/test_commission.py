"""The step test's arithmetic: phases, CT direction, sign, response and resolution out of samples."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.modbus.commission import (
    PHASE_MAPS,
    MeterFit,
    Sample,
    Three,
    directions,
    fit_meter,
    fit_phases,
    fit_step,
    judge,
    meter_verdict,
    settled,
    shares_of,
)

BASE: Three = (4_000.0, 2_500.0, 3_000.0)
FINE = MeterFit(0.2, 0.001, 1.0)


def hold(
    start_s: float, power_w: float, phases: str, signs: Three = (1.0, 1.0, 1.0), *, lag_s: float = 0.0
) -> list[Sample]:
    """Fifty samples at 10 Hz: base load with noise, and a charger that arrives after ``lag_s``."""
    chance = random.Random(int(start_s * 10))
    samples = []
    for index in range(50):
        own_w = power_w if index / 10.0 >= lag_s else 0.0
        phase_w = tuple(
            sign * (base + chance.uniform(-40.0, 40.0) + own_w * share)
            for base, share, sign in zip(BASE, shares_of(phases), signs, strict=True)
        )
        samples.append(Sample(start_s + index / 10.0, power_w, own_w, phase_w, sum(phase_w), 50.0))  # type: ignore[arg-type]
    return samples


@pytest.mark.parametrize("phases", ["L1", "L2", "L3"])
@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, 1), (-1, -1, -1)])
@pytest.mark.parametrize("power_w", [3_000.0, -3_000.0])
def test_a_single_phase_step_tells_phase_and_direction(phases: str, signs: Three, power_w: float) -> None:
    step = fit_step(hold(0.0, 0.0, phases, signs), hold(10.0, power_w, phases, signs))
    index = int(phases[1]) - 1
    assert step.fit.phases == phases
    assert step.fit.signs[index] == signs[index]
    assert step.charger_w == power_w


@pytest.mark.parametrize("phases", ["L1L2L3", "L2L3L1", "L3L1L2"])
@given(signs=st.tuples(*[st.sampled_from([1, -1])] * 3), own=st.permutations([3_000.0, 1_500.0, 500.0]))
def test_unequal_phases_of_the_charger_tell_the_rotation(
    phases: str, signs: tuple[int, int, int], own: list[float]
) -> None:
    """The charger's own L1-L3 land on the grid phases of its map, each CT as it hangs."""
    grid = [0.0, 0.0, 0.0]
    for index, power_w in enumerate(own):
        phase = int(phases[2 * index + 1]) - 1
        grid[phase] = signs[phase] * power_w
    fit = fit_phases(5_000.0, (grid[0], grid[1], grid[2]), (own[0], own[1], own[2]))
    assert (fit.phases, fit.signs) == (phases, signs)


def test_equal_thirds_tell_directions_but_no_rotation() -> None:
    fit = fit_phases(9_000.0, (3_000.0, -3_000.0, 3_000.0))
    assert fit.phases == ""
    assert "alike" in fit.why
    assert fit.signs == (1, -1, 1)


def test_a_step_that_the_meter_does_not_see_fits_nothing() -> None:
    assert "does not see" in fit_phases(3_000.0, (10.0, -20.0, 5.0)).why
    assert "did not move" in fit_phases(0.0, (10.0, -20.0, 5.0)).why


@given(st.sampled_from(PHASE_MAPS))
def test_shares_sum_to_one(phases: str) -> None:
    assert sum(shares_of(phases)) == pytest.approx(1.0)


def test_response_is_the_time_to_nine_tenths() -> None:
    step = fit_step(hold(0.0, 0.0, "L1"), hold(10.0, 3_000.0, "L1", lag_s=1.5))
    assert step.response_s == pytest.approx(1.5, abs=0.11)


def test_no_samples_say_so() -> None:
    with pytest.raises(ValueError, match="never read"):
        settled([])


def sampled(period_s: float, step_hz: float) -> list[Sample]:
    """A meter that refreshes every ``period_s`` in steps of ``step_hz``, looked at 20 times a second."""
    samples = []
    for index in range(200):
        number = int(index / 20.0 / period_s + 1e-9)
        hertz = 50.0 + step_hz * (number % 3)
        samples.append(Sample(index / 20.0, 0.0, 0.0, (float(number), 0.0, 0.0), float(number), hertz))
    return samples


@pytest.mark.parametrize(("period_s", "step_hz"), [(0.2, 0.001), (1.0, 0.1), (0.5, 0.01)])
def test_refresh_and_resolution_are_those_of_the_meter(period_s: float, step_hz: float) -> None:
    found = fit_meter(sampled(period_s, step_hz))
    assert found.refresh_s == pytest.approx(period_s, abs=0.051)
    assert found.frequency_step_hz == pytest.approx(step_hz, rel=1e-3)


@pytest.mark.parametrize(("step_hz", "refused"), [(0.001, False), (0.01, False), (0.1, True), (0.0, True)])
def test_a_coarse_meter_gets_no_frequency_service(step_hz: float, refused: bool) -> None:
    step = fit_step(hold(0.0, 0.0, "L1"), hold(10.0, 3_000.0, "L1"))
    finding = judge("b1", "L1", step, step, MeterFit(0.2, step_hz, 1.0))
    assert bool(finding.refusals) is refused


def test_wrong_phases_are_named_with_both_sides() -> None:
    step = fit_step(hold(0.0, 0.0, "L2"), hold(10.0, 3_000.0, "L2"))
    back = fit_step(hold(0.0, 0.0, "L2"), hold(10.0, -3_000.0, "L2"))
    finding = judge("b1", "L1", step, back, FINE)
    assert finding.problems == ("phases: the site file says L1, the meter says L2",)


def test_a_charger_that_does_not_follow_is_named() -> None:
    during = [Sample(s.at_s, 3_000.0, 100.0, s.phase_w, s.total_w, s.hz) for s in hold(10.0, 0.0, "L1")]
    still = fit_step(hold(0.0, 0.0, "L1"), during)
    finding = judge("b1", "L1", still, None, FINE)
    assert "charge: commanded 3000 W, the charger moved 100 W" in finding.problems
    assert "discharge: not tested" in finding.problems


@pytest.mark.parametrize(
    ("signs", "invert", "words"),
    [
        ((1.0, 1.0, 1.0), False, []),
        ((-1.0, -1.0, -1.0), True, ["whole meter"]),
        ((1.0, -1.0, 1.0), False, ["CT of phase L2"]),
        ((0.0, -1.0, 0.0), False, ["CT of phase L2", "or the whole meter"]),
        ((0.0, 0.0, 0.0), False, []),
    ],
)
def test_directions_become_a_setting_only_when_all_phases_are_wrong(
    signs: Three, invert: bool, words: list[str]
) -> None:
    turned, problems = meter_verdict(signs)
    assert turned is invert
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_directions_are_gathered_over_all_chargers() -> None:
    signs: Three = (1.0, -1.0, 1.0)
    findings = []
    for phases in ("L1", "L2", "L3"):
        step = fit_step(hold(0.0, 0.0, phases, signs), hold(10.0, 3_000.0, phases, signs))
        findings.append(judge(phases, phases, step, None, FINE))
    assert directions(findings) == signs
