"""Stations that never begin a transaction by themselves get a remote start, as long as they report that a
vehicle waits.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Refused
from v2g_edge.model.event import Event

log = structlog.get_logger()

TOLD_AFTER: Final = 3
"""After so many requests without a start (40 s) it is worth an event: one refusal may be the moment, three
are the station.
"""

_requests = count(1)


def start_waiting(connection: Connection, station: Station, board: Board) -> None:
    """Start a transaction at every outlet whose vehicle waits for it (``quirks``: remote_start); does not
    wait for answers.

    Asked again after growing pauses while the vehicle waits. The token is the station's own
    (``remote_start_token``): some take one only. No vehicle of the site file has it, so it charges and never
    discharges; ``tokens.json`` may refuse it.
    """
    token = station.settings.remote_start_token
    for number in station.waiting():
        outlet = station.outlets[number]
        times = outlet.start.was_asked(station.now_s())
        if station.authorise(token).status != "Accepted":
            _tell(
                board,
                station,
                outlet,
                times,
                f"tokens.json refuses {token!r}. Allow it, or set remote_start_token.",
            )
            continue
        if connection.version == "1.6":
            outcome = connection.start_call("RemoteStartTransaction", {"connectorId": number, "idTag": token})
        else:
            payload = {
                "evseId": number,
                "remoteStartId": next(_requests),
                "idToken": {"idToken": token, "type": "Central"},
            }
            outcome = connection.start_call("RequestStartTransaction", payload)
        outcome.add_done_callback(_answered(board, station, outlet, times))


def _answered(
    board: Board, station: Station, outlet: Outlet, times: int
) -> Callable[["asyncio.Future[Outcome]"], None]:
    return partial(_on_answer, board, station, outlet, times)


def _on_answer(
    board: Board, station: Station, outlet: Outlet, times: int, done: "asyncio.Future[Outcome]"
) -> None:
    if done.cancelled() or outlet.session is not None:
        return
    outcome = done.result()
    if isinstance(outcome, Answered):
        status = str(outcome.payload.get("status"))
    else:
        status = (
            f"{outcome.code} {outcome.description}"
            if isinstance(outcome, Refused)
            else f"no answer ({outcome.why})"
        )
    log.info(
        "remote_start", station=station.settings.identity, evse=outlet.evse.id, times=times, outcome=status
    )
    token = station.settings.remote_start_token
    remedy = (
        f"Set remote_start_token to a card that it takes (it was asked with {token!r}), or its free charging."
    )
    _tell(board, station, outlet, times, f"its answer was {status}. {remedy}")


def _tell(board: Board, station: Station, outlet: Outlet, times: int, why: str) -> None:
    if times == TOLD_AFTER:
        text = (
            f"station {station.settings.identity} did not start a waiting vehicle, asked {times} times: {why}"
        )
        board.announce(Event("remote_start_failed", "alarm", outlet.evse.id, text, 0.0))
