"""A broker that does not keep to what was agreed costs a session, and no memory."""

import asyncio
import contextlib

import aiomqtt
import pytest

from v2g_edge.cloud.client import MAX_PACKET_BYTES, CheckedClient

CONNACK = b"\x20\x03\x00\x00\x00"
CHUNK = b"x" * 65_536


def length_of(count: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    octets = []
    while True:
        count, digit = divmod(count, 128)
        octets.append(digit | (128 if count else 0))
        if not count:
            return bytes(octets)


async def _listen(client: CheckedClient) -> None:
    async with client:
        await client.publish("hello", b"", qos=0)
        async for _ in client.messages:
            pytest.fail("nothing whole was sent")


@pytest.mark.parametrize("announced", [MAX_PACKET_BYTES + 1, 2 * MAX_PACKET_BYTES, (1 << 28) - 1])
async def test_a_packet_beyond_the_agreed_size_ends_the_session_before_it_is_taken(announced: int) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.read(1_000)
        writer.write(CONNACK)
        await reader.read(1_000)
        writer.write(b"\x30" + length_of(announced))
        with contextlib.suppress(ConnectionError):
            while sent < announced:
                writer.write(CHUNK)
                sent += len(CHUNK)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = CheckedClient("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, timeout=20.0)
        with pytest.raises(aiomqtt.MqttError):
            await _listen(client)
    assert len(client._client._in_packet["packet"]) == 0
