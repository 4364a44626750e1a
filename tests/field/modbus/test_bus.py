"""Meter and contact over real sockets: values, faults, and independence of one device from another."""

import asyncio

import pytest

from sim.modbus.devices import MeterTruth, SunSpecMeter
from sim.modbus.server import Fault, FaultKind, ModbusServer, Unit
from tests.field.modbus.conftest import SITE, Bench, RealClock
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.settings import ModbusDevice, ModbusLine

VIRTUAL = True


@pytest.mark.parametrize("model", [203, 213])
async def test_a_meter_reads_what_is_there(bench: Bench, model: int) -> None:
    bench.meter.registers = SunSpecMeter(lambda: bench.truth, model=model)
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    state = bench.board.meter("grid")
    found = [
        m.value
        for m in (state.power_w, *state.phase_power_w, *state.phase_voltage_v, state.frequency_hz)
        if isinstance(m, Reading)
    ]
    assert found == pytest.approx([2_500.0, 1_000.0, 2_000.0, -500.0, 229.9, 230.4, 231.0, 50.01], rel=1e-6)
    energies = [m.value for m in (state.energy_import_wh, state.energy_export_wh) if isinstance(m, Reading)]
    assert energies == pytest.approx([123_450.0, 6_780.0])
    assert state.link.connected


async def test_invert_turns_power_and_swaps_the_energies(bench: Bench) -> None:
    await bench.run(ModbusDevice("m", "line", "meter", "grid", "sunspec", unit=1, poll_s=0.01, invert=True))
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    state = bench.board.meter("grid")
    assert isinstance(state.power_w, Reading)
    assert state.power_w.value == -2_500.0
    assert isinstance(state.phase_power_w[2], Reading)
    assert state.phase_power_w[2].value == 500.0
    assert isinstance(state.energy_import_wh, Reading)
    assert state.energy_import_wh.value == pytest.approx(6_780.0)


async def test_a_sample_is_as_old_as_its_question(bench: Bench) -> None:
    """A reply that took 50 ms carries the time before the request: the value may be that old."""
    bench.meter.inject_fault(Fault("slow", delay_s=0.05))
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    state = bench.board.meter("grid")
    assert isinstance(state.power_w, Reading)
    assert state.link.last_seen_s - state.power_w.at_s >= 0.049


async def test_an_opening_contact_wakes_the_tick_within_a_poll(bench: Bench) -> None:
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.contact("relay").closed, Reading))
    wakes = bench.wakes
    bench.inputs[3] = False
    await bench.until(lambda: bench.wakes > wakes, within_s=0.5)
    closed = bench.board.contact("relay").closed
    assert isinstance(closed, Reading)
    assert closed.value == 0.0


@pytest.mark.parametrize("map_name", ["relay", "discrete-input", "coil", "holding-bit", "input-bit"])
@pytest.mark.parametrize("invert", [False, True])
async def test_a_contact_can_sit_on_any_kind_of_bit(bench: Bench, map_name: str, *, invert: bool) -> None:
    bench.inputs = [index == 5 for index in range(16)]
    await bench.run(
        ModbusDevice("r", "line", "contact", "relay", map_name, unit=2, poll_s=0.01, channel=5, invert=invert)
    )
    await bench.until(lambda: isinstance(bench.board.contact("relay").closed, Reading))
    closed = bench.board.contact("relay").closed
    assert isinstance(closed, Reading)
    assert closed.value == float(not invert)


@pytest.mark.parametrize("kind", ["nan", "exception"])
async def test_a_meter_without_sense_is_unknown(bench: Bench, kind: FaultKind) -> None:
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    bench.meter.inject_fault(Fault(kind))
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Unknown))
    assert isinstance(bench.board.meter("grid").frequency_hz, Unknown)
    bench.meter.inject_fault(Fault())
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))


async def test_swapped_words_are_seen_by_their_range(bench: Bench) -> None:
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    bench.meter.inject_fault(Fault("swapped"))
    await bench.until(lambda: isinstance(bench.board.meter("grid").frequency_hz, Unknown))


@pytest.mark.parametrize("kind", ["silent", "reset"])
async def test_a_silent_meter_grows_old_and_comes_back(bench: Bench, kind: FaultKind) -> None:
    """The last value keeps the time of its sample; the link says that nobody answers; recovery needs no
    help.
    """
    await bench.run(timeout_s=0.05)
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    bench.meter.inject_fault(Fault(kind))
    await bench.until(lambda: not bench.board.meter("grid").link.connected)
    before = bench.board.meter("grid").power_w
    assert isinstance(before, Reading)
    assert bench.board.meter("grid").link.loss_pct > 0.0
    bench.meter.inject_fault(Fault())
    await bench.until(lambda: bench.board.meter("grid").link.connected)
    await bench.until(lambda: bench.board.meter("grid").power_w != before)


