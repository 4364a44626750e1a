"""Sessions at chargers by register: begin and end, whose it is, and what is known of the vehicle."""

import pytest
from msgspec.structs import replace

from tests.field.modbus.rig import Rig
from tests.field.modbus.test_leases import on
from v2g_edge.model.reading import Reading


def test_a_session_is_named_after_the_charger_and_its_begin() -> None:
    """Two sessions of one charger are never one, and the vehicle is the one that the site file names."""

    async def test(rig: Rig) -> None:
        rig.port._device = replace(rig.port._device, vehicle="car-1")
        rig.shown = {"connected": 0.0, "state": 0.0}
        await rig.until(lambda: rig.state.vehicle is None)
        plugged_wall_s = rig.clock.wall_s()
        rig.shown = {}
        await rig.until(lambda: rig.state.vehicle is not None)
        vehicle = rig.state.vehicle
        assert vehicle is not None
        assert vehicle.vehicle == "car-1"
        device, _, begun = vehicle.session.rpartition("-")
        assert device == "c"
        assert float(begun) == pytest.approx(plugged_wall_s, abs=5.0)

    on("generic-charger", test)


def test_a_vehicle_stays_while_the_charger_does_not_say_that_it_is_free() -> None:
    """A plug contact that opens for a moment ends no session: the state of the charger says otherwise."""

    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.state.vehicle is not None)
        rig.shown = {"connected": 0.0}
        await rig.clock.sleep_s(30.0)
        assert rig.state.status != "available"
        assert rig.state.vehicle is not None

    on("generic-charger", test)


def test_a_state_of_charge_from_elsewhere_stays_where_the_charger_has_none() -> None:
    """Telematics told it; the registers of this charger know nothing of it and take nothing away."""

    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.state.vehicle is not None)
        rig.port._values.pop("soc_pct", None)
        rig.port._blocks = []
        told = Reading(41.0, rig.clock.now_s())
        rig.board.update_vehicle("e1", soc_pct=told)
        await rig.clock.sleep_s(10.0)
        assert rig.state.vehicle is not None
        assert rig.state.vehicle.soc_pct == told

    on("generic-charger", test)
