"""A door for short messages of machines by HTTP: POST to one path, one request a connection, bounded in
octets, time and places. It knows no room.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import h11
import msgspec

from v2g_edge.tasks import begin, close_door, described, end

LINKS_MAX: Final = 32
REQUEST_S: Final = 10.0
"""Connections at once, and patience with one request."""

Answer = tuple[int, Any]
"""A status of HTTP, and what is sent back as JSON."""


class Inlet:
    """``take`` gets a body and answers it; ``judge`` sees the headers before and may refuse; ``broken`` is
    told of what was no request.
    """

    def __init__(
        self,
        path: bytes,
        octets_max: int,
        take: Callable[[bytes], Answer],
        judge: Callable[[Mapping[bytes, bytes]], Answer | None],
        broken: Callable[[str], None],
    ) -> None:
        self._path = path
        self._octets_max = octets_max
        self._take = take
        self._judge_headers = judge
        self._broken = broken
        self._server: asyncio.Server | None = None
        self.links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        """Requests under way, oldest first."""

    @property
    def port(self) -> int:
        """0 while it is closed."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def start(self, host: str, port: int, certificate_file: str, key_file: str) -> None:
        """Listen; with a certificate by TLS. OSError or ssl.SSLError name what cannot be used."""
        context: ssl.SSLContext | None = None
        if certificate_file:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(certificate_file, key_file)
        patience_s = REQUEST_S if context is not None else None
        self._server = await asyncio.start_server(
            self._accept, host, port, ssl=context, ssl_handshake_timeout=patience_s
        )

    async def stop(self) -> None:
        """Close the port and all links."""
        if self._server is not None:
            await close_door(self._server)
            await end(*self.links)
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection. The oldest gives way where all places are taken: a sender needs milliseconds.

        What only holds a place loses it.
        """
        if len(self.links) >= LINKS_MAX:
            oldest = next(iter(self.links))
            self.links.pop(oldest).transport.abort()
            oldest.cancel()
        task = begin("http request", self._serve(reader, writer))
        self.links[task] = writer
        task.add_done_callback(lambda done: self.links.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the end: a sender reports a few times a minute."""
        machine = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(REQUEST_S):
                status, words = await self._answer(machine, reader)
                body = msgspec.json.encode(words)
                headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
                response = h11.Response(status_code=status, headers=[*headers, ("Connection", "close")])
                for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                    writer.write(machine.send(event) or b"")
                await writer.drain()
        except (h11.ProtocolError, OSError, TimeoutError) as fault:
            self._broken(described(fault)[:100])
        finally:
            writer.close()

    async def _answer(self, machine: h11.Connection, reader: asyncio.StreamReader) -> Answer:
        body = b""
        while True:
            event = machine.next_event()
            if event is h11.NEED_DATA:
                machine.receive_data(await reader.read(8 << 10))
            elif isinstance(event, h11.Request):
                if (wrong := self._judge(event)) is not None:
                    return wrong
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._octets_max:
                    return 413, {"error": f"at most {self._octets_max} octets"}
            elif isinstance(event, h11.EndOfMessage):
                return self._take(body)
            else:
                raise ConnectionError("the request ended early")

    def _judge(self, request: h11.Request) -> Answer | None:
        """None for a request that may go on."""
        if (wrong := self._judge_headers(dict(request.headers))) is not None:
            return wrong
        if request.target.partition(b"?")[0] != self._path:
            return 404, {"error": f"the path is {self._path.decode()}"}
        if request.method != b"POST":
            return 405, {"error": "POST is expected"}
        return None
