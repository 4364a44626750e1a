"""The daemon as a whole: a plan from a real broker changes the next permits, and without the broker the
depot goes on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest
from msgspec.structs import replace

from sim.modbus.mapped import WatchdogRelay
from sim.modbus.server import ModbusServer, Unit
from tests.cloud.broker import SITE, Broker
from tests.cloud.plans import WALL_S, plan_bytes
from tests.cloud.test_session import settings_of
from tests.depot import healthy, small_evse, small_site
from tests.field.ocpp.peer import Peer
from tests.market.http_server import Answer, HttpServer
from v2g_edge.app import Daemon
from v2g_edge.cycle import Memory
from v2g_edge.departure.admit_exports import DepartureMemory
from v2g_edge.departure.charging_power import LearnedPower
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.field.ocpp.upkeep.maintenance import Maintenance
from v2g_edge.host.clock import LoopClock
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.records import JournalReader
from v2g_edge.host.systemd_notify import Watchdog
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.settings import (
    CloudSettings,
    HostSettings,
    Listener,
    ModbusDevice,
    ModbusLine,
    PriceSettings,
    Settings,
    StationEvse,
    StationSettings,
)
from v2g_edge.model.snapshot import EvseState, MeterState
from v2g_edge.planner.stay import Past
from v2g_edge.wiring.plans import pasts_of


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    broker.kill()


async def _until(promise: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
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
        daemon.board.update_meter(
            "grid", **{name: getattr(meter, name) for name in MeterState.__struct_fields__}
        )
        daemon.board.update_contact("relay", link=meter.link, closed=picture.contacts[0].closed)
        await asyncio.sleep(0.2)


async def _permit_w(daemon: Daemon) -> float:
    status = await daemon._handlers()["status"]({})
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
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[2].permits[0].power_w > 0.0)
        async with broker.client() as cloud:
            await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
            await _until(lambda: daemon._cloud.connected)
            await cloud.publish(f"{SITE}/plan", plan_bytes(7, {"b1": 11_000.0}), qos=1)
            assert await _ack(cloud)
        await _until(
            lambda: daemon.state.tick is not None and daemon.state.tick[2].permits[0].power_w == 11_000.0
        )
        broker.kill()
        seq = daemon.state.tick[0].seq if daemon.state.tick else 0
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[0].seq > seq + 20)
        assert await _permit_w(daemon) == 11_000.0, "the plan holds without the broker"
    finally:
        feeding.cancel()
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()
    ticks = list(JournalReader(tmp_path / "state" / "journal.db").ticks())
    assert any(tick.plan is not None and tick.plan.source == "cloud" for tick in ticks)


async def _ack(cloud: aiomqtt.Client) -> bool:
    async with asyncio.timeout(60):
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
    await _until(lambda: daemon.state.tick is not None and daemon.state.tick[0].seq > 5)
    daemon.stop()
    await running
    await daemon.close()
    assert (
        all(permit.power_w == 0.0 for permit in daemon.state.tick[2].permits) if daemon.state.tick else False
    )


class OddError(Exception):
    """A class that nobody lists."""


class DeadlyClock(LoopClock):
    """Each task that waits on it is killed once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wall_s: float) -> None:
        super().__init__(loop, wall_s)
        self.killed: set[str] = set()
        self.back: set[str] = set()

    async def sleep_s(self, duration_s: float) -> None:
        task = asyncio.current_task()
        name = task.get_name() if task is not None else ""
        if name not in self.killed:
            self.killed.add(name)
            raise OddError(name)
        self.back.add(name)
        await super().sleep_s(min(duration_s, 0.1))


