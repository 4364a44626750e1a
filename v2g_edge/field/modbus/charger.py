"""A bidirectional charger driven by registers: polled like a meter, commanded like an OCPP charger.

The lease: the charger's own watchdog, set at connect and read back, covers our death. Polls alone may keep such a watchdog
fed, so when a permit runs out un-renewed while we live, zero is written and the setpoint is no longer repeated.
"""

import asyncio
import math
from typing import Final

import structlog
from msgspec import Struct

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.codec import Block, Decoder, encode
from v2g_edge.field.modbus.mapfile import Command, RegisterMap, Target
from v2g_edge.field.modbus.wire import Fault, Peer
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort, WriteResult
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.settings import ModbusDevice
from v2g_edge.model.snapshot import EvseStatus, VehicleState

log = structlog.get_logger()

RENEW_FRACTION: Final = 3.0
"""The setpoint is repeated at a third of the watchdog time (design 4.1)."""

PREPARE_RETRY_S: Final = 5.0
"""A charger that did not take its set-up is asked again this much later."""

PROOF_FRACTION: Final = 0.5
"""Measured export of at least half of a commanded discharge proves that the model obeys."""

POWER_GAP_W: Final = 50.0
"""Read-back and command may differ by rounding of the register only."""


class Write(Struct, frozen=True):
    """One write request."""

    function: int
    address: int
    registers: list[int]


def to_write(target: Target, value: float, shift: int) -> Write:
    """``value`` in our unit and sign → the request; ``shift`` is the channel's offset. ValueError when it does not fit."""
    registers = encode(value * target.sign, target.type, scale=target.scale, swapped=target.swapped)
    return Write(target.function, target.address + (0 if target.absolute else shift), registers)


