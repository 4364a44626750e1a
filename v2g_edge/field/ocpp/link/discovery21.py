"""What is asked of a 2.1 station when it has connected: dynamic profiles, its power as streams, its
grid-code settings.
"""

import asyncio
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.control.read_back import tables
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered, accepted
from v2g_edge.field.ocpp.wire.queue import BULK

log = structlog.get_logger()

BULK_S: Final = 10.0
"""Patience with what is good to know and no more, also with the parts of a report after its announcement."""

HELD: Final = frozenset({"Accepted", "Duplicate"})
"""Both say that the monitor is there (SetMonitoringStatusEnumType)."""


async def read_21(connection: Connection, station: Station) -> None:
    """One after the other; a report that is announced and does not come holds up nothing."""
    await _ask_for_dynamic(connection, station)
    if station.v21.power_monitors:
        await _take_up_streams(connection, station)
    station.v21.asking = True
    for number in sorted(station.outlets.keys() - set(station.v21.power_monitors.values())):
        await _ask_for_stream(connection, station, number)
    station.v21.asking = False
    await _read_controls(connection, station)


async def _ask_for_dynamic(connection: Connection, station: Station) -> None:
    """Whether it supports profiles of kind Dynamic; without a clear yes it gets none."""
    asked = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "SupportsDynamicProfiles"}}
    outcome = await connection.call(
        "GetVariables", {"getVariableData": [asked]}, priority=BULK, timeout_s=BULK_S
    )
    results = tables(outcome.payload.get("getVariableResult")) if isinstance(outcome, Answered) else ()
    takes = any(str(result.get("attributeValue", "")).lower() == "true" for result in results)
    for outlet in station.outlets.values():
        outlet.dynamic.takes_dynamic = takes


async def _read_controls(connection: Connection, station: Station) -> None:
    """All DER settings. What has come in parts counts when all parts are there; until then only what
    differs.
    """
    request_id, report = station.reports.expect()
    try:
        outcome = await connection.call(
            "GetDERControl", {"requestId": request_id}, priority=BULK, timeout_s=BULK_S
        )
        if accepted(outcome):
            async with asyncio.timeout(BULK_S):
                station.v21.on_all(await report)
    except TimeoutError:
        log.warning("der_report_incomplete", station=connection.identity)
    finally:
        station.reports.forget(request_id)


async def _ask_for_stream(connection: Connection, station: Station, number: int) -> None:
    interval_s = _interval_s(station)
    monitor: dict[str, Any] = {
        "value": interval_s, "type": "Periodic", "severity": 9,
        "periodicEventStream": {"interval": interval_s},
        "component": {"name": "EVSE", "evse": {"id": number}}, "variable": {"name": "Power"},
    }  # fmt: skip
    payload = {"setMonitoringData": [monitor]}
    outcome = await connection.call("SetVariableMonitoring", payload, priority=BULK, timeout_s=BULK_S)
    results = tables(outcome.payload.get("setMonitoringResult")) if isinstance(outcome, Answered) else ()
    for result in results:
        if result.get("status") in HELD and isinstance(result.get("id"), int):
            station.v21.power_monitors[result["id"]] = number
            break  # one was asked for


async def _take_up_streams(connection: Connection, station: Station) -> None:
    """After a reconnect: the station may stream on under its old ids, and at another pace than we want."""
    outcome = await connection.call("GetPeriodicEventStream", {}, priority=BULK, timeout_s=BULK_S)
    streams = tables(outcome.payload.get("constantStreamData")) if isinstance(outcome, Answered) else ()
    for stream in streams:
        ours = station.v21.open_stream(int(stream["id"]), int(stream["variableMonitoringId"]))
        if ours and stream["params"].get("interval") != _interval_s(station):
            wanted = {"id": stream["id"], "params": {"interval": _interval_s(station)}}
            await connection.call("AdjustPeriodicEventStream", wanted, priority=BULK, timeout_s=BULK_S)


def _interval_s(station: Station) -> int:
    return max(int(station.settings.meter_interval_s), 1)
