"""Stations written by somebody else: the ``ocpp`` package's own client, in all three versions, plays a
whole session with us.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ocpp.v16 as v16
import ocpp.v21 as v21
import ocpp.v201 as v201
import pytest
from ocpp.routing import on
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import AT, AT_S, until
from tests.field.ocpp.test_server import permit, vehicle
from v2g_edge.field.ocpp.control.outlet_port import HARMLESS_S
from v2g_edge.field.ocpp.vocabulary.charging_profiles import DEFAULT_ID, LEASE_ID
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.reading import Reading


class LastMessages:
    """What the package's handlers were given, by action, and the answers it gives beside "Accepted"."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.reports: list[asyncio.Task[Any]] = []

    def of(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.calls if name == action]


def station_16(ws: Any, told: LastMessages) -> Any:
    class Station(v16.ChargePoint):  # type: ignore[misc]
        @on("SetChargingProfile")  # type: ignore[untyped-decorator]
        def on_profile(self, **payload: Any) -> Any:
            told.calls.append(("SetChargingProfile", payload["cs_charging_profiles"]))
            return v16.call_result.SetChargingProfile("Accepted")

        @on("ChangeConfiguration")  # type: ignore[untyped-decorator]
        def on_configuration(self, **payload: Any) -> Any:
            told.calls.append(("ChangeConfiguration", payload))
            return v16.call_result.ChangeConfiguration("Accepted")

        @on("GetCompositeSchedule")  # type: ignore[untyped-decorator]
        def on_composite(self, **_: Any) -> Any:
            return v16.call_result.GetCompositeSchedule("Rejected")

        @on("TriggerMessage")  # type: ignore[untyped-decorator]
        def on_trigger(self, **payload: Any) -> Any:
            told.calls.append(("TriggerMessage", payload))
            return v16.call_result.TriggerMessage("Accepted")

        @on("RemoteStopTransaction")  # type: ignore[untyped-decorator]
        def on_stop(self, **payload: Any) -> Any:
            told.calls.append(("RemoteStopTransaction", payload))
            return v16.call_result.RemoteStopTransaction("Accepted")

    return Station("old", ws)


def station_2(package: Any, ws: Any, told: LastMessages) -> Any:
    class Station(package.ChargePoint):  # type: ignore[misc]
        @on("SetChargingProfile")  # type: ignore[untyped-decorator]
        def on_profile(self, **payload: Any) -> Any:
            told.calls.append(("SetChargingProfile", payload["charging_profile"]))
            return package.call_result.SetChargingProfile("Accepted")

        @on("GetChargingProfiles")  # type: ignore[untyped-decorator]
        def on_get(self, request_id: int, **_: Any) -> Any:
            held = [told.of("SetChargingProfile")[0]]
            report = package.call.ReportChargingProfiles(
                request_id=request_id, charging_limit_source="CSO", charging_profile=held, evse_id=1
            )
            told.reports.append(asyncio.create_task(self.call(report)))
            return package.call_result.GetChargingProfiles("Accepted")

        @on("SetVariables")  # type: ignore[untyped-decorator]
        def on_variables(self, set_variable_data: Any, **_: Any) -> Any:
            told.calls += [("SetVariables", data) for data in set_variable_data]
            results = [
                {"attribute_status": "Accepted", "component": d["component"], "variable": d["variable"]}
                for d in set_variable_data
            ]
            return package.call_result.SetVariables(results)

        @on("GetCompositeSchedule")  # type: ignore[untyped-decorator]
        def on_composite(self, **_: Any) -> Any:
            return package.call_result.GetCompositeSchedule("Rejected")

        @on("TriggerMessage")  # type: ignore[untyped-decorator]
        def on_trigger(self, **payload: Any) -> Any:
            told.calls.append(("TriggerMessage", payload))
            return package.call_result.TriggerMessage("Accepted")

        @on("RequestStopTransaction")  # type: ignore[untyped-decorator]
        def on_stop(self, **payload: Any) -> Any:
            told.calls.append(("RequestStopTransaction", payload))
            return package.call_result.RequestStopTransaction("Accepted")

    return Station("new", ws)


