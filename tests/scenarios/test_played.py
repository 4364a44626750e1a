"""Every scenario of ``tests/scenarios/played`` is played, and what must come of it comes."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sim.runners.pure import PureRun, slowed
from sim.runners.report import events, read_bodies
from sim.runners.runner import run_scenario
from sim.runners.soak import TICK_S
from sim.scenarios.played import read_entry, read_played, scenario_of
from sim.scenarios.scenario import Scenario

FOLDER = Path(__file__).parent / "played"
FILES = sorted(FOLDER.glob("*.toml"))
UP_S = 60.0
"""What is told before the depot is up, and as the daemon ends, is told in every run."""


class Played(NamedTuple):
    """What came of a scenario: rules broken, departures by verdict, kinds of events, energies in Wh."""

    broken: dict[str, Any]
    departures: dict[str, int]
    told: set[str]
    charged_wh: float
    discharged_wh: float
    held_pct: float


def with_protocols(scenario: Scenario, folder: Path) -> Played:
    report = run_scenario(scenario, folder)
    first_wall_s, last_wall_s = scenario.start_wall_s + UP_S, scenario.end_wall_s - 1.0
    told = events(read_bodies(folder / "journal.db"))
    return Played(
        broken={violation["rule"]: violation for violation in report["violations"]},
        departures=report["departures"],
        told={event.kind for event in told if first_wall_s < event.wall_s < last_wall_s},
        charged_wh=report["energy_wh"]["charged"],
        discharged_wh=report["energy_wh"]["discharged"],
        held_pct=report["availability"]["held_pct"],
    )


def on_the_pure_cycle(scenario: Scenario) -> Played:
    run = PureRun(slowed(scenario, TICK_S))
    told: set[str] = set()
    while run.depot.wall_s < run.scenario.end_wall_s:
        outcome = run.tick()
        if outcome is not None and run.depot.wall_s > scenario.start_wall_s + UP_S:
            told |= {event.kind for event in outcome.events}
    run.panel.finish(run.depot)
    verdicts = [departure.verdict for departure in run.panel.departures]
    chargers = run.depot.chargers.values()
    return Played(
        broken={violation.rule: violation for violation in run.panel.violations},
        departures={verdict: verdicts.count(verdict) for verdict in ("met", "missed_possible")},
        told=told,
        charged_wh=sum(charger.import_wh for charger in chargers),
        discharged_wh=sum(charger.export_wh for charger in chargers),
        held_pct=run.panel.availability.figures.held_pct,
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path) -> None:
    scenario, entry = read_played(path)
    pure = entry.way == "pure"
    found = on_the_pure_cycle(scenario) if pure else with_protocols(scenario, tmp_path / "run")
    expect = entry.expect
    assert set(found.broken) == set(expect.violations), found.broken
    assert set(expect.told) - found.told == set()
    assert set(expect.untold) & found.told == set()
    assert found.departures["missed_possible"] == expect.lost, found.departures
    assert expect.met is None or found.departures["met"] == expect.met, found.departures
    assert found.charged_wh >= expect.least_charged_wh
    assert found.discharged_wh >= expect.least_discharged_wh
    assert expect.most_discharged_wh is None or found.discharged_wh <= expect.most_discharged_wh
    assert expect.most_held_pct is None or found.held_pct <= expect.most_held_pct


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
