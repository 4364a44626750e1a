"""Anomalies: each kind that is put into a simulated year is found, and clean years are quiet."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.study.insight.year import FIRST, ZONE, Fault, Night, year
from v2g_edge.study.insight.anomalies import FROM_REMARKS, RULES
from v2g_edge.study.insight.playbook import PLAYBOOK, table
from v2g_edge.study.ledger.lines import Remark, VehicleAccount

YEARS = 6
CHARGERS = 4


def _set(**values: float) -> Fault:
    def change(night: Night) -> None:
        night.update(values)

    return change


def _add(**values: float) -> Fault:
    def change(night: Night) -> None:
        for key, value in values.items():
            night[key] += value

    return change


SEEDED: dict[str, Fault] = {
    "charged_much": _add(first=-40.0), "charged_little": _set(last=55.0, first=54.0, pure=1.0),
    "gave_much": _set(gives=210.0, pure=0.0), "standby_high": _set(idle=260.0),
    "sessions_many": _set(sessions=9.0),
    "power_high": _set(peak=88.0), "arrived_late": _add(arrives=5.5),
    "arrived_early": _add(arrives=-5.0), "left_late": _add(leaves=4.5), "left_early": _add(leaves=-5.5),
    "stayed_long": _add(leaves=20.0), "stayed_short": _add(arrives=5.0, leaves=-4.0),
    "arrived_empty": _set(first=8.0), "left_short": _set(last=70.0), "cycled_deep": _set(depth=48.0),
    "pack_hot": _add(pack=22.0), "pack_cold": _add(pack=-20.0),
    "energy_lost": _set(loss=0.35, pure=1.0),
    "capacity_faded": _set(loss=-0.2, pure=1.0),
    "not_charged": _set(flows=0.0, last=50.0, first=50.0, pure=1.0),
}  # fmt: skip


def _remark(kind: str) -> Remark:
    at_s = datetime(2026, 5, 6, 12, tzinfo=ZONE).timestamp()
    return Remark(at_s, at_s, "E0", kind, "told by the ledger")


def _place(n: int, first: int) -> tuple[int, int]:
    """(charger, day of the year) of a kind."""
    return n % 4, first + 28 * (n // 4)


@pytest.fixture(scope="module")
def seeded() -> dict[str, list[date]]:
    """The findings of one year of four chargers, each kind put in twice, weeks apart from any other."""
    faults = {_place(n, first): fault for first in (19, 187) for n, fault in enumerate(SEEDED.values())}
    found: dict[str, list[date]] = {}
    for each in year(3, 4, faults):
        found.setdefault(each.kind, []).append(each.day)
    return found


@pytest.mark.parametrize("kind", SEEDED)
def test_each_kind_that_is_put_into_a_year_is_found(kind: str, seeded: dict[str, list[date]]) -> None:
    """On its day, in winter and in summer, whatever else is found with it."""
    n = list(SEEDED).index(kind)
    for first in (19, 187):
        day = FIRST + timedelta(days=_place(n, first)[1])
        assert any(abs(at - day) <= timedelta(days=1) for at in seeded.get(kind, [])), (day, seeded)


def test_what_the_ledger_remarked_and_what_a_battery_told_are_findings() -> None:
    """Exchanged and leaping meters, clocks, SoC that nobody told, a state of health that fell."""
    account = VehicleAccount("BUS0", soh_pct=88.0, first_soh_pct=96.0, last_wall_s=1.78e9)
    found = year(3, 1, remarks=[_remark(kind) for kind in FROM_REMARKS], accounts=[account])
    assert {kind for kind, _ in FROM_REMARKS.values()} | {"soh_fell"} == {each.kind for each in found}


def test_at_least_twenty_kinds_are_seeded() -> None:
    """And every kind has its entry in the playbook."""
    kinds = {kind for rule in RULES.values() for kind in (rule.high, rule.low) if kind}
    kinds |= {kind for kind, _ in FROM_REMARKS.values()} | {"not_charged", "soh_fell", "power_high"}
    assert len(SEEDED) + len(FROM_REMARKS) + 1 >= 20
    assert kinds == set(PLAYBOOK)


def test_clean_years_are_quiet() -> None:
    """At most one false alarm a charger and year, over 24 charger years."""
    found = [each for seed in range(YEARS) for each in year(seed, CHARGERS)]
    assert len(found) <= YEARS * CHARGERS
    assert len(found) <= 6, found


def test_neighbouring_days_of_one_kind_are_one_finding() -> None:
    """Four days of a heater that never stops."""
    found = year(3, 1, {(0, day): SEEDED["standby_high"] for day in range(100, 104)})
    (heater,) = [each for each in found if each.kind == "standby_high"]
    assert heater.days == 4
    assert "W, " in heater.evidence


def test_the_manual_has_the_playbook() -> None:
    """Made from the program: ``v2g_edge.study.insight.playbook.table``."""
    page = Path(__file__).parents[3] / "docs" / "energy-manager.md"
    assert table() in page.read_text(encoding="utf-8")
