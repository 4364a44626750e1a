"""Leases and proofs on Modbus: what is revoked is never written, what was not read back is no dead-man, and a
permit ends by itself.
"""

import asyncio
import itertools
import os
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from sim.modbus.der import FACTORS, SunSpecDer
from sim.virtual.loop import run_virtual
from tests.field.modbus.rig import ALWAYS_TAKEN, FATES, NEVER_TAKEN, TIMEOUT_S, Fate, Rig, after, permit
from v2g_edge.field.modbus.codec import CODES
from v2g_edge.field.modbus.outlet import RECHECK_S
from v2g_edge.model.reading import Reading, Unknown

KINDS = ("generic-charger", "quasar1", "evtec-bidipro", "sunspec")
ORDERS = int(os.environ.get("DRAWN_ORDERS", "2000"))
BATCHES = 5
PERMITS = (
    permit(-7_000.0),
    permit(-5_000.0),
    permit(0.0),  # the relay has opened, or the operator stops
    permit(0.0, renew=False),
    permit(4_000.0, renew=False),
    permit(4_000.0),
    permit(7_000.0),
)


async def order(seed: int) -> list[str]:
    """One drawn order of permits, revocations, answers that come late or never, absences and reconnects."""
    draw = random.Random(seed)
    rig = Rig(draw.choice(KINDS))
    fates = FATES[:1] * draw.choice((2, 6, 30)) + FATES[1:]
    slow_s = draw.choice((0.0, 0.02, TIMEOUT_S))
    drawn = iter(lambda: (draw.uniform(0.0, slow_s), draw.choice(fates)), None)
    rig.line.fates = drawn
    granted = draw.choice(PERMITS)
    for _ in range(draw.randint(6, 16)):
        happening = draw.random()
        if happening < 0.5:
            granted = draw.choice(PERMITS)
        elif happening < 0.57:
            rig.line.fates = NEVER_TAKEN
        elif rig.line.fates is NEVER_TAKEN and happening < 0.8:
            rig.line.fates = drawn
        rig.tick(granted)
        await asyncio.sleep(draw.choice((0.0, 0.02, 0.3, 1.0, 1.0, 3.0, 11.0)))
    rig.line.fates = ALWAYS_TAKEN
    for _ in range(8):
        rig.tick(permit(0.0))
        await asyncio.sleep(1.0)
    await rig.close()
    still = [f"{rig.told_w} W at the end"] if rig.told_w != 0.0 else []
    return [f"order {seed}: {wrong}" for wrong in rig.wrong + still]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_d1_stale_after_revocation_on_modbus(batch: int) -> None:
    """Nothing revoked reaches the charger after its revocation, and zero does once the line is well."""

    async def run() -> list[str]:
        each = ORDERS // BATCHES
        return [wrong for seed in range(batch * each, (batch + 1) * each) for wrong in await order(seed)]

    with capture_logs():
        assert run_virtual(run()) == []


def on(kind: str, test: Callable[[Rig], Coroutine[Any, Any, None]], **how: Any) -> list[str]:
    """Play a test with a charger that is connected and set up, in virtual time; what the log says."""

    async def run() -> None:
        rig = await Rig(kind, **how).ready()
        await test(rig)
        assert rig.wrong == []
        await rig.close()

    with capture_logs() as lines:
        run_virtual(run())
    return [line["event"] for line in lines]


@pytest.mark.parametrize("kind", KINDS)
def test_a_raise_that_waits_for_the_line_is_not_written_once_it_is_revoked(kind: str) -> None:
    """Another request is under way and is not answered; the raise is behind it, and stops being permitted."""

    async def test(rig: Rig) -> None:
        rig.line.fates = after((0.0, "lost"))
        asyncio.get_running_loop().create_task(rig.peer.read(3, rig.setpoint, 1))
        await asyncio.sleep(0.01)
        rig.tick(permit(7_000.0))
        await asyncio.sleep(0.1)
        rig.tick(permit(0.0))
        await asyncio.sleep(3.0)
        assert rig.told_w == 0.0
        assert rig.setpoints() > 0

    on(kind, test)


