"""Promise first: the proof of departures admits every export of a plan, slot by slot; a plan that it
refuses is a defect.
"""

import numpy as np
import pytest
from msgspec.structs import replace

from tests.depot import BUS, healthy, plugged, small_evse, small_site
from tests.planner.fleet import WALL_S, full_night, prices_of
from v2g_edge.departure.departures import CertificateMemory, Proposal, certify
from v2g_edge.departure.depot import depot_of
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import CurvePoint, Site, Vehicle
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.report import Report

LEASE_S = 30.0
TERMS = PriceSettings()


def refused(site: Site, snapshot: Snapshot, plan: Plan, report: Report) -> list[str]:
    """What the proof says against the plan's exports at the start of each slot and just before its end."""
    depot, soc = (
        depot_of(frame_of(site)),
        {ready.evse: (ready.soc_now_pct, *ready.soc_pct) for ready in report.vehicles},
    )
    found, count = [], len(site.evses)
    for place, slot in enumerate(plan.slots):
        exports = dict(slot.evse_w)
        wanted = tuple(max(-exports.get(evse.id, 0.0), 0.0) for evse in site.evses)
        if not any(wanted):
            continue
        for share, wall_s in ((0.0, slot.start_wall_s), (1.0, slot.end_wall_s - LEASE_S)):
            evses = tuple(
                replace(
                    state,
                    vehicle=replace(
                        state.vehicle,
                        soc_pct=Reading(
                            soc[evse.id][place] + share * (soc[evse.id][place + 1] - soc[evse.id][place]),
                            snapshot.now_s,
                        ),
                    ),
                )
                if state.vehicle is not None and wall_s < departs(state.vehicle.departure_wall_s)
                else replace(state, vehicle=None)
                for evse, state in zip(site.evses, snapshot.evses, strict=True)
            )
            now = replace(snapshot, wall_s=wall_s, evses=evses)
            proposal = Proposal(wanted, LEASE_S, (0.0,) * count, (ANY_W,) * count)
            verdict, _ = certify(depot, now, proposal, CertificateMemory())
            if not verdict.feasible:
                found.append(f"slot {place}: {verdict.binding} {verdict.barred} {verdict.shortfalls}")
    return found


def departs(measured: object) -> float:
    assert isinstance(measured, Reading)
    return measured.value


def evening(rng: np.random.Generator) -> tuple[Price, ...]:
    return prices_of(*rng.uniform(0.05, 0.45, 40).round(3).tolist())


def random_depot(seed: int) -> tuple[Site, Snapshot, tuple[Price, ...]]:
    """Two to eight buses of one of three charge curves under a feeder that may be tight, each with its own
    departure.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 9))
    knee = float(rng.choice([70.0, 80.0, 95.0]))
    curve = (
        CurvePoint(0.0, 120e3),
        CurvePoint(knee, 90e3),
        CurvePoint(100.0, float(rng.choice([5e3, 20e3, 60e3]))),
    )
    kind = replace(BUS, charge_curve=curve, depth_per_event_pct=60.0)
    site = small_site(count)
    limit_w = float(rng.uniform(0.5, 1.0)) * count * 50e3
    hall = replace(site.feeders[0], import_limit_w=limit_w)
    evses = tuple(small_evse(f"b{n + 1}", efficiency=float(rng.uniform(0.88, 0.97))) for n in range(count))
    vehicles = tuple(Vehicle(f"bus-{n + 1}", "bus", True) for n in range(count))
    site = replace(
        site, feeders=(hall, site.feeders[1]), evses=evses, vehicle_types=(kind,), vehicles=vehicles
    )
    states = tuple(
        plugged(
            f"bus-{n + 1}",
            100.0,
            WALL_S,
            soc_pct=Reading(float(rng.uniform(40, 95)), 100.0),
            departure_wall_s=Reading(WALL_S + float(rng.uniform(6, 30)) * 3_600.0, 100.0),
            target_soc_pct=Reading(float(rng.uniform(70, 100)), 100.0),
        )
        for n in range(count)
    )
    return site, healthy(site, wall_s=WALL_S, evses=states), evening(rng)


@pytest.mark.parametrize("seed", range(40))
def test_the_proof_admits_every_export_of_a_plan(seed: int) -> None:
    site, snapshot, prices = random_depot(seed)
    plan, report = plan_day(site, snapshot, prices, TERMS, WALL_S)
    assert refused(site, snapshot, plan, report) == []


def test_the_proof_admits_the_seeded_night() -> None:
    scenario, snapshot = full_night()
    prices = prices_of(*(0.3, 0.4, 0.2, 0.1) * 8, start_s=snapshot.wall_s - snapshot.wall_s % 3_600)
    plan, report = plan_day(scenario.site, snapshot, prices, TERMS, snapshot.wall_s)
    assert any(watts < 0.0 for slot in plan.slots for _, watts in slot.evse_w)
    assert refused(scenario.site, snapshot, plan, report) == []
