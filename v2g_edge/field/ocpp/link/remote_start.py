"""Stations that never begin a transaction by themselves are told to, as soon as they say that a vehicle is there."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

import structlog

from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome

log = structlog.get_logger()

TOKEN: Final = "depot"  # noqa: S105 - an identifier, no secret
"""Who the vehicle is said to be. The site file knows no such vehicle, so it charges and never discharges; ``tokens.json`` may
refuse it, and then nothing is started."""

_requests = count(1)


def start_waiting(connection: Connection, station: Station) -> None:
    """Start a transaction at every outlet whose vehicle waits for it (``quirks``: remote_start); does not wait for answers."""
    for number in station.take_waiting():
        if station.authorise(TOKEN).status != "Accepted":
            log.warning("remote_start_not_allowed", station=connection.identity, evse=number, token=TOKEN)
            continue
        if connection.version == "1.6":
            outcome = connection.start_call("RemoteStartTransaction", {"connectorId": number, "idTag": TOKEN})
        else:
            token = {"idToken": TOKEN, "type": "Central"}
            payload = {"evseId": number, "remoteStartId": next(_requests), "idToken": token}
            outcome = connection.start_call("RequestStartTransaction", payload)
        outcome.add_done_callback(_tell(connection.identity, number))


def _tell(station: str, number: int) -> Callable[["asyncio.Future[Outcome]"], None]:
    def told(outcome: "asyncio.Future[Outcome]") -> None:
        if not outcome.cancelled():
            log.info("remote_start", station=station, evse=number, outcome=str(outcome.result())[:200])

    return told
