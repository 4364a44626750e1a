"""Stations written by somebody else: the ``ocpp`` package's own client, in all three versions, plays a session with us."""

import asyncio
from typing import Any

import ocpp.v16 as v16
import ocpp.v21 as v21
import ocpp.v201 as v201
from ocpp.routing import on
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, until
from tests.field.ocpp.test_server import permit
from v2g_edge.model.reading import Reading


def station_16(ws: Any) -> Any:
    class Station(v16.ChargePoint):  # type: ignore[misc]
        profiles: list[Any] = []  # noqa: RUF012 - one station a test

        @on("SetChargingProfile")  # type: ignore[untyped-decorator]
        def on_profile(self, cs_charging_profiles: Any, **_: Any) -> Any:
            self.profiles.append(cs_charging_profiles)
            return v16.call_result.SetChargingProfile("Accepted")

        @on("ChangeConfiguration")  # type: ignore[untyped-decorator]
        def on_configuration(self, **_: Any) -> Any:
            return v16.call_result.ChangeConfiguration("Accepted")

        @on("GetCompositeSchedule")  # type: ignore[untyped-decorator]
        def on_composite(self, **_: Any) -> Any:
            return v16.call_result.GetCompositeSchedule("Rejected")

    return Station("old", ws)


def station_2(package: Any, ws: Any) -> Any:
    class Station(package.ChargePoint):  # type: ignore[misc]
        profiles: list[Any] = []  # noqa: RUF012 - one station a test
        reports: list[Any] = []  # noqa: RUF012

        @on("SetChargingProfile")  # type: ignore[untyped-decorator]
        def on_profile(self, charging_profile: Any, **_: Any) -> Any:
            self.profiles.append(charging_profile)
            return package.call_result.SetChargingProfile("Accepted")

        @on("GetChargingProfiles")  # type: ignore[untyped-decorator]
        def on_get(self, request_id: int, **_: Any) -> Any:
            report = package.call.ReportChargingProfiles(
                request_id=request_id, charging_limit_source="CSO", charging_profile=[self.profiles[0]], evse_id=1
            )
            self.reports.append(asyncio.create_task(self.call(report)))
            return package.call_result.GetChargingProfiles("Accepted")

        @on("SetVariables")  # type: ignore[untyped-decorator]
        def on_variables(self, set_variable_data: Any, **_: Any) -> Any:
            results = [
                {"attribute_status": "Accepted", "component": d["component"], "variable": d["variable"]}
                for d in set_variable_data
            ]
            return package.call_result.SetVariables(results)

        @on("GetCompositeSchedule")  # type: ignore[untyped-decorator]
        def on_composite(self, **_: Any) -> Any:
            return package.call_result.GetCompositeSchedule("Rejected")

    return Station("new", ws)


async def started(station: Any) -> "asyncio.Task[None]":
    async def run() -> None:
        try:
            await station.start()
        except ConnectionClosed:
            return

    return asyncio.create_task(run())


async def test_a_1_6_client_of_the_package_plays_a_whole_session(depot: Depot) -> None:
    async with connect(f"ws://localhost:{depot.port}/old", subprotocols=[Subprotocol("ocpp1.6")]) as ws:
        station = station_16(ws)
        reader = await started(station)
        boot = await station.call(v16.call.BootNotification("model", "vendor"))
        assert boot.status == "Accepted"
        await until(lambda: depot.board.evse("b1").dead_man_ok)
        assert (await station.call(v16.call.Authorize("bus-1"))).id_tag_info["status"] == "Accepted"
        begun = await station.call(v16.call.StartTransaction(1, "bus-1", 0, AT))
        assert await depot.central.ports["b1"].write_permit(permit("b1", 7_000.0)) == "accepted"
        assert station.profiles[-1]["charging_schedule"]["charging_schedule_period"] == [{"start_period": 0, "limit": 7000}]
        values = [{"timestamp": AT, "sampled_value": [{"value": "6900", "measurand": "Power.Active.Import", "unit": "W"}]}]
        await station.call(v16.call.MeterValues(1, values, begun.transaction_id))
        assert depot.board.evse("b1").power_w == Reading(6_900.0, depot.clock.now)
        await station.call(v16.call.StatusNotification(1, "NoError", "Finishing"))
        await station.call(v16.call.StopTransaction(5, AT, begun.transaction_id))
        assert depot.board.evse("b1").vehicle is None
    await reader


async def session_2(depot: Depot, package: Any, identity: str, evse: str, power_w: float) -> Any:
    """The same session in 2.x; returns the first period of the lease it was given."""
    subprotocol = Subprotocol("ocpp2.0.1" if package is v201 else "ocpp2.1")
    async with connect(f"ws://localhost:{depot.port}/{identity}", subprotocols=[subprotocol]) as ws:
        station = station_2(package, ws)
        reader = await started(station)
        boot = await station.call(
            package.call.BootNotification(charging_station={"model": "m", "vendor_name": "v"}, reason="PowerUp")
        )
        assert boot.status == "Accepted"
        await until(lambda: depot.board.evse(evse).dead_man_ok)
        event = {"timestamp": AT, "trigger_reason": "CablePluggedIn", "transaction_info": {"transaction_id": "x-1"}}
        token = {"id_token": "bus-2", "type": "Central"}
        begun = await station.call(
            package.call.TransactionEvent(
                event_type="Started", seq_no=0, evse={"id": 1, "connector_id": 1}, id_token=token, **event
            )
        )
        assert begun.id_token_info["status"] == "Accepted"
        needs = {"requested_energy_transfer": "DC", "dc_charging_parameters": {"ev_max_current": 10, "ev_max_voltage": 400}}
        assert (await station.call(package.call.NotifyEVChargingNeeds(charging_needs=needs, evse_id=1))).status == "Accepted"
        assert await depot.central.ports[evse].write_permit(permit(evse, power_w)) == "accepted"
        await station.call(package.call.TransactionEvent(event_type="Ended", seq_no=1, **event))
        assert depot.board.evse(evse).vehicle is None
        await asyncio.gather(*station.reports)
        period = station.profiles[-1]["charging_schedule"][0]["charging_schedule_period"][0]
    await reader
    return period


async def test_a_2_0_1_client_of_the_package_plays_a_whole_session(depot: Depot) -> None:
    assert await session_2(depot, v201, "new", "b2", 7_000.0) == {"start_period": 0, "limit": 7000}


async def test_a_2_1_client_of_the_package_is_told_to_discharge(depot: Depot) -> None:
    period = await session_2(depot, v21, "newest", "b3", -1_500.0)
    assert (period["operation_mode"], period["setpoint"], period["limit"]) == ("CentralSetpoint", -1500, 0)
