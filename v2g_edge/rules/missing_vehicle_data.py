"""What is not known of a vehicle, said once a session with its remedy: it charges all the same, but
without a promise.
"""

from collections.abc import Collection
from typing import Final

from v2g_edge.model.battery import capacity_of
from v2g_edge.model.event import Event
from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Snapshot, VehicleState

SETTLED_S: Final = 120.0
"""A station reports card, needs and first values within a minute of the plug; a doubt before that is no
news.
"""

DARK: Final = (
    "its charger tells no power, so that its rating is kept for it while it charges and others get less, or"
    " wait for their turn. Mend: let it report"
    " Power.Active.Import or its energy register each minute, or name its power in its map"
)

Told = dict[str, str]
"""By outlet: the session and what was said of it."""


def announce_doubts(
    frame: Frame, snapshot: Snapshot, told: Told, dark: Collection[str] = ()
) -> tuple[tuple[Event, ...], Told]:
    """Events for the doubts that are new since ``told``, and all that stand now. ``dark``: the outlets whose
    power has not been metered for long.
    """
    now: Told = {}
    events = []
    for evse, state in zip(frame.ids, snapshot.evses, strict=True):
        vehicle = state.vehicle
        if vehicle is None or snapshot.wall_s - vehicle.plugged_wall_s < SETTLED_S:
            continue
        text = _doubt(frame, vehicle) or (DARK if evse in dark else "")
        if not text:
            continue
        now[evse] = f"{vehicle.session}: {text}"
        if told.get(evse) != now[evse]:
            events.append(Event("vehicle_unknown", "warning", evse, text, snapshot.wall_s))
    return tuple(events), now


def _doubt(frame: Frame, vehicle: VehicleState) -> str:
    known = frame.known.get(vehicle.vehicle)
    kind = frame.kinds.get(known.type) if known else None
    missing, mend, left = [], [], "what the others leave"
    if known is None:
        name = f"vehicle {vehicle.vehicle!r}" if vehicle.vehicle else "the vehicle (no card, no name)"
        missing.append(f"{name} is not in the site file")
        mend.append("add it under vehicles")
    if capacity_of(vehicle, kind) is None:
        missing.append("its capacity")
        mend.append("give its type a capacity_wh")
    if not isinstance(vehicle.departure_wall_s, Reading):
        missing.append("its departure")
        mend.append("give it `departs`, or let its charger say it")
    if not isinstance(vehicle.soc_pct, Reading):
        missing.append("its SoC")
        mend.append("let the station measure SoC, or count on energy")
    if kind is not None and kind.pack_max_c < ANY_W and not isinstance(vehicle.pack_c, Reading):
        left = "its fallback or its charger's minimum"
        missing.append("the temperature of its pack")
        mend.append(f"let its charger or telematics tell it, or give type {kind.id} pack_max_c = 1e12")
    if not missing:
        return ""
    return f"not known: {', '.join(missing)}; it charges with {left}. Mend: {', '.join(mend)}"