async def test_a_stuck_meter_counts_its_repeats(bench: Bench) -> None:
    await bench.run()
    await bench.until(lambda: bench.board.meter("grid").repeats >= 10)
    bench.truth = MeterTruth((1.0, 2.0, 3.0), (230.0, 230.0, 230.0), 50.0)
    await bench.until(lambda: bench.board.meter("grid").repeats < 10)


async def test_garbage_never_ends_the_polling(bench: Bench) -> None:
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))
    bench.meter.inject_fault(Fault("garbage", seed=3))
    bench.relay.inject_fault(Fault("garbage", seed=4))
    reads = bench.meter.reads
    await bench.until(lambda: bench.meter.reads > reads + 30)
    bench.meter.inject_fault(Fault())
    bench.relay.inject_fault(Fault())
    await bench.until(lambda: isinstance(bench.board.meter("grid").power_w, Reading))


async def test_a_dead_device_does_not_delay_another(bench: Bench) -> None:
    """The meter is silent with a 0.5 s deadline; the relay on the same endpoint keeps its 10 ms."""
    bench.meter.inject_fault(Fault("silent"))
    await bench.run(timeout_s=0.5)
    await bench.until(lambda: bench.relay.reads > 5)
    loop = asyncio.get_running_loop()
    start_s, reads = loop.time(), bench.relay.reads
    await bench.until(lambda: bench.relay.reads >= reads + 40)
    assert loop.time() - start_s < 1.0


async def test_an_endpoint_that_is_not_there_is_asked_again() -> None:
    """Connection refused at first; the device appears later and is found without a restart."""
    bench = Bench()
    await bench.server.start()
    port = bench.server.port
    await bench.server.stop()
    line = ModbusLine("line", host="127.0.0.1", port=port, timeout_s=0.2)
    field = ModbusField((line,), bench.devices(), SITE, bench.board, RealClock())
    await field.start()
    await bench.until(lambda: field.peers["m"].requests >= 2)
    assert not bench.board.meter("grid").link.ever_seen
    server = ModbusServer([bench.meter, bench.relay], port=port)
    await server.start()
    await bench.until(lambda: bench.board.meter("grid").link.connected, within_s=8.0)
    await field.stop()
    await server.stop()


async def test_a_device_without_a_meter_model_is_named(bench: Bench) -> None:
    bench.meter.registers = SunSpecMeter(lambda: bench.truth, model=213)
    await bench.run(ModbusDevice("m", "line", "meter", "grid", "sunspec", unit=2, poll_s=0.01))
    await bench.until(
        lambda: isinstance(bench.board.meter("grid").power_w, Unknown) and bench.relay.reads == 0
    )
    await bench.until(lambda: "illegal address" in getattr(bench.board.meter("grid").power_w, "why", ""))


def test_unknown_maps_are_refused_at_start() -> None:
    line = ModbusLine("line", host="127.0.0.1")
    device = ModbusDevice("x", "line", "contact", "relay", "no-such-map")
    with pytest.raises(ValueError, match=r"device x.*no-such-map"):
        ModbusField((line,), (device,), SITE, Bench().board, RealClock())


async def test_stopping_twice_and_starting_again_is_fine(bench: Bench) -> None:
    field = await bench.run()
    await bench.until(lambda: bench.board.meter("grid").link.connected)
    await field.stop()
    await field.stop()
    reads = bench.meter.reads
    await field.start()
    await bench.until(lambda: bench.meter.reads > reads)


def test_units_share_the_simulated_endpoint() -> None:
    assert Unit(1, SunSpecMeter(lambda: Bench().truth)).device().id == 1


async def test_a_contact_is_as_old_as_its_question_and_a_refused_one_is_unknown(bench: Bench) -> None:
    bench.relay.inject_fault(Fault("slow", delay_s=0.05))
    await bench.run()
    await bench.until(lambda: isinstance(bench.board.contact("relay").closed, Reading))
    state = bench.board.contact("relay")
    assert isinstance(state.closed, Reading)
    assert state.link.last_seen_s - state.closed.at_s >= 0.049
    bench.relay.inject_fault(Fault("exception", code=2))
    await bench.until(lambda: not isinstance(bench.board.contact("relay").closed, Reading))
    assert bench.board.contact("relay").link.connected
