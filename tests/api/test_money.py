"""Revenue and bookings as monitoring reads them."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.api.monitoring.exposition import Exposition
from v2g_edge.api.monitoring.money import Money, price_at
from v2g_edge.api.state import Tick
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.departure.capacity import Offer
from v2g_edge.model.plan import Price
from v2g_edge.model.reading import Reading, Unknown

SITE = small_site()
WALL_S = 1_000_000.0
PRICES = (Price(WALL_S - 100.0, 0.10), Price(WALL_S + 1_800.0, 0.30, WALL_S + 3_600.0))
OUTCOME = Cycle(SITE).tick(healthy(SITE), None, Memory())


def tick(second: float, first_w: float | None, second_w: float = 0.0) -> Tick:
    base = healthy(SITE, 100.0 + second, WALL_S + second)
    powers = (Unknown("none") if first_w is None else Reading(first_w, 0.0), Reading(second_w, 0.0))
    evses = tuple(replace(state, power_w=power) for state, power in zip(base.evses, powers, strict=True))
    return Tick(replace(base, evses=evses), None, OUTCOME)


def lines(money: Money, last: Tick) -> dict[str, float]:
    page = Exposition(openmetrics=False)
    money.add(page, last)
    rows = [line for line in page.body().decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (row.rpartition(" ") for row in rows)}


def test_what_was_given_and_taken_is_worth_its_price() -> None:
    """36 kW for an hour: half of it at 0.10, half at 0.30."""
    money = Money(lambda: PRICES, tuple, "EUR")
    for second in range(0, 3_600, 10):
        money.observe(last := tick(float(second), -36_000.0, 18_000.0))
    found = lines(money, last)
    assert found['v2g_edge_revenue_total{service="energy",currency="EUR"}'] == pytest.approx(7.2, rel=0.01)
    assert found['v2g_edge_energy_cost_total{currency="EUR"}'] == pytest.approx(3.6, rel=0.01)


def test_nothing_is_counted_without_a_price_a_power_or_over_a_gap() -> None:
    money = Money(lambda: PRICES, tuple, "")
    money.observe(tick(0.0, -36_000.0))
    money.observe(tick(5_000.0, -36_000.0))
    money.observe(last := tick(5_010.0, -36_000.0))
    assert lines(money, last)['v2g_edge_revenue_total{service="energy",currency="unknown"}'] == 0.0
    unknown = Money(lambda: PRICES, tuple, "")
    unknown.observe(tick(0.0, None))
    unknown.observe(last := tick(10.0, None))
    assert lines(unknown, last)['v2g_edge_revenue_total{service="energy",currency="unknown"}'] == 0.0


def test_bookings_count_until_they_are_over() -> None:
    offers = (
        Offer("r1", "reserve", WALL_S + 100.0, (("b1", 2_000.0), ("b2", 1_000.0))),
        Offer("r2", "reserve", WALL_S + 50.0, (("b1", 500.0),)),
        Offer("r3", "market", WALL_S - 1.0, (("b1", 500.0),)),
    )
    found = lines(Money(tuple, lambda: offers, "EUR"), tick(0.0, 0.0))
    assert found['v2g_edge_sold_watts{service="reserve"}'] == 3_500.0
    assert found['v2g_edge_ledger_promised_joules{service="reserve"}'] == 325_000.0
    assert not [name for name in found if "market" in name]


@pytest.mark.parametrize(
    ("after_s", "price"),
    [(-101.0, None), (-100.0, 0.10), (1_799.0, 0.10), (1_800.0, 0.30), (3_599.0, 0.30), (3_600.0, None)],
)
def test_the_price_of_a_moment(after_s: float, price: float | None) -> None:
    assert price_at(PRICES, WALL_S + after_s) == price
