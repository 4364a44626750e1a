"""Services in a tick: how far they move the wishes for power, after departures and plan and before the
envelope.

A vehicle that must charge to leave in time is not moved. Each service gives the share of what it sold that
the one account backs now. Without a fresh frequency or signal a service gives nothing, so the plan (or a
charger's own droop) has taken over.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from v2g_edge.model.battery import capacity_of
from v2g_edge.model.event import Event
from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.orders import strictest
from v2g_edge.model.permit import Wish
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading, is_fresh, known_or
from v2g_edge.model.service import Service
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.services.account import Headroom, hold
from v2g_edge.rules.services.arming import Measured, refusals
from v2g_edge.rules.services.frequency import activation
from v2g_edge.rules.services.limits import zero_limits
from v2g_edge.rules.services.peaks import Window, shave, targets_of
from v2g_edge.rules.services.registry import SERVICES
from v2g_edge.rules.services.signal import TIMEOUT, followed
from v2g_edge.rules.services.spread import Room, spread

URGENT: Final = 1.0
FREQUENCY_MAX_AGE_S: Final = 1.0
"""(EU) 2017/1485 asks for own frequency at least once a second."""

LEAST_EFFICIENCY: Final = 0.9
"""Of one way out of a battery, where an outlet's own is not asked."""


class Served(NamedTuple):
    """For the next tick: ``silent``, services that no fresh signal reaches, and ``windows`` (``peaks``)."""

    wishes: dict[str, Wish]
    events: tuple[Event, ...]
    silent: tuple[str, ...]
    windows: tuple[Window, ...] = ()