@asynccontextmanager
async def linked(depot: Depot, identity: str, package: Any, told: LastMessages) -> AsyncIterator[Any]:
    """A station of ``package`` that reads until its link is closed."""
    subprotocol = {v16: "ocpp1.6", v201: "ocpp2.0.1", v21: "ocpp2.1"}[package]
    async with connect(
        f"ws://localhost:{depot.port}/{identity}", subprotocols=[Subprotocol(subprotocol)]
    ) as ws:
        station = station_16(ws, told) if package is v16 else station_2(package, ws, told)
        reader = asyncio.create_task(station.start())
        yield station
        await asyncio.gather(*told.reports)
    with pytest.raises(ConnectionClosed):
        await reader


async def test_a_1_6_client_of_the_package_plays_a_whole_session(depot: Depot) -> None:
    told, port = LastMessages(), depot.central.ports["b1"]
    async with linked(depot, "old", v16, told) as station:
        assert (await station.call(v16.call.BootNotification("model", "vendor"))).status == "Accepted"
        await until(lambda: depot.board.evse("b1").dead_man_ok)
        assert told.of("SetChargingProfile")[0]["charging_profile_id"] == DEFAULT_ID + 1
        await station.call(v16.call.StatusNotification(0, "NoError", "Available"))
        await station.call(v16.call.StatusNotification(1, "NoError", "Preparing"))
        assert (await station.call(v16.call.Authorize("bus-1"))).id_tag_info["status"] == "Accepted"
        begun = await station.call(v16.call.StartTransaction(1, "bus-1", 0, AT))
        assert begun.id_tag_info["status"] == "Accepted"
        await station.call(v16.call.StatusNotification(1, "NoError", "Charging"))
        assert (depot.board.evse("b1").status, vehicle(depot, "b1").vehicle) == ("occupied", "bus-1")
        assert await port.write_permit(permit("b1", 7_000.0)) == "accepted"
        depot.clock.advance(10.0)
        assert await port.write_permit(permit("b1", -1_500.0)) == "accepted"
        first, second = told.of("SetChargingProfile")[-2:]
        assert {first["charging_profile_id"], second["charging_profile_id"]} == {LEASE_ID + 1}
        assert {first["transaction_id"], second["transaction_id"]} == {begun.transaction_id}
        limits = [p["charging_schedule"]["charging_schedule_period"] for p in (first, second)]
        assert limits == [[{"start_period": 0, "limit": 7000}], [{"start_period": 0, "limit": -1500}]]
        assert (first["charging_schedule"]["duration"], first["charging_schedule"]["start_schedule"]) == (
            HARMLESS_S,
            AT,
        )
        depot.clock.advance(10.0)
        now = format_wall(depot.clock.wall)
        sampled = [
            {"value": "1.48", "measurand": "Power.Active.Export", "unit": "kW"},
            {"value": "0", "measurand": "Power.Active.Import", "unit": "W"},
            {"value": "2500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": "55", "measurand": "SoC", "unit": "Percent", "location": "EV"},
        ]
        await station.call(
            v16.call.MeterValues(1, [{"timestamp": now, "sampled_value": sampled}], begun.transaction_id)
        )
        state = depot.board.evse("b1")
        assert (state.power_w, state.energy_import_wh) == (
            Reading(-1_480.0, depot.clock.now),
            Reading(2_500.0, depot.clock.now),
        )
        assert (vehicle(depot, "b1").soc_pct, state.proven_discharge) == (
            Reading(55.0, depot.clock.now),
            True,
        )
        done = await depot.central.perform("old", "stop", {"transaction": begun.transaction_id})
        assert (done["payload"], told.of("RemoteStopTransaction")) == (
            {"status": "Accepted"},
            [{"transaction_id": begun.transaction_id}],
        )
        stopped = await station.call(
            v16.call.StopTransaction(5, now, begun.transaction_id, reason="Remote", id_tag="bus-1")
        )
        assert stopped.id_tag_info["status"] == "Accepted"
        await station.call(v16.call.StatusNotification(1, "NoError", "Available"))
        assert (depot.board.evse("b1").vehicle, depot.board.evse("b1").status) == (None, "available")


