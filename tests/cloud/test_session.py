"""The session with a real broker over TLS: plans in and acknowledged, events and telemetry out, whatever
the broker does.
"""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.cloud.broker import SITE, Broker, make_certificates
from tests.cloud.clock import QuickClock
from tests.cloud.plans import WALL_S, plan_bytes
from tests.depot import small_site
from v2g_edge.cloud.client import CheckedClient
from v2g_edge.cloud.inbox import MAX_PAYLOAD_BYTES
from v2g_edge.cloud.session import CloudSession, backoff_s, tls_context
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan
from v2g_edge.model.settings import CloudSettings


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    broker.kill()


def settings_of(broker: Broker, user: str = "depot", **changes: Any) -> CloudSettings:
    folder = broker.folder
    return replace(
        CloudSettings(
            host="127.0.0.1",
            port=broker.port,
            ca_file=str(folder / "ca.pem"),
            username=user,
            password_file=str(folder / f"{user}.password"),
            site_id="depot-1",
        ),
        **changes,
    )


class Daemon:
    """A running session with the plans it took."""

    def __init__(self, settings: CloudSettings, state_dir: Path) -> None:
        self.plans: list[Plan] = []
        self.clock = QuickClock()
        self.session = CloudSession(
            settings, small_site(), self.clock, self.plans.append, state_dir=state_dir
        )

    async def online(self) -> None:
        await until(lambda: self.session.connected)


@contextlib.asynccontextmanager
async def daemon(settings: CloudSettings, state_dir: Path) -> AsyncIterator[Daemon]:
    running = Daemon(settings, state_dir)
    await running.session.start()
    try:
        yield running
    finally:
        await running.session.stop()


