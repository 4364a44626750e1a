"""What the OpenAPI schema says of answers: their form, the refusals, and how a program proves who it is.

The daemon's answers go out as they came, so these models are never run: a test holds them against answers.
A field that stands here is there for programs to rely on; others may come and go between versions.
"""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from v2g_edge.console.roles import Role


class Answer(BaseModel):
    """The daemon's answer; it may have more fields than those named."""

    model_config = ConfigDict(extra="allow")


class Refusal(BaseModel):
    """Why it was refused, in words."""

    detail: str


class Outlet(Answer):
    """An outlet at the last tick, and the vehicle at it. Powers: + is into the vehicle."""

    id: str
    connected: bool
    status: str
    vehicle: str | None
    soc_pct: float | None
    target_soc_pct: float | None
    departure_wall_s: float | None
    ready_wall_s: float | None
    power_w: float | None
    permit_w: float
    why: str
    risks: list[Any]
    source: str


class Grid(Answer):
    """The grid connection; + is import. None where it is not known."""

    power_w: float | None
    frequency_hz: float | None
    relay_closed: bool | None


class Need(Answer):
    """What needs a person, and what to do about it."""

    kind: str
    subjects: list[str]
    text: str
    remedy: str
    waits: bool


class Status(Answer):
    """The whole depot at the last tick. Times are UTC epoch seconds."""

    site: str
    timezone: str
    seq: int
    wall_s: float
    grid: Grid
    evses: list[Outlet]
    attention: list[Need]


class Named(BaseModel):
    """An account at a browser."""

    name: str
    role: Role


class SessionState(BaseModel):
    """Who is logged in, and what a request that changes something must carry in X-CSRF-Token.
    ``certificate`` is the name in the browser's certificate, ``proxy`` what a believed proxy says; "" without
    one.
    """

    certificate: str
    proxy: str
    claimed: bool
    person: Named | None
    csrf: str | None


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Refusal, "description": "The daemon refuses"},
    401: {"model": Refusal, "description": "No session and no token"},
    403: {"model": Refusal, "description": "Not allowed"},
    404: {"model": Refusal, "description": "There is no such address"},
    408: {"model": Refusal, "description": "The body did not come"},
    413: {"model": Refusal, "description": "The body is too large"},
    421: {"model": Refusal, "description": "Asked under a name that is not the console's"},
    422: {"model": Refusal, "description": "The request cannot be used"},
    429: {"model": Refusal, "description": "Too many requests, or a name that has to wait"},
    503: {"model": Refusal, "description": "The daemon does not answer"},
}
"""What any route may answer in place of what it is for."""

EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
OPEN: Final = frozenset(
    {"/api/session", "/api/claim", "/api/login", "/api/login/certificate", "/api/login/proxy", "/healthz"}
)
"""These ask for no session."""


def operation(route: APIRoute) -> str:
    """The name of a route's operation, as a generated client has it: "get_why", "delete_tonight_number"."""
    words = route.path_format.removeprefix("/api").replace("{", "").replace("}", "").strip("/").split("/")
    return "_".join([min(route.methods or {"get"}).lower(), *words])


def openapi_of(api: FastAPI, cookie: str) -> Callable[[], dict[str, Any]]:
    """Makes the schema once, with both ways to prove who asks."""

    def make() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = get_openapi(title=api.title, version=api.version, routes=api.routes)
            made["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of POST /api/tokens"},
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
            }
            for path, item in made["paths"].items():
                for each in item.values():
                    each["security"] = [] if path in OPEN else [{"token": []}, {"session": []}]
            api.openapi_schema = made
        return api.openapi_schema

    return make
