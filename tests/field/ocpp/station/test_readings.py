"""What stations report in other words: currents, registers, 0 %, and the measurands that they do not have."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_outlet_port import VERSIONS, charging
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import BOOT_2, BOOT_16, permit
from v2g_edge.field.ocpp.versions.v201 import read_needs
from v2g_edge.field.ocpp.vocabulary.compliance import Watch
from v2g_edge.field.ocpp.vocabulary.metering import read_samples
from v2g_edge.field.ocpp.vocabulary.register_power import LONGEST_S, RegisterPower
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.reading import Reading


def value(measurand: str, amount: float, phase: str = "", **more: Any) -> dict[str, Any]:
    return {"measurand": measurand, "value": amount, **({"phase": phase} if phase else {}), **more}


def currents(amps: float, volts: float = 230.0) -> list[dict[str, Any]]:
    phases = ("L1", "L2", "L3")
    return [value("Current.Import", amps, p) for p in phases] + [
        value("Voltage", volts, f"{p}-N") for p in phases
    ]


def power_of(*sampled: dict[str, Any]) -> tuple[float | None, str]:
    (sample,) = read_samples([{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": list(sampled)}])
    return (None if sample.power_w is None else round(sample.power_w)), sample.derived


async def report(depot: Depot, station: Peer, version: Version, *sampled: dict[str, Any]) -> None:
    """Meter values of now, for the running transaction."""
    words = [{**each, "value": str(each["value"])} for each in sampled] if version == "1.6" else list(sampled)
    told = [{"timestamp": format_wall(depot.clock.wall), "sampledValue": words}]
    where = {"connectorId": 1, "transactionId": 1} if version == "1.6" else {"evseId": 1}
    await station.call("MeterValues", {**where, "meterValue": told})


def test_a6_currents_only() -> None:
    assert power_of(*currents(16.0)) == (11_040, "currents")
    lines = [value("Voltage", 400.0, p) for p in ("L1-L2", "L2-L3", "L3-L1")]
    assert power_of(*currents(16.0)[:3], *lines) == (11_085, "currents")
    assert power_of(*currents(16.0)[:3]) == (11_040, "currents"), "nominal voltage where none is told"
    assert power_of(value("Current.Import", 16.0), value("Voltage", 230.0)) == (3_680, "one phase")
    assert power_of(value("Current.Export", 10.0, "L1"), value("Voltage", 230.0, "L1")) == (
        -2_300,
        "currents",
    )
    assert power_of(*currents(16.0), value("Current.Import", 3.0, "N")) == (11_040, "currents"), (
        "a neutral is no phase"
    )
    assert power_of(*currents(16.0), value("Power.Active.Import", 10_900.0)) == (10_900, ""), (
        "a power that is told wins"
    )
    assert power_of(value("Current.Import", 16.0, "L1", location="Inlet"), value("SoC", 5.0)) == (None, "")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a6_power_from_currents_reaches_the_board_marked_and_proves_nothing(
    depot: Depot, version: Version
) -> None:
    evse = {"1.6": "b1", "2.0.1": "b2", "2.1": "b3"}[version]
    station = await charging(depot, version)
    await report(depot, station, version, *currents(16.0))
    state = depot.board.evse(evse)
    assert state.power_w == Reading(pytest.approx(11_040.0), depot.clock.now)  # type: ignore[arg-type]
    assert state.power_source == "currents"
    depot.clock.advance(5.0)
    await report(depot, station, version, value("Current.Import", 10.0), value("Voltage", 230.0))
    assert depot.board.evse(evse).power_w == Reading(pytest.approx(6_900.0), depot.clock.now)  # type: ignore[arg-type]
    await depot.central.ports[evse].write_permit(permit(evse, -2_000.0))
    depot.clock.advance(6.0)
    await report(depot, station, version, value("Current.Export", 9.0, "L1"), value("Voltage", 230.0, "L1"))
    assert depot.board.evse(evse).proven_discharge is False
    await station.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_d20_registers_only(depot: Depot, version: Version) -> None:
    """The slope of the register is the power, and is judged: 36 kW where 1.4 kW are permitted is found
    out.
    """
    evse = {"1.6": "b1", "2.0.1": "b2", "2.1": "b3"}[version]
    station = await charging(depot, version)
    await depot.central.ports[evse].write_permit(permit(evse, 1_380.0))
    depot.clock.advance(10.0)
    for second in range(0, 400, 5):
        await report(depot, station, version, value("Energy.Active.Import.Register", second * 10.0))
        depot.clock.advance(5.0)
        if second >= 15:
            state = depot.board.evse(evse)
            assert isinstance(state.power_w, Reading)
            assert state.power_w.value == pytest.approx(36_000.0)
            assert state.power_source == "register"
    assert depot.board.evse(evse).follows is False
    await station.close()


async def test_d20_a_power_that_is_stuck_at_zero_is_no_better_than_none(depot: Depot) -> None:
    station = await charging(depot, "1.6")
    with capture_logs() as lines:
        for second in range(0, 100, 5):
            register = value("Energy.Active.Import.Register", second * 5.0)
            await report(depot, station, "1.6", register, value("Power.Active.Import", 0.0))
            depot.clock.advance(5.0)
    assert [line["event"] for line in lines].count("power_contradicts_register") == 1
    state = depot.board.evse("b1")
    assert isinstance(state.power_w, Reading)
    assert state.power_w.value == pytest.approx(18_000.0)
    assert state.power_source == "register"
    await station.close()


async def test_d20_after_a_charge_has_ended_its_slope_does_not_go_on(depot: Depot) -> None:
    station = await charging(depot, "1.6")
    energy_wh = 0.0
    for second in range(0, 200, 5):
        power_w = 18_000.0 if second < 100 else 0.0
        energy_wh += power_w / 720.0
        register = value("Energy.Active.Import.Register", energy_wh)
        await report(depot, station, "1.6", register, value("Power.Active.Import", power_w))
        state = depot.board.evse("b1")
        assert state.power_w == Reading(power_w, depot.clock.now)
        depot.clock.advance(5.0)
    await station.close()


def test_d20_a_register_in_another_unit_is_no_power_and_one_that_falls_begins_anew() -> None:
    slope = RegisterPower()
    assert slope.add(0.0, 100.0, 0.0) is None
    assert slope.add(5.0, 150.0, 0.0) is None
    found = slope.add(10.0, 200.0, 0.0)
    assert found is not None
    assert (found.power_w, found.since_s) == (36_000.0, 0.0)
    assert slope.add(15.0, 10.0, 0.0) is None
    back = slope.add(25.0, 10.0, 50.0)
    assert back is not None
    assert back.power_w == pytest.approx(-18_000.0)


def test_d20_a_coarse_register_is_taken_over_more_time_and_has_no_jumps() -> None:
    """100 Wh a step at 22 kW: a step each 16 s."""
    slope, found = RegisterPower(), []
    for second in range(0, 600, 5):
        told = slope.add(float(second), float(int(22_000.0 * second / 3_600.0 / 100.0)) * 100.0, 0.0)
        if told is not None and second >= 120:
            found.append(told.power_w)
    assert min(found) > 14_000.0
    assert max(found) < 32_000.0
    assert len(slope._seen) <= LONGEST_S / 2.0 + 2


def test_d20_a_mean_that_began_before_the_command_is_not_held_against_it() -> None:
    watch = Watch()
    watch.commanded(1_400.0, 100.0)
    for second in range(40):
        watch.measured(36_000.0, 110.0 + second, since_s=100.0)
    assert watch.follows
    for second in range(40):
        watch.measured(36_000.0, 150.0 + second, since_s=120.0)
    assert not watch.follows


@pytest.mark.parametrize("version", VERSIONS)
async def test_a5_flat_battery(depot: Depot, version: Version) -> None:
    """0 % is a state of charge, in every parser."""
    evse = {"1.6": "b1", "2.0.1": "b2", "2.1": "b3"}[version]
    station = await charging(depot, version)
    await report(depot, station, version, value("SoC", 0))
    vehicle = depot.board.evse(evse).vehicle
    assert vehicle is not None
    assert vehicle.soc_pct == Reading(0.0, depot.clock.now)
    dc = {"evMaxCurrent": 1, "evMaxVoltage": 1, "stateOfCharge": 0, "fullSoC": 80}
    needs = read_needs({"requestedEnergyTransfer": "DC", "dcChargingParameters": dc})
    assert (needs.soc_pct, needs.target_soc_pct) == (0.0, 80.0)
    await station.close()


def wants(station: Peer, version: Version) -> list[str]:
    """The lists of measurands that it was given."""
    if version == "1.6":
        return [
            each["value"]
            for each in station.got("ChangeConfiguration")
            if each["key"] == "MeterValuesSampledData"
        ]
    data = [each["setVariableData"][0] for each in station.got("SetVariables")]
    return [each["attributeValue"] for each in data if each["variable"]["name"] == "TxUpdatedMeasurands"]


async def booted(depot: Depot, version: Version, present: str, refuses: str) -> Peer:
    """A station that reports ``present`` and refuses any list with one measurand in it."""
    station = await Peer.dial(depot.port, "old" if version == "1.6" else "new", version)

    def change(payload: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Rejected" if refuses in payload["value"].split(",") else "Accepted"}

    def set_variables(payload: dict[str, Any]) -> dict[str, Any]:
        datum = payload["setVariableData"][0]
        status = "Rejected" if refuses in datum["attributeValue"].split(",") else "Accepted"
        row = {"attributeStatus": status, "component": datum["component"], "variable": datum["variable"]}
        return {"setVariableResult": [row]}

    key = {"key": "MeterValuesSampledData", "readonly": False, "value": present}
    row = {
        "attributeStatus": "Accepted",
        "attributeValue": present,
        "component": {"name": "SampledDataCtrlr"},
    }
    station.scripts |= {
        "ChangeConfiguration": change,
        "SetVariables": set_variables,
        "GetConfiguration": lambda _: {"configurationKey": [key]},
        "GetVariables": lambda _: {
            "getVariableResult": [{**row, "variable": {"name": "TxUpdatedMeasurands"}}]
        },
    }
    await station.call("BootNotification", BOOT_16 if version == "1.6" else BOOT_2)
    last = "ChangeConfiguration" if version == "1.6" else "SetVariables"
    await until(lambda: any("Interval" in str(each) for each in station.got(last)))
    return station


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_d18_measurand_ladder(depot: Depot, version: Version) -> None:
    """Only what was refused is left out; it is remembered, and not tried at the next connect."""
    evse = "b1" if version == "1.6" else "b2"
    station = await booted(depot, version, "Energy.Active.Import.Register,Voltage", "Power.Active.Export")
    kept = wants(station, version)[-1].split(",")
    assert {"Energy.Active.Import.Register", "Voltage", "SoC", "Power.Active.Import"} <= set(kept)
    assert "Power.Active.Export" not in kept
    await station.close()
    await until(lambda: not depot.board.evse(evse).link.connected)
    again = await booted(depot, version, ",".join(kept), "Power.Active.Export")
    assert wants(again, version) == [], "a list that holds all is left as it is"
    await again.close()


async def test_d11_unproven_default(depot: Depot) -> None:
    """Until its default profile is accepted, and again when it is refused, nothing shows what the station
    does by itself.
    """
    assert depot.board.evse("b2").default_held is False
    station = await Peer.dial(depot.port, "new", "2.0.1")
    await station.call("BootNotification", BOOT_2)
    await until(lambda: depot.board.evse("b2").dead_man_ok)
    assert depot.board.evse("b2").default_held is True
    await station.close()
    await until(lambda: not depot.board.evse("b2").link.connected)
    assert depot.board.evse("b2").default_held is True, "it holds it without a link"
    again = await Peer.dial(depot.port, "new", "2.0.1")
    again.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected"}
    await again.call("BootNotification", BOOT_2)
    await until(lambda: not depot.board.evse("b2").default_held)
    await again.close()
