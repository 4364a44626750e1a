"""Simulated devices: a SunSpec meter and a block of digital inputs, each fed by a callable that asks the
physics.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from pymodbus.simulator import DataType, SimData, SimDevice
from sunspec2.device import Model

from sim.modbus.image import WIDTHS, Image, Spot
from sim.modbus.server import FaultKind

BASE: Final = 40000

CODES: Final = {"int16": "h", "acc32": "I", "float32": "f"}

NAMES: Final = {
    "W": "power_w",
    "WphA": "power_l1_w",
    "WphB": "power_l2_w",
    "WphC": "power_l3_w",
    "PhVphA": "voltage_l1_v",
    "PhVphB": "voltage_l2_v",
    "PhVphC": "voltage_l3_v",
    "Hz": "frequency_hz",
    "TotWhImp": "energy_import_wh",
    "TotWhExp": "energy_export_wh",
}


class MeterTruth(Struct, frozen=True, gc=False):
    """What is really there, by grid phase L1, L2, L3: W (import +), V phase to neutral, Hz, and the
    energies in Wh.
    """

    phase_power_w: tuple[float, float, float]
    phase_voltage_v: tuple[float, float, float]
    frequency_hz: float
    energy_import_wh: float = 0.0
    energy_export_wh: float = 0.0

    def rotated(self, steps: int) -> "MeterTruth":
        """As a meter sees it whose phases were connected ``steps`` places further on."""
        turn = [(index + steps) % 3 for index in range(3)]
        power_w = tuple(self.phase_power_w[index] for index in turn)
        volts = tuple(self.phase_voltage_v[index] for index in turn)
        return replace(self, phase_power_w=power_w, phase_voltage_v=volts)

    def with_reversed_ct(self, *phases: int) -> "MeterTruth":
        """As a meter sees it whose current transformers of ``phases`` (1-3) hang the wrong way round."""
        power_w = tuple(-w if phase in phases else w for phase, w in enumerate(self.phase_power_w, 1))
        return replace(self, phase_power_w=power_w)

    def values(self) -> dict[str, float]:
        """By the names that images use."""
        (p1, p2, p3), (v1, v2, v3) = self.phase_power_w, self.phase_voltage_v
        return {
            "power_w": p1 + p2 + p3,
            "power_l1_w": p1,
            "power_l2_w": p2,
            "power_l3_w": p3,
            "voltage_l1_v": v1,
            "voltage_l2_v": v2,
            "voltage_l3_v": v3,
            "frequency_hz": self.frequency_hz,
            "energy_import_wh": self.energy_import_wh,
            "energy_export_wh": self.energy_export_wh,
        }


class SunSpecMeter:
    """Models 1 and ``model`` (203: integers with scale factors, 213: floats) from 40000 on.

    Scale factors of 203: V 0.1, Hz 0.01, W ``power_scale`` (10 W reaches ±327 kW), Wh 10.
    """

    def __init__(self, truth: Callable[[], MeterTruth], *, model: int = 213, power_scale: int = 1) -> None:
        self._truth = truth
        self._common, self._meter = Model(1), Model(model)
        texts = {"Mn": "v2g-edge", "Md": "simulated meter", "Vr": "1", "SN": "1"}
        for name, text in texts.items():
            self._common.points[name].value = text
        self._factors = {"V_SF": -1, "Hz_SF": -2, "W_SF": power_scale, "TotWh_SF": 1} if model == 203 else {}
        for name, exponent in self._factors.items():
            self._meter.points[name].value = exponent
        self._start = BASE + 2 + 2 + self._length(self._common)
        self._image = Image(self._spots())

    @staticmethod
    def _length(model: Model) -> int:
        return len(model.get_mb()) // 2 - 2

    def _spots(self) -> list[Spot]:
        spots = []
        for theirs, ours in NAMES.items():
            point = self._meter.points[theirs]
            scale = 10.0 ** self._factors[point.sf] if point.sf else 1.0
            spots.append(Spot(ours, self._start + point.offset, CODES[point.pdef["type"]], scale))
        return spots

    def build(self, unit: int) -> SimDevice:
        """The chain as one run of registers."""
        for model in (self._common, self._meter):
            model.points["L"].value = self._length(model)
        data = b"SunS" + self._common.get_mb() + self._meter.get_mb() + b"\xff\xff\x00\x00"
        registers = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
        self._image.write(registers, BASE, self._truth().values())
        return SimDevice(unit, [SimData(BASE, values=registers, datatype=DataType.REGISTERS)])

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """From the truth of this moment."""
        self._image.write(registers, start, self._truth().values())

    def spoil(self, kind: FaultKind, start: int, registers: list[int]) -> None:
        """Sentinels in all points, or the words of each 32-bit point swapped."""
        spoil(self._image, kind, start, registers)

    def written(self, address: int, values: list[int]) -> None:
        """A meter has nothing to write."""


SENTINELS: Final = {
    "h": (0x8000,),
    "H": (0xFFFF,),
    "i": (0x8000, 0),
    "I": (0, 0),
    "f": (0x7FC0, 0),
    "d": (0x7FF8, 0, 0, 0),
}
"""SunSpec's "not implemented" by type (acc32: 0)."""


def spoil(image: Image, kind: FaultKind, start: int, registers: list[int]) -> None:
    """Make every spot of ``image`` a sentinel, or swap the words of its 32-bit ones."""
    for spot in image.spots:
        at, width = spot.address - start, WIDTHS[spot.code]
        if kind == "swapped":
            registers[at : at + width] = registers[at : at + width][::-1]
        else:
            registers[at : at + width] = SENTINELS.get(spot.code, (0xFFFF,) * width)


class Inputs:
    """Sixteen digital inputs, the same on coils, discrete inputs, and as bits of holding and input
    register 0.
    """

    def __init__(self, bits: Callable[[], Sequence[bool]]) -> None:
        self._bits = bits

    def build(self, unit: int) -> SimDevice:
        """Four separate blocks, as I/O modules have."""
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        words = [SimData(0, values=[0], datatype=DataType.REGISTERS)]
        return SimDevice(unit, ([*bits], [*bits], [*words], [*words]))

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """Input n is bit n."""
        registers[0] = sum(1 << index for index, bit in enumerate(self._bits()) if bit)

    def spoil(self, kind: FaultKind, start: int, registers: list[int]) -> None:
        """A bit has no way to say that it is none."""

    def written(self, address: int, values: list[int]) -> None:
        """Inputs have nothing to write."""
