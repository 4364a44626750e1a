"""The REST of what the daemon says: the depot now, and what is past. Answers go out as they came."""

import csv
import io
from typing import Any, Final

import msgspec
from fastapi import Depends, FastAPI, Response

from v2g_edge.console.authorization import Authorization
from v2g_edge.console.daemon import Daemon, DaemonRefuses
from v2g_edge.console.schema import Answer, Status

PAST_S: Final = 150.0
"""The daemon's own bound for a report is 120 s."""


SHEET: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A sheet", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


def _days(since: str, until: str) -> dict[str, str]:
    return {name: day[:10] for name, day in (("from", since), ("until", until)) if day}


def _plain(answer: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def add_depot(api: FastAPI, daemon: Daemon, doors: Authorization) -> None:
    """Add the routes of the depot as it is."""
    viewer, engineer = Depends(doors.viewer), Depends(doors.engineer)

    @api.get("/api/status", dependencies=[viewer], response_model=Status)
    async def status() -> Response:
        """The whole depot at the last tick."""
        return _plain(await daemon.ask("status"))

    @api.get("/api/why/{subject}", dependencies=[viewer], response_model=Answer)
    async def why(subject: str) -> Response:
        """Why an outlet, vehicle, station or feeder is as it is."""
        return _plain(await daemon.ask("why", {"subject": subject[:200]}))

    @api.get("/api/history/{subject}", dependencies=[viewer], response_model=Answer)
    async def history(subject: str) -> Response:
        """Power and SoC of an outlet or vehicle over the last day, in steps of five minutes."""
        return _plain(await daemon.ask("history", {"subject": subject[:200]}))

    @api.get("/api/events", dependencies=[viewer], response_model=Answer)
    async def events(since_wall_s: float = 0.0) -> Response:
        """Recent events, oldest first."""
        return _plain(await daemon.ask("events", {"since_wall_s": since_wall_s}))

    @api.get("/api/plan", dependencies=[viewer], response_model=Answer)
    async def plan() -> Response:
        """The plan that is followed, and what is expected of it."""
        return _plain(await daemon.ask("plan"))

    @api.get("/api/what-if/{subject}", dependencies=[Depends(doors.operator)], response_model=Answer)
    async def what_if(subject: str, at: str, soc_pct: float | None = None) -> Response:
        """What the day plan would be, and cost, if the departure of a vehicle moved to ``at`` ("HH:MM" in the
        site's zone, or ISO 8601), or asked for ``soc_pct``. Nothing is ordered.
        """
        asked: dict[str, Any] = {"subject": subject[:200], "at": at[:40]}
        if soc_pct is not None:
            asked["soc_pct"] = soc_pct
        return _plain(await daemon.ask("what_if", asked, PAST_S))

    @api.get("/api/capacity", dependencies=[viewer], response_model=Answer)
    async def capacity() -> Response:
        """Export that could be sold for the next hour, and what is sold."""
        return _plain(await daemon.ask("capacity"))

    @api.get("/api/stations", dependencies=[engineer], response_model=Answer)
    async def stations() -> Response:
        """All charging stations and their links."""
        return _plain(await daemon.ask("ocpp"))

    @api.get("/api/health", dependencies=[viewer], response_model=Answer)
    async def health() -> Response:
        """The daemon's own health."""
        return _plain(await daemon.ask("health"))


def add_past(api: FastAPI, daemon: Daemon, doors: Authorization) -> None:
    """Add the routes of what is past."""
    viewer = Depends(doors.viewer)

    @api.get("/api/night", dependencies=[viewer], response_model=Answer)
    async def night(evening: str = "") -> Response:
        """The report of a past night: energy, money, what was not earned; the last whole night by default.

        Where there is none, ``none`` says why: a depot in its first night is no error.
        """
        try:
            return _plain(await daemon.ask("night", {"night": evening[:10]} if evening else {}, PAST_S))
        except DaemonRefuses as fault:
            if fault.kind == "busy":
                raise
            return _plain({"none": str(fault)})

    @api.get("/api/money", dependencies=[viewer], response_model=Answer)
    async def money(since: str = "", until: str = "") -> Response:
        """What was earned, paid and worn, by day, vehicle and service, from the local day ``since`` up to
        ``until`` (ISO dates); all that the ledger has without them. Where there is none, ``none`` says why.
        """
        try:
            return _plain(await daemon.ask("money", _days(since, until), PAST_S))
        except DaemonRefuses as fault:
            if fault.kind == "busy":
                raise
            return _plain({"none": str(fault)})

    @api.get("/api/money/csv", dependencies=[viewer], response_class=Response, responses=SHEET)
    async def money_sheet(since: str = "", until: str = "") -> Response:
        """The same as a sheet: a line a day, vehicle and service."""
        answer = await daemon.ask("money", _days(since, until), PAST_S)
        sink = io.StringIO()
        rows: list[dict[str, Any]] = answer["rows"]
        sheet = csv.DictWriter(sink, list(rows[0]) if rows else ["day"], lineterminator="\n")
        sheet.writeheader()
        sheet.writerows(rows)
        headers = {"content-disposition": 'attachment; filename="money.csv"'}
        return Response(sink.getvalue(), media_type="text/csv", headers=headers)

    @api.get("/api/trips", dependencies=[viewer], response_model=Answer)
    async def trips() -> Response:
        """The latest trips, each with the grid meter's raw samples around it."""
        return _plain(await daemon.ask("trips"))
