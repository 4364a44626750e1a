"""The score says whether a charger does what it accepted: by the meter, and by what it says itself."""

import pytest

from v2g_edge.field.ocpp.vocabulary.compliance import PROBE_S, PROBE_W, SETTLE_S, TRUST_BELOW, Watch

FALLBACK_W = 11_000.0


def told(power_w: float, *, until_s: float = 1e9, sure: bool = True) -> Watch:
    """A charger that got one command at 0 s."""
    watch = Watch(FALLBACK_W)
    watch.commanded(power_w, 0.0, until_s, sure=sure)
    return watch


def shown(watch: Watch, power_w: float, *, readings: int = 40, from_s: float = SETTLE_S) -> Watch:
    """Readings of one power, a second apart."""
    for second in range(readings):
        watch.measured(power_w, from_s + second)
    return watch


@pytest.mark.parametrize(
    ("command_w", "power_w", "follows"),
    [
        (5_000.0, 5_000.0, True),
        (5_000.0, 0.0, True),
        (5_000.0, 6_000.0, True),
        (5_000.0, 6_100.0, False),
        (50_000.0, 54_900.0, True),
        (50_000.0, 55_100.0, False),
        (5_000.0, -1_100.0, False),
        (-5_000.0, -5_900.0, True),
        (-5_000.0, -6_100.0, False),
        (-5_000.0, 1_100.0, False),
        (0.0, 1_100.0, False),
        (0.0, -1_100.0, False),
    ],
)
def test_a_charger_follows_between_rest_and_its_command(
    command_w: float, power_w: float, follows: bool
) -> None:
    assert shown(told(command_w), power_w).follows == follows


def test_trust_is_lost_after_many_wrong_readings_and_comes_back_after_more_right_ones() -> None:
    watch = told(5_000.0)
    assert shown(watch, 50_000.0, readings=10).follows
    assert not shown(watch, 50_000.0, readings=10, from_s=20.0).follows
    assert not shown(watch, 5_000.0, readings=10, from_s=40.0).follows, (
        "above the lower edge is not yet trusted"
    )
    assert watch.score > TRUST_BELOW
    assert shown(watch, 5_000.0, readings=30, from_s=60.0).follows


def test_a_charger_that_ramps_is_given_time() -> None:
    assert shown(told(5_000.0), 50_000.0, readings=4, from_s=0.0).score == 1.0


def test_when_the_lease_has_run_out_the_default_profile_is_what_is_obeyed() -> None:
    over = told(-5_000.0, until_s=20.0)
    assert shown(over, FALLBACK_W, from_s=25.0).score == 1.0
    assert not shown(over, -5_000.0, from_s=100.0).follows, (
        "it goes on discharging: it does not keep to its lease"
    )
    assert not shown(told(50_000.0, until_s=20.0), 50_000.0, from_s=25.0).follows, (
        "it goes on charging as told"
    )


def test_before_the_first_lease_of_a_vehicle_and_after_a_restart_the_default_profile_rules() -> None:
    fresh = told(-5_000.0)
    fresh.new_session()
    assert shown(fresh, FALLBACK_W).score == 1.0
    again = told(0.0)
    again.restarted(2.0)
    assert shown(again, FALLBACK_W, from_s=10.0).score == 1.0


def test_a_command_without_an_answer_may_be_in_force_or_not() -> None:
    """A stop was sent and is not answered: whether the vehicle goes on discharging or charges, nothing is
    refuted by it.
    """
    for power_w in (-2_000.0, 5_000.0):
        watch = told(-2_000.0)
        watch.commanded(5_000.0, 10.0, 1e9, sure=False)
        shown(watch, power_w, from_s=20.0)
        assert (watch.follows, watch.proof) == (True, "proven" if power_w < 0.0 else "unknown")
    unanswered = told(0.0)
    unanswered.commanded(-2_000.0, 10.0, 1e9, sure=False)
    assert shown(unanswered, 3_000.0, readings=5, from_s=20.0).proof == "unknown"


def test_a_make_is_neither_proven_nor_refuted_by_what_it_does_after_its_lease() -> None:
    assert shown(told(-2_000.0, until_s=20.0), FALLBACK_W, from_s=21.0).proof == "unknown"
    assert shown(told(-2_000.0, until_s=20.0), -2_000.0, from_s=21.0).proof == "unknown"


def test_three_contradictions_by_its_own_schedule_are_enough_while_the_vehicle_rests() -> None:
    watch = told(5_000.0)
    for _ in range(3):
        assert watch.follows
        watch.read_back(33_000.0, 10.0)
        assert watch.contradicted
        shown(watch, 0.0, from_s=10.0)
    assert not watch.follows


def test_a_schedule_that_agrees_or_says_nothing_costs_no_trust() -> None:
    watch = told(-5_000.0)
    for planned_w in (-5_000.0, -4_500.0, 0.0, None):
        watch.read_back(planned_w, 10.0)
    assert (watch.score, watch.contradicted, watch.proof) == (1.0, False, "unknown")


def test_metered_obedience_outweighs_a_station_that_words_its_schedule_wrongly() -> None:
    watch = told(5_000.0)
    for minute in range(10):
        watch.read_back(33_000.0, 10.0)
        shown(watch, 4_900.0, from_s=60.0 * minute + 10.0)
    assert watch.follows


def test_a_probe_that_shows_nothing_ends_with_its_session() -> None:
    watch = told(-2_000.0)
    watch.measured(0.0, PROBE_S)
    assert watch.allowed_w(-9_000.0, 0.0) == 0.0


def test_a_shorter_lease_without_an_answer_does_not_end_the_one_that_stands() -> None:
    """It may not have arrived: until the longer one ends, all that either allows may be in force."""
    watch = told(-5_000.0, until_s=100.0)
    watch.commanded(0.0, 10.0, 40.0, sure=False)
    assert shown(watch, -5_000.0, readings=20, from_s=60.0).follows
    assert not shown(watch, -5_000.0, readings=40, from_s=100.0 + SETTLE_S).follows


def test_a_probe_is_as_large_as_the_charger_can_discharge_at_least() -> None:
    watch = Watch(FALLBACK_W)
    assert watch.allowed_w(-30_000.0, 0.0) == -PROBE_W
    assert watch.allowed_w(-30_000.0, 5_000.0) == -5_000.0
    assert watch.allowed_w(-1_000.0, 5_000.0) == -1_000.0
