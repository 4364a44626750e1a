"""What the building will draw: like quarter hours before, from none at all to two months."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from v2g_edge.planner.forecast import ERRORS_KEPT, KEPT, SLOT_S, LoadHistory, ahead, expected, learnt

ZONE = ZoneInfo("Europe/Amsterdam")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


def history(**loads: float) -> LoadHistory:
    found = LoadHistory()
    for day, kw in loads.items():
        found = learnt(found, at(f"2026-{day[1:3]}-{day[3:5]}T14:15"), kw, ZONE)
    return found


def test_on_day_one_nothing_is_known() -> None:
    assert expected(LoadHistory(), at("2026-11-26T14:15"), ZONE) is None
    assert LoadHistory().error_kw is None


def test_the_next_day_is_like_the_first_and_a_weekend_like_the_last() -> None:
    known = history(d1126=40.0)  # a Thursday
    assert expected(known, at("2026-11-27T14:15"), ZONE).median_kw == 40.0  # type: ignore[union-attr]
    assert expected(known, at("2026-11-27T14:30"), ZONE) is None
    known = history(d1126=40.0, d1128=12.0)
    assert expected(known, at("2026-11-29T14:15"), ZONE).median_kw == 12.0  # type: ignore[union-attr]


def test_a_weekday_that_was_seen_often_speaks_for_itself_with_a_careful_value_beside_the_median() -> None:
    known = history(d1022=41.0, d1029=39.0, d1105=40.0, d1112=42.0, d1119=60.0, d1118=500.0)
    found = expected(known, at("2026-11-26T14:15"), ZONE)
    assert found is not None
    assert (found.median_kw, found.cautious_kw) == (41.0, 60.0)


def test_a_season_is_followed_and_the_file_stays_small() -> None:
    known = LoadHistory()
    for week in range(20):
        known = learnt(known, at("2026-01-05T14:15") + week * 7 * 86_400.0, float(week), ZONE)
    assert max(map(len, known.loads.values())) <= KEPT
    assert len(known.errors) <= ERRORS_KEPT


def test_what_a_forecast_was_off_by_is_told() -> None:
    assert history(d1126=40.0, d1127=46.0).error_kw == pytest.approx(6.0)


def test_the_hour_that_comes_twice_is_the_same_hour() -> None:
    """2026-10-25, 02:30 local, once in summer time and once an hour later."""
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZONE).timestamp()
    known = learnt(LoadHistory(), first, 30.0, ZONE)
    assert expected(known, first + 3_600.0, ZONE).median_kw == 30.0  # type: ignore[union-attr]


def test_a_day_that_begins_higher_than_usual_is_expected_to_go_on_so_and_what_the_sun_feeds_in_is_not() -> (
    None
):
    """The day before: 40 kW in each quarter hour, with a surplus of sun in one of them."""
    known, before_s = LoadHistory(), at("2026-11-25T00:00")
    usual = [-30.0 if n == 40 else 40.0 for n in range(96)]
    for n, kw in enumerate(usual):
        known = learnt(known, before_s + SLOT_S * n, kw, ZONE)
    today_s = before_s + 86_400.0
    assert ahead(known, today_s, 96, ZONE) == pytest.approx(usual)
    for n in range(16):
        known = learnt(known, today_s + SLOT_S * n, 48.0, ZONE)
    course = ahead(known, today_s + 16 * SLOT_S, 80, ZONE)
    assert course[0] == pytest.approx(40.0 * (16 * 48.0 + 2 * 40.0) / (18 * 40.0))
    assert 40.0 < course[-1] < course[0], "by the end of the day it counts for less"
    assert course[40 - 16] == -30.0
    assert len(known.recent) == 16


def test_what_is_not_known_for_every_quarter_hour_is_no_forecast() -> None:
    assert ahead(history(d1126=40.0), at("2026-11-27T14:15"), 2, ZONE) == ()
