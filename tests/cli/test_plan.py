"""`v2g-edge plan` as people read it: from files, in 80 columns, as JSON and as a picture; and what is
wrong with the files.
"""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.config.small import TEXT
from tests.planner.bus_depot import write_files
from tests.planner.depots import DATA
from v2g_edge.cli.live.plan_table import plan_lines
from v2g_edge.cli.main import main
from v2g_edge.config.load import loads
from v2g_edge.planner.report import Money, Report

ROOT = Path(__file__).parents[2]

PRICES = "Datetime,Price (EUR/MWh)\n" + "".join(
    f"2026-01-01 {hour:02}:00:00,{100 + 20 * (hour % 5)}\n" for hour in range(24)
)
AT = ("--at", "2026-01-01T00:00+00:00")
SITE = loads(TEXT).site
OUTLET, VEHICLE = SITE.evses[0].id, SITE.vehicles[0].id
HEAD = "evse,vehicle,soc_pct,departs,target_soc_pct\n"


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], list[str]]:
    def made(fleet: str) -> list[str]:
        (tmp_path / "site.toml").write_text(TEXT, encoding="utf-8")
        (tmp_path / "prices.csv").write_text(PRICES, encoding="utf-8")
        (tmp_path / "fleet.csv").write_text(HEAD + fleet, encoding="utf-8")
        names = [f"--{name}={tmp_path / file}" for name, file in
                 (("site", "site.toml"), ("prices", "prices.csv"), ("fleet", "fleet.csv"))]  # fmt: skip
        return ["plan", *names, *AT]

    return made


def test_a_plan_from_files_fits_eighty_columns_and_says_when_each_is_ready(
    files: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*files(f"{OUTLET},{VEHICLE},40,2026-01-01T06:30,80\n"), "--promises"]) == 0
    told = capsys.readouterr().out
    assert all(len(line) <= 80 for line in told.splitlines()), told
    assert "plan by highs" in told
    assert "expected cost" in told
    row = next(line for line in told.splitlines() if line.startswith(OUTLET))
    assert "Thu 0" in row
    assert "leaving an hour earlier" in told


def test_the_same_as_json_and_as_a_picture(
    files: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "plan.svg"
    assert main([*files(f"{OUTLET},{VEHICLE},40,2026-01-01T06:30,80\n"), "--json", f"--plot={picture}"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["report"]["vehicles"][0]["ready_wall_s"] is not None
    assert len(told["plan"]["slots"]) == len(told["report"]["buy"])
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 - our own file


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (f"nowhere,{VEHICLE},40,2026-01-01T06:30,80\n", "no outlet 'nowhere'"),
        (f"{OUTLET},stranger,40,2026-01-01T06:30,80\n", "no vehicle 'stranger'"),
        (f"{OUTLET},{VEHICLE},NaN,2026-01-01T06:30,80\n", "soc_pct"),
        (f"{OUTLET},{VEHICLE},40,half past six,80\n", "departs"),
        (f"{OUTLET},{VEHICLE},40,,80\n{OUTLET},,40,,80\n", "already"),
        ("", "no vehicles"),
    ],
)
def test_a_bad_fleet_file_is_told_by_line(
    fleet: str, said: str, files: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(files(fleet)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "fleet.csv" in told


def test_two_of_three_files_are_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--site", "site.toml"]) == 2
    assert "--fleet" in capsys.readouterr().err


def test_a_vehicle_of_which_little_is_known_is_planned_too(
    files: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(files(f"{OUTLET},,,,\n")) == 0
    assert OUTLET in capsys.readouterr().out


def test_the_plain_rules_plan_and_a_clouds_are_told_slot_by_slot() -> None:
    evses = [(f"outlet-{n:02}", -12_345.6) for n in range(30)]
    slot = {"start_wall_s": 0.0, "end_wall_s": 900.0, "evse_w": evses, "site_w": None}
    plan = {"source": "cloud", "issued_wall_s": 0.0, "valid_until_wall_s": 900.0, "slots": [slot]}
    lines = plan_lines(plan, None, None)
    assert lines[0].startswith("plan from the cloud")
    assert all(len(line) <= 80 for line in lines)
    told = plan_lines({**plan, "source": "local"}, Report("greedy", 0.0, why="it ended"), None)
    assert "by greedy" in told[0]
    assert "it ended" in told[1]
    assert plan_lines(None, None, None) == [
        "no plan: vehicles are charged for their departures, nothing is sold"
    ]


@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="needs the real depot data, which is not part of the repository: ../shared/data is not there",
)
def test_the_plan_of_the_bus_depot_is_readable_in_eighty_columns_and_stands_in_the_docs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*write_files(tmp_path), f"--plot={tmp_path / 'plan.svg'}"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in told)
    assert told[0].startswith("plan by highs")
    page = (ROOT / "docs" / "energy-manager.md").read_text(encoding="utf-8")
    assert "\n".join(told[:7]) in page
    assert (tmp_path / "plan.svg").read_text() == (ROOT / "docs" / "plan.svg").read_text()


def test_long_words_of_a_plan_are_wrapped() -> None:
    report = Report(
        "highs-ipm",
        0.0,
        money=Money(1e6, -1e6, 1e5, 1e4),
        edges=(0.0, 900.0),
        site_kw=(1.0,),
        base_kw=(1.0,),
        buy=(0.1,),
        sell=(0.1,),
        warnings=("word " * 40,),
        why="reason " * 20,
    )
    plan = {"source": "local", "issued_wall_s": 0.0, "valid_until_wall_s": 900.0, "slots": []}
    lines = plan_lines(plan, report, None)
    assert all(len(line) <= 80 for line in lines)
    assert sum("word" in line for line in lines) > 2


def test_what_the_connection_is_held_below_is_told() -> None:
    plan = {
        "source": "local",
        "issued_wall_s": 0.0,
        "valid_until_wall_s": 900.0,
        "slots": [],
        "peaks": [{"name": "month", "window_s": 900.0, "target_w": 331_240.0}],
    }
    report = Report("highs-simplex", 0.0, edges=(0.0, 900.0), site_kw=(10.0,), buy=(0.1,), sell=(0.1,))
    assert "held below 331.2 kW in each 15 min: month" in plan_lines(plan, report, None)
