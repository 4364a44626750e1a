"""Short evenings in which each promise is put to the test, for products that break it."""

from typing import Any

from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.world.depot import Disturbance

HOUR = 3_600.0
TICK_S = 10.0

Told = tuple[FaultKind, str, float, float, float]
"""(kind, target, seconds from the start, seconds long, value)."""


def evening(
    *faults: Told, hours: float = 1.0, soc_pct: float = 85.0, stay_h: float = 11.0, **site: Any
) -> Scenario:
    """Four buses from 18:00 on at feeders that carry 500 kW; a mad cloud wants all out unless ``faults``
    say otherwise.
    """
    base = night(5, chargers=4, quiet=True)
    start_wall_s = base.start_wall_s + 1.5 * HOUR
    visits = tuple(
        replace(
            v,
            arrives_wall_s=start_wall_s + 20.0,
            departs_wall_s=start_wall_s + stay_h * HOUR,
            soc_pct=soc_pct,
        )
        for v in base.visits
    )
    feeders = tuple(replace(f, import_limit_w=5e5, export_limit_w=5e5) for f in base.site.feeders)
    told = tuple(
        Fault(kind, target, start_wall_s + at_s, for_s, value) for kind, target, at_s, for_s, value in faults
    )
    if not any(fault.kind.startswith("cloud") for fault in told):
        told = (*told, Fault("cloud_discharge", "cloud", start_wall_s, hours * HOUR))
    depot = replace(base.site, **{"feeders": feeders, **site})
    scenario = replace(
        base, start_wall_s=start_wall_s, duration_s=hours * HOUR, site=depot, visits=visits, faults=told
    )
    return slowed(scenario, TICK_S)


def charging(*faults: Told, limit_w: float, hours: float = 1.0, **evse: Any) -> Scenario:
    """Four empty buses that the cloud wants full, two of them at a sub-feeder of ``limit_w`` that nobody
    meters.
    """
    base = evening(*faults, ("cloud_charge", "cloud", 0.0, hours * HOUR, 0.0), hours=hours, soc_pct=40.0)
    feeders = tuple(replace(f, import_limit_w=limit_w) if f.parent else f for f in base.site.feeders)
    evses = tuple(replace(e, **evse) for e in base.site.evses)
    return replace(base, site=replace(base.site, feeders=feeders, evses=evses))


def disturbed(scenario: Scenario, *disturbances: Disturbance) -> Scenario:
    """``scenario`` with a grid that misbehaves, times in seconds from the start."""
    at = scenario.start_wall_s
    return replace(
        scenario, disturbances=tuple(replace(d, start_wall_s=at + d.start_wall_s) for d in disturbances)
    )


def broken_rules(scenario: Scenario) -> set[str]:
    """Play it; the names of all that was broken, lost departures among them."""
    panel = PureRun(scenario).play()
    lost = {"departure_lost"} if any(d.verdict == "missed_possible" for d in panel.departures) else set()
    return {violation.rule for violation in panel.violations} | lost
