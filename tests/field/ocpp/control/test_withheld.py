"""What a station refuses, or cannot be told, is learnt, said, and never leaves it to its default profile
(D16, D17, D24, D26).
"""

import random
from typing import Any

import pytest
from msgspec.structs import replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_discharge import limits, measured
from tests.field.ocpp.control.test_outlet_port import EVSE, VERSIONS, charging, limit_of, plan
from tests.field.ocpp.peer import AT_S, Peer, until
from tests.field.ocpp.test_server import permit
from v2g_edge.field.ocpp.control.outlet_port import HARMLESS_S
from v2g_edge.field.ocpp.vocabulary.refusals import FIRST_PAUSE_S, LONGEST_PAUSE_S, ROUNDS, Refusals
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.writer import Writer


class Loop:
    """Ticks of one second with one permit that never changes."""

    def __init__(self, depot: Depot, evse: str, power_w: float) -> None:
        self.depot, self.granted = depot, permit(evse, power_w)
        self.writer = Writer(depot.central.ports, depot.board, depot.clock)

    async def tick(self, times: int = 1, step_s: float = 1.0) -> None:
        for _ in range(times):
            self.writer.submit((self.granted,))
            await until(lambda: self.depot.board.evse(self.granted.evse).command.ack != "pending")
            self.depot.clock.advance(step_s)


def power_of(payload: dict[str, Any]) -> float:
    """The power that a SetChargingProfile begins with, whatever the version."""
    profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
    schedule = profile["chargingSchedule"]
    period = (schedule[0] if isinstance(schedule, list) else schedule)["chargingSchedulePeriod"][0]
    power_w: float = period.get("setpoint", period.get("limit"))
    return power_w


def leases(station: Peer) -> list[float]:
    """The powers of all leases it was given."""
    found = station.got("SetChargingProfile")
    wanted = ("csChargingProfiles", "chargingProfile")
    purposes = [next(p[name] for name in wanted if name in p)["chargingProfilePurpose"] for p in found]
    return [
        power_of(payload) for payload, purpose in zip(found, purposes, strict=True) if purpose == "TxProfile"
    ]


