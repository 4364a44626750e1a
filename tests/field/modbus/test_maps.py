"""Golden registers for every shipped meter: as the sources document them, in; watts, volts and watt-hours
with sign, out.
"""

import struct
from typing import Any, get_args

import pytest

from v2g_edge.field.modbus.codec import Decoder
from v2g_edge.field.modbus.map_parser import available_maps, load_map
from v2g_edge.model.reading import Reading, Unknown

Place = tuple[int, str, float]
"""Address, struct code ("<" in front: low word first), and raw units per our unit."""


def three(first: int, code: str, per: float) -> tuple[Place, Place, Place]:
    return (first, code, per), (first + 2, code, per), (first + 4, code, per)


GOLDEN: dict[str, tuple[int, tuple[Place, ...], tuple[Place, ...], Place, Place, Place, Place]] = {
    # id: function, V L1-L3, P L1-L3, P, Hz, import, export (grid-meters-wear.md section 3)
    "sdm630": (
        4,
        three(0, "f", 1),
        three(12, "f", 1),
        (52, "f", 1),
        (70, "f", 1),
        (72, "f", 1e-3),
        (74, "f", 1e-3),
    ),
    **dict.fromkeys(
        ("sdm72-v2", "sdm54"),
        (
            4,
            three(0, "f", 1),
            three(12, "f", 1),
            (52, "f", 1),
            (70, "f", 1),
            (72, "f", 1e-3),
            (74, "f", 1e-3),
        ),
    ),
    "dtsu666": (
        3,
        three(0x2000, "f", 10),
        three(0x2014, "f", 10),
        (0x2012, "f", 10),
        (0x2044, "f", 100),
        (0x101E, "f", 1e-3),
        (0x1028, "f", 1e-3),
    ),
    "dmg610": (
        4,
        three(0x0001, "I", 100),
        three(0x0013, "i", 100),
        (0x0039, "i", 100),
        (0x0031, "I", 1000),
        (0x1B1F, "Q", 0.1),
        (0x1B23, "Q", 0.1),
    ),
    "orno-we516": (
        3,
        three(0x000E, "f", 1),
        three(0x001E, "f", 1e-3),
        (0x001C, "f", 1e-3),
        (0x0014, "f", 1),
        (0x0108, "f", 1e-3),
        (0x0110, "f", 1e-3),
    ),
    **dict.fromkeys(
        ("inepro-pro380", "wago-879"),
        (
            3,
            three(0x5002, "f", 1),
            three(0x5014, "f", 1e-3),
            (0x5012, "f", 1e-3),
            (0x5008, "f", 1),
            (0x600C, "f", 1e-3),
            (0x6018, "f", 1e-3),
        ),
    ),
    "finder-7m38": (
        4,
        three(2500, "f", 1),
        three(2530, "f", 1),
        (2536, "f", 1),
        (2584, "f", 1),
        (2752, "f", 1),
        (2756, "f", 1),
    ),
    "se-mtr-3y": (
        4,
        three(0x03FA, "<f", 1),
        three(0x03F2, "<f", 1),
        (0x03F0, "<f", 1),
        (0x0408, "<f", 1),
        (0x03EA, "<f", 1e-3),
        (0x0458, "<f", 1e-3),
    ),
    "em330": (
        4,
        three(0, "<i", 10),
        three(0x12, "<i", 10),
        (0x28, "<i", 10),
        (0x33, "H", 10),
        (0x34, "<i", 1e-2),
        (0x4E, "<i", 1e-2),
    ),
    "em24-e1": (
        4,
        three(0, "<i", 10),
        three(0x12, "<i", 10),
        (0x28, "<i", 10),
        (0x33, "H", 10),
        (0x34, "<i", 1e-2),
        (0x4E, "<i", 1e-2),
    ),
    "em24": (
        4,
        three(0, "<i", 10),
        three(0x12, "<i", 10),
        (0x28, "<i", 10),
        (0x37, "H", 10),
        (0x42, "<i", 1e-2),
        (0x5C, "<i", 1e-2),
    ),
    "iem3000": (
        3,
        three(0xBD3, "f", 1),
        three(0xBED, "f", 1e-3),
        (0xBF3, "f", 1e-3),
        (0xC25, "f", 1),
        (0xC83, "q", 1),
        (0xC87, "q", 1),
    ),
    "pm5xxx": (
        3,
        three(3027, "f", 1),
        three(0xBED, "f", 1e-3),
        (3059, "f", 1e-3),
        (3109, "f", 1),
        (0xC83, "q", 1),
        (0xC87, "q", 1),
    ),
    "abb-b23": (
        3,
        three(0x5B00, "I", 10),
        three(0x5B16, "i", 100),
        (0x5B14, "i", 100),
        (0x5B2C, "H", 100),
        (0x5000, "Q", 0.1),
        (0x5004, "Q", 0.1),
    ),
    "pac2200": (
        3,
        three(1, "f", 1),
        three(25, "f", 1),
        (65, "f", 1),
        (55, "f", 1),
        (801, "d", 1),
        (809, "d", 1),
    ),
    "pac1600": (
        3,
        three(1, "I", 100),
        three(19, "i", 100),
        (57, "i", 100),
        (49, "i", 100),
        (6687, "I", 1),
        (6689, "I", 1),
    ),
    "umg604": (
        3,
        three(1317, "f", 1),
        three(1333, "f", 1),
        (1369, "f", 1),
        (1439, "f", 1),
        (9851, "f", 1),
        (9863, "f", 1),
    ),
    "umg96rm-e": (
        3,
        three(19000, "f", 1),
        three(19020, "f", 1),
        (19026, "f", 1),
        (19050, "f", 1),
        (19068, "f", 1),
        (19076, "f", 1),
    ),
    "janitza-b23": (
        3,
        three(0x4A38, "f", 1),
        three(0x4A4C, "f", 1),
        (0x4A52, "f", 1),
        (0x4A6A, "f", 1),
        (0x4A7C, "f", 1),
        (0x4A84, "f", 1),
    ),
    "acuvim2": (
        3,
        three(0x4002, "f", 1),
        three(0x401C, "f", 1),
        (0x4022, "f", 1),
        (0x4000, "f", 1),
        (0x4048, "I", 1e-2),
        (0x404A, "I", 1e-2),
    ),
}

