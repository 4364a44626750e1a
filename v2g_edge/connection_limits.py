"""Limits what may begin, for every room with a listener that others can reach: WebSockets that are not
admitted yet are few, small and short-lived, by address and in total.

A connection that is not admitted costs a file number, a TLS handshake and a buffer, and anybody can open one.
Above the caps the oldest of the address that has the most gives way: an honest station needs milliseconds to
come in, a peer that only holds places loses them. A link that stands is not counted here: there is one for
each station of the site file.
"""

import asyncio
import os
import resource
import socket
import ssl
from collections import Counter, OrderedDict
from typing import Any, Final

import structlog
from websockets.asyncio.server import ServerConnection

from v2g_edge.networks import network_of
from v2g_edge.tasks import begin

log = structlog.get_logger()

PENDING_MAX: Final = 256
ADDRESS_MAX: Final = 64
"""Connections that are not admitted yet, in total and from one address (``networks``), and as many more as
there are stations: all of them may dial at once after a power cut, behind one router too; each is pending for
some milliseconds.
"""

LEAST: Final = 16
"""Of them, also where file numbers are scarce: the daemon's unit has 8,192."""

FILES_KEPT: Final = 256
"""File numbers that stations cannot take: for the journal, meters, the control socket, the cloud, and
certificates.
"""

TLS_S: Final = 10.0
"""Patience with a TLS handshake: small processors need seconds for theirs."""

DIALS_PER_S: Final = 50.0
DIALS_BURST: Final = 500.0
"""Dials from one address, as a rate for ever and in a row; and so many more for each station of the site
file, all of which may stand behind one address. A TLS handshake costs 1 to 3 ms of the loop, a guess at a
password is one dial.
"""

ADDRESSES_MAX: Final = 1_024
"""Addresses remembered; the one that dialled longest ago is forgotten first."""

REQUEST_MAX: Final = 16 << 10
"""Octets before a connection is open: the request of a station has some hundred, with a long password a
thousand.
"""

TELL_S: Final = 10.0
"""Connections that were turned away or put out are reported this often, with their number."""


class ConnectionLimiter:
    """Shared by all listeners. ``now_s`` is loop time."""

    def __init__(self, stations: int) -> None:
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = PENDING_MAX + stations if soft == resource.RLIM_INFINITY else soft - FILES_KEPT - stations
        self.most = max(min(PENDING_MAX + stations, room), LEAST)
        self.address_max = min(ADDRESS_MAX + stations, self.most)
        self._rate = DIALS_PER_S + stations
        self._burst = DIALS_BURST + 2.0 * stations
        self._pending: dict[Guest, str] = {}
        self._counts: Counter[str] = Counter()
        self._dials: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._left_out: Counter[str] = Counter()
        self._told_s = -TELL_S
        self._since_s = 0.0

    def __len__(self) -> int:
        return len(self._pending)

    def enters(self, guest: "Guest", address: str, now_s: float) -> bool:
        """Whether a new connection may stay. One that was there longer may have to give way."""
        address = network_of(address)
        if not self._may_dial(address, now_s):
            self._tell(address, now_s)
            return False
        if self._counts[address] >= self.address_max:
            self._put_out(address, now_s)
        elif len(self._pending) >= self.most:
            self._put_out(self._counts.most_common(1)[0][0], now_s)
        self._pending[guest] = address
        self._counts[address] += 1
        return True

    def leaves(self, guest: "Guest") -> None:
        """It is admitted, or gone."""
        address = self._pending.pop(guest, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def close(self) -> None:
        """End all that are not admitted."""
        for guest in list(self._pending):
            guest.put_out()

    def _put_out(self, address: str, now_s: float) -> None:
        """The oldest from an address."""
        oldest = next(guest for guest, its in self._pending.items() if its == address)
        self.leaves(oldest)
        oldest.put_out()
        self._tell(address, now_s)

    def _may_dial(self, address: str, now_s: float) -> bool:
        left, at_s = self._dials.pop(address, (self._burst, now_s))
        left = min(left + (now_s - at_s) * self._rate, self._burst)
        may = left >= 1.0
        self._dials[address] = (left - 1.0 if may else left, now_s)
        if len(self._dials) > ADDRESSES_MAX:
            self._dials.popitem(last=False)
        return may

    def _tell(self, address: str, now_s: float) -> None:
        """A flood is an event with a number, not a line for each of its drops."""
        if not self._left_out:
            self._since_s = now_s
        if address in self._left_out or len(self._left_out) < ADDRESSES_MAX:
            self._left_out[address] += 1
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            worst, count = self._left_out.most_common(1)[0]
            log.warning(
                "connections_turned_away",
                peer=worst,
                count=count,
                in_all=sum(self._left_out.values()),
                after_s=round(now_s - self._since_s, 1),
            )
            self._left_out.clear()


class Guest(ServerConnection):
    """A WebSocket that comes in within these limits, and by TLS where ``context`` is given.

    ``is_known``: its credentials are right, so it may send more than a request. ``come_in`` ends its being a
    guest.
    """

    def __init__(
        self, *args: Any, keeper: ConnectionLimiter, context: ssl.SSLContext | None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._keeper = keeper
        self._context = context
        self.is_known = False
        self._is_begun = False
        self._request_octets = 0
        self._securing: asyncio.Task[None] | None = None
        self._raw: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """First the bare connection, then (TLS) once more when it is secured."""
        if not self._is_begun:
            self._is_begun, self._raw = True, transport
            peer = transport.get_extra_info("peername")
            address = str(peer[0]) if isinstance(peer, tuple) else "?"
            if not self._keeper.enters(self, address, self.loop.time()):
                _drop(self._raw)
                return
            if self._context is not None:
                self._begin_tls(self._raw, self._context)
                return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Octets arrived; before it is known only a request's worth is taken."""
        if not self.is_known:
            self._request_octets += len(data)
            if self._request_octets > REQUEST_MAX:
                self.transport.abort()
                return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._keeper.leaves(self)
        super().connection_lost(exc)

    def come_in(self) -> None:
        """It is admitted, and no guest any more."""
        self._keeper.leaves(self)

    def put_out(self) -> None:
        """End it unheard."""
        if self._securing is not None and not self._securing.done():
            self._securing.cancel()
        elif self._raw is not None:
            getattr(self, "transport", self._raw).abort()

    def _begin_tls(self, transport: Any, context: ssl.SSLContext) -> None:
        """Go on with a copy of the socket: a loop makes TLS of a socket, not of a transport that has begun
        to read.
        """
        bare = transport.get_extra_info("socket")
        copy = socket.socket(bare.family, bare.type, bare.proto, fileno=os.dup(bare.fileno()))
        copy.setblocking(False)
        _drop(transport)
        self._securing = begin("tls handshake", self._secure(copy, context))

    async def _secure(self, copy: socket.socket, context: ssl.SSLContext) -> None:
        try:
            await self.loop.connect_accepted_socket(
                lambda: self, copy, ssl=context, ssl_handshake_timeout=TLS_S
            )
        except (OSError, asyncio.CancelledError):
            copy.close()
        finally:
            if not hasattr(self, "transport"):
                self._keeper.leaves(self)


def _drop(transport: Any) -> None:
    """End a transport without a call to its protocol."""
    transport.set_protocol(asyncio.Protocol())
    transport.abort()
