"""One device on a wire: it is asked rarely while it is silent, and its losses are counted."""

import pytest

from tests.field.modbus.conftest import RealClock
from v2g_edge.field.modbus.peer import BACK_OFF_S, LOSS_WINDOW, Peer
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.model.settings import ModbusLine


class FakeWire(Wire):
    """Answers or not, as told."""

    def __init__(self, clock: "SteppedClock") -> None:
        super().__init__(ModbusLine("l", host="nowhere"), clock)
        self.alive = True
        self.asked = 0

    async def read(self, unit: int, function: int, address: int, count: int) -> list[int] | Fault:
        self.asked += 1
        return [0] * count if self.alive else Fault("silent", "no answer in time")


class SteppedClock(RealClock):
    """Time that the test sets."""

    at_s = 100.0

    def now_s(self) -> float:
        return self.at_s


async def test_back_off_is_five_seconds_at_most_and_ends_with_the_first_answer() -> None:
    clock = SteppedClock()
    wire = FakeWire(clock)
    peer = Peer(wire, 1, shared=True)
    await peer.read(3, 0, 1)
    wire.alive = False
    gaps, last_s = [], clock.at_s
    for _ in range(600):
        clock.at_s += 0.1
        asked = wire.asked
        await peer.read(3, 0, 1)
        if wire.asked > asked:
            gaps.append(clock.at_s - last_s)
            last_s = clock.at_s
    pauses = [gap for gap in gaps if gap > 0.15]
    assert [round(pause, 1) for pause in pauses[:5]] == pytest.approx(list(BACK_OFF_S), abs=0.11)
    states = [peer.link.connected]
    assert max(gaps) <= max(BACK_OFF_S) + 0.11
    assert wire.asked < 25
    wire.alive = True
    clock.at_s += 5.0
    await peer.read(3, 0, 1)
    assert [*states, peer.link.connected] == [False, True]
    assert peer.epoch == 2


async def test_loss_is_counted_over_the_last_requests() -> None:
    clock = SteppedClock()
    wire = FakeWire(clock)
    peer = Peer(wire, 1, shared=True)
    for number in range(LOSS_WINDOW):
        wire.alive = number % 20 != 0
        await peer.read(3, 0, 1)
    assert peer.link.loss_pct == pytest.approx(5.0)
    wire.alive = True
    for _ in range(LOSS_WINDOW):
        await peer.read(3, 0, 1)
    assert peer.link.loss_pct == 0.0
