"""Timetables as people keep them: a CSV or a calendar, read in the site's own time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.depot import small_site
from tests.field.ocpp.peer import Clock
from v2g_edge.fleet.fleet import Fleet
from v2g_edge.fleet.timetable_file import BadTimetable, Timetable, read_timetable
from v2g_edge.model.event import Event
from v2g_edge.model.settings import FleetSettings

WALL_S = datetime(2026, 11, 27, 18, tzinfo=UTC).timestamp()
IDS = {"BUS-01": "BUS-01", "BUS-02": "BUS-02", "plate-7": "BUS-02"}


def table(text: str) -> Timetable:
    return read_timetable(text.encode(), "file", IDS, "Europe/Berlin", WALL_S)


def read(text: str) -> list[tuple[str, str, float | None, float | None]]:
    missions = table(text).missions
    return [
        (
            m.vehicle,
            f"{datetime.fromtimestamp(m.departure_wall_s or 0.0, UTC):%d %H:%M}",
            m.min_soc_pct,
            m.max_soc_pct,
        )
        for m in missions
    ]


def test_a_csv_is_read_in_the_sites_time_unless_it_says_otherwise() -> None:
    text = (
        "Vehicle,Departure,min_soc_pct,max_soc_pct\nBUS-01,2026-11-28"
        " 05:45,80,95\nplate-7,2026-11-28T04:45:00Z,70,\n"
    )
    assert read(text) == [("BUS-01", "28 04:45", 80.0, 95.0), ("BUS-02", "28 04:45", 70.0, None)]
    assert read("vehicle;departure;min_soc_pct\nBUS-01;2026-11-28 05:45;80\n") == [
        ("BUS-01", "28 04:45", 80.0, None)
    ]


def test_every_bad_line_is_named() -> None:
    lines = [
        "BUS-99,2026-11-28 05:45,80",
        "BUS-01,soon,80",
        "BUS-01,2026-11-28 05:45,0.8x",
        "BUS-01,2026-11-28 05:45,180",
        "BUS-01,2026-11-28 05:45,0.85",
    ]
    found = table("vehicle,departure,min_soc_pct\n" + "\n".join(lines) + "\nBUS-02,2026-11-28 05:45,80\n")
    assert list(found.faults) == [
        "file:2: vehicle 'BUS-99' is not in the site file",
        "file:3: departure is 'soon'; expected a time like 2026-11-28 04:45",
        "file:4: min_soc_pct is '0.8x'; expected a percentage",
        "file:5: min_soc_pct is 180; allowed are 0 to 100 %",
        "file:6: min_soc_pct is 0.85; is 85 % meant?",
    ]
    assert [each.vehicle for each in found.missions] == ["BUS-02"], "a bad line takes no other with it"
    assert found.doubtful == {"BUS-01"}
    with pytest.raises(BadTimetable, match="columns missing: departure, min_soc_pct"):
        read("vehicle\n")


def calendar(*events: str) -> str:
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n" + "".join(events) + "END:VCALENDAR\r\n"


def event(summary: str, start: str, more: str = "") -> str:
    head = f"BEGIN:VEVENT\r\nUID:{summary}-{start}\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:{summary}\r\n"
    return f"{head}DTSTART;TZID=Europe/Berlin:{start}\r\n{more}END:VEVENT\r\n"


def test_a_calendar_repeats_and_leaves_out_what_it_excepts() -> None:
    daily = event(
        "BUS-01 85%", "20261126T054500", "RRULE:FREQ=DAILY\r\nEXDATE;TZID=Europe/Berlin:20261129T054500\r\n"
    )
    found = read(calendar(daily, event("plate-7", "20261128T060000")))
    assert found[:3] == [
        ("BUS-01", "28 04:45", 85.0, None),
        ("BUS-02", "28 05:00", None, None),
        ("BUS-01", "30 04:45", 85.0, None),
    ]
    assert all(when != "29 04:45" for _, when, _, _ in found)


def test_an_event_that_was_cancelled_is_no_departure() -> None:
    """As a calendar keeps it, for those that were invited."""
    found = read(
        calendar(
            event("BUS-01 85%", "20261128T054500", "STATUS:CANCELLED\r\n"),
            event("BUS-01 60%", "20261128T074500", "STATUS:CONFIRMED\r\n"),
        )
    )
    assert found == [("BUS-01", "28 06:45", 60.0, None)]


@pytest.mark.parametrize(("day", "utc"), [("2026-03-29", "29 00:30"), ("2026-10-25", "25 00:30")])
def test_a_local_time_that_a_clock_change_skips_or_repeats_is_the_earlier_one(day: str, utc: str) -> None:
    """As in the site file: an hour late is a bus that is not ready."""
    ics = event("BUS-01 85%", f"{day.replace('-', '')}T023000")
    for text in (f"vehicle,departure,min_soc_pct\nBUS-01,{day} 02:30,85\n", calendar(ics)):
        found = read_timetable(text.encode(), "file", IDS, "Europe/Berlin", _wall(f"{day}T00:00"))
        missions = found.missions
        assert [f"{datetime.fromtimestamp(m.departure_wall_s or 0.0, UTC):%d %H:%M}" for m in missions] == [
            utc
        ]


def _wall(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_an_event_that_names_no_vehicle_is_told() -> None:
    found = table(calendar(event("team meeting", "20261128T060000"), event("BUS-01", "20261128T060000")))
    assert [each.vehicle for each in found.missions] == ["BUS-01"]
    assert "event 'team meeting'; expected a vehicle and its SoC" in found.faults[0]
    with pytest.raises(BadTimetable, match="no calendar that can be read"):
        read("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:soon\r\nSUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR")


@given(
    st.text(max_size=200)
    | st.builds(lambda body: calendar(event("BUS-01", "20261128T060000", body)), st.text(max_size=60))
)
def test_whatever_stands_in_a_file_is_missions_or_a_reason(text: str) -> None:
    try:
        found = read_timetable(text.encode("utf-8", "replace"), "file", IDS, "Europe/Berlin", WALL_S)
    except BadTimetable:
        return
    assert all(mission.vehicle in IDS.values() for mission in found.missions)


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=SECONDLY\r\n",
        "RRULE:FREQ=MINUTELY\r\n",
        "RRULE:FREQ=HOURLY;COUNT=1000000\r\n",
        "RRULE:FREQ=SECO\r\n NDLY\r\n",
        "RRULE:FREQ=DAILY;BYMINUTE=0,1,2,3,4,5\r\n",
        "rrule:freq=daily;bysecond=0,\r\n\t1\r\n",
    ],
)
def test_a_recurrence_with_a_million_departures_is_refused_before_it_is_laid_out(rule: str) -> None:
    with pytest.raises(BadTimetable, match="recur daily at most"):
        read(calendar(event("BUS-01 85%", "20261126T054500", rule)))


@pytest.mark.parametrize("year", ["0001", "1601"])
def test_a_recurrence_since_the_year_1_is_refused(year: str) -> None:
    with pytest.raises(BadTimetable, match="from 1900 on"):
        read(calendar(event("BUS-01 85%", f"{year}1126T054500", "RRULE:FREQ=DAILY\r\n")))


@pytest.mark.parametrize(("many", "word"), [(1_001, "RRULE"), (20_001, "BEGIN:VEVENT")])
def test_a_calendar_has_an_end(many: int, word: str) -> None:
    rule = "RRULE:FREQ=DAILY\r\n" if word == "RRULE" else ""
    with pytest.raises(BadTimetable, match=word):
        read(calendar(*[event("BUS-01 85%", "20261126T054500", rule)] * many))


async def test_a_bad_line_takes_no_departure_of_another_line_and_none_that_was_known(tmp_path: Path) -> None:
    """Rule 12: after a restart too the buses of the good lines leave in time; one event names the bad."""
    path, told = tmp_path / "t.csv", list[Event]()
    head = "vehicle,departure,min_soc_pct\n"

    async def after(*lines: str, fleet: Fleet) -> list[tuple[str, float | None]]:
        path.write_text(head + "\n".join(lines) + "\n")
        fleet._seen = (0, 0)
        await fleet._read_if_changed()
        return [(each.vehicle, each.min_soc_pct) for each in fleet.records.missions()]

    def begun() -> Fleet:
        settings = FleetSettings(timetable_file=str(path))
        return Fleet(settings, small_site(3), Clock(WALL_S), inform=lambda _rejected: None, tell=told.append)

    good = ("bus-1,2026-11-28 04:45,80", "bus-2,2026-11-28 05:00,90")
    assert await after(*good, "bus-9,2026-11-28 05:15,70", fleet=begun()) == [
        ("bus-1", 80.0),
        ("bus-2", 90.0),
    ]
    assert [event.kind for event in told] == ["fleet_unusable"]
    assert "t.csv:4: vehicle 'bus-9' is not in the site file" in told[0].text
    fleet = begun()
    assert await after(*good, fleet=fleet) == [("bus-1", 80.0), ("bus-2", 90.0)]
    assert await after("bus-1,soon,80", good[1], fleet=fleet) == [("bus-1", 80.0), ("bus-2", 90.0)]
    assert await after(good[1], fleet=fleet) == [("bus-2", 90.0)], "a line that is gone is withdrawn"
    assert len(told) == 2
