"""Compares what a charger says it holds (GetDERControl) with the grid-code setting that commissioning wrote.
SetDERControl itself is sent by ``upkeep.operations``, for an engineer.
"""

import asyncio
import logging
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.vocabulary.der_settings import LISTS, differences
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import accepted

log = structlog.get_logger()

REPORT_S: Final = 10.0
"""A charger that announces a report sends it at once."""


async def check_control(
    connection: Connection, station: Station, action: str, payload: dict[str, Any]
) -> dict[str, Any]:
    """``held`` true or false with ``differs`` in words after SetDERControl or ClearDERControl; None where
    it does not say.
    """
    names = ("isDefault", "controlType", "controlId")
    wanted = {name: payload[name] for name in names if name in payload}
    request_id, report = station.reports.expect()
    try:
        outcome = await connection.call("GetDERControl", {"requestId": request_id, **wanted})
        parts: list[dict[str, Any]] = []
        if accepted(outcome):
            async with asyncio.timeout(REPORT_S):
                parts = await report
        elif getattr(outcome, "payload", {}).get("status") != "NotFound":
            return {"held": None, "differs": ["the charger does not report its controls"]}
    except TimeoutError:
        return {"held": None, "differs": ["the report that was announced did not come"]}
    finally:
        station.reports.forget(request_id)
    whole = {name: [entry for part in parts for entry in part.get(name, ())] for name in LISTS}
    if action == "SetDERControl":
        differs = differences(payload, whole)
    else:
        differs = [f"{entry['id']} is still there" for entries in whole.values() for entry in entries]
    log.log(
        logging.WARNING if differs else logging.INFO,
        "der_control_checked",
        station=connection.identity,
        action=action,
        differs=differs,
        **wanted,
    )
    return {"held": not differs, "differs": differs}
