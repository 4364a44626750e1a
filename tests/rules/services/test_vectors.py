"""The published and reckoned vectors of grid services: droop curves, scores, windows, ratchet, baselines,
credit.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.model.orders import strictest
from v2g_edge.model.service import CapacityLimit, Service, Signal
from v2g_edge.rules.services.account import Headroom, hold, hours_of
from v2g_edge.rules.services.arming import Measured, refusals
from v2g_edge.rules.services.frequency import PRODUCTS, activation
from v2g_edge.rules.services.limits import zero_limits
from v2g_edge.rules.services.regulation import credit, recovery_w, score
from v2g_edge.rules.services.signal import MAX_AGE_S, TIMEOUT, followed


@pytest.mark.parametrize(
    ("product", "hz", "share"),
    [
        *[
            ("fcr", hz, share)
            for hz, share in ((50.005, 0), (50.01, 0), (49.98, 0.1), (49.9, 0.5), (49.8, 1), (49.7, 1))
        ],
        *[("fcr", hz, share) for hz, share in ((50.1, -0.5), (50.25, -1), (49.99, 0))],
        *[("fcr_n", hz, share) for hz, share in ((49.95, 0.5), (49.85, 1), (50.05, -0.5))],
        *[
            ("fcr_d_up", hz, share)
            for hz, share in ((49.9, 0), (49.8, 0.25), (49.7, 0.5), (49.5, 1), (49.2, 1), (50.4, 0))
        ],
        *[("fcr_d_down", hz, share) for hz, share in ((50.1, 0), (50.2, -0.25), (50.5, -1), (49.5, 0))],
    ],
)
def test_curves_of_the_continent_and_the_north(product: str, hz: float, share: float) -> None:
    assert activation(product, hz, 50.0) == pytest.approx(share, abs=1e-9)


DEVIATIONS = (-0.05, -0.1, -0.15, -0.2, -0.3, -0.5)


@pytest.mark.parametrize(
    ("product", "shares"),
    [
        ("dc", (0.0095, 0.0230, 0.0365, 0.05, 0.3667, 1.0)),
        ("dm", (0.0206, 0.05, 0.525, 1.0, 1.0, 1.0)),
        ("dr", (0.1892, 0.4595, 0.7297, 1.0, 1.0, 1.0)),
    ],
)
def test_curves_of_great_britain(product: str, shares: tuple[float, ...]) -> None:
    for deviation, share in zip(DEVIATIONS, shares, strict=True):
        assert activation(product, 50.0 + deviation, 50.0) == pytest.approx(share, abs=5e-5)
        assert activation(product, 50.0 - deviation, 50.0) == pytest.approx(-share, abs=5e-5)
    assert activation(product, 49.985, 50.0) == activation(product, 50.015, 50.0) == 0.0


@given(product=st.sampled_from(sorted(PRODUCTS)), low=st.floats(45, 55), high=st.floats(45, 55))
def test_a_lower_frequency_never_asks_for_less(product: str, low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    assert 1.0 >= activation(product, low, 50.0) >= activation(product, high, 50.0) - 1e-12 >= -1.0 - 1e-12


def wave(late_s: float = 0.0, gain: float = 1.0) -> list[float]:
    return [gain * math.sin(2 * math.pi * (10.0 * k - late_s) / 600.0) for k in range(390)]


@pytest.mark.parametrize(
    ("response", "parts", "total"),
    [
        (wave(), (1, 1, 1), 1.0),
        (wave(20.0), (1, 0.9333, 0.7909), 0.9081),
        (wave(60.0), (1, 0.8, 0.382), 0.7273),
        (wave(gain=0.5), (1, 1, 0.5), 0.8333),
        ([0.0] * 390, (0, 0, 0), 0.0),
        (wave(gain=-1.0), (1, 0, 0), 0.3333),
    ],
)
def test_the_three_part_score(response: list[float], parts: tuple[float, ...], total: float) -> None:
    found = score(wave(), response)
    assert found is not None
    assert found == pytest.approx(parts, abs=5e-4)
    assert found.total == pytest.approx(total, abs=5e-4)


def test_an_interval_without_enough_samples_is_void_not_zero() -> None:
    torn = [math.nan if k % 8 == 0 else value for k, value in enumerate(wave())]
    assert score(wave(), torn) is None
    holed = [math.nan if k % 20 == 0 else value for k, value in enumerate(wave())]
    assert score(wave(), holed) == pytest.approx((1, 1, 1), abs=0.02)


def test_credit_of_five_minutes() -> None:
    assert credit(0.5, 0.92, 20.0, 3.0, 1.0) == pytest.approx(0.8817, abs=5e-5)
    assert credit(0.5, 0.24, 20.0, 3.0, 1.0) == 0.0


def test_the_set_point_recovers_a_neutral_energy_slowly() -> None:
    assert recovery_w(9_000.0, 10_000.0, 100_000.0) == pytest.approx(2_000.0)
    assert recovery_w(0.0, 1e6, 100_000.0) == 10_000.0


def test_a_signal_older_than_half_a_second_is_none() -> None:
    assert followed(Signal(0.4, 10.0), 10.0 + MAX_AGE_S) == (0.4, "")
    assert followed(Signal(0.4, 10.0), 10.0 + MAX_AGE_S + 1e-3) == (None, TIMEOUT)
    assert followed(None, 10.0) == (None, "ERR_SIGNAL_TIMEOUT_408")
    assert followed(Signal(0.4, 11.0), 10.0) == (None, TIMEOUT), "from the future"
    assert followed(Signal(math.nan, 10.0), 10.0) == (None, TIMEOUT)


def test_the_strictest_limit_at_each_instant() -> None:
    limits = (
        CapacityLimit("import", 50e3, 0.0, 0.0, "contract"),
        CapacityLimit("import", 20e3, 100.0, 200.0, "dimming"),
        CapacityLimit("export", 5e3, 0.0, 0.0, "gopacs"),
        CapacityLimit("import", math.nan, 300.0, 400.0, "broken"),
    )
    assert strictest(limits, "import", 50.0) == (50e3, "contract")
    assert strictest(limits, "import", 150.0) == (20e3, "dimming")
    assert strictest(limits, "import", 200.0) == (50e3, "contract")
    assert strictest(limits, "import", 350.0) == (0.0, "broken")
    assert strictest((), "export", 0.0)[0] >= 1e12
    zero = zero_limits((Service("z", "zero_export", contract=True), Service("f", "fcr", 1.0)))
    assert strictest(zero, "export", 5.0) == (0.0, "z")


kinds = st.sampled_from(
    ["fcr", "fcr_n", "fcr_d_up", "fcr_d_down", "dc", "regulation", "backup", "demand_response"]
)
sold = st.builds(
    Service, id=st.sampled_from("abcdef"), kind=kinds, power_w=st.floats(1e3, 1e6), priority=st.integers(1, 3)
)  # fmt: skip


@given(
    services=st.lists(sold, max_size=6, unique_by=lambda each: each.id),
    have=st.lists(st.floats(0, 1e6), min_size=4, max_size=4),
)
def test_nothing_is_sold_twice_and_the_first_in_priority_is_served_first(
    services: list[Service], have: tuple[float, float, float, float]
) -> None:
    held = hold(Headroom(*have), services)
    sums = (
        sum(h.up_w for h in held),
        sum(h.down_w for h in held),
        sum(h.up_wh for h in held),
        sum(h.down_wh for h in held),
    )
    assert all(total <= limit * (1 + 1e-9) + 1e-6 for total, limit in zip(sums, have, strict=True))
    assert all(0.0 <= each.share <= 1.0 for each in held)
    if held and services:
        alone = hold(Headroom(*have), [min(services, key=lambda each: (each.priority, each.id))])[0]
        assert held[0] == alone


def test_energy_of_the_products_and_of_the_contract() -> None:
    assert hours_of(Service("n", "fcr_n")) == (1.0, 1.0)
    assert hours_of(Service("d", "fcr_d_up", energy_h=0.5)) == (0.5, 0.0)
    both = hold(
        Headroom(1e6, 1e6, 1e6, 1e6), [Service("n", "fcr_n", 3e5), Service("d", "fcr_d_up", 3e5)], 1.0
    )
    assert sum(each.up_wh for each in both) == pytest.approx(4e5), "one hour and a third of it: they add up"


def test_a_service_arms_only_with_contract_meter_and_response() -> None:
    good = Measured(0.001, 100.0, 0.1, 2.0)
    fcr = Service("f", "fcr", 50e3, contract=True)
    assert refusals(fcr, good) == ()
    assert len(refusals(Service("f", "fcr", 50e3), Measured())) == 4
    assert "no contract" in refusals(Service("f", "fcr", 50e3), good)[0]
    assert "not measured" in refusals(fcr, Measured(0.001, 100.0, 0.1, 0.0))[0]
    assert "1 s is needed" in refusals(Service("d", "dc", 50e3, contract=True), good)[0]
    assert "power resolution" in refusals(Service("r", "regulation", 5e3, contract=True), good)[0]
    assert refusals(Service("a", "arbitrage", contract=True), Measured()) == ()


def test_a_flat_signal_is_scored_by_slopes() -> None:
    flat = [0.5] * 390
    steady = score(flat, [0.5 + 1e-4 * (k % 2) for k in range(390)])
    assert steady is not None
    assert steady.correlation == pytest.approx(1.0, abs=1e-3)
    assert np.isfinite(steady.total)


def test_a_flat_signal_that_drifts_is_scored_by_how_much_the_response_drifts_over_the_hour() -> None:
    """A hundredth over the hour where nothing was asked for is a hundredth of the score."""
    signal = [0.5] * 390
    drifted = score(signal, [0.5 + 0.01 * k / 360.0 for k in range(390)])
    assert drifted is not None
    assert drifted.correlation == pytest.approx(0.99, abs=1e-6)


def test_what_is_sold_out_backs_no_other() -> None:
    first, second = Service("a", "fcr_n", 1e5, priority=1), Service("b", "fcr_n", 10.0, priority=2)
    assert [each.share for each in hold(Headroom(1e5, 1e6, 1e9, 1e9), [first, second])] == [1.0, 0.0]
