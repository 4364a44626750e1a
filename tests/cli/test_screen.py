"""Values on a terminal."""

from v2g_edge.cli.screen import kilowatts, local_time, number, table


def test_the_unknown_is_a_dash_and_never_zero() -> None:
    """In every column."""
    assert {kilowatts(None), number(None), local_time(None)} == {"-"}
    assert kilowatts(0.0) == "+0.0"


def test_power_has_its_sign() -> None:
    """+ is into the vehicle."""
    assert kilowatts(11_000.0) == "+11.0"
    assert kilowatts(-3_680.0) == "-3.7"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Text to the left, numbers to the right, nothing at the end of a line."""
    assert table(("id", "kW"), [("a", "+1.0"), ("long", "-10.0")], frozenset({0})) == [
        "id       kW",
        "a      +1.0",
        "long  -10.0",
    ]


def test_the_time_is_the_terminals() -> None:
    """Hours and minutes only where nothing else is asked for."""
    assert len(local_time(0.0)) == 5
    assert local_time(86_400.0 * 2, "%Y") == "1970"
