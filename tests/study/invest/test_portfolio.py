"""Portfolios: every depot and scenario once, a run that goes on where another stopped, bad lists in words."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.study.invest.test_roi import EXAMPLE
from v2g_edge.cli.main import main
from v2g_edge.study.invest.assumptions import Assumptions, read_assumptions
from v2g_edge.study.invest.days import nights_of_curve
from v2g_edge.study.invest.portfolio import PortfolioError, read_depots, results, run, solve, tasks_of

DEPOTS = (
    "depot,vehicles,need_kwh,charge_kw,discharge_kw,connection_kw\nNorth,20,,,,\nSouth/2,60,35,22,20,500\n"
)


@pytest.fixture
def base() -> Assumptions:
    return replace(read_assumptions(EXAMPLE), paths=20, years=3)


def listed(tmp_path: Path, text: str = DEPOTS) -> Path:
    path = tmp_path / "depots.csv"
    path.write_text(text)
    return path


@pytest.mark.filterwarnings("default")
def test_a_portfolio_goes_on_where_it_stopped_and_says_the_same(tmp_path: Path, base: Assumptions) -> None:
    """Two depots in three scenarios, two ways and their difference each."""
    nights, folder = tuple(nights_of_curve(base)), tmp_path / "out"
    depots = read_depots(listed(tmp_path), base)
    tasks = tasks_of(depots, nights, folder)
    assert len(tasks) == 6
    told: list[tuple[int, int]] = []
    run(tasks[:4], folder, workers=1, processes=False, told=lambda done, of: told.append((done, of)))
    assert told[-1] == (4, 4)
    rest = tasks_of(depots, nights, folder)
    assert [task.file for task in rest] == [task.file for task in tasks[4:]]
    run(rest, folder, workers=1, processes=False, told=lambda done, of: None)
    rows = list(results(folder))
    assert len(rows) == 18
    straight = sorted(
        (row for task in tasks for row in solve(task)), key=lambda r: (r["depot"], r["scenario"], r["way"])
    )
    assert rows == straight
    assert tasks_of(depots, nights, folder) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("depot,vehicles\nA,0\n", "depots.csv:2: vehicles is 0; allowed are 1 to 1000000"),
        ("depot,vehicles\nA,5\nA,6\n", "depots.csv:3: depot 'A'; line 2 has it already"),
        ("depot,vehicles\nA,many\n", "depots.csv:2: could not convert string to float: 'many'"),
        ("name\nA\n", "depots.csv:2: depot ''; a name is needed"),
        ("", "no depots; expected depot, vehicles"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, base: Assumptions, text: str, fault: str
) -> None:
    """With file and line."""
    with pytest.raises(PortfolioError) as refused:
        read_depots(listed(tmp_path, text), base)
    assert fault in str(refused.value)


def test_results_of_other_assumptions_are_not_mixed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder says what it was made from."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "assumptions.sha256").write_text("others")
    words = ["--assumptions", str(EXAMPLE), "--depots", str(listed(tmp_path)), "--output", str(folder)]
    assert main(["portfolio", *words]) == 2
    assert "holds results of other assumptions" in capsys.readouterr().err
