"""Which power an outlet has, where a station reports it in more than one way (rule 15)."""

import math
from typing import Final

import structlog

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.vocabulary.facts import Sample
from v2g_edge.field.sentinel_values import most_w
from v2g_edge.model.snapshot import PowerSource

log = structlog.get_logger()

IDLE_W: Final = 500.0
"""Below it a power is metering noise."""

POWER_SILENT_S: Final = 60.0
"""A station that told a power within this time tells it itself; its slowest interval is as long."""

SLOPE_MOST: Final = 1.3
"""Times the outlet's rating: no register runs faster."""


def measured_power(outlet: Outlet, sample: Sample, at_s: float) -> tuple[float | None, float, PowerSource]:
    """The power that a sample holds, the start of the time that it is the mean of, and where it comes
    from.

    What the station calls its power wins. Where it reports none, or none flowing while its register
    runs, the register's slope does (rule 15): a power that is stuck at zero is as wrong as none. One that
    cannot flow there is none.
    """
    slope = None
    if sample.import_wh is not None:
        slope = outlet.register_power.add(at_s, sample.import_wh, sample.export_wh or 0.0)
    told_w = sample.power_w
    if told_w is not None and abs(told_w) > most_w(outlet.evse):
        log.warning("power_beyond_its_outlet", evse=outlet.evse.id, power_w=told_w)
        told_w = None
    if told_w is not None:
        outlet.powered_s = at_s
        if abs(told_w) > IDLE_W:
            outlet.idle_since_s = math.inf
        elif outlet.idle_since_s == math.inf:
            outlet.idle_since_s = at_s
    fastest_w = SLOPE_MOST * max(outlet.evse.max_charge_w, outlet.evse.max_discharge_w)
    if slope is None or abs(slope.power_w) > fastest_w:
        slope = None  # more than the outlet can carry is a register in another unit
    if told_w is None:
        silent = at_s - outlet.powered_s > POWER_SILENT_S
        return (
            (slope.power_w, slope.since_s, "register") if slope is not None and silent else (None, at_s, "")
        )
    if slope is not None and abs(slope.power_w) > 2.0 * IDLE_W and slope.since_s >= outlet.idle_since_s:
        if not outlet.power_contradicts_register:  # once, not with every sample for as long as it lasts
            log.warning(
                "power_contradicts_register",
                evse=outlet.evse.id,
                power_w=told_w,
                register_w=round(slope.power_w),
            )
        outlet.power_contradicts_register = True
        return slope.power_w, slope.since_s, "register"
    if slope is not None:
        outlet.power_contradicts_register = False
    phases = outlet.phases if sample.derived == "one phase" else 1
    return told_w * phases, at_s, "currents" if sample.derived else ""
