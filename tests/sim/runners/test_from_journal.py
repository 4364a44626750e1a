"""A night's journal becomes a scenario that holds its stays, its silent meter and its controller's gaps, and
can be played again.
"""

import sqlite3
import zlib
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.runners.from_journal import incident_of
from sim.runners.runner import run_scenario
from sim.runners.soak import play
from sim.scenarios.played import read_entry, scenario_of
from sim.scenarios.scenario import Scenario, read_scenario

NIGHT = """
about = "A meter is silent, a charger is offline, the relay opens, the daemon restarts"
minutes = 10
[[visits]]
evse = "E01"
soc_pct = 40
departs = 60
target_soc_pct = 90
[[faults]]
kind = "meter_silent"
target = "grid_meter"
at_s = 120
for_s = 60
[[faults]]
kind = "offline"
target = "CS02"
at_s = 240
for_s = 60
[[faults]]
kind = "restart"
target = "controller"
at_s = 400
for_s = 20
[[disturbances]]
at_s = 320
for_s = 30
relay_open = true
[expect]
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Path]:
    scenario = scenario_of(read_entry(NIGHT, "night"), "night")
    folder = tmp_path_factory.mktemp("night")
    run_scenario(scenario, folder / "run")
    return scenario, folder / "run" / "journal.db"


def test_the_stays_of_the_night_are_there(played: tuple[Scenario, Path]) -> None:
    scenario, journal = played
    found = incident_of(journal).scenario
    assert found.site == scenario.settings(Path()).site
    told = {visit.evse: visit for visit in found.visits}
    for visit in scenario.visits:
        again = told[visit.evse]
        assert (again.vehicle, again.target_soc_pct) == (visit.vehicle, visit.target_soc_pct)
        assert again.departs_wall_s == pytest.approx(visit.departs_wall_s, abs=1.0)
        assert again.soc_pct == pytest.approx(visit.soc_pct, abs=1.0)
        assert again.arrives_wall_s == pytest.approx(visit.arrives_wall_s, abs=30.0)


def test_what_fell_silent_is_a_fault_again(played: tuple[Scenario, Path]) -> None:
    scenario, journal = played
    found = incident_of(journal).scenario
    faults = {(fault.kind, fault.target): fault for fault in found.faults}
    start_wall_s = scenario.start_wall_s
    silent = faults["meter_silent", "grid_meter"]
    assert silent.start_wall_s - start_wall_s == pytest.approx(120.0, abs=6.0)
    assert silent.duration_s == pytest.approx(60.0, abs=6.0)
    assert faults["offline", "S-E02"].start_wall_s - start_wall_s == pytest.approx(240.0, abs=10.0)
    assert faults["restart", "controller"].start_wall_s - start_wall_s == pytest.approx(400.0, abs=10.0)
    (relay,) = found.disturbances
    assert relay.relay_open
    assert relay.start_wall_s - start_wall_s == pytest.approx(320.0, abs=6.0)
    assert found.loads[0].base_w > 0.0


def test_the_command_writes_a_scenario_that_can_be_played(
    played: tuple[Scenario, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "incident.json"
    assert main(["from-journal", str(played[1]), "--out", str(out)]) == 0
    assert "2 stays" in capsys.readouterr().out
    assert play(read_scenario(out), "pure").broken == ()
    assert main(["run", "--pure", "--scenario", str(out)]) == 0
    assert "departures" in capsys.readouterr().out


def test_what_is_no_journal_is_refused_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no journal")
    assert main(["from-journal", str(file), "--out", str(tmp_path / "x.json")]) == 2
    assert "notes.txt: cannot be read as a journal" in capsys.readouterr().err


def test_a_journal_of_another_form_names_the_version_that_wrote_it(
    played: tuple[Scenario, Path], tmp_path: Path
) -> None:
    old = tmp_path / "journal.db"
    with sqlite3.connect(played[1]) as source, sqlite3.connect(old) as copy:
        source.backup(copy)
        copy.execute("UPDATE runs SET version = '0.0.9'")
        copy.execute("UPDATE ticks SET body = ? WHERE id > 5", (zlib.compress(b"\x91\x01"),))
    with pytest.raises(ValueError, match=r"journal.db: written by version 0\.0\.9, this is"):
        incident_of(old)
