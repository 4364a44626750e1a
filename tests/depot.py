"""A small depot for unit tests: two 50 kW outlets on one sub-feeder, everything healthy unless a test says
otherwise.
"""

from typing import Any

from msgspec.structs import replace

from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import (
    CurvePoint,
    Evse,
    Feeder,
    GridSettings,
    SafetySettings,
    Site,
    Vehicle,
    VehicleType,
)
from v2g_edge.model.snapshot import (
    ContactState,
    EvseState,
    Link,
    MeterState,
    Operator,
    Snapshot,
    VehicleState,
)

BUS = VehicleType(
    id="bus",
    capacity_wh=200_000.0,
    min_soc_pct=20.0,
    max_soc_pct=100.0,
    charge_curve=(CurvePoint(0.0, 200_000.0), CurvePoint(80.0, 200_000.0), CurvePoint(100.0, 20_000.0)),
    max_discharge_w=50_000.0,
    depth_per_event_pct=40.0,
    depth_per_day_pct=60.0,
    pack_min_c=-10.0,
    pack_max_c=50.0,
    derate_from_c=40.0,
    soh_floor_pct=70.0,
    warranty_discharge_wh=ANY_W,
    warranty_discharge_h=ANY_W,
    warranty_efc=ANY_W,
)


def small_evse(evse: str, feeder: str = "hall", **changes: Any) -> Evse:
    """A 50 kW bidirectional outlet with a default profile of 0 W."""
    return replace(
        Evse(evse, feeder, 50_000.0, 50_000.0, 4_000.0, 0.0, "L1L2L3", "ocpp_profile", "negative_limit"),
        **changes,
    )


def small_site(evses: int = 2, **changes: Any) -> Site:
    """``evses`` outlets b1… on feeder "hall" under "main"; buses bus-1… that may discharge."""
    ids = range(1, evses + 1)
    site = Site(
        name="small",
        timezone="Europe/Berlin",
        grid=GridSettings("vde_ar_n_4105_2018", 230.0, 50.0, "relay", "grid", True),
        feeders=(
            Feeder("hall", "main", 100_000.0, 100_000.0, 0.0, 0.0, ""),
            Feeder("main", "", 200_000.0, 100_000.0, 30_000.0, 5_000.0, "grid"),
        ),
        evses=tuple(small_evse(f"b{i}") for i in ids),
        vehicle_types=(BUS,),
        vehicles=tuple(Vehicle(f"bus-{i}", "bus", True) for i in ids),
        meters=("grid",),
        contacts=("relay",),
        temperatures=(),
        safety=SafetySettings(),
    )
    return replace(site, **changes)


def plugged(vehicle: str, now_s: float, wall_s: float, **changes: Any) -> EvseState:
    """An outlet with a healthy vehicle at 80 % that must have 90 % in ten hours. ``changes`` go to the
    vehicle.
    """
    state = VehicleState(
        session=f"s-{vehicle}",
        vehicle=vehicle,
        plugged_wall_s=wall_s - 60.0,
        soc_pct=Reading(80.0, now_s),
        capacity_wh=Reading(200_000.0, now_s),
        departure_wall_s=Reading(wall_s + 36_000.0, now_s),
        target_soc_pct=Reading(90.0, now_s),
        max_charge_w=Reading(50_000.0, now_s),
        max_discharge_w=Reading(50_000.0, now_s),
        pack_c=Reading(20.0, now_s),
        soh_pct=Reading(100.0, now_s),
    )
    return EvseState(
        link=Link(connected=True, ever_seen=True, last_seen_s=now_s),
        status="occupied",
        power_w=Reading(0.0, now_s),
        dead_man_ok=True,
        proven_discharge=True,
        vehicle=replace(state, **changes),
    )


def healthy(site: Site, now_s: float = 100.0, wall_s: float = 1_000_000.0, **changes: Any) -> Snapshot:
    """Everything connected, fresh and nominal; a bus at every outlet."""
    link = Link(connected=True, ever_seen=True, last_seen_s=now_s)
    meter = MeterState(
        link=link,
        power_w=Reading(20_000.0, now_s),
        phase_power_w=(Reading(6_667.0, now_s),) * 3,
        phase_voltage_v=(Reading(site.grid.nominal_v, now_s),) * 3,
        frequency_hz=Reading(site.grid.nominal_hz, now_s),
    )
    snapshot = Snapshot(
        seq=1,
        now_s=now_s,
        wall_s=wall_s,
        clock_synced=True,
        evses=tuple(plugged(vehicle.id, now_s, wall_s) for vehicle in site.vehicles[: len(site.evses)]),
        meters=tuple(meter for _ in site.meters),
        contacts=tuple(ContactState(link, Reading(1.0, now_s)) for _ in site.contacts),
        temperatures=(),
        operator=Operator(),
    )
    return replace(snapshot, **changes)
