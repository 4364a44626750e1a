"""What a station says of time and of needs, by a clock of its own and in numbers that mean nothing."""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT_S, Peer
from tests.field.ocpp.station.test_readings import report, value
from tests.field.ocpp.station.test_two_speakers import plugged
from tests.field.ocpp.test_server import STARTED, ready, transaction
from tests.field.ocpp.test_server import vehicle as at
from v2g_edge.field.ocpp.versions.v201 import read_needs
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.reading import Reading

HOUR_S = 3_600.0
AHEAD = (2.0 * HOUR_S, -7.0 * HOUR_S, 12.0 * HOUR_S)


async def started(depot: Depot, ahead_s: float) -> Peer:
    """A station whose clock is ahead begins a transaction with a vehicle."""
    station = await ready(depot)
    at_s = format_wall(depot.clock.wall + ahead_s)
    begin = transaction("Started", at=at_s, evse={"id": 1, "connectorId": 1})
    await station.call("TransactionEvent", {**begin, "idToken": STARTED["idToken"]})
    return station


async def needs(station: Peer, leaves_wall_s: float) -> None:
    told = {"requestedEnergyTransfer": "DC", "departureTime": format_wall(leaves_wall_s)}
    await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": told})


async def learnt(depot: Depot, station: Peer, ahead_s: float) -> None:
    """Its clock becomes known by its readings."""
    for _ in range(4):
        depot.clock.advance(6.0)
        stamp = format_wall(depot.clock.wall + ahead_s)
        sampled = [{"value": 7_000.0, "measurand": "Power.Active.Import"}]
        await station.call(
            "MeterValues", {"evseId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": sampled}]}
        )


@pytest.mark.parametrize("ahead_s", AHEAD)
@pytest.mark.parametrize("told", ["before its clock is known", "after it"])
async def test_a_departure_is_by_the_stations_own_clock(depot: Depot, ahead_s: float, told: str) -> None:
    """A vehicle says how many seconds from now; a station that stamps local time as UTC, or whose clock is
    hours off, makes another hour of it.
    """
    leaves_wall_s = depot.clock.wall + 9.0 * HOUR_S
    station = await started(depot, ahead_s)
    if told == "before its clock is known":
        await needs(station, leaves_wall_s + ahead_s)
    await learnt(depot, station, ahead_s)
    if told == "after it":
        await needs(station, leaves_wall_s + ahead_s)
    departure = at(depot).departure_wall_s
    assert isinstance(departure, Reading)
    assert departure.value == pytest.approx(leaves_wall_s, abs=2.0)
    await station.close()


@pytest.mark.parametrize("within_s", [-30.0, 0.0, 50.0])
async def test_a_vehicle_that_leaves_at_once_names_no_departure(depot: Depot, within_s: float) -> None:
    """ISO 15118's 0 s, "as soon as possible", as a time of day: the site file's word counts then."""
    station = await started(depot, 0.0)
    await learnt(depot, station, 0.0)
    await needs(station, depot.clock.wall + within_s)
    assert not isinstance(at(depot).departure_wall_s, Reading)
    await needs(station, depot.clock.wall + HOUR_S)
    assert isinstance(at(depot).departure_wall_s, Reading)
    await station.close()


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:10Z", "2000-01-01T00:00:00Z", "2036-02-07T06:28:16Z"])
async def test_a_vehicle_has_come_when_we_heard_of_it_where_the_stations_clock_is_years_off(
    depot: Depot, stamp: str
) -> None:
    """Else what is not known of it is never told, and its departure is looked for in another year."""
    station = await ready(depot, "old", "1.6")
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": stamp}
    await station.call("StartTransaction", start)
    assert at(depot, "b1").plugged_wall_s == AT_S
    await station.close()


@pytest.mark.parametrize("told_w", [2.0**32 - 1.0, -(2.0**31), 2.0**31 - 1.0, 11_040_000.0])
async def test_a_power_that_cannot_flow_at_its_outlet_is_none(depot: Depot, told_w: float) -> None:
    """One sample of 4.3 GW filled the battery in the ledger; a negative one proved a discharge."""
    station, _ = await plugged(depot)
    await report(depot, station, "1.6", value("Power.Active.Import", 7_000.0))
    good = depot.board.evse("b1").power_w
    depot.clock.advance(5.0)
    await report(depot, station, "1.6", value("Power.Active.Import", told_w))
    assert depot.board.evse("b1").power_w == good, "it grows old until the next good one"
    depot.clock.advance(5.0)
    await report(depot, station, "1.6", value("Power.Active.Import", 7_100.0))
    assert depot.board.evse("b1").power_w == Reading(7_100.0, depot.clock.now)
    await station.close()


async def test_a_power_above_the_rating_counts(depot: Depot) -> None:
    """The site file may be wrong about the charger: what flows is counted, up to what no fuse would pass."""
    station, _ = await plugged(depot)
    await report(depot, station, "1.6", value("Power.Active.Import", 200_000.0))
    assert depot.board.evse("b1").power_w == Reading(200_000.0, depot.clock.now)
    await station.close()


@pytest.mark.parametrize(
    ("v2x", "full", "expected"),
    [(0, 80, 80.0), (70, 80, 70.0), (None, 80, 80.0), (0, None, None), (255, 80, 80.0)],
)
def test_a_target_that_says_none_leaves_the_word_to_the_other_one(
    v2x: int | None, full: int | None, expected: float | None
) -> None:
    told: dict[str, Any] = {"requestedEnergyTransfer": "DC_BPT"}
    told["v2xChargingParameters"] = {} if v2x is None else {"targetSoC": v2x}
    told["dcChargingParameters"] = {} if full is None else {"fullSoC": full}
    assert (read_needs(told).target_soc_pct or None) == expected
