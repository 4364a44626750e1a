"""`v2g-edge ledger`, `bill`: forms, spans, corrections, and bad input in words."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.study.ledger.test_book import WALL_S, booked, hour
from v2g_edge.cli.main import main


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """An hour of 30 kW, 2027-01-15 09:00 in Berlin."""
    path = tmp_path / "ledger.db"
    booked(list(hour()), path).close()
    return path


def test_the_csv_has_a_line_for_every_quarter_hour_that_is_asked_for(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those without any record are empty, not 0."""
    asked = ["--from", "2027-01-15", "--until", "2027-01-16", "--format", "csv"]
    assert main(["ledger", "--ledger", str(ledger), *asked]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 97
    known = [row for row in rows[1:] if row[1]]
    assert sum(float(row[1]) for row in known) == pytest.approx(30.0)
    assert 4 <= len(known) <= 5


def test_what_was_not_recorded_is_named(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first tick and after the last."""
    main(["ledger", "--ledger", str(ledger), "--month", "2027-01"])
    out = capsys.readouterr().out
    assert out.count("! missing: ") == 2
    main(["ledger", "--ledger", str(ledger), "--month", "2027-01", "--format", "json"])
    assert len(json.loads(capsys.readouterr().out)["missing"]) == 2


CORRECTION = """reference,start,meter,vehicle,service,in_kwh,out_kwh,reason
C-1,2027-01-15T09:15,b1,bus-1,,-2.5,,meter tested 2 % high
"""


def test_a_correction_is_an_entry_and_counts_once(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often the file is given."""
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(CORRECTION)
    for _ in range(2):
        assert main(["ledger", "--ledger", str(ledger), "--correct", str(fixes), "--format", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["vehicles"][0]["energy"]["in_wh"] == pytest.approx(27_500.0)
        assert [each["kind"] for each in told["remarks"]] == ["correction"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ledger", "--month", "January"], "--month 'January' is no month; write it like 2026-01"),
        (["ledger", "--from", "2027-01-16", "--until", "2027-01-15"], "--until must be after --from"),
        (["ledger", "--from", "yesterday"], "--from 'yesterday' is no date"),
        (["bill", "--tariff", "nl-spot"], "bills spot prices: name a file with --prices"),
        (["bill", "--tariff", "no-such"], "shipped tariffs: nl-spot"),
        (["bill", "--tariff", "pnm-4b", "--exchange", "USD"], "--exchange 'USD'; expected like USD=0.92"),
    ],
)
def test_bad_input_is_refused_in_words(
    ledger: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    """Exit code 2."""
    assert main([arguments[0], "--ledger", str(ledger), *arguments[1:]]) == 2
    assert text in capsys.readouterr().err


def test_a_correction_that_cannot_be_used_is_refused_with_its_line(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing of the file is taken."""
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(CORRECTION + "C-2,2027-01-15T09:15,b9,,,1,,why\n,2027-01-15T09:15,b1,,,1,,why\n")
    assert main(["ledger", "--ledger", str(ledger), "--correct", str(fixes)]) == 2
    err = capsys.readouterr().err
    assert "fixes.csv:3: meter 'b9' is no outlet of this ledger (b1, b2)" in err
    assert "fixes.csv:4: a correction needs a reference and a reason" in err


def test_a_bill_without_a_whole_month_says_so(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """31 kWh in an hour; the fixed part by days."""
    asked = ["--from", "2027-01-15", "--until", "2027-01-16", "--tariff", "pnm-4b", "--format", "json"]
    assert main(["bill", "--ledger", str(ledger), *asked]) == 0
    (bill,) = json.loads(capsys.readouterr().out)
    assert any("fixed parts by days" in note for note in bill["notes"])
    assert any("nothing is recorded from" in note for note in bill["notes"])
    assert WALL_S > 0
