"""Export prices, carbon and subscribed capacity of programmes, in the plan's prices and limits."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.openadr.test_timeline import NOW, NOW_S, event, signals
from v2g_edge.market.openadr.refine import refined
from v2g_edge.market.openadr.timeline import rows_of, signals_of, subscribed_of
from v2g_edge.model.orders import strictest
from v2g_edge.model.plan import Price, PriceRow
from v2g_edge.model.settings import PriceSettings
from v2g_edge.planner.slots import grid_of

PRICES = (Price(NOW_S, 0.30), Price(NOW_S + 3_600.0, 0.20, NOW_S + 7_200.0))


def test_an_export_price_stands_instead_of_the_price_with_what_the_site_adds() -> None:
    half = {"start": NOW, "duration": "PT30M"}
    rows = rows_of(signals(event("EXPORT_PRICE", [0.05], intervalPeriod=half)), "EXPORT_PRICE")
    prices = refined(PRICES, rows, (), 0.0)
    assert [each.earned_per_kwh for each in prices] == [0.05, None, None]
    grid = grid_of(prices, PriceSettings(export_per_kwh=0.01), NOW_S, NOW_S + 3_600.0)
    assert grid.sell[:4] == pytest.approx((0.05, 0.05, 0.31, 0.31))
    assert grid.buy[:4] == (0.30,) * 4


def test_carbon_counts_both_ways() -> None:
    carbon = rows_of(signals(event("GHG", [500.0])), "GHG")
    export = rows_of(signals(event("EXPORT_PRICE", [0.05])), "EXPORT_PRICE")
    first, second = refined(PRICES, export, carbon, 0.2)
    assert (first.per_kwh, first.earned_per_kwh) == pytest.approx((0.40, 0.15))
    assert (second.per_kwh, second.earned_per_kwh) == (0.20, None)
    assert refined(PRICES, (), carbon, 0.0) is PRICES


def test_subscribed_capacity_bounds_the_connection_and_what_is_reserved_comes_on_top() -> None:
    limits = subscribed_of(
        signals(
            event("IMPORT_CAPACITY_SUBSCRIPTION", [100.0, 100.0]),
            event("IMPORT_CAPACITY_RESERVATION", [20.0], id="e2"),
            event("EXPORT_CAPACITY_RESERVATION", [20.0], id="e3"),
        )
    )
    assert strictest(limits, "import", NOW_S)[0] == 120e3
    assert strictest(limits, "import", NOW_S + 3_600.0)[0] == 100e3
    assert strictest(limits, "import", NOW_S + 7_200.0)[0] > 1e11
    assert strictest(limits, "export", NOW_S)[0] > 1e11


@pytest.mark.parametrize("value", [-1.0, 6_000.0, "much"])
def test_carbon_that_cannot_be_is_named(value: object) -> None:
    found, wrong = signals_of([event("GHG", [value])], {}, NOW_S, "ven")
    assert found == ()
    assert "GHG is" in wrong[0]


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=8, unique=True),
    st.lists(st.integers(0, 40), min_size=2, max_size=8, unique=True),
)
def test_prices_stay_whole_whatever_is_cut(hours: list[int], edges: list[int]) -> None:
    prices = tuple(Price(a * 900.0, float(a), b * 900.0) for a, b in pairwise(sorted(hours)))
    rows = tuple(PriceRow(a * 900.0, b * 900.0, a / 100.0) for a, b in pairwise(sorted(edges)))
    found = refined(prices, rows, (), 0.0)
    assert [each.start_wall_s for each in found] == sorted(each.start_wall_s for each in found)
    for at_s in range(0, 40 * 900, 450):
        before = [p.per_kwh for p in prices if p.start_wall_s <= at_s < p.end_wall_s]
        after = [p for p in found if p.start_wall_s <= at_s < p.end_wall_s]
        assert [p.per_kwh for p in after] == before
        earned: list[float | None] = [
            row.per_kwh for row in rows if row.start_wall_s <= at_s < row.end_wall_s
        ]
        assert [p.earned_per_kwh for p in after] == ((earned or [None]) if before else [])
