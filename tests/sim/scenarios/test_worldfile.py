"""Worlds as data: those that ship can be played and every vehicle leaves charged; what cannot be is told."""

from pathlib import Path

import pytest

from sim.__main__ import main
from sim.runners.pure import PureRun, slowed
from sim.runners.soak import play
from sim.scenarios.check import BadWorld
from sim.scenarios.worldfile import presets, read_world

PRICES = f"prices = {[0.1] * 24}"
SMALL = f"""
about = "one van"
{PRICES}
[feeders.main]
import_limit_w = 20000
load_w = 1000
[types.van]
capacity_wh = 60000
charge_w = 50000
[[fleet]]
type = "van"
count = 1
charger_w = 11000
stays = [{{ arrives = ["16:00", "16:30"], departs = ["05:30", "06:00"], soc_pct = [20, 60] }}]
"""


def test_the_worlds_that_ship_are_those_of_the_manual() -> None:
    assert presets() == ["mixed", "school-buses", "solar", "tight", "transit", "vans"]
    text = Path("docs/soak.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in presets())


@pytest.mark.parametrize("name", presets())
def test_a_world_is_the_same_for_the_same_seed(name: str) -> None:
    assert read_world(name, 7) == read_world(name, 7)
    assert read_world(name, 7) != read_world(name, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", presets())
def test_in_a_world_without_faults_every_vehicle_leaves_charged(name: str) -> None:
    result = play(read_world(name, 7), "pure")
    assert (result.broken, result.lost, result.impossible) == ((), 0, 0)
    assert result.met >= 5
    assert result.held_h <= 0.02 * result.lacking_h


def test_school_buses_stand_idle_at_midday_and_use_energy_between_their_stays() -> None:
    scenario = read_world("school-buses", 7)
    assert scenario.site.grid.nominal_hz == 60.0
    mine = [visit for visit in scenario.visits if visit.vehicle == "bus-01"]
    assert [visit.soc_pct is None for visit in mine] == [False, True]
    assert mine[1].route_pct[0] < 0.0
    assert mine[0].departs_wall_s < mine[1].arrives_wall_s


def test_a_roof_of_solar_cells_gives_at_noon_and_nothing_at_night() -> None:
    run = PureRun(slowed(read_world("solar", 7), 60.0))
    load, start_wall_s = run.scenario.loads[0], run.scenario.start_wall_s
    power_w = [load.power_w(start_wall_s + 900.0 * n) for n in range(96)]
    assert min(power_w) < -50_000.0
    assert power_w[-16] > 15_000.0, "three in the night"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('type = "van"', 'type = "lorry"', ("fleet[0].type", "lorry", "van")),
        ("count = 1", 'count = 1\nfeeder = "hall"', ("fleet[0].feeder", "hall", "main")),
        ("count = 1", "count = 0", ("fleet[0].count",)),
        ("count = 1", "cuont = 1", ("cuont",)),
        ("[feeders.main]", '[feeders.main]\nparent = "hall"', ("without parent",)),
        ("charger_w = 11000", "charger_w = 2000", ("van-01", "needs", "its charger gives")),
        ("charger_w = 11000", "charger_w = 11000\nfallback_w = 21000", ("feeders.main", "lower fallback_w")),
        (PRICES, "prices = [0.1]", ("prices has 1",)),
        (", soc_pct = [20, 60]", "", ("fleet[0].stays[0]", "soc_pct or used_pct")),
    ],
)
def test_a_world_that_cannot_be_is_refused_with_its_place(
    old: str, new: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in SMALL
    file = tmp_path / "small.toml"
    file.write_text(SMALL, encoding="utf-8")
    assert read_world(str(file), 1).visits
    file.write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(BadWorld):
        read_world(str(file), 1)
    assert main(["run", "--pure", "--world", str(file)]) == 2
    said = capsys.readouterr().err
    assert "small" in said
    assert all(word in said for word in words), said


def test_a_world_that_does_not_ship_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--world", "moon"]) == 2
    assert "school-buses" in capsys.readouterr().err
