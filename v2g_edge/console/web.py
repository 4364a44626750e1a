"""The REST of the console: sessions, what the daemon says, orders, and the live stream. Each route names
its role.
"""

import gzip
import hashlib
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from importlib import resources
from typing import Annotated, Final, NamedTuple

import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from v2g_edge import __version__
from v2g_edge.console.accounts import Accounts, NotAllowed, Person
from v2g_edge.console.authorization import Authorization
from v2g_edge.console.bodies import NewPassword, NewPerson, NewToken
from v2g_edge.console.calendar import add_calendar
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses
from v2g_edge.console.depot import add_depot, add_past
from v2g_edge.console.guard import READ_S, App, Guard, Receive, Scope, Send
from v2g_edge.console.live import Hub
from v2g_edge.console.orders import add_orders
from v2g_edge.console.proxy import ProxyTrust
from v2g_edge.console.roi import add_roi
from v2g_edge.console.roles import ROLES
from v2g_edge.console.schema import EVENTS, REFUSALS, openapi_of, operation
from v2g_edge.console.sessions import add_sessions
from v2g_edge.console.setup import add_setup
from v2g_edge.console.studies import Studies
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

STATIC: Final = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "json": "application/json",
    "svg": "image/svg+xml",
}


def make_app(
    accounts: Accounts,
    hub: Hub,
    daemon: Daemon,
    clock: ClockPort,
    *,
    tls: bool,
    read_s: float = READ_S,
    names: frozenset[str] = frozenset(),
    proxy: ProxyTrust | None = None,
) -> App:
    """The ASGI application.

    Args:
        accounts: Who may log in.
        hub: The live pictures.
        daemon: The control socket.
        clock: The machine's clock.
        tls: The cookie goes over TLS alone.
        read_s: Patience with a browser.
        names: Host names under which the console is reached, beside addresses and localhost.
        proxy: Which proxies are believed when they say who asks.
    """

    studies = Studies()

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await studies.stop()
        await hub.stop()

    api = FastAPI(
        title="v2g-edge console",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=life,
        responses=REFUSALS,
        generate_unique_id_function=operation,
    )
    doors = Authorization(accounts, clock, tls=tls)
    _add_faults(api)
    add_sessions(api, accounts, doors, clock, tls=tls)
    add_depot(api, daemon, doors)
    add_past(api, daemon, doors)
    add_orders(api, daemon, doors)
    add_setup(api, daemon, doors)
    add_roi(api, studies, doors)
    add_calendar(api, accounts, daemon, doors, clock)
    _add_people(api, accounts, doors, clock)
    _add_tokens(api, accounts, doors, clock)
    _add_live(api, hub, doors)
    _add_pages(api)
    api.openapi = openapi_of(api, doors.cookie)  # type: ignore[method-assign]
    return Guard(api, clock, read_s, names, proxy)


def _add_faults(api: FastAPI) -> None:
    @api.exception_handler(DaemonDown)
    async def down(_request: Request, fault: DaemonDown) -> Response:
        return JSONResponse({"detail": str(fault)}, 503)

    @api.exception_handler(DaemonRefuses)
    async def refuses(_request: Request, fault: DaemonRefuses) -> Response:
        return JSONResponse({"detail": str(fault)}, 503 if fault.kind == "busy" else 400)

    @api.exception_handler(RequestValidationError)
    async def odd(_request: Request, fault: RequestValidationError) -> Response:
        found = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in fault.errors()[:5])
        return JSONResponse({"detail": "; ".join(found)}, 422)  # without what was sent: it may be a password

    @api.exception_handler(NotAllowed)
    async def not_allowed(_request: Request, fault: NotAllowed) -> Response:
        headers = {"Retry-After": str(math.ceil(fault.wait_s))} if fault.wait_s else None
        return JSONResponse({"detail": str(fault)}, 429 if fault.wait_s else 403, headers)


def _add_people(api: FastAPI, accounts: Accounts, doors: Authorization, clock: ClockPort) -> None:
    engineer = Depends(doors.engineer)

    @api.get("/api/people", dependencies=[engineer])
    async def people() -> list[dict[str, str]]:
        """All accounts."""
        return accounts.people()

    @api.post("/api/people", status_code=204)
    async def add(body: NewPerson, person: Annotated[Person, engineer]) -> None:
        """Make an account, or give one another role and password."""
        if body.name == person.name and body.role != "engineer":
            raise HTTPException(400, "you cannot take your own role away")
        await accounts.add(body.name, body.role, body.password)
        log.warning("console_account", by=person.title, person=body.name, role=body.role)

    @api.post("/api/password", status_code=204)
    async def password(
        body: NewPassword, request: Request, person: Annotated[Person, Depends(doors.viewer)]
    ) -> None:
        """Change one's own password; the old one must be given. All other sessions of the account end."""
        if person.token:
            raise HTTPException(403, "a token cannot change a password; log in with the old one")
        key = request.cookies.get(doors.cookie, "")
        caller = doors.caller(request)
        await accounts.change_password(
            person.name, body.old, body.new, clock.now_s(), keep=key, caller=caller
        )
        log.warning("console_account", by=person.title, person=person.name, role=person.role)

    @api.delete("/api/people/{name}", status_code=204)
    async def remove(name: str, person: Annotated[Person, engineer]) -> None:
        """End an account. One's own stays: a depot without any engineer could not be reached again."""
        if name == person.name:
            raise HTTPException(400, "you cannot remove your own account")
        accounts.remove(name)
        log.warning("console_account_ended", by=person.title, person=name)


