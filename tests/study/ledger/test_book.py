"""The bookkeeper: energies by interval, pauses, clocks, exchanged meters; the same after any kill."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.ledger.book import Book, State
from v2g_edge.study.ledger.extend import extend
from v2g_edge.study.ledger.lines import INTERVAL_S
from v2g_edge.study.ledger.statement import Statement, statement_of
from v2g_edge.study.ledger.store import LedgerError, Store

SITE = small_site()
WALL_S = 900.0 * 2_000_000
MINUTE_S = 60.0
SILENT = Unknown("not told")


class Ticked(NamedTuple):
    """A tick as a journal gives it."""

    run: int
    snapshot: Snapshot
    plan: Plan | None
    permits: tuple[Permit, ...] = ()


def tick(
    minute: float,
    power_w: float,
    *,
    wh: float | None = 0.0,
    out_wh: float | None = 0.0,
    soc_pct: float | None = 50.0,
    shift_s: float = 0.0,
    run: int = 1,
    now_s: float | None = None,
    session: str = "s1",
) -> Ticked:
    """Outlet b1 with bus-1; b2 empty; a grid meter that reads the same and 1 kW of building."""
    now_s = 100.0 + minute * MINUTE_S if now_s is None else now_s
    wall_s = WALL_S + minute * MINUTE_S + shift_s

    def sample(value: float | None) -> Measured:
        return SILENT if value is None else Reading(value, now_s)

    bus = plugged("bus-1", now_s, WALL_S, soc_pct=sample(soc_pct))
    assert bus.vehicle is not None
    bus = replace(
        bus,
        power_w=Reading(power_w, now_s),
        energy_import_wh=sample(wh),
        energy_export_wh=sample(out_wh),
        vehicle=replace(bus.vehicle, session=session),
    )
    snapshot = healthy(SITE, now_s, wall_s)
    meters = tuple(replace(m, power_w=Reading(power_w + 1_000.0, now_s)) for m in snapshot.meters)
    zero = Reading(0.0, now_s)
    empty = replace(
        bus, vehicle=None, status="available", power_w=zero, energy_import_wh=zero, energy_export_wh=zero
    )
    seq = int(minute * 10) + 1_000 * run
    snapshot = replace(snapshot, seq=seq, meters=meters, evses=(bus, empty))
    return Ticked(run, snapshot, None)


def hour(power_w: float = 30_000.0) -> Iterator[Ticked]:
    """An hour of power by a true register, a tick a minute."""
    for minute in range(61):
        wh = power_w * minute / 60.0
        yield tick(minute, power_w, wh=max(wh, 0.0), out_wh=max(-wh, 0.0), soc_pct=50.0 + wh / 2_000.0)


def booked(ticks: list[Ticked], path: Path, *, batch: int = 5_000) -> Store:
    """A ledger of these ticks."""
    store = Store(path)
    extend(store, lambda _start: iter(ticks), lambda _run: SITE, batch=batch)
    return store


def whole(store: Store) -> Statement:
    """All of it."""
    return statement_of(store, WALL_S, store.span()[1])


def test_energy_falls_into_its_quarter_hours(tmp_path: Path) -> None:
    """30 kW for an hour from the register; the grid meter has the building's kWh more."""
    statement = whole(booked(list(hour()), tmp_path / "l.db"))
    assert [row[1] for row in statement.intervals][:4] == pytest.approx([7_500.0] * 4)
    assert statement.vehicles[0].energy.in_wh == pytest.approx(30_000.0)
    assert statement.vehicles[0].energy.methods == {"register": pytest.approx(30_000.0)}
    assert statement.balance.rest_wh == pytest.approx(1_000.0, rel=0.02)
    assert statement.missing == []


def test_a_swing_that_is_told_late_is_no_fault_of_a_meter(tmp_path: Path) -> None:
    """A charger reports each minute: what it takes in the last one stands in the next quarter hour. Two
    minutes of 90 kW that no charger knows of are a fault.
    """
    for late_s, off in ((50.0, 0), (400.0, 1)):
        ticks = []
        for n in range(0, 3_601, 10):
            known_wh = 25.0 * max(n - 900.0 - late_s, 0.0)
            each = tick(n / 60.0, 90_000.0 if n >= 900 + late_s else 0.0, wh=known_wh)
            meter = replace(
                each.snapshot.meters[0],
                power_w=Reading(91_000.0 if n >= 900 else 1_000.0, each.snapshot.now_s),
            )
            ticks.append(each._replace(snapshot=replace(each.snapshot, meters=(meter,))))
        store = booked(ticks, tmp_path / f"{off}.db")
        assert len(whole(store).balance.off) == off


