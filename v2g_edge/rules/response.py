"""Frequency response: room kept around the setpoints of chargers that follow the grid's frequency by
themselves.

It is offered out of what the wishes for power have left of the feeders, so that it never takes a watt from
charging.
"""

from collections.abc import Mapping

from v2g_edge.model.frame import Frame
from v2g_edge.model.permit import Wish
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.sharing import charge_limit, export_limit

PRESSED = 1.0
"""Urgency from which a vehicle has to charge now: its setpoint is not for sale."""


def offer_response(
    frame: Frame, snapshot: Snapshot, wishes: Mapping[str, Wish], bases_w: tuple[float, ...]
) -> dict[str, Wish]:
    """The same wishes, with a droop at each outlet that is armed (``Evse.droop_w``), proven, and not urgent.

    One after the other in the site's order, each as far as its rating and the feeders above it allow in both
    directions.
    """
    if not any(evse.droop_w for evse in frame.site.evses):
        return dict(wishes)
    nodes = range(len(bases_w))
    free_in = [charge_limit(frame, node, bases_w[node]) for node in nodes]
    free_out = [export_limit(frame, node) for node in nodes]
    places = [place for place, evse in enumerate(frame.ids) if evse in wishes]
    for place in places:
        power_w = wishes[frame.ids[place]].power_w
        for node in frame.tree.above[place]:
            free_in[node] -= max(power_w, 0.0)
            free_out[node] -= max(-power_w, 0.0)
    offered = dict(wishes)
    for place in places:
        evse, wish = frame.site.evses[place], wishes[frame.ids[place]]
        if not evse.droop_w or not snapshot.evses[place].proven_discharge or wish.urgency >= PRESSED:
            continue
        above = frame.tree.above[place]
        # Down to zero a droop gives back what its setpoint takes, and takes nothing from the others.
        up_w = min(free_in[node] for node in above) + max(-wish.power_w, 0.0)
        down_w = min(free_out[node] for node in above) + max(wish.power_w, 0.0)
        rating_w = min(evse.max_charge_w - wish.power_w, evse.max_discharge_w + wish.power_w)
        droop_w = max(min(evse.droop_w, rating_w, up_w, down_w), 0.0)
        if droop_w > 0.0:
            offered[evse.id] = Wish(wish.evse, wish.power_w, wish.urgency, wish.reason, droop_w)
            for node in above:
                free_in[node] -= max(wish.power_w + droop_w, 0.0) - max(wish.power_w, 0.0)
                free_out[node] -= max(droop_w - wish.power_w, 0.0) - max(-wish.power_w, 0.0)
    return offered