def setpoint_writes(command: Command, power_w: float, shift: int) -> list[Write]:
    """What brings a charger to ``power_w`` (+ into the vehicle), in order; a charge below the least one becomes zero.

    ValueError when the map cannot express it (discharge without a discharge register, a value beyond the register).
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
    if power_w < 0.0 and command.discharge is not None and not any(to_write(command.discharge, power_w, shift).registers):
        power_w = 0.0  # rounds to nothing: the least charge limit beside it must not become a charge
    if power_w == 0.0:
        return [*stop, *idle]
    if power_w > 0.0:
        return [*idle, to_write(command.charge, power_w, shift), *start]
    assert command.discharge is not None  # noqa: S101 - told to the type checker; refused three lines up
    return [to_write(command.charge, command.min_charge_w, shift), to_write(command.discharge, power_w, shift), *start]


class RegisterCharger:
    """One outlet. ``poll`` reads it, ``write_permit`` commands it. Discharge needs the watchdog read back, or a contactor."""

    def __init__(
        self, device: ModbusDevice, peer: Peer, layout: RegisterMap, board: Board, clock: ClockPort, *, contactor: bool
    ) -> None:
        self._device = device
        self._peer = peer
        self._board = board
        self._clock = clock
        self._map = layout
        self._contactor = contactor
        step = device.channel - layout.first_channel
        self._shift = step * layout.command_stride
        self._blocks = [self._moved(block, step) for block in layout.blocks]
        self._due_s = [0.0] * len(self._blocks)
        self._epoch = -1
        self._prepare_s = 0.0
        self._values: dict[str, Measured] = {}
        self._power_w = 0.0
        self._lease_until_s = -math.inf
        self._written_s = -math.inf
        self._connected = False
        self._dead_man = False
        self._running: bool | None = None
        self._lock = asyncio.Lock()

    def _moved(self, block: Block, step: int) -> tuple[Decoder, Block]:
        offset = 0 if block.name in self._map.fixed_blocks else step * self._map.channel_stride
        moved = Block(block.name, block.function, block.address + offset, block.count, block.fields, block.every_s)
        return Decoder(moved), moved

    async def poll(self) -> None:
        """Set up after a (re)connection, read what is due, keep the watchdog fed while the permit holds."""
        now_s = self._clock.now_s()
        for index, (decoder, block) in enumerate(self._blocks):
            at_s = self._clock.now_s()
            if at_s < self._due_s[index]:
                continue
            answer = await self._peer.read(block.function, block.address, block.count)
            if isinstance(answer, Fault):
                if answer.kind != "silent":
                    self._values.update(decoder.unknown(answer.why))
                break
            self._due_s[index] = at_s + block.every_s
            self._values.update(decoder.decode(answer, at_s))
        unready = self._epoch != self._peer.epoch or (not self._dead_man and self._map.command.watchdog is not None)
        if self._peer.link.connected and unready and now_s >= self._prepare_s:
            await self._prepare()
        await self._keep()
        self._publish()

    async def _prepare(self) -> None:
        """Remote control on, watchdog set and read back. Until that is done there is no dead-man."""
        self._prepare_s = self._clock.now_s() + PREPARE_RETRY_S
        epoch = self._peer.epoch
        async with self._lock:
            self._dead_man = False
            for address, value in self._map.command.setup:
                if await self._peer.write(6, address + self._shift, [value]) is not None:
                    return
            self._epoch, self._running = epoch, None
            target = self._map.command.watchdog
            if target is None or self._device.watchdog_s > self._map.command.max_watchdog_s:
                return
            wanted = to_write(target, self._device.watchdog_s, self._shift)
            if await self._peer.write(wanted.function, wanted.address, wanted.registers) is not None:
                return
            found = await self._peer.read(3, wanted.address, len(wanted.registers))
            self._dead_man = not isinstance(found, Fault) and list(found) == wanted.registers
        log.info("modbus_charger_ready", device=self._device.id, dead_man=self._dead_man)

    async def _keep(self) -> None:
        """Repeat the setpoint while its permit holds; end it when the permit ran out."""
        now_s = self._clock.now_s()
        if self._lease_until_s == -math.inf:
            return
        if now_s >= self._lease_until_s:
            async with self._lock:
                if self._clock.now_s() >= self._lease_until_s and await self._send(0.0) == "accepted":
                    log.warning("modbus_lease_ran_out", device=self._device.id, power_w=self._power_w)
                    self._power_w, self._lease_until_s = 0.0, -math.inf
        elif self._dead_man and now_s - self._written_s >= self._device.watchdog_s / RENEW_FRACTION:
            async with self._lock:
                await self._send(self._power_w)

    async def write_permit(self, permit: Permit) -> WriteResult:
        """As the port says. Discharge without a dead-man is ``rejected`` here too, whatever the envelope thought."""
        if permit.power_w < 0.0 and not (self._dead_man or self._contactor):
            return "rejected"
        async with self._lock:
            towards_zero = abs(permit.power_w) <= abs(self._power_w) and permit.power_w * self._power_w >= 0.0
            rest_s = self._written_s + self._map.command.settle_s - self._clock.now_s()
            if rest_s > 0.0 and not towards_zero:
                await self._clock.sleep_s(rest_s)
            result = await self._send(permit.power_w)
            if result == "accepted":
                self._power_w = permit.power_w
                self._lease_until_s = self._clock.now_s() + permit.valid_for_s
            return result

    async def _send(self, power_w: float) -> WriteResult:
        try:
            writes = setpoint_writes(self._map.command, power_w, self._shift)
        except ValueError as fault:
            log.warning("modbus_setpoint_impossible", device=self._device.id, power_w=power_w, why=str(fault))
            return "rejected"
        switches = {pair[0] + self._shift for pair in (self._map.command.start, self._map.command.stop) if pair}
        for write in writes:
            if write.address in switches and self._running == (power_w != 0.0):
                continue  # already started or stopped: only the setpoint is repeated
            denied = await self._peer.write(write.function, write.address, write.registers)
            if denied is not None:
                self._running = None
                return "silent" if denied.kind == "silent" else "rejected"
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

    def _publish(self) -> None:
        evse, link, get = self._device.target, self._peer.link, self._values.get
        lost = self._connected and not link.connected
        self._connected = link.connected
        if lost:
            self._dead_man = False
        if not link.connected:
            self._board.update_evse(evse, urgent=lost, link=link, dead_man_ok=False)
            return
        status, fault = self._status()
        before = self._board.evse(evse)
        changes: dict[str, object] = {
            name: value for name in ("power_w", "energy_import_wh", "energy_export_wh") if (value := get(name)) is not None
        }
        power = get("power_w")
        if self._power_w < 0.0 and isinstance(power, Reading) and power.value <= self._power_w * PROOF_FRACTION:
            changes["proven_discharge"] = True
        urgent = fault not in {"", before.fault}
        self._board.update_evse(evse, urgent=urgent, link=link, status=status, fault=fault, dead_man_ok=self._dead_man, **changes)
        self._publish_vehicle(status)

    def _publish_vehicle(self, status: EvseStatus) -> None:
        evse, wall_s = self._device.target, self._clock.wall_s()
        present = self._board.evse(evse).vehicle
        connected = self._values.get("connected")
        plugged = bool(connected.value) if isinstance(connected, Reading) else status == "occupied"
        if plugged and present is None:
            self._board.plug_in(evse, VehicleState(f"{self._device.id}-{wall_s:.0f}", "", wall_s))
        elif not plugged and present is not None and status == "available":
            self._board.unplug(evse)
        facts = {
            name: value
            for name in ("soc_pct", "capacity_wh", "max_charge_w", "max_discharge_w", "pack_c")
            if (value := self._values.get(name)) is not None
        }
        if facts:
            self._board.update_vehicle(evse, **facts)
