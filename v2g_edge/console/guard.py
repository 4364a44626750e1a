"""What every request passes: strict headers out, cross-site requests refused, bodies bounded, addresses
paced.
"""

import asyncio
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import structlog

from v2g_edge.console.proxy import ProxyTrust
from v2g_edge.model.ports import ClockPort
from v2g_edge.networks import network_of

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_MAX: Final = 64 << 10
"""An order is a hundred octets; a site file that is checked has at most some ten thousand."""
ASKED_PER_S: Final = 20.0
ASKED_BURST: Final = 120.0
"""By address: a page loads with some ten requests and then streams."""
ADDRESSES_KEPT: Final = 1_000
READ_S: Final = 10.0
"""Patience with a browser that does not send its body, or does not read its answer."""
TRANSPORT: Final = "v2g_edge_transport"
"""Where the server puts the connection into the scope, so that one that never reads can be cut."""
REFUSED_EACH_S: Final = 60.0
"""A flood of forged headers is one line a minute."""
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """An ASGI layer around the application."""

    def __init__(
        self,
        app: App,
        clock: ClockPort,
        read_s: float = READ_S,
        names: frozenset[str] = frozenset(),
        proxy: ProxyTrust | None = None,
    ) -> None:
        self._app = app
        self._proxy = proxy
        self._said_s = -math.inf
        self._clock = clock
        self._read_s = read_s
        self._names = frozenset(name.casefold() for name in names) | {"localhost"}
        self._budgets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._proxy is not None and not self._proxy.take(scope):
            self._say_refused(scope)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None and scope["method"] in UNSAFE:
            try:
                receive = await self._whole(receive)
            except ValueError as fault:
                refusal = 413, str(fault)
            except TimeoutError:
                refusal = 408, f"the body did not come within {self._read_s:g} s"
        if refusal is not None:
            await _answer(send, *refusal)
            return
        await self._app(scope, receive, self._patient(scope, send))

    def _say_refused(self, scope: Scope) -> None:
        """Log a proxy's headers that are not believed, once a minute at most."""
        now_s = self._clock.now_s()
        if now_s - self._said_s >= REFUSED_EACH_S:
            self._said_s = now_s
            log.warning("console_proxy_refused", peer=str((scope.get("client") or ("",))[0]))

    def _patient(self, scope: Scope, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in own)]
            try:
                async with asyncio.timeout(self._read_s):
                    await send(message)
            except TimeoutError:
                scope[TRANSPORT].abort()  # the application then gets its http.disconnect

        return with_headers

    async def _whole(self, receive: Receive) -> Receive:
        """Read the body first, so that one without a length is refused too. Raises ValueError or
        TimeoutError.
        """
        body, more = bytearray(), True
        async with asyncio.timeout(self._read_s):
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > BODY_MAX:
                    raise ValueError(f"the body may have {BODY_MAX} octets")
        waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def take() -> Message:
            return waiting.pop() if waiting else await receive()

        return take

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 9 or int(length) > BODY_MAX:
            return 413, f"the body may have {BODY_MAX} octets"
        if not self._is_ours(headers.get("host", "")):
            return 421, "the console is not reached under this name; start it with --name, or use its address"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "requests from other sites are refused"
        origin = headers.get("origin")
        if (
            scope["method"] in UNSAFE
            and origin is not None
            and origin.partition("://")[2] != headers.get("host")
        ):
            return 403, "requests from other sites are refused"
        client = scope.get("client")
        if client is not None and not self._has_budget(network_of(str(client[0]))):
            return 429, "too many requests; try again in a second"
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether the Host header is an address or one of our names: a foreign name that leads here is a page
        of another site that wants to speak as this one (DNS rebinding).
        """
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and host[-1:] != "]" else host
        if name.casefold() in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _has_budget(self, address: str) -> bool:
        now_s = self._clock.now_s()
        left, at_s = self._budgets.pop(address, (ASKED_BURST, now_s))
        left = min(left + (now_s - at_s) * ASKED_PER_S, ASKED_BURST) - 1.0
        self._budgets[address] = (max(left, 0.0), now_s)
        while len(self._budgets) > ADDRESSES_KEPT:
            self._budgets.popitem(last=False)
        return left >= 0.0


async def _answer(send: Send, status: int, text: str) -> None:
    body = msgspec.json.encode({"detail": text})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
