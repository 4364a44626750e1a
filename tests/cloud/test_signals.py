"""Signals over MQTT: signed, in order, young; and on their way through a real broker to the service."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.cloud.broker import SITE, Broker, make_certificates
from tests.cloud.clock import QuickClock
from tests.cloud.plans import WALL_S
from tests.cloud.test_session import settings_of, until
from tests.cloud.test_signed import key, keys
from tests.depot import small_site
from v2g_edge.api.state import DepotState
from v2g_edge.cloud.session import CloudSession
from v2g_edge.cloud.signals import BadSignal, SignalInbox
from v2g_edge.cloud.signed import SIGNAL_TYPE, TYPE, key_set, sign
from v2g_edge.model.event import Event
from v2g_edge.model.service import Service
from v2g_edge.model.settings import CloudSettings
from v2g_edge.wiring.signals import SignalTaker

KEY = key("a")
SAID = {"service": "fast", "value": 0.5, "sequence": 7, "at_wall_s": WALL_S - 1.0, "every_s": 2.0}


def signed(kind: str = SIGNAL_TYPE, audience: str = "depot-1", **changes: Any) -> bytes:
    return sign(json.dumps({**SAID, **changes}).encode(), KEY, "a", audience, kind)


def test_a_signal_counts_once_and_in_order(tmp_path: Path) -> None:
    inbox = SignalInbox(keys(tmp_path, ("a", KEY)))
    assert inbox.take(signed(), ("fast",), WALL_S).value == 0.5
    for again in (7, 6):
        with pytest.raises(BadSignal, match="it must grow"):
            inbox.take(signed(sequence=again), ("fast",), WALL_S)
    assert inbox.take(signed(sequence=8), ("fast",), WALL_S).sequence == 8


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (json.dumps(SAID).encode(), "no compact JWS"),
        (signed(audience="depot-2"), "depot-2"),
        (signed(TYPE), "expected"),
        (signed(value=1.5), "value 1.5"),
        (signed(every_s=0.0), "every_s 0"),
        (signed(service="other"), "'other'"),
        (signed(at_wall_s=WALL_S - 30.0), "30.0 s old"),
        (signed(at_wall_s=WALL_S + 30.0), "-30.0 s old"),
        (signed(sequence="eight"), "sequence"),
        (signed(more=1), "more"),
        (b"x" * 5_000, "octets"),
    ],
)
def test_any_other_is_refused_by_name(tmp_path: Path, payload: bytes, word: str) -> None:
    inbox = SignalInbox(keys(tmp_path, ("a", KEY)))
    with pytest.raises(BadSignal, match=word):
        inbox.take(payload, ("fast",), WALL_S)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    broker.kill()


async def test_a_signal_reaches_its_service_through_a_broker(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(("a", KEY))))
    site = replace(small_site(), services=(Service("fast", "regulation", 10e3),))
    state, clock, told, wakes = DepotState(site), QuickClock(), list[Event](), list[int]()
    session = CloudSession(
        settings_of(broker, plan_keys_file=str(tmp_path / "keys.json")), site, clock, lambda _: None,
        state_dir=tmp_path, tell=told.append, signals=SignalTaker(state, clock, lambda: wakes.append(1)),
    )  # fmt: skip
    await session.start()
    await until(lambda: session.connected)
    async with broker.client() as cloud:
        await cloud.publish(f"{SITE}/signal", b"unsigned")
        await until(lambda: told)
        await cloud.publish(f"{SITE}/signal", signed())
        await until(lambda: state.operator.signals)
    await session.stop()
    ((service, signal),) = state.operator.signals
    assert (service, signal.value, signal.every_s) == ("fast", 0.5, 2.0)
    assert signal.at_s <= asyncio.get_running_loop().time() - 1.0
    assert [event.kind for event in told] == ["signal_refused"]
    assert wakes == [1]


async def test_a_signal_reaches_its_service_by_http_without_any_broker(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(("a", KEY))))
    make_certificates(tmp_path)
    site = replace(small_site(), services=(Service("fast", "regulation", 10e3),))
    state, clock, told = DepotState(site), QuickClock(), list[Event]()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = CloudSettings(
        site_id="depot-1", plan_keys_file=str(tmp_path / "keys.json"), signal_port=port,
        signal_certificate_file=str(tmp_path / "server.pem"), signal_key_file=str(tmp_path / "server.key"),
    )  # fmt: skip
    session = CloudSession(
        settings, site, clock, lambda _: None, state_dir=tmp_path, tell=told.append,
        signals=SignalTaker(state, clock, lambda: None),
    )  # fmt: skip
    await session.start()
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=context) as sender:
        answers = [
            (await sender.post(path, content=body)).status_code
            for path, body in (
                ("/signal", signed()), ("/signal", signed()), ("/signal", b"unsigned"), ("/other", signed()),
                ("/signal", b"x" * 5_000),
            )
        ]  # fmt: skip
    await session.stop()
    assert answers == [200, 422, 422, 404, 413]
    ((service, signal),) = state.operator.signals
    assert (service, signal.value) == ("fast", 0.5)
    assert [event.kind for event in told] == ["signal_refused"]
    assert "cloud.sqlite" not in os.listdir(tmp_path)
