"""A site with one meter and one contact, its board, and the loop's own clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.server import ModbusServer, Unit
from sim.virtual.loop import VirtualLoop
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.model.settings import ModbusDevice, ModbusLine
from v2g_edge.model.site import GridSettings, SafetySettings, Site

SITE = Site(
    name="test",
    timezone="UTC",
    grid=GridSettings(
        code="none", nominal_v=230.0, nominal_hz=50.0, relay="relay", meter="grid", export_allowed=True
    ),
    feeders=(),
    evses=(),
    vehicle_types=(),
    vehicles=(),
    meters=("grid", "sub"),
    contacts=("relay",),
    temperatures=(),
    safety=SafetySettings(),
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The tests of a module with ``VIRTUAL`` run in a loop whose clock leaps and whose network lives in
    memory: a busy machine is no slower in it.
    """
    virtual = getattr(item.getparent(pytest.Module).obj, "VIRTUAL", False)  # type: ignore[union-attr]
    return {"virtual": VirtualLoop} if virtual else {"real": asyncio.new_event_loop}


class RealClock:
    """The loop's time, unscaled."""

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_s(self) -> float:
        return 0.0

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


async def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for the condition; TimeoutError says that it did not come."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the board has no event for every change
            await asyncio.sleep(0.002)


class Bench:
    """A simulated SunSpec meter (unit 1) and inputs (unit 2) on one endpoint, with a field that reads
    them.
    """

    def __init__(self) -> None:
        self.truth = MeterTruth((1_000.0, 2_000.0, -500.0), (229.9, 230.4, 231.0), 50.01, 123_450.0, 6_780.0)
        self.inputs = [True] * 16
        self.wakes = 0
        self.meter = Unit(1, SunSpecMeter(lambda: self.truth, model=213))
        self.relay = Unit(2, Inputs(lambda: self.inputs))
        self.server = ModbusServer([self.meter, self.relay])
        self.board = Board(SITE, self._wake)
        self.field: ModbusField | None = None

    def _wake(self) -> None:
        self.wakes += 1

    def devices(self) -> tuple[ModbusDevice, ...]:
        return (
            ModbusDevice("m", "line", "meter", "grid", "sunspec", unit=1, poll_s=0.01),
            ModbusDevice("r", "line", "contact", "relay", "relay", unit=2, poll_s=0.01, channel=3),
        )

    async def run(self, *devices: ModbusDevice, timeout_s: float = 0.2) -> ModbusField:
        await self.server.start()
        line = ModbusLine("line", host="127.0.0.1", port=self.server.port, timeout_s=timeout_s)
        self.field = ModbusField((line,), devices or self.devices(), SITE, self.board, RealClock())
        await self.field.start()
        return self.field

    async def until(self, condition: Callable[[], bool], within_s: float = 60.0) -> None:
        """As the function."""
        await until(condition, within_s)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Stopped at the end, with no task left behind."""
    made = Bench()
    yield made
    if made.field is not None:
        await made.field.stop()
    await made.server.stop()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