def test_discharge_counts_hours_cycles_and_depth(tmp_path: Path) -> None:
    """15 % out within an hour."""
    statement = whole(booked(list(hour(-30_000.0)), tmp_path / "l.db"))
    row = statement.vehicles[0]
    assert row.energy.out_wh == pytest.approx(30_000.0)
    assert row.energy.discharge_h == pytest.approx(1.0)
    assert row.deepest_pct == pytest.approx(15.0)
    assert row.life is not None
    assert row.life.efc_throughput == pytest.approx(0.075)


def test_a_charger_without_registers_is_metered_by_its_power(tmp_path: Path) -> None:
    """And the statement says so."""
    ticks = [tick(minute, 30_000.0, wh=None, out_wh=None) for minute in range(61)]
    row = whole(booked(ticks, tmp_path / "l.db")).vehicles[0]
    assert row.energy.in_wh == pytest.approx(30_000.0)
    assert set(row.energy.methods) == {"power"}


def test_a_charger_that_counts_import_alone_has_its_export_by_power(tmp_path: Path) -> None:
    """One register of two."""
    ticks = [tick(minute, -30_000.0, wh=5_000.0, out_wh=None) for minute in range(61)]
    row = whole(booked(ticks, tmp_path / "l.db")).vehicles[0]
    assert row.energy.in_wh == 0.0
    assert row.energy.out_wh == pytest.approx(30_000.0)


def test_a_pause_of_the_record_is_named_and_its_energy_spread(tmp_path: Path) -> None:
    """An hour without ticks: the register ran on, nothing is lost, nobody pretends to know when."""
    ticks = [tick(m, 30_000.0, wh=500.0 * m) for m in (*range(10), *range(70, 80))]
    statement = whole(booked(ticks, tmp_path / "l.db"))
    assert statement.vehicles[0].energy.in_wh == pytest.approx(79 * 500.0)
    assert statement.vehicles[0].energy.methods["spread"] == pytest.approx(61 * 500.0)
    assert statement.missing == [(WALL_S + 9 * MINUTE_S, WALL_S + 70 * MINUTE_S)]


def test_an_exchanged_meter_is_named_and_power_stands_in(tmp_path: Path) -> None:
    """The new meter begins at 12 kWh."""
    ticks = [tick(m, 30_000.0, wh=5e6 + 500.0 * m if m < 30 else 12_000.0 + 500.0 * m) for m in range(61)]
    statement = whole(booked(ticks, tmp_path / "l.db"))
    assert statement.vehicles[0].energy.in_wh == pytest.approx(30_000.0)
    assert [each.kind for each in statement.remarks] == ["exchange"]


@pytest.mark.parametrize("shift_s", [-1_800.0, 1_800.0, 7_200.0])
def test_a_clock_that_is_set_moves_time_and_no_energy(tmp_path: Path, shift_s: float) -> None:
    """Half an hour back, or forth."""
    ticks = [tick(m, 30_000.0, wh=500.0 * m, shift_s=0.0 if m < 30 else shift_s) for m in range(61)]
    store = booked(ticks, tmp_path / "l.db")
    statement = statement_of(store, WALL_S - 7_200.0, WALL_S + 14_400.0)
    assert statement.vehicles[0].energy.in_wh == pytest.approx(30_000.0)
    assert [each.kind for each in statement.remarks] == ["clock_step"]


def test_a_restart_with_a_register_that_ran_on_loses_nothing(tmp_path: Path) -> None:
    """Monotonic time begins anew; two minutes are missing."""
    first = [tick(m, 30_000.0, wh=500.0 * m) for m in range(30)]
    then = [tick(m, 30_000.0, wh=500.0 * m, run=2, now_s=5.0 + (m - 32) * 60.0) for m in range(32, 61)]
    statement = whole(booked(first + then, tmp_path / "l.db"))
    assert statement.vehicles[0].energy.in_wh == pytest.approx(30_000.0)
    assert [each.kind for each in statement.remarks] == ["missing"]


