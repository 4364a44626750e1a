"""``/api/departures.ics``: departures and sold services as a calendar (iCalendar, RFC 5545) that a calendar
program subscribes to.

Calendar programs send no headers, so this address takes its token as ``?token=``. Addresses end up in logs
and in other people's hands: only a token that may look and no more is taken there.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import icalendar
from fastapi import Depends, FastAPI, HTTPException, Request, Response

from v2g_edge.console.accounts import Accounts
from v2g_edge.console.authorization import Authorization
from v2g_edge.console.daemon import Daemon
from v2g_edge.model.ports import ClockPort

LEAVING: Final = timedelta(minutes=5)
"""Length of a departure in the calendar: one without length is not shown by some programs."""
EVERY: Final = timedelta(minutes=15)
"""How often a calendar program should ask again."""
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A calendar", "content": {"text/calendar": {"schema": {"type": "string"}}}}
}


def add_calendar(
    api: FastAPI, accounts: Accounts, daemon: Daemon, doors: Authorization, clock: ClockPort
) -> None:
    """Add the route."""

    def subscriber(request: Request, token: str = "") -> None:
        """A viewer's token in the address, or what any other route asks for."""
        if not token:
            doors.viewer(request)
            return
        person = accounts.bearer(token, clock.wall_s())
        if person is None:
            raise HTTPException(401, "the token is unknown or has ended; an engineer makes a new one")
        if person.role != "viewer":
            raise HTTPException(403, "an address takes a token of the role viewer alone")

    @api.get(
        "/api/departures.ics",
        dependencies=[Depends(subscriber)],
        response_class=Response,
        responses=ANSWERS,
    )
    async def departures() -> Response:
        """Departures and sold services as a calendar (iCalendar); ``token`` is a viewer's token."""
        status, capacity = await daemon.ask("status"), await daemon.ask("capacity")
        return Response(calendar_of(status, capacity), media_type="text/calendar")


def calendar_of(status: dict[str, Any], capacity: dict[str, Any]) -> bytes:
    """The calendar of a depot's status and of what it has sold."""
    made = icalendar.Calendar()
    made.add("prodid", "-//v2g-edge//console//EN")
    made.add("version", "2.0")
    made.add("x-wr-calname", status["site"])
    made.add("refresh-interval", EVERY, parameters={"value": "DURATION"})
    stamp = _time(status["wall_s"])
    for evse in status["evses"]:
        if evse["vehicle"] is not None and evse["departure_wall_s"] is not None:
            made.add_component(_departure(status["site"], evse, stamp))
    for offer in capacity.get("open", ()):
        made.add_component(_sold(status["site"], offer, stamp))
    return bytes(made.to_ical())


def _departure(site: str, evse: dict[str, Any], stamp: datetime) -> icalendar.Event:
    leaves_s, ready_s = evse["departure_wall_s"], evse["ready_wall_s"]
    late = evse["soc_pct"] is not None and (ready_s is None or ready_s > leaves_s)
    # One vehicle leaves one outlet once a day: a departure that moves stays the same entry.
    day = _time(leaves_s).date().isoformat()
    event = _event(f"{evse['vehicle']}-{day}-{site}", _time(leaves_s), _time(leaves_s) + LEAVING, stamp)
    event.add("summary", f"{evse['vehicle']} leaves{': NOT READY' if late else ''}")
    event.add("location", evse["id"])
    event.add(
        "description",
        f"SoC {_pct(evse['soc_pct'])}, wanted {_pct(evse['target_soc_pct'])}. {evse['why']}",
    )
    return event


def _sold(site: str, offer: dict[str, Any], stamp: datetime) -> icalendar.Event:
    event = _event(
        f"{offer['id']}-{site}", stamp, _time(offer["until_wall_s"]), stamp
    )  # it is open since before
    event.add("summary", f"{offer['service']}: {offer['power_w'] / 1_000:.1f} kW sold")
    return event


def _event(uid: str, begins: datetime, ends: datetime, stamp: datetime) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", f"{uid}@v2g-edge")
    event.add("dtstamp", stamp)
    event.add("dtstart", begins)
    event.add("dtend", ends)
    return event


def _time(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s, UTC).replace(microsecond=0)


def _pct(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f} %"
