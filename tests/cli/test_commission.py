"""`v2g-edge commission` on simulated sites, in virtual time: rotated phases and a reversed CT are found
and written down.
"""

import argparse
import asyncio
import random
from pathlib import Path

import pytest
import tomli
from msgspec.structs import replace

from sim.modbus.devices import Inputs, MeterTruth, SunSpecMeter
from sim.modbus.mapped import MappedCharger
from sim.modbus.server import ModbusServer, Unit
from sim.virtual.clock import LoopClock
from sim.virtual.loop import VirtualLoop
from tests.depot import small_site
from v2g_edge.cli.site.commission import commission, fragment, report
from v2g_edge.field.modbus.commission import Finding, Three, directions
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.model.settings import (
    CloudSettings,
    HostSettings,
    ModbusDevice,
    ModbusLine,
    PriceSettings,
    Settings,
)
from v2g_edge.model.site import Evse
from v2g_edge.model.snapshot import Operator
from v2g_edge.wiring.parts import orders_of

PORT = 5020
CHARGER = {
    "state": 1.0, "connected": 1.0, "soc_pct": 50.0, "capacity_wh": 60_000.0, "max_charge_w": 7_400.0,
    "max_discharge_w": 7_400.0,
}  # fmt: skip
ARGUMENTS = argparse.Namespace(step_kw=3.0, hold_s=12.0, settle_s=2.0)


class Depot:
    """Chargers q1 and q2 really hang on the phases ``real``; the meter's CTs point as ``signs`` say."""

    def __init__(self, real: tuple[str, ...], signs: Three, hertz_step: float) -> None:
        self._real = real
        self._signs = signs
        self._hertz_step = hertz_step
        self._chance = random.Random(5)
        self._power_w = [0.0 for _ in real]

    def truth(self) -> MeterTruth:
        phase_w = [2_000.0, 1_500.0, 2_500.0]
        for phase, power_w in zip(self._real, self._power_w, strict=True):
            phase_w[int(phase[1]) - 1] += power_w
        noisy = tuple(
            sign * (w + self._chance.uniform(-20.0, 20.0))
            for sign, w in zip(self._signs, phase_w, strict=True)
        )
        hertz = 50.0 + self._hertz_step * self._chance.randrange(-2, 3)
        return MeterTruth(noisy, (230.0, 230.0, 230.0), hertz)  # type: ignore[arg-type]

    def units(self) -> list[Unit]:
        layout, now_s = load_map("generic-charger"), asyncio.get_running_loop().time
        units = [Unit(1, SunSpecMeter(self.truth)), Unit(2, Inputs(lambda: [True]))]
        for index in range(len(self._real)):

            def values(at: int = index) -> dict[str, float]:
                return CHARGER | {"power_w": self._power_w[at]}

            def apply(power_w: float, at: int = index) -> None:
                self._power_w[at] = power_w

            units.append(Unit(11 + index, MappedCharger(layout, values, apply, now_s)))
        return units


def settings(state_dir: Path, configured: tuple[str, ...]) -> Settings:
    """A site with single-phase chargers by register, phases as the installer believed."""
    names = tuple(f"q{index}" for index in range(1, len(configured) + 1))
    evses = tuple(
        Evse(name, "hall", 7_400.0, 7_400.0, 1_380.0, 0.0, phases, "modbus_watchdog", "register")  # type: ignore[arg-type]
        for name, phases in zip(names, configured, strict=True)
    )
    devices = (
        ModbusDevice("grid_meter", "line", "meter", "grid", "sunspec", unit=1),
        ModbusDevice("grid_relay", "line", "contact", "relay", "relay", unit=2),
        *(
            ModbusDevice(name, "line", "charger", name, "generic-charger", unit=11 + index, poll_s=0.2)
            for index, name in enumerate(names)
        ),
    )
    line = ModbusLine("line", host="127.0.0.1", port=PORT)
    host = HostSettings(state_dir=str(state_dir))
    bare = (
        small_site()
    )  # with solar power on the roof, so that a reversed meter is not refuted by the sign of its base load
    feeders = tuple(replace(feeder, base_load_min_w=-30_000.0) for feeder in bare.feeders)
    site = replace(bare, feeders=feeders, evses=evses, vehicles=())
    return Settings(site, (), (), (line,), devices, CloudSettings(), host, PriceSettings())