def test_a_stop_does_not_wait_while_a_raise_lets_the_charger_settle() -> None:
    """A Quasar is left alone for 2.5 s after each write; what takes power away is not."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(-3_000.0))
        await asyncio.sleep(0.1)
        rig.tick(permit(-6_000.0))  # waits until it has settled
        await asyncio.sleep(0.5)
        rig.tick(permit(0.0))
        await asyncio.sleep(0.1)
        assert rig.told_w == 0.0
        await asyncio.sleep(5.0)
        assert rig.told_w == 0.0

    on("quasar1", test)


def test_discharge_ends_before_a_charge_lets_the_charger_settle() -> None:
    async def test(rig: Rig) -> None:
        rig.tick(permit(-3_000.0))
        await asyncio.sleep(0.1)
        rig.tick(permit(3_000.0))
        await asyncio.sleep(0.1)
        assert rig.told_w == 0.0
        await asyncio.sleep(3.0)
        assert rig.told_w == 3_000.0

    on("quasar1", test)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_permitted_before_an_absence_is_not_repeated_after_it(kind: str) -> None:
    """The relay opened while the charger was away: nothing could be said to it, and the old lease stands."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(-5_000.0, valid_for_s=300.0))
        await asyncio.sleep(1.0)
        rig.line.fates = NEVER_TAKEN
        await rig.until(lambda: not rig.state.link.connected)
        rig.latest = permit(0.0)  # the writer has nobody to say it to
        written = rig.setpoints()
        rig.line.fates = ALWAYS_TAKEN
        await rig.until(lambda: rig.state.dead_man_ok)
        await asyncio.sleep(10.0)
        assert rig.setpoints() == written

    on(kind, test)


@pytest.mark.parametrize("kind", KINDS)
def test_a_permit_holds_for_as_long_as_it_says_counted_from_when_it_was_given(kind: str) -> None:
    """It is repeated beyond the charger's own watchdog while it holds, and zero is written at its end."""

    async def test(rig: Rig) -> None:
        given_s = rig.clock.now_s()
        rig.line.fates = after((0.25, "taken"))
        rig.tick(permit(-5_000.0, valid_for_s=20.0))
        await asyncio.sleep(1.0)
        assert rig.told_w == -5_000.0
        rig.latest = permit(-5_000.0)
        await rig.until(lambda: rig.told_w == 0.0)
        assert given_s + 20.0 <= rig.clock.now_s() <= given_s + 21.1, "one round of polling later at most"
        assert rig.registers.expired is False

    on(kind, test)


@pytest.mark.parametrize("kind", KINDS)
def test_polls_go_on_and_the_setpoint_does_not_once_the_permit_is_over(kind: str) -> None:
    """Zero is written once, and nothing is repeated after it."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(5_000.0, valid_for_s=5.0))
        await rig.until(lambda: rig.told_w == 5_000.0)
        await rig.until(lambda: rig.told_w == 0.0)
        written = rig.setpoints()
        await asyncio.sleep(60.0)
        assert rig.setpoints() == written

    assert on(kind, test).count("modbus_lease_ran_out") == 1


@pytest.mark.parametrize("fate", ["busy", "refused", "answer lost", "lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_setpoint_that_was_not_taken_ends_the_lease_of_the_one_before(kind: str, fate: Fate) -> None:
    """It may have arrived or not: zero is written until that is taken."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(3_000.0))
        await asyncio.sleep(4.0)
        setpoint = len(rig.line.written)
        rig.line.fates = after((0.0, fate), (0.0, fate))
        rig.latest = permit(4_000.0)
        assert await rig.port.write_permit(rig.latest) == ("rejected" if fate == "refused" else "silent")
        await rig.until(lambda: rig.told_w == 0.0)
        assert len(rig.line.written) > setpoint

    on(kind, test)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_man_is_believed_no_longer_than_it_is_read_back(kind: str) -> None:
    """A charger that restarts between two polls loses it: found out, set anew; no discharge until then."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(-5_000.0))
        await asyncio.sleep(1.0)
        rig.registers.memory.clear()
        rig.line.overlay = dict.fromkeys(dead_man_places(rig), 0x7B)
        await rig.until(lambda: not rig.state.dead_man_ok, within_s=RECHECK_S + 2.0)
        rig.latest = permit(0.0)
        assert await rig.port.write_permit(permit(-5_000.0)) == "rejected"
        rig.line.overlay = {}
        await rig.until(lambda: rig.state.dead_man_ok)

    on(kind, test)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nth", range(3))
def test_what_is_read_back_otherwise_is_no_dead_man(kind: str, nth: int) -> None:
    """Every register of it counts."""

    async def run() -> None:
        rig = Rig(kind)
        places = dead_man_places(rig)
        rig.line.overlay = {places[nth % len(places)]: 0x7B}
        await rig.until(lambda: rig.state.link.connected)
        await asyncio.sleep(3.0)
        assert not rig.state.dead_man_ok
        assert await rig.port.write_permit(permit(-5_000.0)) == "rejected"
        assert rig.told_w == 0.0
        await rig.close()

    with capture_logs():
        run_virtual(run())


def dead_man_places(rig: Rig) -> list[int]:
    """The registers of a charger's dead-man: watchdog; or reversion power, timer on, time."""
    if isinstance(rig.registers, SunSpecDer):
        return [rig.setpoint + 5, rig.setpoint + 8, rig.setpoint + 10]
    target = rig.registers.layout.command.watchdog
    assert target is not None
    return [target.address + CODES[target.type][1] - 1]


