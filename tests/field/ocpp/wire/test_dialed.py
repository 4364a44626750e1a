"""A link that we dial: messages come whole, from fragments too, and a flood delays no other link."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve

from tests.field.ocpp.peer import until
from v2g_edge.field.ocpp.wire import fast_path
from v2g_edge.field.ocpp.wire.budget import BURST_OCTETS
from v2g_edge.field.ocpp.wire.dialed import Dialed
from v2g_edge.field.ocpp.wire.fast_path import Message

MANY = 2_000


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Says what the path asks for, then closes."""

    async def speak(ws: ServerConnection) -> None:
        assert ws.request is not None
        if ws.request.path == "/quiet":
            await ws.wait_closed()
        elif ws.request.path == "/parts":
            await ws.send(["[1,", "2", ",3]"])
            await ws.send("ä" * 40_000)
            await ws.send(b"\x00\x01")
        else:
            ws.transport.write(b"\x81\x02\xff\xfe")
            await ws.wait_closed()

    async with serve(speak, "127.0.0.1", 0) as server:
        yield server


async def dial(server: Server, path: str) -> Dialed:
    port = next(iter(server.sockets)).getsockname()[1]
    ws = await connect(f"ws://127.0.0.1:{port}/{path}", create_connection=Dialed)
    assert isinstance(ws, Dialed)
    return ws


async def heard(server: Server, path: str) -> tuple[list[Message], Dialed]:
    ws = await dial(server, path)
    found: list[Message] = []
    await ws.listen(found.append)
    return found, ws


async def test_messages_come_whole_and_as_what_they_are(server: Server) -> None:
    found, _ = await heard(server, "parts")
    assert found == ["[1,2,3]", "ä" * 40_000, b"\x00\x01"]


async def test_what_is_no_text_ends_the_link(server: Server) -> None:
    found, ws = await heard(server, "broken")
    assert found == []
    assert ws.close_code == 1007


async def test_a_flood_leaves_turns_to_others_and_loses_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_path, "TURN_S", 0.0)
    ws, found = await dial(server, "quiet"), list[Message]()
    listening = asyncio.get_running_loop().create_task(ws.listen(found.append))
    await asyncio.sleep(0)
    texts = [f"[{number}]" for number in range(MANY)]
    ws.data_received(b"".join(bytes((0x81, len(text))) + text.encode() for text in texts))
    assert 0 < len(found) < MANY / 10
    await until(lambda: len(found) == MANY)
    assert found == texts
    await ws.close()
    await listening


async def test_an_upstream_that_floods_is_not_read_for_a_while(server: Server) -> None:
    ws, found = await dial(server, "quiet"), list[Message]()
    listening = asyncio.get_running_loop().create_task(ws.listen(found.append))
    await asyncio.sleep(0)
    ws.allowance.spend(BURST_OCTETS)
    ws.data_received(b"\x81\x03[1]")
    ws.data_received(b"\x81\x03[2]")
    assert found == ["[1]"]
    await until(lambda: found == ["[1]", "[2]"])
    await ws.close()
    await listening
