"""Demand response: baselines, what events reduced by the grid meter, and its money."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.study.ledger.test_book import booked, hour
from v2g_edge.cli.main import main
from v2g_edge.study.bill.baseline import TEN_OF_TEN, Day, Method, baseline, reduced_kwh
from v2g_edge.study.bill.reduction import Reduction, loads_of, reduction_of
from v2g_edge.study.bill.settlement import ContractError, events_of, read_contracts, statements_of
from v2g_edge.study.ledger.lines import Line

ZONE = ZoneInfo("Europe/Amsterdam")
DAY_S = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


MONDAY = at("2026-02-02T00:00"), at("2026-03-02T00:00")


@pytest.mark.parametrize(("ratio", "expected"), [(1.0539, 167.56), (1.5, 190.8), (0.5, 127.2)])
def test_ten_of_ten_with_a_capped_ratio(ratio: float, expected: float) -> None:
    days = [Day((159.0,) * 3, (100.0,) * 3) for _ in range(10)]
    found = baseline(TEN_OF_TEN, days, (100.0 * ratio,) * 3)
    assert found == pytest.approx((expected,) * 3, abs=0.02)


def test_what_was_reduced_and_days_that_do_not_count() -> None:
    days = [Day((159.0,) * 3, (100.0,) * 3) for _ in range(10)] + [Day((999.0,) * 3, (100.0,) * 3)]
    days.insert(3, Day((0.0,) * 3, (0.0,) * 3, eligible=False))
    expected = baseline(TEN_OF_TEN, days, (105.39,) * 3)
    assert reduced_kwh(expected, (120.0,) * 3, 1.0, export_paid=False) == pytest.approx(142.68, abs=0.05)
    assert reduced_kwh((100.0,), (-50.0,), 1.0, export_paid=False) == 100.0
    assert reduced_kwh((100.0,), (-50.0,), 1.0, export_paid=True) == 150.0
    with pytest.raises(ValueError, match="9 eligible days"):
        baseline(TEN_OF_TEN, days[:10], (100.0,))


@pytest.mark.parametrize(("net", "expected"), [(True, -20.0), (False, 0.0)])
def test_where_export_counts_for_nothing_a_baseline_ends_at_zero(net: bool, expected: float) -> None:
    days = [Day((-20.0,), ()) for _ in range(10)]
    assert baseline(Method(adjust="none", net=net), days, ()) == (expected,)


def loads(called: tuple[float, float], during_kw: float, *, today: float = 1.0) -> dict[float, float]:
    """Four weeks of 159 kW on working days and 40 kW at weekends, and an event of less."""
    found, at_s = {}, MONDAY[0]
    while at_s < MONDAY[1]:
        weekend = datetime.fromtimestamp(at_s, UTC).astimezone(ZONE).weekday() >= 5
        own = called[0] - 5 * 3_600.0 <= at_s < called[0]
        found[at_s] = (40.0 if weekend else 159.0) * (today if own else 1.0)
        if called[0] <= at_s < called[1]:
            found[at_s] = during_kw
        at_s += 900.0
    return found


WEDNESDAY = at("2026-02-25T16:00"), at("2026-02-25T19:00")


def counted(course: dict[float, float], *called: tuple[float, float], export_paid: bool = False) -> Reduction:
    return reduction_of((WEDNESDAY,), course, ZONE, (WEDNESDAY, *called), export_paid=export_paid)


def test_ten_working_days_before_an_event_say_what_would_have_been_drawn() -> None:
    usual = counted(loads(WEDNESDAY, 120.0))
    assert usual.kwh == pytest.approx(3.0 * 39.0)
    assert usual.notes == ()
    higher = counted(loads(WEDNESDAY, 120.0, today=1.0539))
    assert higher.kwh == pytest.approx(142.68, abs=0.05), "the day was above the usual before the event"
    given = loads(WEDNESDAY, -50.0)
    assert counted(given).kwh == pytest.approx(3.0 * 159.0)
    assert counted(given, export_paid=True).kwh == pytest.approx(3.0 * 209.0)


def test_days_with_events_and_days_with_holes_do_not_count_and_too_few_days_count_nothing() -> None:
    course = loads(WEDNESDAY, 120.0)
    before = WEDNESDAY[0] - DAY_S, WEDNESDAY[1] - DAY_S
    course |= dict.fromkeys((before[0] + 900.0 * n for n in range(12)), 0.0)
    assert counted(course).kwh < 110.0
    assert counted(course, before).kwh == pytest.approx(3.0 * 39.0)
    del course[WEDNESDAY[0] - 2 * DAY_S]
    assert counted(course, before).kwh == pytest.approx(3.0 * 39.0)
    few = {at_s: kw for at_s, kw in course.items() if at_s > WEDNESDAY[0] - 9 * DAY_S}
    found = counted(few, before)
    assert found.kwh == 0.0
    assert "eligible days, 10 are needed; nothing is counted" in found.notes[0]
    del course[WEDNESDAY[0]]
    assert "has a hole in it" in counted(course, before).notes[0]


def test_the_grid_meters_lines_are_its_loads() -> None:
    lines = [
        Line(0.0, "grid", "", "", "", "register", 5_000.0, 1_000.0, 0.0),
        Line(0.0, "b1", "", "", "", "register", 9_000.0, 0.0, 0.0),
    ]
    assert loads_of(lines, "grid") == {0.0: pytest.approx(16.0)}


CONTRACT = """currency = "EUR"
[[contracts]]
service = "demand-response"
buyer = "aggregator"
per_kwh_reduced = "0.50"
aggregator_pct = "20"
events = [["2026-02-25T16:00+01:00", "2026-02-25T19:00+01:00"]]
"""


def test_a_kwh_below_the_baseline_has_its_price(tmp_path: Path) -> None:
    file = tmp_path / "contracts.toml"
    file.write_text(CONTRACT)
    contracts = read_contracts(file)
    assert events_of(contracts.contracts[0]) == (WEDNESDAY,)
    told = {"demand-response": 142.68}
    row = statements_of(contracts, [], 24.0, date(2026, 2, 28), whole=True, reduced_kwh=told)[0]
    assert (row.energy, row.fee, row.net, row.reduced_kwh) == (
        Decimal("71.34"),
        Decimal("14.27"),
        Decimal("57.07"),
        Decimal("142.68"),
    )


@pytest.mark.parametrize(
    "events",
    [
        '[["2026-02-25T16:00", "2026-02-25T19:00"]]',
        '[["noon", "night"]]',
        '[["2026-02-25T16:10+01:00", "2026-02-25T19:00+01:00"]]',
        '[["2026-02-25T19:00+01:00", "2026-02-25T16:00+01:00"]]',
    ],
)
def test_events_that_cannot_be_used_are_refused_in_words(tmp_path: Path, events: str) -> None:
    file = tmp_path / "contracts.toml"
    file.write_text(CONTRACT[: CONTRACT.index("events")] + f"events = {events}\n")
    with pytest.raises(ContractError, match=r"demand-response events: .*expected two times with their zone"):
        read_contracts(file)


def test_the_command_says_what_it_could_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = tmp_path / "l.db", tmp_path / "contracts.toml"
    booked(list(hour()), path).close()
    event = 'events = [["2027-01-15T09:00+01:00", "2027-01-15T10:00+01:00"]]\n'
    file.write_text(CONTRACT[: CONTRACT.index("events")] + event)
    assert main(["settle", "--ledger", str(path), "--month", "2027-01", "--contracts", str(file)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "demand-response: event of 2027-01-15 09:00:" in out
    assert "nothing is counted" in out
