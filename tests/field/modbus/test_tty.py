"""A serial line on a pseudo-terminal: the daemon opens a real tty."""

from collections.abc import AsyncIterator

import pytest

from sim.modbus.rtu import RtuServer
from tests.field.modbus.test_rtu import SerialDepot, two_meters


@pytest.fixture
async def depot() -> AsyncIterator[SerialDepot]:
    made = SerialDepot(RtuServer)
    await made.server.start()
    yield made
    await made.server.stop()


async def test_two_meters_share_a_tty(depot: SerialDepot) -> None:
    await two_meters(depot, timeout_s=2.0)