def armed(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """The services that nothing speaks against."""
    return tuple(
        s for s in services if not refusals(s, Measured(s.meter_hz, s.meter_w, s.meter_s, s.response_s))
    )


def limited_bases(frame: Frame, snapshot: Snapshot, bases_w: tuple[float, ...]) -> tuple[float, ...]:
    """Base loads with which the root leaves no more for charging than a limit from outside does."""
    cap_w, _ = strictest(snapshot.operator.limits, "import", snapshot.wall_s)
    if cap_w >= ANY_W:
        return bases_w
    root, free = frame.tree.feeders[-1], 1.0 - frame.site.safety.feeder_margin_pct / 100.0
    left_w = min(root.import_limit_w * free - bases_w[-1], max(cap_w - bases_w[-1], 0.0))
    return (*bases_w[:-1], root.import_limit_w * free - left_w)


def serve(
    frame: Frame,
    snapshot: Snapshot,
    wishes: Mapping[str, Wish],
    bases_w: tuple[float, ...],
    silent: tuple[str, ...],
    outs_w: Mapping[str, float] | None = None,
    *,
    plan: Plan | None = None,
    windows: tuple[Window, ...] = (),
) -> Served:
    """The wishes as the services and limits from outside would have them. ``outs_w``: the most that outlets
    might export at the last tick, for those of which it is known. ``windows``: what the metering windows of
    demand charges had drawn by then.
    """
    services = armed(frame.site.services)
    targets = targets_of(services, plan, snapshot)
    if targets:
        free = _rooms(frame, snapshot, wishes, outs_w or {})
        wishes, windows = shave(frame, snapshot, targets, wishes, free, windows, bases_w[-1])
    moved = dict(wishes)
    asked = [s for s in services if SERVICES[s.kind].moves in {"frequency", "signal"}]
    shares = {s.id: _asked(frame, snapshot, s) for s in asked}
    rooms = _rooms(frame, snapshot, wishes, outs_w or {}) if services else []
    total = _headroom(rooms)
    backed = {held.service: held.share for held in hold(total, services)}
    delta_w = sum(s.power_w * backed[s.id] * (shares[s.id] or 0.0) for s in asked)
    by_service = max(asked, key=lambda s: abs(s.power_w * (shares[s.id] or 0.0)), default=None)
    if by_service is not None and delta_w != 0.0:
        _move(moved, rooms, delta_w, f"service_{by_service.kind}")
    _keep_backup(frame, snapshot, services, moved)
    _cap_export(frame, snapshot, services, moved, bases_w)
    if any(s.kind == "zero_import" for s in services):
        _use_surplus(moved, max(-bases_w[-1], 0.0))
    lost = tuple(s.id for s in asked if shares[s.id] is None)
    return Served(moved, _events(snapshot, silent, lost), lost, windows if targets else ())


def _asked(frame: Frame, snapshot: Snapshot, service: Service) -> float | None:
    """The share asked for, + up; None without a fresh frequency or signal."""
    if SERVICES[service.kind].moves == "signal":
        signal = next((each for name, each in snapshot.operator.signals if name == service.id), None)
        return followed(signal, snapshot.now_s)[0]
    grid = frame.site.grid
    meter = snapshot.meters[frame.site.meters.index(grid.meter)] if grid.meter in frame.site.meters else None
    if meter is None or not is_fresh(meter.frequency_hz, snapshot.now_s, FREQUENCY_MAX_AGE_S):
        return None
    return activation(service.kind, meter.frequency_hz.value, grid.nominal_hz)


def _rooms(
    frame: Frame, snapshot: Snapshot, wishes: Mapping[str, Wish], outs_w: Mapping[str, float]
) -> list[Room]:
    """Outlets that may be moved. Energy counts from the floor and to the ceiling of its type."""
    rooms = []
    for evse, state in zip(frame.site.evses, snapshot.evses, strict=True):
        wish, vehicle = wishes.get(evse.id), state.vehicle
        if wish is None or vehicle is None or wish.urgency >= URGENT:
            continue
        if not isinstance(vehicle.soc_pct, Reading):
            continue
        known = frame.known.get(vehicle.vehicle)
        kind = frame.kinds.get(known.type) if known else None
        out_w = outs_w.get(evse.id, ANY_W)
        may_give = known is not None and known.may_discharge and state.proven_discharge
        gives = may_give and evse.discharge_by != "none" and out_w > 0.0
        floor_pct = (kind.min_soc_pct if kind else 0.0) + (known.reserve_soc_pct if known else 0.0)
        per_pct = (capacity_of(vehicle, kind) or 0.0) / 100.0
        up_wh = max(vehicle.soc_pct.value - floor_pct, 0.0) * per_pct if gives else 0.0
        down_wh = max((kind.max_soc_pct if kind else 100.0) - vehicle.soc_pct.value, 0.0) * per_pct
        least_w = -min(evse.max_discharge_w, kind.max_discharge_w if kind else 0.0, out_w)
        takes_w = min(evse.max_charge_w, known_or(vehicle.max_charge_w, evse.max_charge_w))
        most_w = takes_w if down_wh > 0.0 else max(wish.power_w, 0.0)
        rooms.append(
            Room(
                evse.id,
                wish.power_w,
                min(least_w if up_wh > 0.0 else 0.0, wish.power_w),
                max(most_w, wish.power_w),
                evse.min_charge_w,
                evse.min_discharge_w,
                up_wh,
                down_wh,
                known_or(vehicle.soh_pct, 0.0),
            )
        )
    return rooms


def _headroom(rooms: list[Room]) -> Headroom:
    """What all of them can give. Charging that is left undone gives up-power without any energy of the
    battery.
    """
    return Headroom(
        sum(room.up_w for room in rooms),
        sum(room.down_w for room in rooms),
        sum(room.up_wh + max(room.power_w, 0.0) for room in rooms),
        sum(room.down_wh for room in rooms),
    )


def _move(wishes: dict[str, Wish], rooms: list[Room], delta_w: float, reason: str) -> None:
    """Give ``delta_w`` (+ up)."""
    for evse, power_w in spread(rooms, delta_w).items():
        old = wishes[evse]
        if power_w != old.power_w:
            wishes[evse] = Wish(old.evse, power_w, old.urgency, reason, old.droop_w)


def _keep_backup(
    frame: Frame, snapshot: Snapshot, services: tuple[Service, ...], wishes: dict[str, Wish]
) -> None:
    """No export once the vehicles hold no more above their floors than is kept for an outage, with what a
    lease of this export takes out.
    """
    kept_wh = sum(s.power_w * max(s.energy_h, 1.0) for s in services if s.kind == "backup")
    if kept_wh <= 0.0:
        return
    out_w = -sum(min(wish.power_w, 0.0) for wish in wishes.values())
    lease_wh = out_w / LEAST_EFFICIENCY * frame.site.safety.lease_s / 3_600.0
    if _stored_wh(frame, snapshot) - lease_wh > kept_wh:
        return
    for evse, wish in wishes.items():
        if wish.power_w < 0.0:
            wishes[evse] = Wish(evse, 0.0, wish.urgency, "service_backup", wish.droop_w)


def _stored_wh(frame: Frame, snapshot: Snapshot) -> float:
    """What the vehicles hold above their floors that may give it, whether or not they are asked to now."""
    total_wh = 0.0
    for evse, state in zip(frame.site.evses, snapshot.evses, strict=True):
        vehicle = state.vehicle
        known = frame.known.get(vehicle.vehicle) if vehicle else None
        kind = frame.kinds.get(known.type) if known else None
        if vehicle is None or known is None or kind is None or not known.may_discharge:
            continue
        if isinstance(vehicle.soc_pct, Reading) and evse.discharge_by != "none":
            floor_pct = kind.min_soc_pct + known.reserve_soc_pct
            capacity_wh = capacity_of(vehicle, kind) or 0.0
            total_wh += max(vehicle.soc_pct.value - floor_pct, 0.0) * capacity_wh / 100.0
    return total_wh


def _use_surplus(wishes: dict[str, Wish], surplus_w: float) -> None:
    """A vehicle that can wait charges from what the site itself has too much of."""
    waiting = {evse: wish for evse, wish in wishes.items() if wish.power_w > 0.0 and wish.urgency < URGENT}
    total_w = sum(wish.power_w for wish in waiting.values())
    share = min(surplus_w / total_w, 1.0) if total_w > 0.0 else 1.0
    for evse, wish in waiting.items():
        if share < 1.0:
            wishes[evse] = Wish(evse, wish.power_w * share, wish.urgency, "service_zero_import", wish.droop_w)


def _cap_export(
    frame: Frame,
    snapshot: Snapshot,
    services: tuple[Service, ...],
    wishes: dict[str, Wish],
    bases_w: tuple[float, ...],
) -> None:
    """A limit from outside on export: what the building surely draws may be given on top."""
    limits = (*snapshot.operator.limits, *zero_limits(services))
    cap_w, source = strictest(limits, "export", snapshot.wall_s)
    if cap_w >= ANY_W:
        return
    out_w = -sum(min(wish.power_w, 0.0) for wish in wishes.values())
    most_w = max(cap_w + min(frame.tree.base_min_w[-1], bases_w[-1]), 0.0)
    if out_w <= most_w:
        return
    share = most_w / out_w
    for evse, wish in wishes.items():
        if wish.power_w < 0.0:
            wishes[evse] = Wish(evse, wish.power_w * share, wish.urgency, f"limit_{source}", 0.0)


def _events(snapshot: Snapshot, before: tuple[str, ...], now: tuple[str, ...]) -> tuple[Event, ...]:
    wall_s = snapshot.wall_s
    lost = [
        Event(
            "service_signal_lost",
            "warning",
            name,
            f"{name}: {TIMEOUT}: no fresh signal; droop or the plan serves",
            wall_s,
        )
        for name in now
        if name not in before
    ]
    back = [
        Event("service_signal_back", "info", name, f"{name}: its signal is fresh again", wall_s)
        for name in before
        if name not in now
    ]
    return (*lost, *back)
