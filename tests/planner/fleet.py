"""Depots for the planner's tests, and a playback of a plan on the simulator's physics."""

from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.world.physics import Battery, Charger
from tests.depot import healthy, plugged, small_site
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, Link, Snapshot, VehicleState

WALL_S = 1_767_225_600.0
"""2026-01-01 00:00 UTC."""


def prices_of(*values: float, start_s: float = WALL_S) -> tuple[Price, ...]:
    """Hourly prices per kWh."""
    return tuple(Price(start_s + 3_600.0 * n, value) for n, value in enumerate(values))


def snapshot_of(site: Site, **vehicle: object) -> Snapshot:
    """All outlets of a small site occupied at ``WALL_S``; ``vehicle`` changes every vehicle."""
    evses = tuple(plugged(known.id, 100.0, WALL_S, **vehicle) for known in site.vehicles)
    return healthy(site, wall_s=WALL_S, evses=evses)


def all_in(scenario: Scenario, wall_s: float) -> Snapshot:
    """Who is in at ``wall_s``, with the charge of arrival (with a route: as if it had left with its
    target).
    """
    now_s = 100.0
    kinds = {kind.id: kind for kind in scenario.site.vehicle_types}
    types = {vehicle.id: kinds[vehicle.type] for vehicle in scenario.site.vehicles}
    states = {
        evse.id: EvseState(link=Link(True, True, now_s), status="available") for evse in scenario.site.evses
    }
    for visit in scenario.visits:
        if not visit.arrives_wall_s <= wall_s < visit.departs_wall_s:
            continue
        kind = types[visit.vehicle]
        vehicle = VehicleState(
            session=f"s-{visit.vehicle}",
            vehicle=visit.vehicle,
            plugged_wall_s=visit.arrives_wall_s,
            soc_pct=Reading(visit.arrival_soc_pct(visit.target_soc_pct), now_s),
            capacity_wh=Reading(kind.capacity_wh, now_s),
            departure_wall_s=Reading(visit.departs_wall_s, now_s),
            target_soc_pct=Reading(visit.target_soc_pct, now_s),
            max_charge_w=NO_SAMPLE,
            max_discharge_w=Reading(kind.max_discharge_w, now_s),
        )
        states[visit.evse] = EvseState(link=Link(True, True, now_s), status="occupied", vehicle=vehicle)
    evses = tuple(states[evse.id] for evse in scenario.site.evses)
    return Snapshot(1, now_s, wall_s, True, evses, (), (), ())


def full_night() -> tuple[Scenario, Snapshot]:
    """The seeded night just after the last of the twelve has come."""
    scenario = night(7)
    return scenario, all_in(scenario, max(visit.arrives_wall_s for visit in scenario.visits) + 60.0)


def play(site: Site, snapshot: Snapshot, plan: Plan, share: float) -> dict[str, float]:
    """SoC at departure by outlet when chargers give only ``share`` of what a plan asks of them in
    charging, all of its export.
    """
    kinds = {kind.id: kind for kind in site.vehicle_types}
    types = {vehicle.id: kinds[vehicle.type] for vehicle in site.vehicles}
    result = {}
    for evse, state in zip(site.evses, snapshot.evses, strict=True):
        vehicle = state.vehicle
        if (
            vehicle is None
            or not isinstance(vehicle.soc_pct, Reading)
            or not isinstance(vehicle.departure_wall_s, Reading)
        ):
            continue
        kind = types[vehicle.vehicle]
        charger = Charger(evse)
        battery = Battery(
            vehicle.vehicle, kind.capacity_wh, vehicle.soc_pct.value, kind.charge_curve, kind.max_discharge_w
        )
        charger.plug(battery)
        for slot in plan.slots:
            wanted_w = dict(slot.evse_w)[evse.id]
            charger.command_w = wanted_w * (share if wanted_w > 0 else 1.0)
            end_s = min(slot.end_wall_s, vehicle.departure_wall_s.value)
            for _ in range(int(max(end_s - slot.start_wall_s, 0.0) // 10.0)):
                charger.step(10.0)
        result[evse.id] = battery.soc_pct
    return result


__all__ = ["WALL_S", "all_in", "full_night", "play", "prices_of", "small_site", "snapshot_of"]
