"""The past night from its ticks: who left ready, energy, money, what a limit held, how long alarms lasted."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.model.event import Event
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.night import Row, night_of

SITE = small_site()
WALL_S = 1_000_000.0
MINUTE_S = 60.0


def permits(wish_w: float, power_w: float, rule: str) -> tuple[Permit, ...]:
    """The first outlet's permit; the second has nothing."""
    first = Permit(
        "b1", power_w, -50_000.0, 50_000.0, 30.0, True, wish_w, Bound(power_w, power_w, rule, "test")
    )
    return first, Permit("b2", 0.0, 0.0, 0.0, 30.0, True, 0.0, Bound(0.0, 0.0, "wish", "test"))


def at(minute: float, power_w: float, soc_pct: float, *, there: bool = True) -> Snapshot:
    """A tick with one bus, or with none."""
    now_s, wall_s = 100.0 + minute * MINUTE_S, WALL_S + minute * MINUTE_S
    bus = plugged(
        "bus-1",
        now_s,
        WALL_S,
        soc_pct=Reading(soc_pct, now_s),
        departure_wall_s=Reading(WALL_S + 3_600.0, 0.0),
    )
    bus = replace(bus, power_w=Reading(power_w, now_s))
    empty = replace(bus, vehicle=None, status="available")
    snapshot = healthy(SITE, now_s, wall_s)
    return replace(snapshot, evses=(bus if there else empty, empty))


def night(power_w: float = 30_000.0, last_pct: float = 90.0) -> Iterator[Row]:
    """An hour of power, then it leaves; an alarm from minute 10 to 25."""
    for minute in range(61):
        events: tuple[Event, ...] = ()
        if minute == 10:
            events = (Event("charger_silent", "alarm", "b2", "silent", WALL_S + 600.0),)
        if minute == 25:
            events = (Event("charger_silent.cleared", "info", "b2", "cleared", WALL_S + 1_500.0),)
        soc_pct = 75.0 + (last_pct - 75.0) * minute / 60.0
        yield SITE, at(minute, power_w, soc_pct), None, permits(-50_000.0, -20_000.0, "feeder_export"), events
    yield SITE, at(61, 0.0, 0.0, there=False), None, permits(0.0, 0.0, "wish"), ()


def test_energy_is_the_measured_power_over_time_and_money_its_price() -> None:
    """30 kW for an hour: half of it at 0.10, half at 0.30."""
    prices = (Price(WALL_S - 3_600.0, 0.10), Price(WALL_S + 1_800.0, 0.30))
    found = night_of(night(), WALL_S, WALL_S + 7_200.0, prices)
    (stay,) = found.stays
    assert stay.in_wh == pytest.approx(30_000.0)
    assert stay.cost == pytest.approx(15.0 * 0.10 + 15.0 * 0.30, abs=0.11)
    assert found.feeders["main"].in_wh > 0.0


def test_who_left_with_its_target_was_ready_and_the_others_lacked_it() -> None:
    """By the last SoC that was known while it stood there."""
    (ready,) = night_of(night(), WALL_S, WALL_S + 7_200.0).stays
    assert (ready.left_wall_s, ready.lacked_pct) == (WALL_S + 61 * MINUTE_S, 0.0)
    (late,) = night_of(night(last_pct=80.0), WALL_S, WALL_S + 7_200.0).stays
    assert late.lacked_pct == pytest.approx(10.0)
    (there,) = night_of(night(), WALL_S, WALL_S + 1_800.0).stays
    assert there.left_wall_s is None


def test_what_was_not_given_stands_by_the_limit_that_held_it() -> None:
    """30 of 50 kW for an hour."""
    held = night_of(night(), WALL_S, WALL_S + 7_200.0).held
    assert held["feeder_export"].export_wh == pytest.approx(30_000.0, rel=0.02)
    priced = night_of(night(), WALL_S, WALL_S + 7_200.0, (Price(WALL_S - 3_600.0, 0.30),)).held
    assert priced["feeder_export"].missed == pytest.approx(30.0 * 0.30, rel=0.02)


def test_money_stands_by_the_service_that_it_flowed_for() -> None:
    """An hour of charging, then one of giving under a plan."""
    plan = Plan(1, "local", WALL_S, WALL_S + 3_600.0, WALL_S + 7_200.0, ())
    rows = [
        (SITE, at(minute, 30_000.0 if minute < 60 else -30_000.0, 50.0), plan, permits(0.0, 0.0, "wish"), ())
        for minute in range(121)
    ]
    found = night_of(rows, WALL_S, WALL_S + 10_000.0, (Price(WALL_S - 3_600.0, 0.20),)).services
    charged, given = found["as needed"], found["local plan"]
    assert (charged.in_wh, charged.paid) == pytest.approx((30_000.0, 6.0), rel=0.03)
    assert (given.out_wh, given.earned) == pytest.approx((30_000.0, 6.0), rel=0.03)


def test_an_alarm_lasts_from_its_event_to_its_end() -> None:
    """And one that goes on has no end."""
    (alarm,) = night_of(night(), WALL_S, WALL_S + 7_200.0).alarms
    assert (alarm.from_wall_s, alarm.until_wall_s) == (WALL_S + 600.0, WALL_S + 1_500.0)
    (alarm,) = night_of(night(), WALL_S, WALL_S + 900.0).alarms
    assert alarm.until_wall_s is None


def test_a_pause_of_the_daemon_is_no_energy() -> None:
    """Nobody knows what flowed in it."""
    rows = [
        (SITE, at(minute, 30_000.0, 80.0), None, permits(0.0, 0.0, "wish"), ())
        for minute in (0.0, 1.0, 31.0, 32.0)
    ]
    (stay,) = night_of(rows, WALL_S, WALL_S + 7_200.0).stays
    assert stay.in_wh == pytest.approx(1_000.0)


def test_an_old_power_is_no_energy() -> None:
    """A charger that fell silent says nothing about now."""
    rows = [
        (
            SITE,
            replace(at(minute, 30_000.0, 80.0), now_s=100_000.0 + minute),
            None,
            permits(0.0, 0.0, "wish"),
            (),
        )
        for minute in (0, 1)
    ]
    (stay,) = night_of(rows, WALL_S, WALL_S + 7_200.0).stays
    assert stay.in_wh == 0.0
