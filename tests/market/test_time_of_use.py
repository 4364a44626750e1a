"""A tariff by time of use: bands by local hours, holidays, seasons, and days of 23 and 25 hours."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.config.small import document, problems_of
from v2g_edge.market.time_of_use import AHEAD_S, Tariff
from v2g_edge.model.plan import Price
from v2g_edge.model.settings import TimeOfUse

BANDS = (
    TimeOfUse("peak", ("11-01/03-31 17:00-20:00",), 0.50),
    TimeOfUse("day", ("Mo-Fr 07:00-22:00",), 0.30),
    TimeOfUse("night", ("Mo-Su 22:00-07:00", "Sa,Su 00:00-24:00"), 0.12),
)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def price(prices: tuple[Price, ...], wall_s: float) -> float | None:
    return next((p.per_kwh for p in prices if p.start_wall_s <= wall_s < p.end_wall_s), None)


def tariff(bands: tuple[TimeOfUse, ...] = BANDS, holidays: tuple[str, ...] = ()) -> Tariff:
    return Tariff(bands, "Europe/Amsterdam", holidays)


@pytest.mark.parametrize(
    ("utc", "per_kwh"),
    [
        ("2026-07-01 05:00", 0.30),  # Wednesday 07:00 in summer time
        ("2026-07-01 04:45", 0.12),
        ("2026-07-01 20:00", 0.12),
        ("2026-07-04 10:00", 0.12),  # Saturday
        ("2026-12-01 16:00", 0.50),  # 17:00 in winter: the first band that holds
        ("2026-12-01 19:00", 0.30),
    ],
)
def test_the_first_band_that_holds_gives_the_price(utc: str, per_kwh: float) -> None:
    assert price(tariff().prices_at(at(utc)), at(utc)) == per_kwh


def test_prices_go_on_without_overlap_and_a_day_of_25_hours_has_its_25() -> None:
    prices = tariff().prices_at(at("2026-10-24 12:00"))  # summer time ends on Sunday 25 October
    for before, after in pairwise(prices):
        assert before.end_wall_s == after.start_wall_s
        assert before.per_kwh != after.per_kwh
    assert prices[-1].end_wall_s - prices[0].start_wall_s == AHEAD_S
    night = next(p for p in prices if p.start_wall_s <= at("2026-10-25 12:00") < p.end_wall_s)
    assert night.end_wall_s == at("2026-10-26 06:00")  # 07:00 in winter time


def test_a_time_without_a_band_is_a_hole_and_a_holiday_may_have_its_own() -> None:
    bands = (TimeOfUse("feast", ("PH 00:00-24:00",), -0.02), TimeOfUse("day", ("Mo-Fr 07:00-22:00",), 0.3))
    prices = tariff(bands, ("2026-12-25",)).prices_at(at("2026-12-24 12:00"))
    assert price(prices, at("2026-12-24 23:30")) == -0.02  # 00:30 on the 25th
    assert price(prices, at("2026-12-24 22:30")) is None


def test_the_same_hour_gives_the_same_object() -> None:
    one = tariff()
    assert one.prices_at(at("2026-07-01 05:01")) is one.prices_at(at("2026-07-01 05:59"))
    assert tariff(()).prices_at(0.0) == ()


@pytest.mark.parametrize(
    ("band", "key"),
    [
        ({"id": "x", "when": [], "per_kwh": 0.1}, "time_of_use.x.when"),
        ({"id": "x", "when": ["Mo-Fr 7-22"], "per_kwh": 0.1}, "time_of_use.x.when.#1"),
        ({"id": "x", "when": ["2026-02-30 07:00-22:00"], "per_kwh": 0.1}, "time_of_use.x.when"),
        ({"id": "x", "when": ["Mo 07:00-22:00"], "per_kwh": 300.0}, "time_of_use.x.per_kwh"),
    ],
)
def test_a_band_that_cannot_be_meant_is_named(band: dict[str, Any], key: str) -> None:
    plain = document()
    plain["time_of_use"] = [band]
    assert key in {problem.key for problem in problems_of(plain)}
