"""Times as stations write them: what is meant beyond doubt is read, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.ocpp.wire.timestamps import format_wall, parse_wall

AT_S = 1_772_366_405.0
"""2026-03-01T12:00:05Z."""


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:05Z",
        "2026-03-01t12:00:05z",
        "2026-03-01T12:00:05",
        "2026-3-1T12:00:5Z",
        "2026-03-01T12:00:05Z[UTC]",
        "2026-03-01T17:30:05+5:30",
        "2026-3-01T07:00:05 -05:00",
        "2026-03-01 12:00:05 ",
        "1772366405",
        "1772366405000",
        1_772_366_405,
        1_772_366_405_000.0,
    ],
)
def test_what_is_meant_beyond_doubt_is_read(text: object) -> None:
    assert parse_wall(text) == AT_S


def test_a_leap_second_is_the_one_after() -> None:
    assert parse_wall("2016-12-31T23:59:60Z") == parse_wall("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    ["", "28.11.2026 10:00", "2026-13-01T12:00:05Z", "0000-00-00T00:00:00Z", "2026-3-32T1:0:0Z", "12",
     "177236640500",
     None, True, 5, 1e20, float("nan"), float("inf"), [], {}],
)  # fmt: skip
def test_what_may_mean_several_things_or_none_is_no_time(text: object) -> None:
    assert parse_wall(text) is None


@given(st.text(alphabet="0123456789-:TZ+. []", max_size=40))
def test_no_text_raises(text: str) -> None:
    assert isinstance(parse_wall(text), float | None)


@given(st.floats(0.0, 4e9))
def test_what_we_write_we_read(wall_s: float) -> None:
    told = parse_wall(format_wall(wall_s))
    assert told == pytest.approx(wall_s, abs=0.002)
