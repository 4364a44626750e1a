"""The fast path for text frames gives what the library's own way gives, however the octets are cut and
mixed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosedError
from websockets.extensions import ClientExtensionFactory
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.uri import parse_uri

from sim.virtual.loop import run_virtual
from v2g_edge.field.ocpp.server import DEFLATE
from v2g_edge.field.ocpp.wire.fast_path import BURST, Message
from v2g_edge.field.ocpp.wire.frames import FRAME_MAX
from v2g_edge.field.ocpp.wire.websocket import SHORT_MAX, UNREAD_MAX, Wire

LastMessages = list[tuple[str, Message]]
Guest = Callable[[int], Coroutine[Any, Any, Any]]

TEXT = st.text(max_size=300).map(lambda text: (text, Opcode.TEXT))
BINARY = st.binary(max_size=200).map(lambda octets: (octets, Opcode.BINARY))
PING = st.binary(max_size=9).map(lambda octets: (octets, Opcode.PING))
LONG = st.integers(60_000, 70_000).map(lambda size: ("x" * size, Opcode.TEXT))


class Raw(asyncio.Protocol):
    """A client that writes octets exactly as the test cuts them."""

    def __init__(self, *, deflate: bool) -> None:
        extensions: list[ClientExtensionFactory] | None = (
            [ClientPerMessageDeflateFactory()] if deflate else None
        )
        self.client = ClientProtocol(parse_uri("ws://localhost/a"), extensions=extensions)
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.client.receive_data(data)

    def eof_received(self) -> None:
        self.client.receive_eof()

    def hello(self) -> bytes:
        self.client.send_request(self.client.connect())
        return self.octets()

    def octets(self) -> bytes:
        return b"".join(self.client.data_to_send())

    @classmethod
    async def dial(cls, port: int, *, deflate: bool = False) -> "Raw":
        raw = cls(deflate=deflate)
        await asyncio.get_running_loop().create_connection(lambda: raw, "localhost", port)
        raw.transport.write(raw.hello())
        await asyncio.sleep(0.1)
        return raw


async def visit(guest: Guest, *, answer: bytes | None = None) -> LastMessages:
    """What a server heard of a guest, as (path, message). It says ``answer`` to every text."""
    told: LastMessages = []

    async def handle(ws: ServerConnection) -> None:
        assert isinstance(ws, Wire)
        assert ws.request is not None
        path = ws.request.path

        def take(message: Message) -> None:
            told.append((path, message))
            if answer is not None:
                ws.post(answer)

        await ws.listen(take)

    async with serve(
        handle,
        "localhost",
        0,
        create_connection=Wire,
        extensions=[DEFLATE],
        compression=None,
        max_size=FRAME_MAX,
        ping_interval=None,
    ) as server:
        async with asyncio.timeout(60.0):
            await guest(server.sockets[0].getsockname()[1])
        await asyncio.sleep(0.1)
    return told


@settings(max_examples=150, deadline=None)
@given(
    st.lists(TEXT | BINARY | PING | LONG, max_size=8),
    st.lists(st.integers(1, 400), max_size=30),
    st.sets(st.integers(0, 7)),
    st.booleans(),
)
def test_however_the_octets_are_cut_every_message_arrives_once_and_in_order(
    messages: list[tuple[str | bytes, Opcode]], cuts: list[int], in_parts: set[int], deflate: bool
) -> None:
    async def guest(port: int) -> None:
        raw = await Raw.dial(port, deflate=deflate)
        for number, (content, kind) in enumerate(messages):
            octets = content.encode() if isinstance(content, str) else content
            if kind is Opcode.PING:
                raw.client.send_ping(octets)
            elif number in in_parts:
                whole = raw.client.send_text if kind is Opcode.TEXT else raw.client.send_binary
                whole(octets[: len(octets) // 2], fin=False)
                raw.client.send_ping(b"between")
                raw.client.send_continuation(octets[len(octets) // 2 :], fin=True)
            elif kind is Opcode.TEXT:
                raw.client.send_text(octets)
            else:
                raw.client.send_binary(octets)
        stream = raw.octets()
        for cut in cuts:
            raw.transport.write(stream[:cut])
            stream = stream[cut:]
            await asyncio.sleep(0.1)
        raw.transport.write(stream)
        await asyncio.sleep(0.1)
        pongs = [
            event
            for event in raw.client.events_received()
            if isinstance(event, Frame) and event.opcode is Opcode.PONG
        ]
        parts = sum(
            1 for number, (_, kind) in enumerate(messages) if number in in_parts and kind is not Opcode.PING
        )
        assert len(pongs) == parts + sum(1 for _, kind in messages if kind is Opcode.PING)

    told = run_virtual(visit(guest))
    assert [message for _, message in told] == [
        content for content, kind in messages if kind is not Opcode.PING
    ]


async def send(port: int, octets: bytes) -> Close | None:
    """What the server closes with after these octets."""
    raw = await Raw.dial(port)
    raw.transport.write(octets)
    await asyncio.sleep(5.0)
    return raw.client.close_rcvd


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),  # no UTF-8
        (b"\x01\x81\0\0\0\0\xff" + b"\x80\x80\0\0\0\0", 1007),  # nor in parts
        (b"\x81\x02{}", 1002),  # not masked
        (b"\x81\x00", 1002),
        (b"\xc1\x82\0\0\0\0{}", 1002),  # compressed where nobody agreed to it
        (b"\x83\x82\0\0\0\0{}", 1002),  # an opcode that does not exist
        (b"\x01\x81\0\0\0\0{\x81\x81\0\0\0\0}", 1002),  # a new message within a message
        (b"\x80\x81\0\0\0\0}", 1002),  # the rest of nothing
        (b"\x81\xff" + (FRAME_MAX + 1).to_bytes(8, "big") + bytes(4), 1009),
        (
            b"\x88\x82\0\0\0\0" + (1000).to_bytes(2, "big") + b"\x81\x82\0\0\0\0{}",
            1000,
        ),  # after its own farewell
    ],
)
def test_what_is_no_text_frame_is_closed_with_the_right_code_and_never_heard(
    octets: bytes, code: int
) -> None:
    closed: list[Close | None] = []

    async def guest(port: int) -> None:
        closed.append(await send(port, octets))

    assert run_virtual(visit(guest)) == []
    assert closed[0] is not None
    assert closed[0].code == code


def test_a_client_that_does_not_wait_for_our_answer_is_understood_all_the_same() -> None:
    async def guest(port: int) -> None:
        raw = Raw(deflate=False)
        await asyncio.get_running_loop().create_connection(lambda: raw, "localhost", port)
        raw.transport.write(raw.hello() + b"\x81\x85\0\0\0\0ear")
        await asyncio.sleep(0.1)
        raw.transport.write(b"ly\x81\x84\0\0\0\0late")
        await asyncio.sleep(0.1)

    assert [message for _, message in run_virtual(visit(guest))] == ["early", "late"]


def test_a_station_that_talks_without_end_lets_the_others_have_their_turn() -> None:
    async def guest(port: int) -> None:
        loud = await Raw.dial(port)
        quiet = await connect(f"ws://localhost:{port}/quiet", proxy=None)
        loud.transport.write(b"\x81\x81\0\0\0\0x" * 40 * BURST)
        await quiet.send("please")
        await asyncio.sleep(1.0)
        await quiet.close()

    told = run_virtual(visit(guest))
    assert len(told) == 40 * BURST + 1
    assert told.index(("/quiet", "please")) <= 4 * BURST


@pytest.mark.parametrize("size", [0, SHORT_MAX, SHORT_MAX + 1, 70_000])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_answers_of_any_length_arrive_as_text_compressed_or_not(size: int, compression: str | None) -> None:
    async def guest(port: int) -> str | bytes:
        async with connect(f"ws://localhost:{port}/a", compression=compression, proxy=None) as client:
            await client.send("?")
            assert await client.recv() == "€" * (size // 3) + "x" * (size % 3)
            return ""

    assert len(run_virtual(visit(guest, answer=b"\xe2\x82\xac" * (size // 3) + b"x" * (size % 3)))) == 1


def test_after_giving_up_nothing_more_is_heard_and_nothing_is_sent() -> None:
    heard: list[Message] = []

    async def main() -> int:
        async def handle(ws: ServerConnection) -> None:
            assert isinstance(ws, Wire)

            def take(message: Message) -> None:
                heard.append(message)
                ws.give_up(1008, "enough")

            await ws.listen(take)
            ws.post(b"too late")

        async with serve(handle, "localhost", 0, create_connection=Wire) as server:
            client = await connect(f"ws://localhost:{server.sockets[0].getsockname()[1]}", proxy=None)
            for text in ("one", "two"):
                await client.send(text)
            with pytest.raises(ConnectionClosedError) as end:
                await client.recv()
            assert end.value.rcvd is not None
            return end.value.rcvd.code

    assert run_virtual(main()) == 1008
    assert heard == ["one"]


@pytest.mark.parametrize("pings", [1, 2])
def test_a_station_that_sends_pings_and_reads_nothing_is_cut(pings: int) -> None:
    """The library answers each at once: a gigabyte an hour would wait for a station that takes nothing."""
    cut: list[bool] = []

    async def handle(ws: ServerConnection) -> None:
        ws.transport.get_write_buffer_size = lambda: UNREAD_MAX + 1  # type: ignore[method-assign]
        await ws.wait_closed()
        cut.append(True)

    async def play() -> None:
        async with serve(handle, "localhost", 0, create_connection=Wire, ping_interval=None) as server:
            raw = await Raw.dial(server.sockets[0].getsockname()[1])
            for _ in range(pings):
                raw.client.send_ping(b"x" * 125)
            raw.transport.write(raw.octets())
            await asyncio.sleep(1.0)
            assert cut == [True]

    run_virtual(play())
