"""The last hop: every permit and every sum checked again from site and snapshot alone, sharing no code
with the rest.
"""

from typing import Final

from msgspec import Struct

from v2g_edge.envelope import InvariantBroken
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import fresh_or, is_fresh
from v2g_edge.model.site import Evse, Feeder, Site
from v2g_edge.model.snapshot import EvseState, Snapshot
from v2g_edge.model.tree import spreads_evenly

SLACK_W: Final = 1.0
"""Rounding of sums over a thousand floats stays far below one watt; a real breach does not."""


class _Sums(Struct, gc=False):
    """What all outlets and base loads below a feeder make together, in W ≥ 0 but for the base loads.

    ``charge_w`` and ``export_w``: of all outlets; ``charge_on_w`` and ``export_on_w``: on L1, L2, L3.
    ``base_min_w`` and ``base_max_w``: of all base loads, least and most.
    """

    base_min_w: float
    base_max_w: float
    charge_w: float = 0.0
    export_w: float = 0.0
    charge_on_w: tuple[float, float, float] = (0.0, 0.0, 0.0)
    export_on_w: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def add(self, other: "_Sums") -> None:
        """Take in what another makes."""
        self.base_min_w += other.base_min_w
        self.base_max_w += other.base_max_w
        self.charge_w += other.charge_w
        self.export_w += other.export_w
        self.charge_on_w = _added(self.charge_on_w, other.charge_on_w)
        self.export_on_w = _added(self.export_on_w, other.export_on_w)


def pass_gate(site: Site, snapshot: Snapshot, permits: tuple[Permit, ...]) -> tuple[Permit, ...]:
    """The same permits, or ``InvariantBroken`` with the one that must not be."""
    if [permit.evse for permit in permits] != [evse.id for evse in site.evses]:
        raise InvariantBroken("permits do not name every outlet exactly once, in the site's order")
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    own = {feeder.id: _Sums(feeder.base_load_min_w, feeder.base_load_max_w) for feeder in site.feeders}
    by_phase = any(feeder.current is not None for feeder in site.feeders)
    for evse, state, permit in zip(site.evses, snapshot.evses, permits, strict=True):
        least_w, most_w = permit.power_w - permit.droop_w, permit.power_w + permit.droop_w
        _may(site, snapshot, evse, state, permit, least_w, most_w)
        if least_w < 0.0 and not state.proven_discharge:
            most_w = evse.max_charge_w  # it may charge instead
        sums = own[evse.feeder]
        if most_w > 0.0:
            sums.charge_w += most_w
            if by_phase:
                sums.charge_on_w = _added(sums.charge_on_w, _on_phases(evse, state, most_w))
        if least_w < 0.0:
            sums.export_w -= least_w
            if by_phase:
                sums.export_on_w = _added(sums.export_on_w, _on_phases(evse, state, -least_w))
    below = {feeder: _Sums(0.0, 0.0) for feeder in own}
    for feeder, sums in own.items():
        node = feeder
        while node:
            below[node].add(sums)
            node = parent[node]
    for place in site.feeders:
        _must_fit(site, snapshot, place, below[place.id])
    return permits


def _added(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float, float]:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


def _on_phases(evse: Evse, state: EvseState, power_w: float) -> tuple[float, float, float]:
    """The most that ``power_w`` of an outlet can make on L1, L2, L3 of the grid.

    A vehicle may draw all of it on one phase, as far as that phase is rated, unless the outlet spreads evenly
    or the vehicle has shown its phases.
    """
    grid = [int(number) - 1 for number in evse.phases[1::2]]
    rated_w = max(evse.max_charge_w, evse.max_discharge_w) / len(grid)
    on = [0.0, 0.0, 0.0]
    if spreads_evenly(evse):
        used, each_w = grid, power_w / len(grid)
    elif state.vehicle is not None and state.vehicle.phases:
        used = [grid[int(number) - 1] for number in state.vehicle.phases[1::2]]
        each_w = min(power_w / len(used), rated_w)
    else:
        used, each_w = grid, min(power_w, rated_w)
    for phase in used:
        on[phase] = each_w
    return on[0], on[1], on[2]


