"""A station's clock is believed when several readings over some time agree; until then nothing may depend
on it.
"""

import random
from pathlib import Path

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_outlet_port import charging, limit_of
from tests.field.ocpp.test_server import meter, permit, ready, transaction
from v2g_edge.field.ocpp.link.polling import Polling
from v2g_edge.field.ocpp.vocabulary.clock_skew import AGREE_S, JUMP_S, READINGS, SPAN_S, STEADY_S, ClockSkew
from v2g_edge.field.ocpp.wire.timestamps import format_wall

STEP_S = SPAN_S / (READINGS - 1) + 0.1


def fed(
    offset_s: float, *, readings: int = READINGS, step_s: float = STEP_S, delays_s: tuple[float, ...] = (0.0,)
) -> ClockSkew:
    """A clock that is ``offset_s`` ahead, its readings coming with delays in turn."""
    skew = ClockSkew()
    for n in range(readings):
        now_s = 100.0 + n * step_s
        skew.learn(1e6 + now_s + offset_s - delays_s[n % len(delays_s)], 1e6 + now_s, now_s)
    return skew


@pytest.mark.parametrize("offset_s", [-3_600.0, -3.0, 3.0, 7_200.0])
def test_a_steady_offset_is_learnt_and_a_reading_of_now_is_of_now(offset_s: float) -> None:
    skew = fed(offset_s)
    assert (skew.offset_s, skew.known) == (offset_s, True)
    assert skew.sampled_s(2e6 + offset_s, 2e6, 500.0) == 500.0
    assert skew.sampled_s(2e6 + offset_s - 60.0, 2e6, 500.0) == 440.0
    assert skew.sampled_s(2e6 + offset_s + AGREE_S + 0.1, 2e6, 500.0) is None, "no reading is of the future"


@pytest.mark.parametrize("offset_s", [12.0, -3_600.0])
@pytest.mark.parametrize(("every_s", "outlets", "together"), [
    (0.1, 1, 1), (1.0, 1, 1), (2.0, 1, 1), (3.0, 1, 1), (5.0, 2, 1), (5.0, 8, 1), (5.0, 1, 3), (10.0, 1, 1),
    (15.0, 1, 1),
    (20.0, 1, 1),
])  # fmt: skip
def test_a9_clock_never_learnt(offset_s: float, every_s: float, outlets: int, together: int) -> None:
    """At any rate, from any number of outlets, however many readings come in a message: within 30 s, and
    by no burst.
    """
    skew, now_s = ClockSkew(), 100.0
    while not skew.known:
        assert now_s <= 130.0
        for outlet in range(outlets):
            for earlier in reversed(range(together)):
                skew.learn(1e6 + now_s + offset_s - earlier * every_s / together, 1e6 + now_s, now_s, outlet)
        now_s += every_s
    assert now_s - 100.0 >= SPAN_S
    assert skew.offset_s == offset_s


def test_a9_one_outlet_that_talks_nonsense_does_not_keep_the_others_from_telling_the_time() -> None:
    skew = ClockSkew()
    for second in range(0, 30, 5):
        skew.learn(1e6 + second + 12.0, 1e6 + second, second, 1)
        skew.learn(1e6 + second * 7.0, 1e6 + second, second, 2)
    assert skew.offset_s == 12.0


def test_latency_that_differs_makes_no_other_clock() -> None:
    """Each other offset is a lease that is written anew: a station whose clock is off would write its flash
    with every reading.
    """
    skew, draw, offsets = ClockSkew(), random.Random(7), []
    for second in range(0, 3_600, 5):
        drift_s = second / 3_600.0 * 0.5
        skew.learn(1e6 + second + 12.0 + drift_s - draw.uniform(0.0, 0.4), 1e6 + second, float(second))
        offsets.append(skew.offset_s)
    assert len(set(offsets[5:])) == 1
    assert offsets[-1] == pytest.approx(12.25, abs=STEADY_S)
    for second in range(3_600, 3_660, 5):
        skew.learn(1e6 + second + 15.0, 1e6 + second, float(second))
    assert skew.offset_s == 15.0, "a clock that is set is another one"


