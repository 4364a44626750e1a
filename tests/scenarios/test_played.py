"""Every scenario of ``tests/scenarios/played`` is played with protocols, and what must come of it comes."""

from pathlib import Path

import pytest

from sim.runners.report import events, read_bodies
from sim.runners.runner import run_scenario
from sim.scenarios.played import read_entry, read_played, scenario_of

FOLDER = Path(__file__).parent / "played"
FILES = sorted(FOLDER.glob("*.toml"))
UP_S = 60.0
"""What is told before the depot is up, and as the daemon ends, is told in every run."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path) -> None:
    scenario, entry = read_played(path)
    report = run_scenario(scenario, tmp_path / "run")
    expect = entry.expect
    first_wall_s, last_wall_s = scenario.start_wall_s + UP_S, scenario.end_wall_s - 1.0
    told = {
        e.kind
        for e in events(read_bodies(tmp_path / "run" / "journal.db"))
        if first_wall_s < e.wall_s < last_wall_s
    }
    assert {v["rule"] for v in report["violations"]} == set(expect.violations), report["violations"]
    assert set(expect.told) - told == set()
    assert set(expect.untold) & told == set()
    departures, energy = report["departures"], report["energy_wh"]
    assert departures["missed_possible"] == expect.lost, departures["missed"]
    assert expect.met is None or departures["met"] == expect.met, departures
    assert energy["charged"] >= expect.least_charged_wh
    assert energy["discharged"] >= expect.least_discharged_wh
    assert expect.most_discharged_wh is None or energy["discharged"] <= expect.most_discharged_wh
    assert expect.most_held_pct is None or report["availability"]["held_pct"] <= expect.most_held_pct


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('about = "x"\nexpects = 1\n[expect]\n', ("file.toml", "expects")),
        (
            (
                'about = "x"\n[[faults]]\nkind = "meter_silnet"\ntarget = "grid_meter"\nat_s = 1\nfor_s ='
                " 1\n[expect]\n"
            ),
            ("kind",),
        ),
        ('about = "x"\n[safety]\nlease = 3\n[expect]\n', ("safety.lease", "lease_s")),
        ('about = "x"\n[feeders.hall]\nimport_limit_w = 3.0\n[expect]\n', ("feeders.hall", "main, yard")),
        ('about = "x"\n[[visits]]\nevse = "E09"\n[expect]\n', ("E09", "E01, E02")),
        (
            'about = "x"\n[[faults]]\nkind = "mute"\ntarget = "CS09"\nat_s = 1\nfor_s = 1\n[expect]\n',
            ("CS09", "CS01, CS02, *"),
        ),
    ],
)
def test_a_scenario_that_names_what_is_not_there_is_refused_with_its_place(
    text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=words[0]) as told:
        scenario_of(read_entry(text, "file.toml"), "file")
    for word in words:
        assert word in str(told.value)
