"""The REST of orders: those that stand until they are released, and those for tonight.

Each carries the person's name and reason to the daemon, which keeps and journals them.
"""

from typing import Annotated, Any

import msgspec
import structlog
from fastapi import Depends, FastAPI, HTTPException, Response

from v2g_edge.console.accounts import Person
from v2g_edge.console.authorization import Authorization
from v2g_edge.console.bodies import Order, TonightOrder
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses
from v2g_edge.console.schema import Answer

log = structlog.get_logger()


def add_orders(api: FastAPI, daemon: Daemon, doors: Authorization) -> None:
    """Add the routes."""
    operator, viewer = Depends(doors.operator), Depends(doors.viewer)

    async def give(method: str, params: dict[str, Any], said: dict[str, str]) -> Response:
        """Ask the daemon, and log what came of it."""
        try:
            answer = await daemon.ask(method, {**params, **said})
        except (DaemonDown, DaemonRefuses) as fault:
            log.warning("console_order_failed", method=method, **said, order=params, fault=str(fault))
            raise
        log.warning("console_order", method=method, **said, order=params)
        return Response(msgspec.json.encode(answer), media_type="application/json")

    @api.post("/api/orders", response_model=Answer)
    async def orders(body: Order, person: Annotated[Person, operator]) -> Response:
        """Give standing orders (stop, hold, acknowledge)."""
        given = body.model_dump(exclude_none=True, exclude={"why"})
        if not given:
            raise HTTPException(422, "an order names stop, export_hold or acknowledge")
        return await give("operate", given, {"by": person.title, "why": body.why})

    @api.get("/api/tonight", dependencies=[viewer], response_model=Answer)
    async def tonight() -> Response:
        """Orders for tonight that stand."""
        return Response(msgspec.json.encode(await daemon.ask("orders")), media_type="application/json")

    @api.post("/api/tonight", response_model=Answer)
    async def order(body: TonightOrder, person: Annotated[Person, operator]) -> Response:
        """Give an order for tonight; with ``trial`` only say which promises it would break."""
        params = body.model_dump(exclude_none=True, exclude={"why"})
        if body.trial:
            answer = await daemon.ask("order", params)
            return Response(msgspec.json.encode(answer), media_type="application/json")
        return await give("order", params, {"who": person.title, "why": body.why})

    @api.delete("/api/tonight/{number}", response_model=Answer)
    async def undo(number: int, person: Annotated[Person, operator]) -> Response:
        """Take an order for tonight back."""
        return await give("undo", {"number": number}, {"who": person.title})
