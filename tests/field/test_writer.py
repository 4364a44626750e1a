"""The writer: latest permit wins, leases are renewed in time, dead inputs are not, and what ends a
discharge never queues.
"""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.depot import small_site
from v2g_edge.field.board import Board
from v2g_edge.field.writer import RETRY_S, Writer
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import Saying, WriteResult
from v2g_edge.model.snapshot import Link, VehicleState

BOUND = Bound(0.0, 0.0, "wish", "test")


class HandClock:
    """Time moved by hand."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def wall_s(self) -> float:
        return self.time_s

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        self.time_s += duration_s


class Charger:
    """A port that answers when it is told to. ``most_w`` and ``least_w`` bound what it would say."""

    def __init__(self) -> None:
        self.got: list[float] = []
        self.answer: WriteResult = "accepted"
        self.gate = asyncio.Event()
        self.gate.set()
        self.least_w, self.most_w = -1e9, 1e9
        self.harmless = False
        self.lease_s = 0.0
        self.terms: tuple[object, ...] = ()

    def says(self, permit: Permit) -> Saying:
        power_w = min(max(permit.power_w, self.least_w), self.most_w)
        valid_for_s = max(permit.valid_for_s, self.lease_s)
        return Saying(power_w, permit.droop_w, valid_for_s, self.harmless, self.terms)

    async def write_permit(self, permit: Permit) -> WriteResult:
        self.got.append(permit.power_w)
        await self.gate.wait()
        return self.answer


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.board = Board(small_site(), lambda: None)
        self.chargers = {"b1": Charger(), "b2": Charger()}
        self.writer = Writer(self.chargers, self.board, self.clock)
        for evse in self.chargers:
            self.board.update_evse(evse, link=Link(True, True, 100.0))

    async def submit(self, power_w: float, evse: str = "b1", **changes: Any) -> int:
        permit = replace(Permit(evse, power_w, -50e3, 50e3, 30.0, True, power_w, BOUND), **changes)
        started = self.writer.submit((permit,))
        for _ in range(4):
            await asyncio.sleep(0)
        return started


async def test_an_unchanged_permit_is_sent_again_at_a_third_of_its_lease_and_not_before() -> None:
    bench = Bench()
    await bench.submit(10_000.0)
    bench.clock.time_s += 9.9
    await bench.submit(10_000.0)
    assert bench.chargers["b1"].got == [10_000.0]
    bench.clock.time_s += 0.2
    await bench.submit(10_000.0)
    assert bench.chargers["b1"].got == [10_000.0, 10_000.0]


async def test_a_small_raise_waits_for_the_renewal_but_any_step_down_goes_at_once() -> None:
    bench = Bench()
    await bench.submit(10_000.0)
    await bench.submit(10_100.0)
    await bench.submit(9_900.0)
    assert bench.chargers["b1"].got == [10_000.0, 9_900.0]


async def test_a_narrower_droop_goes_at_once_and_a_little_wider_one_waits() -> None:
    bench = Bench()
    await bench.submit(0.0, droop_w=20_000.0)
    await bench.submit(0.0, droop_w=20_100.0)
    assert len(bench.chargers["b1"].got) == 1
    await bench.submit(0.0, droop_w=20_250.0)
    assert len(bench.chargers["b1"].got) == 2
    await bench.submit(0.0, droop_w=20_000.0, renew=False)
    assert len(bench.chargers["b1"].got) == 3
    assert bench.board.evse("b1").command.droop_w == 20_000.0


async def test_the_end_of_a_droop_below_zero_does_not_wait_for_an_answer() -> None:
    bench = Bench()
    charger = bench.chargers["b1"]
    charger.gate.clear()
    await bench.submit(5_000.0, droop_w=20_000.0)
    await bench.submit(5_000.0, droop_w=5_000.0)
    assert len(charger.got) == 2
    charger.gate.set()


async def test_a_lease_on_dead_inputs_is_not_renewed_but_may_be_lowered() -> None:
    bench = Bench()
    await bench.submit(-10_000.0)
    bench.clock.time_s += 15.0
    await bench.submit(-10_000.0, renew=False)
    assert bench.chargers["b1"].got == [-10_000.0]
    await bench.submit(0.0, renew=False)
    assert bench.chargers["b1"].got == [-10_000.0, 0.0]


async def test_an_end_of_discharge_does_not_wait_for_an_answer_to_the_last_command() -> None:
    bench = Bench()
    charger = bench.chargers["b1"]
    charger.gate.clear()
    await bench.submit(-10_000.0)
    await bench.submit(0.0)
    assert charger.got == [-10_000.0, 0.0]
    charger.gate.set()
    for _ in range(4):
        await asyncio.sleep(0)
    assert bench.board.evse("b1").command.power_w == 0.0
    assert bench.board.evse("b1").command.ack == "accepted"


async def test_while_a_write_is_under_way_only_the_latest_permit_waits() -> None:
    bench = Bench()
    charger = bench.chargers["b1"]
    charger.gate.clear()
    for power_w in (10_000.0, 20_000.0, 30_000.0):
        await bench.submit(power_w)
    assert charger.got == [10_000.0]
    charger.gate.set()
    for _ in range(6):
        await asyncio.sleep(0)
    assert charger.got == [10_000.0, 30_000.0]


async def test_a_slow_charger_does_not_delay_another() -> None:
    bench = Bench()
    bench.chargers["b1"].gate.clear()
    await bench.submit(10_000.0, "b1")
    await bench.submit(10_000.0, "b2")
    assert bench.board.evse("b1").command.ack == "pending"
    assert bench.board.evse("b2").command.ack == "accepted"
    await bench.writer.stop()


async def test_a_refused_permit_is_tried_again_after_the_retry_time() -> None:
    bench = Bench()
    bench.chargers["b1"].answer = "rejected"
    await bench.submit(10_000.0)
    assert bench.board.evse("b1").command.ack == "rejected"
    bench.clock.time_s += RETRY_S - 0.1
    assert await bench.submit(10_000.0) == 0
    bench.clock.time_s += 0.2
    assert await bench.submit(10_000.0) == 1


async def test_a_charger_that_came_back_gets_its_setpoint_again_at_once() -> None:
    bench = Bench()
    await bench.submit(10_000.0)
    bench.board.update_evse("b1", link=Link(False, True, 100.0))
    assert await bench.submit(10_000.0) == 0
    bench.board.update_evse("b1", link=Link(True, True, 101.0))
    await bench.submit(10_000.0)
    assert bench.chargers["b1"].got == [10_000.0, 10_000.0]


async def test_a_new_vehicle_gets_its_setpoint_at_once_although_the_same_one_was_sent_before_it_came() -> (
    None
):
    bench = Bench()
    await bench.submit(0.0)
    bench.board.plug_in("b1", VehicleState("t1", "BUS1", 100.0))
    await bench.submit(0.0)
    await bench.submit(0.0)
    assert bench.chargers["b1"].got == [0.0, 0.0]
    bench.board.unplug("b1")
    await bench.submit(0.0)
    bench.board.plug_in("b1", VehicleState("t2", "BUS2", 130.0))
    await bench.submit(0.0)
    assert bench.chargers["b1"].got == [0.0, 0.0, 0.0]


async def test_those_whose_discharge_ends_are_served_first() -> None:
    bench = Bench()
    await bench.submit(5_000.0, "b1")
    await bench.submit(-5_000.0, "b2")
    order: list[str] = []
    for evse, charger in bench.chargers.items():
        charger.write_permit = lambda permit, evse=evse: _note(order, evse)  # type: ignore[method-assign, misc]
    both = tuple(Permit(evse, 0.0, 0.0, 0.0, 30.0, True, 0.0, BOUND) for evse in ("b1", "b2"))
    bench.writer.submit(both)
    for _ in range(4):
        await asyncio.sleep(0)
    assert order == ["b2", "b1"]


async def _note(order: list[str], evse: str) -> WriteResult:
    order.append(evse)
    return "accepted"


async def test_only_what_was_accepted_has_a_lease_and_only_for_its_session() -> None:
    """Where a lease has run out, the default profile is what a charger obeys: an unanswered permit must
    not pass for one.
    """
    bench = Bench()
    charger = bench.chargers["b1"]

    def until_s() -> float:
        return bench.board.evse("b1").command.lease_until_s

    bench.board.plug_in("b1", VehicleState("first", "bus-1", 0.0))
    charger.answer = "silent"
    await bench.submit(10_000.0)
    assert until_s() == 0.0
    charger.answer = "accepted"
    bench.clock.time_s += RETRY_S
    await bench.submit(10_000.0)
    assert until_s() == 135.0
    bench.clock.time_s += 10.0
    charger.answer = "rejected"
    await bench.submit(20_000.0)
    assert until_s() == 135.0, "the older one stands"
    bench.board.plug_in("b1", VehicleState("second", "bus-2", 0.0))
    charger.gate.clear()
    await bench.submit(0.0)
    assert (until_s(), bench.board.evse("b1").command.ack) == (0.0, "pending")
    await bench.writer.stop()


class Slow:
    """A port whose answers are given by hand, each to its own write."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[WriteResult]] = []

    def says(self, permit: Permit) -> Saying:
        return Saying(permit.power_w, permit.droop_w, permit.valid_for_s)

    async def write_permit(self, permit: Permit) -> WriteResult:
        answer: asyncio.Future[WriteResult] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        return await answer