async def session_2(depot: Depot, package: Any, identity: str, evse: str) -> dict[str, Any]:
    """The same session in 2.x, with a break of the link in its middle; returns the first period of the
    last lease.
    """
    told, port, call = LastMessages(), depot.central.ports[evse], package.call
    where, token = {"id": 1, "connector_id": 1}, {"id_token": "bus-2", "type": "Central"}

    def event(kind: str, seq: int, trigger: str, **more: Any) -> Any:
        info = {"transaction_id": "x-1", "charging_state": more.pop("state", "Charging")}
        at = format_wall(depot.clock.wall)
        return call.TransactionEvent(
            event_type=kind, timestamp=at, trigger_reason=trigger, seq_no=seq, transaction_info=info, **more
        )

    async with linked(depot, identity, package, told) as station:
        boot = call.BootNotification(charging_station={"model": "m", "vendor_name": "v"}, reason="PowerUp")
        assert (await station.call(boot)).status == "Accepted"
        await until(lambda: depot.board.evse(evse).dead_man_ok)
        assert told.of("SetChargingProfile")[0]["id"] == DEFAULT_ID + 1
        await station.call(
            call.StatusNotification(timestamp=AT, connector_status="Occupied", evse_id=1, connector_id=1)
        )
        assert (await station.call(call.Authorize(id_token=token))).id_token_info["status"] == "Accepted"
        begun = await station.call(
            event("Started", 0, "CablePluggedIn", evse=where, id_token=token, state="EVConnected")
        )
        assert begun.id_token_info["status"] == "Accepted"
        dc = {"ev_max_current": 100, "ev_max_voltage": 400, "ev_max_power": 40_000, "state_of_charge": 60}
        needs = {
            "requested_energy_transfer": "DC",
            "departure_time": format_wall(AT_S + 7_200.0),
            "dc_charging_parameters": dc,
        }
        assert (
            await station.call(call.NotifyEVChargingNeeds(charging_needs=needs, evse_id=1))
        ).status == "Accepted"
        assert (depot.board.evse(evse).status, vehicle(depot, evse).vehicle) == ("occupied", "bus-2")
        assert vehicle(depot, evse).departure_wall_s == Reading(AT_S + 7_200.0, depot.clock.now)
        assert await port.write_permit(permit(evse, 7_000.0)) == "accepted"
        depot.clock.advance(10.0)
        sampled = [
            {"value": 6.9, "measurand": "Power.Active.Import", "unit_of_measure": {"unit": "kW"}},
            {"value": 61.5, "measurand": "SoC", "location": "EV"},
        ]
        values = [{"timestamp": format_wall(depot.clock.wall), "sampled_value": sampled}]
        await station.call(event("Updated", 1, "MeterValuePeriodic", meter_value=values))
        assert depot.board.evse(evse).power_w == Reading(6_900.0, depot.clock.now)
        assert vehicle(depot, evse).soc_pct == Reading(61.5, depot.clock.now)
        done = await depot.central.perform(identity, "trigger", {"message": "TransactionEvent", "evse": 1})
        assert done["payload"] == {"status": "Accepted"}
        await station.call(event("Updated", 2, "Trigger"))
    await until(lambda: not depot.board.evse(evse).link.connected)
    assert await port.write_permit(permit(evse, 7_000.0)) == "silent"
    again = LastMessages()
    again.calls = [call for call in told.calls if call[0] == "SetChargingProfile"][:1]
    async with linked(depot, identity, package, again) as station:
        await station.call(event("Updated", 3, "ChargingRateChanged"))
        await until(lambda: depot.board.evse(evse).dead_man_ok)
        assert vehicle(depot, evse).session == "x-1"
        assert await port.write_permit(permit(evse, -1_500.0)) == "accepted"
        lease = [p for p in again.of("SetChargingProfile") if p["charging_profile_purpose"] == "TxProfile"][
            -1
        ]
        assert (lease["id"], lease["transaction_id"], lease["charging_profile_kind"]) == (
            LEASE_ID + 1,
            "x-1",
            "Absolute",
        )
        assert lease["charging_schedule"][0]["duration"] == 30
        done = await depot.central.perform(identity, "stop", {"transaction": "x-1"})
        assert (done["payload"], again.of("RequestStopTransaction")) == (
            {"status": "Accepted"},
            [{"transaction_id": "x-1"}],
        )
        await station.call(event("Ended", 4, "RemoteStop", state="Idle"))
        assert depot.board.evse(evse).vehicle is None
    period: dict[str, Any] = lease["charging_schedule"][0]["charging_schedule_period"][0]
    return period


async def test_a_2_0_1_client_of_the_package_plays_a_whole_session(depot: Depot) -> None:
    assert await session_2(depot, v201, "new", "b2") == {"start_period": 0, "limit": -1500}


async def test_a_2_1_client_of_the_package_plays_a_whole_session_and_is_told_to_discharge(
    depot: Depot,
) -> None:
    period = await session_2(depot, v21, "newest", "b3")
    assert (period["operation_mode"], period["setpoint"], period["limit"]) == ("CentralSetpoint", -1500, 0)
