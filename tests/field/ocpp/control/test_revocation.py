"""D1: a permit that was revoked is never on the wire, whatever the order of permits, answers, links and
vehicles.

Writer, port and message machine are the daemon's; the wire is a list, and time is virtual.
"""

import asyncio
import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from sim.virtual.clock import LoopClock
from sim.virtual.loop import run_virtual
from tests.depot import small_site
from tests.field.ocpp.peer import AT_S
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.vocabulary.facts import SessionEvent
from v2g_edge.field.ocpp.wire import frames
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.writer import Writer
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.settings import StationEvse, StationSettings

ORDERS = int(os.environ.get("DRAWN_ORDERS", "10000"))
BATCHES = 20
FALLBACK_W = 4_000.0
BOUND = Bound(0.0, 0.0, "wish", "test")
VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")


def permit(power_w: float, *, renew: bool = True, droop_w: float = 0.0) -> Permit:
    return Permit("b1", power_w, -50e3, 50e3, 30.0, renew, power_w, BOUND, droop_w)


PERMITS = (
    permit(-50_000.0),
    permit(-20_000.0),
    permit(0.0),  # the relay has opened, or the operator stops
    permit(FALLBACK_W, renew=False),  # the meter is silent
    permit(0.0, renew=False),
    permit(20_000.0),
    permit(50_000.0),
    permit(-5_000.0, droop_w=10_000.0),
    permit(5_000.0, droop_w=10_000.0),
)


class Link:
    """One link's wire, and its transport: takes everything at once."""

    def __init__(self, rig: "Rig") -> None:
        self.rig = rig
        self.transport = self

    def post(self, frame: bytes) -> None:
        if self.rig.wire is self:
            self.rig.look(frame)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        """Nothing is held."""


class Rig:
    """One station with one outlet behind a wire that is looked at. ``answer`` says how and after how long
    it answers.
    """

    def __init__(self, version: Version) -> None:
        site = small_site(1)
        evse = replace(
            site.evses[0],
            fallback_w=FALLBACK_W,
            discharge_by="setpoint" if version == "2.1" else "negative_limit",
        )
        self.site = replace(site, evses=(evse,))
        self.version = version
        self.clock = LoopClock(AT_S)
        self.board = Board(self.site, lambda: None)
        self.store = SqliteStore(":memory:", self.clock.wall_s)
        settings = StationSettings("new", (StationEvse("b1"),))
        self.station = Station(settings, self.site, self.board, self.clock, self.store)
        self.link = StationLink(self.station, self.board, self.clock, self.store)
        self.writer = Writer(self.link.ports, self.board, self.clock)
        self.outlet = self.station.outlets[1]
        self.wire: Link | None = None
        self.connection: Connection | None = None
        self.latest = permit(0.0)
        self.said: list[tuple[float, str, dict[str, Any]]] = []
        self.held: dict[str, Any] | None = None
        self.wrong: list[str] = []
        self._links = itertools.count(1)
        self._sessions = itertools.count(1)
        self.delays: Iterator[tuple[float, str]] = iter(itertools.repeat((0.0, "Accepted")))
        self.connect()
        self.station.clock_skew.known = True
        self.station.clock_skew.offset_s = 0.0
        self.store.remember(self.station.model._key(), "proven")
        self.station.model.recall()
        self.outlet.dynamic.takes_dynamic = version == "2.1"

    def connect(self) -> None:
        self.disconnect()
        machine = Machine(self.version, "central", prefix=f"{next(self._links)}-", strict=False)
        self.wire = Link(self)
        self.connection = Connection(self.wire, machine, self.link, "new")  # type: ignore[arg-type]
        self.link.connection = self.connection
        self.link._set_ports(self.connection)
        self.station.link_up(self.version)

    def disconnect(self) -> None:
        old, self.connection = self.connection, None
        if old is not None:
            self.link.connection = None
            self.link._set_ports(None)
            self.station.link_down()
            self.wire = None
            old._end()

    def new_vehicle(self) -> None:
        number, outlet = next(self._sessions), self.outlet
        if outlet.session is not None:
            ended = SessionEvent("ended", outlet.session.transaction, 1, self.clock.wall_s(), seq=9)
            self.station.on_session(ended)
        self.held = None
        started = SessionEvent("started", str(number), 1, self.clock.wall_s(), vehicle="bus-1", plugged=True)
        self.station.on_session(started)

    def tick(self, granted: Permit) -> None:
        self.latest = granted
        if self.outlet.session is None:
            self.latest = permit(0.0)
        self.writer.submit((self.latest,))

    def look(self, frame: bytes) -> None:
        """What goes out on the wire: looked at, and answered later."""
        kind, call_id, action, payload = frames.decode(frame.decode(), strict=True)
        assert kind == frames.CALL
        self._judge(action, payload)
        delay_s, status = next(self.delays)
        if status:
            connection = self.connection
            asyncio.get_running_loop().call_later(
                delay_s, self._answer, connection, call_id, action, payload, status
            )

    def _answer(
        self, connection: Connection | None, call_id: str, action: str, payload: dict[str, Any], status: str
    ) -> None:
        if connection is not None and connection is self.connection:
            if action == "GetCompositeSchedule":
                status = "Rejected"
            if status == "Accepted" and action == "SetChargingProfile":
                self.held = payload
            connection._take(frames.encode([frames.CALLRESULT, call_id, {"status": status}]).decode())

    def _judge(self, action: str, payload: dict[str, Any]) -> None:
        powers = powers_of(action, payload)
        if powers is None:
            return
        session, now_s = self.outlet.session, self.clock.now_s()
        low_w, high_w = min(self.latest.least_w, 0.0), max(self.latest.most_w, 0.0)
        transaction = (payload.get("csChargingProfiles") or payload.get("chargingProfile") or {}).get(
            "transactionId"
        )
        if not low_w <= powers[0] <= powers[1] <= high_w:
            self.wrong.append(f"{now_s:.1f} s: {powers} said, {low_w} to {high_w} permitted: {payload}")
        if transaction is not None and (session is None or str(transaction) != session.transaction):
            self.wrong.append(f"{now_s:.1f} s: said for transaction {transaction}, {session} is here")
        self.said.append((powers[0], action, payload))


