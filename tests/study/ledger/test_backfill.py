"""A ledger that is begun late: the journal's quarter hours stand in for ticks that it has forgotten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.study.ledger.test_book import SITE, WALL_S, hour, whole
from v2g_edge.host.kept.quarters import OutletRow, PowerRow, Quarter
from v2g_edge.study.ledger.extend import extend
from v2g_edge.study.ledger.statement import statement_of
from v2g_edge.study.ledger.store import Store

DAYS = 3


def kept(from_wall_s: float) -> Iterator[Quarter]:
    """Three days before the first tick, and the hour of the ticks too: bus-1 in and out by turns."""
    for n in range(-96 * DAYS, 4):
        start_s, out = WALL_S + 900.0 * n, n % 4 == 0
        if start_s < from_wall_s:
            continue
        watts = -10_000.0 if out else 20_000.0
        outlet = OutletRow(
            "b1", 900.0, 0.0 if out else 5_000.0, 2_500.0 if out else 0.0, watts, watts,
            vehicle="bus-1", soc_pct=40.0 if out else 60.0,
        )  # fmt: skip
        empty = OutletRow("b2", 900.0, 0.0, 0.0, 0.0, 0.0)
        grid = PowerRow("grid", 900.0, 5_250.0, 0.0, 21_000.0, 21_000.0)
        yield Quarter(start_s, 900.0, True, (outlet, empty), (grid,), ())


def test_quarter_hours_stand_in_for_forgotten_ticks_and_count_once(tmp_path: Path) -> None:
    """Energy, hours of giving and cycles of the time before; the ticks' own hour is theirs alone."""
    store = Store(tmp_path / "l.db")
    for _ in range(2):
        extend(store, lambda _start: hour(), lambda _run: SITE, quarters=kept)
    before = statement_of(store, WALL_S - DAYS * 86_400.0, WALL_S)
    (bus,) = before.vehicles
    assert bus.energy.in_wh == pytest.approx(DAYS * 72 * 5_000.0)
    assert bus.energy.out_wh == pytest.approx(DAYS * 24 * 2_500.0)
    assert bus.energy.discharge_h == pytest.approx(DAYS * 24 * 0.25)
    assert bus.efc_rainflow == pytest.approx(DAYS * 24 * 0.2, rel=0.05)
    assert before.balance.grid_in_wh == pytest.approx(DAYS * 96 * 5_250.0)
    assert [each.kind for each in before.remarks] == ["quarter_hours"]
    assert before.missing == []
    day = statement_of(Store(_torn(tmp_path)), WALL_S - DAYS * 86_400.0, WALL_S)
    assert day.missing == [(WALL_S - 90_000.0, WALL_S - 86_400.0)]
    assert whole(store).vehicles[0].energy.in_wh == pytest.approx(30_000.0)


def _torn(tmp_path: Path) -> Path:
    """A ledger of quarter hours with an hour that was not recorded."""
    store = Store(tmp_path / "torn.db")
    gone = range(round(WALL_S - 90_000), round(WALL_S - 86_400))
    extend(
        store, lambda _start: hour(), lambda _run: SITE,
        quarters=lambda start_s: (each for each in kept(start_s) if round(each.start_wall_s) not in gone),
    )  # fmt: skip
    store.close()
    return tmp_path / "torn.db"


def test_the_row_that_begins_with_the_first_tick_is_its_own(tmp_path: Path) -> None:
    """A row of one tick has no length; nothing of before is known then, and nothing is remarked."""
    store = Store(tmp_path / "l.db")
    first = replace(next(kept(WALL_S)), seconds=0.0)
    extend(store, lambda _start: hour(), lambda _run: SITE, quarters=lambda _start: [first])
    assert whole(store).remarks == []


def test_a_kill_on_the_way_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each transaction."""
    monkeypatch.setattr("v2g_edge.study.ledger.backfill.BATCH", 50)
    once = Store(tmp_path / "once.db")
    extend(once, lambda _start: hour(), lambda _run: SITE, quarters=kept)
    for kill in range(8):
        store = Store(tmp_path / "killed.db")
        keep, left = store.keep, [1]

        def cut(*what: object, keep: object = keep, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            keep(*what)  # type: ignore[operator]

        monkeypatch.setattr(store, "keep", cut)
        try:
            extend(store, lambda _start: hour(), lambda _run: SITE, quarters=kept)
        except KeyboardInterrupt:
            assert kill < 7
        store.close()
    store = Store(tmp_path / "killed.db")
    far = (0.0, 1e12)
    assert list(store.lines(*far)) == list(once.lines(*far))
    assert store.turns(*far) == once.turns(*far)
