"""Days in words: which line of a calendar counts."""

import re

import pytest

from v2g_edge.model.calendar import DEPARTURE, WINDOW, Day, best, departure_of, hours_of, rank, weekdays_of

MONDAY = Day(0, "2026-01-12", is_holiday=False)
SUNDAY = Day(6, "2026-01-18", is_holiday=False)
CHRISTMAS = Day(4, "2026-12-25", is_holiday=True)


@pytest.mark.parametrize(
    ("when", "days"),
    [
        ("Mo", {0}),
        ("Mo-Fr", {0, 1, 2, 3, 4}),
        ("Sa,Su", {5, 6}),
        ("Fr-Mo", {4, 5, 6, 0}),
        ("Mo,We-Th", {0, 2, 3}),
    ],
)
def test_weekdays_are_lists_and_spans(when: str, days: set[int]) -> None:
    """A span may go over the end of the week."""
    assert weekdays_of(when) == days


def test_a_date_goes_before_a_holiday_and_that_before_a_weekday() -> None:
    """Whatever their order; of two that fit alike the later one counts."""
    lines = ("2026-12-25 12:00 50", "PH -", "Mo-Fr 05:30", "Mo-Fr 06:00")
    rules = tuple(map(departure_of, lines))
    assert best(rules, CHRISTMAS) == departure_of("2026-12-25 12:00 50")
    assert best(rules[1:], CHRISTMAS) == departure_of("PH -")
    assert best(rules, MONDAY) == departure_of("Mo-Fr 06:00")
    assert best(rules, SUNDAY) is None


def test_a_season_may_go_over_the_end_of_the_year() -> None:
    """Both of its days belong to it."""
    inside = [
        date
        for date in ("2026-11-01", "2026-12-31", "2026-02-01", "2026-03-31")
        if rank("11-01/03-31", Day(0, date, False))
    ]
    assert len(inside) == 4
    assert not rank("11-01/03-31", Day(0, "2026-04-01", is_holiday=False))
    assert rank("04-01/09-30", Day(0, "2026-07-01", is_holiday=False))


@pytest.mark.parametrize(
    "text",
    [
        "Mo-Fr 05:30",
        "Sa -",
        "PH - ",
        "2026-12-24 12:00 60",
        "Su 24:00",
        "Mo 5:30",
        "Mon 05:30",
        "Mo 05:30 101",
    ],
)
def test_the_pattern_of_a_departure_takes_what_can_be_read(text: str) -> None:
    """And nothing else."""
    good = text in {"Mo-Fr 05:30", "Sa -", "2026-12-24 12:00 60"}
    assert bool(re.match(DEPARTURE, text)) == good


def test_a_window_has_days_and_hours() -> None:
    """24:00 is the end of a day."""
    assert re.match(WINDOW, "11-01/03-31 00:00-24:00")
    assert not re.match(WINDOW, "Mo 00:00")
    assert hours_of("Mo-Fr 22:00-06:00") == ("Mo-Fr", "22:00", "06:00")