def test_a_stay_without_soc_and_a_blind_meter_are_named(tmp_path: Path) -> None:
    """Nothing is silently short."""
    ticks = [tick(m, 30_000.0, wh=None, soc_pct=None) for m in range(10)]
    blind = []
    for m in range(10, 20):
        each = tick(m, 0.0, wh=None, out_wh=None, soc_pct=None)
        outlets = (replace(each.snapshot.evses[0], power_w=SILENT), each.snapshot.evses[1])
        blind.append(each._replace(snapshot=replace(each.snapshot, evses=outlets)))
    end = tick(20, 0.0, wh=None, soc_pct=None, session="s2")
    statement = whole(booked([*ticks, *blind, end], tmp_path / "l.db"))
    assert sorted(each.kind for each in statement.remarks) == ["missing", "no_soc"]
    assert statement.missing == []


def permit(power_w: float, droop_w: float = 0.0) -> Permit:
    """For b1."""
    return Permit(
        "b1",
        power_w,
        power_w,
        power_w,
        120.0,
        True,
        power_w,
        Bound(power_w, power_w, "wish", "test"),
        droop_w,
    )


def test_power_beyond_the_permit_is_remarked_with_its_energy(tmp_path: Path) -> None:
    """Ten minutes at 30 kW where 11 kW are permitted; a minute of it, ripple, droop and less are nothing."""
    powers = [30_000.0] * 10 + [11_500.0] * 3 + [30_000.0] + [0.0] * 3 + [-40_000.0, 0.0]
    permits = [permit(11_000.0)] * 16 + [permit(0.0, 40_000.0)] * 3
    ticks = [
        tick(n, watts, wh=None, out_wh=None)._replace(permits=(given,))
        for n, (watts, given) in enumerate(zip(powers, permits, strict=True))
    ]
    (remark,) = whole(booked(ticks, tmp_path / "l.db")).remarks
    assert (remark.kind, remark.subject) == ("over_permit", "b1")
    assert remark.text == "30.0 kW where 11.0 kW were permitted; 2.85 kWh beyond it in 9 min"


def test_a_vehicle_that_takes_far_less_than_permitted_is_remarked(tmp_path: Path) -> None:
    """20 kW of 30 for twenty minutes at half charge: a lost phase. Not where it says that it takes no more,
    nor above 80 %, nor for ten minutes.
    """
    for minutes, soc_pct, takes_w, found in (
        (20, 50.0, 30e3, 1),
        (20, 50.0, 20e3, 0),
        (20, 85.0, 30e3, 0),
        (10, 50.0, 30e3, 0),
    ):
        ticks = []
        for n in range(minutes + 2):
            each = tick(n, 20_000.0 if n <= minutes else 30_000.0, wh=None, soc_pct=soc_pct)
            bus, empty = each.snapshot.evses
            assert bus.vehicle is not None
            told = replace(bus.vehicle, max_charge_w=Reading(takes_w, each.snapshot.now_s))
            outlets = (replace(bus, vehicle=told), empty)
            ticks.append(Ticked(1, replace(each.snapshot, evses=outlets), None, (permit(30_000.0),)))
        remarks = whole(booked(ticks, tmp_path / f"{minutes} {soc_pct} {takes_w}.db")).remarks
        assert [each.kind for each in remarks] == ["under_permit"] * found


def test_giving_more_than_permitted_is_beyond_the_permit_too(tmp_path: Path) -> None:
    """And so is charging where giving was permitted."""
    ticks = [
        tick(n, -30_000.0 if n < 5 else 5_000.0, wh=None, out_wh=None)._replace(permits=(permit(-10_000.0),))
        for n in range(9)
    ] + [tick(9, -10_000.0, wh=None, out_wh=None)]
    (remark,) = whole(booked(ticks, tmp_path / "l.db")).remarks
    assert remark.text.startswith("-30.0 kW where -10.0 kW were permitted")


