"""Any device that a register map describes, served from the depot's physics: meters, transmitters,
chargers and relays.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pymodbus.simulator import DataType, SimData, SimDevice

from sim.modbus.devices import spoil
from sim.modbus.image import Image, Spot
from sim.modbus.server import FaultKind
from v2g_edge.field.modbus.codec import CODES
from v2g_edge.field.modbus.register_map import RegisterMap, Target


def spots(layout: RegisterMap, channel: int) -> list[Spot]:
    """Where a device of this map keeps its points."""
    step = (channel - layout.first_channel) * layout.channel_stride
    return [
        Spot(
            field.name,
            block.address + field.offset + (0 if block.name in layout.fixed_blocks else step),
            CODES[field.type][0],
            field.scale,
            field.shift,
            field.swapped,
        )
        for block in layout.blocks
        for field in block.fields
    ]


def runs(addresses: Iterable[int]) -> list[tuple[int, int]]:
    """(first, count) of each contiguous stretch."""
    found: list[tuple[int, int]] = []
    for address in sorted(set(addresses)):
        if found and found[-1][0] + found[-1][1] == address:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((address, 1))
    return found


class Mapped:
    """Registers of ``layout`` on functions 3 and 4, filled with ``values()`` by the map's point names when
    asked.
    """

    def __init__(
        self, layout: RegisterMap, values: Callable[[], Mapping[str, float]], *, channel: int = 0
    ) -> None:
        self.layout = layout
        self.channel = channel
        self._values = values
        self._image = Image([spot for spot in spots(layout, channel) if spot.name in values()])

    def addresses(self) -> set[int]:
        """Every register that exists."""
        step = (self.channel - self.layout.first_channel) * self.layout.channel_stride
        return {
            block.address + index + (0 if block.name in self.layout.fixed_blocks else step)
            for block in self.layout.blocks
            for index in range(block.count)
        }

    def build(self, unit: int) -> SimDevice:
        """One shared block of registers."""
        data = [
            SimData(first, values=[0] * count, datatype=DataType.REGISTERS)
            for first, count in runs(self.addresses())
        ]
        return SimDevice(unit, data)

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """From the truth of this moment."""
        self._image.write(registers, start, self._values())

    def spoil(self, kind: FaultKind, start: int, registers: list[int]) -> None:
        """Sentinels, or swapped words."""
        spoil(self._image, kind, start, registers)

    def written(self, address: int, values: list[int]) -> None:
        """A meter has nothing to write."""


class MappedCharger(Mapped):
    """A charger of ``layout`` that obeys its setpoint register and drops to ``fallback_w`` when its watchdog
    runs out.

    ``apply`` hands the wanted power (W, + into the vehicle) to the physics; ``now_s`` is the simulation's
    clock.
    """

    def __init__(
        self,
        layout: RegisterMap,
        values: Callable[[], Mapping[str, float]],
        apply: Callable[[float], None],
        now_s: Callable[[], float],
        *,
        channel: int = 0,
        fallback_w: float = 0.0,
    ) -> None:
        super().__init__(layout, values, channel=channel)
        self._apply = apply
        self._now_s = now_s
        self._fallback_w = fallback_w
        self._step = (channel - layout.first_channel) * layout.command_stride
        self._heard_s = now_s()
        self.memory: dict[int, int] = {}
        self.watchdog_s = 0.0
        self.expired = False
        self.ignores_watchdog = False

    def addresses(self) -> set[int]:
        """Points and commands."""
        command = self.layout.command
        found = super().addresses()
        for target in (command.setpoint, command.charge, command.discharge, command.watchdog):
            if target is not None:
                found |= {self._address(target) + index for index in range(CODES[target.type][1])}
        pairs = [
            *command.setup,
            *([command.start] if command.start else []),
            *([command.stop] if command.stop else []),
        ]
        return found | {address + self._step for address, _ in pairs}

    def _address(self, target: Target) -> int:
        return target.address + (0 if target.absolute else self._step)

    def _wanted(self, target: Target) -> float | None:
        width = CODES[target.type][1]
        words = [self.memory.get(self._address(target) + index) for index in range(width)]
        if None in words:
            return None
        ordered = words[::-1] if target.swapped else words
        raw = struct.unpack(f">{CODES[target.type][0]}", struct.pack(f">{width}H", *ordered))[0]
        return float(raw) * target.scale * target.sign

    def written(self, address: int, values: list[int]) -> None:
        """Remember, feed the watchdog, and act."""
        if (
            self.ignores_watchdog
            and self.layout.command.watchdog
            and address == self._address(self.layout.command.watchdog)
        ):
            return
        self.memory.update(enumerate(values, address))
        command = self.layout.command
        if command.watchdog is not None:
            self.watchdog_s = self._wanted(command.watchdog) or 0.0
        self._heard_s, self.expired = self._now_s(), False
        stopped = (
            command.stop is not None and self.memory.get(command.stop[0] + self._step) == command.stop[1]
        )
        self._apply(0.0 if stopped else self._power())

    def _power(self) -> float:
        command = self.layout.command
        if command.setpoint is not None:
            return self._wanted(command.setpoint) or 0.0
        discharge_w = (self._wanted(command.discharge) or 0.0) if command.discharge is not None else 0.0
        charge_w = (self._wanted(command.charge) or 0.0) if command.charge is not None else 0.0
        return discharge_w if discharge_w < 0.0 else charge_w

    def check_watchdog(self) -> None:
        """Drop to the fallback when no master wrote for too long; to be called now and then, also while
        none asks.
        """
        if self.watchdog_s and not self.expired and self._now_s() - self._heard_s > self.watchdog_s:
            self.expired = True
            self._apply(self._fallback_w)

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """Let the watchdog run out, then show the truth; what was written is read back."""
        self.check_watchdog()
        super().refresh(function, start, registers)
        for address, word in self.memory.items():
            registers[address - start] = word
        watchdog = self.layout.command.watchdog
        if watchdog is not None and self.ignores_watchdog:
            registers[self._address(watchdog) - start] = 0


class WatchdogRelay:
    """Sixteen outputs that drop when no master wrote for the time in register 100 (tenths of a second; 0:
    never).
    """

    REGISTER: Final = 100

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._heard_s = now_s()
        self._tenths = 0
        self.outputs = [False] * 16

    def closed(self, output: int) -> bool:
        """The physical state of one output at this moment."""
        if self._tenths and self._now_s() - self._heard_s > self._tenths / 10.0:
            self.outputs = [False] * 16
        return self.outputs[output]

    def build(self, unit: int) -> SimDevice:
        """Four separate blocks, as relay modules have."""
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        words = [SimData(self.REGISTER, values=[0], datatype=DataType.REGISTERS)]
        return SimDevice(unit, ([*bits], [*bits], [*words], [*words]))

    def refresh(self, function: int, start: int, registers: list[int]) -> None:
        """Coils and inputs show the outputs."""
        if function in {1, 2}:
            registers[0] = sum(1 << index for index in range(16) if self.closed(index))
        else:
            registers[0] = self._tenths

    def spoil(self, kind: FaultKind, start: int, registers: list[int]) -> None:
        """A bit has no way to say that it is none."""

    def written(self, address: int, values: list[int]) -> None:
        """A coil, or the time-out."""
        self._heard_s = self._now_s()
        if address == self.REGISTER:
            self._tenths = values[0]
        else:
            self.outputs[address] = bool(values[0])
