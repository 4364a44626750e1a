"""A relay or breaker contact on a digital input, coil or register bit."""

from typing import Final

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.wire import Fault
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import NO_SAMPLE, Measured, Reading, Unknown
from v2g_edge.model.settings import ModbusDevice

FUNCTIONS: Final = {"relay": 2, "coil": 1, "discrete-input": 2, "holding-bit": 3, "input-bit": 4}
"""Map name → function ("relay" is the usual case, a discrete input). ``channel`` is the bit's address; in
registers, bit n is bit n mod 16 (0 = lowest) of register n div 16.
"""


class ContactPoller:
    """Polls one contact. A changed, opened or no longer readable contact wakes the tick at once."""

    def __init__(self, device: ModbusDevice, peer: Peer, board: Board, clock: ClockPort) -> None:
        self._device = device
        self._peer = peer
        self._board = board
        self._clock = clock
        self._function = FUNCTIONS[device.map]
        self._closed: Measured = NO_SAMPLE

    async def poll(self) -> None:
        """One reading. Without an answer the last one grows old; with a wrong one there is none."""
        device, at_s = self._device, self._clock.now_s()
        words = self._function >= 3
        answer = await self._peer.read(self._function, device.channel // 16 if words else device.channel, 1)
        before = self._closed
        if isinstance(answer, Fault):
            if not answer.keeps:
                self._closed = Unknown(answer.why)
        else:
            bit = bool(int(answer[0]) >> device.channel % 16 & 1) if words else bool(answer[0])
            self._closed = Reading(float(bit != device.invert), at_s)
        self._board.update_contact(
            device.target,
            urgent=_value(before) != _value(self._closed),
            link=self._peer.link,
            closed=self._closed,
        )


def _value(measured: Measured) -> float | None:
    return measured.value if isinstance(measured, Reading) else None