async def test_a_late_answer_does_not_speak_for_a_newer_write() -> None:
    """The discharge is accepted after the stop was sent: the stop is still unanswered, and no lease stands
    for it.
    """
    bench, port = Bench(), Slow()
    bench.writer = Writer({"b1": port}, bench.board, bench.clock)
    await bench.submit(-10_000.0)
    await bench.submit(0.0)
    port.answers[0].set_result("accepted")
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    command = bench.board.evse("b1").command
    assert (command.power_w, command.ack, command.lease_until_s) == (0.0, "pending", 0.0)
    port.answers[1].set_result("silent")
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    assert bench.board.evse("b1").command.ack == "silent"


async def test_a_permit_that_waited_through_a_standstill_is_not_sent() -> None:
    """No tick came for a while: the inputs may have changed, and the next tick decides."""
    bench, port = Bench(), Slow()
    bench.writer = Writer({"b1": port}, bench.board, bench.clock)
    await bench.submit(10_000.0)
    await bench.submit(20_000.0)
    bench.clock.time_s += 40.0
    port.answers[0].set_result("accepted")
    for _ in range(8):
        await asyncio.sleep(0.0)
    assert len(port.answers) == 1


@pytest.mark.parametrize("what", ["another vehicle", "the vehicle has left", "the link is lost"])
async def test_a_permit_that_waits_is_for_the_vehicle_and_the_link_of_its_tick(what: str) -> None:
    bench, port = Bench(), Slow()
    bench.writer = Writer({"b1": port}, bench.board, bench.clock)
    bench.board.plug_in("b1", VehicleState("t1", "BUS1", 100.0))
    await bench.submit(10_000.0)
    await bench.submit(20_000.0)
    if what == "another vehicle":
        bench.board.plug_in("b1", VehicleState("t2", "BUS2", 101.0))
    elif what == "the vehicle has left":
        bench.board.unplug("b1")
    else:
        bench.board.update_evse("b1", link=Link(False, True, 100.0))
    port.answers[0].set_result("accepted")
    for _ in range(8):
        await asyncio.sleep(0.0)
    assert len(port.answers) == 1


