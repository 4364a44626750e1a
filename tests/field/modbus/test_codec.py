"""Registers and numbers: the turn there and back, and what is no value."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.modbus.codec import CODES, Block, Decoder, Field, RegisterType, encode
from v2g_edge.model.reading import Reading, Unknown

LIMITS = {"i16": 2**15, "u16": 2**16, "i32": 2**31, "u32": 2**32, "i64": 2**63, "u64": 2**64}


@given(kind=st.sampled_from(sorted(LIMITS)), swapped=st.booleans(), data=st.data())
def test_integers_survive_the_round_trip(kind: RegisterType, *, swapped: bool, data: st.DataObject) -> None:
    top = LIMITS[kind]
    value = data.draw(st.integers(-top, top - 1) if kind[0] == "i" else st.integers(0, top - 1))
    width = CODES[kind][1]
    raw = encode(value, kind, swapped=swapped) if abs(value) < 2**53 else None
    if raw is None:
        return
    block = Block("b", 3, 0, width + 2, (Field("x", 1, kind, swapped=swapped),))
    assert Decoder(block).decode([7, *raw, 9], 1.0) == {"x": Reading(float(value), 1.0)}


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.booleans())
def test_floats_survive_the_round_trip_in_both_word_orders(value: float, swapped: bool) -> None:
    block = Block("b", 3, 0, 2, (Field("x", 0, "f32", swapped=swapped),))
    assert Decoder(block).decode(encode(value, "f32", swapped=swapped), 0.0) == {"x": Reading(value, 0.0)}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_unknown(value: float) -> None:
    block = Block("b", 3, 0, 2, (Field("x", 0, "f32"),))
    assert isinstance(Decoder(block).decode(encode(value, "f32"), 0.0)["x"], Unknown)


def test_out_of_range_says_the_value_and_the_range() -> None:
    block = Block("b", 3, 0, 1, (Field("x", 0, "u16", scale=0.1, low=45.0, high=66.0),))
    assert Decoder(block).decode([1000], 0.0)["x"] == Unknown("100 out of range 45..66")


def test_a_wrong_count_makes_all_unknown() -> None:
    block = Block("b", 3, 0, 2, (Field("x", 0, "u16"), Field("y", 1, "u16")))
    assert Decoder(block).decode([1, 2, 3], 0.0) == {
        name: Unknown("3 registers instead of 2") for name in "xy"
    }


@pytest.mark.parametrize("fields", [(Field("x", 0, "u32"), Field("y", 1, "u16")), (Field("x", 1, "u32"),)])
def test_overlap_and_overrun_are_refused(fields: tuple[Field, ...]) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        Decoder(Block("b", 3, 0, 2, fields))


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(40_000.0, "i16")


def test_words_are_written_in_the_order_in_which_they_are_read() -> None:
    assert encode(65_538.0, "u32") == [1, 2]
    assert encode(65_538.0, "u32", swapped=True) == [2, 1]


@pytest.mark.parametrize(
    ("kind", "registers"),
    [
        ("f32", [0x7FC0, 0]),
        ("f32", [0xFFC0, 0]),
        ("f32", [0x7F80, 0]),
        ("f32", [0xFF80, 0]),
        ("f64", [0x7FF8, 0, 0, 0]),
        ("f64", [0x7FF0, 0, 0, 0]),
    ],
)
def test_what_is_no_number_is_unknown_in_every_encoding(kind: RegisterType, registers: list[int]) -> None:
    block = Block("b", 3, 0, len(registers), (Field("x", 0, kind),))
    assert isinstance(Decoder(block).decode(registers, 1.0)["x"], Unknown)


@pytest.mark.parametrize(
    ("kind", "registers", "nan"),
    [
        ("i16", [0x8000], -0x8000),
        ("u16", [0xFFFF], 0xFFFF),
        ("i32", [0x8000, 0], -0x8000_0000),
        ("u32", [0xFFFF, 0xFFFF], 0xFFFF_FFFF),
        ("i64", [0x8000, 0, 0, 0], -0x8000_0000_0000_0000),
        ("u64", [0xFFFF] * 4, 0xFFFF_FFFF_FFFF_FFFF),
    ],
)
def test_sentinels_are_unknown_and_their_neighbours_are_numbers(
    kind: RegisterType, registers: list[int], nan: int
) -> None:
    block = Block("b", 3, 0, len(registers), (Field("x", 0, kind, nan=frozenset([nan])),))
    assert isinstance(Decoder(block).decode(registers, 1.0)["x"], Unknown)
    near = [*registers[:-1], registers[-1] ^ 1]
    assert isinstance(Decoder(block).decode(near, 1.0)["x"], Reading)