async def test_outside_case_a13_each_long_lived_task_is_killed_once_and_comes_back_with_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = ModbusServer([Unit(1, WatchdogRelay(asyncio.get_running_loop().time))])
    await meters.start()
    host = HostSettings(
        state_dir=str(tmp_path), socket=str(tmp_path / "socket"), tick_s=0.05, journal_sync="normal"
    )
    cloud = CloudSettings(host="127.0.0.1", port=1, tls=False)
    line = ModbusLine("tcp", host="127.0.0.1", port=meters.port)
    device = ModbusDevice("relay", "tcp", "contact", "relay", "coil", poll_s=0.05)
    settings = Settings(
        small_site(), (Listener("127.0.0.1", 0, 0),), (), (line,), (device,), cloud, host, PriceSettings()
    )
    clock = DeadlyClock(asyncio.get_running_loop(), WALL_S)

    async def look(maintenance: Maintenance) -> None:
        await clock.sleep_s(0.0)

    monkeypatch.setattr(Maintenance, "_look", look)
    monkeypatch.setattr("v2g_edge.field.ocpp.upkeep.maintenance.LOOK_S", 0.01)
    daemon = Daemon(settings, clock, Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run(), name="run")
    names = {"pace", "modbus relay", "ocpp pings", "ocpp maintenance", "cloud", "monitor", "housekeeping"}
    try:
        await _until(lambda: clock.back >= names)
        kept = {
            task.get_name()
            for task in asyncio.all_tasks()
            if getattr(task.get_coro(), "__name__", "") == "_keep"
        }
        assert kept == names, "a task that lives as long as the daemon is missing in this test"
        assert {each.subject for each in daemon.state.events if each.kind == "task_failed"} == names
        seq = daemon.state.last_tick().snapshot.seq
        await _until(lambda: daemon.state.last_tick().snapshot.seq > seq + 3)
    finally:
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()
        await meters.stop()