def _add_tokens(api: FastAPI, accounts: Accounts, doors: Authorization, clock: ClockPort) -> None:
    @api.get("/api/tokens", dependencies=[Depends(doors.engineer)])
    async def tokens() -> list[dict[str, str | float]]:
        """All tokens, without what opens the door."""
        return accounts.tokens()

    @api.post("/api/tokens")
    async def add(body: NewToken, person: Annotated[Person, Depends(doors.engineer)]) -> dict[str, str]:
        """A token for programs in your name; it is shown once."""
        own = accounts.role_of(person.name)  # a person whom a proxy named may have none
        if own is None or ROLES.index(own) < ROLES.index(body.role):
            text = "a token acts for an account and ends with it; there is none of your name with this role"
            raise NotAllowed(text)
        token = accounts.new_token(person.name, body.label, body.role, clock.wall_s() + body.days * 86_400.0)
        log.warning("console_token", by=person.title, label=body.label, role=body.role, days=body.days)
        return {"token": token}

    @api.delete("/api/tokens/{owner}/{label}", status_code=204)
    async def end(owner: str, label: str, person: Annotated[Person, Depends(doors.engineer)]) -> None:
        """End a token."""
        accounts.end_token(owner, label)
        log.warning("console_token_ended", by=person.title, owner=owner, label=label)


def _add_live(api: FastAPI, hub: Hub, doors: Authorization) -> None:
    @api.get(
        "/api/live", dependencies=[Depends(doors.viewer)], response_class=StreamingResponse, responses=EVENTS
    )
    async def live(request: Request) -> StreamingResponse:
        """Server-sent events with the status of every second, as long as the session lasts."""
        if hub.is_full:
            raise HTTPException(503, "too many browsers are connected; close one")

        async def pictures() -> AsyncGenerator[bytes, None]:
            async with aclosing(hub.stream()) as stream:
                async for picture in stream:
                    if not doors.is_open(request):
                        return
                    yield picture

        return _Stream(pictures())


class _Stream(StreamingResponse):
    """Server-sent events that end with their connection, however that ends (Starlette leaves the rest to
    the collector).
    """

    def __init__(self, pictures: AsyncGenerator[bytes, None]) -> None:
        super().__init__(pictures, media_type="text/event-stream")
        self._pictures = pictures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pictures.aclose()


class _File(NamedTuple):
    """A file of the page, as it is and compressed; its mark tells a browser that it has it already."""

    plain: bytes
    packed: bytes
    mark: str
    media: str

    @classmethod
    def of(cls, data: bytes, media: str) -> "_File":
        return cls(data, gzip.compress(data, 9, mtime=0), f'"{hashlib.sha256(data).hexdigest()[:24]}"', media)

    def answer(self, request: Request) -> Response:
        headers = {"etag": self.mark, "cache-control": "no-cache", "vary": "accept-encoding, accept-language"}
        if request.headers.get("if-none-match") == self.mark:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                self.packed, media_type=self.media, headers=headers | {"content-encoding": "gzip"}
            )
        return Response(self.plain, media_type=self.media, headers=headers)


def _add_pages(api: FastAPI) -> None:
    folder = resources.files("v2g_edge.console").joinpath("static")
    files = {
        each.name: _File.of(each.read_bytes(), STATIC[kind])
        for each in folder.iterdir()
        if (kind := each.name.rpartition(".")[2]) in STATIC
    }

    index_de = files["index.html"].plain.replace(b"/static/en.json", b"/static/de.json")
    german = _File.of(index_de, STATIC["html"])

    def page(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such page")
        return files[name].answer(request)

    @api.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        """It names the texts of the browser's language, so that they come with it."""
        asked = request.headers.get("accept-language", "")
        return german.answer(request) if asked.startswith("de") else page("index.html", request)

    @api.get("/static/{name}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        return page(name, request)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the console itself answers; the daemon is not asked."""
        return {"console": "ok"}
