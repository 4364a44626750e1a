"""Stations that disobey, fall silent or restart for a while cost nobody its departure, and no person has
to come (case A1).
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.runners.report import events, read_bodies
from sim.runners.runner import run_scenario
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.night import START, night
from sim.scenarios.scenario import Scenario

BEGINS_S = START.replace(hour=20, minute=6).timestamp()
"""Local time: the evening peak is sold, so that most of the buses are discharging."""


def evening(kind: FaultKind, stations: int, lasts_s: float, value: float = 0.0) -> Scenario:
    """Four buses on a connection of 133 kW from eight o'clock on; all leave at nine with more
    than they have.
    """
    scenario = night(7, chargers=4, quiet=True)
    start_wall_s = START.replace(hour=20, minute=0).timestamp()
    visits = tuple(
        replace(
            visit,
            arrives_wall_s=start_wall_s + 30.0,
            departs_wall_s=start_wall_s + 3_600.0,
            soc_pct=70.0,
            target_soc_pct=74.0,
        )
        for visit in scenario.visits
    )
    faults = tuple(
        Fault(kind, station.identity, BEGINS_S, lasts_s, value) for station in scenario.stations[:stations]
    )
    return replace(scenario, start_wall_s=start_wall_s, duration_s=3_700.0, visits=visits, faults=faults)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "stations", "lasts_s", "value"),
    [
        ("ignore", 3, 120.0, 0.0),
        ("ignore", 4, 600.0, 0.0),
        ("mute", 3, 120.0, 0.0),
        ("late", 4, 600.0, 8.0),
        ("offline", 4, 120.0, 0.0),
        ("reboot", 3, 120.0, 0.0),
    ],
)
def test_a1_starved_by_quarantine_in_short(
    kind: FaultKind, stations: int, lasts_s: float, value: float, tmp_path: Path
) -> None:
    report = run_scenario(evening(kind, stations, lasts_s, value), tmp_path)
    assert report["violations"] == []
    assert report["departures"]["met"] == 4
    told = events(read_bodies(tmp_path / "journal.db"))
    began = {event.subject for event in told if event.kind == "disobedient"}
    ended = {event.subject for event in told if event.kind == "disobedient.cleared"}
    assert began == ended, "no quarantine waits for a person"