def _may(
    site: Site,
    snapshot: Snapshot,
    evse: Evse,
    state: EvseState,
    permit: Permit,
    least_w: float,
    most_w: float,
) -> None:
    power_w, low_w, high_w = (
        permit.power_w,
        max(permit.min_w, -evse.max_discharge_w),
        min(permit.max_w, evse.max_charge_w),
    )
    if not low_w <= power_w <= high_w:  # nor is NaN
        raise InvariantBroken(
            f"{evse.id}: {power_w} W is outside the rating or outside [{permit.min_w}, {permit.max_w}] W"
        )
    if not (permit.droop_w >= 0.0 and least_w >= low_w - SLACK_W and most_w <= high_w + SLACK_W):
        raise InvariantBroken(
            f"{evse.id}: a droop of {permit.droop_w} W around {power_w} W is outside the rating or its room"
        )
    if not 0.0 < permit.valid_for_s <= site.safety.lease_s:
        raise InvariantBroken(
            f"{evse.id}: a lease of {permit.valid_for_s} s, allowed up to {site.safety.lease_s} s"
        )
    orders = snapshot.operator
    if (power_w or permit.droop_w) and (state.vehicle is None or orders.stop or orders.closing):
        raise InvariantBroken(f"{evse.id}: power without a vehicle, or while a stop is in force")
    if least_w >= 0.0:
        return
    # Two signals of two, once more: contact closed, meter alive, a dead-man, no hold on export.
    if not (state.dead_man_ok and site.grid.export_allowed) or snapshot.operator.export_hold:
        raise InvariantBroken(f"{evse.id}: export without dead-man or permission")
    closed = snapshot.contacts[site.contacts.index(site.grid.relay)].closed
    if fresh_or(closed, snapshot.now_s, site.safety.contact_max_age_s, 0.0) <= 0.5:
        raise InvariantBroken(f"{evse.id}: export without a closed grid contact {site.grid.relay}")
    hz = snapshot.meters[site.meters.index(site.grid.meter)].frequency_hz
    if not is_fresh(hz, snapshot.now_s, site.safety.meter_max_age_s):
        raise InvariantBroken(f"{evse.id}: export without a live grid meter {site.grid.meter}")


def _must_fit(site: Site, snapshot: Snapshot, feeder: Feeder, sums: _Sums) -> None:
    """The least that holds whatever the meters say: base loads at their best with a live meter, at their
    worst without.
    """
    power = snapshot.meters[site.meters.index(feeder.meter)].power_w if feeder.meter else None
    live = power is not None and is_fresh(power, snapshot.now_s, site.safety.meter_max_age_s)
    base_w = sums.base_min_w if live else sums.base_max_w
    if sums.charge_w > max(feeder.import_limit_w - base_w, 0.0) + SLACK_W:
        raise InvariantBroken(
            f"feeder {feeder.id}: {sums.charge_w:.0f} W of charging do not fit its import limit"
        )
    if sums.export_w > max(feeder.export_limit_w + sums.base_min_w, 0.0) + SLACK_W:
        raise InvariantBroken(
            f"feeder {feeder.id}: {sums.export_w:.0f} W of export do not fit its export limit"
        )
    if feeder.current is None:
        return
    import_w = feeder.current.import_a * site.grid.nominal_v
    export_w = feeder.current.export_a * site.grid.nominal_v
    for phase, (in_w, out_w) in enumerate(zip(sums.charge_on_w, sums.export_on_w, strict=True), 1):
        if in_w > import_w + SLACK_W or out_w > export_w + SLACK_W:
            raise InvariantBroken(f"feeder {feeder.id}: {in_w:.0f} W in, {out_w:.0f} W out exceed L{phase}")