async def test_a9_a_station_that_reports_each_minute_is_asked_for_a_reading(depot: Depot) -> None:
    """And one whose clock stays unknown for a minute, with a vehicle there, is told as an event, once."""
    station, link = await charging(depot, "1.6", clock_off_s=12.0), depot.central.links["old"]
    assert link.connection is not None
    attending = Polling(link.station, link.connection, depot.board, depot.clock)
    for _ in range(30):
        await attending.look()
        depot.clock.advance(5.0)
    asked = [each for each in station.got("TriggerMessage") if each["requestedMessage"] == "MeterValues"]
    assert len(asked) >= 30
    assert [(event.kind, event.subject) for event in depot.board.take_news(0.0)] == [
        ("station_clock_unknown", "b1")
    ]
    for _ in range(3):
        at = format_wall(depot.clock.wall + 12.0)
        power = {"value": "7000", "measurand": "Power.Active.Import"}
        values = [{"timestamp": at, "sampledValue": [power]}]
        await station.call("MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": values})
        depot.clock.advance(10.0)
    assert link.station.clock_skew.offset_s == 12.0
    before = len(station.got("TriggerMessage"))
    await attending.look()
    assert len(station.got("TriggerMessage")) == before
    await station.close()


def test_latency_is_no_offset() -> None:
    skew = fed(0.0, delays_s=(0.3, 1.4, 0.1))
    assert (skew.offset_s, skew.known) == (0.0, True)


def test_the_least_delayed_reading_tells_the_offset() -> None:
    assert fed(60.0, delays_s=(1.0, 0.2, 1.5)).offset_s == pytest.approx(59.8)


@pytest.mark.parametrize(
    "skew",
    [
        fed(-120.0, readings=READINGS - 1),
        fed(-120.0, step_s=0.05, readings=8),
        fed(-120.0, delays_s=(0.0, AGREE_S + 0.1)),
    ],
    ids=["too few", "a burst of queued ones", "at odds"],
)
def test_what_may_be_history_is_no_clock(skew: ClockSkew) -> None:
    assert (skew.offset_s, skew.known) == (0.0, False)
    assert skew.sampled_s(2e6 - 120.0, 2e6, 500.0) == 380.0, "what seems old is old"


def test_one_message_that_agrees_makes_a_clock_known_and_a_jump_makes_it_unknown() -> None:
    skew, known = ClockSkew(), []
    for off_s in (-AGREE_S - 0.1, AGREE_S, -JUMP_S, -JUMP_S - 0.1, 0.0):
        skew.saw(1e6 + off_s, 1e6)
        known.append(skew.known)
    assert known == [False, True, True, False, True], "a delayed message is no other time"


@pytest.mark.parametrize("offset_s", [-3_600.0, 3_600.0])
async def test_until_its_clock_is_known_a_station_is_told_no_more_than_its_default_allows(
    depot: Depot, offset_s: float
) -> None:
    """A lease that begins by a clock an hour behind comes into force in an hour, when nobody may be there
    to end it.
    """
    station = await charging(depot, "2.0.1", clock_off_s=offset_s)
    port = depot.central.ports["b2"]
    assert await port.write_permit(permit("b2", -30_000.0)) == "rejected"
    assert await port.write_permit(permit("b2", 40_000.0)) == "rejected"
    for seq in range(1, READINGS + 1):
        depot.clock.advance(STEP_S)
        at = format_wall(depot.clock.wall + offset_s)
        await station.call("TransactionEvent", transaction("Updated", seq, at, meterValue=meter(0.0, at)))
    assert await port.write_permit(permit("b2", 40_000.0)) == "accepted"
    assert await port.write_permit(permit("b2", -1_500.0)) == "accepted"
    assert [limit_of(payload) for payload in station.got("SetChargingProfile")] == [
        11_000,
        0,
        11_000,
        40_000,
        -1_500,
    ]
    lease = station.got("SetChargingProfile")[-1]["chargingProfile"]["chargingSchedule"][0]
    assert lease["startSchedule"] == format_wall(depot.clock.wall + offset_s)
    await station.close()


async def test_a_wrong_clock_is_known_again_after_our_restart(tmp_path: Path) -> None:
    before = Depot(tmp_path)
    await before.central.start()
    station = await charging(before, "2.0.1", clock_off_s=3_600.0)
    for seq in range(1, READINGS + 1):
        before.clock.advance(STEP_S)
        at = format_wall(before.clock.wall + 3_600.0)
        await station.call("TransactionEvent", transaction("Updated", seq, at, meterValue=meter(0.0, at)))
    await before.central.stop()
    await station.close()
    after = Depot(tmp_path)
    await after.central.start()
    again = await ready(after)
    assert await after.central.ports["b2"].write_permit(permit("b2", 40_000.0)) == "accepted"
    lease = again.got("SetChargingProfile")[-1]["chargingProfile"]["chargingSchedule"][0]
    assert lease["startSchedule"] == format_wall(after.clock.wall + 3_600.0)
    await again.close()
    await after.central.stop()
