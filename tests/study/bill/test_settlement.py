"""Statements by service: to the cent, less the fee, adding up to the ledger; contracts that are refused."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.study.ledger.test_book import booked, hour
from v2g_edge.cli.main import main
from v2g_edge.study.bill.settlement import ContractError, read_contracts, statements_of
from v2g_edge.study.ledger.lines import Line

EXAMPLE = Path(__file__).parents[3] / "examples" / "contracts.toml"
END = date(2026, 1, 31)


def line(service: str, in_wh: float, out_wh: float) -> Line:
    """A line under a service."""
    return Line(0.0, "b1", "s1", "bus-1", service, "register", in_wh, out_wh, 0.0)


def test_energy_and_capacity_less_the_fee() -> None:
    """1,000 kWh at 14.5 ct less 12 %; 120 kW for 744 h at 1.15 ct less 20 %."""
    rows = [
        line("local plan", 900_000.0, 400_000.0),
        line("local plan", 0.0, 600_000.0),
        line("as needed", 5e3, 0.0),
    ]
    plan, fcr, none = (
        {each.service: each for each in statements_of(read_contracts(EXAMPLE), rows, 744.0, END, whole=True)}[
            name
        ]
        for name in ("local plan", "fcr", "as needed")
    )
    assert plan.net == Decimal("127.60")
    assert fcr.net == Decimal("821.38")  # 120 × 744 × 0.0115 = 1026.72, less 205.344
    assert (fcr.due, plan.due, none.due) == (date(2026, 4, 1), date(2026, 3, 2), None)
    assert (none.net, none.in_kwh) == (Decimal("0.00"), Decimal("5.0"))


def test_statements_add_up_to_the_ledger() -> None:
    """Each kWh under one service."""
    rows = [line(f"s{n % 3}", 1_000.0 * n, 500.0 * n) for n in range(50)]
    found = statements_of(read_contracts(EXAMPLE), rows, 1.0, END, whole=True)
    assert sum(each.in_kwh for each in found) == Decimal("1225.0")
    assert sum(each.out_kwh for each in found) == Decimal("612.5")


def test_a_month_with_a_pause_is_preliminary_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An hour of a month is on record: an hour of capacity is paid."""
    path = tmp_path / "l.db"
    booked(list(hour()), path).close()
    words = ["settle", "--ledger", str(path), "--month", "2027-01", "--contracts", str(EXAMPLE)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "preliminary" in out
    assert out.count("nothing is recorded from") == 2
    assert "1.10" in out  # 120 kW × 1 h × 0.0115, less 20 %
    assert main([*words, "--format", "json"]) == 0
    assert '"net": "1.10"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (('service = "fcr"', 'service = "local plan"'), "two contracts for service 'local plan'"),
        (('"0.0115"', '"much"'), "fcr per_kw_hour is 'much'; expected a number as text"),
        (('"0.0115"', "0.0115"), "Expected `str`, got `float`"),
        (("delay_days = 60", "delay = 60"), "unknown field `delay`"),
    ],
)
def test_contracts_that_cannot_be_used_are_refused_in_words(
    tmp_path: Path, change: tuple[str, str], text: str
) -> None:
    """With the file's name."""
    path = tmp_path / "c.toml"
    path.write_text(EXAMPLE.read_text().replace(*change))
    with pytest.raises(ContractError) as refused:
        read_contracts(path)
    assert text in str(refused.value)
    assert "c.toml" in str(refused.value)
