"""A SunSpec DER charger: sign, reversion timer, heartbeat, and the audit of its grid code, against
pysunspec2's own models.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sunspec2.device import Model

from sim.modbus.der import SunSpecDer, curve
from sim.modbus.server import Fault, ModbusServer, Unit
from tests.field.modbus.conftest import SITE, RealClock, until
from tests.field.modbus.test_charger import evse, permit
from v2g_edge.field.board import Board
from v2g_edge.field.modbus import der
from v2g_edge.field.modbus.audit import audit
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.modbus.codec import encode
from v2g_edge.model.gridcode import Element, EnterService, GridCode
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import ModbusDevice, ModbusLine

SPAN = (0.0, 1000.0)
ENTER = EnterService(
    0.917, 1.05, 59.5, 60.1, 300.0, 300.0, 0.0, SPAN, SPAN, SPAN, SPAN, SPAN, SPAN, SPAN, "test"
)
CODE = GridCode(
    name="test III",
    edition="test",
    nominal_hz=60.0,
    status="verified",
    source="IEEE 1547-2018 category III defaults",
    elements=(
        Element("uv1", "voltage_low", 0.88, 21.0, SPAN, SPAN, "t"),
        Element("uv2", "voltage_low", 0.50, 2.0, SPAN, SPAN, "t"),
        Element("ov1", "voltage_high", 1.10, 13.0, SPAN, SPAN, "t"),
        Element("uf1", "frequency_low", 58.5, 300.0, SPAN, SPAN, "t"),
    ),
    enter_service=ENTER,
)
GOOD = {707: [(0.5, 2.0), (0.88, 21.0)], 708: [(1.1, 13.0), (1.2, 0.16)], 709: [(58.5, 300.0), (56.5, 0.16)]}
WRONG = {707: [(0.5, 2.0), (0.80, 21.0)]}


VIRTUAL = True


def enter_service(delay_s: int = 300) -> Model:
    model = Model(703)
    values = {
        "ES": 1,
        "ESVHi": 1050,
        "ESVLo": 917,
        "ESHzHi": 6010,
        "ESHzLo": 5950,
        "ESDlyTms": delay_s,
        "V_SF": -1,
        "Hz_SF": -2,
    }
    for name, value in values.items():
        model.points[name].value = value
    return model


class Stand:
    """One simulated DER charger and its field."""

    def __init__(
        self, *, grid_code: Sequence[Model] = (), watchdog_s: float = 3.0, profile: GridCode | None = CODE
    ) -> None:
        self.power_w = 0.0
        self.site = replace(SITE, evses=(evse(),), grid=replace(SITE.grid, profile=profile))
        self.der = SunSpecDer(
            self._values, self._apply, lambda: asyncio.get_running_loop().time(), grid_code=grid_code
        )
        self.unit = Unit(1, self.der)
        self.server = ModbusServer([self.unit])
        self.board = Board(self.site, lambda: None)
        self.device = ModbusDevice(
            "c", "line", "charger", "e1", "sunspec", poll_s=0.02, watchdog_s=watchdog_s
        )

    def _apply(self, power_w: float) -> None:
        self.power_w = power_w

    def _values(self) -> dict[str, float]:
        return {"power_w": self.power_w, "soc_pct": 64.0}

    async def start(self) -> ModbusField:
        await self.server.start()
        line = ModbusLine("line", host="127.0.0.1", port=self.server.port, timeout_s=0.2)
        self.field = ModbusField((line,), (self.device,), self.site, self.board, RealClock())
        await self.field.start()
        return self.field


Made = Callable[..., Stand]


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    stands: list[Stand] = []

    def make(**options: object) -> Stand:
        stands.append(Stand(**options))  # type: ignore[arg-type]
        return stands[-1]

    yield make
    for stand in stands:
        await stand.field.stop()
        await stand.server.stop()


async def test_reversion_is_set_and_read_back_and_the_sign_is_turned(made: Made) -> None:
    stand = made()
    field = await stand.start()
    await until(lambda: stand.board.evse("e1").dead_man_ok)
    assert await field.ports["e1"].write_permit(permit(-5_000.0)) == "accepted"
    assert stand.power_w == -5_000.0
    await until(lambda: stand.board.evse("e1").proven_discharge)
    power = stand.board.evse("e1").power_w
    assert isinstance(power, Reading)
    assert power.value == -5_000.0
    assert stand.board.evse("e1").status == "occupied"


@given(power_w=st.integers(-30_000, 30_000))
def test_into_the_vehicle_is_negative_injection(power_w: int) -> None:
    """Both ways: our sign is written negated, and what pysunspec2 reads as W comes back in ours."""
    model = Model(704)
    model.points["WSet_SF"].value = 0
    words = encode(-power_w, "i32")
    model.points["WSet"].set_mb(b"".join(word.to_bytes(2, "big") for word in words))
    assert model.points["WSet"].cvalue == -power_w


async def test_the_heartbeat_beats_only_while_a_permit_holds(made: Made) -> None:
    stand = made()
    field = await stand.start()
    await until(lambda: stand.board.evse("e1").dead_man_ok)
    await asyncio.sleep(0.3)
    assert stand.der.beats == 0
    await field.ports["e1"].write_permit(permit(-5_000.0, valid_for_s=1.5))
    await until(lambda: stand.der.beats >= 2)
    await until(lambda: stand.power_w == 0.0)
    beats = stand.der.beats
    await asyncio.sleep(1.2)
    assert stand.der.beats == beats


async def test_the_daemon_dies_and_the_reversion_timer_ends_the_discharge(made: Made) -> None:
    stand = made(watchdog_s=1.0)
    field = await stand.start()
    await until(lambda: stand.board.evse("e1").dead_man_ok)
    await field.ports["e1"].write_permit(permit(-5_000.0))
    await field.stop()
    await asyncio.sleep(1.2)
    stand.der.refresh(3, 40000, [0] * 1000)
    assert stand.der.expired
    assert stand.power_w == 0.0


@pytest.mark.parametrize("chunk", [120, 7])
async def test_an_agreeing_grid_code_lets_it_export(
    made: Made, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a model is longer than one read."""
    monkeypatch.setattr(der, "MAX_CHUNK", chunk)
    models = [enter_service(), *(curve(model, corners) for model, corners in GOOD.items())]
    stand = made(grid_code=models)
    await stand.start()
    await until(lambda: stand.board.evse("e1").dead_man_ok)
    assert stand.board.evse("e1").grid_code_ok
    assert not any(address < 40000 for address in stand.der.memory)


