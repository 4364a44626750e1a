"""`v2g-edge report`: text of 80 columns, CSV, JSON, a page; noon to noon in the site's time."""

import csv
import io
import json
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.cli.conftest import START_S, daemon
from tests.study.test_night import WALL_S, night
from v2g_edge.cli.journal.report import COLUMNS, _span, as_csv, as_html, as_json, as_text
from v2g_edge.cli.main import main
from v2g_edge.model.plan import Price
from v2g_edge.study.night import Night, night_of


@pytest.fixture
def late() -> Night:
    """A night in which one bus lacked 10 %."""
    return night_of(night(last_pct=80.0), WALL_S, WALL_S + 7_200.0, (Price(WALL_S - 3_600.0, 0.10),))


def test_the_text_answers_in_one_screen(late: Night) -> None:
    """Ready or not and by how much, energy, money, what was not given, alarms."""
    lines = as_text(late).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for part in (
        "0 of 1 left ready: bus-1 lacked 10 %. 30.0 kWh charged, 0.0 kWh given, cost 3.00 (paid 3.00,",
        "bus-1 b1 75 → 80 90",
        "−10 %",
        "not given, by what held it: feeder full, outward 30.0 kWh",
        "charger_silent b2: silent",
    ):
        assert part in text


def test_csv_and_json_have_the_same_numbers(late: Night) -> None:
    """For spreadsheets and for programs; times in ISO 8601."""
    (head, row) = list(csv.reader(io.StringIO(as_csv(late))))
    assert tuple(head) == COLUMNS
    shown = json.loads(as_json(late))["stays"][0]
    assert row[0] == shown["vehicle"] == "bus-1"
    assert float(row[8]) * 1_000.0 == pytest.approx(shown["in_wh"])
    assert shown["lacked_pct"] == pytest.approx(10.0)
    assert shown["left"].endswith("+01:00")


def test_the_page_needs_nothing_else_and_escapes_names(late: Night) -> None:
    """It may be mailed."""
    page = as_html(late)
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "bus-1" in page


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-01-14", 24)])
def test_a_night_is_as_long_as_its_clock_change_makes_it(evening: str, hours: int) -> None:
    """Noon to noon."""
    start_s, end_s = _span(evening, ZoneInfo("Europe/Amsterdam"))
    assert end_s - start_s == hours * 3_600.0


def test_a_real_journal_is_reported(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody was there; a night of which nothing is recorded, and a date that is none, are said."""
    told = ["--config", str(site)]
    with daemon(site, "--clock-start", "2026-01-14T18:00:00+01:00"):
        end_s = time.monotonic() + START_S
        while main(["report", "--night", "2026-01-14", *told]) != 0 and time.monotonic() < end_s:
            time.sleep(0.1)  # between two looks at what another process writes
    capsys.readouterr()
    assert main(["report", "--night", "2026-01-14", *told]) == 0
    assert "nobody left" in capsys.readouterr().out
    assert main(["report", "--night", "2026-01-10", *told]) == 1
    assert "nothing is recorded of" in capsys.readouterr().err
    assert main(["report", "--night", "yesterday", *told]) == 2
    assert "like 2026-01-31" in capsys.readouterr().err
