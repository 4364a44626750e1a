"""Faults of meters, contacts and the controller's machine are played in virtual time, end when they
should, and are seen.
"""

import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sim.runners.report import events, read_bodies
from sim.runners.runner import run_scenario
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario

BEGIN_S = 60.0
END_S = 180.0
"""Seconds from the beginning to the fault: all have dialled in, and the grid has just proven itself."""


def short(
    *faults: tuple[FaultKind, str, float, float, float], lasts_s: float = 180.0, chargers: int = 2
) -> Scenario:
    """A quiet depot at 18:00 for three minutes; faults as (kind, target, s from the start, s long, value)."""
    base = night(5, chargers=chargers, quiet=True)
    start_wall_s = base.start_wall_s + 5_400.0
    visits = tuple(replace(visit, arrives_wall_s=start_wall_s + 5.0, soc_pct=70.0) for visit in base.visits)
    played = tuple(
        Fault(kind, target, start_wall_s + at_s, for_s, value) for kind, target, at_s, for_s, value in faults
    )
    return replace(base, start_wall_s=start_wall_s, duration_s=lasts_s, visits=visits, faults=played)


def ticks_wall_s(folder: Path, scenario: Scenario) -> list[float]:
    """When the daemon decided, in seconds from the scenario's start."""
    with sqlite3.connect(folder / "journal.db") as db:
        return [
            wall_s - scenario.start_wall_s for (wall_s,) in db.execute("SELECT wall_s FROM ticks ORDER BY id")
        ]


def told(folder: Path, start_wall_s: float) -> dict[str, float]:
    """The first time of each kind of event once the depot was up, in seconds from the scenario's start."""
    seen: dict[str, float] = {}
    for event in events(read_bodies(folder / "journal.db")):
        if event.wall_s - start_wall_s >= BEGIN_S:
            seen.setdefault(event.kind, event.wall_s - start_wall_s)
    return seen


def play(scenario: Scenario, folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """The report, and what was told when."""
    report = run_scenario(scenario, folder)
    return report, told(folder, scenario.start_wall_s)


def test_a_stalled_daemon_decides_nothing_and_goes_on_afterwards(tmp_path: Path) -> None:
    scenario = short(("stall", "controller", BEGIN_S, 40.0, 0.0))
    report, _ = play(scenario, tmp_path / "run")
    ticks = ticks_wall_s(tmp_path / "run", scenario)
    gap_s = max(late - early for early, late in pairwise(ticks))
    assert 39.0 <= gap_s <= 43.0
    assert ticks[-1] > 175.0
    assert report["violations"] == []


@pytest.mark.parametrize("kind", ["restart", "reboot_host"])
def test_a_killed_daemon_starts_again_from_its_journal_in_the_same_run(
    kind: FaultKind, tmp_path: Path
) -> None:
    scenario = short((kind, "controller", BEGIN_S, 20.0, 0.0))
    report, _ = play(scenario, tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "journal.db") as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (2,)
        runs = [run for (run,) in db.execute("SELECT DISTINCT run FROM ticks ORDER BY id")]
    ticks = ticks_wall_s(tmp_path / "run", scenario)
    assert runs == [1, 2]
    assert not [at_s for at_s in ticks if BEGIN_S + 1.0 < at_s < BEGIN_S + 20.0], (
        "a dead daemon decides nothing"
    )
    assert ticks[-1] > 175.0
    assert report["violations"] == []
    assert report["energy_wh"]["charged"] > 0


def test_a_full_disk_delays_the_record_and_not_the_charging(tmp_path: Path) -> None:
    scenario = short(("disk_full", "controller", BEGIN_S, 60.0, 0.0))
    report, _ = play(scenario, tmp_path / "run")
    ticks = ticks_wall_s(tmp_path / "run", scenario)
    waited = [at_s for at_s in ticks if BEGIN_S + 5.0 < at_s < BEGIN_S + 55.0]
    assert len(waited) >= 20, "ticks wait in memory, and none of them is lost"
    assert ticks[-1] > 175.0, "it records again when there is room"
    calm = run_scenario(replace(scenario, faults=()))
    assert report["energy_wh"]["charged"] == pytest.approx(calm["energy_wh"]["charged"], rel=0.02)


@pytest.mark.parametrize(
    ("kind", "value", "event"),
    [
        ("meter_silent", 0.0, "meter_silent"),
        ("meter_nan", 0.0, "meter_silent"),
        ("meter_garbage", 0.0, "meter_silent"),
        ("contact_silent", 0.0, "grid_relay_silent"),
        ("contact_open", 0.0, "grid_relay_open"),
        ("clock_unsynced", 0.0, "clock_unsynced"),
    ],
)
def test_a_fault_is_told_while_it_lasts_and_over_after_it(
    kind: FaultKind, value: float, event: str, tmp_path: Path
) -> None:
    target = (
        "grid_meter"
        if kind.startswith("meter")
        else "grid_relay"
        if kind.startswith("contact")
        else "controller"
    )
    report, seen = play(short((kind, target, BEGIN_S, 30.0, value)), tmp_path / "run")
    assert BEGIN_S <= seen[event] <= BEGIN_S + 10.0
    assert seen[f"{event}.cleared"] >= BEGIN_S + 29.0
    assert report["violations"] == []


@pytest.mark.parametrize("kind", ["half_open", "offline"])
def test_a_station_out_of_reach_is_told_and_comes_back(kind: FaultKind, tmp_path: Path) -> None:
    report, seen = play(short((kind, "CS01", BEGIN_S, 90.0, 0.0), lasts_s=240.0), tmp_path / "run")
    assert BEGIN_S < seen["charger_silent"] < BEGIN_S + 75.0
    assert seen["charger_silent.cleared"] >= BEGIN_S + 88.0
    assert report["violations"] == []


def test_a_slow_link_is_late_and_loses_nothing(tmp_path: Path) -> None:
    report, seen = play(short(("slow_link", "CS01", BEGIN_S, 60.0, 2.0)), tmp_path / "run")
    assert seen.get("charger_silent", END_S) >= END_S, (
        "only the end of the run, which hangs up, makes it silent"
    )
    assert report["violations"] == []
