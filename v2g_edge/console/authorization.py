"""Who may pass: ``viewer``, ``operator`` and ``engineer`` are dependencies of routes."""

import hmac
from typing import Final

from fastapi import HTTPException, Request

from v2g_edge.console.accounts import Accounts, Person, Session
from v2g_edge.console.guard import TRANSPORT
from v2g_edge.console.lockout import Caller
from v2g_edge.console.proxy import PROXIED, Proxied
from v2g_edge.console.roles import Role
from v2g_edge.model.ports import ClockPort

SAFE: Final = frozenset({"GET", "HEAD"})


class Authorization:
    """Tells who is behind a request, and refuses those who may not. ``tls``: cookies go over TLS alone."""

    def __init__(self, accounts: Accounts, clock: ClockPort, *, tls: bool) -> None:
        self._accounts = accounts
        self._clock = clock
        self.cookie = "__Host-v2g_edge" if tls else "v2g_edge"
        self.mark = f"{self.cookie}_mark"

    def session(self, request: Request, *, acts: bool = True) -> Session | None:
        """The session of the browser, if it has one. One that a proxy opened counts only in a request for
        which the proxy says the same.
        """
        found = self._accounts.session(request.cookies.get(self.cookie, ""), self._clock.now_s(), acts=acts)
        if found is None or not found.proxied:
            return found
        said = self.proxied(request)
        if said is None or said.name != found.person.name or said.role not in (None, found.person.role):
            return None
        return found

    def proxied(self, request: Request) -> Proxied | None:
        """Who a believed proxy says it is; None without one."""
        said: Proxied | None = request.scope.get(PROXIED)
        return said

    def caller(self, request: Request) -> Caller:
        """Where a try to log in comes from."""
        address = request.client.host if request.client is not None else ""
        return Caller(address, request.cookies.get(self.mark, ""))

    def certified(self, request: Request) -> str:
        """The name in the certificate that the browser has proven to hold; "" without one. The TLS library
        has checked its authority, its end and its purpose.
        """
        transport = request.scope.get(TRANSPORT)
        secured = transport.get_extra_info("ssl_object") if transport is not None else None
        found = secured.getpeercert() if secured is not None else None
        subject = (pair for part in (found or {}).get("subject", ()) for pair in part)
        return next((value for key, value in subject if key == "commonName"), "")

    def is_open(self, request: Request) -> bool:
        """Whether a stream may go on: its session or token lasts."""
        token = _token(request)
        if token is not None:
            return self._accounts.bearer(token, self._clock.wall_s()) is not None
        return self.session(request, acts=False) is not None

    def person(self, request: Request, role: Role) -> Person:
        """The person behind a request. 401 without one, 403 where the role does not suffice or the CSRF
        token is not there.
        """
        token = _token(request)
        if token is not None:
            person = self._accounts.bearer(token, self._clock.wall_s())
        else:
            session = self.session(request)
            person = session.person if session else None
            given = request.headers.get("x-csrf-token", "").encode()
            if (
                session is not None
                and request.method not in SAFE
                and not hmac.compare_digest(given, session.csrf.encode())
            ):
                raise HTTPException(403, "the request has no valid X-CSRF-Token; load the page anew")
        if person is None:
            raise HTTPException(401, "log in first")
        if not person.may(role):
            raise HTTPException(403, f"{person.title} has the role {person.role}; this takes the role {role}")
        return person

    def viewer(self, request: Request) -> Person:
        """May look."""
        return self.person(request, "viewer")

    def operator(self, request: Request) -> Person:
        """May order."""
        return self.person(request, "operator")

    def engineer(self, request: Request) -> Person:
        """May change accounts and see the set-up."""
        return self.person(request, "engineer")


def _token(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