async def test_a_long_lease_is_renewed_seldom_and_a_small_raise_of_it_waits_as_for_a_short_one() -> None:
    bench = Bench()
    charger = bench.chargers["b1"]
    charger.harmless, charger.lease_s = True, 3_600.0
    await bench.submit(4_000.0)
    assert bench.board.evse("b1").command.lease_until_s == 3_700.0, "the board knows how long it may last"
    bench.clock.time_s += 1_199.0
    await bench.submit(4_000.0)
    assert len(charger.got) == 1
    await bench.submit(4_100.0)
    assert len(charger.got) == 2
    charger.harmless, charger.lease_s = False, 0.0
    bench.clock.time_s += 10.1
    await bench.submit(4_100.0)
    assert len(charger.got) == 3, "a third of the shorter one, of what was said and what would be"


async def test_a_lease_counts_from_when_it_was_sent() -> None:
    """The charger may have begun it then: an answer that took eight seconds does not lengthen it."""
    bench = Bench()
    charger = bench.chargers["b1"]
    charger.gate.clear()
    await bench.submit(10_000.0)
    bench.clock.time_s += 8.0
    charger.gate.set()
    for _ in range(4):
        await asyncio.sleep(0)
    assert bench.board.evse("b1").command.lease_until_s == 130.0


