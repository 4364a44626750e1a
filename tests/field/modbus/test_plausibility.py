"""Numbers that arrived intact and cannot be true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.modbus.plausibility import EnergyCheck, judged, jump_verdict, sum_verdict
from v2g_edge.model.reading import Measured, Reading, Unknown

WATTS = st.floats(-1e6, 1e6)


def at(value: float, at_s: float = 0.0) -> Reading:
    return Reading(value, at_s)


@given(WATTS, WATTS, WATTS)
def test_phases_and_their_sum_agree(first: float, second: float, third: float) -> None:
    phases = [at(first), at(second), at(third)]
    assert sum_verdict(at(first + second + third), phases) == ""


def test_a_total_in_kilowatts_beside_phases_in_watts_is_seen() -> None:
    assert "disagree" in sum_verdict(at(9.0), [at(3_000.0)] * 3)


def test_what_is_unknown_is_not_judged() -> None:
    unknown = Unknown("no sample yet")
    assert sum_verdict(unknown, [at(1.0)] * 3) == ""
    assert sum_verdict(at(9e9), [at(1.0), unknown, at(1.0)]) == ""
    assert jump_verdict(unknown, at(1e9), 1.0) == ""


@pytest.mark.parametrize(("after", "ok"), [(at(60.0, 1.0), True), (at(61.0, 1.0), True), (at(0.0, 1.0), False)])
def test_a_state_of_charge_cannot_fall_to_nothing_in_a_second(after: Reading, ok: bool) -> None:
    assert (jump_verdict(at(60.0), after, 0.1, slack=1.0) == "") is ok


def run(check: EnergyCheck, power_w: float, counted: float) -> str:
    """An hour at ``power_w`` while the counters move ``counted`` times as far."""
    verdict = ""
    for minute in range(61):
        energy_wh = power_w * counted * minute / 60.0
        imported, exported = (max(energy_wh, 0.0), max(-energy_wh, 0.0))
        verdict = check.take(at(power_w, 60.0 * minute), at(1e6 + imported), at(1e5 + exported))
    return verdict


@pytest.mark.parametrize("power_w", [20_000.0, -20_000.0])
@pytest.mark.parametrize(("counted", "ok"), [(1.0, True), (1.2, True), (0.0, False), (-1.0, False), (40.0, False)])
def test_counters_speak_for_or_against_the_power(power_w: float, counted: float, ok: bool) -> None:
    """Frozen counters, a turned sign, or a transformer ratio of 40 left out."""
    assert (run(EnergyCheck(), power_w, counted) == "") is ok


def test_counters_that_are_unknown_judge_nothing() -> None:
    check = EnergyCheck()
    for second in range(10_000):
        assert check.take(at(50_000.0, float(second)), Unknown("x"), Unknown("x")) == ""


def test_a_doubtful_power_becomes_unknown_with_the_reason() -> None:
    values: dict[str, Measured] = {f"power_l{phase}_w": at(3_000.0) for phase in (1, 2, 3)}
    values |= {"power_w": at(9.0), "frequency_hz": at(50.0)}
    found = judged(values, EnergyCheck())
    assert isinstance(found["power_w"], Unknown)
    assert "disagree" in found["power_w"].why
    assert found["frequency_hz"] == at(50.0)


def test_a_counter_that_jumps_is_unknown_once_and_starts_the_comparison_anew() -> None:
    """A meter was replaced: its counters begin at another number, its power stays believed."""
    check = EnergyCheck()
    for minute in range(120):
        counted = 20_000.0 * minute / 60.0 + (5e6 if minute >= 60 else 0.0)
        values: dict[str, Measured] = {
            "power_w": at(20_000.0, 60.0 * minute),
            "energy_import_wh": at(counted, 60.0 * minute),
            "energy_export_wh": at(0.0, 60.0 * minute),
        }
        found = judged(values, check)
        assert isinstance(found["power_w"], Reading)
        assert isinstance(found["energy_import_wh"], Unknown) is (minute == 60)


def test_a_counter_that_runs_backwards_is_unknown() -> None:
    check = EnergyCheck()
    check.counter("energy_import_wh", at(50_000.0, 0.0))
    found = check.counter("energy_import_wh", at(10_000.0, 1.0))
    assert isinstance(found, Unknown)
    assert "jumped by -40000" in found.why