TRUTH = {
    "voltage_l1_v": 231.5,
    "voltage_l2_v": 229.0,
    "voltage_l3_v": 230.5,
    "power_l1_w": 1500.0,
    "power_l2_w": -2750.0,
    "power_l3_w": 500.0,
    "power_w": -750.0,
    "frequency_hz": 50.1,
    "energy_import_wh": 1_234_500.0,
    "energy_export_wh": 67_800.0,
}


def words(place: Place, value: float) -> list[int]:
    """The registers as a device of this kind would hold them."""
    _, code, per = place
    plain = code.lstrip("<")
    raw: Any = value * per if plain in "fd" else round(value * per)
    data = struct.pack(f">{plain}", raw)
    found = list(struct.unpack(f">{len(data) // 2}H", data))
    return found[::-1] if code.startswith("<") else found


@pytest.mark.parametrize("map_id", sorted(GOLDEN))
def test_golden_registers(map_id: str) -> None:
    function, volts, watts, total, hertz, imported, exported = GOLDEN[map_id]
    memory: dict[int, int] = {}
    for place, name in zip(
        (*volts, *watts, total, hertz, imported, exported), [*list(TRUTH)[:6], *list(TRUTH)[6:]], strict=True
    ):
        memory.update(enumerate(words(place, TRUTH[name]), place[0]))
    found: dict[str, object] = {}
    for block in load_map(map_id).blocks:
        assert block.function == function
        registers = [memory.get(block.address + index, 0) for index in range(block.count)]
        found |= Decoder(block).decode(registers, 3.0)
    for name, value in TRUTH.items():
        reading = found[name]
        assert isinstance(reading, Reading), (name, reading)
        assert reading.value == pytest.approx(value, rel=1e-6), name


def test_every_shipped_meter_has_golden_registers() -> None:
    meters = {map_id: load_map(map_id) for map_id in available_maps() if load_map(map_id).kind == "meter"}
    assert set(meters) == {*GOLDEN, *PARTIAL}
    assert {map_id for map_id, layout in meters.items() if layout.single_phase} == {"sdm120"}


ENERGIES: dict[str, Place] = {"energy_import_wh": (72, "f", 1e-3), "energy_export_wh": (74, "f", 1e-3)}
PARTIAL: dict[str, dict[str, Place]] = {
    "sdm120": {"voltage_l1_v": (0, "f", 1), "power_w": (12, "f", 1), "frequency_hz": (70, "f", 1)} | ENERGIES,
    "sdm72-v1": {"power_w": (0x34, "f", 1)} | ENERGIES,
    "sdm72ct": dict(zip(("power_l1_w", "power_l2_w", "power_l3_w"), three(12, "f", 1), strict=True))
    | {"power_w": (0x34, "f", 1)}
    | ENERGIES,
}
"""Meters that do not tell everything: of one phase, and without voltages."""


@pytest.mark.parametrize("map_id", sorted(PARTIAL))
def test_golden_registers_of_a_meter_that_does_not_tell_everything(map_id: str) -> None:
    """What its manual has, and nothing else."""
    memory: dict[int, int] = {}
    places = PARTIAL[map_id]
    for name, place in places.items():
        memory.update(enumerate(words(place, TRUTH[name]), place[0]))
    found: dict[str, object] = {}
    for block in load_map(map_id).blocks:
        registers = [memory.get(block.address + index, 0) for index in range(block.count)]
        found |= Decoder(block).decode(registers, 3.0)
    assert set(found) == set(places)
    for name in places:
        reading = found[name]
        assert isinstance(reading, Reading), (name, reading)
        assert reading.value == pytest.approx(TRUTH[name], rel=1e-6), name