async def test_a_stop_of_the_writer_leaves_what_is_under_way_unanswered() -> None:
    bench, port, faults = Bench(), Slow(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    bench.writer = Writer({"b1": port}, bench.board, bench.clock)
    await bench.submit(10_000.0)
    await bench.submit(20_000.0)
    await bench.writer.stop()
    await asyncio.sleep(0.0)
    assert (bench.board.evse("b1").command.ack, len(port.answers), faults) == ("pending", 1, [])


async def test_a_port_that_breaks_its_promise_counts_as_silent_and_is_asked_again() -> None:
    bench, port, told = Bench(), Slow(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    bench.writer = Writer({"b1": port}, bench.board, bench.clock)
    await bench.submit(10_000.0)
    port.answers[0].set_exception(RuntimeError("broken"))
    for _ in range(4):
        await asyncio.sleep(0.0)
    command = bench.board.evse("b1").command
    assert (command.ack, command.lease_until_s) == ("silent", 0.0)
    bench.clock.time_s += RETRY_S
    assert await bench.submit(10_000.0) == 1
    await bench.writer.stop()


async def test_what_is_just_as_large_as_a_step_is_one() -> None:
    """Ten watts down, 250 up, a third of the lease, five seconds of waiting: the edge belongs to it."""
    bench = Bench()
    charger = bench.chargers["b1"]
    await bench.submit(10_000.0)
    await bench.submit(9_990.0)
    assert charger.got == [10_000.0, 9_990.0]
    await bench.submit(10_240.0)
    assert charger.got[2:] == [10_240.0]
    await bench.submit(10_240.0, droop_w=5_000.0)
    await bench.submit(10_240.0, droop_w=4_990.0)
    assert len(charger.got) == 5
    bench.clock.time_s += 10.0
    await bench.submit(10_240.0, droop_w=4_990.0)
    assert len(charger.got) == 6
    charger.gate.clear()
    await bench.submit(20_000.0)
    await bench.submit(30_000.0)
    bench.clock.time_s += 5.0
    charger.gate.set()
    for _ in range(6):
        await asyncio.sleep(0)
    assert charger.got[6:] == [20_000.0, 30_000.0]


async def test_a_charger_at_rest_is_not_served_before_one_whose_discharge_ends() -> None:
    bench = Bench()
    await bench.submit(0.0, "b1")
    await bench.submit(-5_000.0, "b2")
    order: list[str] = []
    for evse, charger in bench.chargers.items():
        charger.terms = ("changed",)
        charger.write_permit = lambda permit, evse=evse: _note(order, evse)  # type: ignore[method-assign, misc]
    bench.writer.submit(tuple(Permit(evse, 0.0, 0.0, 0.0, 30.0, True, 0.0, BOUND) for evse in ("b1", "b2")))
    for _ in range(4):
        await asyncio.sleep(0)
    assert order == ["b2", "b1"]


async def test_while_a_charge_is_under_way_less_of_it_goes_at_once_and_the_same_waits() -> None:
    bench = Bench()
    charger = bench.chargers["b1"]
    charger.gate.clear()
    await bench.submit(20_000.0)
    charger.terms = ("another clock",)
    await bench.submit(20_000.0)
    assert charger.got == [20_000.0]
    await bench.submit(5_000.0)
    assert charger.got == [20_000.0, 5_000.0]
    charger.gate.set()
    await bench.writer.stop()


async def test_what_was_not_taken_is_in_the_log_and_what_was_is_not() -> None:
    bench = Bench()
    with capture_logs() as lines:
        await bench.submit(10_000.0)
        bench.chargers["b1"].answer = "rejected"
        await bench.submit(5_000.0)
    assert [(line["event"], line["power_w"], line["result"]) for line in lines] == [
        ("permit_not_taken", 5_000.0, "rejected")
    ]
