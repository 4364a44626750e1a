"""What a station must be asked again: a vehicle that waits for its start, a transaction in doubt, the time
on its clock.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.remote_start import start_waiting
from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered
from v2g_edge.field.ocpp.wire.queue import BULK
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

ROUND_S: Final = 5.0
"""Between two looks at a station; a doubt is looked at as soon as it comes up."""

ANSWER_S: Final = 10.0
"""Patience with an answer: nothing that is decided here is urgent."""

DOUBTS_MAX: Final = 2
"""So often a station says that a transaction is not running, and cannot be asked: then it is believed."""

CLOCK_TOLD_S: Final = 60.0
"""A clock that is not known after so long, with a vehicle there, is worth an event: half a minute is
enough to learn it.
"""


class Polling:
    """One run for one link. ``run`` lasts as long as that, and ends when it is cancelled."""

    def __init__(self, station: Station, connection: Connection, board: Board, clock: ClockPort) -> None:
        self._station = station
        self._connection = connection
        self._board = board
        self._clock = clock
        self._doubt = asyncio.Event()
        self._unknown_s: float | None = None
        self._told = self._unstamped_told = False
        station.on_doubt = self._doubt.set

    async def run(self) -> None:
        """Look at the station again and again."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_S):  # paces a conversation, so loop time
                    await self._doubt.wait()
            self._doubt.clear()
            await self.look()

    async def look(self) -> None:
        """Once."""
        for outlet in self._station.outlets.values():
            if outlet.session is not None and outlet.doubts:
                await self._settle(outlet)
            self._station.settle(outlet)
        self._station.sessions.commit()
        start_waiting(self._connection, self._station, self._board)
        self._look_at_stamps()
        await self._look_at_clock()

    def _look_at_stamps(self) -> None:
        """Readings without a time that can be read count for nothing, and people are told why."""
        since_s, now_s = self._station.unstamped_s, self._clock.now_s()
        waiting = [outlet for outlet in self._station.outlets.values() if outlet.session is not None]
        if since_s is None or not waiting:
            self._unstamped_told = False
        elif now_s - since_s >= CLOCK_TOLD_S and not self._unstamped_told:
            self._unstamped_told = True
            text = (
                f"the readings of station {self._station.settings.identity} have no time that can be read, so"
                " that its power and its vehicle's SoC are not known. Have its maker write times as in RFC"
                " 3339, like 2026-11-28T12:00:00Z."
            )
            for outlet in waiting:
                self._board.announce(Event("station_clock_unknown", "warning", outlet.evse.id, text, 0.0))

    async def _settle(self, outlet: Outlet) -> None:
        """Ask whether a transaction runs of which the station has said that it does not (2.x:
        GetTransactionStatus).
        """
        assert outlet.session is not None  # noqa: S101 - the caller has seen it
        transaction, runs = outlet.session.transaction, None
        if self._connection.version != "1.6":
            payload = {"transactionId": transaction}
            outcome = await self._connection.call("GetTransactionStatus", payload, timeout_s=ANSWER_S)
            if isinstance(outcome, Answered):
                runs = {True: True, "true": True, False: False, "false": False}.get(
                    outcome.payload.get("ongoingIndicator")
                )  # left out, it says nothing
        if outlet.session is None or outlet.session.transaction != transaction:
            return
        if runs:
            self._station.confirm(transaction)
        elif runs is False:
            self._station.sessions.presume_over(outlet, "the station says that it is not running")
        elif outlet.doubts >= DOUBTS_MAX:
            self._station.sessions.presume_over(outlet, "the station knows no such transaction")

    async def _look_at_clock(self) -> None:
        """While its clock is not known, have a station stamp something: one that reports each minute is
        not waited for.
        """
        station, now_s = self._station, self._clock.now_s()
        waiting = [outlet for outlet in station.outlets.values() if outlet.session is not None]
        if station.clock_skew.known or not waiting:
            self._unknown_s, self._told = None, False
            return
        self._unknown_s = now_s if self._unknown_s is None else self._unknown_s
        if now_s - self._unknown_s >= CLOCK_TOLD_S and not self._told:
            self._told = True
            text = (
                f"the clock of station {station.settings.identity} is not known: what it sends agrees with no"
                " time. Its vehicles get no more than the default. Set its clock, or have it report more"
                " often."
            )
            for outlet in waiting:
                self._board.announce(Event("station_clock_unknown", "warning", outlet.evse.id, text, 0.0))
        number = waiting[0].wire.ocpp_evse
        payload: dict[str, Any] = {"requestedMessage": "MeterValues"}
        payload |= {"connectorId": number} if self._connection.version == "1.6" else {"evse": {"id": number}}
        await self._connection.call("TriggerMessage", payload, priority=BULK, timeout_s=ANSWER_S)
