"""The daemon as a whole: a plan from a real broker changes the next permits, and without the broker the depot goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiomqtt
import pytest

from tests.cloud.broker import SITE, Broker
from tests.cloud.plans import WALL_S, plan_bytes
from tests.cloud.test_session import settings_of
from tests.depot import healthy, small_site
from v2g_edge.app import Daemon
from v2g_edge.host.clock import LoopClock
from v2g_edge.host.journal import JournalReader
from v2g_edge.host.notify import Watchdog
from v2g_edge.model.settings import CloudSettings, HostSettings, PriceSettings, Settings
from v2g_edge.model.snapshot import EvseState, MeterState


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    broker.kill()


async def _until(promise: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not promise():  # noqa: ASYNC110 - the promise is the state of a whole daemon, which signals nobody
            await asyncio.sleep(0.02)


async def _keep_healthy(daemon: Daemon, clock: LoopClock) -> None:
    """Two buses plugged in, meter and contact fresh, as adapters would write them."""
    while True:
        picture = healthy(small_site(), clock.now_s(), WALL_S)
        for evse, state in zip(("b1", "b2"), picture.evses, strict=True):
            fields = {name: getattr(state, name) for name in EvseState.__struct_fields__ if name != "command"}
            daemon.board.update_evse(evse, **fields)
        meter = picture.meters[0]
        daemon.board.update_meter("grid", **{name: getattr(meter, name) for name in MeterState.__struct_fields__})
        daemon.board.update_contact("relay", link=meter.link, closed=picture.contacts[0].closed)
        await asyncio.sleep(0.2)


async def _permit_w(daemon: Daemon) -> float:
    status = await daemon._on_status({})
    return float(next(row["permit_w"] for row in status["evses"] if row["id"] == "b1"))


async def test_a_plan_changes_the_next_permits_is_acknowledged_and_the_night_goes_on_without_the_broker(
    broker: Broker, tmp_path: Path
) -> None:
    site = small_site()
    host = HostSettings(state_dir=str(tmp_path / "state"), socket="", tick_s=0.05, journal_sync="normal")
    settings = Settings(site, (), (), (), (), settings_of(broker), host, PriceSettings())
    clock = LoopClock(asyncio.get_running_loop(), WALL_S)
    daemon = Daemon(settings, clock, Watchdog())
    feeding = asyncio.create_task(_keep_healthy(daemon, clock))
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    try:
        await _until(lambda: daemon._last is not None and daemon._last[2].permits[0].power_w > 0.0)
        async with broker.client() as cloud:
            await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
            await _until(lambda: daemon._cloud.connected)
            await cloud.publish(f"{SITE}/plan", plan_bytes(7, {"b1": 11_000.0}), qos=1)
            assert await _ack(cloud)
        await _until(lambda: daemon._last is not None and daemon._last[2].permits[0].power_w == 11_000.0)
        broker.kill()
        seq = daemon._last[0].seq if daemon._last else 0
        await _until(lambda: daemon._last is not None and daemon._last[0].seq > seq + 20)
        assert await _permit_w(daemon) == 11_000.0, "the plan holds without the broker"
    finally:
        feeding.cancel()
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()
    ticks = list(JournalReader(tmp_path / "state" / "journal.db").ticks())
    assert any(tick.plan is not None and tick.plan.source == "cloud" for tick in ticks)


async def _ack(cloud: aiomqtt.Client) -> bool:
    async with asyncio.timeout(15):
        async for message in cloud.messages:
            assert isinstance(message.payload, bytes)
            return b"7" in message.payload and b"accepted" in message.payload
    return False


async def test_without_cloud_listeners_or_devices_the_daemon_ticks_and_ends_cleanly(tmp_path: Path) -> None:
    host = HostSettings(state_dir=str(tmp_path), socket="", tick_s=0.05, journal_sync="normal")
    base = Settings(small_site(), (), (), (), (), CloudSettings(), host, PriceSettings())
    daemon = Daemon(base, LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    await _until(lambda: daemon._last is not None and daemon._last[0].seq > 5)
    daemon.stop()
    await running
    await daemon.close()
    assert all(permit.power_w == 0.0 for permit in daemon._last[2].permits) if daemon._last else False