async def test_what_fails_in_the_bookkeeping_of_a_tick_is_told_and_stops_no_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 13: the journal, the grid log and the telling come after the permits."""

    def broken(*_arguments: object, **_names: object) -> None:
        raise OddError("disk")

    monkeypatch.setattr("v2g_edge.host.journal.Journal.record", broken)
    monkeypatch.setattr("v2g_edge.host.gridlog.GridLog.record", broken)
    monkeypatch.setattr("v2g_edge.wiring.plans.Plans._plan", broken)
    host = HostSettings(state_dir=str(tmp_path), socket="", tick_s=0.05, journal_sync="normal")
    base = Settings(small_site(), (), (), (), (), CloudSettings(), host, PriceSettings())
    daemon = Daemon(base, LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    await _until(lambda: daemon.state.tick is not None and daemon.state.tick[0].seq > 5)
    daemon.stop()
    await running
    await daemon.close()
    assert {each.subject for each in daemon.state.events if each.kind == "task_failed"} == {
        "journal",
        "grid log",
        "plan",
    }


@pytest.mark.parametrize(("relay_map", "proven"), [("watchdog-relay", True), ("contactor", False)])
async def test_an_ocpp_charger_behind_a_contactor_has_a_dead_man_only_while_that_contactor_is_proven(
    relay_map: str, tmp_path: Path, *, proven: bool
) -> None:
    """A plain coil opens for nobody when we die, and the default profile that the station took is not what
    the site relies on.
    """
    relays = ModbusServer([Unit(9, WatchdogRelay(asyncio.get_running_loop().time))])
    await relays.start()
    site = small_site()
    evses = (small_evse("b1", dead_man="contactor", contactor="k1"), site.evses[1])
    settings = Settings(
        replace(site, evses=evses),
        (Listener("127.0.0.1", 0, 0),),
        (StationSettings("one", (StationEvse("b1"),)), StationSettings("two", (StationEvse("b2"),))),
        (ModbusLine("line", host="127.0.0.1", port=relays.port, timeout_s=0.2),),
        (ModbusDevice("k", "line", "contactor", "k1", relay_map, unit=9, poll_s=0.5),),
        CloudSettings(),
        HostSettings(state_dir=str(tmp_path), socket="", tick_s=0.05, journal_sync="normal"),
        PriceSettings(),
    )
    daemon = Daemon(settings, LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    stations = [await Peer.dial(daemon.ocpp.bound_port(), identity, "1.6") for identity in ("one", "two")]
    try:
        await _until(lambda: daemon.board.evse("b2").dead_man_ok)
        await _until(
            lambda: len(stations[0].got("ChangeConfiguration")) >= 2
        )  # sent when its default profile was taken
        seq = daemon.state.tick[0].seq if daemon.state.tick else 0
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[0].seq > seq + 10)
        pictures = daemon.state.tick[0].evses if daemon.state.tick else ()
        assert [state.dead_man_ok for state in pictures] == [proven, True]
    finally:
        daemon.stop()
        await running
        for station in stations:
            await station.close()
        await daemon.close()
        await relays.stop()


async def test_outside_case_b11_a_stop_says_zero_first_and_opens_the_contactors(tmp_path: Path) -> None:
    """Before any link is closed: the last word that each station hears of us is a limit of 0, and the
    relay is open.
    """
    relay = WatchdogRelay(asyncio.get_running_loop().time)
    relays = ModbusServer([Unit(9, relay)])
    await relays.start()
    site = small_site()
    settings = Settings(
        replace(site, evses=(small_evse("b1", fallback_w=5_000.0), site.evses[1])),
        (Listener("127.0.0.1", 0, 0),),
        (StationSettings("one", (StationEvse("b1"),)),),
        (ModbusLine("line", host="127.0.0.1", port=relays.port),),
        (ModbusDevice("k", "line", "contactor", "k1", "watchdog-relay", unit=9, poll_s=0.1),),
        CloudSettings(),
        HostSettings(state_dir=str(tmp_path), socket="", tick_s=0.05, journal_sync="normal"),
        PriceSettings(),
    )
    daemon = Daemon(settings, LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    station = await Peer.dial(daemon.ocpp.bound_port(), "one", "1.6")
    try:
        await _until(lambda: daemon.board.evse("b1").dead_man_ok)
        status = {"connectorId": 1, "status": "Preparing", "errorCode": "NoError"}
        await station.call("StatusNotification", status)
        start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
        assert (await station.call("StartTransaction", start))["transactionId"]
        await daemon.modbus.feed()
        assert relay.closed(0), "the contactor is closed"

        def last_limit() -> float:
            profiles = [each["csChargingProfiles"] for each in station.got("SetChargingProfile")]
            leases = [each for each in profiles if each["chargingProfilePurpose"] == "TxProfile"]
            return (
                float(leases[-1]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"])
                if leases
                else -1.0
            )

        await _until(lambda: last_limit() >= 0.0)
        daemon.stop()
        await running
        assert last_limit() == 0.0
        assert not relay.closed(0), "the contactor is open"
        assert not daemon._orders.load().stop, (
            "the stop is the process's own: it does not stand after a restart"
        )
        kinds = {event.kind for event in daemon.state.events}
        assert "service_stop" in kinds
        assert "operator_stop" not in kinds, "nobody has ordered it"
    finally:
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await station.close()
        await daemon.close()
        await relays.stop()


def _with_prices(tmp_path: Path, prices: Path) -> Daemon:
    host = HostSettings(state_dir=str(tmp_path / "state"), socket="", tick_s=0.05, journal_sync="normal")
    settings = Settings(small_site(), (), (), (), (), CloudSettings(), host, PriceSettings(file=str(prices)))
    return Daemon(settings, LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())


async def test_a_bad_price_file_costs_the_local_plan_and_never_the_start_and_a_mended_one_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("v2g_edge.wiring.plans.LOOK_EVERY_S", 0.1)
    prices = tmp_path / "prices.csv"
    prices.write_text("hour,EUR/MWh\nsoon,dear\n")
    daemon = _with_prices(tmp_path, prices)
    feeding = asyncio.create_task(_keep_healthy(daemon, daemon._clock))  # type: ignore[arg-type]
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    try:
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[2].permits[0].power_w > 0.0)
        assert (await daemon._handlers()["plan"]({}))["plan"] is None
        told = (await daemon._handlers()["events"]({}))["events"]
        bad = [event for event in told if event["kind"] == "prices_unusable"]
        assert len(bad) == 1
        assert f"{prices}:2: expected" in bad[0]["text"]
        start = datetime.fromtimestamp(WALL_S, UTC).replace(minute=0, second=0)
        prices.write_text(
            "hour,EUR/MWh\n"
            + "".join(f"{start + timedelta(hours=n):%Y-%m-%d %H:%M:%S},{n}\n" for n in range(24))
        )
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[1] is not None)
        assert (await daemon._handlers()["plan"]({}))["plan"]["source"] == "local"
    finally:
        feeding.cancel()
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()


async def test_a_price_service_feeds_the_local_plan(tmp_path: Path) -> None:
    start = datetime.fromtimestamp(WALL_S, UTC).replace(minute=0, second=0, microsecond=0)
    starts = [int(start.timestamp()) + 3_600 * hour for hour in range(24)]
    body = json.dumps({"unix_seconds": starts, "price": list(range(24)), "unit": "EUR / MWh"}).encode()
    service = HttpServer(lambda _: Answer(body))
    await service.start()
    host = HostSettings(state_dir=str(tmp_path / "state"), socket="", tick_s=0.05, journal_sync="normal")
    prices = PriceSettings(feed="energy-charts", zone="NL", url=f"http://127.0.0.1:{service.port}")
    settings = Settings(small_site(), (), (), (), (), CloudSettings(), host, prices)
    daemon = Daemon(settings, LoopClock(asyncio.get_running_loop(), WALL_S), Watchdog())
    feeding = asyncio.create_task(_keep_healthy(daemon, daemon._clock))  # type: ignore[arg-type]
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    try:
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[1] is not None)
        assert (await daemon._handlers()["plan"]({}))["plan"]["source"] == "local"
    finally:
        feeding.cancel()
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()
        await service.stop()


async def test_capacity_is_reckoned_from_the_last_tick_and_its_limits(tmp_path: Path) -> None:
    """No grid code, so nothing may be exported and nothing sold; a request that cannot be meant is refused
    in words.
    """
    daemon = _with_prices(tmp_path, tmp_path / "none.csv")
    await daemon.start()
    with pytest.raises(BadRequestError, match="first tick"):
        await daemon._handlers()["capacity"]({})
    feeding = asyncio.create_task(_keep_healthy(daemon, daemon._clock))  # type: ignore[arg-type]
    running = asyncio.create_task(daemon.run())
    try:
        await _until(lambda: daemon.state.tick is not None and daemon.state.tick[2].permits[0].power_w > 0.0)
        answer = await daemon._handlers()["capacity"](
            {"book": "r1", "service": "reserve", "wanted_w": 5_000.0}
        )
        assert (answer["offer"]["power_w"], answer["booked"]) == (0.0, False)
        with pytest.raises(BadRequestError, match="capacity takes"):
            await daemon._handlers()["capacity"]({"kw": 5})
    finally:
        feeding.cancel()
        daemon.stop()
        await asyncio.gather(running, return_exceptions=True)
        await daemon.close()


def test_the_plan_is_told_what_was_taken_and_drawn() -> None:
    """Of the present session and the present day only."""
    snapshot = healthy(small_site())
    first = EvseMemory(session="s-bus-1", event_pct=12.0)
    other = EvseMemory(session="left", event_pct=12.0)
    envelope = EnvelopeMemory(
        evses=(first, other),
        day=int(snapshot.wall_s // 86_400.0),
        taken_pct={"bus-1": 25.0},
        departures=DepartureMemory(draws=(LearnedPower("s-bus-1", learned_w=22_000.0), None)),
    )
    assert pasts_of(small_site(), Memory(envelope), snapshot) == {"b1": Past(12.0, 25.0, 22_000.0)}
    later = replace(snapshot, wall_s=snapshot.wall_s + 86_400.0)
    assert pasts_of(small_site(), Memory(envelope), later)["b1"].day_pct == 0.0
    assert pasts_of(small_site(), Memory(), snapshot) == {}
