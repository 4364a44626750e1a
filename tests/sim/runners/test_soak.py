"""Soaks find, shrink and keep what fails; the drawn nights are the same for the same seed and can always
be played.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.__main__ import main
from sim.runners import soak
from sim.runners.pure import PureRun, slowed
from sim.scenarios.check import check
from sim.scenarios.drawn import CALM, DISOBEDIENT, LASTING, drawn
from sim.scenarios.fault import Fault
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario, read_scenario


def test_a_drawn_night_is_the_same_for_its_seed_and_can_be_played() -> None:
    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    kinds = set()
    for seed in range(200):
        scenario = check(drawn(seed))
        kinds |= {fault.kind for fault in scenario.faults}
        for fault in scenario.faults:
            if fault.kind not in {*LASTING, *DISOBEDIENT}:
                assert fault.end_wall_s <= scenario.end_wall_s - (CALM * scenario.duration_s - 3_600.0)
    assert len(kinds) > 40, "the mix itself is drawn"
    assert check(drawn(3, hours=4.0, chargers=4)).duration_s == 4 * 3_600.0


def test_a_quiet_night_on_the_pure_cycle_keeps_every_promise() -> None:
    """At ticks of 20 s: at one a minute each raise waits a minute for what is lowered, and counts as held."""
    panel = PureRun(slowed(night(3, chargers=4, quiet=True), 20.0)).play()
    assert panel.violations == []
    assert [departure.verdict for departure in panel.departures] == ["met"] * 4
    assert panel.availability.figures.held_pct <= 0.1


def test_two_runs_of_the_pure_cycle_are_alike() -> None:
    scenario = slowed(drawn(5, chargers=3), 120.0)
    first, again = PureRun(scenario), PureRun(scenario)
    first.play()
    again.play()
    assert first.memory == again.memory
    assert [c.import_wh for c in first.depot.chargers.values()] == [
        c.import_wh for c in again.depot.chargers.values()
    ]


def test_shrinking_leaves_the_one_fault_that_matters_as_short_as_it_may_be() -> None:
    base = drawn(2)
    start_wall_s = base.start_wall_s
    guilty = Fault("ignore", "CS01", start_wall_s + 900.0, 4_000.0)
    others = tuple(Fault("late", f"CS0{n}", start_wall_s + 900.0, 600.0, 3.0) for n in range(2, 6))
    scenario = replace(base, faults=(*others[:2], guilty, *others[2:]))

    def fails(tried: Scenario) -> bool:
        return any(fault.kind == "ignore" and fault.duration_s >= 200.0 for fault in tried.faults)

    least = soak.shrunk(scenario, fails)
    assert least.disturbances == ()
    assert [(fault.kind, fault.duration_s) for fault in least.faults] == [("ignore", 250.0)]


def test_a_failing_seed_is_reported_shrunk_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scenario: Scenario, way: soak.Way) -> soak.Result:
        rules = ("soc_floor",) if scenario.faults else ()
        return soak.Result(scenario.seed, way, rules, 4, 0, 0, 10.0, 1.0, {"feeder_import": 1.0}, 2.0, 0.1)

    monkeypatch.setattr(soak, "play", broken)
    result = soak._night(soak.Job(7, "pure", 14.0, 4, str(tmp_path)))
    assert result.broken == ("soc_floor",)
    kept = read_scenario(tmp_path / "pure-7-soc_floor.json")
    assert len(kept.faults) == 1
    report = soak.summary([result])
    assert report["pure"]["broken"] == {"soc_floor": 1}
    assert report["pure"]["held_pct"] == 10.0
    assert "1 failed" in soak.as_lines(report)


def test_a_run_that_ends_with_an_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_scenario: Scenario) -> None:
        raise ZeroDivisionError("of the product")

    monkeypatch.setattr(soak, "_pure", raises)
    result = soak.play(night(1), "pure")
    assert result.broken == ("crashed",)
    assert result.said == "ZeroDivisionError: of the product"


def test_a_soak_in_pieces_plays_no_night_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def met(scenario: Scenario, way: soak.Way) -> soak.Result:
        asked.append(scenario.seed)
        return soak.Result(scenario.seed, way, (), 2, 0, 0, 10.0, 0.0, {}, 0.0, 0.1)

    monkeypatch.setattr(soak, "play", met)
    monkeypatch.setattr(soak, "ProcessPoolExecutor", ThreadPoolExecutor)  # which see what is patched

    def piece(pure_seeds: int, *, resume: bool) -> int:
        assert soak.soak(0, pure_seeds, 14.0, 2, 1, tmp_path, resume=resume) == 0
        report = json.loads((tmp_path / "report.json").read_text())
        return int(report["pure"]["nights"])

    assert piece(3, resume=False) == 3
    kept = tmp_path / "nights.jsonl"
    kept.write_bytes(kept.read_bytes()[:-20])  # cut off as it was written
    assert piece(5, resume=True) == 5
    assert sorted(asked) == [1, 2, 3, 3, 4, 5]
    assert piece(1, resume=False) == 1, "anew: what was played with another version counts no more"
    assert asked[-1] == 1


@pytest.mark.slow
def test_the_command_plays_nights_of_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--seeds",
        "1",
        "--pure",
        "1",
        "--hours",
        "0.5",
        "--chargers",
        "2",
        "--jobs",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["soak", *words]) in {0, 1}
    assert "protocol: 1 nights" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.json").exists()
