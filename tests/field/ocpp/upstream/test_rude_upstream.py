"""An upstream that answers with nonsense, with errors, or not at all: no station notices."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.upstream.conftest import ForwardedDepot
from tests.field.ocpp.upstream.test_forwarding import BOOT_16, metered, started, stopped
from v2g_edge.field.ocpp.upstream import exchange

BOOT = {"status": "Accepted", "currentTime": "2026-03-01T12:00:00Z", "interval": 300}
RUDE: list[Any] = [
    [3, "{id}", {}], [3, "{id}", []], [3, "{id}", None], [3, "{id}", {"transactionId": "x"}],
    [3, "{id}", {"transactionId": 1.5, "idTagInfo": 7}], [3, "{id}", {"transactionId": True}],
    [3, "{id}", {"transactionId": [], "idTagInfo": {"status": ["Blocked"]}}], [3, "another", {}],
    [4, "{id}", "InternalError", "", {}], [4, "{id}", "NotSupported", "", {}], [4, "{id}"], "text", 7,
]  # fmt: skip


class Rude:
    """Takes the boot, and answers everything else with ``answer``; with None it says nothing."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.heard: list[str] = []
        self.port = 0

    async def serve(self, ws: ServerConnection) -> None:
        async for message in ws:
            frame = json.loads(message)
            self.heard.append(frame[2])
            if frame[2] == "BootNotification":
                await ws.send(json.dumps([3, frame[1], BOOT]))
            elif self.answer is not None:
                await ws.send(json.dumps(self.answer).replace("{id}", frame[1]))


@pytest.fixture
async def upstream() -> AsyncIterator[Rude]:
    rude = Rude()
    async with serve(rude.serve, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        rude.port = next(iter(server.sockets)).getsockname()[1]
        yield rude


@pytest.mark.parametrize("answer", RUDE, ids=json.dumps)
async def test_a_session_goes_on_whatever_the_upstream_answers(
    answer: Any, upstream: Rude, tmp_path: Path
) -> None:
    upstream.answer = answer
    depot = ForwardedDepot(tmp_path, f"ws://127.0.0.1:{upstream.port}", allow=())
    await depot.central.start()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    (forwarder,) = depot.central.upstreams.taps["old"].forwarders
    await until(lambda: forwarder.connection is not None and not len(forwarder.queue))
    number = await started(depot, station)
    await until(lambda: "StartTransaction" in upstream.heard)
    await metered(depot, station, number, 200)
    await metered(depot, station, number, 300)
    await stopped(depot, station, number, 400)
    assert depot.board.evse("b1").link.connected
    if isinstance(answer, list) and len(answer) > 2 and answer[1] == "{id}" and "InternalError" not in answer:
        await until(lambda: not len(forwarder.queue))  # it has answered: nothing waits for a better word
    await depot.central.stop()


async def test_what_an_upstream_leaves_unanswered_goes_up_again_under_its_id(
    upstream: Rude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "ANSWER_S", 0.05)
    depot = ForwardedDepot(tmp_path, f"ws://127.0.0.1:{upstream.port}")
    await depot.central.start()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    (forwarder,) = depot.central.upstreams.taps["old"].forwarders
    await until(lambda: forwarder.connection is not None and not len(forwarder.queue))
    await station.call(
        "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    )
    await until(lambda: upstream.heard.count("StatusNotification") >= 2)
    upstream.answer = [3, "{id}", {}]
    await until(lambda: not len(forwarder.queue))
    await depot.central.stop()
