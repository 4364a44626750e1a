"""Daemon and depot in one process: promises hold through a disturbance, one seed gives one digest, the
report says all.
"""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from sim.__main__ import main
from sim.runners.report import as_text, kept
from sim.runners.runner import run_scenario
from sim.scenarios.night import night
from sim.scenarios.scenario import Fault, Scenario, speaking, write_scenario
from sim.world.depot import Disturbance


def peak(seed: int = 5, *, faults: tuple[Fault, ...] = ()) -> Scenario:
    """Four buses, all in at 18:00; at 18:15 the grid relay opens for 40 s; over at 18:25. One has to leave
    at 18:20.
    """
    scenario = night(seed, chargers=4, quiet=True)
    start_wall_s = scenario.start_wall_s + 5_400.0
    visits = [replace(visit, arrives_wall_s=start_wall_s + 30.0, soc_pct=85.0) for visit in scenario.visits]
    visits[0] = replace(visits[0], departs_wall_s=start_wall_s + 1_200.0, target_soc_pct=80.0)
    feeders = tuple(
        replace(feeder, import_limit_w=5e5, export_limit_w=5e5) for feeder in scenario.site.feeders
    )
    return replace(
        scenario,
        start_wall_s=start_wall_s,
        duration_s=1_500.0,
        visits=tuple(visits),
        disturbances=(Disturbance(start_wall_s + 900.4, 40.0, relay_open=True),),
        site=replace(scenario.site, feeders=feeders),
        faults=faults,
    )


@pytest.mark.slow
def test_the_evening_peak_is_sold_through_a_disturbance_and_the_same_seed_gives_the_same_digest(
    tmp_path: Path,
) -> None:
    first, again = run_scenario(peak(), tmp_path / "first"), run_scenario(peak())
    assert first == again
    assert first["violations"] == []
    assert first["departures"] == {"met": 1, "missed_possible": 0, "missed_impossible": 0, "missed": []}
    assert first["energy_wh"]["discharged"] > 10_000
    assert first["energy_wh"]["exported"] > 0
    assert [trip["kind"] for trip in first["trips"]] == ["grid_relay_open"]
    assert kept(first)
    digests = {run_scenario(replace(peak(seed), duration_s=300.0))["digest"] for seed in (6, 7)}
    assert len(digests) == 2
    with sqlite3.connect(tmp_path / "first" / "journal.db") as journal:
        assert journal.execute("SELECT count(*) FROM ticks").fetchone()[0] > 700
    written = [
        line.split(",")[1]
        for line in (tmp_path / "first" / "grid_events.log").read_text(encoding="utf-8").splitlines()
    ]
    assert written.count("trip") == 1
    assert 2 <= written.index("trip") <= len(written) - 4  # a sample a second
    with pytest.raises(FileExistsError, match="begins with an empty journal"):
        run_scenario(peak(), tmp_path / "first")


@pytest.mark.slow
def test_another_process_with_other_hashes_gives_the_same_digest(tmp_path: Path) -> None:
    write_scenario(replace(peak(), duration_s=400.0), tmp_path / "short.json")
    digests = set()
    for hashes in ("1", "2"):
        report = tmp_path / f"{hashes}.json"
        command = [
            sys.executable,
            "-m",
            "sim",
            "run",
            "--scenario",
            str(tmp_path / "short.json"),
            "--report",
            str(report),
        ]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONHASHSEED": hashes}
        )
        digests.add(json.loads(report.read_text())["digest"])
    assert len(digests) == 1


@pytest.mark.slow
def test_stations_of_2_1_sell_the_evening_by_setpoints() -> None:
    report = run_scenario(speaking(peak(), "2.1"))
    assert report["violations"] == []
    assert report["energy_wh"]["discharged"] > 10_000


@pytest.mark.slow
def test_one_charger_that_misbehaves_hurts_nobody_else() -> None:
    """Flood, nonsense, a link lost in mid-frame, silence, late answers: the other three go on selling, and
    nothing is broken.
    """
    begin_s = peak().start_wall_s
    kinds = ("flood", "nonsense", "vanish", "mute", "late")
    faults = tuple(Fault(kind, "CS02", begin_s + 120 + 200 * n, 60.0, 4.0) for n, kind in enumerate(kinds))  # type: ignore[arg-type]
    calm, rough = run_scenario(peak()), run_scenario(peak(faults=faults))
    assert rough["violations"] == []
    sold = {name: wh[1] for name, wh in rough["end"]["charger_wh"].items()}
    usual = {name: wh[1] for name, wh in calm["end"]["charger_wh"].items()}
    for evse in ("E01", "E03", "E04"):
        assert sold[evse] == pytest.approx(usual[evse], rel=0.02), evse


def test_the_command_reports_as_text_and_json_and_says_what_is_wrong_with_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, report = tmp_path / "short.json", tmp_path / "out.json"
    write_scenario(replace(peak(), duration_s=120.0), scenario)
    assert main(["run", "--scenario", str(scenario), "--report", str(report)]) == 0
    written = json.loads(report.read_text())
    assert {"digest", "violations", "departures", "energy_wh", "cost", "trips"} <= written.keys()
    assert as_text(written) in capsys.readouterr().out
    assert main(["run", "--scenario", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
    assert main(["run", "--import-spice-ev", str(scenario)]) == 2
    assert "--connector" in capsys.readouterr().err


def test_a_report_with_a_broken_promise_is_told_so() -> None:
    whole = {
        "scenario": "x", "seed": 1, "played_s": 3_600, "digest": "d", "cost": 1.0, "trips": [],
        "violations": [],
        "departures": {"met": 1, "missed_possible": 0, "missed_impossible": 1, "missed": []},
        "energy_wh": {"imported": 1.0, "exported": 1.0, "charged": 1.0, "discharged": 1.0},
    }  # fmt: skip
    assert kept(whole), "what was impossible is no broken promise"
    late = {**whole, "departures": {"met": 0, "missed_possible": 1, "missed_impossible": 0, "missed": []}}
    assert not kept(late)
    broken = {"time": "t", "place": "main", "rule": "r", "found": 2, "allowed": 1, "unit": "W", "lasted_s": 3}
    assert not kept({**whole, "violations": [broken]})
    assert "r at main: 2 W, allowed 1" in as_text({**whole, "violations": [broken]})


def test_a_quiet_run_leaves_the_log_of_its_process_as_it_was() -> None:
    before = structlog.get_config()
    run_scenario(replace(peak(), duration_s=20.0))
    assert structlog.get_config() == before