def test_a_discharge_that_may_not_be_given_ends_what_was_given_before() -> None:
    """The dead-man is gone: the charge of before is not what is permitted now."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(5_000.0))
        await asyncio.sleep(1.0)
        rig.port._dead_man = False
        assert await rig.port.write_permit(permit(-5_000.0)) == "rejected"
        rig.latest = permit(-5_000.0)
        await rig.until(lambda: rig.told_w == 0.0)

    on("generic-charger", test)


@pytest.mark.parametrize("kind", KINDS)
def test_proof_of_discharge_is_a_metered_discharge_after_the_command_was_taken(kind: str) -> None:
    """Neither a charge of the same size, nor too little, nor what flowed without a command that was taken."""

    async def test(rig: Rig) -> None:
        rig.obeys = False
        for flows_w, asked_w, proven in (
            (5_000.0, -5_000.0, False),
            (-2_400.0, -5_000.0, False),
            (-600.0, -900.0, False),
            (-5_000.0, 5_000.0, False),
            (-5_000.0, 0.0, False),
            (-2_600.0, -5_000.0, True),
        ):
            rig.power_w = flows_w
            rig.tick(permit(asked_w))
            await asyncio.sleep(4.0)
            assert rig.state.proven_discharge is proven, (flows_w, asked_w)

    on(kind, test)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_discharge_proves_nothing_though_power_flows_out(kind: str) -> None:
    async def test(rig: Rig) -> None:
        rig.obeys, rig.power_w = False, -5_000.0
        rig.line.refuses = rig.setpoint
        rig.tick(permit(-5_000.0))
        await asyncio.sleep(4.0)
        assert not rig.state.proven_discharge

    on(kind, test)


def test_no_heartbeat_without_a_permit_that_holds() -> None:
    """715 keeps a charger at its setpoint: not after the permit, nor after an absence."""

    async def test(rig: Rig) -> None:
        assert isinstance(rig.registers, SunSpecDer)
        rig.tick(permit(5_000.0, valid_for_s=10.0))
        await asyncio.sleep(5.0)
        assert rig.registers.beats >= 3
        await rig.until(lambda: rig.told_w == 0.0)
        beats = rig.registers.beats
        await asyncio.sleep(20.0)
        assert rig.registers.beats == beats

    on("sunspec", test)


@pytest.mark.parametrize("kind", KINDS)
def test_a_charger_that_is_gone_is_not_written_to_again_and_again(kind: str) -> None:
    """Others on its line need the time: its own watchdog ends what it does."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(5_000.0, valid_for_s=5.0))
        await asyncio.sleep(1.0)
        rig.line.fates = NEVER_TAKEN
        await rig.until(lambda: not rig.state.link.connected)
        asked = rig.line.asked
        await asyncio.sleep(40.0)
        assert rig.line.asked - asked <= 11

    on(kind, test)


@pytest.mark.parametrize("kind", KINDS)
def test_power_has_our_sign_whatever_the_charger_means(kind: str) -> None:
    async def test(rig: Rig) -> None:
        for power_w in (-4_000.0, 4_000.0):
            rig.tick(permit(power_w))
            await asyncio.sleep(5.0)
            power = rig.state.power_w
            assert isinstance(power, Reading)
            assert (rig.told_w, power.value) == (power_w, power_w)

    on(kind, test)


