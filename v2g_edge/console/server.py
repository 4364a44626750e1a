"""The console as a server: uvicorn, with what it needs to cut a browser that never reads."""

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from v2g_edge.console.accounts import Accounts
from v2g_edge.console.daemon import Daemon
from v2g_edge.console.guard import READ_S, TRANSPORT, App, Receive, Scope, Send
from v2g_edge.console.live import Hub
from v2g_edge.console.proxy import ProxyTrust
from v2g_edge.console.web import make_app
from v2g_edge.model.ports import ClockPort

CONNECTIONS_MAX: Final = 256
"""Beyond, uvicorn answers 503: 64 browsers with a stream each, and what they load."""
STOP_S: Final = 2
"""Open streams would hold a stop for ever."""


@dataclass(frozen=True)
class Options:
    """Where the console listens, what it asks, and where it keeps its accounts.

    Attributes:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        socket: The daemon's control socket.
        state: The folder of the accounts.
        tls: Certificate chain and key; None serves without TLS.
        read_s: Patience with a browser that does not read or send.
        names: Host names under which browsers may reach it, beside addresses and localhost.
        client_ca: The authority of people's certificates; None asks for none.
        proxy: Which proxies are believed when they say who asks; None believes none.
    """

    host: str
    port: int
    socket: str
    state: Path
    tls: tuple[Path, Path] | None = None
    read_s: float = READ_S
    names: frozenset[str] = frozenset()
    client_ca: Path | None = None
    proxy: ProxyTrust | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback


class Protocol(H11Protocol):
    """Puts the connection into each request's scope, and ends one whose request does not come in time.

    uvicorn does neither, and 256 silent connections would keep every visitor out.
    """

    read_s = READ_S
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        super().connection_made(transport)
        self.app = _with_transport(self.app, transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Octets arrived."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        if self._late is not None:
            self._late.cancel()

    def _watch(self) -> None:
        """A request has so long from its first octet, or from the connection, to the end of its head."""
        waits = self.cycle is None or self.cycle.response_complete
        if waits and self._late is None:
            self._late = self.loop.call_later(self.read_s, self._end)
        elif not waits and self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.abort()


class Console:
    """One running console. ``run`` serves until it is cancelled or gets a signal; ``port`` is known once
    it has started.
    """

    def __init__(self, options: Options, clock: ClockPort) -> None:
        daemon = Daemon(options.socket)
        self._options = options
        self.accounts = Accounts(options.state)
        self.hub = Hub(daemon)
        app = make_app(
            self.accounts,
            self.hub,
            daemon,
            clock,
            tls=options.tls is not None,
            read_s=options.read_s,
            names=options.names,
            proxy=options.proxy,
        )
        tls: dict[str, Any] = {}
        if options.tls is not None:
            tls = {
                "ssl_certfile": options.tls[0],
                "ssl_keyfile": options.tls[1],
                "ssl_context_factory": _modern,
            }
        if options.client_ca is not None:  # asked for, not demanded: passwords go on to work
            tls |= {"ssl_ca_certs": options.client_ca, "ssl_cert_reqs": ssl.CERT_OPTIONAL}
        config = uvicorn.Config(
            app,
            http=type("Patient", (Protocol,), {"read_s": options.read_s}),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=STOP_S,
            **tls,
        )
        self._server = _Server(config, self.hub)
        self._listening = _listen(options.host, options.port)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def is_up(self) -> bool:
        """Whether it serves."""
        return bool(self._server.started)

    async def run(self) -> None:
        """Serve."""
        await self._server.serve(sockets=[self._listening])

    def stop(self) -> None:
        """Let ``run`` end."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Hangs up on streams when it stops; uvicorn would wait for them, and then cut them with an error."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._hub.hang_up()
        await super().shutdown(sockets)


def _modern(_config: uvicorn.Config, default: Any) -> ssl.SSLContext:
    context: ssl.SSLContext = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _with_transport(app: Any, transport: asyncio.Transport) -> App:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT] = transport
        await app(scope, receive, send)

    return serve


def _listen(host: str, port: int) -> socket.socket:
    """Bound before anything else, so that a taken port is an error at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
