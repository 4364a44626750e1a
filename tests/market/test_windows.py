"""Limits by hours, days and seasons, in local time, over clock changes; and what they make of a tick."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.market.windows import Windows
from v2g_edge.model.orders import narrowed, narrower
from v2g_edge.model.site import Site, Window
from v2g_edge.model.snapshot import Operator

ZONE = ZoneInfo("Europe/Berlin")


def site(*windows: Window, holidays: tuple[str, ...] = ()) -> Site:
    return small_site(windows=windows, holidays=holidays)


def at(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold).timestamp()


def holds(window: Window, text: str, holidays: tuple[str, ...] = (), fold: int = 0) -> bool:
    return bool(Windows(site(window, holidays=holidays)).orders_at(at(text, fold), synced=True))


NIGHT = Window("night", ("Mo-Fr 22:00-06:00",), feeder="main", export_limit_w=0.0)


@pytest.mark.parametrize(
    ("text", "open_then"),
    [
        ("2026-01-16T21:59", False),
        ("2026-01-16T22:00", True),  # a Friday
        ("2026-01-17T05:59", True),  # and its morning
        ("2026-01-17T06:00", False),
        ("2026-01-17T22:00", False),
        ("2026-01-19T03:00", False),  # Sunday's night is no night of Mo-Fr
        ("2026-01-19T23:00", True),
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_begin(text: str, open_then: bool) -> None:
    assert holds(NIGHT, text) == open_then


@pytest.mark.parametrize(
    ("text", "fold"), [("2026-10-25T02:30", 0), ("2026-10-25T02:30", 1), ("2026-03-29T03:30", 0)]
)
def test_a_clock_change_lengthens_or_shortens_a_window(text: str, fold: int) -> None:
    """Both half past twos of October are in it."""
    window = Window("w", ("Su 02:00-04:00",), feeder="main", import_limit_w=1_000.0)
    assert holds(window, text, fold=fold)


def test_a_holiday_is_a_day_of_its_own_window() -> None:
    window = Window("w", ("PH 00:00-24:00",), feeder="main", export_limit_w=0.0)
    assert holds(window, "2026-12-25T12:00", holidays=("2026-12-25",))
    assert not holds(window, "2026-12-24T12:00", holidays=("2026-12-25",))


def test_a_clock_that_is_not_set_makes_every_window_hold() -> None:
    """The narrowest of every hour."""
    assert Windows(site(NIGHT)).orders_at(at("2026-01-17T12:00"), synced=False)


def test_orders_stay_the_same_objects_while_nothing_changes() -> None:
    """The journal writes what moved, and the plan is made anew at an edge only."""
    windows = Windows(site(NIGHT))
    first = windows.orders_at(at("2026-01-16T22:00"), synced=True)
    assert windows.orders_at(at("2026-01-17T02:00"), synced=True) is first
    assert windows.orders_at(at("2026-01-17T06:00"), synced=True) == ()


def test_a_site_without_windows_asks_nothing() -> None:
    assert Windows(small_site()).orders_at(0.0, synced=False) == ()


def test_nothing_flows_out_in_a_window_without_export() -> None:
    """Every permit at that tick."""
    plain = small_site()
    snapshot = healthy(plain)
    orders = Windows(site(Window("w", ("Mo-Su 00:00-24:00",), feeder="main", export_limit_w=0.0))).orders_at(
        0.0, synced=True
    )
    outcome = Cycle(plain).tick(replace(snapshot, operator=Operator(orders=orders)), None, Memory())
    assert all(permit.power_w >= 0.0 for permit in outcome.permits)
    assert narrower(plain, narrowed(orders)).feeders[1].export_limit_w == 0.0


def test_a_reserve_of_the_season_raises_the_floor_and_never_lowers_it() -> None:
    """Nor above where charging ends."""
    kind = small_site().vehicle_types[0]
    for pct, floor_pct in ((50.0, 50.0), (5.0, kind.min_soc_pct), (100.0, kind.max_soc_pct)):
        window = Window("winter", ("11-01/03-31 00:00-24:00",), vehicle_type="bus", min_soc_pct=pct)
        orders = Windows(site(window)).orders_at(at("2026-01-16T12:00"), synced=True)
        assert narrower(small_site(), narrowed(orders)).vehicle_types[0].min_soc_pct == floor_pct
