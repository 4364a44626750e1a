"""What may have flowed in and out of each battery: how old a SoC is, what an event and a day have taken, how
full it may be.

A SoC is true at its sample; since then the most that may have flowed counts, either way. Discharge is counted
by metered energy, and by the fall of SoC where that shows more, whenever it is reported. An event ends by
metered charging alone: no permit ends it. Charging that a meter shows under a permit to discharge, or that a
falling SoC refutes, is no charging: the meter may be wired the wrong way round.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.battery import capacity_of
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.site import Evse, VehicleType
from v2g_edge.model.snapshot import EvseState, VehicleState

EVENT_ENDS_PCT: Final = 1.0
"""So much must have been charged before a new discharge event begins: less is a pause, and SoC is reported
in whole percents.
"""


class _Flow(Struct, frozen=True, gc=False):
    """Battery side, in Wh since the last tick: metered (where it is not, at the worst), and the most that
    may have been. ``metered`` false: a fall of SoC may be discharge.
    """

    out_wh: float
    most_out_wh: float
    most_in_wh: float
    charged_wh: float
    metered: bool = True


def follow_battery(
    evse: Evse,
    kind: VehicleType | None,
    state: EvseState,
    old: EvseMemory,
    dt_s: float,
    now_s: float,
    max_age_s: float,
) -> tuple[EvseMemory, float]:
    """The memory after this tick, and the SoC points that discharge has taken since the last one."""
    vehicle = state.vehicle
    if vehicle is None or vehicle.session != old.session:
        return _begin(vehicle, old), 0.0
    capacity_wh = capacity_of(vehicle, kind)
    pct_per_wh = 100.0 / capacity_wh if capacity_wh is not None else 0.0
    flow = _flow(evse, state, old, dt_s / 3600.0, now_s, max_age_s)
    taken_pct = flow.out_wh * pct_per_wh
    back_wh = 0.0 if flow.out_wh > 0.0 else old.back_wh + flow.charged_wh
    new = replace(
        old,
        vehicle=vehicle.vehicle,
        top_pct=min((old.soc_pct or 0.0) + old.in_wh * pct_per_wh, 100.0),
        in_wh=max(old.in_wh + flow.most_in_wh - flow.out_wh, 0.0),
        out_wh=max(old.out_wh + flow.most_out_wh - flow.charged_wh, 0.0),
        counted_pct=old.counted_pct + taken_pct,
        event_pct=0.0 if back_wh * pct_per_wh >= EVENT_ENDS_PCT else old.event_pct + taken_pct,
        back_wh=back_wh,
    )
    soc = vehicle.soc_pct
    if not isinstance(soc, Reading) or soc.at_s <= old.soc_at_s or soc.value == old.soc_pct:
        return new, taken_pct
    by_itself = flow.metered and new.out_wh <= 0.0 and new.counted_pct <= 0.0
    fell_pct = 0.0 if by_itself else max((old.soc_pct or 0.0) - soc.value, 0.0)
    more_pct = max(fell_pct - new.counted_pct, 0.0)
    refuted = old.soc_pct is not None and soc.value < old.soc_pct
    since_h = min(max(now_s - soc.at_s, 0.0), max_age_s) / 3600.0
    new = replace(
        new,
        soc_pct=soc.value,
        soc_at_s=soc.at_s,
        in_wh=max(old.most_w, 0.0) * evse.efficiency * since_h,
        out_wh=max(-old.least_w, 0.0) / evse.efficiency * since_h,
        counted_pct=0.0,
        event_pct=(old.event_pct + taken_pct if refuted else new.event_pct) + more_pct,
        back_wh=0.0 if refuted else new.back_wh,
    )
    return new, taken_pct + more_pct


def aged_soc_pct(
    evse: Evse, kind: VehicleType | None, vehicle: VehicleState, memory: EvseMemory, now_s: float
) -> float | None:
    """The least that the SoC may be now; None where it was never reported, or for a sample of the future."""
    soc = vehicle.soc_pct
    if not isinstance(soc, Reading) or soc.at_s > now_s:
        return None
    capacity_wh = capacity_of(vehicle, kind)
    if capacity_wh is None:
        return soc.value
    gone_wh = memory.out_wh
    if (
        soc.at_s < memory.soc_at_s and soc.value != memory.soc_pct
    ):  # an older word than the last: at its worst
        gone_wh = max(gone_wh, evse.max_discharge_w / evse.efficiency * (now_s - soc.at_s) / 3600.0)
    return max(soc.value - gone_wh * 100.0 / capacity_wh, 0.0)


def _begin(vehicle: VehicleState | None, old: EvseMemory) -> EvseMemory:
    """A new session, or none: how full it may be is not reckoned until a tick has passed.

    The event goes on where the same vehicle comes back no fuller than it left: a station that starts anew
    gives a new session to a vehicle that never went.
    """
    if vehicle is None:
        return replace(old, session="", in_wh=0.0, out_wh=0.0, counted_pct=0.0, top_pct=None)
    soc = vehicle.soc_pct
    soc_pct = soc.value if isinstance(soc, Reading) else None
    goes_on = (
        vehicle.vehicle != "" and vehicle.vehicle == old.vehicle and not _is_fuller(soc_pct, old.soc_pct)
    )
    return replace(
        old,
        session=vehicle.session,
        vehicle=vehicle.vehicle,
        soc_pct=soc_pct,
        soc_at_s=soc.at_s if isinstance(soc, Reading) else -ANY_W,
        in_wh=0.0,
        out_wh=0.0,
        counted_pct=0.0,
        event_pct=old.event_pct if goes_on else 0.0,
        back_wh=old.back_wh if goes_on else 0.0,
        top_pct=None,
        warm_at_s=-ANY_W,
    )


def _is_fuller(soc_pct: float | None, before_pct: float | None) -> bool:
    """Whether it was charged elsewhere by as much as ends an event; what is not known shows nothing."""
    return soc_pct is not None and before_pct is not None and soc_pct >= before_pct + EVENT_ENDS_PCT


def _flow(
    evse: Evse, state: EvseState, old: EvseMemory, hours: float, now_s: float, max_age_s: float
) -> _Flow:
    power, lost, permitted_out_w = state.power_w, evse.efficiency, max(-old.least_w, 0.0)
    if not is_fresh(power, now_s, max_age_s):
        out_wh, in_wh = permitted_out_w / lost * hours, max(old.most_w, evse.fallback_w) * lost * hours
        return _Flow(out_wh, out_wh, in_wh, 0.0, metered=False)
    out_w, in_w = (-power.value, 0.0) if power.value <= 0.0 else (0.0, power.value)
    in_wh = in_w * lost * hours
    charged_wh = 0.0 if permitted_out_w > 0.0 else in_wh
    return _Flow(out_w / lost * hours, max(out_w, permitted_out_w) / lost * hours, in_wh, charged_wh)