def powers_of(action: str, payload: dict[str, Any]) -> tuple[float, float] | None:
    """The least and the most power that a message allows; None for other messages."""
    if action == "UpdateDynamicSchedule":
        period = payload["scheduleUpdate"]
    elif action == "SetChargingProfile":
        profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
        schedule = profile["chargingSchedule"]
        period = (schedule[0] if isinstance(schedule, list) else schedule)["chargingSchedulePeriod"][0]
    else:
        return None
    if "v2xBaseline" in period:
        curve = [point["power"] for point in period["v2xFreqWattCurve"]]
        return period["v2xBaseline"] + min(curve), period["v2xBaseline"] + max(curve)
    power_w = float(period.get("setpoint", period.get("limit", 0.0)))
    return min(power_w, 0.0), max(power_w, 0.0)


async def play(seed: int) -> list[str]:
    """One drawn order of permits, revocations, answers, reconnects and vehicles."""
    draw = random.Random(seed)
    rig = Rig(draw.choice(VERSIONS))
    statuses = ["Accepted"] * draw.choice((1, 4, 20)) + ["Rejected", ""]
    slow_s = draw.choice((0.0, 0.5, 8.0, 60.0))
    rig.delays = iter(lambda: (draw.uniform(0.0, slow_s), draw.choice(statuses)), None)
    rig.new_vehicle()
    granted = draw.choice(PERMITS)
    for _ in range(draw.randint(8, 30)):
        happening = draw.random()
        if happening < 0.5:
            granted = draw.choice(PERMITS)
        elif happening < 0.57:
            rig.connect()
        elif happening < 0.62:
            rig.disconnect()
        elif happening < 0.69:
            rig.new_vehicle()
        elif happening < 0.72:
            rig.station.on_boot(rig.station.identity)
        if rig.connection is None and draw.random() < 0.3:
            rig.connect()
        rig.tick(granted)
        await asyncio.sleep(draw.choice((0.0, 0.02, 1.0, 1.0, 3.0, 11.0)))
    await rig.writer.stop()
    rig.disconnect()
    return [f"order {seed} ({rig.version}): {wrong}" for wrong in rig.wrong]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_d1_stale_after_revocation(batch: int) -> None:
    async def run() -> list[str]:
        each = ORDERS // BATCHES
        return [wrong for seed in range(batch * each, (batch + 1) * each) for wrong in await play(seed)]

    with capture_logs():  # or they cost more than what is tested
        assert run_virtual(run()) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("asked_w", "left"), [(-50_000.0, permit(0.0)), (50_000.0, permit(FALLBACK_W, renew=False))]
)
def test_d1_the_case_as_it_was_found(version: Version, asked_w: float, left: Permit) -> None:
    """A station answers 8 s late; the plan asks; it is revoked; the station answers: what waited is never
    sent.
    """

    async def run() -> None:
        rig = Rig(version)
        rig.delays = iter(itertools.repeat((8.0, "Accepted")))
        rig.new_vehicle()
        before = permit(0.0) if left.power_w == 0.0 else permit(left.power_w)
        for granted in (before, *[permit(asked_w)] * 3, *[left] * 30):
            rig.tick(granted)
            await asyncio.sleep(1.0)
        assert rig.wrong == []
        assert all(
            powers_of(action, payload) != (min(asked_w, 0.0), max(asked_w, 0.0))
            for _, action, payload in rig.said
        )
        await rig.writer.stop()
        rig.disconnect()

    run_virtual(run())
