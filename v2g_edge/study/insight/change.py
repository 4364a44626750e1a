"""Other terms of a what-if, and a site under them."""

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.site import Evse, Site, VehicleType, for_ticks_of


class Change(Struct, frozen=True):
    """What is otherwise than in the record; None: as it was.

    Attributes:
        depth_cap: Share of a capacity that may be given in an event or a day.
        floor_pct: SoC below which nothing is given.
        connection_kw: Limit of the connection, either way.
        charger_kw: Power of every outlet, either way where it gives.
        wear_per_kwh: Cost of each kWh given.
        buy_add: Added to each price of what is bought.
        sell_add: Added to each price of what is sold.
        gives: Whether anything may be given at all.
    """

    depth_cap: float | None = None
    floor_pct: float | None = None
    connection_kw: float | None = None
    charger_kw: float | None = None
    wear_per_kwh: float = 0.015
    buy_add: float = 0.0
    sell_add: float = 0.0
    gives: bool = True


def changed(site: Site, change: Change, tick_s: float) -> Site:
    """The site under other terms, for ticks of ``tick_s``."""
    root = next(feeder.id for feeder in site.feeders if not feeder.parent)
    limit_w = change.connection_kw * 1e3 if change.connection_kw is not None else None
    power_w = change.charger_kw * 1e3 if change.charger_kw is not None else None
    return replace(
        site,
        safety=for_ticks_of(site.safety, tick_s),
        feeders=tuple(
            replace(each, import_limit_w=limit_w, export_limit_w=limit_w)
            if limit_w is not None and each.id == root
            else each
            for each in site.feeders
        ),
        evses=tuple(_evse(each, power_w, gives=change.gives) for each in site.evses),
        vehicle_types=tuple(_kind(each, change) for each in site.vehicle_types),
    )


def _evse(evse: Evse, power_w: float | None, *, gives: bool) -> Evse:
    most_w = evse.max_charge_w if power_w is None else power_w
    least_w = evse.max_discharge_w if power_w is None or not evse.max_discharge_w else power_w
    return replace(
        evse,
        max_charge_w=most_w,
        max_discharge_w=least_w if gives else 0.0,
        min_charge_w=min(evse.min_charge_w, most_w),
        fallback_w=min(evse.fallback_w, most_w),
    )


def _kind(kind: VehicleType, change: Change) -> VehicleType:
    cap_pct = 100.0 * change.depth_cap if change.depth_cap is not None else None
    return replace(
        kind,
        min_soc_pct=kind.min_soc_pct if change.floor_pct is None else change.floor_pct,
        depth_per_event_pct=kind.depth_per_event_pct if cap_pct is None else cap_pct,
        depth_per_day_pct=kind.depth_per_day_pct if cap_pct is None else cap_pct,
    )
