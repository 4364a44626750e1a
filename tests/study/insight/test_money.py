"""Money by day, vehicle and service: by hand, with a day's end in local time, and what has no price."""

import csv
import io
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from v2g_edge.cli.main import main
from v2g_edge.study.insight.money import MoneyRow, money_of, summed
from v2g_edge.study.ledger.book import Position, State, Written
from v2g_edge.study.ledger.lines import Line, Place
from v2g_edge.study.ledger.store import Store

ZONE = ZoneInfo("Europe/Amsterdam")
EVENING_S = 1_768_429_800.0
"""2026-01-14 23:30 in Amsterdam."""


def line(quarter: int, in_wh: float, out_wh: float, vehicle: str, service: str) -> Line:
    at_s = EVENING_S + 900.0 * quarter
    return Line(at_s, "b1", "s1", vehicle, service, "register", in_wh, out_wh, 0.0)


def rows() -> list[MoneyRow]:
    lines = [
        line(0, 0.0, 10_000.0, "bus-1", "reserve"),
        line(1, 0.0, 5_000.0, "bus-1", "local plan"),
        line(2, 20_000.0, 0.0, "bus-1", "local plan"),  # the next day begins
        line(3, 4_000.0, 0.0, "", "as needed"),  # its quarter hour has no price
        line(3, 0.0, 0.0, "bus-2", "as needed"),
    ]
    prices = {EVENING_S: 0.4, EVENING_S + 900.0: 0.3, EVENING_S + 1_800.0: 0.1}
    return money_of(lines, prices, (0.05, -0.01), lambda vehicle: 0.02 if vehicle == "bus-1" else 0.0, ZONE)


def test_money_of_an_evening_by_hand() -> None:
    found = {(row.day, row.vehicle, row.service): row for row in rows()}
    assert len(found) == 4
    sold = found["2026-01-14", "bus-1", "reserve"]
    assert (sold.earned, sold.wear, sold.paid) == pytest.approx((10 * 0.39, 0.2, 0.0))
    bought = found["2026-01-15", "bus-1", "local plan"]
    assert (bought.paid, bought.net) == pytest.approx((20 * 0.15, -3.0))
    unknown = found["2026-01-15", "not known", "as needed"]
    assert (unknown.unpriced_kwh, unknown.paid) == (4.0, 0.0)


@pytest.mark.parametrize("by", ["day", "vehicle", "service", None])
def test_sums_by_each_agree_with_the_whole(by: str | None) -> None:
    whole = summed(rows(), by)  # type: ignore[arg-type]
    for key in ("in_kwh", "out_kwh", "earned", "paid", "wear", "unpriced_kwh"):
        assert sum(getattr(row, key) for row in whole) == pytest.approx(sum(getattr(r, key) for r in rows()))
    names = [getattr(row, by) for row in whole] if by else [""]
    assert names == sorted(set(names))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A ledger of two days, and hourly prices of the first."""
    store = Store(tmp_path / "ledger.db")
    lines = [line(quarter, 1_000.0, 2_000.0, f"bus-{quarter % 3}", "local plan") for quarter in range(96)]
    end_s = EVENING_S + 96 * 900.0
    place = Place("Depot", "Europe/Amsterdam", outlets=("b1",))
    store.keep(Written(lines), State(Position(end_s, end_s, 1)), place)
    store.close()
    prices = "\n".join(f"2026-01-{14 + n // 24}T{n % 24:02}:00:00+01:00,0.20" for n in range(48))
    (tmp_path / "prices.csv").write_text(f"Datetime,Price (EUR/kWh)\n{prices}\n")
    return ["money", "--ledger", str(tmp_path / "ledger.db"), "--prices", str(tmp_path / "prices.csv")]


def test_each_form_has_the_same_figures(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A span of days is a part of the whole."""
    outs = {}
    for form in ("text", "csv", "json"):
        assert main([*files, "--format", form]) == 0
        outs[form] = capsys.readouterr().out
    told, sheet = json.loads(outs["json"]), list(csv.DictReader(io.StringIO(outs["csv"])))
    assert (told["currency"], len(sheet), len(told["rows"])) == ("EUR", 5, 5)
    assert sum(float(row["earned"]) for row in sheet) == pytest.approx(96 * 2 * 0.2)
    assert told["by"]["service"][0]["earned"] == pytest.approx(96 * 2 * 0.2)
    assert max(map(len, outs["text"].splitlines())) <= 80
    assert "38.40" in outs["text"]
    assert main([*files, "--format", "json", "--from", "2026-01-15", "--until", "2026-01-16"]) == 0
    assert [row["day"] for row in json.loads(capsys.readouterr().out)["by"]["day"]] == ["2026-01-15"]


def test_two_currencies_are_refused(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--currency", "GBP"]) == 2
    assert "prices are in EUR, the bill in GBP" in capsys.readouterr().err
