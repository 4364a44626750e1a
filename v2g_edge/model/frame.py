"""A site laid out once: what its names refer to, so that no tick has to look for it. Shared by rules and
envelope.
"""

from typing import NamedTuple

from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.site import Evse, Site, Vehicle, VehicleType
from v2g_edge.model.tree import Tree, tree_of


class Span(NamedTuple):
    """What a meter has under it: outlets by place, bounds of the base load of all its feeders, import
    limit of its own.
    """

    members: tuple[int, ...]
    base_min_w: float
    base_max_w: float
    limit_w: float


class Frame(NamedTuple):
    """What of a site never changes. ``spans`` stand in the order of ``Site.meters``, ``ids`` in that of
    ``Site.evses``, and so do ``rated``: each outlet's bound by its plate, without discharge where none can
    be commanded. ``by_type``: for each vehicle type the bound that it sets to the export of a healthy pack.
    ``warranted``: the types whose warranty caps what they may give in all their life.
    """

    site: Site
    tree: Tree
    ids: tuple[str, ...]
    known: dict[str, Vehicle]
    kinds: dict[str, VehicleType]
    spans: tuple[Span, ...]
    rated: tuple[Bound, ...]
    by_type: dict[str, Bound]
    warranted: frozenset[str]


def frame_of(site: Site) -> Frame:
    """Lay out a site; ``config`` has proven that the names in it exist."""
    tree = tree_of(site)
    return Frame(
        site=site,
        tree=tree,
        ids=tuple(evse.id for evse in site.evses),
        known={vehicle.id: vehicle for vehicle in site.vehicles},
        kinds={kind.id: kind for kind in site.vehicle_types},
        spans=tuple(_span(site, tree, meter) for meter in site.meters),
        rated=tuple(_rated(evse) for evse in site.evses),
        by_type={kind.id: _of_type(kind) for kind in site.vehicle_types},
        warranted=frozenset(
            kind.id
            for kind in site.vehicle_types
            if min(kind.warranty_discharge_wh, kind.warranty_discharge_h, kind.warranty_efc) < ANY_W
        ),
    )


def _rated(evse: Evse) -> Bound:
    return Bound(
        0.0 if evse.discharge_by == "none" else -evse.max_discharge_w,
        evse.max_charge_w,
        "charger_rating",
        "site file, evses",
    )


def _of_type(kind: VehicleType) -> Bound:
    return Bound(-kind.max_discharge_w, ANY_W, "vehicle_type", f"vehicle_types.{kind.id}, × SoH")


def _span(site: Site, tree: Tree, meter: str) -> Span:
    """A meter's own feeder, and all below it. The grid meter without one stands over the root; any other
    over nothing.
    """
    root = len(tree.feeders) - 1
    top = next(
        (i for i, feeder in enumerate(tree.feeders) if feeder.meter == meter),
        root if meter == site.grid.meter else None,
    )
    if top is None:
        return Span((), 0.0, 0.0, 0.0)
    return Span(tree.below[top], tree.base_min_w[top], tree.base_max_w[top], tree.feeders[top].import_limit_w)
