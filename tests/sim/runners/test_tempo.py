"""The demo's clock: as fast as was asked for on an idle machine, slower on a busy one, and the report says
so (case A2).
"""

from pathlib import Path

import pytest

from sim.runners.demo import SCALE, Demo
from sim.runners.tempo import GOOD_ROUND_S, SLOWEST, fitting_scale, late_words, measure_round_s, slowed_words


@pytest.mark.parametrize(
    ("wanted", "rounds", "scale"),
    [
        (120.0, 0.1, 120.0),
        (120.0, 1.0, 120.0),
        (120.0, 3.0, 40.0),
        (120.0, 1_000.0, SLOWEST),
        (2.0, 1_000.0, 2.0),
    ],
)
def test_a2_the_clock_is_slower_by_as_much_as_rounds_take_longer(
    wanted: float, rounds: float, scale: float
) -> None:
    assert fitting_scale(wanted, rounds * GOOD_ROUND_S) == pytest.approx(scale, abs=1.0)


def test_a2_a_slowed_clock_and_lost_time_are_said_and_nothing_else_is() -> None:
    assert slowed_words(120.0, 120.0) == ""
    assert slowed_words(120.0, 40.0) == "The machine was busy: played at 40× instead of 120×."
    assert late_words("started\npermit_not_taken\n") == ""
    assert "2 times" in late_words("a time_lost b\nstarted\ntime_lost\n")


def test_a2_a_round_between_two_processes_is_measured_and_leaves_none_behind() -> None:
    assert measure_round_s(0.05) > 0.0


def test_a2_a_slower_clock_leaves_the_night_as_it_is_and_gives_both_processes_the_same_time(
    tmp_path: Path,
) -> None:
    slowed, spawned = Demo(tmp_path, 7, SCALE, 40.0), list[tuple[str, ...]]()
    slowed._spawn = lambda *words: spawned.append(words)  # type: ignore[method-assign]
    slowed.start()
    usual = Demo(tmp_path, 7, SCALE).scenario
    assert (slowed.scenario.site, slowed.scenario.visits) == (usual.site, usual.visits)
    assert slowed.scenario.end_wall_s == usual.end_wall_s
    assert slowed.scenario.start_wall_s < usual.start_wall_s, "a busy machine takes longer to start both"
    spawned = [words for words in spawned if "--clock-scale" in words]  # the page has the machine's clock
    assert [words[words.index("--clock-scale") + 1] for words in spawned] == ["40", "40"]
    assert len({words[words.index("--clock-origin") + 1] for words in spawned}) == 1
