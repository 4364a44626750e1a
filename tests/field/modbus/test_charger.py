"""Chargers by register: the sign is turned right, the watchdog is set and read back, and without one
nothing discharges.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sim.modbus.mapped import MappedCharger, WatchdogRelay
from sim.modbus.server import Fault, ModbusServer, Unit
from tests.depot import BUS
from tests.field.modbus.conftest import SITE, RealClock, until
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.modbus.charger import setpoint_writes
from v2g_edge.field.modbus.map_parser import available_maps, load_map
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import ModbusDevice, ModbusLine
from v2g_edge.model.site import Evse, Site, Vehicle

CHARGERS = sorted(map_id for map_id in available_maps() if load_map(map_id).kind == "charger")
WITH_WATCHDOG = [map_id for map_id in CHARGERS if load_map(map_id).command.watchdog is not None]
WITHOUT = [map_id for map_id in CHARGERS if map_id not in WITH_WATCHDOG]


VIRTUAL = True


def evse(contactor: str = "") -> Evse:
    return Evse(
        "e1",
        "main",
        11_000.0,
        11_000.0,
        1_380.0,
        0.0,
        "L1L2L3",
        "modbus_watchdog",
        "register",
        contactor=contactor,
    )


def permit(power_w: float, valid_for_s: float = 30.0) -> Permit:
    bound = Bound(-11_000.0, 11_000.0, "wish", "test")
    return Permit("e1", power_w, -11_000.0, 11_000.0, valid_for_s, True, power_w, bound)


class Stand:
    """One simulated charger: the power that it was told is the power that it measures."""

    def __init__(
        self, map_id: str, *, contactor: str = "", relay_map: str = "", watchdog_s: float = 5.0
    ) -> None:
        self.site: Site = replace(SITE, evses=(evse(contactor),))
        self.power_w = 0.0
        self.state = 1.0
        self.soc_pct = 64.0
        self.layout = layout = load_map(map_id)
        channel = layout.first_channel
        self.charger = MappedCharger(
            layout, self._values, self._apply, lambda: asyncio.get_running_loop().time(), channel=channel
        )
        self.unit = Unit(1, self.charger)
        relay = WatchdogRelay(lambda: asyncio.get_running_loop().time())
        self.server = ModbusServer([self.unit, Unit(9, relay)])
        self.relay = ModbusDevice("k", "line", "contactor", "k1", relay_map, unit=9, poll_s=0.5)
        self.board = Board(self.site, lambda: None)
        poll_s = max(0.02, layout.least_poll_s and 1.0)
        self.device = ModbusDevice(
            "c", "line", "charger", "e1", map_id, poll_s=poll_s, channel=channel, watchdog_s=watchdog_s
        )

    def _apply(self, power_w: float) -> None:
        self.power_w = power_w

    def _values(self) -> dict[str, float]:
        found = {"power_w": self.power_w, "state": self.state, "soc_pct": self.soc_pct, "connected": 1.0}
        names = {field.name for block in self.layout.blocks for field in block.fields}
        return {name: value for name, value in found.items() if name in names}

    async def start(self) -> ModbusField:
        await self.server.start()
        line = ModbusLine("line", host="127.0.0.1", port=self.server.port, timeout_s=0.2)
        field = ModbusField(
            (line,),
            (self.device, *([self.relay] if self.relay.map else [])),
            self.site,
            self.board,
            RealClock(),
        )
        await field.start()
        return field

    async def until(self, condition: Callable[[], bool], within_s: float = 60.0) -> None:
        await until(condition, within_s)


@pytest.fixture
async def started() -> AsyncIterator[Callable[[Stand], "asyncio.Future[ModbusField]"]]:
    """Starts stands, and stops them at the end."""
    running: list[tuple[Stand, ModbusField]] = []

    async def start(stand: Stand) -> ModbusField:
        field = await stand.start()
        running.append((stand, field))
        return field

    yield lambda stand: asyncio.ensure_future(start(stand))
    for stand, field in running:
        await field.stop()
        await stand.server.stop()


Start = Callable[[Stand], "asyncio.Future[ModbusField]"]


@pytest.mark.parametrize("map_id", CHARGERS)
@given(power_w=st.floats(-7_400.0, 7_400.0))
def test_the_charger_gets_the_sign_that_it_means(map_id: str, power_w: float) -> None:
    """Whatever we write, the charger (its register convention, from the map's source) takes it in the
    direction we meant.
    """
    layout = load_map(map_id)
    asked: list[float] = []
    charger = MappedCharger(layout, dict, asked.append, lambda: 0.0, channel=layout.first_channel)
    for write in setpoint_writes(layout.command, power_w, 0):
        charger.written(write.address, write.registers)
    expected = 0.0 if 0.0 < power_w < layout.command.min_charge_w else power_w
    assert asked[-1] == pytest.approx(expected, abs=0.51)


def test_ambicharge_charges_with_a_negative_register() -> None:
    """Golden, apart from the simulator: +5000 W into the vehicle is −5000 in holding 3000 (evcc facts)."""
    (write,) = setpoint_writes(load_map("ambicharge").command, 5_000.0, 0)
    assert (write.function, write.address, write.registers) == (16, 3000, [0xFFFF, 0x10000 - 5_000])


def test_quasar_discharges_with_a_negative_register() -> None:
    """Golden: −3700 W is −3700 in 260, then action 1 in 257 (V2G-liberty)."""
    writes = setpoint_writes(load_map("quasar1").command, -3_700.0, 0)
    assert [(w.function, w.address, w.registers) for w in writes] == [
        (6, 260, [0x10000 - 3_700]),
        (6, 257, [1]),
    ]


def test_sigenergy_never_gets_a_charge_limit_of_zero() -> None:
    for power_w in (0.0, 100.0, -3_000.0, 3_000.0):
        for write in setpoint_writes(load_map("sigenergy-evdc").command, power_w, 0):
            assert not (write.address == 41002 and write.registers == [0, 0])


@pytest.mark.parametrize("map_id", WITH_WATCHDOG)
async def test_with_its_watchdog_read_back_it_discharges_and_is_proven(map_id: str, started: Start) -> None:
    stand = Stand(map_id)
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").dead_man_ok)
    assert stand.charger.watchdog_s == 5.0
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == "accepted"
    assert stand.power_w == -5_000.0
    await stand.until(lambda: stand.board.evse("e1").proven_discharge)
    state = stand.board.evse("e1")
    assert isinstance(state.power_w, Reading)
    assert state.power_w.value == pytest.approx(-5_000.0)
    assert state.vehicle is not None
    assert isinstance(state.vehicle.soc_pct, Reading)
    assert state.vehicle.soc_pct.value == pytest.approx(64.0)


@pytest.mark.parametrize("map_id", WITHOUT)
async def test_without_a_watchdog_it_charges_but_never_discharges(map_id: str, started: Start) -> None:
    stand = Stand(map_id)
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").link.connected)
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == "rejected"
    assert stand.power_w == 0.0
    assert await field.ports["e1"].write_permit(permit(5_000.0)) == "accepted"
    assert stand.power_w == 5_000.0
    assert not stand.board.evse("e1").dead_man_ok


@pytest.mark.parametrize("map_id", WITHOUT)
@pytest.mark.parametrize(("relay_map", "proven"), [("watchdog-relay", True), ("contactor", False)])
async def test_a_contactor_with_a_time_out_makes_up_for_the_watchdog(
    map_id: str, relay_map: str, started: Start, *, proven: bool
) -> None:
    """Once the relay's time-out was read back it discharges; a plain coil behind it is no dead-man."""
    stand = Stand(map_id, contactor="k1", relay_map=relay_map)
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").link.connected)
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == "rejected"
    await field.feed()
    assert field.contactor_proven("k1") is proven
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == ("accepted" if proven else "rejected")
    assert stand.power_w == (-5_000.0 if proven else 0.0)
    if proven:
        await stand.until(lambda: stand.board.evse("e1").dead_man_ok)


async def test_a_watchdog_that_is_not_taken_is_no_dead_man(started: Start) -> None:
    """The write is confirmed, the read-back shows the old value: no discharge."""
    stand = Stand("quasar1")
    stand.charger.ignores_watchdog = True
    field = await started(stand)
    await stand.until(lambda: stand.unit.writes >= 4)
    assert not stand.board.evse("e1").dead_man_ok
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == "rejected"


async def test_a_watchdog_beyond_what_the_charger_can_is_no_dead_man(started: Start) -> None:
    stand = Stand("evtec-bidipro", watchdog_s=900.0)
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").link.connected)
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == "rejected"


async def test_the_setpoint_is_repeated_while_the_permit_holds_and_ended_when_it_runs_out(
    started: Start,
) -> None:
    """Watchdog 0.6 s, permit 1.5 s, no renewal: discharge lives beyond the watchdog, and ends with the
    permit.
    """
    stand = Stand("generic-charger", watchdog_s=1.0)
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").dead_man_ok)
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    assert await field.ports["e1"].write_permit(permit(-5_000.0, valid_for_s=1.6)) == "accepted"
    await stand.until(lambda: stand.power_w == 0.0)
    assert 1.5 < loop.time() - start_s < 2.2
    assert not stand.charger.expired  # it was told zero, before its own watchdog


async def test_the_daemon_dies_and_the_watchdog_ends_the_discharge(started: Start) -> None:
    stand = Stand("generic-charger", watchdog_s=1.0)
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").dead_man_ok)
    await field.ports["e1"].write_permit(permit(-5_000.0))
    await field.stop()
    await asyncio.sleep(1.1)
    stand.charger.refresh(3, 0, [0] * 64)
    assert stand.charger.expired
    assert stand.power_w == 0.0


async def test_a_charger_that_restarts_is_set_up_again(started: Start) -> None:
    """Silence takes the dead-man away; back again, remote control and watchdog are written anew."""
    stand = Stand("generic-charger")
    await started(stand)
    await stand.until(lambda: stand.board.evse("e1").dead_man_ok)
    stand.unit.inject_fault(Fault("silent"))
    await stand.until(lambda: not stand.board.evse("e1").link.connected)
    assert not stand.board.evse("e1").dead_man_ok
    stand.charger.memory.clear()
    stand.unit.inject_fault(Fault())
    await stand.until(lambda: stand.board.evse("e1").dead_man_ok, within_s=12.0)
    assert stand.charger.memory[20] == 1


async def test_a_silent_charger_answers_silent_and_a_refusing_one_rejected(started: Start) -> None:
    stand = Stand("generic-charger")
    field = await started(stand)
    await stand.until(lambda: stand.board.evse("e1").dead_man_ok)
    stand.unit.inject_fault(Fault("exception", code=3))
    assert await field.ports["e1"].write_permit(permit(3_000.0)) == "rejected"
    stand.unit.inject_fault(Fault("silent"))
    assert await field.ports["e1"].write_permit(permit(3_000.0)) == "silent"


async def test_a_faulted_state_is_told(started: Start) -> None:
    stand = Stand("quasar1")
    stand.state = 7.0
    await started(stand)
    await stand.until(lambda: stand.board.evse("e1").status == "faulted")
    assert stand.board.evse("e1").fault == "state 7"


async def test_a_glitch_of_the_state_of_charge_is_not_believed(started: Start) -> None:
    """64 % cannot become 12 % between two polls: the last value stays and grows old; a percent more is
    taken.
    """
    stand = Stand("generic-charger")
    field = await started(stand)
    await stand.until(
        lambda: (v := stand.board.evse("e1").vehicle) is not None and isinstance(v.soc_pct, Reading)
    )
    stand.soc_pct = 12.0
    requests = field.peers["c"].requests
    await stand.until(lambda: field.peers["c"].requests > requests + 5)
    assert soc(stand) == pytest.approx(64.0)
    stand.soc_pct = 65.0
    await stand.until(lambda: soc(stand) == pytest.approx(65.0))


def soc(stand: Stand) -> float:
    """The state of charge on the board; the test fails without one."""
    vehicle = stand.board.evse("e1").vehicle
    assert vehicle is not None
    assert isinstance(vehicle.soc_pct, Reading)
    return vehicle.soc_pct.value


async def test_a_state_of_charge_that_is_known_only_while_power_flows_stays_and_grows_old(
    started: Start,
) -> None:
    """A Quasar says 0 when it is idle: that is no news, and no reason to forget what it said a moment ago."""
    stand = Stand("quasar1")
    field = await started(stand)
    await stand.until(
        lambda: (v := stand.board.evse("e1").vehicle) is not None and isinstance(v.soc_pct, Reading)
    )
    stand.soc_pct = 0.0
    requests = field.peers["c"].requests
    await stand.until(lambda: field.peers["c"].requests > requests + 6)
    vehicle = stand.board.evse("e1").vehicle
    assert vehicle is not None
    stopped_s = RealClock().now_s()
    assert soc(stand) == pytest.approx(64.0)
    assert isinstance(vehicle.soc_pct, Reading)
    assert vehicle.soc_pct.at_s < stopped_s
    await stand.until(lambda: field.peers["c"].requests > requests + 12)
    assert stand.board.evse("e1").vehicle == vehicle


@pytest.mark.parametrize(
    ("stands_there", "gives_w"), [("car-1", 6_000.0), ("car-2", 11_000.0), ("stranger", None), ("", None)]
)
async def test_what_a_vehicle_gives_is_told_by_its_type_and_the_outlet(
    started: Start, stands_there: str, gives_w: float | None
) -> None:
    """No register of a Quasar tells it; without it nothing would ever be fed back. Whoever is not known
    gives nothing.
    """
    stand = Stand("quasar1")
    weak, strong = (
        replace(BUS, id="weak", max_discharge_w=6_000.0),
        replace(BUS, id="strong", max_discharge_w=50_000.0),
    )
    vehicles = (Vehicle("car-1", "weak", True), Vehicle("car-2", "strong", True))
    stand.site = replace(stand.site, vehicle_types=(weak, strong), vehicles=vehicles)
    stand.device = replace(stand.device, vehicle=stands_there)
    await started(stand)
    await stand.until(lambda: stand.board.evse("e1").vehicle is not None)
    vehicle = stand.board.evse("e1").vehicle
    assert vehicle is not None
    found = vehicle.max_discharge_w
    assert (found.value if isinstance(found, Reading) else None) == gives_w
