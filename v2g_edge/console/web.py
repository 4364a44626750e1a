"""The REST of the console: sessions, what the daemon says, orders, and the live stream. Each route names
its role.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from importlib import resources
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from v2g_edge import __version__
from v2g_edge.console.accounts import SESSION_S, Accounts, NotAllowed, Person
from v2g_edge.console.bodies import Claim, Login, NewPassword, NewPerson, NewToken
from v2g_edge.console.calendar import add_calendar
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses
from v2g_edge.console.depot import add_depot, add_past
from v2g_edge.console.doors import Doors
from v2g_edge.console.guard import READ_S, App, Guard, Receive, Scope, Send
from v2g_edge.console.live import Hub
from v2g_edge.console.orders import add_orders
from v2g_edge.console.roi import add_roi
from v2g_edge.console.schema import EVENTS, REFUSALS, SessionState, openapi_of, operation
from v2g_edge.console.studies import Studies
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

MARK_S: Final = 180 * 86_400.0
"""A browser that has not logged in for half a year is a stranger again."""
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
    doors = Doors(accounts, clock, tls=tls)
    _add_faults(api)
    _add_sessions(api, accounts, doors, clock, tls=tls)
    add_depot(api, daemon, doors)
    add_past(api, daemon, doors)
    add_orders(api, daemon, doors)
    add_roi(api, studies, doors)
    add_calendar(api, accounts, daemon, doors, clock)
    _add_people(api, accounts, doors, clock)
    _add_tokens(api, accounts, doors, clock)
    _add_live(api, hub, doors)
    _add_pages(api)
    api.openapi = openapi_of(api, doors.cookie)  # type: ignore[method-assign]
    return Guard(api, clock, read_s, names)


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


def _add_sessions(api: FastAPI, accounts: Accounts, doors: Doors, clock: ClockPort, *, tls: bool) -> None:
    @api.get("/api/session", response_model=SessionState)
    async def session(request: Request) -> dict[str, Any]:
        """Who is logged in here, and whether there is any account yet."""
        found = doors.session(request)
        person = {"name": found.person.name, "role": found.person.role} if found else None
        return {
            "certificate": doors.certified(request),
            "claimed": accounts.is_claimed(),
            "person": person,
            "csrf": found.csrf if found else None,
        }

    @api.post("/api/claim", status_code=204)
    async def claim(body: Claim) -> None:
        """Make the first account with the one-time code."""
        await accounts.claim(body.code, body.name, body.password, clock.wall_s())
        log.warning("console_claimed", person=body.name)

    @api.post("/api/login", status_code=204)
    async def login(body: Login, request: Request, response: Response) -> None:
        """Begin a session. The browser also gets a mark, so that no guesses of others keep it out later."""
        caller = doors.caller(request)
        try:
            key = await accounts.login(body.name, body.password, clock.now_s(), caller)
        except NotAllowed as fault:
            log.warning("console_login_refused", peer=caller.address, why=str(fault))
            raise
        for name, value, lasts_s in (
            (doors.cookie, key, SESSION_S),
            (doors.mark, accounts.new_mark(body.name), MARK_S),
        ):
            response.set_cookie(
                name, value, max_age=int(lasts_s), httponly=True, samesite="strict", secure=tls, path="/"
            )
        log.info("console_login", person=body.name, peer=caller.address)

    @api.post("/api/login/certificate", status_code=204)
    async def login_by_certificate(request: Request, response: Response) -> None:
        """Begin a session for the account that the browser's certificate names."""
        name = doors.certified(request)
        key = accounts.enter(name, clock.now_s())
        response.set_cookie(
            doors.cookie, key, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=tls, path="/"
        )
        log.info("console_login", person=name, peer=doors.caller(request).address, by="certificate")

    @api.post("/api/logout", status_code=204)
    async def logout(
        request: Request, response: Response, _person: Annotated[Person, Depends(doors.viewer)]
    ) -> None:
        """End the session."""
        accounts.logout(request.cookies.get(doors.cookie, ""))
        response.delete_cookie(doors.cookie, path="/", secure=tls, httponly=True, samesite="strict")


def _add_people(api: FastAPI, accounts: Accounts, doors: Doors, clock: ClockPort) -> None:
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


def _add_tokens(api: FastAPI, accounts: Accounts, doors: Doors, clock: ClockPort) -> None:
    @api.get("/api/tokens", dependencies=[Depends(doors.engineer)])
    async def tokens() -> list[dict[str, str | float]]:
        """All tokens, without what opens the door."""
        return accounts.tokens()

    @api.post("/api/tokens")
    async def add(body: NewToken, person: Annotated[Person, Depends(doors.engineer)]) -> dict[str, str]:
        """A token for programs in your name; it is shown once."""
        token = accounts.new_token(person.name, body.label, body.role, clock.wall_s() + body.days * 86_400.0)
        log.warning("console_token", by=person.title, label=body.label, role=body.role, days=body.days)
        return {"token": token}

    @api.delete("/api/tokens/{owner}/{label}", status_code=204)
    async def end(owner: str, label: str, person: Annotated[Person, Depends(doors.engineer)]) -> None:
        """End a token."""
        accounts.end_token(owner, label)
        log.warning("console_token_ended", by=person.title, owner=owner, label=label)


def _add_live(api: FastAPI, hub: Hub, doors: Doors) -> None:
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


def _add_pages(api: FastAPI) -> None:
    folder = resources.files("v2g_edge.console").joinpath("static")
    files = {
        each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in STATIC
    }

    def page(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such page")
        return Response(files[name], media_type=STATIC[name.rpartition(".")[2]])

    @api.get("/", include_in_schema=False)
    async def index() -> Response:
        return page("index.html")

    @api.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        return page(name)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the console itself answers; the daemon is not asked."""
        return {"console": "ok"}