@pytest.mark.parametrize("models", [[curve(707, WRONG[707])], [enter_service(delay_s=30)]])
async def test_a_differing_grid_code_denies_export(made: Made, models: list[Model]) -> None:
    stand = made(grid_code=models)
    await stand.start()
    await until(lambda: not stand.board.evse("e1").grid_code_ok)
    await until(lambda: stand.board.evse("e1").dead_man_ok)
    written = set(stand.der.memory)
    audited = range(stand.der._starts[models[0].model_id], 50_000)
    assert written.isdisjoint(audited), "settings of the grid code are never written"


def test_the_audit_names_element_and_value() -> None:
    problems = audit(707, Model(707, data=curve(707, WRONG[707]).get_mb(), model_len=27), CODE)
    assert problems == ["707 has no corner at 0.88 pu, 21 s (uv1)"]
    assert audit(703, enter_service(delay_s=30), CODE) == ["703 ESDlyTms is 30 s, 300 s is wanted"]
    disabled = curve(709, GOOD[709])
    disabled.points["Ena"].value = 0
    assert audit(709, disabled, CODE) == ["709 frequency_low trip is not enabled"]
    assert audit(709, curve(709, GOOD[709]), CODE) == []


async def test_refusals_and_silence_are_told_apart(made: Made) -> None:
    stand = made()
    field = await stand.start()
    await until(lambda: stand.board.evse("e1").dead_man_ok)
    stand.unit.inject_fault(Fault("exception", code=3))
    assert await field.ports["e1"].write_permit(permit(3_000.0)) == "rejected"
    stand.unit.inject_fault(Fault("silent"))
    assert await field.ports["e1"].write_permit(permit(3_000.0)) == "silent"


async def test_before_it_was_found_nothing_is_accepted(made: Made) -> None:
    stand = made()
    stand.unit.inject_fault(Fault("silent"))
    field = await stand.start()
    assert await field.ports["e1"].write_permit(permit(3_000.0)) == "silent"
    assert await field.ports["e1"].write_permit(permit(-3_000.0)) == "rejected"
