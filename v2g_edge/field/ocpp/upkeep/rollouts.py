"""Carries out a firmware roll-out (see ``firmware``): looks at the stations, asks them, listens, and keeps
the state on disk.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.store import TransactionStore
from v2g_edge.field.ocpp.upkeep import firmware
from v2g_edge.field.ocpp.upkeep.catalogue import Message, Params
from v2g_edge.field.ocpp.upkeep.firmware import Ask, Rollout, Terms, Update, View
from v2g_edge.field.ocpp.upkeep.operations_trust import (
    signed_firmware_16,
    update_firmware_2,
    update_firmware_16,
)
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Expired
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall, parse_wall
from v2g_edge.model.ports import ClockPort
from v2g_edge.tasks import begin, end

log = structlog.get_logger()

FACT: Final = "rollout"
SAVE_S: Final = 60.0
"""What merely counts time goes to disk this often; every other change at once."""

STATUSES: Final = frozenset({"FirmwareStatusNotification", "SignedFirmwareStatusNotification"})
TAKEN: Final = frozenset({"Accepted", "AcceptedCanceled", ""})
"""Answers to the request that let it begin; plain 1.6 answers nothing."""

TAKES: Final = (
    "make version location retrieve_at:time? install_at:time? signature? certificate? stations:texts?"
    " waves:list? soak_s:number? deadline_s:number? at_once:int? busy?"
)
WAVES: Final[tuple[int | str, ...]] = (1, "10%")


class Rollouts:
    """The present roll-out, or the last one. One at a time: two could not say which of them broke a
    station.
    """

    def __init__(
        self, links: Mapping[str, StationLink], board: Board, clock: ClockPort, store: TransactionStore
    ) -> None:
        self._links = links
        self._board = board
        self._clock = clock
        self._store = store
        self._now = _read(store.fact(FACT))
        self._stepped_s = clock.now_s()
        self._saved_s = clock.now_s()
        self._asking: set[asyncio.Task[None]] = set()

    def begin(self, params: Params) -> dict[str, Any]:
        """Start one. ``params`` are those of ``TAKES``, checked. ValueError says what is wrong and what is
        allowed.
        """
        if self._now is not None and self._now.state in ("running", "stopped"):
            raise ValueError(f"a roll-out is {self._now.state}; `rollout-abort` ends it")
        stations = self._of_make(params["make"], params.get("stations"))
        numbers: dict[str, Any] = {
            key: params[key] for key in ("soak_s", "deadline_s", "at_once", "busy") if key in params
        }
        if any(
            value not in ("wait", "skip") if key == "busy" else value <= 0 for key, value in numbers.items()
        ):
            raise ValueError(
                f'soak_s, deadline_s and at_once are above 0, busy is "wait" or "skip"; found {numbers}'
            )
        if bool(params.get("signature")) != bool(params.get("certificate")):
            raise ValueError(
                "signed firmware has a signature and the certificate that it was signed with: give both or"
                " neither"
            )
        update = Update(
            params["make"], params["version"], params["location"],
            parse_wall(params.get("retrieve_at")) or 0.0, parse_wall(params.get("install_at")) or 0.0,
            params.get("signature", ""), params.get("certificate", ""),
        )  # fmt: skip
        number = self._now.number + 1 if self._now else 1
        begun = firmware.begin(number, update, Terms(**numbers), stations, params.get("waves", WAVES))
        log.warning(
            "rollout_begun",
            make=update.make,
            version=update.version,
            stations=len(stations),
            waves=begun.members[-1].wave,
        )
        self._stepped_s = self._clock.now_s()
        self._put(begun)
        return self.describe()

    def go_on(self, *, retry: bool) -> dict[str, Any]:
        """Continue a stopped one. ValueError when there is none."""
        self._put(firmware.resumed(self._present(), retry=retry))
        log.warning("rollout_continued", retry=retry)
        return self.describe()

    def abort(self) -> dict[str, Any]:
        """End it. ValueError when there is none."""
        self._put(firmware.aborted(self._present()))
        return self.describe()

    def describe(self) -> dict[str, Any]:
        """All of it for people. Neither signature nor what stands before the host in the location: that
        may be a password.
        """
        rollout = self._present()
        update = rollout.update
        parts = urlsplit(update.location)
        return {
            "outcome": "done", "state": rollout.state, "why": rollout.why, "make": update.make,
            "version": update.version,
            "location": parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
            "signed": bool(update.signature), "wave": rollout.wave,
            "terms": msgspec.to_builtins(rollout.terms),
            "stations": [
                {
                    "station": member.station, "wave": member.wave, "phase": member.phase,
                    "status": member.status,
                    "why": member.why, "spent_s": round(member.spent_s),
                }
                for member in rollout.members
            ],
        }  # fmt: skip

    def took(self, station: str, action: str, payload: Mapping[str, Any]) -> None:
        """Something that a station has said."""
        rollout = self._now
        if rollout is None or rollout.state == "finished":
            return
        if action == "BootNotification":
            self._put(firmware.on_boot(rollout, station, self._links[station].station.identity.firmware))
        elif action in STATUSES:
            request = payload.get("requestId")
            status = str(payload.get("status", ""))
            self._put(
                firmware.on_status(rollout, station, status, request if isinstance(request, int) else None)
            )

    def step(self) -> None:
        """Go on by the time that has passed since the last step."""
        now_s, rollout = self._clock.now_s(), self._now
        elapsed_s, self._stepped_s = max(now_s - self._stepped_s, 0.0), now_s
        if rollout is None or all(
            each.phase not in ("waiting", "updating", "soaking") for each in rollout.members
        ):
            return
        views = {member.station: self._view(member.station) for member in rollout.members}
        after, asks = firmware.step(rollout, views, elapsed_s, self._clock.wall_s())
        self._put(after)
        for ask in asks:
            self._store.when_durable(partial(self._asked, ask))

    async def stop(self) -> None:
        """End what runs; the roll-out goes on after a restart."""
        await end(*self._asking)
        if self._now is not None:
            self._store.remember(FACT, msgspec.json.encode(self._now).decode())

    def _present(self) -> Rollout:
        if self._now is None:
            raise ValueError("there is no roll-out; `rollout` starts one")
        return self._now

    def _of_make(self, make: str, wanted: list[str] | None) -> list[str]:
        makes = {
            name: f"{link.station.identity.vendor}/{link.station.identity.model}"
            for name, link in self._links.items()
        }
        for name in wanted or ():
            if makes.get(name) != make:
                raise ValueError(f"{name} is {makes.get(name, 'not in the site file')}, not {make}")
        of = sorted(name for name, its in makes.items() if its == make and (wanted is None or name in wanted))
        if not of:
            known = ", ".join(sorted({its for its in makes.values() if its != "/"})) or "none yet"
            raise ValueError(f"no station of make {make!r} (vendor/model); known makes: {known}")
        return sorted(of, key=lambda name: self._links[name].connection is None)

    def _view(self, name: str) -> View:
        link = self._links.get(name)
        if link is None:  # the site file has changed since the roll-out began
            return View(connected=False, firmware="", busy="", trouble="")
        busy = trouble = ""
        for outlet in link.station.outlets.values():
            state = self._board.evse(outlet.evse.id)
            if outlet.session is not None or state.vehicle is not None or state.status == "occupied":
                session = (
                    f"transaction {outlet.session.transaction}" if outlet.session is not None else "a vehicle"
                )
                busy = f"{session} at {outlet.evse.id}"
            if state.fault or state.status == "faulted":
                trouble = f"{outlet.evse.id} is faulted: {state.fault or 'Faulted'}"
            elif not outlet.watch.follows:
                trouble = f"{outlet.evse.id} does not follow its setpoints"
        return View(link.connection is not None, link.station.identity.firmware, busy, trouble)

    def _asked(self, ask: Ask, failed: sqlite3.Error | None) -> None:
        link = self._links.get(ask.station)
        connection = link.connection if link is not None else None
        if failed is not None or connection is None:
            if ask.what == "update":
                self._put(firmware.not_sent(self._present(), ask.station))
            return
        task = begin(f"firmware {ask.station}", self._ask(ask, connection))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, ask: Ask, connection: Connection) -> None:
        rollout = self._present()
        if ask.what == "status":
            await connection.call("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
            return
        action, payload = _message(connection.version, rollout, self._clock.wall_s())
        log.info("rollout_asks", station=ask.station, version=rollout.update.version)
        try:
            outcome = await connection.call(action, payload)
        except ValueError as fault:  # what was given does not fit the version's schema
            self._put(firmware.on_refusal(self._present(), ask.station, str(fault)))
            return
        if isinstance(outcome, Expired) and not outcome.sent:
            self._put(firmware.not_sent(self._present(), ask.station))
        elif (why := _refused(outcome)) is not None:
            self._put(firmware.on_refusal(self._present(), ask.station, why))

    def _put(self, after: Rollout) -> None:
        """Keep it, tell what has become of it, and write it down where more than time has passed."""
        before, self._now = self._now, after
        now_s = self._clock.now_s()
        if before is None or _without_time(before) != _without_time(after) or now_s - self._saved_s >= SAVE_S:
            self._saved_s = now_s
            self._store.remember(FACT, msgspec.json.encode(after).decode())
            self._store.when_durable(_unsaved)
        if before is None or (before.number, before.state, before.wave) == (
            after.number,
            after.state,
            after.wave,
        ):
            return
        if after.state == "stopped":
            log.error(
                "rollout_stopped",
                wave=after.wave,
                why=after.why,
                effect="no other station is asked until an operator decides",
            )
        else:
            log.warning(
                "rollout_goes_on" if after.state == "running" else f"rollout_{after.state}", wave=after.wave
            )


def _read(known: str) -> Rollout | None:
    """What is on disk; what cannot be read is forgotten, and no station is asked because of it."""
    try:
        return msgspec.json.decode(known, type=Rollout) if known else None
    except msgspec.MsgspecError as fault:
        log.error("rollout_unreadable", fault=str(fault), effect="forgotten; begin another")
        return None


def _message(version: Version, rollout: Rollout, wall_s: float) -> Message:
    update = rollout.update
    given: dict[str, Any] = {
        "request": rollout.number, "location": update.location,
        "retrieve_at": format_wall(update.retrieve_wall_s or wall_s),
        "install_at": format_wall(update.install_wall_s) if update.install_wall_s else "",
        "signature": update.signature, "certificate": update.certificate,
    }  # fmt: skip
    params = {name: value for name, value in given.items() if value != ""}
    if version != "1.6":
        return update_firmware_2(params)
    return signed_firmware_16(params) if update.signature else update_firmware_16(params)


def _refused(outcome: Outcome) -> str | None:
    """Why the station does not take it; None when it does, or may have."""
    if isinstance(outcome, Expired):
        return None
    if not isinstance(outcome, Answered):
        return outcome.code
    status = str(outcome.payload.get("status", ""))
    return None if status in TAKEN else status


def _without_time(rollout: Rollout) -> Rollout:
    return replace(
        rollout, members=tuple(replace(member, spent_s=0.0, away_s=0.0, why="") for member in rollout.members)
    )


def _unsaved(failed: sqlite3.Error | None) -> None:
    if failed is not None:
        log.error("rollout_not_stored", fault=str(failed))