def _dump(store: Store) -> tuple[object, ...]:
    """Everything in the file."""
    far = (0.0, 1e12)
    state = store.state()
    return (
        list(store.lines(*far)), store.turns(*far), store.stays(*far), store.remarks(*far),
        msgspec.msgpack.encode(state),
    )  # fmt: skip


def _restless(dice: random.Random) -> list[Ticked]:
    """Eight hours with everything: stays, pauses, steps of the clock, restarts, an exchanged meter."""
    ticks: list[Ticked] = []
    wh, out_wh, soc, minute, shift_s, run, base = 5e6, 1e6, 60.0, 0.0, 0.0, 1, 100.0
    session = "s1"
    for _ in range(480):
        step = 1.0 if dice.random() > 0.02 else dice.uniform(2.0, 90.0)
        minute += step
        power_w = dice.choice((-40_000.0, 0.0, 30_000.0, 45_000.0))
        wh, out_wh = wh + max(power_w, 0.0) * step / 60.0, out_wh + max(-power_w, 0.0) * step / 60.0
        soc = min(max(soc + power_w * step / 60.0 / 2_000.0, 5.0), 99.0)
        if dice.random() < 0.01:
            wh = 0.0
        if dice.random() < 0.01:
            shift_s += dice.choice((-600.0, 900.0))
        if dice.random() < 0.01:
            run, base = run + 1, 5.0 - minute * 60.0
        if dice.random() < 0.02:
            session = f"s{len(ticks)}"
        told = None if dice.random() < 0.05 else wh
        ticks.append(
            tick(minute, power_w, wh=told, out_wh=out_wh, soc_pct=round(soc), shift_s=shift_s, run=run,
                 now_s=base + minute * 60.0, session=session)
        )  # fmt: skip
    return ticks


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    """200 kills a seed, before or after a transaction: in the end the ledger is the same, byte for byte."""
    dice = random.Random(seed)
    ticks = _restless(dice)
    told = booked(ticks, tmp_path / "once.db")
    path = tmp_path / "killed.db"
    for kill in range(200):
        store = Store(path)
        seen = len(ticks) * (kill + 1) // 200

        def cut(start: float | None, seen: int = seen) -> Iterator[Ticked]:
            del start
            yield from ticks[:seen]

        stops = dice.randint(0, 12)
        keep = store.keep
        left = [stops]

        def kept(*what: object, keep: object = keep, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            keep(*what)  # type: ignore[operator]

        store.keep = kept  # type: ignore[assignment,method-assign]
        with pytest.raises(KeyboardInterrupt) if stops == 0 else _nothing():
            extend(store, cut, lambda _run: SITE, batch=dice.randint(1, 7))
        store.close()
    extend(Store(path), lambda _start: iter(ticks), lambda _run: SITE)
    assert _dump(Store(path)) == _dump(told)


class _nothing:  # noqa: N801 - a context manager like contextlib's
    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> bool:
        return bool(error[0] is KeyboardInterrupt)


def test_the_same_journal_twice_changes_nothing(tmp_path: Path) -> None:
    """It may be read as often as anybody likes."""
    store = booked(list(hour()), tmp_path / "l.db")
    before = _dump(store)
    assert extend(store, lambda _start: hour(), lambda _run: SITE) == 0
    assert _dump(store) == before


def test_a_journal_that_was_cut_off_goes_on_after_the_last_tick(tmp_path: Path) -> None:
    """What the retention has deleted stays in the ledger."""
    ticks = list(hour())
    store = booked(ticks[:30], tmp_path / "l.db")
    assert extend(store, lambda _start: iter(ticks[40:]), lambda _run: SITE) == 21
    assert whole(store).vehicles[0].energy.in_wh == pytest.approx(30_000.0)


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """And named."""
    path = tmp_path / "l.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(LedgerError, match=r"l\.db: cannot be used as a ledger"):
        Store(path)
    with pytest.raises(LedgerError, match="there is no ledger"):
        Store(tmp_path / "none.db", write=False)


def test_intervals_are_quarter_hours() -> None:
    """So are European imbalance settlement and most demand meters."""
    assert INTERVAL_S == 900.0
    assert isinstance(Book().state, State)
    assert isinstance(SITE, Site)