def run(depot: Depot, given: Settings) -> list[Finding]:
    async def play() -> list[Finding]:
        server = ModbusServer(depot.units(), port=PORT)
        await server.start()
        try:
            return await commission(
                given, LoopClock(1_700_000_000.0), [evse.id for evse in given.site.evses], ARGUMENTS
            )
        finally:
            await server.stop()

    loop = VirtualLoop()
    try:
        return loop.run_until_complete(play())
    finally:
        loop.close()


def test_rotated_phases_and_a_reversed_ct_are_found_and_written(tmp_path: Path) -> None:
    """The site file says L1 and L2; really it is L2 and L3, and the CT of L2 hangs the wrong way round."""
    given = settings(tmp_path, ("L1", "L2"))
    findings = run(Depot(("L2", "L3"), (1.0, -1.0, 1.0), 0.001), given)
    assert [finding.charge.fit.phases for finding in findings if finding.charge] == ["L2", "L3"]
    assert directions(findings) == (0.0, -1.0, 1.0)
    written = fragment(given, findings)
    found = tomli.loads(written)
    assert found == {"evses": [{"id": "q1", "phases": "L2"}, {"id": "q2", "phases": "L3"}]}
    assert "# mend: the CT of phase L2 is reversed" in written
    assert "phases: the site file says L1, the meter says L2" in report(findings)


def test_a_meter_that_is_wholly_reversed_becomes_a_setting(tmp_path: Path) -> None:
    given = settings(tmp_path, ("L1", "L2", "L3"))
    findings = run(Depot(("L1", "L2", "L3"), (-1.0, -1.0, -1.0), 0.001), given)
    assert tomli.loads(fragment(given, findings))["devices"] == [{"id": "grid_meter", "invert": True}]


def test_a_right_site_has_nothing_to_mend_but_the_export_that_was_not_permitted(tmp_path: Path) -> None:
    """Unknown vehicles never discharge: the envelope stands over the test, and the report names its rule."""
    given = settings(tmp_path, ("L1",))
    (finding,) = run(Depot(("L1",), (1.0, 1.0, 1.0), 0.001), given)
    assert finding.charge is not None
    assert finding.charge.charger_w > 2_900.0
    assert finding.refusals == ()
    assert len(finding.problems) == 1
    assert finding.problems[0].startswith("discharge: q1 was not permitted the step: ")


def test_a_coarse_meter_is_refused_frequency_services(tmp_path: Path) -> None:
    given = settings(tmp_path, ("L1",))
    (finding,) = run(Depot(("L1",), (1.0, 1.0, 1.0), 0.1), given)
    assert "100 mHz steps, 10 mHz are needed" in finding.refusals[0]
    assert "# refused: frequency services" in fragment(given, [finding])


@pytest.mark.parametrize(
    ("orders", "row"), [(Operator(stop=True), "operator_stop"), (Operator(export_hold=True), "")]
)
def test_outside_case_d22_standing_orders_are_heeded(tmp_path: Path, orders: Operator, row: str) -> None:
    """Nothing moves under a stop, whoever asks for the test; under a hold nothing is exported."""
    given = settings(tmp_path, ("L1",))
    orders_of(given).save(orders)
    (finding,) = run(Depot(("L1",), (1.0, 1.0, 1.0), 0.001), given)
    if orders.stop:
        assert finding.charge is None
        assert any(row in problem for problem in finding.problems)
    else:
        assert finding.charge is not None
    assert finding.discharge is None
