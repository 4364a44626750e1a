"""Bounds on what nothing of the site tells: a vehicle of such a type never discharges."""

from collections.abc import Iterator

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem


def odd_untold(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each kind of which a vehicle may discharge."""
    gives = {vehicle.type for vehicle in plan.vehicles if vehicle.may_discharge}
    has_telematics = bool(plan.telematics.port or plan.telematics.mqtt_host)
    for kind in plan.vehicle_types:
        if kind.id not in gives or kind.max_discharge_w <= 0.0 or not plan.grid.export_allowed:
            continue
        path = f"vehicle_types.{kind.id}"
        if kind.soh_floor_pct > 0.0 and not has_telematics:
            found = f"{kind.soh_floor_pct:g} %, and no telematics"
            mend = "No charger tells a state of health: it never discharges. Write 0, or connect telematics."
            yield odd(file, f"{path}.soh_floor_pct", found, "0 where nothing tells it", mend)
