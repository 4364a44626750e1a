"""A simulated SunSpec DER charger: 1, 701, 702, 704, 713, 715 and its grid-code models, with a reversion
timer that works.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pymodbus.simulator import DataType, SimData, SimDevice
from sunspec2.device import Model

from sim.modbus.devices import BASE, spoil
from sim.modbus.image import Image, Spot
from sim.modbus.server import FaultKind

Corner = tuple[float, float]
"""(pu or Hz, s)."""

FACTORS: Final = {
    701: {"W_SF": 1, "TotWh_SF": 0, "Hz_SF": -2, "V_SF": -1},
    702: {"W_SF": 1},
    704: {"WSet_SF": 0},
    713: {"Pct_SF": -1, "WH_SF": 1},
}
CURVES: Final = {707: ("V", 0.1, -1), 708: ("V", 0.1, -1), 709: ("Hz", 0.01, -2), 710: ("Hz", 0.01, -2)}


def curve(model_id: int, corners: Sequence[Corner]) -> Model:
    """A must-trip model with one curve in force; voltages in pu, frequencies in Hz."""
    name, step, exponent = CURVES[model_id]
    factor = 100.0 if name == "V" else 1.0
    points = [{name: round(level * factor / step), "Tms": round(time_s * 100)} for level, time_s in corners]
    idle: list[dict[str, int]] = [{name: 0, "Tms": 0}] * len(points)
    region = {"ActPt": len(points), "Pt": points}
    none: dict[str, Any] = {"ActPt": 0, "Pt": idle}
    data = {
        "ID": model_id, "Ena": 1, "AdptCrvReq": 0, "AdptCrvRslt": 1, "NPt": len(points), "NCrvSet": 1,
        f"{name}_SF": exponent,
        "Tms_SF": -2, "Crv": [{"ReadOnly": 1, "MustTrip": region, "MayTrip": none, "MomCess": none}],
    }  # fmt: skip
    return Model(model_id, data=data)


class SunSpecDer:
    """``values()`` gives power_w (+ into the vehicle), soc_pct, energies; ``apply`` takes the wanted power
    in the same sign.
    """

    def __init__(
        self,
        values: Callable[[], Mapping[str, float]],
        apply: Callable[[float], None],
        now_s: Callable[[], float],
        *,
        grid_code: Sequence[Model] = (),
        models: Sequence[int] = (1, 701, 702, 704, 713, 715),
    ) -> None:
        self._values = values
        self._apply = apply
        self._now_s = now_s
        self._chain = [Model(model_id) for model_id in models] + list(grid_code)
        self._starts: dict[int, int] = {}
        self._heard_s = now_s()
        self.memory: dict[int, int] = {}
        self.expired = False
        self.beats = 0
        self._data = self._bytes()
        self._image = Image(self._spots())

    def _bytes(self) -> bytes:
        data = b"SunS"
        for model in self._chain:
            for name, exponent in FACTORS.get(model.model_id, {}).items():
                model.points[name].value = exponent
            self._starts[model.model_id] = BASE + len(data) // 2
            body = model.get_mb()
            data += body[:2] + (len(body) // 2 - 2).to_bytes(2, "big") + body[4:]
        return data + b"\xff\xff\x00\x00"

    def _spots(self) -> list[Spot]:
        start = self._starts[701]
        spots = [
            Spot("state", start + 3, "H"),
            Spot("running", start + 4, "H"),
            Spot("connection", start + 5, "H"),
            Spot("injected_w", start + 10, "h", 10.0),
            Spot("energy_export_wh", start + 19, "Q"),
            Spot("energy_import_wh", start + 23, "Q"),
        ]
        return spots + ([Spot("soc_pct", self._starts[713] + 4, "H", 0.1)] if 713 in self._starts else [])

    def build(self, unit: int) -> SimDevice:
        """The chain as one run of registers."""
        words = [int.from_bytes(self._data[at : at + 2], "big") for at in range(0, len(self._data), 2)]
        return SimDevice(unit, [SimData(BASE, values=words, datatype=DataType.REGISTERS)])

    def check_watchdog(self) -> None:
        """Revert when no master wrote for too long; to be called now and then, also while none asks."""
        at = self._starts[704]
        timer_s = self.memory.get(at + 31, 0) << 16 | self.memory.get(at + 32, 0)
        armed = self.memory.get(at + 30) == 1 and self.memory.get(at + 22) == 1 and timer_s > 0
        if armed and not self.expired and self._now_s() - self._heard_s > timer_s:
            self.expired = True
            self._apply(-self._signed(at + 26))

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """Let the reversion timer run out, then show the truth."""
        self.check_watchdog()
        found = dict(self._values())
        shown = {
            "state": 1.0,
            "running": 3.0,
            "connection": 1.0,
            "energy_export_wh": 0.0,
            "energy_import_wh": 0.0,
            **found,
        }
        self._image.write(registers, start, shown | {"injected_w": -found["power_w"]})

    def _signed(self, address: int) -> int:
        word = self.memory.get(address, 0) << 16 | self.memory.get(address + 1, 0)
        return word - 2**32 if word >= 2**31 else word

    def spoil(self, kind: FaultKind, start: int, registers: list[int]) -> None:
        """Sentinels, or swapped words."""
        spoil(self._image, kind, start, registers)

    def written(self, address: int, values: list[int]) -> None:
        """704 acts; a write to WSet starts the reversion timer anew; 715 counts."""
        self.memory.update(enumerate(values, address))
        at = self._starts[704]
        if at + 22 <= address <= at + 24:
            self._heard_s, self.expired = self._now_s(), False
            if self.memory.get(at + 22) == 1 and self.memory.get(at + 23) == 1:
                self._apply(float(-self._signed(at + 24)))
        if 715 in self._starts and address == self._starts[715] + 5:
            self.beats += 1
