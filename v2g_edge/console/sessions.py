"""The REST of sessions: who is logged in, and the ways in: code, password, certificate, proxy."""

from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, FastAPI, Request, Response

from v2g_edge.console.accounts import SESSION_S, Accounts, NotAllowed, Person
from v2g_edge.console.authorization import Authorization
from v2g_edge.console.bodies import Claim, Login
from v2g_edge.console.schema import SessionState
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

MARK_S: Final = 180 * 86_400.0
"""A browser that has not logged in for half a year is a stranger again."""


def add_sessions(
    api: FastAPI, accounts: Accounts, doors: Authorization, clock: ClockPort, *, tls: bool
) -> None:
    """Add the routes."""

    def keep(response: Response, name: str, value: str, lasts_s: float) -> None:
        response.set_cookie(
            name, value, max_age=int(lasts_s), httponly=True, samesite="strict", secure=tls, path="/"
        )

    @api.get("/api/session", response_model=SessionState)
    async def session(request: Request) -> dict[str, Any]:
        """Who is logged in here, and whether there is any account yet."""
        found, said = doors.session(request), doors.proxied(request)
        person = {"name": found.person.name, "role": found.person.role} if found else None
        return {
            "certificate": doors.certified(request),
            "proxy": said.name if said else "",
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
        keep(response, doors.cookie, key, SESSION_S)
        keep(response, doors.mark, accounts.new_mark(body.name), MARK_S)
        log.info("console_login", person=body.name, peer=caller.address)

    @api.post("/api/logout", status_code=204)
    async def logout(
        request: Request, response: Response, _person: Annotated[Person, Depends(doors.viewer)]
    ) -> None:
        """End the session."""
        accounts.logout(request.cookies.get(doors.cookie, ""))
        response.delete_cookie(doors.cookie, path="/", secure=tls, httponly=True, samesite="strict")

    _add_other_ways(api, accounts, doors, clock, keep)


def _add_other_ways(
    api: FastAPI, accounts: Accounts, doors: Authorization, clock: ClockPort, keep: Any
) -> None:
    """Those without a password. ``keep`` gives the browser a cookie."""

    @api.post("/api/login/certificate", status_code=204)
    async def login_by_certificate(request: Request, response: Response) -> None:
        """Begin a session for the account that the browser's certificate names."""
        name = doors.certified(request)
        keep(response, doors.cookie, accounts.enter(name, clock.now_s()), SESSION_S)
        log.info("console_login", person=name, peer=doors.caller(request).address, by="certificate")

    @api.post("/api/login/proxy", status_code=204)
    async def login_by_proxy(request: Request, response: Response) -> None:
        """Begin a session for the person whom a believed proxy names."""
        said = doors.proxied(request)
        if said is None:
            raise NotAllowed("no proxy that is believed here says who you are, or it gives you no role")
        keep(response, doors.cookie, accounts.enter_proxied(said.name, said.role, clock.now_s()), SESSION_S)
        log.info("console_login", person=said.name, peer=doors.caller(request).address, by="proxy")