async def until(promise: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not promise():  # noqa: ASYNC110 - the session has no event for each thing that a test may wait for
            await asyncio.sleep(0.01)


async def heard(client: aiomqtt.Client, topic: str) -> dict[str, Any]:
    """The next JSON message on one of the site's topics."""
    async with asyncio.timeout(60):
        async for message in client.messages:
            if str(message.topic) == f"{SITE}/{topic}":
                assert isinstance(message.payload, bytes)
                found: dict[str, Any] = json.loads(message.payload)
                return found
    raise AssertionError(f"nothing on {topic}")


def event(n: int) -> Event:
    return Event("test", "info", f"e{n}", "something happened", WALL_S + n)


async def test_a_plan_comes_in_and_is_acknowledged_with_its_revision(broker: Broker, tmp_path: Path) -> None:
    async with broker.client() as cloud, daemon(settings_of(broker), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/#", qos=1)
        assert await heard(cloud, "plan/request") == {"revision": None}
        await cloud.publish(f"{SITE}/plan", plan_bytes(revision=7), qos=1)
        ack = await heard(cloud, "plan/ack")
        assert (ack["revision"], ack["result"]) == (7, "accepted")
        assert [(plan.revision, plan.source) for plan in depot.plans] == [(7, "cloud")]


async def test_a_refused_plan_goes_back_with_its_reason_and_changes_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    async with broker.client() as cloud, daemon(settings_of(broker), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
        await depot.online()
        await cloud.publish(f"{SITE}/plan", plan_bytes(revision=7), qos=1)
        assert (await heard(cloud, "plan/ack"))["result"] == "accepted"
        for payload, reason in (
            (plan_bytes(revision=6), "not_newer"),
            (b"{", "not_json"),
            (plan_bytes(revision=8, evse_w={"nobody": 1.0}), "unknown_evse"),
            (b" " * (MAX_PAYLOAD_BYTES + 1), "too_large"),
        ):
            await cloud.publish(f"{SITE}/plan", payload, qos=1)
            ack = await heard(cloud, "plan/ack")
            assert (ack["result"], ack["reason"]) == ("refused", reason)
        assert len(depot.plans) == 1


async def test_a_payload_beyond_what_we_take_off_the_wire_leaves_the_session_alive(
    broker: Broker, tmp_path: Path
) -> None:
    async with broker.client() as cloud, daemon(settings_of(broker), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
        await depot.online()
        await cloud.publish(f"{SITE}/plan", b"x" * 5 * MAX_PAYLOAD_BYTES, qos=1)
        await cloud.publish(f"{SITE}/plan", plan_bytes(revision=1), qos=1)
        assert (await heard(cloud, "plan/ack"))["revision"] == 1


async def test_the_broker_is_killed_and_comes_back_and_nothing_is_lost(
    broker: Broker, tmp_path: Path
) -> None:
    """A killed broker has lost sessions and retained plans: the daemon asks for its plan again. The newest
    telemetry goes.
    """
    async with daemon(settings_of(broker), tmp_path) as depot:
        async with broker.client() as cloud:
            await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
            await depot.online()
            await cloud.publish(f"{SITE}/plan", plan_bytes(revision=3), qos=1)
            await heard(cloud, "plan/ack")
        depot.clock.gate.clear()
        broker.kill()
        await until(lambda: not depot.session.connected)
        depot.session.publish_events((event(1), event(2)))
        for n in range(3):
            depot.session.publish_telemetry({"n": n})
            depot.session.publish_flexibility({"n": n})
        await broker.start()
        async with broker.client() as cloud:
            await cloud.subscribe(f"{SITE}/#", qos=1)
            depot.clock.gate.set()
            assert await heard(cloud, "plan/request") == {"revision": 3}
            assert await heard(cloud, "telemetry") == {"n": 2}
            assert await heard(cloud, "flexibility") == {"n": 2}
            assert [(await heard(cloud, "events"))["subject"] for _ in range(2)] == ["e1", "e2"]
            assert await heard(cloud, "telemetry/past") == {"n": 0}
            await cloud.publish(f"{SITE}/plan", plan_bytes(revision=4), qos=1)
            assert (await heard(cloud, "plan/ack"))["result"] == "accepted"


async def test_outside_case_b6_broker_comes_back_ten_times(broker: Broker, tmp_path: Path) -> None:
    """A TLS broker is ended and started again; each time the session says that it is offline, and comes
    back by itself.
    """
    with capture_logs() as logs:
        async with daemon(settings_of(broker), tmp_path) as depot:
            for n in range(10):
                await depot.online()
                broker.kill()
                await until(lambda: not depot.session.connected)
                await until(lambda n=n: sum(each["event"] == "cloud_offline" for each in logs) > n)  # type: ignore[misc]
                await broker.start()
            await depot.online()
    assert sum(each["event"] == "cloud_online" for each in logs) == 11


@pytest.mark.parametrize(
    "fault", [RuntimeError("odd"), KeyError("odd"), struct.error("odd"), asyncio.CancelledError()]
)
async def test_outside_case_a13_the_session_outlives_any_class_of_exception(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """A library raises what nobody listed: the session says that it is offline, and connects again."""
    faults = [fault]

    async def greet(self: CloudSession, client: CheckedClient) -> None:
        if faults:
            raise faults.pop()
        await good(self, client)

    good = CloudSession._greet
    monkeypatch.setattr(CloudSession, "_greet", greet)
    with capture_logs() as logs:
        async with daemon(settings_of(broker), tmp_path) as depot:
            await depot.online()
    assert [each["event"] for each in logs].count("cloud_offline") == 1


async def test_events_wait_on_disk_for_a_broker_and_arrive_in_order(broker: Broker, tmp_path: Path) -> None:
    """The daemon itself goes too: events of its last life are sent in its next one."""
    broker.kill()
    async with daemon(settings_of(broker), tmp_path) as depot:
        depot.session.publish_events((event(1), event(2)))
    await broker.start()
    async with broker.client() as cloud:
        await cloud.subscribe(f"{SITE}/#", qos=1)
        async with daemon(settings_of(broker), tmp_path) as depot:
            depot.session.publish_events((event(3),))
            assert [(await heard(cloud, "events"))["subject"] for _ in range(3)] == ["e1", "e2", "e3"]


async def test_telemetry_never_waits_for_a_long_queue_of_events(broker: Broker, tmp_path: Path) -> None:
    broker.kill()
    async with daemon(settings_of(broker), tmp_path) as depot:
        depot.session.publish_events(tuple(event(n) for n in range(500)))
    await broker.start()
    async with broker.client() as cloud:
        await cloud.subscribe(f"{SITE}/#", qos=1)
        async with daemon(settings_of(broker), tmp_path) as depot:
            assert (await heard(cloud, "events"))["subject"] == "e0"
            depot.session.publish_telemetry({"n": 1})
            depot.session.publish_events((replace(event(500), severity="alarm"),))
            order = []
            async for message in cloud.messages:
                order.append(str(message.topic).removeprefix(f"{SITE}/"))
                if order[-1] == "events" and b'"alarm"' in bytes(message.payload):
                    break
            assert "telemetry" in order
            assert len(order) < 400  # the alarm and the telemetry went before what waited longer


async def test_an_event_stays_until_the_cloud_itself_has_it(broker: Broker, tmp_path: Path) -> None:
    """Unacknowledged ones come again on the next connection, under the same id; odd answers change
    nothing.
    """
    settings, ids = settings_of(broker, events_ack="cloud"), list[list[str]]()
    async with broker.client() as cloud:
        await cloud.subscribe(f"{SITE}/events", qos=1)
        for life in range(3):
            async with daemon(settings, tmp_path) as depot:
                if life == 0:
                    depot.session.publish_events((event(1), event(2), event(3)))
                ids.append([(await heard(cloud, "events"))["id"] for _ in range(3 if life < 2 else 1)])
                if life == 1:
                    for odd in (b"{", b'{"ids":[1]}', b'{"ids":["x-1","","-","9"]}', b"[]"):
                        await cloud.publish(f"{SITE}/events/ack", odd, qos=1)
                    payload = json.dumps({"ids": ids[-1][:2]})
                    await cloud.publish(f"{SITE}/events/ack", payload, qos=1)
                    outbox = depot.session._outbox
                    assert outbox is not None
                    await until(lambda o=outbox: len(o.head()) == 1)  # type: ignore[misc]
    assert ids == [ids[0], ids[0], ids[0][2:]]


async def test_what_the_cloud_does_not_acknowledge_in_time_is_sent_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("v2g_edge.cloud.sending.ACK_S", 0.05)
    async with broker.client() as cloud, daemon(settings_of(broker, events_ack="cloud"), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/events", qos=1)
        await depot.online()
        depot.session.publish_events((event(1),))
        assert len({(await heard(cloud, "events"))["id"] for _ in range(3)}) == 1


async def test_the_kept_plan_is_back_after_a_restart_without_any_broker(
    broker: Broker, tmp_path: Path
) -> None:
    async with broker.client() as cloud, daemon(settings_of(broker), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
        await depot.online()
        await cloud.publish(f"{SITE}/plan", plan_bytes(revision=3), qos=1)
        await heard(cloud, "plan/ack")
    broker.kill()
    async with daemon(settings_of(broker), tmp_path) as second:
        assert [plan.revision for plan in second.plans] == [3]


async def test_a_retained_plan_is_acknowledged_again_after_a_reconnect(
    broker: Broker, tmp_path: Path
) -> None:
    async with broker.client() as cloud:
        await cloud.publish(f"{SITE}/plan", plan_bytes(revision=4), qos=1, retain=True)
        await cloud.subscribe(f"{SITE}/plan/ack", qos=1)
        for _ in range(2):
            async with daemon(settings_of(broker), tmp_path):
                ack = await heard(cloud, "plan/ack")
                assert (ack["revision"], ack["result"]) == (4, "accepted")


async def test_the_status_says_online_then_offline_on_a_clean_stop(broker: Broker, tmp_path: Path) -> None:
    async with broker.client() as cloud:
        await cloud.subscribe(f"{SITE}/status", qos=1)
        async with daemon(settings_of(broker), tmp_path):
            assert await heard(cloud, "status") == {"online": True}
        assert await heard(cloud, "status") == {"online": False}


async def test_the_broker_tells_when_the_daemon_has_vanished(broker: Broker, tmp_path: Path) -> None:
    """Our will: the socket is torn down without a DISCONNECT."""
    async with broker.client() as cloud, daemon(settings_of(broker), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/status", qos=1)
        await depot.online()
        assert await heard(cloud, "status") == {"online": True}
        taken_over = ssl.create_default_context(cafile=str(broker.ca))
        # A second client with our name takes the session over: the broker drops the first, as if it had
        # vanished.
        async with aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            username="depot",
            password="depot-secret",
            identifier="v2g-edge-depot-1",
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=taken_over,
        ):
            assert await heard(cloud, "status") == {"online": False}


async def test_events_that_the_access_list_forbids_stay_on_disk_and_plans_go_on(
    broker: Broker, tmp_path: Path
) -> None:
    """MQTT 5 answers a forbidden publish with 135; it must not count as delivered."""
    async with broker.client() as cloud, daemon(settings_of(broker, user="mute"), tmp_path) as depot:
        await cloud.subscribe(f"{SITE}/#", qos=1)
        await depot.online()
        depot.session.publish_events((event(1),))
        await cloud.publish(f"{SITE}/plan", plan_bytes(revision=1), qos=1)
        assert (await heard(cloud, "plan/ack"))["result"] == "accepted"
        await depot.session.stop()
        async with daemon(settings_of(broker), tmp_path):
            assert (await heard(cloud, "events"))["subject"] == "e1"


async def test_a_broker_that_asks_for_our_certificate_gets_it(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", client_certificates=True)
    await broker.start()
    files = {
        "certificate_file": str(broker.folder / "client.pem"),
        "key_file": str(broker.folder / "client.key"),
    }
    async with daemon(settings_of(broker, **files), tmp_path) as depot:
        await depot.online()
    broker.kill()


@pytest.mark.parametrize(
    ("newest", "talks"), [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)], ids=["1.3", "1.2"]
)
def test_a_broker_below_tls_1_3_is_not_talked_to(tmp_path: Path, newest: ssl.TLSVersion, talks: bool) -> None:
    settings = CloudSettings(host="localhost", ca_file=str(make_certificates(tmp_path)))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.maximum_version = newest
    assert handshake(tls_context(settings), server, "localhost") is talks


def test_a_broker_of_another_name_is_not_talked_to(tmp_path: Path) -> None:
    settings = CloudSettings(host="elsewhere", ca_file=str(make_certificates(tmp_path)))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    assert not handshake(tls_context(settings), server, "elsewhere")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bool:
    """Whether the two agree, over pipes in memory; five flights are more than any handshake has."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    done = set()
    for _ in range(5):
        for end in ends:
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return len(done) == 2


@pytest.mark.parametrize(
    "spoil", [{"password_file": "/nonexistent"}, {"ca_file": "/nonexistent"}, {"username": "stranger"}]
)
async def test_wrong_credentials_or_files_never_reach_the_depot(
    broker: Broker, tmp_path: Path, spoil: dict[str, str]
) -> None:
    with capture_logs() as logs:
        async with daemon(settings_of(broker, **spoil), tmp_path) as depot:
            depot.session.publish_events((event(1),))
            depot.session.publish_telemetry({"n": 1})
            await until(lambda: sum(entry["event"] == "cloud_offline" for entry in logs) >= 2)
            assert not depot.session.connected
    assert "secret" not in str(logs)


async def test_without_a_cloud_table_every_call_is_empty(tmp_path: Path) -> None:
    async with daemon(CloudSettings(), tmp_path) as depot:
        depot.session.publish_events((event(1),))
        depot.session.publish_telemetry({"n": 1})
    assert os.listdir(tmp_path) == []


def test_back_off_grows_to_a_minute_and_differs_between_depots() -> None:
    waits = [backoff_s("depot-1", attempt) for attempt in range(20)]
    assert waits == [backoff_s("depot-1", attempt) for attempt in range(20)]
    assert all(0.5 <= wait_s <= 60.0 for wait_s in waits)
    assert min(waits[6:]) >= 30.0
    assert len({backoff_s(f"depot-{n}", 6) for n in range(50)}) == 50


async def test_stop_ends_though_the_goodbye_cannot_be_said(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("v2g_edge.cloud.session.TIMEOUT_S", 0.5)
    async with broker.client() as cloud:
        await cloud.subscribe(f"{SITE}/status", qos=1)
        running = Daemon(settings_of(broker), tmp_path)
        await running.session.start()
        assert await heard(cloud, "status") == {"online": True}
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(10.0):
                await running.session.stop()
        finally:
            broker.process.send_signal(signal.SIGCONT)


async def test_a_name_that_is_taken_twice_is_said_once_and_waits_longer(
    broker: Broker, tmp_path: Path
) -> None:
    told: list[Event] = []
    clock, waits = QuickClock(), list[float]()

    async def sleep_s(duration_s: float) -> None:
        waits.append(duration_s)
        await asyncio.sleep(0.01)

    clock.sleep_s = sleep_s  # type: ignore[method-assign]
    settings = settings_of(broker)
    session = CloudSession(
        settings, small_site(), clock, lambda _: None, state_dir=tmp_path / "one", tell=told.append
    )
    await session.start()
    await until(lambda: session.connected)
    async with daemon(settings, tmp_path / "two"):
        await until(lambda: told)
    await session.stop()
    assert [event.kind for event in told] == ["cloud_id_taken"]
    assert "v2g-edge-depot-1" in told[0].text
    assert max(waits) > 2.0 * min(waits)
