"""The calendar of departures: a calendar program reads it with a viewer's token, and with no other."""

from datetime import UTC, datetime

import icalendar

from tests.console.conftest import NIGHT, Place


async def token(place: Place, role: str) -> str:
    erna = await place.as_("erna")
    made = await erna.post("/api/tokens", json={"label": role, "role": role, "days": 1})
    return str(made.json()["token"])


async def test_a_calendar_program_reads_departures_and_what_is_sold(place: Place) -> None:
    answer = await place.client().get("/api/departures.ics", params={"token": await token(place, "viewer")})
    assert answer.headers["content-type"].startswith("text/calendar")
    events = list(icalendar.Calendar.from_ical(answer.content).walk("VEVENT"))
    titles = {str(event["summary"]): event for event in events}
    assert len(titles) == len(events) == 13
    assert "BUS12 leaves: NOT READY" in titles
    leaves_s = next(each["departure_wall_s"] for each in NIGHT["evses"] if each["vehicle"] == "BUS01")
    assert titles["BUS01 leaves"].decoded("dtstart") == datetime.fromtimestamp(leaves_s, UTC)
    assert "reserve: 40.0 kW sold" in titles
    assert len({str(event["uid"]) for event in events}) == 13


async def test_an_address_takes_no_token_that_may_more_than_look(place: Place) -> None:
    nobody = place.client()
    path = "/api/departures.ics"
    assert (await nobody.get(path)).status_code == 401
    assert (await nobody.get(path, params={"token": "v2g_wrong"})).status_code == 401
    for role in ("operator", "engineer"):
        assert (await nobody.get(path, params={"token": await token(place, role)})).status_code == 403
    assert (await (await place.as_("vera")).get(path)).status_code == 200
