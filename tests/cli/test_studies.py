"""`v2g-edge ledger`, `bill`: forms, spans, corrections, and bad input in words."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.host.test_journal import _write as write_journal
from tests.study.ledger.test_book import WALL_S, booked, hour, tick
from v2g_edge.cli.main import main
from v2g_edge.study.bill.settlement import Contract, Contracts, statements_of
from v2g_edge.study.ledger.lines import Line


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


def bill(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> dict[str, Any]:
    """The bill of 2027-01-15."""
    asked = ["--from", "2027-01-15", "--until", "2027-01-16", "--tariff", "sce-tou-ev-4", "--format", "json"]
    assert main(["bill", "--ledger", str(path), *asked, *words]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return dict(found)


def test_the_grid_meter_can_be_corrected_and_its_bill_says_so(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a bill rests on is the grid meter; its remarks stand below the bill."""
    before = sum(
        float(each["quantity"]) for each in bill(capsys, ledger)["lines"] if each["kind"] == "energy"
    )
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(CORRECTION.replace(",b1,bus-1,", ",grid,,"))
    assert main(["ledger", "--ledger", str(ledger), "--correct", str(fixes)]) == 0
    capsys.readouterr()
    after = bill(capsys, ledger)
    assert sum(float(e["quantity"]) for e in after["lines"] if e["kind"] == "energy") == before - 2.5
    assert any("grid correction: C-1: -2.5 kWh in" in note for note in after["notes"])


def test_a_clock_that_was_set_back_makes_no_peak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half an hour happens twice: its quarter hours hold twice the energy, and the peak stays at 31 kW."""
    path = tmp_path / "l.db"
    ticks = [tick(m, 30_000.0, wh=500.0 * m, shift_s=0.0 if m < 60 else -1_800.0) for m in range(121)]
    booked(ticks, path).close()
    found = bill(capsys, path)
    assert found["peaks"][0]["kw"] == pytest.approx(31.0, abs=0.01)
    assert any("site clock_step: the clock was set by -1800 s" in note for note in found["notes"])
    assert any("count as no peak of demand" in note for note in found["notes"])


def test_a_statement_with_corrections_is_adjusted(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a whole month: the service that was corrected, and no other; the references stand below."""
    lines = [
        Line(0.0, "b1", "", "bus-1", "local plan", "register", 0.0, 1e6, 0.0),
        Line(0.0, "b1", "", "bus-1", "local plan", "correction", 0.0, -1e4, 0.0, "C-9"),
    ]
    contracts = Contracts("EUR", (Contract("local plan", "x", "0.10"), Contract("fcr", "y")))
    found = statements_of(contracts, lines, 744.0, date(2027, 1, 31), whole=True)
    assert [(each.service, each.status) for each in found] == [
        ("fcr", "verified"),
        ("local plan", "adjusted"),
    ]
    assert found[1].net == Decimal("99.00")
    fixes, terms = tmp_path / "fixes.csv", tmp_path / "c.toml"
    fixes.write_text(CORRECTION)
    terms.write_text('currency = "EUR"\n[[contracts]]\nservice = "correction"\nbuyer = "x"\n')
    assert main(["ledger", "--ledger", str(ledger), "--correct", str(fixes)]) == 0
    assert main(["settle", "--ledger", str(ledger), "--contracts", str(terms)]) == 0
    assert "adjusted by corrections by hand: C-1" in capsys.readouterr().out


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
    assert "fixes.csv:3: meter 'b9' is no meter of this ledger (b1, b2, grid)" in err
    assert "fixes.csv:4: a correction needs a reference and a reason" in err


def test_a_bill_without_a_whole_month_says_so(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """31 kWh in an hour; the fixed part by days."""
    asked = ["--from", "2027-01-15", "--until", "2027-01-16", "--tariff", "pnm-4b", "--format", "json"]
    assert main(["bill", "--ledger", str(ledger), *asked]) == 0
    (bill,) = json.loads(capsys.readouterr().out)
    assert any("fixed parts by days" in note for note in bill["notes"])
    assert any("nothing is recorded from" in note for note in bill["notes"])
    assert WALL_S > 0


async def test_the_timer_extends_the_ledger_and_shows_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice is once."""
    await write_journal(tmp_path / "journal.db", 40)
    asked = ["ledger", "--journal", str(tmp_path / "journal.db")]
    capsys.readouterr()
    for _ in range(2):
        assert main([*asked, "--extend"]) == 0
        assert capsys.readouterr().out == ""
    shown = ["ledger", "--ledger", str(tmp_path / "ledger.db"), "--format", "json"]
    assert main(shown) == 0
    assert json.loads(capsys.readouterr().out)["site"] == "small"