def refuse_discharge(payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": "Rejected" if power_of(payload) < 0.0 else "Accepted"}


async def test_d26_refuted_and_not_acted_on(depot: Depot) -> None:
    """The station plans to charge; the permit does not change; the next tick says 0 W at once, without
    waiting for a renewal.
    """
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", -1_500.0)
    station.scripts["GetCompositeSchedule"] = plan(22_000.0)
    await loop.tick(step_s=0.0)
    await until(lambda: depot.central.links["new"].station.model.proof() == "refuted")
    assert limits(station) == [-1_500]
    await loop.tick(step_s=0.0)
    assert limits(station) == [-1_500, 0]
    await loop.tick()
    assert "refuted" in depot.board.evse("b2").no_discharge
    await station.close()


async def test_d26_given_up(depot: Depot) -> None:
    """A vehicle that gives nothing is not asked any more from the tick in which that is known."""
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", -1_500.0)
    await loop.tick(step_s=0.0)
    for seq in range(1, 4):
        await measured(depot, station, seq, 0.0, after_s=9.0)
        await loop.tick(step_s=0.0)
    depot.central.links["new"].station.outlets[1].watch.gave_up = True
    await loop.tick(step_s=0.0)
    assert limits(station)[-1] == 0
    assert "gave nothing" in depot.board.evse("b2").no_discharge
    await station.close()


async def test_d26_clock_lost(depot: Depot) -> None:
    """What was said by a clock that is not known any more is said again at once, and no more than the
    default allows.
    """
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", 30_000.0)
    await loop.tick(2, step_s=0.0)
    assert limits(station) == [30_000]
    depot.central.links["new"].station.clock_skew.known = False
    await loop.tick(step_s=0.0)
    assert limits(station) == [30_000, 11_000]
    depot.central.links["new"].station.clock_skew.known = True
    await loop.tick(step_s=0.0)
    assert limits(station) == [30_000, 11_000, 30_000]
    await station.close()


async def test_d26_clock_set(depot: Depot) -> None:
    """A lease is stamped by the station's clock: when that is found to be another one, the lease is said
    again at once.
    """
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", 30_000.0)
    await loop.tick(2, step_s=0.0)
    depot.central.links["new"].station.clock_skew.offset_s = 3_600.0
    await loop.tick(2, step_s=0.0)
    assert limits(station) == [30_000, 30_000]
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_d24_refusal_leaves_what_was(depot: Depot, version: Version) -> None:
    """A refused discharge is followed by 0 W in the same write; the second refusal is a rule: told once,
    and rarely tried.
    """
    station, loop = await charging(depot, version), Loop(depot, EVSE[version], 0.0)
    await loop.tick()
    station.scripts["SetChargingProfile"] = refuse_discharge
    loop.granted = permit(EVSE[version], -5_500.0)
    await loop.tick()
    assert leases(station) == [0, -2_000, 0]
    assert depot.board.evse(EVSE[version]).command.ack == "withheld"
    await loop.tick(225)
    assert leases(station)[3:5] == [-2_000, 0]
    assert len(leases(station)) <= 8, "225 seconds, and not 150 writes"
    assert station.got("ClearChargingProfile") == []
    news = depot.board.take_news(AT_S)
    assert [(event.kind, event.subject) for event in news] == [("discharge_refused", EVSE[version])]
    assert "Rejected" in news[0].text
    assert depot.board.evse(EVSE[version]).no_discharge.startswith("the station refuses it")
    await station.close()


async def test_d24_what_is_taken_again_is_told(depot: Depot) -> None:
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", -5_500.0)
    station.scripts["SetChargingProfile"] = refuse_discharge
    await loop.tick(30)
    del station.scripts["SetChargingProfile"]
    tried = leases(station).count(-2_000)
    await loop.tick(int(FIRST_PAUSE_S))
    assert (
        leases(station).count(-2_000) == tried + 1 + int((FIRST_PAUSE_S - 30) / 10)
        or leases(station)[-1] == -2_000
    )
    assert [event.kind for event in depot.board.take_news(AT_S)] == ["discharge_refused", "refusal_ended"]
    assert depot.board.evse("b2").no_discharge == ""
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_d17_endless_ladder(depot: Depot, version: Version) -> None:
    """All is refused by CALLERROR from some time on: nothing that stands is cleared; after a few rounds it
    is left alone.
    """
    station, loop = await charging(depot, version), Loop(depot, EVSE[version], 30_000.0)
    await loop.tick()
    assert leases(station) == [30_000]
    refused = {"no": "answer that the schema knows: the peer answers NotSupported"}
    station.scripts["SetChargingProfile"] = lambda _: refused
    loop.granted = permit(EVSE[version], -5_000.0)
    await loop.tick(int(FIRST_PAUSE_S))
    assert station.got("ClearChargingProfile") == [], "the lease that stands would be gone with it"
    assert len(leases(station)) <= 1 + 4 * ROUNDS + 8
    kinds = [event.kind for event in depot.board.take_news(AT_S)]
    assert sorted(kinds) == ["discharge_refused", "limits_refused"]
    await station.close()


async def test_d17_the_last_lease_that_was_taken_is_renewed(depot: Depot) -> None:
    """A station that takes no more than 20 kW keeps its 20 kW, though the permit asks for more."""
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", 20_000.0)
    await loop.tick()

    def most(payload: dict[str, Any]) -> dict[str, Any]:
        unit = payload["chargingProfile"]["chargingSchedule"][0]["chargingRateUnit"]
        return {"status": "Accepted" if unit == "W" and limit_of(payload) <= 20_000 else "Rejected"}

    station.scripts["SetChargingProfile"] = most
    loop.granted = permit("b2", 40_000.0)
    await loop.tick(100)
    assert limits(station)[-5:] == [20_000] * 5
    assert depot.board.evse("b2").command.ack == "withheld"
    assert [event.kind for event in depot.board.take_news(AT_S)] == ["limits_refused"]
    loop.granted = permit("b2", 15_000.0)
    await loop.tick()
    assert limits(station)[-1] == 15_000, "what is narrower is said at once"
    await station.close()


def test_d17_the_pause_grows_and_has_an_end() -> None:
    refusals, now_s, pauses = Refusals(), 0.0, []
    assert not refusals.refused(5_000.0, "no", now_s)
    for _ in range(10):
        refusals.refused(5_000.0, "no", now_s)
        began_s = now_s
        while refusals.holds(now_s):
            now_s += 60.0
        pauses.append(now_s - began_s)
    assert pauses[:3] == [FIRST_PAUSE_S, 3 * FIRST_PAUSE_S, 9 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert not refusals.taken(4_000.0), "less than what it refuses"
    assert refusals.taken(5_000.0)
    assert not refusals.taken(5_000.0)
    assert not refusals.refused(5_000.0, "no", now_s), "one refusal is an accident again"


async def test_d16_refuted_yet_sold(depot: Depot) -> None:
    """That a make is refuted reaches the picture, without a permit that asks for it and for its other
    stations too.
    """
    station, loop = await charging(depot, "2.0.1"), Loop(depot, "b2", 3_000.0)
    link = depot.central.links["new"]
    link.station.outlets[1].watch.proof = "refuted"
    link.station.model.judged(link.station.outlets[1], "unknown")
    await loop.tick()
    assert depot.board.evse("b2").no_discharge.startswith("refuted: make v/m/1")
    assert depot.board.evse("b2").proven_discharge is False
    assert [event.kind for event in depot.board.take_news(AT_S)] == ["discharge_refuted"]
    await depot.central.perform("new", "retry-discharge", {"engineer": "site engineer"})
    await loop.tick()
    assert depot.board.evse("b2").no_discharge == ""
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a22_flash_wear(depot: Depot, version: Version) -> None:
    """An unchanged lease at or below the default is written 72 times a day; one above it, and a discharge,
    are short as ever.
    """
    station, loop = await charging(depot, version), Loop(depot, EVSE[version], 0.0)
    depot.central.links[{"b1": "old", "b2": "new", "b3": "newest"}[EVSE[version]]].station.model._take(
        depot.central.links[{"b1": "old", "b2": "new", "b3": "newest"}[EVSE[version]]].station.outlets[1],
        "proven",
    )
    await loop.tick(600, step_s=10.0)
    assert len(leases(station)) == 5, "at 0, 1,200, 2,400, 3,600 and 4,800 s of 6,000 s"
    profile = station.got("SetChargingProfile")[-1]
    profile = profile.get("csChargingProfiles") or profile["chargingProfile"]
    schedule = profile["chargingSchedule"]
    assert (schedule[0] if isinstance(schedule, list) else schedule)["duration"] == HARMLESS_S
    for power_w in (-5_000.0, 30_000.0):
        loop.granted = permit(EVSE[version], power_w)
        before = len(leases(station))
        await loop.tick(60, step_s=1.0)
        assert 5 <= len(leases(station)) - before <= 7
    await station.close()


async def test_a22_a_clock_that_is_off_writes_no_more(depot: Depot) -> None:
    """Readings come with latencies of their own: a long lease is no other one for that."""
    station = await charging(depot, "2.0.1", clock_off_s=12.0)
    loop, skew = Loop(depot, "b2", 0.0), depot.central.links["new"].station.clock_skew
    draw = random.Random(3)
    for second in range(0, 900, 5):
        now_s, wall_s = depot.clock.now_s(), depot.clock.wall_s()
        skew.learn(wall_s + 12.0 - draw.uniform(0.0, 0.4), wall_s, now_s, 1)
        await loop.tick(step_s=5.0)
        if second == 60:
            settled = len(leases(station))
    assert skew.known
    assert len(leases(station)) == settled, "72 times a day"
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charge_below_the_default_that_is_refused_becomes_nothing_and_not_the_default(
    depot: Depot, version: Version
) -> None:
    """The default profile would charge with more than is permitted."""
    station, loop = await charging(depot, version), Loop(depot, EVSE[version], 6_000.0)
    station.scripts["SetChargingProfile"] = lambda payload: {
        "status": "Rejected" if power_of(payload) > 0.0 else "Accepted"
    }
    await loop.tick()
    assert leases(station)[-1] == 0
    assert depot.board.evse(EVSE[version]).command.ack == "withheld"
    await station.close()


@pytest.mark.parametrize(("version", "by"), [("1.6", "setpoint"), ("2.0.1", "setpoint"), ("2.1", "none")])
async def test_discharge_is_said_only_in_a_way_that_is_agreed_and_that_the_version_has(
    version: Version, by: str
) -> None:
    depot = Depot(discharge_by=by)
    await depot.central.start()
    outlet = depot.central.links[{"1.6": "old", "2.0.1": "new", "2.1": "newest"}[version]].station.outlets[1]
    outlet.evse = replace(outlet.evse, discharge_by=by)
    station, loop = await charging(depot, version), Loop(depot, EVSE[version], -5_000.0)
    await loop.tick()
    assert leases(station) == [0]
    await station.close()
    await depot.central.stop()