def test_a_write_that_was_cancelled_is_no_reason_to_keep_the_last_setpoint_for_ever() -> None:
    """The writer stops; the port lives on until the lines are closed: the lease of before ends."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(3_000.0, valid_for_s=20.0))
        await asyncio.sleep(1.0)
        rig.tick(permit(5_000.0, valid_for_s=20.0))
        await asyncio.sleep(0.0)
        await rig.writer.stop()
        await rig.until(lambda: rig.told_w == 0.0, within_s=25.0)

    on("generic-charger", test)


def test_what_is_silent_is_told_at_once_and_so_is_its_return() -> None:
    """Each wakes the tick: what is in force there may not be what is permitted."""

    async def test(rig: Rig) -> None:
        wakes = rig.wakes
        rig.line.fates = NEVER_TAKEN
        await rig.until(lambda: not rig.state.link.connected)
        assert rig.wakes == wakes + 1
        rig.line.fates = ALWAYS_TAKEN
        await rig.until(lambda: rig.state.link.connected)
        assert rig.wakes == wakes + 2

    on("generic-charger", test)


def test_the_heart_beats_once_a_second_however_often_is_polled_and_counts_up() -> None:
    async def test(rig: Rig) -> None:
        assert isinstance(rig.registers, SunSpecDer)
        at = rig.registers._starts[715] + 5
        rig.tick(permit(5_000.0))
        await asyncio.sleep(5.0)
        beats = [values[0] << 16 | values[1] for _, address, values in rig.line.written if address == at]
        assert 4 <= len(beats) <= 6
        assert beats == list(range(beats[0], beats[0] + len(beats)))

    on("sunspec", test, poll_s=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fate", "known"), [("refused", False), ("busy", True)])
def test_a_refused_reading_is_none_and_a_busy_charger_keeps_its_last(
    kind: str, fate: Fate, *, known: bool
) -> None:
    async def test(rig: Rig) -> None:
        await rig.until(lambda: isinstance(rig.state.power_w, Reading))
        rig.line.fates = itertools.repeat((0.0, fate))
        await asyncio.sleep(3.0)
        assert isinstance(rig.state.power_w, Reading) is known
        assert rig.state.link.connected

    on(kind, test)


def test_the_longest_watchdog_that_a_charger_can_is_one() -> None:
    async def test(rig: Rig) -> None:
        assert rig.state.dead_man_ok

    on("evtec-bidipro", test, watchdog_s=600.0)


@pytest.mark.parametrize("models", [(1, 701, 713), (1, 701)])
def test_a_device_that_cannot_be_commanded_is_no_charger(
    models: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SunSpecDer, "check_watchdog", lambda _: None)  # it has none

    async def run() -> None:
        rig = Rig("sunspec", models=models)
        await asyncio.sleep(10.0)
        assert rig.peer.link.connected
        assert not rig.state.dead_man_ok
        assert not isinstance(rig.state.power_w, Reading)
        assert await rig.port.write_permit(permit(0.0)) == "silent"
        assert [address for _, address, _ in rig.line.written] == []
        await rig.close()

    with capture_logs():
        run_virtual(run())


def test_the_second_plug_of_a_charger_has_its_own_registers() -> None:
    """Points, setpoint and start are shifted; what belongs to the whole charger is not."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(-4_000.0))
        await asyncio.sleep(2.0)
        power = rig.state.power_w
        assert isinstance(power, Reading)
        assert (rig.told_w, power.value) == (-4_000.0, -4_000.0)
        assert {address for _, address, _ in rig.line.written} == {42, 186, 188}
        rig.tick(permit(-5_000.0))
        await asyncio.sleep(2.0)
        assert [address for _, address, _ in rig.line.written].count(188) == 1, "started once"

    on("evtec-bidipro", test, channel=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_charger_that_cannot_be_set_up_is_not_tried_in_each_round(kind: str) -> None:
    async def run() -> None:
        rig = Rig(kind)
        rig.line.overlay = dict.fromkeys(dead_man_places(rig), 0x7B)
        await asyncio.sleep(31.0)
        first = rig.line.written[0][1]
        assert 6 <= sum(address == first for _, address, _ in rig.line.written) <= 8
        await rig.close()

    with capture_logs():
        run_virtual(run())


@pytest.mark.parametrize(("dead_man", "contactor"), [(False, False), (True, False), (False, True)])
def test_what_stands_in_the_way_of_discharge_is_part_of_what_is_said(
    *, dead_man: bool, contactor: bool
) -> None:
    """So that the writer says a permit again when that has changed."""

    async def test(rig: Rig) -> None:
        rig.port._dead_man = dead_man
        assert rig.port.says(permit(-5_000.0)).terms[0] == (dead_man or contactor)

    on("generic-charger", test, contactor=contactor)


@pytest.mark.parametrize("kind", ["generic-charger", "sunspec"])
def test_a_vehicle_comes_and_goes(kind: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.state.vehicle is not None)
        rig.shown = {"connected": 0.0, "state": 0.0, "connection": 0.0}
        await rig.until(lambda: rig.state.vehicle is None)
        assert rig.state.status == "available"
        rig.shown = {}
        await rig.until(lambda: rig.state.vehicle is not None)

    on(kind, test)


def test_start_and_stop_are_written_when_they_change_and_the_setpoint_each_time() -> None:
    async def test(rig: Rig) -> None:
        def switched() -> list[int]:
            return [values[0] for _, address, values in rig.line.written if address == 257]

        rig.tick(permit(5_000.0))
        await asyncio.sleep(30.0)
        assert switched() == [1]
        assert rig.setpoints() > 3
        rig.tick(permit(0.0))
        await asyncio.sleep(5.0)
        assert switched() == [1, 2]
        rig.line.fates = after((0.0, "busy"))
        assert await rig.port.write_permit(permit(0.0)) == "silent"
        assert await rig.port.write_permit(permit(0.0)) == "accepted"
        assert switched() == [1, 2, 2], "after a write that failed it is not known any more"

    on("quasar1", test)


@pytest.mark.parametrize(("exponent", "factor"), [(0, 1.0), (1, 10.0), (-1, 0.1)])
def test_a_setpoint_has_the_scale_that_the_charger_says(
    exponent: int, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FACTORS, 704, {"WSet_SF": exponent})

    async def test(rig: Rig) -> None:
        rig.latest = permit(70_000.0)
        assert await rig.port.write_permit(permit(7_000.0)) == "accepted"
        assert rig.told_w * factor == pytest.approx(7_000.0)

    on("sunspec", test)


def test_without_a_dead_man_the_setpoint_is_not_repeated() -> None:
    """Nothing is fed by it, and a charger's memory wears."""

    async def test(rig: Rig) -> None:
        rig.port._dead_man, rig.port.has_dead_man = False, False
        rig.tick(permit(5_000.0, valid_for_s=300.0))
        await asyncio.sleep(60.0)
        assert rig.setpoints() == 1

    on("generic-charger", test)


def test_a_charger_without_a_watchdog_is_set_up_again_after_an_absence() -> None:
    """Remote control may be off again."""

    async def test(rig: Rig) -> None:
        rig.port.has_dead_man = False
        setups = [address for _, address, _ in rig.line.written].count(20)
        rig.line.fates = NEVER_TAKEN
        await rig.until(lambda: not rig.state.link.connected)
        rig.line.fates = ALWAYS_TAKEN
        await rig.until(lambda: rig.state.link.connected)
        await asyncio.sleep(8.0)
        assert [address for _, address, _ in rig.line.written].count(20) == setups + 1

    on("generic-charger", test)


def test_a_watchdog_that_rounds_to_nothing_is_never_written_and_is_no_dead_man() -> None:
    """0 means "never" on every charger known."""

    async def run() -> None:
        rig = Rig("generic-charger", watchdog_s=0.4)
        await rig.until(lambda: rig.state.link.connected)
        await asyncio.sleep(12.0)
        assert not rig.state.dead_man_ok
        assert [values for _, address, values in rig.line.written if address == 24] == []
        await rig.close()

    with capture_logs():
        run_virtual(run())


def test_after_an_absence_a_charger_is_started_again() -> None:
    """It may have restarted: whether it runs is not known."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(5_000.0))
        await asyncio.sleep(3.0)
        rig.line.fates = NEVER_TAKEN
        await rig.until(lambda: not rig.state.link.connected)
        rig.line.fates = ALWAYS_TAKEN
        await rig.until(lambda: rig.state.dead_man_ok)
        rig.tick(permit(5_000.0))
        await asyncio.sleep(3.0)
        assert [values[0] for _, address, values in rig.line.written if address == 257] == [1, 1]

    on("quasar1", test)


def test_after_a_permit_has_run_out_a_raise_lets_the_charger_settle() -> None:
    """What was written last is zero: more than that is no step towards it."""

    async def test(rig: Rig) -> None:
        rig.tick(permit(5_000.0, valid_for_s=5.0))
        await rig.until(lambda: rig.told_w == 0.0 and rig.setpoints() > 1)
        rig.tick(permit(3_000.0))
        await asyncio.sleep(0.5)
        assert rig.told_w == 0.0
        await asyncio.sleep(3.0)
        assert rig.told_w == 3_000.0

    on("quasar1", test)


def test_a_power_that_cannot_flow_at_its_outlet_is_unknown_and_proves_nothing() -> None:
    """A register without a value: -2,147 MW is no discharge."""

    async def test(rig: Rig) -> None:
        rig.obeys, rig.power_w, rig.port.most_w = False, -2_000_000.0, 55_000.0
        rig.tick(permit(-5_000.0))
        await asyncio.sleep(4.0)
        assert not rig.state.proven_discharge
        assert isinstance(rig.state.power_w, Unknown)
        assert "cannot flow there" in rig.state.power_w.why

    on("generic-charger", test)
