"""The REST of *Set-up*: stations, certificates, roll-outs, the site file; and what an engineer orders.

What changes the depot needs the role engineer here, and at the control socket that the console's own user may
act as one (the group ``v2g-edge-engineer``); without it the daemon refuses, and says what to do.
"""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import Depends, FastAPI, HTTPException, Response
from pydantic import Field, JsonValue

from v2g_edge.console.accounts import Person
from v2g_edge.console.authorization import Authorization
from v2g_edge.console.bodies import Strict
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses
from v2g_edge.console.schema import Answer

log = structlog.get_logger()

SITE: Final = "@site"
"""All stations together."""
WITHIN_S: Final = 100.0
"""A station answers within 30 s or not at all, a report takes 25 s more, and its queue may hold a call."""
TEXT_MAX: Final = 48_000
"""Characters of a site file that is checked: a body has 64 KiB at most. That of a hundred outlets has
20,000.
"""


class SiteFile(Strict):
    """A site file to check, or the order to take the daemon's own into use."""

    text: str | None = Field(default=None, max_length=TEXT_MAX)
    apply: bool = False


class Operation(Strict):
    """What is asked of a station, as ``v2g-edge ocpp STATION OPERATION`` takes it, and why."""

    operation: str = Field(min_length=1, max_length=60)
    params: dict[str, JsonValue] = Field(default={}, max_length=40)
    why: str = Field(default="", max_length=200)


def add_setup(api: FastAPI, daemon: Daemon, doors: Authorization) -> None:
    """Add the routes."""
    engineer = Depends(doors.engineer)

    async def told(method: str, **params: Any) -> dict[str, Any]:
        """An answer; where the daemon refuses, ``none`` with its words."""
        try:
            return await daemon.ask(method, params)
        except DaemonRefuses as fault:
            return {"none": str(fault)}

    @api.get("/api/setup", dependencies=[engineer], response_model=Answer)
    async def setup() -> Response:
        """Stations, those that dialled in and are not known, certificates, the roll-out, changes of the site
        file that are not in force, health. A part that cannot be said is ``none`` with the reason.
        """
        names = ("stations", "health", "certificates", "rollout", "site_file")
        answers = await asyncio.gather(
            told("ocpp"),
            told("health"),
            told("ocpp", station=SITE, operation="certificates"),
            told("ocpp", station=SITE, operation="rollout-status"),
            told("site_file"),
        )
        return _plain(dict(zip(names, answers, strict=True)))

    @api.post("/api/site-file", response_model=Answer)
    async def site_file(body: SiteFile, person: Annotated[Person, engineer]) -> Response:
        """Check a site file against what is in force, or (``apply``) take the daemon's own into use."""
        if body.apply is (body.text is not None):
            raise HTTPException(422, "give a text to check, or apply")
        if not body.apply:
            return _plain(await daemon.ask("site_file", {"text": body.text}, WITHIN_S))
        return await _order(daemon, "site_file", {"apply": True}, person, "")

    @api.post("/api/stations/{station}/operations", response_model=Answer)
    async def operation(station: str, body: Operation, person: Annotated[Person, engineer]) -> Response:
        """Ask a station, or with ``@site`` all together, for an operation."""
        asked = {"station": station[:64], "operation": body.operation, "params": body.params}
        return await _order(daemon, "ocpp", asked, person, body.why)


async def _order(daemon: Daemon, method: str, asked: dict[str, Any], person: Person, why: str) -> Response:
    """Pass it on, and log whose it is. Not its parameters: they may be passwords."""
    said = {"by": person.title, "why": why, "method": method}
    said |= {key: asked[key] for key in ("station", "operation") if key in asked}
    try:
        answer = await daemon.ask(method, asked, WITHIN_S)
    except (DaemonDown, DaemonRefuses) as fault:
        log.warning("console_order_failed", **said, fault=str(fault))
        raise
    log.warning("console_order", **said)
    return _plain(answer)


def _plain(answer: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
