"""What cannot be played is refused at once, with its place and what is allowed."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.__main__ import main
from sim.scenarios.check import BadWorld, check
from sim.scenarios.fault import Fault
from sim.scenarios.mixed import mixed
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario, write_scenario
from sim.world.depot import Load

BASE = night(1, chargers=2)
START = BASE.start_wall_s
FIRST, SECOND = BASE.visits


@pytest.mark.parametrize("scenario", [BASE, night(7), mixed(3)])
def test_what_can_be_played_is_given_back(scenario: Scenario) -> None:
    assert check(scenario) is scenario


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (
            replace(BASE, faults=(Fault("mute", "CS09", START, 5.0),)),
            ("faults[0].target is 'CS09'", "CS01, CS02, *"),
        ),
        (
            replace(BASE, faults=(Fault("meter_nan", "CS01", START, 5.0),)),
            ("for meter_nan allowed are grid_meter",),
        ),
        (replace(BASE, faults=(Fault("load", "E01", START, 5.0),)), ("for load allowed are main, yard",)),
        (replace(BASE, faults=(Fault("mute", "CS01", START, 0.0),)), ("faults[0].duration_s is 0",)),
        (
            replace(BASE, faults=(Fault("mute", "CS01", START, 9.0), Fault("mute", "CS01", START + 8, 9.0))),
            ("overlap",),
        ),
        (replace(BASE, visits=(replace(FIRST, evse="E09"),)), ("visits[0].evse is 'E09'", "E01, E02")),
        (replace(BASE, visits=(replace(FIRST, vehicle="BUS09"),)), ("visits[0].vehicle is 'BUS09'",)),
        (
            replace(BASE, visits=(replace(FIRST, departs_wall_s=FIRST.arrives_wall_s),)),
            ("before it arrives",),
        ),
        (replace(BASE, visits=(replace(FIRST, soc_pct=120.0),)), ("visits[0].soc_pct is 120",)),
        (
            replace(BASE, visits=(replace(FIRST, soc_pct=None),)),
            ("nothing says with which charge BUS01 arrives",),
        ),
        (replace(BASE, visits=(FIRST, replace(SECOND, evse="E01"))), ("E01 is taken twice",)),
        (replace(BASE, visits=(FIRST, replace(SECOND, vehicle="BUS01"))), ("BUS01 is taken twice",)),
        (replace(BASE, loads=(Load("hall", 1.0),)), ("loads[0].feeder is 'hall'",)),
        (replace(BASE, loads=(Load("main", 1e6),)), ("loads[0]: up to 1000000 W at main",)),
    ],
)
def test_what_cannot_be_played_is_told_with_its_place(scenario: Scenario, words: tuple[str, ...]) -> None:
    with pytest.raises(BadWorld) as told:
        check(scenario)
    for each in words:
        assert each in str(told.value)


def test_the_command_refuses_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.json"
    write_scenario(replace(BASE, faults=(Fault("mute", "CS09", START, 5.0),)), path)
    assert main(["run", "--scenario", str(path)]) == 2
    assert "faults[0].target is 'CS09'" in capsys.readouterr().err
