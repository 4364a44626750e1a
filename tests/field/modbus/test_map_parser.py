"""A broken map is reported whole: every problem with its file and key."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.modbus.bus import device_problems
from v2g_edge.field.modbus.map_parser import load_map, parse_map
from v2g_edge.field.modbus.register_map import MapError
from v2g_edge.model.settings import ModbusDevice, ModbusLine

BROKEN = """
name = "broken"
kind = "meter"
status = "maybe"
source = "nowhere"
register_grid = "even"
colour = "red"

[[blocks]]
address = 0
count = 10

[[blocks]]
address = 8
count = 200

[points]
power_w = { address = 3, type = "i32", unit = "W" }
frequency_hz = { address = 4, type = "u17", scale = 0.1, unit = "Hz" }
voltage_l1_v = { address = 900, type = "u16", scale = 0.1, unit = "A" }
warmth_c = { address = 6, type = "u16", scale = 1, unit = "C" }
"""

EXPECTED = [
    "status: 'maybe'; allowed are verified, draft",
    "colour: unknown key",
    "blocks[1]: registers 8..",
    "blocks[1].count: 200; a number of 1..125",
    "points.power_w.scale: missing",
    "points.power_w.address: 3 does not lie on the map's even register grid",
    "points.power_w.scale: missing",
    "points.frequency_hz.type: 'u17'; allowed are i16, u16",
    "points.frequency_hz: register 4 already belongs to power_w",
    'points.voltage_l1_v.unit: "A" does not measure voltage_l1_v',
    "points.voltage_l1_v: registers 900..900 lie in no block",
    "points.warmth_c: no such point of a meter",
]


def test_all_problems_are_told_at_once_with_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(BROKEN)
    with pytest.raises(MapError) as caught:
        load_map("broken", tmp_path)
    for expected in EXPECTED:
        assert any(f"broken.toml: {expected}" in problem for problem in caught.value.problems), expected


def test_a_site_map_is_found_without_touching_code_and_wins_over_a_shipped_one(tmp_path: Path) -> None:
    source = (Path(load_map.__code__.co_filename).with_name("maps") / "sdm630.toml").read_text()
    (tmp_path / "sdm630.toml").write_text(source.replace("Eastron", "Our own"))
    (tmp_path / "mine.toml").write_text(source)
    assert load_map("sdm630", tmp_path).name.startswith("Our own")
    assert load_map("mine", tmp_path).blocks == load_map("sdm630").blocks


def test_a_missing_map_names_those_there_are() -> None:
    with pytest.raises(MapError, match=r"sdm360: no such register map; there are .*sdm630"):
        load_map("sdm360")


@pytest.mark.parametrize("text", ["not toml at all [", "\x00", "a = 1\na = 2"])
def test_what_is_not_toml_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(MapError, match=r"x\.toml: not a readable TOML file"):
        load_map("x", tmp_path)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["kind", "name", "blocks", "points", "command", "states", "function", "channel_stride", "word_order"]
)


@given(st.dictionaries(KEYS, JSON, max_size=9))
def test_any_table_gives_a_map_or_its_problems(table: dict[str, Any]) -> None:
    """Nothing but MapError leaves the check, whatever stands in the file."""
    try:
        parse_map("x", "x.toml", table)
    except MapError as fault:
        assert fault.problems  # noqa: PT017 - either outcome is right


LINE = ModbusLine("l", host="127.0.0.1")


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ((ModbusDevice("a", "k", "meter", "grid", "sdm630"),), "device a: there is no line 'k'; there are l"),
        (
            (ModbusDevice("a", "l", "meter", "grid", "quasar1"),),
            "map quasar1 is for a charger, not for a meter",
        ),
        ((ModbusDevice("a", "l", "charger", "e1", "sigenergy-evdc", poll_s=0.1),), "allows 1 s or more"),
        ((ModbusDevice("a", "l", "contact", "r", "sdm630"),), "no map 'sdm630' for a contact"),
        (
            (
                ModbusDevice("a", "l", "meter", "grid", "sdm630"),
                ModbusDevice("b", "l", "meter", "sub", "sdm630"),
            ),
            "device b: the same unit, role and channel as a: two devices under one address",
        ),
        (
            (
                ModbusDevice("a", "l", "meter", "grid", "sdm630"),
                ModbusDevice("b", "l", "meter", "sub", "em24", channel=1),
            ),
            "device b: unit 1 on line l is already the meter a",
        ),
    ],
)
def test_devices_that_cannot_be_read_are_named(devices: tuple[ModbusDevice, ...], expected: str) -> None:
    assert any(expected in problem for problem in device_problems((LINE,), devices))