@pytest.mark.parametrize("map_id", ["sdm630", "sdm72-v1", "sdm72ct", "sdm72-v2", "sdm54", "sdm120"])
def test_no_block_of_these_meters_is_longer_than_they_answer(map_id: str) -> None:
    """Some SDM630 answer exception 2 above 50 registers, some SDM72 above ten."""
    most = 50 if map_id == "sdm630" else 10
    assert max(block.count for block in load_map(map_id).blocks) <= most


@pytest.mark.parametrize("map_id", sorted(available_maps()))
def test_every_shipped_map_loads_and_says_where_it_comes_from(map_id: str) -> None:
    layout = load_map(map_id)
    assert len(layout.source) > 10
    assert layout.status in get_args(type(layout).__annotations__["status"])


@pytest.mark.parametrize("map_id", ["em330", "em24", "em24-e1"])
def test_a_tenth_of_a_hertz_is_declared(map_id: str) -> None:
    """These meters cannot carry a frequency service; the map says so."""
    assert load_map(map_id).frequency_resolution_hz == 0.1


def test_abb_patterns_for_no_value_are_unknown() -> None:
    block = load_map("abb-b23").blocks[0]
    registers = [0xFFFF] * block.count
    registers[0x16:0x18] = [0x7FFF, 0xFFFF]
    found = Decoder(block).decode(registers, 0.0)
    assert found["voltage_l1_v"] == found["frequency_hz"] == found["power_l1_w"] == Unknown("not available")


@pytest.mark.parametrize(
    ("map_id", "registers", "expected"),
    [
        ("temperature-tenths", [0xFF9C], -10.0),
        ("temperature-tenths-input", [215], 21.5),
        ("temperature-f32", [0x41AC, 0x0000], 21.5),
        ("analog-4-20ma", [4000], -50.0),
        ("analog-4-20ma", [12000], 50.0),
        ("analog-4-20ma", [20000], 150.0),
    ],
)
def test_golden_temperatures(map_id: str, registers: list[int], expected: float) -> None:
    found = Decoder(load_map(map_id).blocks[0]).decode(registers, 0.0)["value_c"]
    assert isinstance(found, Reading)
    assert found.value == pytest.approx(expected)


def test_a_broken_current_loop_is_no_temperature() -> None:
    found = Decoder(load_map("analog-4-20ma").blocks[0]).decode([0], 0.0)["value_c"]
    assert isinstance(found, Unknown)


CHARGERS: dict[str, tuple[dict[int, int], dict[str, float]]] = {
    "quasar1": (
        {526: 0x10000 - 3700, 537: 11, 538: 64, 88: 30},
        {"power_w": -3700.0, "state": 11.0, "soc_pct": 64.0, "watchdog_s": 30.0},
    ),
    "evtec-bidipro": (
        {1: 8, 10: 0xC5DA, 11: 0xC000, 12: 0, 13: 640, 42: 0, 43: 60},
        {"state": 8.0, "power_w": -7000.0, "soc_pct": 64.0, "watchdog_s": 60.0},
    ),
    "ambicharge": (
        {4018: 0xFFFF, 4019: 0x10000 - 5000, 4054: 0x4280, 4055: 0, 4084: 1},
        {"power_w": -5000.0, "soc_pct": 64.0, "connected": 1.0},
    ),
    "sigenergy-evdc": (
        {31502: 0, 31503: 6000, 31504: 640, 31513: 3},
        {"power_w": 6000.0, "soc_pct": 64.0, "state": 3.0},
    ),
    "generic-charger": (
        {1: 2, 2: 1, 4: 0xFFFF, 5: 0x10000 - 9000, 10: 640, 15: 22000, 17: 22000, 24: 10},
        {
            "power_w": -9000.0,
            "soc_pct": 64.0,
            "max_charge_w": 22000.0,
            "max_discharge_w": 22000.0,
            "watchdog_s": 10.0,
        },
    ),
}


@pytest.mark.parametrize("map_id", sorted(CHARGERS))
def test_golden_chargers(map_id: str) -> None:
    memory, expected = CHARGERS[map_id]
    found: dict[str, object] = {}
    for block in load_map(map_id).blocks:
        found |= Decoder(block).decode(
            [memory.get(block.address + index, 0) for index in range(block.count)], 0.0
        )
    for name, value in expected.items():
        reading = found[name]
        assert isinstance(reading, Reading), (name, reading)
        assert reading.value == pytest.approx(value), name


def test_every_shipped_charger_has_golden_registers() -> None:
    assert {map_id for map_id in available_maps() if load_map(map_id).kind == "charger"} == set(CHARGERS)
