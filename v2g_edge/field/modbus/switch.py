"""The discharge-enable contactor behind a watchdog relay, energised to run and fed by proof of work; and
temperatures.
"""

import math
from collections.abc import Callable

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.charger import to_write
from v2g_edge.field.modbus.codec import Block, Decoder
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.register_map import RegisterMap
from v2g_edge.field.modbus.wire import Fault, always
from v2g_edge.model.ports import ClockPort, WriteResult
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.settings import ModbusDevice

log = structlog.get_logger()


class Contactor:
    """``feed`` closes it and keeps it closed; without feeding it opens: by the module's own time-out when
    we are dead, by ``poll`` when the daemon lives but does not feed it. ``dead_man`` is true once that
    time-out was set and read back.
    """

    def __init__(
        self,
        device: ModbusDevice,
        peer: Peer,
        layout: RegisterMap,
        board: Board,
        clock: ClockPort,
        *,
        shown: bool,
    ) -> None:
        self._device = device
        self._peer = peer
        self._map = layout
        self._board = board
        self._clock = clock
        self._shown = shown
        self._coil = self.coil = layout.command.coil + device.channel
        self._fed_s = -math.inf
        self._epoch = -1
        self._closed: bool | None = None
        self.dead_man = False
        self.target = device.target
        self._turn = 0

    async def feed(self) -> WriteResult:
        """Proof of work: close, or stay closed for another ``watchdog_s``."""
        self._fed_s = self._clock.now_s()
        self._turn += 1
        turn = self._turn
        if self._epoch != self._peer.epoch or not self.dead_man:
            await self._arm()
        return await self._set(closed=True, still=lambda: turn == self._turn)

    async def drop(self) -> WriteResult:
        """Open at once."""
        self._fed_s = -math.inf
        self._turn += 1
        return await self._set(closed=False)

    async def _set(self, *, closed: bool, still: Callable[[], bool] = always) -> WriteResult:
        fault = await self._peer.write(5, self._coil, [int(closed)], still)
        if fault is not None:
            return "silent" if fault.keeps else "rejected"
        return "accepted"

    async def _arm(self) -> None:
        self.dead_man = False
        target, epoch = self._map.command.watchdog, self._peer.epoch
        if target is None:
            return
        wanted = to_write(target, self._device.watchdog_s, 0)
        if await self._peer.write(wanted.function, wanted.address, wanted.registers) is None:
            found = await self._peer.read(3, wanted.address, len(wanted.registers))
            self.dead_man = not isinstance(found, Fault) and list(found) == wanted.registers
            self._epoch = epoch if self._peer.epoch == epoch else -1

    async def poll(self) -> None:
        """Read the coil back; open it when the feeding has stopped (our reads may keep the module's own
        time-out from firing).
        """
        at_s = self._clock.now_s()
        answer = await self._peer.read(1, self._coil, 1)
        before = self._closed
        if not isinstance(answer, Fault):
            self._closed = bool(answer[0])
        if self._closed and at_s - self._fed_s > self._device.watchdog_s and await self.drop() == "accepted":
            log.warning("modbus_contactor_opened", device=self._device.id, why="nobody fed it")
        if not self._shown:
            return
        if isinstance(answer, Fault):
            if answer.keeps:
                self._board.update_contact(self._device.target, link=self._peer.link)
            else:
                self._board.update_contact(
                    self._device.target, link=self._peer.link, closed=Unknown(answer.why)
                )
            return
        closed = Reading(float(bool(answer[0]) != self._device.invert), at_s)
        self._board.update_contact(
            self._device.target, urgent=before != self._closed, link=self._peer.link, closed=closed
        )


class TemperaturePoller:
    """One channel of a temperature module, transmitter or cooling loop."""

    def __init__(
        self, device: ModbusDevice, peer: Peer, layout: RegisterMap, board: Board, clock: ClockPort
    ) -> None:
        self._device = device
        self._peer = peer
        self._board = board
        self._clock = clock
        block = layout.blocks[0]
        step = (device.channel - layout.first_channel) * layout.channel_stride
        self._decoder = Decoder(
            Block(block.name, block.function, block.address + step, block.count, block.fields)
        )

    async def poll(self) -> None:
        """One reading; a broken sensor is Unknown, a silent module's value grows old."""
        at_s, block = self._clock.now_s(), self._decoder.block
        answer = await self._peer.read(block.function, block.address, block.count)
        if not isinstance(answer, Fault):
            value = self._decoder.decode(answer, at_s)["value_c"]
            self._board.update_temperature(self._device.target, link=self._peer.link, value_c=value)
        elif answer.keeps:
            self._board.update_temperature(self._device.target, link=self._peer.link)
        else:
            self._board.update_temperature(
                self._device.target, link=self._peer.link, value_c=Unknown(answer.why)
            )
