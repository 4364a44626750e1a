"""A cloud that means no good, or is mad: the plans that it sends, correctly signed."""

from sim.scenarios.fault import Fault
from sim.scenarios.scenario import Scenario
from v2g_edge.model.plan import Plan, Slot

VALID_S = 900.0
"""Its plans hold for a quarter hour, so that the depot's own plan takes over soon after the cloud has been
put right.
"""


def plan_of(fault: Fault, scenario: Scenario, wall_s: float) -> Plan:
    """What the cloud wants of every charger now. Revisions grow with time."""
    minute = int(wall_s // 60.0)
    out = fault.kind == "cloud_discharge" or (fault.kind == "cloud_flap" and minute % 2 == 0)
    evse_w = tuple(
        (evse.id, 0.0 if fault.kind == "cloud_idle" else -evse.max_discharge_w if out else evse.max_charge_w)
        for evse in sorted(scenario.site.evses, key=lambda evse: evse.id)
    )
    end_wall_s = wall_s + VALID_S
    return Plan(minute, "cloud", wall_s, wall_s, end_wall_s, (Slot(wall_s, end_wall_s, evse_w),))
