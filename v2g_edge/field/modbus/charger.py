"""A bidirectional charger driven by the registers of a map: polled like a meter, commanded like an OCPP
charger.
"""

from collections.abc import Callable

import structlog
from msgspec import Struct

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.codec import Block, Decoder, encode
from v2g_edge.field.modbus.outlet import LeasedCharger
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.register_map import Command, RegisterMap, Target
from v2g_edge.field.modbus.wire import Fault
from v2g_edge.model.ports import ClockPort, WriteResult
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import ModbusDevice
from v2g_edge.model.snapshot import EvseStatus

log = structlog.get_logger()


class Write(Struct, frozen=True):
    """One write request."""

    function: int
    address: int
    registers: list[int]


def to_write(target: Target, value: float, shift: int) -> Write:
    """``value`` in our unit and sign → the request; ``shift`` is the channel's offset. ValueError when it
    does not fit.
    """
    registers = encode(value * target.sign, target.type, scale=target.scale, swapped=target.swapped)
    return Write(target.function, target.address + (0 if target.absolute else shift), registers)


def setpoint_writes(command: Command, power_w: float, shift: int) -> list[Write]:
    """What brings a charger to ``power_w`` (+ into the vehicle), in order; a charge below the least one
    becomes zero.

    ValueError when the map cannot express it (discharge without a discharge register, a value beyond the
    register).
    """
    if 0.0 < power_w < command.min_charge_w:
        power_w = 0.0
    start = [] if command.start is None else [Write(6, command.start[0] + shift, [command.start[1]])]
    stop = [] if command.stop is None else [Write(6, command.stop[0] + shift, [command.stop[1]])]
    if command.setpoint is not None:
        setpoint = to_write(command.setpoint, power_w, shift)
        return [setpoint, *stop] if power_w == 0.0 else [setpoint, *start]
    if command.charge is None or (power_w < 0.0 and command.discharge is None):
        raise ValueError(f"the map has no register for {power_w:g} W")
    idle = [] if command.discharge is None else [to_write(command.discharge, 0.0, shift)]
    if (
        power_w < 0.0
        and command.discharge is not None
        and not any(to_write(command.discharge, power_w, shift).registers)
    ):
        power_w = 0.0  # rounds to nothing: the least charge limit beside it must not become a charge
    if power_w == 0.0:
        return [*stop, *idle]
    if power_w > 0.0:
        return [*idle, to_write(command.charge, power_w, shift), *start]
    assert command.discharge is not None  # noqa: S101 - told to the type checker; refused three lines up
    return [
        to_write(command.charge, command.min_charge_w, shift),
        to_write(command.discharge, power_w, shift),
        *start,
    ]


class RegisterCharger(LeasedCharger):
    """A charger that a register map describes."""

    def __init__(
        self,
        device: ModbusDevice,
        peer: Peer,
        layout: RegisterMap,
        board: Board,
        clock: ClockPort,
        *,
        contactor: Callable[[], bool],
    ) -> None:
        super().__init__(device, peer, board, clock, contactor=contactor)
        self._map = layout
        self.has_dead_man = layout.command.watchdog is not None
        self.settle_s = layout.command.settle_s
        step = device.channel - layout.first_channel
        self._shift = step * layout.command_stride
        self._blocks = [self._moved(block, step) for block in layout.blocks]
        self._running: bool | None = None

    def _moved(self, block: Block, step: int) -> tuple[Decoder, Block]:
        offset = 0 if block.name in self._map.fixed_blocks else step * self._map.channel_stride
        moved = Block(
            block.name, block.function, block.address + offset, block.count, block.fields, block.every_s
        )
        return Decoder(moved), moved

    async def _prepare(self) -> None:
        """Remote control on, watchdog set and read back. Until that is done there is no dead-man."""
        epoch = self._peer.epoch
        for address, value in self._map.command.setup:
            if await self._peer.write(6, address + self._shift, [value]) is not None:
                return
        self._epoch, self._running = epoch, None
        wanted = self._watchdog()
        if wanted is None:
            return
        if await self._peer.write(wanted.function, wanted.address, wanted.registers) is None:
            self._dead_man = await self._read_back() is True

    def _watchdog(self) -> Write | None:
        """The write that sets the watchdog; None where this charger has none for so long."""
        target = self._map.command.watchdog
        if target is None or self._device.watchdog_s > self._map.command.max_watchdog_s:
            return None
        try:
            wanted = to_write(target, self._device.watchdog_s, self._shift)
        except ValueError as fault:
            log.warning("modbus_watchdog_impossible", device=self._device.id, why=str(fault))
            return None
        # What rounds to 0 means "never" on every charger known to us.
        return wanted if any(wanted.registers) else None

    async def _read_back(self) -> bool | None:
        wanted = self._watchdog()
        if wanted is None:
            return False
        found = await self._peer.read(3, wanted.address, len(wanted.registers))
        return None if isinstance(found, Fault) else list(found) == wanted.registers

    async def _send(self, power_w: float, still: Callable[[], bool]) -> WriteResult:
        try:
            writes = setpoint_writes(self._map.command, power_w, self._shift)
        except ValueError as fault:
            log.warning("modbus_setpoint_impossible", device=self._device.id, power_w=power_w, why=str(fault))
            return "rejected"
        switches = {
            pair[0] + self._shift for pair in (self._map.command.start, self._map.command.stop) if pair
        }
        for write in writes:
            if write.address in switches and self._running == (power_w != 0.0):
                continue  # already started or stopped: only the setpoint is repeated
            denied = await self._peer.write(write.function, write.address, write.registers, still)
            if denied is not None:
                self._running = None
                return "silent" if denied.keeps else "rejected"
        self._running = power_w != 0.0
        self._written_s = self._clock.now_s()
        return "accepted"

    def _status(self) -> tuple[EvseStatus, str]:
        state, connected = self._values.get("state"), self._values.get("connected")
        if isinstance(state, Reading):
            number = int(state.value)
            status = self._map.states.get(number, "occupied")
            return status, f"state {number}" if status == "faulted" else ""  # type: ignore[return-value]
        if isinstance(connected, Reading):
            return ("occupied" if connected.value else "available"), ""
        return "unknown", ""
