"""Discovery along the chain, and decoding that agrees with pysunspec2 on any registers."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sunspec2.device import Model

from v2g_edge.field.modbus import sunspec
from v2g_edge.field.modbus.codec import Decoder
from v2g_edge.field.modbus.sunspec import METER_MODELS, METER_POINTS, ModelAt
from v2g_edge.field.modbus.wire import Fault
from v2g_edge.model.reading import Reading, Unknown


class Memory:
    """Registers by address; what is not there is refused with exception 2, as devices do."""

    def __init__(self, base: int, registers: list[int]) -> None:
        self._registers = dict(enumerate(registers, base))

    async def read(self, function: int, address: int, count: int) -> Sequence[int] | Fault:
        found = [self._registers.get(address + index) for index in range(count)]
        return (
            Fault("refused", "exception 2 (illegal address)")
            if None in found
            else [word for word in found if word is not None]
        )


CHAIN = [0x5375, 0x6E53, 1, 3, 0, 0, 0, 213, 2, 0, 0]


@pytest.mark.parametrize("base", [40000, 0, 50000])
@pytest.mark.parametrize("end", [[0xFFFF, 0], [0xFFFF]])
async def test_the_chain_is_followed_at_every_base_and_without_an_end_length(
    base: int, end: list[int]
) -> None:
    found = await sunspec.discover(Memory(base, CHAIN + end).read)
    assert found == (ModelAt(1, base + 2, 3), ModelAt(213, base + 7, 2))


@pytest.mark.parametrize(
    ("registers", "why"),
    [
        ([1, 2, 3], "no SunSpec marker"),
        (CHAIN, "chain of models breaks at 40011"),
        ([0x5375, 0x6E53, 1, 0xFFFE], "impossible length"),
        ([0x5375, 0x6E53] + [9, 0] * 70, "more than 64 models"),
    ],
)
async def test_what_is_no_chain_is_said_so(registers: list[int], why: str) -> None:
    found = await sunspec.discover(Memory(40000, registers).read)
    assert isinstance(found, Fault)
    if registers[0] == 1:
        assert found.why
    else:
        assert why in found.why


ANYTHING = (-float("inf"), float("inf"))


@pytest.mark.parametrize("model_id", METER_MODELS)
@settings(max_examples=40)
@given(data=st.data())
def test_decoding_equals_pysunspec2(model_id: int, data: st.DataObject) -> None:
    """For any register contents: the same values, and None there is Unknown here."""
    model = Model(model_id)
    length = len(model.get_mb()) // 2 - 2
    interesting = st.sampled_from([0, 1, 0x8000, 0xFFFF, 0x7FC0, 0x7F80, 0xFFFE, 2])
    words = data.draw(st.lists(interesting | st.integers(0, 0xFFFF), min_size=length, max_size=length))
    registers = [model_id, length, *words]
    block = sunspec.block_of(
        ModelAt(model_id, 0, length), METER_POINTS, dict.fromkeys(METER_POINTS, ANYTHING)
    )
    assert block is not None
    ours = Decoder(block).decode(registers[block.address : block.address + block.count], 5.0)
    model.set_mb(struct.pack(f">{len(registers)}H", *registers), dirty=False)
    for name, theirs in METER_POINTS.items():
        point = model.points[theirs]
        factor = model.points[point.sf].value if point.sf else 0
        expected = (
            None
            if point.value is None or factor is None or not -10 <= factor <= 10
            else point.value * 10.0**factor
        )
        mine = ours[name]
        if expected is None or expected != expected or expected in {float("inf"), float("-inf")}:
            assert isinstance(mine, Unknown), name
        else:
            assert isinstance(mine, Reading), name
            assert mine.value == pytest.approx(expected, rel=1e-12)
            assert mine.at_s == 5.0


def test_a_short_model_gives_only_the_points_it_holds() -> None:
    """The device states its length; points beyond it are left out, not read from the next model."""
    block = sunspec.block_of(ModelAt(213, 100, 36), METER_POINTS, dict.fromkeys(METER_POINTS, ANYTHING))
    assert block is not None
    names = {field.name for field in block.fields}
    assert "power_w" in names
    assert "energy_import_wh" not in names
    assert block.address + block.count <= 100 + 2 + 36


def test_a_missing_scale_factor_is_not_zero() -> None:
    block = sunspec.block_of(ModelAt(203, 0, 105), METER_POINTS, dict.fromkeys(METER_POINTS, ANYTHING))
    assert block is not None
    registers = [100] * block.count
    registers[22 - block.address] = 0x8000
    decoded = Decoder(block).decode(registers, 0.0)
    assert decoded["power_w"] == Unknown("scale factor missing")
