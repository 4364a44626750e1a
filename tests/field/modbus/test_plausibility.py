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


@pytest.mark.parametrize(
    ("after", "ok"), [(at(60.0, 1.0), True), (at(61.0, 1.0), True), (at(0.0, 1.0), False)]
)
def test_a_state_of_charge_cannot_fall_to_nothing_in_a_second(after: Reading, ok: bool) -> None:
    assert (jump_verdict(at(60.0), after, 0.1, slack=1.0) == "") is ok


def run(check: EnergyCheck, power_w: float, counted: float) -> str:
    """An hour at ``power_w`` while the counters move ``counted`` times as far."""
    verdict = ""
    for minute in range(61):
        energy_wh = power_w * counted * minute / 60.0
        imported, exported = (max(energy_wh, 0.0), max(-energy_wh, 0.0))
        at_s = 60.0 * minute
        verdict = check.take(at(power_w, at_s), at(1e6 + imported, at_s), at(1e5 + exported, at_s))
    return verdict


@pytest.mark.parametrize("power_w", [20_000.0, -20_000.0])
@pytest.mark.parametrize(
    ("counted", "ok"), [(1.0, True), (1.2, True), (0.0, False), (-1.0, False), (40.0, False)]
)
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


def spell(
    check: EnergyCheck,
    seconds: float,
    true_w: float,
    said: float = 1.0,
    *,
    from_s: float = 0.0,
    poll_s: float = 1.0,
    every_s: float = 1.0,
) -> list[str]:
    """The verdict after each poll: ``true_w`` flows, the meter says ``said`` times that; counters are read
    each ``every_s``.
    """
    verdicts = []
    for n in range(int(seconds / poll_s)):
        at_s = from_s + n * poll_s
        counted_s = at_s - at_s % every_s
        counted_wh = round(true_w * counted_s / 36_000.0) * 10.0  # steps of 0.01 kWh
        imported, exported = (
            at(1e6 + max(counted_wh, 0.0), counted_s),
            at(1e6 + max(-counted_wh, 0.0), counted_s),
        )
        verdicts.append(check.take(at(true_w * said, at_s), imported, exported))
    return verdicts


@pytest.mark.parametrize("true_w", [2_000.0, 20_000.0, 150_000.0, -40_000.0])
@pytest.mark.parametrize("said", [10.0, -1.0])
def test_outside_case_a11_bad_spell_is_convicted_and_acquitted_within_ten_good_polls(
    true_w: float, said: float
) -> None:
    check = EnergyCheck()
    bad = spell(check, 8_000.0, true_w, said)
    assert bad[-1], "a meter that goes on like this is not believed"
    assert "counters moved" in bad[-1]
    good = spell(check, 30.0, true_w, from_s=8_000.0)
    assert good[9] == ""
    assert not any(spell(check, 4_000.0, true_w, from_s=8_030.0)), "and it stays so"


def test_a_verdict_does_not_need_the_power_that_it_forbids() -> None:
    """It has stopped the charging: with next to nothing flowing the meter that is well again is believed."""
    check = EnergyCheck()
    assert spell(check, 600.0, 150_000.0, 10.0)[-1]
    counted = 150_000.0 * 600.0 / 3_600.0
    verdicts = [
        check.take(at(300.0, 600.0 + n), at(1e6 + counted, 600.0 + n), at(1e6, 600.0 + n)) for n in range(180)
    ]
    assert verdicts[-1] == ""


@pytest.mark.parametrize("poll_s", [0.1, 1.0])
@pytest.mark.parametrize("true_w", [600_000.0, 1_500_000.0])
def test_outside_case_a12_counter_window_closes_between_fresh_counters_only(
    true_w: float, poll_s: float
) -> None:
    assert not any(spell(EnergyCheck(), 300.0, true_w, poll_s=poll_s, every_s=10.0))


def test_outside_case_a10_one_spike_is_unknown_for_that_sample_alone() -> None:
    check = EnergyCheck()
    for n in range(400):
        spike = n == 100
        watts = 65.5e6 if spike else 2_000.0
        counted = at(1e6 + 2_000.0 * n / 3_600.0, float(n))
        values: dict[str, Measured] = {"power_w": at(watts, float(n)), "power_l1_w": at(watts, float(n))}
        values |= {"energy_import_wh": counted, "energy_export_wh": at(0.0, float(n))}
        found = judged(values, check, 500_000.0)["power_w"]
        assert isinstance(found, Unknown) is spike
        if isinstance(found, Unknown):
            assert "more than can flow" in found.why


def test_a_time_without_readings_convicts_nobody() -> None:
    """The line was down for ten minutes, and the counters went on."""
    check = EnergyCheck()
    assert not any(spell(check, 300.0, 100_000.0))
    assert not any(spell(check, 300.0, 100_000.0, from_s=900.0))
